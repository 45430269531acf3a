"""How many bits the tensors of a model take up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.analysis.quantization import (
    Parameters,
    layers,
    parameter,
    storage_bits,
)
from mase_opt.lib.model_function import layer_of


@dataclass(frozen=True)
class Amount:
    """Numbers, and the bits that hold them, shared exponents and scales included."""

    numbers: int
    bits: int

    @property
    def average(self) -> float:
        """Bits per number; 0 if there is none."""
        return self.bits / self.numbers if self.numbers else 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.numbers + other.numbers, self.bits + other.bits)


@dataclass(frozen=True)
class Storage:
    """What a model holds, each tensor once."""

    weights: Amount
    """What data is multiplied by or added to."""
    others: Amount
    """Biases and tables."""
    activations: Amount
    """What layers read that is not constant."""


def storage(function: FuncOp) -> Storage:
    """The tensors of `function`, in the formats that they have."""
    parameters = Parameters(function, {})
    activations: dict[SSAValue, int] = {
        value: storage_bits(element_of(value), shape_of(value))
        for op in layers(function)
        for value in op.operands
        if parameter(value) is None
    }
    return Storage(
        _amount(parameters.weights), _amount(parameters.others), _amount(activations)
    )


def contractions(function: FuncOp) -> list[tuple[str, Amount, Amount]]:
    """The layers that multiply: their names, weights, and what they are applied to."""
    found: list[tuple[str, Amount, Amount]] = []
    for op in layers(function):
        factors = dict.fromkeys(op.operands[i] for i in op.FACTORS)
        if factors:
            parts = [
                {
                    v: storage_bits(element_of(v), shape_of(v))
                    for v in factors
                    if (parameter(v) is not None) is constant
                }
                for constant in (True, False)
            ]
            weights, inputs = map(_amount, parts)
            found.append((layer_of(op) or op.name, weights, inputs))
    return found


def _amount(bits: Mapping[SSAValue, int]) -> Amount:
    return Amount(sum(prod(shape_of(v)) for v in bits), sum(bits.values()))
