"""Classes by the name that a configuration calls them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Generic, TypeVar

from mase_opt.lib.errors import UserError
from mase_opt.lib.plugins import load_pending
from mase_opt.lib.suggest import did_you_mean

Kind = TypeVar("Kind")


class Registry(Generic[Kind]):
    """
    The classes of one kind; `add` is a decorator for those of plug-ins.

    Ours are imported when they are asked for: `known` has their places, as
    `module:Class`, by name.
    """

    def __init__(self, kind: str, known: Mapping[str, str]):
        self._kind = kind
        self._places = dict(known)
        self._classes: dict[str, type[Kind]] = {}

    def add(self, added: type[Kind]) -> type[Kind]:
        """Make a class known by its `name`; raises `UserError` if that is taken."""
        name: Any = getattr(added, "name", None)
        if not isinstance(name, str):
            raise UserError(f"{self._kind} {added.__name__} has no name")
        taken = self._classes.get(name)
        again = taken is not None and taken.__qualname__ == added.__qualname__
        if name in self._places or (taken is not None and not again):
            raise UserError(f"{self._kind} '{name}' exists already: rename it")
        self._classes[name] = added
        return added

    def find(self, name: Any, where: str) -> type[Kind]:
        """The class called `name`; raises `UserError` with the nearest name."""
        if (found := self._find(name)) is None and load_pending():
            found = self._find(name)
        if found is None:
            names = [*self._places, *self._classes]
            raise UserError(
                f"{where}: unknown {self._kind} '{name}'"
                f"{did_you_mean(str(name), names)} ({self._kind}s: {', '.join(names)})"
            )
        return found

    def _find(self, name: Any) -> type[Kind] | None:
        if (place := self._places.get(name)) is None:
            return self._classes.get(name)
        module, _, attribute = place.partition(":")
        return getattr(import_module(module), attribute)
