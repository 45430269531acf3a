"""Models by name: each is built without network, imports, and has the right size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zoo
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from training_runs import columns, mase, mistake

import mase_opt as mo
from mase_opt import training
from mase_opt.frontend.to_torch import MaseModule
from mase_opt.lib.errors import UserError
from mase_opt.training import DatasetInfo, find_model
from mase_opt.training.registry import MODELS, Task
from mase_opt.training.torchvision_ops import declare_torchvision_ops

declare_torchvision_ops()

LM: Task = "language_modeling"
MNIST = DatasetInfo((1, 28, 28), 10)
CIFAR = DatasetInfo((3, 32, 32), 10)
IMAGENET = DatasetInfo((3, 224, 224), 1000)


def text(task: Task, classes: int | None = None) -> DatasetInfo:
    names = ("input_ids", "attention_mask")
    if task == "translation":
        names += ("decoder_input_ids",)
    return DatasetInfo((8,), classes, task, names, vocabulary=100)


@dataclass(frozen=True)
class Row:
    """A model in a form that imports within seconds."""

    info: DatasetInfo
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
BERT = {**SMALL, "intermediate_size": 64}
OPT = {**SMALL, "ffn_dim": 64, "word_embed_proj_dim": 32}
FORMATS = {
    name: {"weight_width": width, "data_in_width": 8}
    for name, width in (("linear1", 4), ("linear2", 6), ("linear3", 8))
}
ROWS: Mapping[str, Row] = {
    "toy": Row(DatasetInfo((1, 2, 2), 2)),
    "toy-manual": Row(DatasetInfo((1, 2, 2), 2), {"config": FORMATS}),
    "jsc-tiny": Row(DatasetInfo((16,), 5)),
    "jsc-toy": Row(DatasetInfo((16,), 5)),
    "jsc-s": Row(DatasetInfo((16,), 5)),
    "digits-mlp": Row(DatasetInfo((1, 8, 8), 10)),
    "digits-cnn": Row(DatasetInfo((1, 8, 8), 10)),
    "lenet5": Row(MNIST),
    "mnist-net": Row(MNIST),
    "resnet8": Row(CIFAR),
    "ds-cnn": Row(DatasetInfo((1, 49, 10), 12)),
    "mobilenetv1-025": Row(DatasetInfo((3, 96, 96), 2)),
    "deep-autoencoder": Row(DatasetInfo((640,))),
    "tfc": Row(MNIST),
    "cnv": Row(CIFAR),
    "bert-base-uncased": Row(text("classification", 2), BERT),
    "roberta-base": Row(text("classification", 2), BERT),
    "gpt2": Row(text(LM), {"n_embd": 32, "n_layer": 1, "n_head": 2}),
    "EleutherAI/gpt-neo-125m": Row(
        text(LM),
        {
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 2,
            "attention_types": [[["global", "local"], 1]],
        },
    ),
    "facebook/opt-125m": Row(text(LM), OPT),
    "facebook/opt-350m": Row(text(LM), {**OPT, "word_embed_proj_dim": 16}),
    "t5-small": Row(
        text("translation"),
        {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 1, "num_heads": 2},
    ),
}
"""All but those that `test_models.py` imports and evaluates."""
ALIASES = {
    "resnet18-imagenet": "resnet18",
    "facebook/opt-125m@patched": "facebook/opt-125m",
    "facebook/opt-350m@patched": "facebook/opt-350m",
}


def needed(name: str) -> tuple[str, ...]:
    return find_model(name).needs


def with_packages(names: Any) -> list[Any]:
    return [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                any(find_spec(package) is None for package in needed(name)),
                reason="needs the extra 'models'",
            ),
        )
        for name in names
    ]


def test_the_table_has_all_models() -> None:
    own = {
        entry.name
        for entry in MODELS.entries.values()
        if entry.build.__module__.startswith("mase_opt.")
    }
    assert own == {*ROWS, *zoo.TABLED, *ALIASES}


@pytest.mark.slow
@pytest.mark.parametrize("name", with_packages(ROWS))
def test_imports(name: str) -> None:
    """The IR computes what the module does, on random input."""
    row = ROWS[name]
    torch.manual_seed(0)
    module = find_model(name)(row.info, arguments=row.options).eval()
    inputs: Any = (torch.randn(1, *row.info.shape),)
    if row.info.names:
        tokens = torch.randint(2, 100, (1, *row.info.shape))
        inputs = {key: tokens for key in row.info.names}
        inputs["attention_mask"] = torch.ones_like(tokens)
    with torch.no_grad():
        result: Any = module(**inputs) if row.info.names else module(*inputs)
    wanted: Tensor = getattr(result, "logits", result)
    if isinstance(module, MaseModule):
        model = mo.from_torch(module)
    else:
        model = mo.import_torch(module, inputs)
    values = inputs if row.info.names else inputs[0]
    given = {k: v.numpy() for k, v in values.items()} if row.info.names else values
    found = model.run(given if row.info.names else values.numpy())
    first: Any = found[0] if isinstance(found, tuple | list) else found
    scale = float(wanted.abs().max())
    np.testing.assert_allclose(
        np.asarray(first).reshape(wanted.shape), wanted, rtol=0, atol=5e-5 * scale
    )


SIZES = {
    "resnet18": (CIFAR, 11_181_642),
    "resnet50": (IMAGENET, 25_557_032),
    "mobilenetv2": (IMAGENET, 3_504_872),
    "mobilenetv3_small": (IMAGENET, 2_542_856),
    "efficientnet_b0": (IMAGENET, 5_288_548),
    "efficientnet_v2_s": (IMAGENET, 21_458_488),
    "pvt": (IMAGENET, 13.2e6),
    "pvt_v2_b0": (IMAGENET, 3_666_760),
    "deit_tiny_224": (IMAGENET, 5_717_416),
    "swin_tiny": (IMAGENET, 28_288_354),
    "cswin_64_tiny": (IMAGENET, 22.3e6),
    "gpt2": (DatasetInfo((8,), task=LM), 124_439_808),
    "EleutherAI/gpt-neo-125m": (DatasetInfo((8,), task=LM), 125_198_592),
    "facebook/opt-125m": (DatasetInfo((8,), task=LM), 125_239_296),
    "facebook/opt-350m": (DatasetInfo((8,), task=LM), 331_196_416),
    "t5-small": (DatasetInfo((8,), task="translation"), 60_506_624),
    "bert-base-uncased": (DatasetInfo((8,), 2), 109_483_778),
    "roberta-base": (DatasetInfo((8,), 2), 124_647_170),
    "resnet8": (CIFAR, 78e3),
    "ds-cnn": (DatasetInfo((1, 49, 10), 12), 23.2e3),
    "lenet5": (MNIST, 61_706),
}
"""Weights of models in full, as published; whole numbers are exact."""


@pytest.mark.parametrize("name", with_packages(SIZES))
def test_size_in_full(name: str) -> None:
    """Without memory for the weights: on torch's device `meta`."""
    info, count = SIZES[name]
    with torch.device("meta"):
        module = find_model(name)(info)
    found = sum(p.numel() for p in module.parameters())
    assert found == (count if isinstance(count, int) else pytest.approx(count, 5e-3))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("timm") is None, reason="needs the extra 'models'")
def test_q10_operations_of_resnet18() -> None:
    """Products of convolutions and linear layers, of which torch counts each twice."""
    module = find_model("resnet18")(CIFAR).eval()
    images = torch.zeros(1, 3, 32, 32)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(images)
    model = mo.import_torch(module, [images])
    _, _, parameters, products, _ = model.operations().total
    assert parameters == 11_181_642
    assert products == counter.get_total_flops() // 2 == 37_016_576
    # The linear layer is left, 512 features to 10 classes.
    assert model.operations(["conv2d"]).total[3] == 5_120


# Arguments and their mistakes.


@pytest.mark.slow
def test_t5_formats_layer_by_layer(tmp_path: Path, capsys: Any) -> None:
    """Training goes on in the formats, which differ from layer to layer."""
    config = tmp_path / "c.toml"
    tables = [
        f"[model.config.{name}]\nweight_width = {width}\ndata_in_width = 8\n"
        "data_in_frac_width = 4\ndata_out_width = 8\ndata_out_frac_width = 4\n"
        for name, width in (("linear1", 4), ("linear2", 6), ("linear3", 8))
    ]
    text = '[dataset]\nname = "iris"\n[model]\nname = "toy-manual"\nhidden = 16\n'
    config.write_text(text + "".join(tables))
    options = ("--lr", "3e-2", "--max-epochs", "5", "--batch-size", "16")
    line = ("train", "--config", config)
    assert mase(tmp_path, *line, *options, "--project", "p") == 0
    losses = columns(tmp_path / "p")["val_loss"]
    assert losses[-1] < 0.9 * losses[0]
    best = tmp_path / "p/software/training_ckpts/best.ckpt"
    held = torch.load(best, weights_only=True)
    (tmp_path / "held.mlir").write_text(held["mase_ir"])
    ir = str(mo.load(tmp_path / "held.mlir").ir)
    found = set(re.findall(r"-> tensor<\d+x\d+x!mase\.fixed<(\d), ", ir))
    assert {"4", "6"} <= found, ir
    config.write_text(text + "".join(tables).replace("linear2", "linear4"))
    said = mistake(capsys, tmp_path, *line)
    assert "model 'toy-manual' has no formats for linear2: say them in" in said


BAD_ARGUMENTS = (
    ("gpt2", text(LM), {"n_layr": 1}, "no argument 'n_layr'; did you mean 'n_layer'"),
    ("gpt2", CIFAR, {}, "is for language_modeling, and the data for classification"),
    ("resnet18", CIFAR, {"depht": 3}, "unexpected keyword argument 'depht'"),
    ("resnet18", DatasetInfo((16,), 5), {}, "takes images of at least 32x32"),
    ("cswin_64_tiny", DatasetInfo((3, 40, 40), 5), {}, "squares whose side 32 divides"),
    ("toy", DatasetInfo((4,)), {}, "the data has none"),
)


@pytest.mark.parametrize(("name", "info", "options", "message"), BAD_ARGUMENTS)
def test_arguments_that_do_not_fit(
    name: str, info: DatasetInfo, options: Any, message: str
) -> None:
    if any(find_spec(package) is None for package in needed(name)):
        message = "needs"
    with pytest.raises(UserError, match=message):
        find_model(name)(info, arguments=options)


# Weights that others have trained.


@pytest.mark.skipif(find_spec("timm") is None, reason="needs the extra 'models'")
@pytest.mark.parametrize("name", ["resnet18", "facebook/opt-125m@patched", "pvt"])
def test_k2_pretrained_without_network(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing listens at the hub's address: said at once, with what would work."""
    import huggingface_hub.constants as hub

    monkeypatch.setattr(hub, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    info = text(LM) if "opt" in name else IMAGENET
    wanted = r"127\.0\.0\.1:9 is out of reach, and the cache .* does not have it; a fo"
    with pytest.raises(UserError, match=wanted):
        find_model(name)(info, pretrained=True)
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="switched off by HF_HUB_OFFLINE"):
        find_model(name)(info, pretrained=True)


def saved(folder: Path, kind: str, tokens: list[str], **options: Any) -> Any:
    """A small model of transformers with its tokenizer, as `save_pretrained` writes."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *tokens]
    held = Tokenizer(models.WordLevel({t: i for i, t in enumerate(known)}, "[UNK]"))
    held.pre_tokenizer = pre_tokenizers.Whitespace()
    library: Any = transformers
    library.PreTrainedTokenizerFast(
        tokenizer_object=held, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(folder)
    config = library.AutoConfig.for_model(kind, vocab_size=len(known), **options)
    made = library.AutoModelForCausalLM if kind == "opt" else library.AutoModel
    model = made.from_config(config)
    model.save_pretrained(folder)
    return model.eval()


@pytest.mark.skipif(
    find_spec("transformers") is None, reason="needs the extra 'models'"
)
def test_k1_k3_patched_model_has_the_weights_of_its_folder(
    tmp_path: Path, capsys: Any
) -> None:
    """The same logits as those of the model that was saved."""
    model = saved(tmp_path / "opt", "opt", ["cat"], **OPT)
    from mase_opt.training.checkpoints import load_subject
    from mase_opt.training.config import Config

    config = Config(
        model="facebook/opt-125m@patched",
        task=LM,
        load_name=str(tmp_path / "opt"),
        load_type="hf",
        is_pretrained=True,
    )
    entry = find_model("facebook/opt-125m@patched")
    loaded: Any = load_subject(config, "test", entry, text(LM)).module.eval()
    tokens = torch.tensor([[1, 2, 3, 4]])
    with torch.no_grad():
        assert torch.equal(loaded(tokens).logits, model(tokens).logits)
    file = tmp_path / "opt/config.json"
    line = ("test", "toy", "iris", "--pretrained", "--load", file, "--load-type", "hf")
    assert "as hf: it is a file; hf is a folder" in mistake(capsys, tmp_path, *line)


REVIEWS = (
    ["a good film", "a bad film", "so good", "so bad", "good good", "bad bad"] * 4,
    [1, 0, 1, 0, 1, 0] * 4,
)


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("transformers") is None, reason="needs the extra 'models'"
)
def test_t29_d5_fine_tune_bert_on_a_corpus(tmp_path: Path) -> None:
    """From a folder, by its tokenizer; the head is new; all reviews become right."""
    words = ["a", "good", "bad", "film", "so"]
    folder = tmp_path / "tiny-bert-uncased"
    torch.manual_seed(0)
    model = saved(folder, "bert", words, **BERT)
    splits = training.corpus(
        ([review.upper() for review in REVIEWS[0]], REVIEWS[1]),
        REVIEWS,
        REVIEWS,
        tokenizer=str(folder),
        max_token_len=6,
    )
    # Small letters, as the model is `uncased`.
    assert splits.train[1]["input_ids"].tolist() == [4, 6, 7, 0, 0, 0]
    options: dict[str, Any] = {"project_dir": str(tmp_path), "num_workers": 0}
    outcome = training.train(
        "bert-base-uncased",
        splits,
        load_name=str(folder),
        training_optimizer="adamw",
        learning_rate=3e-3,
        batch_size=8,
        max_epochs=8,
        project="p",
        **options,
    )
    assert outcome.metrics["test_acc"] == 1
    assert outcome.path is not None
    held = torch.load(outcome.path, weights_only=True)["state_dict"]
    before = model.state_dict()["embeddings.word_embeddings.weight"]
    after = held["model.bert.embeddings.word_embeddings.weight"]
    assert 0 < float((after - before).abs().max()) < 0.1
    # Only training may start with a head at random.
    with pytest.raises(UserError, match=r"is without classifier\.bias, classifier"):
        training.test("bert-base-uncased", splits, load_name=str(folder), **options)


def test_d5_words_of_a_corpus() -> None:
    """Small letters, special tokens, and a limit on the vocabulary."""
    texts = (["A cat, a dog", "a Cat"], [0, 1])
    splits = training.corpus(texts, max_token_len=8)
    first = splits.train[0]
    assert first["input_ids"].tolist() == [2, 4, 5, 6, 4, 7, 3, 0]
    assert first["attention_mask"].tolist() == [1] * 7 + [0]
    assert splits.info is not None
    assert (splits.info.vocabulary, splits.info.num_classes) == (8, 2)
    options: dict[str, Any] = {"add_special_tokens": False, "limit_vocab": 2}
    splits = training.corpus(texts, max_token_len=8, lower=False, **options)
    # `a` and `A` are two words: only the two most frequent ones are known.
    assert splits.train[1]["input_ids"].tolist()[2:] == [0] * 6
    assert splits.info is not None
    assert splits.info.vocabulary == 6
    with pytest.raises(UserError, match="2 texts and 1 classes"):
        training.corpus((["a", "b"], [0]))


def test_d4_own_collation() -> None:
    """Batches as long as their longest text, by a function of the user's."""

    def longest(samples: Any) -> dict[str, Tensor]:
        length = max(int(s["attention_mask"].sum()) for s in samples)
        batch = torch.utils.data.default_collate(samples)
        return {k: v[:, :length] if v.ndim == 2 else v for k, v in batch.items()}

    splits = training.corpus(REVIEWS, REVIEWS, REVIEWS, collate=longest)
    data = training.MaseDataModule(splits, 4, num_workers=0)
    batch = next(iter(data.val_dataloader()))
    assert batch["input_ids"].shape == (4, 5)
    assert batch["labels"].tolist() == [1, 0, 1, 0]


class Lengths(nn.Module):
    """The mean of as many steps as a sequence has, and scores."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        kept = torch.arange(x.shape[1]) < lengths[:, None]
        return self.fc((x * kept[..., None]).sum(1) / lengths[:, None])


def test_t30_lengths_behind_the_labels(tmp_path: Path) -> None:
    """What lies behind the length of a sequence would spoil its mean."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 5, 2)).astype(np.float32)
    lengths = rng.integers(1, 5, 60)
    y = np.array([row[:n].mean() > 0 for row, n in zip(x, lengths, strict=True)])
    for row, n in zip(x, lengths, strict=True):
        row[n:] = 1e6
    parts = [torch.as_tensor(a) for a in (x, y.astype(np.int64), lengths)]
    held = torch.utils.data.TensorDataset(*parts)
    info = DatasetInfo((5, 2), 2)
    outcome = training.train(
        Lengths(),
        training.Splits(held, held, held, info=info),
        project_dir=str(tmp_path),
        num_workers=0,
        batch_size=10,
        learning_rate=0.1,
        max_epochs=8,
    )
    assert outcome.metrics["test_acc"] > 0.9


@pytest.mark.slow
def test_t30_autoencoder(tmp_path: Path) -> None:
    """Reconstruction of the samples: the loss is the squared error."""
    outcome = training.train(
        "deep-autoencoder",
        "iris",
        task="reconstruction",
        model_args={"hidden": 16, "narrow": 3},
        project_dir=str(tmp_path),
        learning_rate=1e-2,
        batch_size=16,
        max_epochs=8,
    )
    assert outcome.metrics["test_loss"] == pytest.approx(outcome.metrics["test_mse"])
    assert outcome.metrics["test_loss"] < 0.6
