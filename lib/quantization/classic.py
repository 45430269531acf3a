"""
The classic spelling of formats: a name for the layer, numbers for its operands.

`name = "mxint"`, `weight_width = 8`, `weight_block_size = 16` is what
`weight = "block<fixed<8, 6>, e8m0, [16]>"` is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from mase_opt.lib.formats import (
    E8M0,
    Binary,
    Block,
    Element,
    Exponent,
    Fixed,
    FormatError,
    FormatSpec,
    Kind,
    Log,
    MiniFloat,
    ScaledSpec,
    Spec,
    Ternary,
)

BLOCK_SIZE = 32
"""Elements of a block, where the settings don't say (OCP MX)."""


class Parts:
    """The numbers given for an operand, such as `width`; each is used or refused."""

    def __init__(self, given: Mapping[str, Any], operand: str):
        self._given = dict(given)
        self._operand = operand

    def get(self, part: str) -> int | None:
        """A whole number; None if it is not given, or `auto`."""
        value = self._given.get(part, "auto")
        if value == "auto":
            return None
        if not _is_whole(value):
            raise FormatError(
                f"{self._operand}_{part} is {value!r}, expected a whole number"
                + (" or 'auto'" if part in ("width", "frac_width") else "")
            )
        return value

    def need(self, part: str) -> int:
        """A whole number; raises `FormatError` if it is not given."""
        if (value := self.get(part)) is None:
            raise FormatError(f"{self._operand}_{part} is not given")
        return value

    def shape(self) -> tuple[int, ...]:
        """The block size: a number along the dimension summed over, or a list."""
        value = self._given.get("block_size", BLOCK_SIZE)
        sizes = cast(list[Any], value if isinstance(value, list) else [value])
        if not all(map(_is_whole, sizes)):
            raise FormatError(
                f"{self._operand}_block_size is {value!r}, expected a whole number or "
                "a list of them"
            )
        return tuple(sizes)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# ---- formats by name --------------------------------------------------------------


def _integer(parts: Parts) -> Spec:
    width, frac = parts.get("width"), parts.get("frac_width")
    if width is None and frac is None:
        raise FormatError("width and fraction are both open, give one of them")
    return FormatSpec(True, width, frac)


def _minifloat(parts: Parts, kind: Kind) -> MiniFloat:
    exponent = parts.need("exponent_width")
    mantissa = parts.need("width") - 1 - exponent
    return MiniFloat(exponent, mantissa, kind, parts.get("exponent_bias"))


def _minifloat_ieee(parts: Parts) -> Spec:
    return _minifloat(parts, Kind.IEEE)


def _minifloat_denorm(parts: Parts) -> Spec:
    return _minifloat(parts, Kind.NO_IMPLICIT)


def _log(parts: Parts) -> Spec:
    return Log(parts.need("width"), parts.get("exponent_bias"))


def _binary(parts: Parts) -> Spec:
    return _of_width(Binary(), parts)


def _ternary(parts: Parts) -> Spec:
    return _of_width(Ternary(), parts)


def _of_width(element: Element, parts: Parts) -> Element:
    if parts.get("width") not in (None, element.bits):
        raise FormatError(f"{element} has width {element.bits}")
    return element


def _shared(bits: int, bias: int | None = None) -> Exponent:
    """A shared exponent of `bits`; zero in the middle, as in IEEE 754."""
    if not 1 <= bits <= 9:
        raise FormatError(f"a shared exponent has between 1 and 9 bits, not {bits}")
    return Exponent(bits, (1 << (bits - 1)) - 1 if bias is None else bias)


def _block_fp(parts: Parts) -> Spec:
    element = MiniFloat(0, parts.need("width") - 1, Kind.NO_IMPLICIT)
    shared = _shared(parts.get("exponent_width") or 8, parts.get("exponent_bias"))
    return Block(element, shared, parts.shape())


def _block_minifloat(parts: Parts) -> Spec:
    shared = _shared(parts.need("exponent_bias_width"))
    return Block(_minifloat(parts, Kind.IEEE), shared, parts.shape())


def _block_log(parts: Parts) -> Spec:
    shared = _shared(parts.need("exponent_bias_width"))
    return Block(Log(parts.need("width")), shared, parts.shape())


def _mxint(parts: Parts) -> Spec:
    width, bits = parts.need("width"), parts.get("exponent_width") or 8
    shared = E8M0 if bits == 8 else _shared(bits)
    return Block(Fixed(width, width - 2), shared, parts.shape())


def _mxfp(parts: Parts) -> Spec:
    exponent = parts.need("exponent_width")
    mantissa = parts.get("frac_width")
    if mantissa is None:
        mantissa = parts.need("width") - 1 - exponent
    # The OCP elements: E4M3, E5M2, and smaller ones without NaN.
    kinds = {(4, 3): Kind.FN, (5, 2): Kind.IEEE}
    kind = kinds.get((exponent, mantissa), Kind.FINITE)
    return Block(MiniFloat(exponent, mantissa, kind), E8M0, parts.shape())


def _scale_integer(parts: Parts) -> Spec:
    return ScaledSpec(Fixed(parts.need("width"), 0))


@dataclass(frozen=True)
class Name:
    """A classic name: the format of an operand, and the parts that may be given."""

    build: Callable[[Parts], Spec]
    parts: tuple[str, ...]
    alone: bool = False
    """Whether the name itself is a format, for data and weights without numbers."""


_MINIFLOAT = ("width", "exponent_width", "exponent_bias")

NAMES = {
    "integer": Name(_integer, ("width", "frac_width")),
    "fixed": Name(_integer, ("width", "frac_width")),
    "minifloat_ieee": Name(_minifloat_ieee, _MINIFLOAT),
    "minifloat_denorm": Name(_minifloat_denorm, _MINIFLOAT),
    "log": Name(_log, ("width", "exponent_bias")),
    "block_fp": Name(_block_fp, (*_MINIFLOAT, "block_size")),
    "block_minifloat": Name(
        _block_minifloat,
        ("width", "exponent_width", "exponent_bias_width", "block_size"),
    ),
    "block_log": Name(_block_log, ("width", "exponent_bias_width", "block_size")),
    "binary": Name(_binary, ("width",), alone=True),
    "ternary": Name(_ternary, ("width",), alone=True),
    "mxint": Name(_mxint, ("width", "exponent_width", "block_size")),
    "mxfp": Name(_mxfp, ("width", "exponent_width", "frac_width", "block_size")),
    "scale_integer": Name(_scale_integer, ("width",)),
}
ALL_PARTS = tuple(dict.fromkeys(p for name in NAMES.values() for p in name.parts))


def keys(name: Name, operands: tuple[str, ...]) -> list[str]:
    """The classic keys that go with a name."""
    return [f"{operand}_{part}" for operand in operands for part in name.parts]


def classic_format(name: str, operand: str, config: Mapping[str, Any]) -> Spec | None:
    """
    The format of `operand` in a table of settings; None if they say nothing of it.

    Raises `FormatError` for numbers that make no format.
    """
    entry = NAMES[name]
    given = {p: config[k] for p in entry.parts if (k := f"{operand}_{p}") in config}
    if given:
        return entry.build(Parts(given, operand))
    if entry.alone and operand in ("data_in", "weight"):
        others = [k for k in config if k.endswith("_width")]
        return None if others else entry.build(Parts({}, operand))
    return None
