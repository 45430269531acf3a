"""The house: no import runs upwards or in a circle; files are named like passes."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from mase_opt.universe import UNIVERSE

ROOT = Path(__file__).parents[2]
FLOORS = (
    "lib.errors lib.suggest lib.console lib.plugins",
    "lib.temporaries lib.standard_output",
    "lib.atomic lib.external",
    "lib.table lib.html_page lib.drawing",
    "lib.formats lib.streams",
    "dialects",
    "lib.native lib.interpreters",
    "lib.model_function",
    "lib.data",
    "lib.analysis",
    "universe",
    "registry pass_options",
    "lib.conversion.convert_torch_to_mase",
    "frontend",
    "lib.pruning lib.block_parts lib.adder_graphs lib.quantization",
    "lib.reports",
    "lib.transforms",
    "lib.hardware",
    "lib.target",
    "lib.conversion",
    "lib.cost",
    "lib.simulation lib.search driver.run_file",
    "search",
    "model",
    "search.mase_search search.runners testing",
    "driver",
    "training",
    "tools",
)
"""Rooms from the ground up: each imports from its own floor and from those below."""

HABIT = "lib.transforms.canonicalization.mase"
"""xDSL's own: ops import their canonicalization patterns when these are wanted."""


def sources() -> dict[str, Path]:
    """All modules, by their name below `mase_opt`."""
    found: dict[str, Path] = {}
    for folder in ("dialects", "lib", "mase_opt", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts[1:] if parts[0] == "mase_opt" else parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found[".".join(parts)] = path
    return found


MODULES = sources()


def imports(path: Path) -> Iterator[str]:
    """What a module imports of ours wherever it does, but for types alone."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            if node.module.partition(".")[0] != "mase_opt":
                continue
            package = node.module.partition(".")[2]
            for alias in node.names:
                name = f"{package}.{alias.name}".removeprefix(".")
                yield name if name in MODULES else package


def floor(module: str) -> int:
    """The floor of the innermost room that a module is in."""
    rooms = {room: i for i, rooms in enumerate(FLOORS) for room in rooms.split()}
    names = module.split(".")
    for end in range(len(names), 0, -1):
        if (room := ".".join(names[:end])) in rooms:
            return rooms[room]
    assert module in ("", "lib"), f"{module} is in no room: add one to FLOORS"
    return 0


@pytest.mark.parametrize("module", sorted(MODULES))
def test_no_import_runs_upwards(module: str):
    if module == "":
        return  # the public names, found when they are asked for
    upwards = [n for n in imports(MODULES[module]) if floor(n) > floor(module)]
    assert [name for name in upwards if name != HABIT] == []


def test_no_import_runs_in_a_circle():
    graph = {
        module: {n for n in imports(path) if n not in (HABIT, module)}
        for module, path in MODULES.items()
        if module != ""
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("name", sorted(UNIVERSE.all_passes))
def test_passes_are_where_their_names_say(name: str):
    file = name.replace("-", "_")
    room = "lib.conversion" if name.startswith("convert-") else "lib.transforms"
    if name == "mase-search":  # it needs models
        room = "search"
    module = UNIVERSE.all_passes[name]().__module__
    assert module == f"mase_opt.{room}.{file}"
    folder = room.removeprefix("lib.")
    assert list((ROOT / "test" / folder).glob(f"{file}*"))


def test_transforms_are_passes():
    passes = {name.replace("-", "_") for name in UNIVERSE.all_passes}
    files = {path.stem for path in (ROOT / "lib/transforms").glob("*.py")}
    assert files - passes == {"__init__"}
