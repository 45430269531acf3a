"""Reading the tables of a search's configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean


def table_of(value: Any, where: str) -> Mapping[str, Any]:
    """`value`, a table; raises `UserError` if it is none."""
    if not isinstance(value, Mapping):
        raise UserError(f"{where} is {value!r}, expected a table")
    return cast("Mapping[str, Any]", value)


def check_keys(table: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raises `UserError` naming the nearest of `known` for a key that is not in it."""
    known = list(known)
    for key in table:
        if key not in known:
            raise UserError(
                f"{where}: unknown key '{key}'{did_you_mean(str(key), known)} "
                f"(keys: {', '.join(known) or 'none'})"
            )


def choices_of(value: Any, where: str) -> tuple[Any, ...]:
    """The choices in a list, or a single one; raises `UserError` if there are none."""
    values = tuple(cast("list[Any]", value)) if isinstance(value, list) else (value,)
    if not values:
        raise UserError(f"{where} is an empty list: there is nothing to choose")
    for index, choice in enumerate(values):
        if any(choice == v and type(choice) is type(v) for v in values[:index]):
            raise UserError(f"{where} lists {choice!r} twice")
    return values


def configs_of(seed: Any, where: str) -> dict[str, dict[str, tuple[Any, ...]]]:
    """
    Choices by key and setting of `seed.<key>.config`.

    Raises `UserError` for what is no such table, and if there is nothing in it.
    """
    found: dict[str, dict[str, tuple[Any, ...]]] = {}
    for key, value in table_of(seed, where).items():
        entry = table_of(value, f"{where}.{key}")
        check_keys(entry, ("config",), f"{where}.{key}")
        path = f"{where}.{key}.config"
        config = table_of(entry.get("config", {}), path)
        found[key] = {k: choices_of(v, f"{path}.{k}") for k, v in config.items()}
    if not any(found.values()):
        raise UserError(f"{where} has no choices: list some in {where}.<key>.config")
    return found
