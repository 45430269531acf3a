"""
Transposed convolutions: as many convolutions as there are strides, taking turns.

Which weights meet an output depends on its place modulo the stride, its phase. There
are no beats for the zeros that would be between inputs.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
from xdsl.ir import SSAValue

from mase_opt.dialects.mase import layers
from mase_opt.dialects.mase.types import element_of
from mase_opt.lib.analysis.parallelism import transposed_windows
from mase_opt.lib.conversion.streamed.builder import (
    StreamBuilder,
    weights_of,
    zero_code,
)
from mase_opt.lib.conversion.streamed.conv import convolution
from mase_opt.lib.conversion.streamed.registry import streamed


@streamed(layers.ConvTranspose2dOp)
def conv_transposed(op: layers.ConvTranspose2dOp, b: StreamBuilder) -> SSAValue:
    weights = weights_of(op, 1)
    groups = op.groups.value.data
    inputs, per_output, *_ = weights.codes.shape
    # A place more in each dimension, for taps that meet no weight.
    zero = zero_code(weights.element)
    margins = [(0, 0), (0, 0), (0, 1), (0, 1)]
    whole = np.pad(weights.codes, margins, constant_values=zero)
    (rows, row), (columns, column) = transposed_windows(op)
    chosen = whole[:, :, row[:, None, :, None], column[None, :, None, :]]
    shape = (
        groups,
        inputs // groups,
        per_output,
        len(row) * len(column),
        prod((rows.taps, columns.taps)),
    )
    weights = replace(weights, codes=chosen.reshape(shape).swapaxes(1, 2))
    fill = zero_code(element_of(op.input))
    return convolution(op, b, weights, [rows, columns], fill)
