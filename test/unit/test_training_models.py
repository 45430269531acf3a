"""Models by name: each is built without network, imports, and has the right size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch
import zoo
from torch import Tensor

import mase_opt as mo
from mase_opt.frontend.to_torch import MaseModule
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
