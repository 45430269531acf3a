"""Conversion of elementwise ops: activations, arithmetic, comparison, logic."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np
from xdsl.dialects.builtin import f32, f64, i1, i64
from xdsl.ir import Attribute, SSAValue

from mase_opt.dialects.mase import elementwise as mase
from mase_opt.dialects.mase.attrs import RoundingAttr, is_float
from mase_opt.dialects.mase.layers import LinearOp
from mase_opt.dialects.mase.types import element_of, exact_format, shape_of
from mase_opt.lib.conversion.convert_torch_to_mase.call import (
    Call,
    Rule,
    Unsupported,
    constant_array,
    inverted,
)
from mase_opt.lib.formats import Overflow, RoundingMode


def _unary(cls: type[mase.UnaryOp]) -> Rule:
    """torch.aten.f(x) -> mase.f(x)"""
    return lambda call: call.emit(cls(_operand(call, 0), element=call.element))


def _operand(call: Call, index: int, element: Attribute | None = None) -> SSAValue:
    """A tensor or number as a tensor of `element` (default: that of the result)."""
    element = element or call.element
    if isinstance(call.arguments[index], SSAValue):
        return call.cast(call.tensor(index), element)
    return call.constant(call.number(index), element)


def _binary(cls: type[mase.BinaryOp]) -> Rule:
    """torch.aten.f(x, y) -> mase.f(x, y)"""
    return lambda call: call.emit(cls(_operand(call, 0), _operand(call, 1)))


def _scaled(
    cls: type[mase.BinaryOp], *, reverse: bool = False
) -> Callable[[Call], SSAValue]:
    """
    torch.aten.add(x, y, alpha) -> mase.add(x, mase.mul(y, alpha))

    Reversed: torch.aten.rsub(x, y, alpha) -> mase.sub(y, mase.mul(x, alpha))
    """

    def rule(call: Call) -> SSAValue:
        lhs, rhs = _operand(call, 0), _operand(call, 1)
        if reverse:
            lhs, rhs = rhs, lhs
        if (alpha := call.number(2)) != 1:
            scale = call.constant(alpha, call.element)
            rhs = call.emit(mase.MulOp(rhs, scale))
        return call.emit(cls(lhs, rhs))

    return rule


_plus = _scaled(mase.AddOp)


def _add(call: Call) -> SSAValue:
    """
    torch.aten.add(x, y) -> mase.add(x, y)

    mase.add(mase.linear(x, w), b) -> mase.linear(x, w, b), b a constant vector
    """
    return _with_bias(call) or _plus(call)


def _with_bias(call: Call) -> SSAValue | None:
    """The layer that absorbs this addition, if it is its bias."""
    for x, y in ((0, 1), (1, 0)):
        linear, bias = call.arguments[x], call.arguments[y]
        if not isinstance(linear, SSAValue) or not isinstance(bias, SSAValue):
            return None
        layer = linear.owner
        if (
            isinstance(layer, LinearOp)
            and layer.bias is None
            and len(list(call.op.operands[x].uses)) == 1
            and not any(linear.uses)
            and constant_array(bias) is not None
            and shape_of(bias) == shape_of(layer.weight)[:1]
            and call.number(2) == 1
        ):
            return call.emit(LinearOp(layer.input, layer.weight, bias))
    return None


def _div(call: Call) -> SSAValue:
    """torch.aten.div(x, y) -> mase.div(x, y)"""
    return call.emit(mase.DivOp(_operand(call, 0), _operand(call, 1)))


def _div_mode(call: Call) -> SSAValue:
    """torch.aten.div(x, y, "floor") -> mase.floor(mase.div(x, y))"""
    if call.is_none(2):
        return _div(call)
    call.expect(2, "floor", "trunc")
    quotient = _whole_quotient(call, *_wide(call), _MODES[call.str(2)])
    return call.cast(quotient, call.element)


_MODES = {"floor": RoundingMode.FLOOR, "trunc": RoundingMode.ZERO}


def _wide(call: Call) -> tuple[SSAValue, SSAValue]:
    """
    The operands of a division whose quotient becomes a whole number; floats as f64.

    In float32 a quotient may round up to the next whole number; the quotient of two
    float32 numbers in float64 does not, up to 2^28.
    """
    if call.element == f64:
        raise Unsupported("a whole quotient of f64: convert the model with .float()")
    element = f64 if is_float(call.element) else call.element
    x, y = _operand(call, 0), _operand(call, 1)
    return call.cast(x, element), call.cast(y, element)


def _whole_quotient(
    call: Call, x: SSAValue, y: SSAValue, mode: RoundingMode
) -> SSAValue:
    """x / y rounded to a whole number."""
    if not is_float(call.element):
        rounding = RoundingAttr((mode, Overflow.WRAP))
        return call.emit(mase.DivOp(x, y, rounding=rounding))
    quotient = call.emit(mase.DivOp(x, y))
    if mode is RoundingMode.FLOOR:
        return call.emit(mase.FloorOp(quotient))
    zero = call.constant(0.0, f64)
    negative = call.emit(mase.CompareOp(quotient, zero, "lt"))
    size = call.emit(mase.FloorOp(call.emit(mase.AbsOp(quotient))))
    return call.emit(mase.SelectOp(negative, call.emit(mase.NegOp(size)), size))


def _remainder(mode: RoundingMode) -> Rule:
    """
    torch.aten.remainder(x, y) -> x - y floor(x / y)

    torch.aten.fmod(x, y) -> x - y trunc(x / y)
    """

    def rule(call: Call) -> SSAValue:
        x, y = _wide(call)
        known = constant_array(y)
        if element_of(y) == f64 and (known is None or not np.isfinite(known).all()):
            return call.cast(_float_remainder(call, x, y, mode), call.element)
        product = call.emit(mase.MulOp(_whole_quotient(call, x, y, mode), y))
        return call.cast(call.emit(mase.SubOp(x, product)), call.element)

    return rule


def _float_remainder(
    call: Call, x: SSAValue, y: SSAValue, mode: RoundingMode
) -> SSAValue:
    """
    x - y trunc(x / y), for `floor` moved by y where its sign is another one

    Right for infinite y, too, of which x itself is the remainder or the sign differs.
    """
    zero = call.constant(0.0, f64)
    whole = _whole_quotient(call, x, y, RoundingMode.ZERO)
    product = call.emit(mase.MulOp(whole, y))
    none = call.emit(mase.CompareOp(whole, zero, "eq"))
    product = call.emit(mase.SelectOp(none, zero, product))
    result = call.emit(mase.SubOp(x, product))
    if mode is RoundingMode.ZERO:
        return result
    signs = (call.emit(mase.CompareOp(value, zero, "lt")) for value in (result, y))
    differ = call.emit(mase.XorOp(*signs))
    nonzero = call.emit(mase.CompareOp(result, zero, "ne"))
    moves = call.emit(mase.AndOp(differ, nonzero))
    moved = call.emit(mase.AddOp(result, y))
    return call.emit(mase.SelectOp(moves, moved, result))


def _compare(predicate: str) -> Rule:
    """torch.aten.lt(x, y) -> mase.compare(x, y) {predicate = "lt"}"""

    def rule(call: Call) -> SSAValue:
        lhs = call.tensor(0)
        if isinstance(call.arguments[1], SSAValue):
            rhs = call.tensor(1)
        else:
            number, element = call.number(1), element_of(lhs)
            if isinstance(number, float) and not is_float(element):
                element = f32
            elif element == i1 and not isinstance(number, bool):
                # As integers: the number may be another than 0 and 1.
                element = i64
                lhs = call.cast(lhs, element)
            rhs = call.constant(number, element)
        lhs, rhs = _comparable(call, lhs, rhs), _comparable(call, rhs, lhs)
        return call.emit(mase.CompareOp(lhs, rhs, predicate))

    return rule


EXACT_IN_F32 = 1 << 24
"""Integers up to this magnitude are float32 numbers."""


def _comparable(call: Call, value: SSAValue, other: SSAValue) -> SSAValue:
    """
    `value` as torch compares it: integers become floats if the other one is.

    They stay, which is cheaper, where that changes no result.
    """
    element, target = element_of(value), element_of(other)
    format, number = exact_format(element), constant_array(other)
    if format is None or not is_float(target):
        return value
    if format.max_code <= EXACT_IN_F32 or (
        number is not None and np.abs(number).max(initial=0) < EXACT_IN_F32
    ):
        return value
    return call.cast(value, target)


def truth(call: Call, value: SSAValue) -> SSAValue:
    """`value` as i1: true where it is not 0."""
    if element_of(value) == i1:
        return value
    zero = call.constant(0, element_of(value))
    return call.emit(mase.CompareOp(value, zero, "ne"))


def _logical(cls: type[mase.BitwiseOp]) -> Rule:
    """torch.aten.logical_and(x, y) -> mase.and(x != 0, y != 0)"""
    return lambda call: call.emit(
        cls(truth(call, call.tensor(0)), truth(call, call.tensor(1)))
    )


def _bitwise(cls: type[mase.BitwiseOp]) -> Rule:
    """torch.aten.bitwise_and(x, y) -> mase.and(x, y)"""
    return lambda call: call.emit(cls(_operand(call, 0), _operand(call, 1)))


def _logical_not(call: Call) -> SSAValue:
    """torch.aten.logical_not(x) -> mase.compare(x, 0) {predicate = "eq"}"""
    value = call.tensor(0)
    if element_of(value) == i1:
        return call.emit(mase.XorOp(value, call.constant(True, i1)))
    zero = call.constant(0, element_of(value))
    return call.emit(mase.CompareOp(value, zero, "eq"))


def _bitwise_not(call: Call) -> SSAValue:
    """torch.aten.bitwise_not(x) -> mase.xor(x, -1)"""
    return inverted(call, call.tensor(0))


def _where(call: Call) -> SSAValue:
    """torch.aten.where(c, x, y) -> mase.select(c, x, y)"""
    condition = truth(call, call.tensor(0))
    return call.emit(mase.SelectOp(condition, _operand(call, 1), _operand(call, 2)))


def _to_dtype(call: Call) -> SSAValue:
    """torch.aten.to.dtype(x) -> mase.cast(x); to bool: x != 0"""
    value = call.tensor(0)
    if call.element == i1:
        return truth(call, value)
    return call.cast(value, call.element)


def _gelu(call: Call) -> SSAValue:
    """torch.aten.gelu(x, approximate) -> mase.gelu(x) {approximate}"""
    call.expect(1, "none", "tanh")
    return call.emit(mase.GeluOp(call.tensor(0), call.str(1)))


def _leaky_relu(call: Call) -> SSAValue:
    """torch.aten.leaky_relu(x, slope) -> mase.leaky_relu(x) {negative_slope}"""
    return call.emit(mase.LeakyReluOp(call.tensor(0), float(call.number(1))))


def _elu(call: Call) -> SSAValue:
    """torch.aten.elu(x, alpha, scale, 1) -> scale mase.elu(x) {alpha}"""
    call.expect(3, 1, 1.0)
    alpha, scale = float(call.number(1)), call.number(2)
    result = call.emit(mase.EluOp(call.tensor(0), alpha))
    if scale == 1:
        return result
    return call.emit(mase.MulOp(result, call.constant(scale, call.element)))


SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
"""Klambauer et al., arXiv:1706.02515, equation 14."""


def _selu(call: Call) -> SSAValue:
    """torch.aten.selu(x) -> scale mase.elu(x) {alpha}"""
    result = call.emit(mase.EluOp(call.tensor(0), SELU_ALPHA))
    return call.emit(mase.MulOp(result, call.constant(SELU_SCALE, call.element)))


def _softplus(call: Call) -> SSAValue:
    """
    torch.aten.softplus(x, 1, threshold) -> mase.softplus(x)

    Above the threshold torch returns x, which differs by less than exp(-threshold).
    """
    call.expect(1, 1, 1.0)
    if call.number(2) < 20:
        raise Unsupported(f"threshold is {call.number(2)}, supported: 20 and more")
    return call.emit(mase.SoftplusOp(call.tensor(0)))


def _mish(call: Call) -> SSAValue:
    """torch.aten.mish(x) -> x tanh(softplus(x))"""
    value = call.tensor(0)
    gate = call.emit(mase.TanhOp(call.emit(mase.SoftplusOp(value))))
    return call.emit(mase.MulOp(value, gate))


def _clamp(call: Call) -> SSAValue:
    """torch.aten.clamp(x, low, high) -> mase.minimum(mase.maximum(x, low), high)"""
    low = -inf if call.is_none(1) else call.arguments[1]
    high = inf if call.is_none(2) else call.arguments[2]
    result = call.cast(call.tensor(0), call.element)
    if low == 0 and high == 6:
        return call.emit(mase.Relu6Op(result))
    if low == 0 and high == inf:
        return call.emit(mase.ReluOp(result))
    if low != -inf:
        result = call.emit(mase.MaximumOp(result, _operand(call, 1)))
    if high != inf:
        result = call.emit(mase.MinimumOp(result, _operand(call, 2)))
    return result


def _softshrink(call: Call) -> SSAValue:
    """torch.aten.softshrink(x, λ) -> x - mase.minimum(mase.maximum(x, -λ), λ)"""
    value, size = call.tensor(0), call.number(1)
    inside = call.emit(mase.MaximumOp(value, call.constant(-size, call.element)))
    inside = call.emit(mase.MinimumOp(inside, call.constant(size, call.element)))
    return call.emit(mase.SubOp(value, inside))


def _prelu(call: Call) -> SSAValue:
    """torch.aten.prelu(x, w) -> mase.select(x < 0, x w, x), w per channel"""
    value, weight = call.tensor(0), call.tensor(1)
    rank = len(shape_of(value))
    if rank > 1:
        weight = call.reshape(weight, [*shape_of(weight), *[1] * (rank - 2)])
    zero = call.constant(0.0, call.element)
    negative = call.emit(mase.CompareOp(value, zero, "lt"))
    scaled = call.emit(mase.MulOp(value, weight))
    return call.emit(mase.SelectOp(negative, scaled, value))


_POWERS: dict[float, Callable[[SSAValue], mase.UnaryOp]] = {
    0.5: mase.SqrtOp,
    -0.5: mase.RsqrtOp,
    -1: mase.ReciprocalOp,
}


def _pow_scalar(call: Call) -> SSAValue:
    """torch.aten.pow(x, 2) -> mase.mul(x, x); other exponents: mase.pow(x, n)"""
    value, exponent = call.cast(call.tensor(0), call.element), call.number(1)
    if not is_float(call.element):
        return _integer_power(call, value, exponent)
    if exponent in (2, 3):
        square = call.emit(mase.MulOp(value, value))
        return square if exponent == 2 else call.emit(mase.MulOp(square, value))
    if exponent in _POWERS:
        return call.emit(_POWERS[exponent](value))
    return call.emit(mase.PowOp(value, call.constant(exponent, call.element)))


def _integer_power(call: Call, value: SSAValue, exponent: float) -> SSAValue:
    """Square and multiply, since `mase.pow` computes in floating point."""
    if not isinstance(exponent, int) or exponent < 0:
        raise Unsupported(f"integers to the power of {exponent}")
    result = None
    for bit in reversed(range(exponent.bit_length())):
        if result is not None:
            result = call.emit(mase.MulOp(result, result))
        if exponent >> bit & 1:
            result = value if result is None else call.emit(mase.MulOp(result, value))
    if result is None:
        one = call.constant(1, call.element)
        return call.broadcast(one, shape_of(value))
    return result


def _pow(call: Call) -> SSAValue:
    """torch.aten.pow(x, y) -> mase.pow(x, y)"""
    if not is_float(call.element):
        raise Unsupported("integers to a power that is not one number, known here")
    return call.emit(mase.PowOp(_operand(call, 0), _operand(call, 1)))


def _same(call: Call) -> SSAValue:
    """torch.aten.clone(x) -> x"""
    return call.tensor(0)


RULES: dict[str, Rule] = {
    # activations
    "aten.relu": _unary(mase.ReluOp),
    "aten.relu6": _unary(mase.Relu6Op),
    "aten.sigmoid": _unary(mase.SigmoidOp),
    "aten.hardsigmoid": _unary(mase.HardsigmoidOp),
    "aten.tanh": _unary(mase.TanhOp),
    "aten.silu": _unary(mase.SiluOp),
    "aten.hardswish": _unary(mase.HardswishOp),
    "aten.gelu": _gelu,
    "aten.leaky_relu": _leaky_relu,
    "aten.elu": _elu,
    "aten.selu": _selu,
    "aten.softplus": _softplus,
    "aten.softshrink": _softshrink,
    "aten.mish": _mish,
    "aten.hardtanh": _clamp,
    "aten.clamp": _clamp,
    "aten.clamp.Tensor": _clamp,
    "aten.prelu": _prelu,
    # functions
    "aten.neg": _unary(mase.NegOp),
    "aten.abs": _unary(mase.AbsOp),
    "aten.exp": _unary(mase.ExpOp),
    "aten.log": _unary(mase.LogOp),
    "aten.sqrt": _unary(mase.SqrtOp),
    "aten.rsqrt": _unary(mase.RsqrtOp),
    "aten.reciprocal": _unary(mase.ReciprocalOp),
    "aten.erf": _unary(mase.ErfOp),
    "aten.sin": _unary(mase.SinOp),
    "aten.cos": _unary(mase.CosOp),
    "aten.floor": _unary(mase.FloorOp),
    # arithmetic
    "aten.add.Tensor": _add,
    "aten.add.Scalar": _scaled(mase.AddOp),
    "aten.sub.Tensor": _scaled(mase.SubOp),
    "aten.sub.Scalar": _scaled(mase.SubOp),
    "aten.rsub.Scalar": _scaled(mase.SubOp, reverse=True),
    "aten.mul.Tensor": _binary(mase.MulOp),
    "aten.mul.Scalar": _binary(mase.MulOp),
    "aten.div.Tensor": _div,
    "aten.div.Scalar": _div,
    "aten.div.Tensor_mode": _div_mode,
    "aten.div.Scalar_mode": _div_mode,
    "aten.fmod.Scalar": _remainder(RoundingMode.ZERO),
    "aten.fmod.Tensor": _remainder(RoundingMode.ZERO),
    "aten.remainder.Scalar": _remainder(RoundingMode.FLOOR),
    "aten.remainder.Tensor": _remainder(RoundingMode.FLOOR),
    "aten.maximum": _binary(mase.MaximumOp),
    "aten.minimum": _binary(mase.MinimumOp),
    "aten.pow.Tensor_Scalar": _pow_scalar,
    "aten.pow.Tensor_Tensor": _pow,
    "aten.pow.Scalar": _pow,
    # comparison and logic
    **{
        f"aten.{predicate}.{kind}": _compare(predicate)
        for predicate in mase.PREDICATES
        for kind in ("Scalar", "Tensor")
    },
    "aten.logical_and": _logical(mase.AndOp),
    "aten.logical_or": _logical(mase.OrOp),
    "aten.logical_xor": _logical(mase.XorOp),
    "aten.logical_not": _logical_not,
    "aten.__and__.Tensor": _bitwise(mase.AndOp),
    "aten.bitwise_and.Tensor": _bitwise(mase.AndOp),
    "aten.bitwise_or.Tensor": _bitwise(mase.OrOp),
    "aten.bitwise_xor.Tensor": _bitwise(mase.XorOp),
    "aten.bitwise_not": _bitwise_not,
    "aten.where.self": _where,
    # conversions, and what means nothing for inference
    "aten.to.dtype": _to_dtype,
    "aten.contiguous": _same,
}
