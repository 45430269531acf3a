"""Random small networks for streams: several layers, of which paths part and meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from random import Random

import numpy as np
from levels import Model
from xdsl.dialects.builtin import BoolAttr, ModuleOp, i1, i64
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.utils.exceptions import VerifyException

from mase_opt.dialects.mase import elementwise, layers, pooling, shape
from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.formats import (
    BinaryType,
    LogType,
    MiniFloatType,
    TernaryType,
)
from mase_opt.dialects.mase.types import (
    FixedPoint,
    FixedType,
    UFixedType,
    element_of,
    shape_of,
)
from mase_opt.lib.analysis.parallelism import channel_axis
from mase_opt.lib.formats.binary import Binary
from mase_opt.lib.formats.log import Log
from mase_opt.lib.formats.minifloat import MiniFloat
from mase_opt.lib.formats.rounding import Overflow, RoundingMode
from mase_opt.lib.formats.ternary import Ternary

OTHERS = (
    MiniFloatType(MiniFloat(3, 2)),
    LogType(Log(4, 1)),
    BinaryType(Binary()),
    TernaryType(Ternary()),
)
MOST = 150
"""Elements of a tensor: a circuit has all of a beat at a time."""


class Unfit(Exception):
    """Nothing of this kind can be computed of the values that were drawn."""


class Drawer:
    """Draws the ops of one network."""

    def __init__(self, seed: int):
        self.random = Random(seed)
        self.folding: dict[str, tuple[int, int]] = {}
        self.values: list[SSAValue] = []

    def one(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def some(self, low: int, high: int, count: int) -> list[int]:
        return [self.one(low, high) for _ in range(count)]

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def element(self) -> FixedPoint:
        width = self.random.choice([1, 2, 3, 4, 5, 6, 6, 7, 8, 8, 40])
        frac = self.random.choice([0, 1, 2, 3, 3, 4, -1, width, width + 2])
        return self.random.choice([FixedType, FixedType, UFixedType])(width, frac)

    def narrow(self) -> FixedPoint:
        while (element := self.element()).width.data > 8:
            pass
        return element

    def rounding(self) -> RoundingAttr:
        overflow = Overflow.WRAP if self.chance(0.2) else Overflow.SATURATE
        return RoundingAttr((self.random.choice(list(RoundingMode)), overflow))

    def size(self) -> list[int]:
        rank = self.random.choice([2, 2, 3, 4, 4, 1])
        while prod(size := self.some(1, 5, rank)) > MOST:
            pass
        if rank > 1 and self.chance(0.7):
            size[0] = 1
        return size

    def constant(self, size: Sequence[int], element: FixedPoint) -> SSAValue:
        low, high = element.format.min_code, element.format.max_code
        codes = [self.one(low, high) for _ in range(prod(size))]
        codes[0] = low
        array = np.array(codes, object).reshape(tuple(size))
        return shape.ConstantOp.of(array, element).result

    def layer(self) -> str:
        name = f"layer{len(self.folding)}"
        self.folding[name] = self.one(1, 5), self.one(1, 5)
        return name

    # ---- operands ---------------------------------------------------------------

    def value(self, fits: Callable[[SSAValue], bool] = lambda _: True) -> SSAValue:
        """A value that fits, one of the last ones more often."""
        found = [v for v in self.values if fits(v)]
        if not found:
            raise Unfit
        return found[-1] if self.chance(0.6) else self.random.choice(found)

    def number(self, rank: int | None = None) -> SSAValue:
        return self.value(
            lambda v: (
                isinstance(element_of(v), FixedPoint)
                and (rank is None or len(shape_of(v)) == rank)
            )
        )

    def short(self, rank: int | None = None) -> SSAValue:
        """A value of which exact sums of products are not too wide."""
        x = self.number(rank)
        element = element_of(x)
        assert isinstance(element, FixedPoint)
        if element.width.data > 8:
            x = elementwise.CastOp(x, element=self.narrow()).result
        return x

    def partner(self, x: SSAValue) -> SSAValue:
        """What goes with `x` element by element: spread, constant, or another value."""
        size = list(shape_of(x))
        if self.chance(0.5):
            size = size[self.one(0, len(size)) :]
            size = [1 if self.chance(0.3) else n for n in size]
            return self.constant(size, self.narrow())

        def fits(v: SSAValue) -> bool:
            if not isinstance(element_of(v), FixedPoint):
                return False
            try:
                whole = np.broadcast_shapes(shape_of(v), shape_of(x))
            except ValueError:
                return False
            return prod(whole) <= MOST

        return self.value(fits)

    def condition(self) -> SSAValue:
        return self.value(lambda v: element_of(v) == i1)


Draw = Callable[[Drawer], Operation | SSAValue]


def linear(d: Drawer) -> Operation:
    x = d.short()
    if not shape_of(x):
        raise Unfit
    outputs, inputs = d.one(1, 6), shape_of(x)[-1]
    weight = d.constant([outputs, inputs], d.narrow())
    bias = d.constant([outputs], d.narrow()) if d.chance(0.5) else None
    return layers.LinearOp(
        x,
        weight,
        bias,
        element=d.element(),
        layer=d.layer(),
        rounding=d.rounding(),
    )


def conv(d: Drawer) -> Operation:
    rank = d.one(1, 2)
    x = d.short(rank + 2)
    inputs = shape_of(x)[1]
    groups = d.random.choice([1, 1, inputs])
    outputs = inputs if groups > 1 and d.chance(0.5) else groups * d.one(1, 3)
    size = (outputs, inputs // groups, *d.some(1, 3, rank))
    kind = layers.Conv1dOp if rank == 1 else layers.Conv2dOp
    layer = d.layer()
    if groups > 1 and outputs != inputs:
        d.folding[layer] = 1, 1
    return kind(
        x,
        d.constant(size, d.narrow()),
        d.constant([outputs], d.narrow()) if d.chance(0.5) else None,
        strides=d.some(1, 3, rank),
        padding=d.some(0, 2, rank),
        dilation=d.some(1, 2, rank),
        groups=groups,
        element=d.element(),
        layer=layer,
        rounding=d.rounding(),
    )


def conv_transposed(d: Drawer) -> Operation:
    x = d.short(4)
    strides = d.some(1, 3, 2)
    inputs, outputs = shape_of(x)[1], d.one(1, 3)
    return layers.ConvTranspose2dOp(
        x,
        d.constant((inputs, outputs, *d.some(1, 3, 2)), d.narrow()),
        d.constant([outputs], d.narrow()) if d.chance(0.5) else None,
        strides=strides,
        padding=d.some(0, 1, 2),
        output_padding=[d.one(0, s - 1) for s in strides],
        dilation=d.some(1, 2, 2),
        element=d.element(),
        layer=d.layer(),
        rounding=d.rounding(),
    )


def matmul(d: Drawer) -> Operation:
    x = d.short()
    size = shape_of(x)
    if len(size) < 2:
        raise Unfit
    match d.one(0, 3):
        case 0:
            y = d.short(len(size))
        case 1:
            y = d.constant((size[-1], d.one(1, 4)), d.narrow())
        case 2:
            x, y = d.constant((d.one(1, 4), size[-2]), d.narrow()), x
        case _:
            order = [*range(len(size) - 2), len(size) - 1, len(size) - 2]
            y = shape.TransposeOp(x, order).result
    return layers.MatmulOp(
        x, y, element=d.element(), layer=d.layer(), rounding=d.rounding()
    )


def pool(d: Drawer) -> Operation:
    rank = d.one(1, 2)
    x = d.number(rank + 2)
    if d.chance(0.3):
        kind = d.random.choice([pooling.AdaptiveAvgPoolOp, pooling.AdaptiveMaxPoolOp])
        output = [d.one(1, n) for n in shape_of(x)[2:]]
        return kind(x, output, element=d.element(), rounding=d.rounding())
    kernel = d.some(1, 3, rank)
    kind = d.random.choice([pooling.AvgPoolOp, pooling.MaxPoolOp])
    op = kind(
        x,
        kernel,
        strides=d.some(1, 4, rank),
        padding=[d.one(0, k // 2) for k in kernel],
        dilation=d.some(1, 2, rank),
        ceil_mode=d.chance(0.5),
        element=d.element(),
        rounding=d.rounding(),
    )
    if isinstance(op, pooling.AvgPoolOp):
        op.count_include_pad = BoolAttr.from_bool(d.chance(0.5))
    return op


def reduce(d: Drawer) -> Operation:
    x = d.number()
    rank = len(shape_of(x))
    if not rank:
        raise Unfit
    return pooling.ReduceOp(
        x,
        d.random.choice(["sum", "mean", "max", "min"]),
        sorted(d.random.sample(range(rank), d.one(1, rank))),
        keepdims=d.chance(0.5),
        element=d.element(),
        rounding=d.rounding(),
    )


def unary(d: Drawer) -> Operation:
    kinds = (
        elementwise.NegOp,
        elementwise.AbsOp,
        elementwise.ReluOp,
        elementwise.Relu6Op,
        elementwise.CastOp,
    )
    x, element, rounding = d.number(), d.element(), d.rounding()
    if d.chance(0.2):
        slope = d.random.choice([0.25, 0.01, -0.5])
        return elementwise.LeakyReluOp(x, slope, element=element, rounding=rounding)
    return d.random.choice(kinds)(x, element=element, rounding=rounding)


def binary(d: Drawer) -> Operation:
    kinds = (
        elementwise.AddOp,
        elementwise.SubOp,
        elementwise.MulOp,
        elementwise.MaximumOp,
        elementwise.MinimumOp,
    )
    x = d.short()
    y = d.partner(x)
    if d.chance(0.3):
        x, y = y, x
    kind = d.random.choice(kinds)
    return kind(x, y, element=d.element(), rounding=d.rounding())


def divide(d: Drawer) -> Operation:
    x = d.short()
    count = shape_of(x)[-1] if shape_of(x) and d.chance(0.3) else 1
    codes = np.array([d.random.choice([1, 3, 5, -2]) for _ in range(count)])
    divisor = shape.ConstantOp.of(codes, FixedType(4, d.one(-1, 2)))
    return elementwise.DivOp(x, divisor, element=d.element(), rounding=d.rounding())


def lookup(d: Drawer) -> Operation:
    x = d.short()
    element = element_of(x)
    assert isinstance(element, FixedPoint)
    return layers.LookupOp(x, d.constant([1 << element.width.data], d.narrow()))


def compare(d: Drawer) -> Operation:
    x = d.number()
    predicate = d.random.choice(elementwise.PREDICATES)
    return elementwise.CompareOp(x, d.partner(x), predicate)


def logic(d: Drawer) -> Operation:
    kind = d.random.choice([elementwise.AndOp, elementwise.OrOp, elementwise.XorOp])
    x = d.condition()
    if d.chance(0.4):
        return kind(x, shape.ConstantOp.of(np.array(d.chance(0.5)), i1))
    return kind(x, d.value(lambda v: element_of(v) == i1 and v.type == x.type))


def select(d: Drawer) -> Operation:
    condition, x = d.condition(), d.number()
    return elementwise.SelectOp(
        condition, x, d.partner(x), element=d.element(), rounding=d.rounding()
    )


def other_format(d: Drawer) -> Operation:
    """To a format that is no fixed point, and seldom back."""
    x = elementwise.CastOp(d.short(), element=d.random.choice(OTHERS))
    return x


def from_other_format(d: Drawer) -> Operation:
    x = d.value(lambda v: element_of(v) in OTHERS)
    return elementwise.CastOp(x, element=d.element(), rounding=d.rounding())


def move(d: Drawer) -> Operation:
    x = d.value()
    size = list(shape_of(x))
    if not size:
        raise Unfit
    match d.one(0, 5):
        case 0:
            return shape.TransposeOp(x, d.random.sample(range(len(size)), len(size)))
        case 1:
            factors: list[int] = []
            rest = prod(size)
            for _ in range(d.one(0, 3)):
                fits = [n for n in range(1, rest + 1) if rest % n == 0]
                factors.append(d.random.choice(fits))
                rest //= factors[-1]
            factors.insert(d.one(0, len(factors)), rest)
            return shape.ReshapeOp(x, factors)
        case 2:
            starts = [d.one(0, n - 1) for n in size]
            stops = [d.one(a + 1, n) for a, n in zip(starts, size, strict=True)]
            strides = d.some(1, 2, len(size))
            return shape.SliceOp(x, starts=starts, stops=stops, strides=strides)
        case 3:
            return shape.BroadcastOp(
                x,
                [
                    *d.some(1, 2, d.one(0, 1)),
                    *(n if n > 1 else d.one(1, 3) for n in size),
                ],
            )
        case 4:
            axis = d.one(0, len(size) - 1)
            places = [*range(size[axis])][:: d.random.choice([1, -1, 2])]
            places = [p for p in places for _ in range(d.one(1, 2))]
            return shape.GatherOp(x, shape.ConstantOp.of(np.array(places), i64), axis)
        case _:
            value = 0.0
            return shape.PadOp(
                x,
                low=d.some(0, 2, len(size)),
                high=d.some(0, 2, len(size)),
                value=value,
            )


def concat(d: Drawer) -> Operation:
    x = d.value()
    size, element = shape_of(x), element_of(x)
    if not size:
        raise Unfit
    axis = d.one(0, len(size) - 1)

    def fits(v: SSAValue) -> bool:
        other = shape_of(v)
        rest = (*other[:axis], *other[axis + 1 :])
        same = rest == (*size[:axis], *size[axis + 1 :])
        return element_of(v) == element and len(other) == len(size) and same

    others = [d.value(fits) for _ in range(d.one(1, 2))]
    if d.chance(0.3) and isinstance(element, FixedPoint):
        others.append(
            d.constant((*size[:axis], d.one(1, 2), *size[axis + 1 :]), element)
        )
    parts = [x, *others]
    d.random.shuffle(parts)
    return shape.ConcatOp(parts, axis)


def argmax(d: Drawer) -> Operation:
    x = d.short()
    rank = len(shape_of(x))
    if not rank:
        raise Unfit
    axis = channel_axis(shape_of(x)) if d.chance(0.9) else d.one(0, rank - 1)
    element = d.random.choice([i64, UFixedType(8, 0)])
    return pooling.ArgmaxOp(x, axis, keepdims=d.chance(0.5), element=element)


def embedding(d: Drawer) -> Operation:
    x = d.short()
    indices = elementwise.CastOp(
        elementwise.AbsOp(x, element=UFixedType(2, 0)), element=UFixedType(2, 0)
    )
    table = d.constant((4, d.one(1, 4)), d.narrow())
    return layers.EmbeddingOp(
        table, indices, element=d.element(), rounding=d.rounding()
    )


KINDS: tuple[Draw, ...] = (
    linear,
    conv,
    conv_transposed,
    matmul,
    pool,
    reduce,
    unary,
    binary,
    divide,
    lookup,
    compare,
    logic,
    select,
    other_format,
    from_other_format,
    move,
    concat,
    argmax,
    embedding,
)


def network(seed: int) -> tuple[ModuleOp, dict[str, tuple[int, int]]]:
    """A function of some inputs, all of them used, and how its layers are folded."""
    d = Drawer(seed)
    inputs: list[tuple[Attribute, list[int]]] = [(d.element(), d.size())]
    while d.chance(0.4):
        size = inputs[0][1] if d.chance(0.5) else d.size()
        inputs.append((d.element(), list(size)))
    model = Model(*inputs)
    block, count = model.function.body.block, d.one(1, 6)
    with model as arguments:
        d.values.extend(arguments)
        while len(d.values) < len(arguments) + count:
            before = block.last_op
            try:
                made = SSAValue.get(d.random.choice(KINDS)(d))
                if not isinstance(made.owner, Operation):
                    raise Unfit
                made.owner.verify_()
                if not 0 < prod(shape_of(made)) <= MOST:
                    raise Unfit
                d.values.append(made)
            except (Unfit, VerifyException):
                while (last := block.last_op) is not before:
                    assert last is not None
                    last.detach()
                    last.erase()
    results = [d.values[-1]]
    for value in d.values[:-1]:
        if value.first_use is None or d.chance(0.05):
            results.append(value)
    return model.returns(*results), d.folding
