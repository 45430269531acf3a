"""
What `mase-quantize` is told about layers: the `[passes.quantize]` table of a TOML file.

```toml
[passes.quantize]
by = "name"                       # or "type", "regex_name"

[passes.quantize.default.config]
data_in = "fixed<8, auto>"        # formats as text ...
weight = "fixed<6, auto>"

[passes.quantize.fc2.config]
name = "integer"                  # ... or the classic keys
weight_width = 4
weight_frac_width = 3
```
"""

from __future__ import annotations

import re
import tomllib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, cast

from xdsl.ir import Operation

from mase_opt.dialects.mase import Mase
from mase_opt.lib.analysis.model import layer_of
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import FormatError, FormatSpec, Overflow, RoundingMode
from mase_opt.lib.formats.spec import parse_format
from mase_opt.lib.suggest import did_you_mean

Choice = TypeVar("Choice", bound=StrEnum)

OPERANDS = ("data_in", "weight", "bias", "data_out")
"""What of a layer has a format."""
BY = ("type", "name", "regex_name")
AVAILABLE_NAMES = ("integer", "fixed", "NA")
LATER_NAMES = (
    "minifloat_ieee",
    "minifloat_denorm",
    "log",
    "block_fp",
    "block_minifloat",
    "block_log",
    "binary",
    "ternary",
    "mxint",
    "mxfp",
    "scale_integer",
)
"""Known quantizer names whose formats do not exist here yet."""


@dataclass(frozen=True)
class LayerConfig:
    """Settings of one layer; None means that those of the default apply."""

    data_in: FormatSpec | None = None
    weight: FormatSpec | None = None
    bias: FormatSpec | None = None
    data_out: FormatSpec | None = None
    rounding: RoundingMode | None = None
    overflow: Overflow | None = None
    bypass: bool | None = None
    """Whether the layer stays in floating point."""

    def over(self, default: LayerConfig) -> LayerConfig:
        """These settings, and those of `default` where there are none."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(default, **{k: v for k, v in own.items() if v is not None})


@dataclass(frozen=True)
class QuantizeConfig:
    """Which layers have which settings."""

    by: str = "type"
    default: LayerConfig = LayerConfig()
    layers: dict[str, LayerConfig] = field(default_factory=dict[str, LayerConfig])
    """By op name without dialect, layer path, or regular expression for a path."""
    source: str = "the options"
    """For messages."""

    def check(self, ops: Sequence[Operation]) -> None:
        """
        Raises `UserError` for a key that fits none of `ops`.

        A type that exists, but not in this model, gets a warning.
        """
        matched = self.matched(ops)
        for key in self.layers:
            if key not in matched:
                self._unmatched(key, ops)

    def select(self, ops: Sequence[Operation]) -> dict[Operation, LayerConfig]:
        """The settings of each op; the first key that matches wins."""
        selected = {op: self.default for op in ops}
        for key, layer in reversed(self.layers.items()):
            for op in self.fitting(key, ops):
                selected[op] = layer.over(self.default)
        return selected

    def matched(self, ops: Sequence[Operation]) -> set[str]:
        """The keys that fit some of `ops`."""
        return {key for key in self.layers if self.fitting(key, ops)}

    def fitting(self, key: str, ops: Sequence[Operation]) -> list[Operation]:
        """The ops that a key of `layers` fits."""
        match self.by:
            case "type":
                name = f"mase.{key.removeprefix('mase.')}"
                return [op for op in ops if op.name == name]
            case "name":
                return [op for op in ops if layer_of(op) == key]
            case _:
                pattern = re.compile(key)
                return [op for op in ops if pattern.fullmatch(layer_of(op) or "")]

    def _unmatched(self, key: str, ops: Iterable[Operation]) -> None:
        if self.by == "type":
            types = [op.name.removeprefix("mase.") for op in Mase.operations]
            if key.removeprefix("mase.") not in types:
                raise UserError(
                    f"{self.source}: unknown layer type '{key}'"
                    f"{did_you_mean(key, types)}"
                )
            warnings.warn(
                f"{self.source}: the model has no layer of type '{key}'", stacklevel=2
            )
            return
        names = list(dict.fromkeys(n for op in ops if (n := layer_of(op)) is not None))
        shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
        kind = "layer" if self.by == "name" else "layer that matches"
        raise UserError(
            f"{self.source}: there is no {kind} '{key}'{did_you_mean(key, names)} "
            f"(layers: {shown or 'none has a name'})"
        )


def load_config(path: str, by: str | None = None) -> QuantizeConfig:
    """
    Read a TOML file; `by` overrides the file's.

    Raises `UserError` naming the place for anything that has no meaning.
    """
    try:
        tree = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"config '{path}': {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"config '{path}' is not TOML: {error}") from error
    where = f"config '{path}'"
    section = _table(_table(tree, "passes"), "quantize")
    if section is None:
        raise UserError(f"{where} has no table [passes.quantize]")
    return parse_config(section, where, by)


def _table(parent: Any, key: str) -> dict[str, Any] | None:
    """The table `key` of `parent`, if both are tables."""
    if not isinstance(parent, dict):
        return None
    child = cast(dict[str, Any], parent).get(key)
    return cast(dict[str, Any], child) if isinstance(child, dict) else None


def parse_config(
    section: Mapping[str, Any], where: str, by: str | None = None
) -> QuantizeConfig:
    """The meaning of a `[passes.quantize]` table; raises `UserError`."""
    layers = dict(section)
    own_by = check_by(layers.pop("by", "type"), where)
    by = own_by if by is None else by
    if by == "regex_name":
        for key in layers:
            try:
                re.compile(key)
            except re.error as error:
                raise UserError(
                    f"{where}: '{key}' is not a regular expression: {error}"
                ) from error
    parsed = {key: _layer(layer, f"{where}: {key}") for key, layer in layers.items()}
    return QuantizeConfig(by, parsed.pop("default", LayerConfig()), parsed, where)


def check_by(by: Any, where: str) -> str:
    if by not in BY:
        raise UserError(f"{where}: by is '{by}', expected one of {', '.join(BY)}")
    return by


def _layer(layer: Any, where: str) -> LayerConfig:
    config = _table(layer, "config")
    if config is None:
        raise UserError(f"{where}: expected a table with a table 'config'")
    if others := [key for key in layer if key != "config"]:
        raise UserError(
            f"{where}: unknown key '{others[0]}'{did_you_mean(others[0], ['config'])}"
        )
    return parse_layer(config, where)


_CLASSIC = {
    f"{operand}_{part}": (operand, part)
    for operand in OPERANDS
    for part in ("width", "frac_width")
}
_KEYS = ("name", "bypass", "rounding", "overflow", *OPERANDS, *_CLASSIC)


def parse_layer(config: Mapping[str, Any], where: str) -> LayerConfig:
    """The meaning of one `config` table; raises `UserError`."""
    for key in config:
        if key == "accumulator":
            raise UserError(
                f"{where}: accumulator has no format: sums are exact, leave it out"
            )
        if key not in _KEYS:
            raise UserError(
                f"{where}: unknown key '{key}'{did_you_mean(key, _KEYS)} "
                f"(keys: {', '.join(_KEYS)})"
            )
    name = config.get("name", "integer")
    if name not in AVAILABLE_NAMES:
        reason = (
            f"'{name}' is not available yet"
            if name in LATER_NAMES
            else f"unknown name '{name}'{did_you_mean(str(name), AVAILABLE_NAMES)}"
        )
        raise UserError(f"{where}: {reason} (available: {', '.join(AVAILABLE_NAMES)})")
    bypass = config.get("bypass", False)
    if not isinstance(bypass, bool):
        raise UserError(f"{where}: bypass is {bypass!r}, expected true or false")
    rounding, overflow = (config.get(key) for key in ("rounding", "overflow"))
    if rounding is not None:
        rounding = parse_choice(RoundingMode, rounding, "rounding", where)
    if overflow is not None:
        overflow = parse_choice(Overflow, overflow, "overflow", where)
    return LayerConfig(
        **{operand: _operand(config, operand, where) for operand in OPERANDS},
        rounding=rounding,
        overflow=overflow,
        # Any setting of its own takes a layer out of a default of "NA".
        bypass=(bypass or name == "NA") if config else None,
    )


def parse_choice(choices: type[Choice], value: Any, key: str, where: str) -> Choice:
    """The member of `choices` called `value`; raises `UserError`."""
    try:
        return choices(value)
    except ValueError:
        names = [choice.value for choice in choices]
        raise UserError(
            f"{where}: {key} is '{value}', expected one of {', '.join(names)}"
            f"{did_you_mean(str(value), names)}"
        ) from None


def _operand(config: Mapping[str, Any], operand: str, where: str) -> FormatSpec | None:
    text = config.get(operand)
    classic = {
        part: config[key]
        for key, (name, part) in _CLASSIC.items()
        if name == operand and key in config
    }
    if text is not None and classic:
        key = f"{operand}_{next(iter(classic))}"
        raise UserError(f"{where}: both {operand} and {key} are given, keep one")
    try:
        if text is not None:
            if not isinstance(text, str):
                raise FormatError(f"{text!r} is not a format")
            return parse_format(text)
        if not classic:
            return None
        width, frac = (
            _whole(classic.get(part, "auto"), f"{operand}_{part}")
            for part in ("width", "frac_width")
        )
        if width is None and frac is None:
            raise FormatError("width and fraction are both open, give one of them")
        return FormatSpec(True, width, frac)
    except FormatError as error:
        raise UserError(f"{where}: {operand}: {error}") from error


def _whole(value: Any, key: str) -> int | None:
    if value == "auto":
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise FormatError(f"{key} is {value!r}, expected a whole number or 'auto'")
    return value
