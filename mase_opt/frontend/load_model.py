"""Models from files and factories, recognized by name and content."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from xdsl.dialects.builtin import ModuleOp

from mase_opt.frontend.foreign import foreign_model
from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean

if TYPE_CHECKING:
    import torch


def load_model(source: str) -> ModuleOp:
    """
    The torch-dialect IR of a model.

    `source` is a `.pt2` file (torch.export), an `.onnx` file, torch-dialect text in
    custom or generic form, or a factory, `package.module:name` or `file.py:name`: a
    function without arguments that returns a module and example inputs. Raises
    `UserError`, and `ParseError` for text that does not parse.
    """
    path = Path(source)
    if ":" in source and not path.exists():
        return _from_factory(source)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read '{source}': {error.strerror}") from error
    if not data:
        raise UserError(f"{source} is empty: a model is expected")
    if (kind := foreign_model(data, path.suffix)) is not None:
        raise UserError(f"{source} is {kind}")
    if path.suffix == ".onnx":
        return _from_onnx(path)
    # A .pt2 file is a ZIP archive.
    if path.suffix == ".pt2" or data.startswith(b"PK\x03\x04"):
        return _from_pt2(path)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{source} is not a model: expected MLIR text, .pt2, .onnx or "
            "module:factory"
        ) from error
    return load_torch_text(text, source)


def load_torch_text(text: str, file: str) -> ModuleOp:
    """
    The IR of torch-dialect text in custom or generic form.

    `file` is what errors call the text. Raises `ParseError` where it does not parse.
    """
    from mase_opt.frontend.importer.torch_import import parse_torch_text
    from mase_opt.frontend.read_torch import read_generic

    return read_generic(*parse_torch_text(text, file))


def _from_onnx(path: Path) -> ModuleOp:
    from mase_opt.frontend.importer.torch_import import import_onnx
    from mase_opt.frontend.read_torch import read_generic

    return read_generic(*import_onnx(path))


def _from_pt2(path: Path) -> ModuleOp:
    _need_torch(str(path))
    import torch

    from mase_opt.frontend.import_torch import import_program
    from mase_opt.frontend.importer.torch_import import quiet_torch

    try:
        with quiet_torch():
            program = torch.export.load(path)
    except Exception as error:  # whatever a damaged archive makes torch raise
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UserError(
            f"{path} is not a file that torch.export.save wrote: {reason}"
        ) from error
    return import_program(program, path.stem)


def _from_factory(source: str) -> ModuleOp:
    _need_torch(source)
    from mase_opt.frontend.import_torch import export_module, import_program

    module, inputs = call_factory(source)
    name = source.rpartition(":")[2]
    return import_program(export_module(module, inputs), name)


def call_factory(source: str) -> tuple[torch.nn.Module, Any]:
    """
    The module and example inputs that the factory `source` returns.

    Raises `UserError` if there is no such factory, it fails, or returns other things.
    """
    import torch

    place, _, name = source.rpartition(":")
    module = python_module(place)
    factory = getattr(module, name, None)
    if not callable(factory):
        known = [n for n, value in vars(module).items() if callable(value)]
        raise UserError(f"{place} has no function '{name}'{did_you_mean(name, known)}")
    try:
        result: Any = factory()
    except (Exception, SystemExit) as error:  # the user's code
        raise UserError(f"{source} failed: {type(error).__name__}: {error}") from error
    parts = list(cast(Any, result)) if isinstance(result, tuple) else [result]
    if len(parts) == 2 and isinstance(parts[0], torch.nn.Module):
        model, inputs = parts
        if isinstance(inputs, torch.Tensor):
            return model, (inputs,)
        if isinstance(inputs, tuple | list | Mapping):
            return model, cast(Any, inputs)
    kinds = ", ".join(type(part).__name__ for part in parts)
    raise UserError(
        f"{source} returned {kinds}, expected a torch.nn.Module and its example "
        "inputs: return model, (x,)"
    )


def python_module(place: str) -> ModuleType:
    """The module named `place`, or that the file `place` holds."""
    try:
        if not place.endswith(".py"):
            # As with `python -m`: modules of the current folder count.
            if "" not in sys.path and str(Path.cwd()) not in sys.path:
                sys.path.insert(0, str(Path.cwd()))
            return importlib.import_module(place)
        path = Path(place)
        if not path.is_file():
            raise UserError(f"cannot read '{place}': no such file")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None, "a .py file always has a loader"
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(path.stem, module)
        # A file may import its neighbours, as when it is run.
        if str(path.parent.resolve()) not in sys.path:
            sys.path.append(str(path.parent.resolve()))
        spec.loader.exec_module(module)
        return module
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # the user's code
        raise UserError(
            f"cannot import {place}: {type(error).__name__}: {error}"
        ) from error


def _need_torch(source: str) -> None:
    if importlib.util.find_spec("torch") is None:
        raise UserError(
            f"{source}: reading this needs torch: pip install 'mase-opt[torch]'"
        )
