"""
Formats as text: `mxint8`, `minifloat<4, 3, fn>`, `fixed<8, auto>`.

The text of a format is that of its type without `!mase.`. Some parts may be `auto`:
they are chosen from data. A new family of formats is added with `add_family`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from mase_opt.lib.formats import aliases
from mase_opt.lib.formats.binary import Binary
from mase_opt.lib.formats.block import E8M0, Block, Exponent
from mase_opt.lib.formats.fixed import MAX_FRAC, MAX_WIDTH, Fixed
from mase_opt.lib.formats.format import Element, Format
from mase_opt.lib.formats.log import Log
from mase_opt.lib.formats.minifloat import Kind, MiniFloat
from mase_opt.lib.formats.rounding import FormatError
from mase_opt.lib.formats.scaled import Scaled, ScaleLayout
from mase_opt.lib.formats.ternary import Ternary
from mase_opt.lib.plugins import load_pending
from mase_opt.lib.suggest import did_you_mean


@dataclass(frozen=True)
class FormatSpec:
    """A fixed-point format; parts that are None are chosen from data."""

    signed: bool | None = None
    width: int | None = None
    frac: int | None = None

    @property
    def for_results(self) -> bool:
        """As `Format.for_results`."""
        return True

    def __post_init__(self):
        if self.width is not None and not 1 <= self.width <= MAX_WIDTH:
            raise FormatError(
                f"width must be between 1 and {MAX_WIDTH}, got {self.width}"
            )
        if self.frac is not None and not -MAX_FRAC <= self.frac <= MAX_FRAC:
            raise FormatError(
                f"frac must be between {-MAX_FRAC} and {MAX_FRAC}, got {self.frac}"
            )

    def __str__(self) -> str:
        width, frac = ("auto" if n is None else n for n in (self.width, self.frac))
        return f"{'u' if self.signed is False else ''}fixed<{width}, {frac}>"


@dataclass(frozen=True)
class ScaledSpec:
    """A scaled format whose scales, and zero point if `affine`, come from data."""

    element: Element
    layout: ScaleLayout = field(default_factory=ScaleLayout)
    affine: bool = False
    power_of_two: bool = False
    """Whether the scales are to be powers of two."""

    @property
    def for_results(self) -> bool:
        """As `Format.for_results`."""
        return self.layout.axis is None and self.element.for_results

    def __str__(self) -> str:
        scale = "power_of_two" if self.power_of_two else "auto"
        zero = ", zero_point = auto" if self.affine else ""
        return f"scaled<{self.element}, {scale}{self.layout}{zero}>"


Spec = FormatSpec | ScaledSpec | Format[Any]
"""What a format's text stands for: a format, or one with open parts."""


@dataclass
class FormatTerm:
    """A parsed `name<argument, …, key = argument>`."""

    name: str
    text: str
    """The whole text, for messages."""
    arguments: list[Argument] = field(default_factory=list["Argument"])
    options: dict[str, Argument] = field(default_factory=dict[str, "Argument"])

    def fail(self, reason: str, hint: str = "") -> FormatError:
        return FormatError(f"{reason} in '{self.text}'{hint}")

    def whole(self, argument: Argument) -> int:
        """`argument` as a whole number."""
        word = argument.name if isinstance(argument, FormatTerm) else argument
        try:
            return int(str(word))
        except ValueError:
            raise self.fail(f"'{word}' is not a whole number") from None

    def element(self, argument: Argument) -> Element:
        """`argument` as a format of elements, without open parts."""
        spec = build(argument) if isinstance(argument, FormatTerm) else None
        if isinstance(spec, FormatSpec) and None not in (spec.width, spec.frac):
            assert spec.width is not None
            assert spec.frac is not None
            return Fixed(spec.width, spec.frac, spec.signed is not False)
        if not isinstance(spec, Element):
            raise self.fail(f"'{spec or argument}' is no format of elements")
        return spec


Argument = FormatTerm | str | list[str]
"""A nested term or word, a number as text, or a list of those."""

Builder = Callable[[FormatTerm], Spec]


def _fixed(term: FormatTerm) -> FormatSpec:
    words = _take(term, 2, 2)
    spec = FormatSpec(term.name == "fixed", *(_number(word, term) for word in words))
    if spec.width is None and spec.frac is None:
        raise FormatError(
            f"'{term.text}' leaves width and fraction open, give one of them"
        )
    return spec


def _number(argument: Argument, term: FormatTerm) -> int | None:
    word = argument.name if isinstance(argument, FormatTerm) else str(argument)
    if word == "auto":
        return None
    try:
        return int(word)
    except ValueError:
        raise FormatError(
            f"'{word}' in '{term.text}' is neither a whole number nor auto"
        ) from None


def _minifloat(term: FormatTerm) -> MiniFloat:
    exponent, mantissa, kind, bias = _take(term, 2, 4)
    return MiniFloat(
        term.whole(exponent),
        term.whole(mantissa),
        Kind.IEEE if kind is None else _choice(term, kind, Kind),
        None if bias is None else term.whole(bias),
    )


def _log(term: FormatTerm) -> Log:
    width, bias, zero = _take(term, 1, 3)
    return Log(
        term.whole(width),
        None if bias is None else term.whole(bias),
        zero is None or _word(term, zero, ("zero", "no_zero")) == "zero",
    )


def _binary(term: FormatTerm) -> Binary:
    (unsigned,) = _take(term, 0, 1)
    return Binary(unsigned is None or not _word(term, unsigned, ("unsigned",)))


def _ternary(term: FormatTerm) -> Ternary:
    _take(term, 0, 0)
    return Ternary()


def _block(term: FormatTerm) -> Block:
    element, scale, shape, bump = _take(term, 3, 4)
    if not isinstance(shape, list):
        raise term.fail("expected a list as the shape of a block")
    return Block(
        term.element(element),
        _exponent(term, scale),
        tuple(term.whole(size) for size in cast(list[str], shape)),
        bump is not None and bool(_word(term, bump, ("bump",))),
    )


def _exponent(term: FormatTerm, scale: Argument | None) -> Exponent:
    match scale:
        case FormatTerm("e8m0", arguments=[]):
            return E8M0
        case FormatTerm("exp", arguments=[bits, bias]):
            return Exponent(term.whole(bits), term.whole(bias))
        case _:
            raise term.fail("expected e8m0 or exp<bits, bias> as the scale of a block")


def _scaled(term: FormatTerm) -> Scaled | ScaledSpec:
    keys = ("axis", "group", "zero_point")
    for key in term.options:
        if key not in keys:
            raise term.fail(f"unknown option '{key}'", did_you_mean(key, keys))
    options = dict(term.options)
    zero = options.pop("zero_point", "0")
    layout = ScaleLayout(**{key: term.whole(value) for key, value in options.items()})
    term.options.clear()
    element, scale = _take(term, 2, 2)
    element = term.element(element)
    affine = isinstance(zero, FormatTerm) and zero.name == "auto"
    if isinstance(scale, FormatTerm) and scale.name in ("auto", "power_of_two"):
        if zero != "0" and not affine:
            raise term.fail("a zero point is given, but no scale")
        return ScaledSpec(element, layout, affine, scale.name == "power_of_two")
    if affine:
        raise term.fail("a scale is given, but no zero point")
    scales = scale
    if isinstance(scale, list):
        scales = [float(s) for s in cast(list[str], scale)]
    if isinstance(scales, FormatTerm | None):
        raise term.fail("expected a scale, a list of scales, auto or power_of_two")
    if layout.group is not None:
        raise term.fail("scales of groups have no text, only auto")
    return Scaled(element, scales, layout, zero_point=term.whole(zero))


def _take(term: FormatTerm, least: int, most: int) -> list[Any]:
    """The arguments, with None for those left out."""
    given = len(term.arguments)
    if not least <= given <= most:
        counts = str(least) if least == most else f"{least} to {most}"
        raise term.fail(f"{term.name} takes {counts} parameters, not {given},")
    if term.options:
        raise term.fail(f"{term.name} takes no option '{next(iter(term.options))}'")
    return [*term.arguments, *[None] * (most - given)]


def _word(term: FormatTerm, argument: Argument, words: tuple[str, ...]) -> str:
    if (
        isinstance(argument, FormatTerm)
        and not argument.arguments
        and argument.name in words
    ):
        return argument.name
    word = argument.name if isinstance(argument, FormatTerm) else argument
    hint = did_you_mean(str(word), words)
    raise term.fail(f"'{word}' is not {' or '.join(words)}", hint)


def _choice(term: FormatTerm, argument: Argument, choices: type[Kind]) -> Kind:
    return choices(_word(term, argument, tuple(choices)))


FAMILIES: dict[str, tuple[Builder, str]] = {
    "fixed": (_fixed, "fixed<W, F>"),
    "ufixed": (_fixed, "ufixed<W, F>"),
    "minifloat": (_minifloat, "minifloat<E, M, kind, bias>"),
    "log": (_log, "log<W, bias>"),
    "binary": (_binary, "binary"),
    "ternary": (_ternary, "ternary"),
    "scaled": (_scaled, "scaled<element, scale>"),
    "block": (_block, "block<element, scale, [shape]>"),
}
"""How to make a format of its parsed text, and what the text looks like."""


MAX_BRACKETS = 32
"""Far more than formats have; they are parsed and built by recursion."""

EXAMPLES = ["fixed<8, 4>", "ufixed<8, 8>", "log<4, 3>", "binary", "ternary"]
"""Formats to list besides those with an everyday name."""


def add_family(
    name: str, builder: Builder, spelling: str, example: str | None = None
) -> None:
    """
    Make formats `name<…>` known, and list the example.

    Raises `ValueError` if they are already.
    """
    if name in FAMILIES or aliases.meaning(name):
        raise ValueError(f"there is a format named '{name}' already")
    FAMILIES[name] = (builder, spelling)
    if example is not None:
        EXAMPLES.append(example)


def parse_spec(text: str) -> Spec:
    """
    Read the text of any format.

    Raises `FormatError` naming the text, the reason and the nearest valid name.
    """
    if text.count("<") + text.count("[") > MAX_BRACKETS:
        raise FormatError(f"'{text}' is no format: it is nested too deeply")
    tokens = list(_tokens(text))
    term = _parse_term(tokens, text)
    if tokens != [""]:
        raise FormatError(f"'{tokens[0]}' is not expected in '{text}'")
    if not isinstance(term, FormatTerm):
        kind = "list" if isinstance(term, list) else "number"
        raise FormatError(f"'{text}' is a {kind}, not a format")
    return build(term)


def build(term: FormatTerm) -> Spec:
    """The format of a parsed text; raises `FormatError` if there is none."""
    if term.name in FAMILIES:
        try:
            return FAMILIES[term.name][0](term)
        except FormatError:
            raise
        except ValueError as error:
            raise term.fail(str(error)) from None
    if (text := aliases.meaning(term.name)) and not (term.arguments or term.options):
        return parse_spec(text)
    if load_pending():
        return build(term)
    valid = [*FAMILIES, *aliases.names()]
    raise FormatError(
        f"unknown format '{term.name}' in '{term.text}', expected one of "
        f"{', '.join(valid)}{did_you_mean(term.name, valid)}"
    )


_TOKEN = re.compile(
    r"\s*(?:(?P<token>!mase\.(?=\w)|[A-Za-z_]\w*|[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?"
    r"|[<>\[\],=])|(?P<bad>\S)|$)"
)


def _tokens(text: str) -> Iterator[str]:
    """The tokens, without the prefix of types, then an empty one."""
    for match in _TOKEN.finditer(text):
        if match["bad"] is not None:
            raise FormatError(f"'{match['bad']}' is not expected in '{text}'")
        if match["token"] not in ("!mase.", None):
            yield match["token"]
    yield ""


def _parse_term(tokens: list[str], text: str) -> Argument:
    token = tokens.pop(0) if tokens[0] else ""
    if token == "[":
        return _parse_list(tokens, text)
    if re.match(r"[-+\d]", token):
        return token
    if not re.match(r"\w", token):
        raise FormatError(f"'{text}' is no format: a name or number is missing")
    term = FormatTerm(token, text)
    if tokens[0] != "<":
        return term
    separator = tokens.pop(0)
    while separator in ("<", ","):
        if tokens[1:2] == ["="]:
            key = tokens.pop(0)
            tokens.pop(0)
            term.options[key] = _parse_term(tokens, text)
        else:
            term.arguments.append(_parse_term(tokens, text))
        separator = tokens.pop(0) if tokens[0] else ""
    if separator != ">":
        raise FormatError(f"'{text}' is no format: a '>' is missing")
    return term


def _parse_list(tokens: list[str], text: str) -> list[str]:
    items: list[str] = []
    while tokens[0] not in ("]", ""):
        item = _parse_term(tokens, text)
        if not isinstance(item, str):
            raise FormatError(f"expected numbers in the list in '{text}'")
        items.append(item)
        if tokens[0] == ",":
            tokens.pop(0)
    if not tokens[0]:
        raise FormatError(f"'{text}' is no format: a ']' is missing")
    tokens.pop(0)
    return items
