"""Fixed-point formats of single elements, inside one that contains them all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.rounding import (
    FormatError,
    IntArray,
    Overflow,
    Rounding,
    shift_left,
)

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FixedElements:
    """
    A fixed-point format for each element of a tensor; without bits, it is zero.

    `widths` and `fracs` have one shape, which broadcasts to that of the tensor. Codes
    are those of `container`, which has every number of every element. Raises
    `FormatError` if it does not.
    """

    widths: Integers
    fracs: Integers
    container: Fixed

    def __post_init__(self):
        for format, _ in self.formats:
            if not format.multiples.inside(self.container.multiples):
                raise FormatError(f"{self.container} has not all numbers of {format}")

    @property
    def formats(self) -> list[tuple[Fixed, NDArray[np.bool_]]]:
        """The formats that occur, and where."""
        pairs = np.stack([self.widths, self.fracs], -1)
        found = np.unique(pairs[self.widths > 0], axis=0)
        signed = self.container.signed
        try:
            return [
                (Fixed(width, frac, signed), (pairs == (width, frac)).all(axis=-1))
                for width, frac in found.tolist()
            ]
        except ValueError as error:
            raise FormatError(str(error)) from error

    @property
    def zeros(self) -> Integers:
        """How many low bits of each code are always zero; of zeros, as of others."""
        zeros = self.container.frac - self.fracs
        kept = self.widths > 0
        return np.where(kept, zeros, zeros[kept].max(initial=0))

    @property
    def ends(self) -> tuple[IntArray, IntArray]:
        """The lowest and the highest code of each element."""
        low, high = (np.zeros(self.widths.shape, object) for _ in range(2))
        for format, where in self.formats:
            shift = self.container.frac - format.frac
            low[where] = format.min_code << shift
            high[where] = format.max_code << shift
        return low, high

    def cast_codes(
        self, codes: IntArray, frac: int, rounding: Rounding, overflow: Overflow
    ) -> IntArray:
        """The codes of `[samples, …]` numbers `codes * 2**-frac`, each rounded once."""
        result = np.zeros(codes.shape, np.int64)
        for format, where in self.formats:
            own = format.cast_codes(np.where(where, codes, 0), frac, rounding, overflow)
            result = _merged(result, where, self._contained(own, format))
        return result

    def encode(
        self, values: NDArray[np.floating], rounding: Rounding, overflow: Overflow
    ) -> IntArray:
        """The codes of `[samples, …]` numbers; raises `FormatError` as `Fixed` does."""
        result = np.zeros(values.shape, np.int64)
        for format, where in self.formats:
            own = format.encode(np.where(where, values, 0), rounding, overflow)
            result = _merged(result, where, self._contained(own, format))
        return result

    def _contained(self, codes: IntArray, format: Fixed) -> IntArray:
        return shift_left(codes, self.container.frac - format.frac)


def _merged(codes: IntArray, where: NDArray[np.bool_], own: IntArray) -> IntArray:
    if own.dtype == object:
        codes = codes.astype(object)
    return np.where(where, own, codes)
