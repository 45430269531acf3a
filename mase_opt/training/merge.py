"""Where each option's value comes from: default < file < command line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean
from mase_opt.lib.table import Cell, Column, Table
from mase_opt.training.config import (
    ARGUMENTS,
    TABLES,
    Config,
    checked,
    names_of_keys,
    options,
)

_FIELDS = [f.name for f in fields(Config)]
SUFFIXES = (".toml", ".yaml", ".yml")


@dataclass(frozen=True)
class Merged:
    """A configuration, and what it was made of."""

    config: Config
    file: Mapping[str, Any]
    """What the file says, by names of options."""
    given: Mapping[str, Any]
    """What the command line says."""
    path: str | None = None
    """The file."""

    def source(self, name: str) -> str:
        """`command line`, `file` or `default`."""
        if name in self.given:
            return "command line"
        return "file" if name in self.file else "default"

    def given_table(self) -> Table:
        """The options that are not left at their defaults."""
        rows: list[tuple[Cell, ...]] = [
            (f.name, _shown(getattr(self.config, f.name)), self.source(f.name))
            for f in fields(Config)
            if f.name not in TABLES and self.source(f.name) != "default"
        ]
        return Table("option", [Column(n) for n in ("name", "value", "from")], rows)

    def table(self) -> Table:
        """Each option with all that its value could be from."""
        rows: list[tuple[Cell, ...]] = []
        for f in fields(Config):
            if f.name in TABLES:
                continue
            default = getattr(Config(), f.name)
            rows.append(
                (
                    f.name,
                    _shown(default),
                    _shown(self.file[f.name]) if f.name in self.file else None,
                    _shown(self.given[f.name]) if f.name in self.given else None,
                    _shown(getattr(self.config, f.name)),
                )
            )
        names = ("name", "default", "file", "command_line", "effective")
        return Table("configuration", [Column(name) for name in names], rows)

    def yaml(self) -> str:
        """A file that repeats the run; comments say where values are from."""
        import yaml

        lines: list[str] = []
        for f in fields(Config):
            value = getattr(self.config, f.name)
            if f.name in ARGUMENTS.values() and not value:
                continue
            value = list(cast(Any, value)) if isinstance(value, tuple) else value
            text = yaml.safe_dump({f.name: value}, sort_keys=False, allow_unicode=True)
            first, *more = text.splitlines()
            lines += [f"{first}  # {self.source(f.name)}", *more]
        return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if value is None or value == () or value == {}:
        return "unset"
    if isinstance(value, Mapping):
        return f"table of {', '.join(cast('Mapping[str, Any]', value))}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def merge(
    given: Mapping[str, Any],
    path: str | None = None,
    places: Mapping[str, str] | None = None,
) -> Merged:
    """
    The configuration of options by name, `given`, over those of a file.

    `places` are what errors call options, if not by name. Raises `UserError` for
    unknown options and values that mean nothing.
    """
    file = {} if path is None else read_config(path)
    for name in given:
        if name not in _FIELDS:
            raise UserError(f"unknown option '{name}'{did_you_mean(name, _FIELDS)}")
    named = {name: name for name in given} | dict(places or {})
    checked_ones = checked(given, "options", named)
    return Merged(Config(**{**file, **checked_ones}), file, checked_ones, path)


def read_config(path: str) -> dict[str, Any]:
    """
    Options by name of a TOML or YAML file, flat or nested.

    Raises `UserError` for files that cannot be read, unknown keys, values that mean
    nothing, and options that are there twice.
    """
    where = f"config '{path}'"
    tree = read_tree(path)
    if "training" in tree:  # as no file of our own has
        from mase_opt.training.base_pipeline import pipeline_options

        values = pipeline_options(tree, path)
        return checked(values, where, {name: name for name in values})
    values, places = _by_name(tree, where)
    return checked(values, where, places)


def read_tree(path: str, what: str = "config") -> dict[str, Any]:
    """
    What a TOML or YAML file holds; raises `UserError` if it cannot be read.

    `what` is what messages call the file.
    """
    where = f"{what} '{path}'"
    suffix = Path(path).suffix
    if suffix not in SUFFIXES:
        raise UserError(f"{where}: expected a file *{', *'.join(SUFFIXES)}")
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{where}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{where} is not text: {error}") from error
    return _toml(text, where) if suffix == ".toml" else _yaml(text, where)


def _toml(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"{where} is not TOML: {error}") from error


def _yaml(text: str, where: str) -> dict[str, Any]:
    import yaml

    try:
        tree: Any = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{where} is not YAML: {reason}") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise UserError(
            f"{where} holds {type(tree).__name__}, expected keys and values"
        )
    return {str(key): value for key, value in cast("dict[Any, Any]", tree).items()}


def _by_name(
    tree: Mapping[str, Any], where: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """A file's values by names of options, and where each of them stands."""
    names = names_of_keys()
    sections = {key.partition(".")[0] for key in names if "." in key}
    found: dict[str, Any] = {}
    places: dict[str, str] = {}

    def put(name: str, value: Any, place: str) -> None:
        if name in places:
            raise UserError(
                f"{where}: {places[name]} and {place} are the same option: give one"
            )
        found[name], places[name] = value, place

    for key, value in tree.items():
        if key in ARGUMENTS and isinstance(value, Mapping):
            arguments = dict(cast("Mapping[str, Any]", value))
            if "name" in arguments:
                put(key, arguments.pop("name"), f"{key}.name")
            put(ARGUMENTS[key], arguments, key)
        elif key in sections and isinstance(value, Mapping):
            for inner, leaf in cast("Mapping[str, Any]", value).items():
                place = f"{key}.{inner}"
                if place not in names:
                    near = did_you_mean(place, [n for n in names if "." in n])
                    raise UserError(f"{where}: unknown key '{place}'{near}")
                put(names[place], leaf, place)
        elif key in names:
            put(names[key], value, key)
        else:
            near = did_you_mean(key, [*names, *sections])
            if (name := _spellings().get(key.replace("_", "-"))) is not None:
                near = f"; files call it '{name}'"
            raise UserError(f"{where}: unknown key '{key}'{near}")
    return found, places


def _spellings() -> dict[str, str]:
    """Names of options by their flags without dashes."""
    return {flag[2:]: o.name for o in options().values() for flag in o.flags}
