"""Zeros among the weights: by magnitude or at random, single ones or in groups."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from mase_opt.dialects.mase.base import show
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of
from mase_opt.lib.analysis.calibration import strip
from mase_opt.lib.analysis.weights import Weight, find_weights
from mase_opt.lib.model_function import layer_of, model_function
from mase_opt.lib.pruning import Mask, Scores, all_but_highest, lowest
from mase_opt.lib.suggest import did_you_mean
from mase_opt.lib.table import Column, Table, check_format

Array = NDArray[Any]
N_OF_M = re.compile(r"(\d+):(\d+)")
CHOICES = {
    "scope": ("local", "global"),
    "method": ("magnitude", "random"),
    "norm": ("l2", "l1"),
}


@dataclass(frozen=True)
class MasePrunePass(ModulePass):
    """
    Set the least important weights to zero.

    Weights are the floating-point constants that `linear`, convolutions, `matmul` and
    `embedding` multiply or look up; biases and norms stay. Exactly the share
    `sparsity` becomes zero, weights that are zero already included; of equal ones the
    first. A pattern `N:M` leaves at most N of each M consecutive weights that one
    output sums (in a row of a `linear`, in a whole filter of a convolution), and of a
    shorter rest at most N. A `channel` is all weights of one output. Embeddings sum
    nothing: they have neither. How many zeros there are is reported per weight.

    Zeros survive `mase-quantize` in every format that has a zero. Calibrations are
    removed, since they are of other weights.

    ```mlir
    %w = mase.constant <f32, [0.5, -0.1, 2.0, 0.3]> : tensor<1x4xf32>
    ```
    becomes
    ```mlir
    %w = mase.constant <f32, [0.5, 0.0, 2.0, 0.0]> : tensor<1x4xf32>
    ```
    """

    name = "mase-prune"

    sparsity: float | None = None
    """The share of weights or channels that become zero (0.5); N:M says it itself."""
    granularity: str = "element"
    """What becomes zero together: `element`, `channel`, or a pattern such as `2:4`."""
    scope: str = "local"
    """Whether the share is of each weight tensor (local) or of all (global)."""
    method: str = "magnitude"
    """Which ones: the smallest (magnitude), or chance decides (random)."""
    norm: str = "l2"
    """Magnitude of a channel: root mean square (l2) or mean absolute value (l1)."""
    layers: str | None = None
    """A regular expression for the paths of layers that are pruned (all)."""
    seed: int = 0
    """For method=random."""
    format: str = "table"
    """Of the report: table, csv or json."""
    output: str | None = None
    """A file for the report (standard error)."""

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                raise ValueError(
                    f"{name} is '{value}', expected {' or '.join(choices)}"
                    f"{did_you_mean(value, choices)}"
                )
        check_format(self.format)
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, expected at least 0")
        if self.sparsity is not None and not 0 <= self.sparsity <= 1:
            raise ValueError(f"sparsity is {self.sparsity}, expected 0 to 1")
        if self.granularity in ("element", "channel"):
            return
        pattern = N_OF_M.fullmatch(self.granularity)
        if pattern is None or not int(pattern[1]) <= int(pattern[2]) != 0:
            raise ValueError(
                f"granularity is '{self.granularity}', expected element, channel, or "
                "N:M with N of at most M, such as 2:4"
            )
        for name, given in (
            ("sparsity", self.sparsity is not None),
            ("scope", self.scope == "global"),
        ):
            if given:
                raise ValueError(
                    f"{name} has no meaning for the pattern {self.granularity}, which "
                    "is of each group: leave it out"
                )

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        function = model_function(op)
        weights = find_weights(
            function, self.layers, by_output=self.granularity != "element"
        )
        for weight, mask in zip(weights, self._masks(weights), strict=True):
            prune(weight, mask)
        strip(function)
        report(weights).write(self.format, self.output)

    def _masks(self, weights: Sequence[Weight]) -> list[Mask]:
        """What of each weight becomes zero."""
        random = np.random.default_rng(self.seed)

        def scores(array: Array) -> Scores:
            if self.method == "random":
                return random.random(array.shape, np.float32)
            return np.abs(array)

        if pattern := N_OF_M.fullmatch(self.granularity):
            keep, group = int(pattern[1]), int(pattern[2])
            return [
                w.in_place(all_but_highest(scores(w.rows()), keep, group))
                for w in weights
            ]
        if self.granularity == "channel":
            channels = [scores(w.channel_norms(self.norm)) for w in weights]
            masks = self._lowest(channels)
            return [
                w.in_place(mask[:, None])
                for w, mask in zip(weights, masks, strict=True)
            ]
        return self._lowest([scores(w.array) for w in weights])

    def _lowest(self, scores: Sequence[Scores]) -> list[Mask]:
        """The share of `scores` that `sparsity` and `scope` say."""
        share = 0.5 if self.sparsity is None else self.sparsity
        if self.scope == "global":
            return lowest(scores, round(share * sum(s.size for s in scores)))
        return [lowest([s], round(share * s.size))[0] for s in scores]


def prune(weight: Weight, mask: Mask) -> None:
    """Set what `mask` marks to zero, for the layers in `weight.uses`."""
    old = weight.constant
    values = weight.array.copy()
    values[mask] = 0
    new = ConstantOp.of(values, element_of(old.result), old.value.label)
    new.result.name_hint = old.result.name_hint
    Rewriter.insert_op(new, InsertPoint.after(old))
    for op, index in weight.uses:
        op.operands[index] = new.result
    if not old.result.uses:
        Rewriter.erase_op(old)
    weight.constant = new


def report(weights: Sequence[Weight]) -> Table:
    """How many zeros each weight holds, and all of them."""
    rows: list[tuple[str, str, str, str, int, int, float | None]] = []
    for weight in weights:
        ops = [op for op, _ in weight.uses]
        array = weight.array
        zeros = array.size - int(np.count_nonzero(array))
        rows.append(
            (
                ", ".join(dict.fromkeys(layer_of(op) or "" for op in ops)),
                ", ".join(dict.fromkeys(op.name.removeprefix("mase.") for op in ops)),
                weight.constant.value.label,
                show(array.shape),
                array.size,
                zeros,
                _share(zeros, array.size),
            )
        )
    size, zeros = sum(row[4] for row in rows), sum(row[5] for row in rows)
    return Table(
        "Zeros among the weights",
        (
            Column("layer"),
            Column("operation"),
            Column("weight"),
            Column("shape"),
            Column("size"),
            Column("zeros"),
            Column("sparsity", ".2%"),
        ),
        rows,
        ("total", None, None, None, size, zeros, _share(zeros, size)),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
