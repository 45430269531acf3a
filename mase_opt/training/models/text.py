"""Published language models, of transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean
from mase_opt.training.hub import from_hub
from mase_opt.training.registry import DatasetInfo, Task, model

if TYPE_CHECKING:
    from torch import nn

AUTO_CLASSES: Mapping[tuple[str, str], str] = {
    ("nlp", "classification"): "AutoModelForSequenceClassification",
    ("nlp", "language_modeling"): "AutoModelForCausalLM",
    ("nlp", "translation"): "AutoModelForSeq2SeqLM",
    ("vision", "classification"): "AutoModelForImageClassification",
}
"""What transformers calls a model for a family and task."""

LM: Sequence[Task] = ("language_modeling",)
OPT_350M = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "ffn_dim": 4096,
    "word_embed_proj_dim": 512,
    "do_layer_norm_before": False,
}
NEO_125M = {
    "hidden_size": 768,
    "num_layers": 12,
    "num_heads": 12,
    "attention_types": [[["global", "local"], 6]],
}
ROBERTA = {"max_position_embeddings": 514, "type_vocab_size": 1}
PUBLISHED: Sequence[tuple[str, str, Sequence[Task], Mapping[str, Any], str]] = (
    ("bert-base-uncased", "bert", ("classification", *LM), {}, "BERT"),
    ("roberta-base", "roberta", ("classification",), ROBERTA, "RoBERTa"),
    ("gpt2", "gpt2", LM, {}, "GPT-2"),
    ("EleutherAI/gpt-neo-125m", "gpt_neo", LM, NEO_125M, "GPT-Neo"),
    ("facebook/opt-125m", "opt", LM, {}, "OPT"),
    ("facebook/opt-125m@patched", "opt", LM, {}, "OPT, which needs no patch here"),
    ("facebook/opt-350m", "opt", LM, OPT_350M, "OPT of 24 layers"),
    ("facebook/opt-350m@patched", "opt", LM, OPT_350M, "The same, no patch"),
    (
        "t5-small",
        "t5",
        ("translation",),
        {"decoder_start_token_id": 0},
        "T5, small",
    ),
)
"""Names, kinds, tasks, how they differ from what their kind has, summaries."""


def transformer(
    name: str,
    made_by: str,
    pretrained: bool,
    config: Mapping[str, Any],
    options: Mapping[str, Any],
) -> nn.Module:
    """
    A model of transformers with random weights, or the published ones of `name`.

    `config` is its configuration where it is not its kind's default, `options` are the
    user's. Raises `UserError` for those that its kind does not have.
    """
    import transformers

    library: Any = transformers
    made = getattr(library, made_by)
    usual = library.AutoConfig.for_model(**config)
    for key in options:
        if not hasattr(usual, key):
            raise UserError(
                f"model '{name}' has no argument '{key}'"
                f"{did_you_mean(key, usual.to_dict())}"
            )
    if not pretrained:
        return made.from_config(library.AutoConfig.for_model(**{**config, **options}))
    given = dict(options)
    if "num_labels" in config:
        given.setdefault("num_labels", config["num_labels"])
    with from_hub(f"pretrained weights of '{name}'"):
        return made.from_pretrained(name, ignore_mismatched_sizes=True, **given)


def _published(
    name: str,
    kind: str,
    tasks: Sequence[Task],
    differs: Mapping[str, Any],
    summary: str,
) -> None:
    def build(info: DatasetInfo, pretrained: bool = False, **options: Any) -> nn.Module:
        task = info.task
        if task not in tasks:
            raise UserError(
                f"model '{name}' is for {', '.join(tasks)}, and the data for {task}"
            )
        config: dict[str, Any] = {"model_type": kind, **differs}
        if info.vocabulary is not None:
            config["vocab_size"] = info.vocabulary
        if task == "classification":
            config["num_labels"] = info.num_classes
        else:
            # What a cache would keep is nothing that a circuit computes.
            config["use_cache"] = False
            config["is_decoder"] = kind == "bert"
        origin = name.removesuffix("@patched")
        made_by = AUTO_CLASSES["nlp", task]
        return transformer(origin, made_by, pretrained, config, options)

    build.__doc__ = f"{summary} (transformers)."
    model(name, family="nlp", tasks=tasks, needs=("transformers",))(build)


for _row in PUBLISHED:
    _published(*_row)
