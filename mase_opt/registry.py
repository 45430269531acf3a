"""What is registered: xDSL's, our and other packages' universes, and plug-in files."""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from functools import cache, reduce
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import TracebackType
from typing import Any, cast, get_type_hints

from xdsl.context import Context
from xdsl.ir import Dialect
from xdsl.passes import ModulePass
from xdsl.universe import Universe
from xdsl.utils.hints import isa

from mase_opt.lib.errors import UserError
from mase_opt.lib.plugins import PENDING

_PREFIX = "mase_opt_plugin_"
"""What the modules are called that plug-in files become."""
_VERSION = "mase_opt_version"
"""Where such a module has the path of its file, and when that was written."""
_OURS = ("mase_opt", "xdsl")


def load_universe(plugins: Iterable[str] = ()) -> Universe:
    """
    Ours, what `xdsl.universe` entry points register, and plug-in files.

    Nothing is imported beyond the modules that hold the universes. Raises
    `UserError` for a plug-in that cannot be loaded or that redefines a name.
    """
    universe = _installed()
    PENDING[:] = _of_packages()
    return reduce(_extended, plugins, universe)


@cache
def _installed() -> Universe:
    """Of all packages; their metadata are read once, which takes a while."""
    try:
        universe = Universe.get_multiverse()
    except ValueError as error:
        raise UserError(f"installed packages clash: {error}") from error
    if "mase" not in universe.all_dialects:
        # A clone that runs without being installed.
        from mase_opt.universe import UNIVERSE

        universe = _joined(universe, UNIVERSE)
    return universe


def _of_packages() -> Iterator[Callable[[], Dialect]]:
    """What makes the dialects of other packages than ours and xDSL."""
    for point in _entry_points():
        if point.module.partition(".")[0] not in _OURS:
            found: Universe = point.load()
            yield from found.all_dialects.values()


@cache
def _entry_points() -> Sequence[EntryPoint]:
    return tuple(entry_points(group="xdsl.universe"))


def new_context(universe: Universe) -> Context:
    """A context that knows the dialects of `universe`, none of them loaded yet."""
    ctx = Context()
    for name, factory in universe.all_dialects.items():
        ctx.register_dialect(name, factory)
    return ctx


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
    try:
        _check(plugin, added)
    except UserError:
        # It does not count as loaded.
        del sys.modules[_module_name(plugin)]
        raise
    return _joined(universe, added)


def _joined(universe: Universe, added: Universe) -> Universe:
    return Universe(
        all_dialects=universe.all_dialects | added.all_dialects,
        all_passes=universe.all_passes | added.all_passes,
        all_targets=universe.all_targets | added.all_targets,
    )


def _module_name(plugin: str) -> str:
    return f"{_PREFIX}{Path(plugin).stem}"


def load_plugin(plugin: str) -> Universe:
    """
    Run a Python file; the `UNIVERSE` it defines. Raises `UserError`.

    Once, unless the file changes: running it registers formats, rules and circuits.
    """
    path = Path(plugin).absolute()
    if not path.is_file():
        raise UserError(f"plug-in '{plugin}': no such file")
    name = _module_name(plugin)
    version = (str(path), path.stat().st_mtime_ns)
    loaded = sys.modules.get(name)
    if getattr(loaded, _VERSION, None) == version:
        return cast(Any, loaded).UNIVERSE
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"plug-in '{plugin}' is not a Python file (name it *.py)")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and type hints look their module up by name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UserError(_load_failure(plugin, error)) from error
    universe = getattr(module, "UNIVERSE", None)
    if not isinstance(universe, Universe):
        raise UserError(
            f"plug-in '{plugin}' defines no UNIVERSE: add "
            "UNIVERSE = Universe(all_passes={...}), from xdsl.universe import Universe"
        )
    setattr(module, _VERSION, version)
    return universe


def loaded_plugins() -> list[str]:
    """The plug-in files that this process has loaded, for another to load."""
    versions = [getattr(module, _VERSION, None) for module in [*sys.modules.values()]]
    return [version[0] for version in versions if isinstance(version, tuple)]


def _check(plugin: str, universe: Universe) -> None:
    """Raises `UserError` for passes and dialects that cannot be used."""
    for name, factory in universe.all_passes.items():
        made: Any = factory() if callable(factory) else factory
        where = f"plug-in '{plugin}', pass '{name}'"
        if not isinstance(made, type) or not issubclass(made, ModulePass):
            raise UserError(
                f"{where}: expected a function that returns the class of the pass, "
                f"got {made!r}"
            )
        if (given := getattr(made, "name", None)) != name:
            raise UserError(f"{where}: the class has the name {given!r}")
        if inspect.isabstract(made):
            raise UserError(f"{where}: class {made.__name__} has no apply(ctx, op)")
        try:
            hints = get_type_hints(made)
            for option in fields(cast(Any, made)):
                isa(None, hints[option.name])
        except (NameError, ValueError) as error:
            raise UserError(f"{where}: an option's type is unknown: {error}") from error
    for name, factory in universe.all_dialects.items():
        dialect: Any = factory() if callable(factory) else factory
        if not isinstance(dialect, Dialect) or dialect.name != name:
            raise UserError(
                f"plug-in '{plugin}', dialect '{name}': expected a function that "
                f"returns the dialect of this name, got {dialect!r}"
            )


def _load_failure(plugin: str, error: BaseException) -> str:
    """Name the line of the plug-in at which loading it failed."""
    path = Path(plugin).absolute()
    line = error.lineno if isinstance(error, SyntaxError) else None
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    place = f"{plugin}:{line}" if line is not None else plugin
    return f"cannot load plug-in {place}: {type(error).__name__}: {error}"


def plugin_place(traceback: TracebackType | None) -> str | None:
    """`file:line` of the innermost frame of an exception that is in a plug-in."""
    found: str | None = None
    while traceback is not None:
        code, module = traceback.tb_frame.f_code, traceback.tb_frame.f_globals
        if _is_plugin(module.get("__name__", "")):
            found = f"{_shown(code.co_filename)}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found


def plugin_of(definition: type) -> str | None:
    """`file:line` of a class that a plug-in defines; None for other classes."""
    if not _is_plugin(definition.__module__):
        return None
    file = inspect.getsourcefile(definition) or definition.__module__
    return f"{_shown(file)}:{inspect.getsourcelines(definition)[1]}"


def _is_plugin(module: str) -> bool:
    """Whether a module is a plug-in file's, or of a package that registers things."""
    package = module.partition(".")[0]
    if package in _OURS:
        return False
    return package.startswith(_PREFIX) or package in {
        point.module.partition(".")[0] for point in entry_points(group="xdsl.universe")
    }


def _shown(file: str) -> str:
    """A path as one would type it here."""
    return file.removeprefix(f"{Path.cwd()}/")
