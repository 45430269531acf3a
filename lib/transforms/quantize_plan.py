"""Which format each value gets: the decisions of `mase-quantize`, before it acts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import BlockArgument, Operation, SSAValue
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.attrs import RoundingAttr, is_float
from mase_opt.dialects.mase.base import MaseOp, SameElementOp
from mase_opt.dialects.mase.elementwise import CastOp, Relu6Op, ReluOp
from mase_opt.dialects.mase.layers import EmbeddingOp
from mase_opt.dialects.mase.pooling import AdaptiveMaxPoolOp, MaxPoolOp, ReduceOp
from mase_opt.dialects.mase.shape import ConcatOp, ConstantOp, PadOp
from mase_opt.dialects.mase.types import ElementType, element_of
from mase_opt.lib.analysis.calibration import calibration_of
from mase_opt.lib.analysis.model import describe
from mase_opt.lib.analysis.sign import non_negative
from mase_opt.lib.formats import (
    Fixed,
    FormatError,
    FormatSpec,
    Method,
    Overflow,
    RoundingMode,
    choose_fraction,
)
from mase_opt.lib.formats.choose import fitting_width
from mase_opt.lib.transforms.quantize_config import LayerConfig

Values = NDArray[np.float64]
Range = tuple[float, float]
EVERYTHING: Range = (-inf, inf)
MASK = -1e30
MASK_DEPTH = 16


@dataclass(frozen=True)
class Defaults:
    """What holds where a layer's settings are silent."""

    data: FormatSpec
    weight: FormatSpec
    bias: FormatSpec
    method: Method
    percentile: float
    rounding: RoundingMode
    overflow: Overflow

    def rounding_of(self, config: LayerConfig) -> RoundingAttr:
        return RoundingAttr(
            (config.rounding or self.rounding, config.overflow or self.overflow)
        )

    def resolve(
        self,
        spec: FormatSpec,
        values: Values,
        rounding: RoundingAttr,
        *,
        unsigned: bool,
        method: Method | None = None,
        limit: int | None = None,
    ) -> Fixed:
        """
        The format that `spec` becomes for `values`.

        `unsigned` decides where the sign is open; `method` replaces the usual one;
        `limit` is the most fraction bits to choose.
        Raises `FormatError` where no width is enough.
        """
        signed = not unsigned if spec.signed is None else spec.signed
        width, frac = spec.width, spec.frac
        if width is None:
            assert frac is not None
            width = fitting_width(values, frac, signed)
        if frac is None:
            frac = choose_fraction(
                values,
                width,
                signed=signed,
                method=method or self.method,
                percentile=self.percentile,
                rounding=rounding.mode,
                overflow=rounding.overflow,
                limit=limit,
            )
        return Fixed(width, frac, signed)


def without_masks(values: Values) -> Values:
    """
    `values`, with those that can only be masks brought near to the others.

    Attention masks are about -1e38, so that exp gives 0; `MASK_DEPTH` below the other
    values, it gives next to 0, and the format has bits left for them.
    """
    masks = values < MASK
    if masks.all() or not masks.any():
        return values
    return np.maximum(values, values[~masks].min() - MASK_DEPTH)


def keeps_format(op: Operation) -> bool:
    """Whether the numbers in the result of `op` are numbers of its operand."""
    return isinstance(
        op, SameElementOp | MaxPoolOp | AdaptiveMaxPoolOp | ReluOp | Relu6Op
    ) or (isinstance(op, ReduceOp) and op.kind.data in ("max", "min"))


def is_boundary(op: Operation) -> bool:
    """Whether `op` is a cast from or to a number format: explicit, so it stays."""
    return isinstance(op, CastOp) and any(
        isinstance(element_of(v), ElementType) for v in (op.input, op.result)
    )


def float_operands(op: Operation) -> Iterator[tuple[int, SSAValue]]:
    """The floating-point operands of `op` with their positions."""
    for index, value in enumerate(op.operands):
        if is_float(element_of(value)):
            yield index, value


def role_of(op: Operation, value: SSAValue) -> str:
    """Which setting of `op` is for its operand: `data_in`, `weight` or `bias`."""
    for role in ("weight", "bias"):
        if getattr(op, role, None) is value:
            return role
    return "weight" if isinstance(value.owner, ConstantOp) else "data_in"


def concerned(op: Operation) -> bool:
    """Whether `op` is an op that computes in floating point."""
    return (
        isinstance(op, MaseOp)
        and not isinstance(op, ConstantOp)
        and not is_boundary(op)
        and (is_float(element_of(op.result)) or any(True for _ in float_operands(op)))
    )


class Plan:
    """
    The formats of all values that `mase-quantize` changes.

    Made before anything changes; `configs` holds the settings of the ops that compute
    in floating point. Raises `PassFailedException` where a format cannot be had.
    """

    arguments: dict[int, Fixed]
    """By position."""
    results: dict[Operation, Fixed]
    """Results whose format does not follow from an operand."""
    operands: dict[tuple[Operation, int], Fixed]
    """Operands that must have a format of their own; others take what there is."""

    def __init__(
        self,
        function: FuncOp,
        configs: Mapping[Operation, LayerConfig],
        default: LayerConfig,
        defaults: Defaults,
    ):
        self.configs = configs
        self.default = default
        self.defaults = defaults
        quantiles = [(a, calibration_of(a)) for a in function.args]
        self.non_negative = non_negative(
            function, [a for a, q in quantiles if q is not None and q[0] >= 0]
        )
        self.arguments = {
            a.index: self._value(a, default)
            for a in function.args
            if is_float(element_of(a)) and self._argument_changes(a)
        }
        self.results, self.operands = {}, {}
        for op, config in configs.items():
            if not config.bypass:
                self._add(op, config)

    def active(self, op: Operation) -> bool:
        """Whether `op` will compute in number formats."""
        return op in self.configs and not self.configs[op].bypass

    def _argument_changes(self, argument: BlockArgument) -> bool:
        users = [use.operation for use in argument.uses]
        return not users or any(
            self.active(op) or isinstance(op, ReturnOp) for op in users
        )

    def _add(self, op: Operation, config: LayerConfig) -> None:
        assert isinstance(op, MaseOp)
        if is_float(element_of(op.result)) and not self._follows(op, config):
            self.results[op] = self._value(op.result, config)
        for index, value in float_operands(op):
            if isinstance(op, ConcatOp):
                self.operands[op, index] = self.results[op]
            elif isinstance(value.owner, ConstantOp):
                continue
            elif spec := self._wanted(op, index):
                self.operands[op, index] = self._resolve(value, spec, config)
            elif not self._changes(value):
                # What a layer in floating point gives.
                spec = FormatSpec(None, self._width(config))
                self.operands[op, index] = self._resolve(value, spec, config)

    def _changes(self, value: SSAValue) -> bool:
        if isinstance(value, BlockArgument):
            return value.index in self.arguments
        assert isinstance(value.owner, Operation)
        return self.active(value.owner)

    @staticmethod
    def _follows(op: MaseOp, config: LayerConfig) -> bool:
        """Whether the result's format is that of the first operand, narrowed."""
        if isinstance(op, ConcatOp):
            return False
        if isinstance(op, SameElementOp):
            return True
        return config.data_out is None and (
            keeps_format(op) or isinstance(op, EmbeddingOp)
        )

    def _wanted(self, op: Operation, index: int) -> FormatSpec | None:
        """The format that the settings of `op` ask for an operand."""
        return getattr(self.configs[op], role_of(op, op.operands[index]))

    def _value(self, value: SSAValue, config: LayerConfig) -> Fixed:
        """The format in which `value` is produced, by a layer with `config`."""
        spec = config.data_out
        if spec is None or isinstance(value, BlockArgument):
            asked = set(self._consumers(value))
            spec = asked.pop() if len(asked) == 1 else None
        spec = spec or FormatSpec(None, self._width(config))
        low, high = self._distinguished(value)
        return self._resolve(value, spec, config, low, high)

    def _width(self, config: LayerConfig) -> int | None:
        """The width of data without a setting: that of the layer's own, if any."""
        own = config.data_in
        return (
            self.defaults.data.width if own is None or own.width is None else own.width
        )

    def _consumers(self, value: SSAValue) -> Iterator[FormatSpec | None]:
        """The formats that the uses of `value` ask for."""
        for use in value.uses:
            op = use.operation
            spec = self._wanted(op, use.index) if self.active(op) else None
            if spec is None and self.active(op) and isinstance(op, SameElementOp):
                yield from self._consumers(op.result)
            else:
                yield spec

    def _distinguished(self, value: SSAValue) -> Range:
        """The range outside of which no use of `value` can tell numbers apart."""
        ranges = [self._range_of_use(use.operation) for use in value.uses]
        if not ranges:
            return EVERYTHING
        return min(low for low, _ in ranges), max(high for _, high in ranges)

    def _range_of_use(self, op: Operation) -> Range:
        if not self.active(op):
            return EVERYTHING
        match op:
            case ReluOp():
                return (0, inf)
            case Relu6Op():
                return (0, 6)
            case ConcatOp() | PadOp():
                return EVERYTHING
            case MaseOp() if keeps_format(op):
                return self._distinguished(op.result)
            case _:
                return EVERYTHING

    def _resolve(
        self,
        value: SSAValue,
        spec: FormatSpec,
        config: LayerConfig,
        low: float = -inf,
        high: float = inf,
    ) -> Fixed:
        quantiles = calibration_of(value)
        assert quantiles is not None, f"{describe(value)} is not calibrated"
        quantiles = without_masks(quantiles)
        rounding = self.defaults.rounding_of(config)
        if rounding.overflow is not Overflow.SATURATE:
            low, high = EVERYTHING
        # Saturation at zero does what a relu would.
        unsigned = value in self.non_negative or low >= 0
        try:
            return self.defaults.resolve(
                spec, np.clip(quantiles, low, high), rounding, unsigned=unsigned
            )
        except FormatError as error:
            raise PassFailedException(f"{describe(value)}: {error}") from error
