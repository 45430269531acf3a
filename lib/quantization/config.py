"""Settings of single layers, and which layers they are for."""

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
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import (
    Fixed,
    FormatError,
    FormatSpec,
    Overflow,
    Rounding,
    Spec,
    parse_rounding,
    parse_spec,
)
from mase_opt.lib.model_function import layer_of
from mase_opt.lib.quantization.classic import (
    ALL_PARTS,
    NAMES,
    classic_format,
    keys,
)
from mase_opt.lib.suggest import did_you_mean

Choice = TypeVar("Choice", bound=StrEnum)

OPERANDS = ("data_in", "weight", "bias", "data_out")
"""What of a layer has a format."""
BY = ("type", "name", "regex_name")
ALONE = "NA"
"""The name of layers that stay in floating point."""


@dataclass(frozen=True)
class LayerConfig:
    """Settings of one layer; None means that those of the default apply."""

    data_in: Spec | None = None
    weight: Spec | None = None
    bias: Spec | None = None
    data_out: Spec | None = None
    accumulator: Fixed | None = None
    """In which products of blocks are summed up."""
    rounding: Rounding | None = None
    overflow: Overflow | None = None
    bypass: bool | None = None
    """Whether the layer stays in floating point."""

    def over(self, default: LayerConfig) -> LayerConfig:
        """These settings, and those of `default` where there are none."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(default, **{k: v for k, v in own.items() if v is not None})

    def fixed_point(self) -> LayerConfig:
        """These settings as those of all layers: what suits some only is left out."""
        data = self.data_in if isinstance(self.data_in, FormatSpec) else None
        weight = self.weight if isinstance(self.weight, FormatSpec) else None
        return replace(self, data_in=data, weight=weight, accumulator=None)


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


def read_toml(path: str) -> dict[str, Any]:
    """The content of a TOML file; raises `UserError` if there is none."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"config '{path}': {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"config '{path}' is not TOML: {error}") from error


def quantize_table(path: str) -> dict[str, Any]:
    """The table `[passes.quantize]` of a TOML file; raises `UserError`."""
    tree: dict[str, Any] = read_toml(path)
    where = f"config '{path}'"
    for key in tree:
        check_key(key, ("passes",), f"{where}: unknown table", ELSEWHERE)
    for name in _tables(tree.get("passes")):
        check_key(name, ("quantize",), f"{where}: unknown table passes", ELSEWHERE)
    table = _tables(tree.get("passes")).get("quantize")
    if not isinstance(table, dict):
        raise UserError(f"{where} has no table [passes.quantize]")
    return _tables(table)


def _tables(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


ELSEWHERE = "config= reads [passes.quantize] only, mase-opt --config a whole run"


def check_key(key: str, known: Sequence[str], what: str, hint: str) -> None:
    """Raises `UserError` naming the nearest of `known` unless `key` is one of them."""
    if key not in known:
        raise UserError(f"{what} '{key}'{did_you_mean(key, known)} ({hint})")


def parse_layers(
    layers: Mapping[str, Mapping[str, Any]], by: Any, where: str
) -> QuantizeConfig:
    """The meaning of settings by layer; raises `UserError`."""
    by = check_by(by, where)
    if by == "regex_name":
        for key in layers:
            try:
                re.compile(key)
            except (re.error, RecursionError, OverflowError) as error:
                raise UserError(
                    f"{where}: '{key}' is not a regular expression: {error}"
                ) from error
    parsed = {
        key: parse_layer(layer, f"{where}: {key}") for key, layer in layers.items()
    }
    return QuantizeConfig(by, parsed.pop("default", LayerConfig()), parsed, where)


def check_by(by: Any, where: str) -> str:
    if by not in BY:
        raise UserError(f"{where}: by is '{by}', expected one of {', '.join(BY)}")
    return by


_FORMATS = (*OPERANDS, "accumulator")
_GENERAL = ("name", "bypass", "rounding", "overflow", *_FORMATS)


def parse_layer(config: Mapping[str, Any], where: str) -> LayerConfig:
    """The meaning of the settings of a layer; raises `UserError`."""
    name = config.get("name", "integer")
    if name not in (*NAMES, ALONE):
        names = [*NAMES, ALONE]
        raise UserError(
            f"{where}: unknown name '{name}'{did_you_mean(str(name), names)} "
            f"(names: {', '.join(names)})"
        )
    bypass = config.get("bypass", name == ALONE)
    if not isinstance(bypass, bool):
        raise UserError(f"{where}: bypass is {bypass!r}, expected true or false")
    name = "integer" if name == ALONE else name
    known = keys(NAMES[name], OPERANDS)
    for key in config:
        if key not in (*_GENERAL, *known):
            of = f" of name '{name}'" if key in _every_key() else ""
            raise UserError(
                f"{where}: unknown key '{key}'{of}"
                f"{did_you_mean(key, (*_GENERAL, *known))} "
                f"(keys: {', '.join((*_GENERAL, *known))})"
            )
    rounding, overflow = (config.get(key) for key in ("rounding", "overflow"))
    if rounding is not None:
        rounding = rounding_of(rounding, where)
    if overflow is not None:
        overflow = parse_choice(Overflow, overflow, "overflow", where)
    return LayerConfig(
        **{operand: _operand(config, name, operand, where) for operand in OPERANDS},
        accumulator=parse_accumulator(config.get("accumulator"), where),
        rounding=rounding,
        overflow=overflow,
        # Any setting of its own takes a layer out of a default of "NA".
        bypass=bypass if config else None,
    )


def _every_key() -> list[str]:
    return [f"{operand}_{part}" for operand in OPERANDS for part in ALL_PARTS]


def parse_text(text: Any, key: str, where: str) -> Spec:
    """The format `text`; raises `UserError`."""
    try:
        if not isinstance(text, str):
            raise FormatError(f"{text!r} is not a format")
        return parse_spec(text)
    except FormatError as error:
        raise UserError(f"{where}: {key}: {error}") from error


def parse_accumulator(text: Any, where: str) -> Fixed | None:
    """The format of an accumulator, if there is one; raises `UserError`."""
    if text is None:
        return None
    spec = parse_text(text, "accumulator", where)
    if not isinstance(spec, FormatSpec) or None in (spec.width, spec.frac):
        raise UserError(
            f"{where}: accumulator is '{text}', expected fixed<W, F> with numbers"
        )
    assert spec.width is not None
    assert spec.frac is not None
    return Fixed(spec.width, spec.frac, spec.signed is not False)


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


def rounding_of(value: Any, where: str) -> Rounding:
    """The rounding called `value`; raises `UserError`."""
    try:
        return parse_rounding(str(value))
    except FormatError as error:
        raise UserError(f"{where}: {error}") from None


def _operand(
    config: Mapping[str, Any], name: str, operand: str, where: str
) -> Spec | None:
    classic = [key for key in keys(NAMES[name], (operand,)) if key in config]
    if operand in config:
        if classic:
            raise UserError(
                f"{where}: both {operand} and {classic[0]} are given, keep one"
            )
        return parse_text(config[operand], operand, where)
    try:
        return classic_format(name, operand, config)
    except FormatError as error:
        raise UserError(f"{where}: {operand}: {error}") from error
