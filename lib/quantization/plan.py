"""Which format each value gets: the decisions of `mase-quantize`, before it acts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from math import inf
from typing import Any, TypeGuard

import numpy as np
from xdsl.dialects.func import ReturnOp
from xdsl.ir import BlockArgument, Operation, SSAValue
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.base import EVERYTHING, Interval, MaseOp, SameElementOp
from mase_opt.dialects.mase.elementwise import DivOp, Relu6Op, ReluOp
from mase_opt.dialects.mase.layers import (
    ContractionOp,
    ConvOp,
    ConvTranspose2dOp,
    LinearOp,
)
from mase_opt.dialects.mase.shape import ConcatOp, ConstantOp
from mase_opt.dialects.mase.types import ElementType, element_of
from mase_opt.lib.analysis.compared import is_only_compared
from mase_opt.lib.analysis.exact_range import narrowest, range_of
from mase_opt.lib.formats import (
    Binary,
    Block,
    Fixed,
    Format,
    FormatError,
    Method,
    Overflow,
    Spec,
)
from mase_opt.lib.formats.catalog import element_format
from mase_opt.lib.model_function import describe
from mase_opt.lib.quantization.config import LayerConfig
from mase_opt.lib.quantization.defaults import Defaults
from mase_opt.lib.quantization.formats import (
    for_operand,
    for_result,
    for_results,
    per_tensor,
)
from mase_opt.lib.quantization.masks import Floors
from mase_opt.lib.quantization.subject import Subject

AnyFormat = Format[Any]


class Plan:
    """
    The formats of all values that `mase-quantize` changes.

    Made before anything changes; `configs` holds the settings of the ops that compute
    in floating point. Raises `PassFailedException` where a format cannot be had.
    """

    arguments: dict[int, AnyFormat]
    """By position."""
    results: dict[Operation, AnyFormat]
    casts: dict[Operation, AnyFormat]
    """Of results that are cast once more, for all uses."""
    operands: dict[tuple[Operation, int], AnyFormat]
    """Constants, and operands that must have a format of their own."""
    exact: set[Operation]
    """Those whose results are not rounded, if a format has all that they can be."""
    returned: dict[int, AnyFormat]
    """Constants among the results of the function, by position."""
    accumulators: dict[Operation, Fixed]

    def __init__(
        self,
        subject: Subject,
        configs: Mapping[Operation, LayerConfig],
        default: LayerConfig,
        defaults: Defaults,
    ):
        self.subject = subject
        self.configs = configs
        self.default = default
        self.defaults = defaults
        self.floors = Floors(
            self.active, lambda op: self._value(op.result, self.configs[op])
        )
        self.non_negative = subject.non_negative
        self.arguments = {
            a.index: self._value(a, default)
            for a in subject.arguments
            if self._argument_changes(a)
        }
        self.results, self.casts, self.operands = {}, {}, {}
        self.returned, self.accumulators = {}, {}
        self.exact = set()
        for op, config in configs.items():
            if not config.bypass:
                self._add(op, config)
        for index, value in subject.returned:
            if isinstance(value.owner, ConstantOp):
                spec = for_results(defaults.data)
                self.returned[index] = self._constant(value, spec, default, "result")

    def active(self, op: Operation) -> TypeGuard[MaseOp]:
        """Whether `op` will compute in number formats."""
        return op in self.configs and not self.configs[op].bypass

    def _argument_changes(self, argument: BlockArgument) -> bool:
        users = [use.operation for use in argument.uses]
        return not users or any(
            self.active(op) or isinstance(op, ReturnOp) for op in users
        )

    def _may_be_exact(self, op: Operation) -> bool:
        return self.active(op) and self.configs[op].data_out is None

    # ---- one op -------------------------------------------------------------------

    def _add(self, op: Operation, config: LayerConfig) -> None:
        assert isinstance(op, MaseOp)
        if isinstance(op, ConcatOp):
            self._add_concat(op)
            return
        operands = self.subject.operands[op]
        # The format of a bias depends on the others.
        for index, value, _ in sorted(operands, key=lambda o: o.role == "bias"):
            if (format := self._wanted_format(op, index, value)) is not None:
                self.operands[op, index] = format
        if is_float(element_of(op.result)):
            self._add_result(op, config)
            if self._may_be_exact(op) and is_only_compared(
                op.result, self._may_be_exact
            ):
                self.exact.add(op)
        self._add_accumulator(op, config)

    def _add_concat(self, op: ConcatOp) -> AnyFormat:
        """All parts get the format of the result."""
        if op not in self.results:
            self._add_result(op, self.configs[op])
            for index, _, _ in self.subject.operands[op]:
                self.operands[op, index] = self.results[op]
        return self.results[op]

    def _add_result(self, op: MaseOp, config: LayerConfig) -> None:
        if self._follows(op, config):
            format = self._format(op, 0)
            if isinstance(op, SameElementOp) and format.positional:
                # Elements in blocks cannot go elsewhere: they are cast before that.
                if config.data_in is not None:
                    raise PassFailedException(
                        f"{describe(op.result)} moves elements, which cannot be in "
                        f"{format}; leave data_in out"
                    )
                format = self._resolve(op.result, for_results(format), config)
                self.results[op] = self.operands[op, 0] = format
                return
            if isinstance(op, SameElementOp) or format.for_results:
                self.results[op] = _narrowed(op, format)
                return
        format = self._value(op.result, config)
        if not format.for_results and (
            isinstance(op, ConcatOp) or not isinstance(format, Block)
        ):
            # Signs are no results of sums, nor are blocks put together.
            self.casts[op] = format
            format = self._resolve(op.result, for_results(format), config)
        self.results[op] = format

    def _wanted_format(
        self, op: MaseOp, index: int, value: SSAValue
    ) -> AnyFormat | None:
        """The format that an operand must have; None if it may have any."""
        config = self.configs[op]
        if isinstance(value.owner, ConstantOp):
            return self._constant_operand(op, index, value)
        spec = self._wanted(op, index)
        if spec is None and not self._changes(value):
            # What a layer in floating point gives.
            spec = self.defaults.result_of(config)
        if spec is None:
            return None
        floor = self.floors.of_operand(op, index)
        format = self._resolve(value, spec, config, floor=floor, user=op)
        if element_format(format) == Binary() and value in self.non_negative:
            warnings.warn(
                f"{describe(op.result)}: {describe(value)} is never negative, so as "
                f"{format} all of it is the same",
                stacklevel=2,
            )
        return format

    def _changes(self, value: SSAValue) -> bool:
        if isinstance(value, BlockArgument):
            return value.index in self.arguments
        assert isinstance(value.owner, Operation)
        return self.active(value.owner)

    def _format(self, op: Operation, index: int) -> AnyFormat:
        """The format of an operand of `op`, once it is planned."""
        if (format := self.operands.get((op, index))) is not None:
            return format
        value = op.operands[index]
        if isinstance(element := element_of(value), ElementType):
            return element.format
        if isinstance(value, BlockArgument):
            return self.arguments[value.index]
        assert isinstance(value.owner, Operation)
        return self.casts.get(value.owner) or self.results[value.owner]

    @staticmethod
    def _follows(op: MaseOp, config: LayerConfig) -> bool:
        """Whether the result's format is that of the first operand, narrowed."""
        if isinstance(op, ConcatOp):
            return False
        if isinstance(op, SameElementOp):
            return True
        return config.data_out is None and op.keeps_format

    def _wanted(self, op: MaseOp, index: int) -> Spec | None:
        """The format that settings ask for an operand."""
        value = op.operands[index]
        role = self.subject.roles[op, index]
        spec: Spec | None = getattr(self.configs[op], role)
        if getattr(op, "mask", None) is value:
            return None
        if spec is None and index in op.FACTORS:
            default = self.defaults.weight if role == "weight" else self.defaults.data
            spec = None if default.for_results else per_tensor(default)
        return None if spec is None else for_operand(spec, op, index)

    # ---- data ---------------------------------------------------------------------

    def _value(self, value: SSAValue, config: LayerConfig) -> AnyFormat:
        """The format in which `value` is produced, by a layer with `config`."""
        spec = config.data_out
        if spec is None or isinstance(value, BlockArgument):
            asked = set(self._consumers(value, isinstance(value, BlockArgument)))
            spec = asked.pop() if len(asked) == 1 else None
            if spec is None or not spec.for_results:
                spec = self.defaults.result_of(config)
        elif isinstance(value.owner, MaseOp):
            spec = for_result(spec, value.owner)
        low, high = self._distinguished(value)
        floor = self.floors.of(value)
        return self._resolve(value, spec, config, low, high, floor)

    def _consumers(self, value: SSAValue, is_argument: bool) -> Iterator[Spec | None]:
        """The formats that the uses of `value` ask for."""
        for use in value.uses:
            op = use.operation
            active = self.active(op)
            spec = self._wanted(op, use.index) if active else None
            if active and isinstance(op, ConcatOp) and not is_argument:
                # So that its parts are rounded once.
                yield self._add_concat(op)
            elif spec is None and active and isinstance(op, SameElementOp):
                yield from self._consumers(op.result, is_argument)
            else:
                yield spec

    def _distinguished(self, value: SSAValue) -> Interval:
        """The range outside of which no use of `value` can tell numbers apart."""
        ranges = [self._told_apart(use.operation) for use in value.uses]
        if not ranges:
            return EVERYTHING
        return min(low for low, _ in ranges), max(high for _, high in ranges)

    def _told_apart(self, op: Operation) -> Interval:
        if not self.active(op):
            return EVERYTHING
        return op.told_apart(lambda: self._distinguished(op.result))

    def _resolve(
        self,
        value: SSAValue,
        spec: Spec,
        config: LayerConfig,
        low: float = -inf,
        high: float = inf,
        floor: float = -inf,
        user: MaseOp | None = None,
    ) -> AnyFormat:
        """
        The format that `spec` becomes for what calibration saw of `value`.

        Numbers below `low` and above `high` need not be told apart, nor masks below
        `floor`; errors name `user`, if given.
        """
        rounding = self.defaults.rounding_of(config)
        if rounding.overflow is not Overflow.SATURATE:
            (low, high), floor = EVERYTHING, -inf
        # Saturation at zero does what a relu would.
        unsigned = value in self.non_negative or max(low, floor) >= 0
        try:
            return self.defaults.for_value(
                value,
                spec,
                rounding,
                low=low,
                high=high,
                floor=floor,
                unsigned=unsigned,
            )
        except FormatError as error:
            where = describe(value)
            if user is not None:
                where = f"{describe(user.result)}: data_in from {where}"
            raise PassFailedException(f"{where}: {error}") from error

    # ---- constants ----------------------------------------------------------------

    def _constant_operand(self, op: MaseOp, index: int, value: SSAValue) -> AnyFormat:
        config, defaults = self.configs[op], self.defaults
        role = self.subject.roles[op, index]
        if role == "bias":
            spec, limit = defaults.bias_of(config), self._product_frac(op)
            return self._constant(
                value, spec, config, role, method=Method.MINMAX, limit=limit, user=op
            )
        spec = None if getattr(op, "mask", None) is value else config.weight
        if spec is None:
            factor = index in op.FACTORS
            spec = defaults.weight if factor else for_results(defaults.weight)
            if op.compares_with_constant and (exact := range_of(value)):
                # A threshold that is rounded is another one, and no cheaper.
                spec = narrowest(exact) or spec
        spec = for_operand(spec, op, index)
        floor = self.floors.of_operand(op, index)
        return self._constant(value, spec, config, role, floor=floor, user=op)

    def _product_frac(self, op: MaseOp) -> int | None:
        """The fraction bits of the products that a bias is added to, if they have."""
        if not isinstance(op, LinearOp | ConvOp | ConvTranspose2dOp):
            return None
        factors = self._format(op, 0), self._format(op, 1)
        fracs = [format.frac for format in factors if isinstance(format, Fixed)]
        return sum(fracs) if len(fracs) == 2 else None

    def _constant(
        self,
        value: SSAValue,
        spec: Spec,
        config: LayerConfig,
        role: str,
        *,
        method: Method | None = None,
        limit: int | None = None,
        floor: float = -inf,
        user: MaseOp | None = None,
    ) -> AnyFormat:
        """The format of a constant, chosen for its own values, masks at `floor`."""
        constant = value.owner
        assert isinstance(constant, ConstantOp)
        rounding = self.defaults.rounding_of(config)
        if rounding.overflow is not Overflow.SATURATE:
            floor = -inf
        where = f"{describe(user.result)}: " if user is not None else ""
        if floor == -inf and bool((constant.array() == -np.inf).any()):
            raise PassFailedException(
                f"{where}{role} '{constant.value.label}' holds -inf, which has no "
                "code: it masks scores where only softmax or attention read them, and "
                "overflow is saturate; elsewhere use a finite number"
            )
        try:
            return self.defaults.for_constant(
                constant,
                spec,
                rounding,
                method=method,
                limit=limit,
                floor=floor,
                divisor=isinstance(user, DivOp) and value is user.rhs,
            )
        except FormatError as error:
            raise PassFailedException(
                f"{where}{role} '{constant.value.label}': {error}"
            ) from error

    # ---- accumulators -------------------------------------------------------------

    def _add_accumulator(self, op: MaseOp, config: LayerConfig) -> None:
        own = config.accumulator
        accumulator = own or self.defaults.accumulator
        if accumulator is None:
            return
        if isinstance(op, ContractionOp) and any(
            isinstance(self._format(op, index), Block) for index in (0, 1)
        ):
            self.accumulators[op] = accumulator
        elif own is not None:
            raise PassFailedException(
                f"{describe(op.result)}: accumulator {own} has no use: only linear, "
                "matmul and conv layers with operands in blocks have one, other sums "
                "are exact; leave it out"
            )


def _narrowed(op: MaseOp, format: AnyFormat) -> AnyFormat:
    """The format of the result of `op`, given its operand's."""
    if (
        isinstance(op, ReluOp | Relu6Op)
        and isinstance(format, Fixed)
        and format.signed
        and format.width > 1
    ):
        # The sign bit is always zero.
        return Fixed(format.width - 1, format.frac, signed=False)
    return format
