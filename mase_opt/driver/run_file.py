"""
A whole run as a TOML file: input, passes in order with their options, emission.

```toml
input = "examples/digits/mlp.mlir"

[passes.calibrate]
data = "examples/digits/mlp_calibration.npz"

[passes.quantize]
width = 6
by = "name"

[passes.quantize.fc1.config]
weight = "fixed<4, auto>"

[emit]
output = "build/digits"
```

The command line goes before the file: options of a pass that both have, and `[emit]`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from xdsl.utils.arg_spec import ParameterListType

from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean

Options = dict[str, ParameterListType]

_EMIT: dict[str, type] = {
    "output": str,
    "split": bool,
    "synth": bool,
    "verify-rtl": int,
    "architecture": str,
    "interface": str,
    "clock": float,
}
_KINDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


@dataclass(frozen=True)
class RunFile:
    """What a file asks for."""

    input: str | None
    passes: list[tuple[str, Options]]
    """Full names of passes, in order, with what their flags would have."""
    emit: dict[str, Any] | None
    """Options of `--emit-sv` by their names; None: nothing is emitted."""

    def with_flags(
        self, flags: Sequence[tuple[str, Options]]
    ) -> list[tuple[str, Options]]:
        """The passes, and those of flags: options over the file's, others behind."""
        result = [(name, dict(options)) for name, options in self.passes]
        waiting = list(flags)
        for name, options in result:
            for flag in waiting:
                if flag[0] == name:
                    options |= {k.replace("_", "-"): v for k, v in flag[1].items()}
                    waiting.remove(flag)
                    break
        return result + waiting


def read_run_file(path: str, known: Mapping[str, Any]) -> RunFile:
    """
    The run that a file describes; `known` are the passes.

    Raises `UserError` for what has no meaning, with the nearest name.
    """
    try:
        tree = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"config '{path}': {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"config '{path}' is not TOML: {error}") from error
    return run_of(tree, f"config '{path}'", known)


def run_of(tree: Mapping[str, Any], where: str, known: Mapping[str, Any]) -> RunFile:
    """As `read_run_file` of what a file holds; `where` is what errors begin with."""
    _check(tree, ("input", "passes", "emit"), f"{where}: unknown key")
    source = tree.get("input")
    if source is not None and not isinstance(source, str):
        raise UserError(f"{where}: input is {source!r}, expected the name of a model")
    short = {name.removeprefix("mase-"): name for name in known} | {n: n for n in known}
    passes: list[tuple[str, Options]] = []
    for key, table in _table(tree, "passes", where).items():
        _check([key], list(short), f"{where}: unknown pass")
        if not isinstance(table, Mapping):
            raise UserError(f"{where}: passes.{key} is {table!r}, expected a table")
        settings = cast("Mapping[str, Any]", table)
        options = _options(settings, f"{where}: {key}")
        if "layers" in options and not _takes_settings(known[short[key]]()):
            tables = [k for k, v in settings.items() if isinstance(v, Mapping)]
            if tables:
                raise UserError(
                    f"{where}: {key}: '{tables[0]}' is a table, but {short[key]} has "
                    "no settings of single layers"
                )
        passes.append((short[key], options))
    return RunFile(source, passes, _emit(tree, where))


def _emit(tree: Mapping[str, Any], where: str) -> dict[str, Any] | None:
    if "emit" not in tree:
        return None
    emit = {k.replace("_", "-"): v for k, v in _table(tree, "emit", where).items()}
    _check(emit, list(_EMIT), f"{where}: emit: unknown key")
    for key, value in emit.items():
        kind = _EMIT[key]
        fits = (int, float) if kind is float else kind
        wrong = isinstance(value, bool) and kind is not bool
        if not isinstance(value, fits) or wrong:
            raise UserError(
                f"{where}: emit: {key} is {value!r}, expected {_KINDS[kind]}"
            )
    return emit


def _table(tree: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    table = tree.get(key, {})
    if not isinstance(table, dict):
        raise UserError(f"{where}: {key} is {table!r}, expected a table")
    return cast("dict[str, Any]", table)


def _check(keys: Any, known: Sequence[str], what: str) -> None:
    for key in keys:
        if key not in known:
            raise UserError(f"{what} '{key}'{did_you_mean(key, known)}")


def _takes_settings(made: type) -> bool:
    from mase_opt.lib.quantization.options import RecipeOptions

    return issubclass(made, RecipeOptions)


def _options(table: Mapping[str, Any], where: str) -> Options:
    """Options of a pass; tables in it are settings of layers."""
    from mase_opt.lib.quantization.options import layers_text
    from mase_opt.lib.quantization.recipe import settings_of

    options: Options = {}
    layers: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            settings = cast("Mapping[str, Any]", value)
            layers[key] = settings_of(settings, f"{where}: {key}")
        else:
            values = cast("list[Any]", value if isinstance(value, list) else [value])
            options[key.replace("_", "-")] = tuple(values)
    if layers:
        options["layers"] = (layers_text(layers),)
        # As `[passes.quantize]` has it when it is read by itself.
        options.setdefault("by", ("type",))
    return options
