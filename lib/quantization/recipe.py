"""
A recipe: options for all layers, and settings of single ones, which decide on formats.

As TOML, which `Recipe.to_toml` prints and `Recipe.load` reads:

```toml
[passes.quantize]
width = 6                         # options, as mase-quantize has them
by = "name"                       # what names layers; or "type", "regex_name"

[passes.quantize.default.config]
data_in = "fixed<8, auto>"        # formats as text ...

[passes.quantize.fc2.config]
name = "integer"                  # ... or the classic keys
weight_width = 4
weight_frac_width = 3
```

A function that has been decided on carries the recipe as its attribute `mase.recipe`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from xdsl.dialects.builtin import (
    ArrayAttr,
    BoolAttr,
    BytesAttr,
    DictionaryAttr,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    f64,
    i64,
)
from xdsl.ir import Attribute

from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import FormatError, FormatSpec, Method, Overflow, Spec
from mase_opt.lib.formats.fixed import MAX_WIDTH
from mase_opt.lib.quantization.config import (
    QuantizeConfig,
    parse_accumulator,
    parse_choice,
    parse_layers,
    parse_text,
    quantize_table,
    rounding_of,
)
from mase_opt.lib.quantization.defaults import Defaults
from mase_opt.lib.quantization.formats import WIDE, bits_of
from mase_opt.lib.suggest import did_you_mean

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class FormatOptions:
    """Options for all layers; None is what the texts say in brackets."""

    width: int | None = None
    """Bits of data and weights (8)."""
    data_width: int | None = None
    """Bits of inputs and results of layers, instead of `width`."""
    weight_width: int | None = None
    """Bits of weights and other constants, instead of `width`."""
    bias_width: int | None = None
    """Bits of biases (twice `width`)."""
    format: str | None = None
    """Format of data and weights, instead of fixed point of `width`: mxint8, …"""
    data_format: str | None = None
    """Format of inputs of layers, instead of `format`."""
    weight_format: str | None = None
    """Format of weights and other constants, instead of `format`."""
    bias_format: str | None = None
    """Format of biases (fixed point, twice as wide as weights, 16 bits at least)."""
    accumulator: str | None = None
    """Format in which products of blocks are summed up: fixed<W, F>."""
    method: str | None = None
    """How ranges are chosen: smallest squared error (mse), minmax, percentile, kl."""
    percentile: float | None = None
    """What `method=percentile` keeps in range, in percent (99.9)."""
    rounding: str | None = None
    """Rounding of all layers (nearest_even): floor, …, stochastic<seed>."""
    overflow: str | None = None
    """Overflow of all layers (saturate): wrap or error."""
    complete: bool | None = None
    """Give what the settings leave in floating point the usual formats."""

    @property
    def options(self) -> dict[str, Any]:
        """The options that are given."""
        values = {f.name: getattr(self, f.name) for f in fields(FormatOptions)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Recipe(FormatOptions):
    """
    Everything that decides on formats: `FormatOptions`, and settings of single layers.

    Raises `UserError` for what has no meaning.
    """

    by: str = "name"
    """What `layers` are called by: `name`, `type` or `regex_name`."""
    layers: Mapping[str, Settings] = field(default_factory=dict[str, Settings])
    """Settings by layer; those called `default` are for all others."""
    source: str = field(default="options", compare=False)
    """For messages."""

    def __post_init__(self):
        _check_types(self)
        # What has no meaning is found here, not when a model is quantized.
        _ = self.config, self.defaults

    @staticmethod
    def of(value: Recipe | Mapping[str, Any] | str | Path) -> Recipe:
        """A recipe, a dictionary as its constructor takes it, or a TOML file."""
        if isinstance(value, Recipe):
            return value
        if isinstance(value, Mapping):
            return Recipe(**Recipe.known(value, "recipe"))
        return Recipe.load(str(value))

    @staticmethod
    def load(path: str) -> Recipe:
        """The table `[passes.quantize]` of a TOML file; raises `UserError`."""
        return Recipe.from_table(quantize_table(path), f"config '{path}'")

    @staticmethod
    def from_table(table: Mapping[str, Any], where: str) -> Recipe:
        """The meaning of a `[passes.quantize]` table; raises `UserError`."""
        options = {k: v for k, v in table.items() if not isinstance(v, Mapping)}
        by = options.pop("by", "type")
        layers = {
            key: settings_of(cast("Settings", value), f"{where}: {key}")
            for key, value in table.items()
            if isinstance(value, Mapping)
        }
        return Recipe(
            **Recipe.known(options, where), by=by, layers=layers, source=where
        )

    @staticmethod
    def known(table: Mapping[str, Any], where: str) -> dict[str, Any]:
        """`table` with the names of fields; raises `UserError` for others."""
        names = [*OPTIONS, "by", "layers"]
        result: dict[str, Any] = {}
        for key, value in table.items():
            if (name := key.replace("-", "_")) not in names:
                raise UserError(
                    f"{where}: unknown key '{key}'{did_you_mean(name, names)} (keys: "
                    f"{', '.join(names)})"
                )
            result[name] = value
        return result

    def to_toml(self) -> str:
        """The table that `load` reads as this recipe."""
        lines = ["[passes.quantize]"]
        lines += [f"{key} = {toml(value)}" for key, value in self.options.items()]
        if self.layers:
            lines.append(f"by = {toml(self.by)}")
        for name, settings in self.layers.items():
            lines += ["", f"[passes.quantize.{_key(name)}.config]"]
            lines += [f"{_key(k)} = {toml(v)}" for k, v in settings.items()]
        return "\n".join(lines) + "\n"

    def to_attribute(self) -> DictionaryAttr:
        """The recipe as an attribute; `from_attribute` reads it."""
        table: dict[str, Any] = dict(self.options)
        if self.layers:
            # A list: keys of attributes are identifiers, and regular expressions none.
            layers = [[name, dict(s)] for name, s in self.layers.items()]
            table |= {"by": self.by, "layers": layers}
        attribute = _attribute(table)
        assert isinstance(attribute, DictionaryAttr)
        return attribute

    @staticmethod
    def from_attribute(attribute: Attribute) -> Recipe:
        """Raises `UserError` for an attribute that is no recipe."""
        table = _value(attribute)
        if not isinstance(table, dict):
            raise UserError(f"mase.recipe is {attribute}, expected a dictionary")
        known = Recipe.known(cast("dict[str, Any]", table), "mase.recipe")
        try:
            known["layers"] = dict(known.get("layers", []))
        except (TypeError, ValueError) as error:
            raise UserError(f"mase.recipe: layers: {error}") from error
        return Recipe(**known, source="attribute mase.recipe")

    # ---- what it means -----------------------------------------------------------

    def difference(self, other: Recipe) -> tuple[str, str, str] | None:
        """What the recipes do not decide alike, as here and as there."""
        mine, theirs = self.meaning(), other.meaning()
        for name, text in mine.items():
            if theirs[name] != text:
                return name, text, theirs[name]
        return None

    def meaning(self) -> dict[str, str]:
        """What is decided, however the options say it."""
        d = self.defaults
        settings = {
            "data format": d.data,
            "weight format": d.weight,
            "bias format": d.bias or FormatSpec(width=min(MAX_WIDTH, d.bias_width)),
            "accumulator": d.accumulator,
            "method": d.method.value,
            "percentile": d.percentile,
            "rounding": d.rounding,
            "overflow": d.overflow.value,
            "by": self.config.by if self.layers else "",
            "layers": {k: dict(v) for k, v in self.layers.items()},
        }
        return {name: str(value) for name, value in settings.items()}

    @cached_property
    def config(self) -> QuantizeConfig:
        """The settings of single layers."""
        config = parse_layers(self.layers, self.by, self.source)
        if self.complete:
            config = replace(
                config,
                default=replace(config.default, bypass=None),
                layers={
                    k: replace(v, bypass=None if v.bypass else v.bypass)
                    for k, v in config.layers.items()
                },
            )
        return config

    @cached_property
    def defaults(self) -> Defaults:
        """What holds where settings of layers are silent."""
        default = self.config.default
        percentile = 99.9 if self.percentile is None else self.percentile
        if not 50 < percentile <= 100:
            raise UserError(
                f"{self.source}: percentile is {percentile}, expected above 50, to 100"
            )
        data, weight = self._spec("data"), self._spec("weight")
        texts = (self.format, self.data_format, self.weight_format)
        by_width = all(text is None for text in texts)
        # Formats other than fixed point suit operands of some layers only.
        if not isinstance(default.data_in, FormatSpec | None):
            data, by_width = default.data_in, False
        if not isinstance(default.weight, FormatSpec | None):
            weight, by_width = default.weight, False
        wide = max(WIDE, 2 * bits_of(data), 2 * bits_of(weight))
        bias = None
        if self.bias_format is not None or self.bias_width is not None:
            bias = self._spec("bias")
        return Defaults(
            data,
            weight,
            bias,
            2 * self._width if by_width else wide,
            parse_accumulator(self.accumulator, self.source) or default.accumulator,
            parse_choice(Method, self.method or "mse", "method", self.source),
            percentile,
            rounding_of(self.rounding or "nearest_even", self.source),
            parse_choice(
                Overflow, self.overflow or "saturate", "overflow", self.source
            ),
        )

    @property
    def _width(self) -> int:
        return 8 if self.width is None else self.width

    def _spec(self, role: str) -> Spec:
        """The format that the options have for `data`, `weight` or `bias`."""
        text: str | None = getattr(self, f"{role}_format")
        width: int | None = getattr(self, f"{role}_width")
        if text is not None and width is not None:
            raise UserError(
                f"{self.source}: both {role}-format and {role}-width are given, keep "
                "one"
            )
        if text is not None:
            return parse_text(text, f"{role}-format", self.source)
        if width is None and self.format is not None:
            return parse_text(self.format, "format", self.source)
        try:
            return FormatSpec(width=self._width if width is None else width)
        except FormatError as error:
            raise UserError(f"{self.source}: {role}-width: {error}") from error


OPTIONS = tuple(f.name for f in fields(FormatOptions))
_NUMBERS: dict[str, type] = {
    name: int for name in ("width", "data_width", "weight_width", "bias_width")
} | {"percentile": float, "complete": bool}


_KINDS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
}


def _check_types(recipe: Recipe) -> None:
    for name, value in recipe.options.items():
        kind = _NUMBERS.get(name, str)
        right = isinstance(value, (int, float) if kind is float else kind)
        if not right or (isinstance(value, bool) and kind is not bool):
            raise UserError(
                f"{recipe.source}: {name} is {value!r}, expected {_KINDS[kind]}"
            )
    layers: Any = recipe.layers
    if not isinstance(layers, Mapping):
        raise UserError(f"{recipe.source}: layers is {layers!r}, expected a dictionary")
    for name, settings in cast("Mapping[Any, Any]", layers).items():
        if not isinstance(name, str) or not isinstance(settings, Mapping):
            raise UserError(
                f"{recipe.source}: layers: {name!r} is {settings!r}, expected a name "
                "with a dictionary of settings"
            )


def settings_of(layer: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The settings in a table of a layer; raises `UserError`."""
    config = layer.get("config")
    if not isinstance(config, Mapping):
        raise UserError(f"{where}: expected a table with a table 'config'")
    if others := [key for key in layer if key != "config"]:
        raise UserError(
            f"{where}: unknown key '{others[0]}'{did_you_mean(others[0], ['config'])}"
        )
    return dict(cast("Mapping[str, Any]", config))


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml(name)


def toml(value: Any) -> str:
    """A value as TOML; strings and lists are written as in JSON."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _attribute(value: Any) -> Attribute:
    match value:
        case bool():
            return BoolAttr.from_bool(value)
        case int():
            return IntegerAttr(value, i64)
        case float():
            return FloatAttr(value, f64)
        case str():
            return StringAttr(value)
        case list() | tuple():
            return ArrayAttr([_attribute(v) for v in cast("list[Any]", value)])
        case _:
            items = cast("Mapping[str, Any]", value).items()
            return DictionaryAttr({k: _attribute(v) for k, v in items})


def _value(attribute: Attribute) -> Any:
    match attribute:
        case IntegerAttr():
            number = attribute.value.data
            return bool(number) if attribute.type != i64 else number
        case FloatAttr():
            return attribute.value.data
        case StringAttr():
            return attribute.data
        case BytesAttr():  # text that is not ASCII, once it was printed
            return attribute.data.decode()
        case ArrayAttr():
            return [_value(v) for v in attribute.data]
        case DictionaryAttr():
            return {k: _value(v) for k, v in attribute.data.items()}
        case _:
            raise UserError(f"mase.recipe holds {attribute}, which is no setting")
