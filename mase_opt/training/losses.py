"""Losses by name: functions of a result, its target and a discriminator's scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, l1_loss, mse_loss

from mase_opt.frontend.load_model import python_module
from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean

LOSSES = "loss.py"
"""The file beside an architecture with losses of its own."""
Terms = Mapping[str, Tensor]
Loss = Callable[[Tensor, Tensor, Tensor | None], Terms]
"""
`(result, target, scores)` to terms by name, whose weighted sum is made small.

`scores` are the discriminator's of `result`; None without one.
"""


def adversarial_loss(scores: Tensor, *, real: bool) -> Tensor:
    """The binary cross entropy of scores between 0 and 1, where 1 says real."""
    if bool(((scores < 0) | (scores > 1)).any()):
        raise UserError(
            "the discriminator's results are not between 0 and 1: end it with Sigmoid"
        )
    wanted = torch.ones_like(scores) if real else torch.zeros_like(scores)
    return binary_cross_entropy(scores, wanted)


def calculate_recon_loss(
    pred: Tensor, target: Tensor, kind: Literal["l1", "l2"] = "l1"
) -> Tensor:
    """The mean of absolute or squared differences."""
    return l1_loss(pred, target) if kind == "l1" else mse_loss(pred, target)


def example_loss(result: Tensor, target: Tensor, scores: Tensor | None) -> Terms:
    """How far the discriminator is from taking `result` for real."""
    if scores is None:
        raise UserError(
            "loss 'example_loss' needs a discriminator: reconstruction_loss"
        )
    return {"target_adv": adversarial_loss(scores, real=True)}


def reconstruction_loss(result: Tensor, target: Tensor, scores: Tensor | None) -> Terms:
    """How far `result` is from `target`, and from being taken for real."""
    terms = {
        "target_l1": calculate_recon_loss(result, target, "l1"),
        "target_l2": calculate_recon_loss(result, target, "l2"),
    }
    if scores is not None:
        terms["target_adv"] = adversarial_loss(scores, real=True)
    return terms


_KNOWN: Mapping[str, Loss] = {
    "example_loss": example_loss,
    "reconstruction_loss": reconstruction_loss,
}


def find_loss(name: str, folder: Path) -> Loss:
    """The loss `name`: of `loss.py` in `folder`, here, or `file.py:name`."""
    place, _, attribute = name.rpartition(":")
    path = Path(place) if place else folder / LOSSES
    own: Mapping[str, Any] = {}
    if place or path.is_file():
        own = {k: v for k, v in vars(python_module(str(path))).items() if callable(v)}
    found = own.get(attribute, None if place else _KNOWN.get(attribute))
    if found is None:
        near = did_you_mean(attribute, [*own, *_KNOWN])
        raise UserError(
            f"loss.loss_fn: '{name}' is neither in {path} nor one of "
            f"{', '.join(_KNOWN)}{near}"
        )
    return cast(Loss, found)


def weighted(terms: Terms, weights: Mapping[str, float]) -> Tensor:
    """The sum of terms by their weights, 1 if not given; weight 0 leaves one out."""
    for name in weights:
        if name not in terms:
            near = did_you_mean(name, terms)
            raise UserError(
                f"loss.loss_args.{name}: the loss has no such term{near} (terms: "
                f"{', '.join(terms)})"
            )
    kept = [
        terms[name] * weights.get(name, 1.0)
        for name in terms
        if weights.get(name, 1.0) != 0
    ]
    if not kept:
        raise UserError("loss.loss_args: all weights are 0: nothing is left to learn")
    return torch.stack(kept).sum()
