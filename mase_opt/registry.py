"""What is registered: xDSL's, our and other packages' universes, and plug-in files."""

import importlib.util
import sys
from collections.abc import Iterable
from functools import reduce
from pathlib import Path

from xdsl.universe import Universe

from mase_opt.lib.errors import UserError


def load_universe(plugins: Iterable[str] = ()) -> Universe:
    """
    Ours, what `xdsl.universe` entry points register, and plug-in files.

    Nothing is imported beyond the modules that hold the universes. Raises
    `UserError` for a plug-in that cannot be loaded or that redefines a name.
    """
    try:
        universe = Universe.get_multiverse()
    except ValueError as error:
        raise UserError(f"installed packages clash: {error}") from error
    if "mase" not in universe.all_dialects:
        # A clone that runs without being installed.
        from mase_opt.universe import UNIVERSE

        universe = _joined(universe, UNIVERSE)
    return reduce(_extended, plugins, universe)


def _extended(universe: Universe, plugin: str) -> Universe:
    added = load_plugin(plugin)
    for kind, mine, theirs in (
        ("dialect", universe.all_dialects, added.all_dialects),
        ("pass", universe.all_passes, added.all_passes),
        ("target", universe.all_targets, added.all_targets),
    ):
        if taken := sorted(mine.keys() & theirs.keys()):
            raise UserError(
                f"plug-in '{plugin}' defines the {kind} '{taken[0]}', which exists "
                "already: rename it"
            )
    return _joined(universe, added)


def _joined(universe: Universe, added: Universe) -> Universe:
    return Universe(
        all_dialects=universe.all_dialects | added.all_dialects,
        all_passes=universe.all_passes | added.all_passes,
        all_targets=universe.all_targets | added.all_targets,
    )


def load_plugin(plugin: str) -> Universe:
    """Run a Python file; the `UNIVERSE` it defines. Raises `UserError`."""
    path = Path(plugin).absolute()
    if not path.is_file():
        raise UserError(f"plug-in '{plugin}': no such file")
    name = f"mase_opt_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"plug-in '{plugin}' is not a Python file (name it *.py)")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and type hints look their module up by name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(_load_failure(plugin, path, error)) from error
    universe = getattr(module, "UNIVERSE", None)
    if not isinstance(universe, Universe):
        raise UserError(
            f"plug-in '{plugin}' defines no UNIVERSE: add "
            "UNIVERSE = Universe(all_passes={...}), from xdsl.universe import Universe"
        )
    return universe


def _load_failure(plugin: str, path: Path, error: Exception) -> str:
    """Name the line of the plug-in at which loading it failed."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    place = f"{plugin}:{line}" if line is not None else plugin
    return f"cannot load plug-in {place}: {type(error).__name__}: {error}"
