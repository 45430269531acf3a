"""What numbers there are: ranges, moments and quantiles of tensors and channels."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.func import FuncOp
from xdsl.ir import BlockArgument, SSAValue

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.base import MaseOp
from mase_opt.dialects.mase.types import ElementType, element_of
from mase_opt.lib.analysis.calibration import channel_axis
from mase_opt.lib.analysis.observation import Inputs, observe_batches
from mase_opt.lib.analysis.quantization import layers, numbers, parameter
from mase_opt.lib.errors import UserError
from mase_opt.lib.interpreters.kernels.values import decode
from mase_opt.lib.model_function import argument_names, layer_of, layer_pattern
from mase_opt.lib.table import Cell, Column, Table

Array = NDArray[Any]
TENSORS = ("inputs", "parameters", "results")
"""What statistics can be of."""


def statistics(
    function: FuncOp,
    inputs: Inputs,
    *,
    tensors: Collection[str] = TENSORS,
    quantiles: Sequence[float] = (),
    absolute: bool = False,
    channels: bool = False,
    pattern: str | None = None,
) -> Table:
    """
    A row for each tensor, or for each channel of it, over all samples of `inputs`.

    Channels of parameters are along axis 0.

    `quantiles` are between 0 and 1, interpolated linearly; `absolute` takes magnitudes;
    `pattern` is a regular expression that paths of layers must fit. All numbers of
    results are held at once. Raises `UserError` for options that mean nothing.
    """
    for kind in tensors:
        if kind not in TENSORS:
            raise UserError(
                f"options: tensors has '{kind}', expected {', '.join(TENSORS)}"
            )
    for quantile in quantiles:
        if not 0 <= quantile <= 1:
            raise UserError(f"options: quantile {quantile} is not between 0 and 1")
    wanted = [*layers(function)]
    if pattern is not None:
        fits = layer_pattern(pattern, wanted)
        wanted = [op for op in wanted if fits.fullmatch(layer_of(op) or "")]
    found = _Found(function, wanted, tensors)
    found.run(inputs)
    rows = [
        (*names, *_measures(part, quantiles, absolute=absolute))
        for names, array, axis in found.tensors()
        for names, part in _parts(names, array, axis if channels else None)
    ]
    columns = [
        Column("layer"),
        Column("operation", fold=1),
        Column("tensor"),
        Column("channel"),
        Column("numbers", fold=1),
        *(Column(name, ".6g") for name in ("min", "max", "mean", "std")),
        *(Column(f"q{quantile:g}", ".6g") for quantile in quantiles),
    ]
    title = "Magnitudes" if absolute else "Statistics"
    return Table(title, columns, rows)


class _Found:
    """The tensors of a function, those that are computed once it has run."""

    def __init__(
        self, function: FuncOp, wanted: Sequence[MaseOp], tensors: Collection[str]
    ):
        self._function = function
        self._wanted = wanted
        self._kinds = tensors
        self._seen: dict[SSAValue, list[Array]] = {}
        if "inputs" in tensors:
            self._seen |= {argument: [] for argument in function.args}
        if "results" in tensors:
            self._seen |= {op.result: [] for op in wanted}
        self._seen = {value: [] for value in self._seen if _has_numbers(value)}

    def run(self, inputs: Inputs) -> None:
        """Look at what the function computes."""
        if self._seen:
            observe_batches(self._function, inputs, self._look, "statistics")

    def _look(self, value: SSAValue, array: Array) -> None:
        if value in self._seen:
            self._seen[value].append(decode(array, element_of(value)))

    def tensors(self) -> Iterator[tuple[tuple[str, str, str], Array, int | None]]:
        """What each is called, its numbers, and the axis of its channels."""
        names = argument_names(self._function)
        for value, parts in self._seen.items():
            if isinstance(value, BlockArgument):
                yield _computed((names[value.index], "", "input"), value, parts)
        for op in self._wanted:
            place = (layer_of(op) or "", op.name.removeprefix("mase."))
            for index, value in enumerate(op.operands):
                if "parameters" not in self._kinds or not _has_numbers(value):
                    continue
                if parameter(value) is not None:
                    yield (*place, op.operand_name(index)), numbers(value), 0
            if op.result in self._seen:
                result = (*place, "result")
                yield _computed(result, op.result, self._seen[op.result])


def _computed(
    names: tuple[str, str, str], value: SSAValue, parts: Sequence[Array]
) -> tuple[tuple[str, str, str], Array, int | None]:
    axis = channel_axis(value)
    return names, np.concatenate(parts), None if axis is None else axis + 1


def _has_numbers(value: SSAValue) -> bool:
    element = element_of(value)
    return is_float(element) or isinstance(element, ElementType)


def _parts(
    names: tuple[str, ...], array: Array, axis: int | None
) -> Iterator[tuple[tuple[Cell, ...], Array]]:
    """The tensor, or each of its channels."""
    if axis is None:
        yield (*names, None), array
        return
    for channel, part in enumerate(np.moveaxis(array, axis, 0)):
        yield (*names, channel), part


def _measures(
    array: Array, quantiles: Sequence[float], *, absolute: bool
) -> tuple[Cell, ...]:
    flat = array.astype(np.float64).reshape(-1)
    if absolute:
        flat = np.abs(flat)
    if not flat.size:
        return (0, *(None,) * (4 + len(quantiles)))
    found = [flat.min(), flat.max(), flat.mean(), flat.std()]
    found += [np.quantile(flat, quantile) for quantile in quantiles]
    return (flat.size, *map(float, found))
