"""
Import of torch modules and exported programs into torch-dialect IR.

`export_module` traces a module with torch.export; `import_program` brings the result
into xDSL. Weights are copied once, from torch tensor to IR constant, never as text.
"""

from __future__ import annotations

import contextlib
import gc
import io
import re
import sys
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from mase_opt.frontend.read_torch import read_generic
from mase_opt.lib.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram


ExampleInputs = Sequence[Any] | Mapping[str, Any]
"""Example inputs of a module: positional arguments, or keyword arguments by name."""


def export_module(
    module: torch.nn.Module, example_inputs: ExampleInputs
) -> ExportedProgram:
    """
    Trace `module` in evaluation mode.

    The module's own mode is restored. Raises `UserError` if torch cannot trace it.
    """
    import torch

    from mase_opt.frontend.importer.torch_import import quiet_torch

    if isinstance(example_inputs, torch.Tensor):
        example_inputs = (example_inputs,)
    if isinstance(example_inputs, Mapping):
        args, kwargs = (), dict(example_inputs)
    else:
        args, kwargs = tuple(example_inputs), {}
    args, kwargs = _distinct(args, kwargs)
    said = io.StringIO()
    with _evaluation_mode(module), torch.no_grad(), quiet_torch():
        try:
            # On failure torch prints its half-made graph.
            with contextlib.redirect_stderr(said):
                program = torch.export.export(module, args, kwargs)
        # torch.export raises many unrelated classes, the model's code anything.
        except (Exception, SystemExit) as error:
            reason = str(error).strip().partition("\n")[0]
            if not reason or isinstance(error, SystemExit):
                reason = f"{type(error).__name__}: {reason}".removesuffix(": ")
            raise UserError(
                f"torch.export cannot trace {type(module).__name__}: {reason}; "
                "the example inputs must fit, and Python control flow must not depend "
                "on tensor values"
            ) from error
    sys.stderr.write(said.getvalue())
    return program


def _distinct(args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Examples with a tensor for each input: torch.export takes equal ones for one."""
    import torch
    from torch.utils._pytree import tree_map

    seen: set[int] = set()

    def own(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or id(value) not in seen:
            seen.add(id(value))
            return value
        return value.clone()

    return tree_map(own, (args, kwargs))


@contextlib.contextmanager
def _evaluation_mode(module: torch.nn.Module) -> Generator[None]:
    training = [child for child in module.modules() if child.training]
    module.eval()
    try:
        yield
    finally:
        for child in training:
            child.training = True


@contextlib.contextmanager
def _garbage_collector_paused() -> Generator[None]:
    """Nearly all that an import makes lives on; looking for garbage takes a fifth."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def import_torch(
    module: torch.nn.Module | ExportedProgram,
    example_inputs: ExampleInputs = (),
    name: str | None = None,
) -> ModuleOp:
    """
    Import a torch module, or an exported program, into mase IR.

    The result holds one function, named `name` or after the module's class, with
    inputs of the example inputs' shapes. It is traced in evaluation mode; constants
    are a snapshot of the module's parameters. Raises `UserError` if torch cannot trace
    the module, `PassFailedException` listing all ops that cannot be converted.
    """
    from torch.export import ExportedProgram

    from mase_opt.frontend.importer.torch_import import quiet_torch
    from mase_opt.lib.conversion.convert_torch_to_mase import ConvertTorchToMasePass

    with _garbage_collector_paused():
        if isinstance(module, ExportedProgram):
            with quiet_torch():
                # A new program of the same tensors: the import consumes the graph.
                program = cast(Any, module).run_decompositions({})
            name = name or "main"
        else:
            program = export_module(module, example_inputs)
            name = name or type(module).__name__
        result = import_program(program, name)
        ConvertTorchToMasePass().apply(Context(), result)
        result.verify()
        return result


def function_name(name: str) -> str:
    """A valid symbol name close to `name`."""
    name = re.sub(r"\W+", "_", name)
    return name if re.match(r"[A-Za-z_]", name) else f"_{name}"


def torch_text(
    module: torch.nn.Module, example_inputs: ExampleInputs, name: str | None = None
) -> str:
    """Torch-dialect text of `module`, weights included, as `mase-opt` reads it."""
    from mase_opt.frontend.importer import torch_import

    program = export_module(module, example_inputs)
    return torch_import.export_fx(program, function_name(name or type(module).__name__))


def import_program(program: ExportedProgram, name: str = "main") -> ModuleOp:
    """
    Bring an exported program into torch-dialect IR with one function, `name`.

    The program's graph is consumed. Raises `UserError` as
    `mase_opt.frontend.importer.torch_import.import_fx`.
    """
    from mase_opt.frontend.importer import torch_import

    return read_generic(*torch_import.import_fx(program, function_name(name)))
