"""Transposed convolution: for each output the products of what reaches it."""

from __future__ import annotations

from itertools import product

from mase_opt.dialects.mase import layers
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.conversion.unrolled.linear import dot
from mase_opt.lib.conversion.unrolled.registry import template
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.codec import Wires, decode, encode
from mase_opt.lib.hardware.number import Sum


@template(layers.ConvTranspose2dOp)
def conv_transposed(
    op: layers.ConvTranspose2dOp,
    b: Builder,
    x: Wires,
    weight: Wires,
    bias: Wires | None = None,
) -> Wires:
    batch, inputs, *size = shape_of(op.input)
    _, per_output, *kernel = shape_of(op.weight)
    _, outputs, *result = shape_of(op.result)
    per_input = inputs // op.groups.value.data
    elements, weights = decode(b, op.input, x), decode(b, op.weight, weight)
    biases = None
    if bias is not None and op.bias is not None:
        biases = decode(b, op.bias, bias)
    rows, columns = (
        [_reaching(place, *options) for place in range(count)]
        for count, *options in zip(
            result,
            size,
            kernel,
            ints(op.strides),
            ints(op.padding),
            ints(op.dilation),
            strict=True,
        )
    )
    sums: list[Sum] = []
    for n, c, row, column in product(range(batch), range(outputs), rows, columns):
        group, output = divmod(c, per_output)
        taps = [
            (
                ((n * inputs + i) * size[0] + y) * size[1] + z,
                ((i * per_output + output) * kernel[0] + ky) * kernel[1] + kz,
            )
            for i in range(group * per_input, (group + 1) * per_input)
            for y, ky in row
            for z, kz in column
        ]
        xs, ys = [elements[i] for i, _ in taps], [weights[k] for _, k in taps]
        sums.append(dot(b, xs, ys, biases[c] if biases else None))
    return encode(b, op, sums)


def _reaching(
    place: int, size: int, kernel: int, stride: int, padding: int, dilation: int
) -> list[tuple[int, int]]:
    """The inputs that reach a place of the result, and by which place of the kernel."""
    found: list[tuple[int, int]] = []
    for k in range(kernel):
        source, rest = divmod(place + padding - dilation * k, stride)
        if rest == 0 and 0 <= source < size:
            found.append((source, k))
    return found
