"""A folder that `--emit-sv -o` wrote, read again."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, cast

from xdsl.dialects.func import FuncOp

from mase_opt.lib.errors import UserError
from mase_opt.lib.hardware.codec import lanes_of
from mase_opt.lib.hardware.interface import PortLayout
from mase_opt.lib.hardware.memory import Memory, file_name
from mase_opt.lib.target.layout import text_layout
from mase_opt.model.emit import (
    CIRCUIT,
    MANIFEST,
    MODEL,
    describe_interface,
    digest,
)
from mase_opt.model.verify import results_of


class Folder:
    """What the folder holds; everything raises `UserError` where that is damaged."""

    def __init__(self, path: str):
        self.path = Path(path)

    @property
    def model(self) -> str:
        """The file of the lowered model."""
        assert self.manifest
        return str(self.path / MODEL)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest, as JSON has it."""
        try:
            data = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UserError(
                f"folder '{self.path}' has no {MANIFEST}: name a folder that "
                "mase-opt --emit-sv -o wrote"
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            raise self._damaged(MANIFEST, str(error)) from error
        if not isinstance(data, dict):
            raise self._damaged(MANIFEST, "it is no JSON object")
        return cast("dict[str, Any]", data)

    @cached_property
    def circuit(self) -> str:
        """The circuit, as text."""
        return self._read(CIRCUIT)

    def layout(self, function: FuncOp) -> PortLayout:
        """The circuit's ports; manifest and `function`, the model, must agree."""
        with self.reading(CIRCUIT):
            layout = text_layout(self.circuit)
        for key, value in describe_interface(layout).items():
            if difference := _difference(key, self.manifest.get(key), value):
                raise self._damaged(MANIFEST, f"{difference} in {CIRCUIT}")
        lanes = {
            "in": [lane for value in function.args for lane in lanes_of(value)],
            "out": [v for r in results_of(function) for v in lanes_of(r)],
        }
        wanted = [
            (way, prod(lane.shape), lane.codes.bits, lane.codes.min_code < 0, lane.type)
            for way, found in lanes.items()
            for lane in found
        ]
        found = [
            (p.direction, prod(p.shape), p.width, p.signed, p.format)
            for p in layout.ports
        ]
        if wanted != found:
            raise self._damaged(MODEL, f"its function has not the ports of {CIRCUIT}")
        return layout

    @cached_property
    def memories(self) -> dict[str, Memory]:
        """What memories start with."""
        names: Any = self.manifest.get("memories", {})
        if not isinstance(names, dict):
            raise self._damaged(MANIFEST, f"its memories are {names!r}")
        found: dict[str, Memory] = {}
        for name, described in cast("dict[str, Any]", names).items():
            file = file_name(Path(name).name)
            text = self._read(file)
            if digest(text) != _entry(described, "sha256"):
                raise self._damaged(file, f"it is not what {MANIFEST} describes")
            try:
                found[name] = Memory.read(text)
            except ValueError as error:
                raise self._damaged(file, str(error)) from error
        return found

    @cached_property
    def verilog(self) -> str:
        """The SystemVerilog of all modules."""
        sources: Any = self.manifest.get("sources")
        if not isinstance(sources, list) or not sources:
            raise self._damaged(MANIFEST, f"its sources are {sources!r}")
        names = cast("list[Any]", sources)
        if others := [n for n in names if n != Path(str(n)).name]:
            raise self._damaged(MANIFEST, f"{others[0]!r} is no file of the folder")
        return "".join(self._read(name) for name in names)

    @contextmanager
    def reading(self, file: str) -> Generator[None]:
        """Say of which file an error is."""
        try:
            yield
        except UserError as error:
            raise self._damaged(file, str(error)) from error

    def _damaged(self, file: str, reason: str) -> UserError:
        return UserError(f"'{self.path / file}' is damaged: {reason}; emit it again")

    def _read(self, name: str) -> str:
        path = self.path / name
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise UserError(f"cannot read '{path}': {reason}; emit it again") from error


def _entry(data: Any, key: str) -> Any:
    return cast("dict[str, Any]", data).get(key) if isinstance(data, dict) else None


def _difference(where: str, stated: Any, right: Any) -> str | None:
    """The first difference of data as JSON has it, in words; None if there is none."""
    given, wanted = _leaves(where, stated), _leaves(where, right)
    for place in wanted | given:
        here, there = (leaves.get(place, "missing") for leaves in (given, wanted))
        if here != there:
            return f"{place} is {here} here, {there}"
    return None


def _leaves(where: str, data: Any) -> dict[str, str]:
    """What is in nested data, as JSON, by its place."""
    parts: dict[str, Any] = {}
    if isinstance(data, dict):
        items = cast("dict[str, Any]", data).items()
        parts = {f"{where}.{key}": value for key, value in items}
    elif isinstance(data, list):
        values = enumerate(cast("list[Any]", data))
        parts = {f"{where}[{index}]": value for index, value in values}
    if not parts:
        return {where: json.dumps(data)}
    leaves = [_leaves(place, value) for place, value in parts.items()]
    return {place: text for found in leaves for place, text in found.items()}
