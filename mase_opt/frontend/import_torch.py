"""
Import of torch modules and exported programs into torch-dialect IR.

`export_module` traces a module with torch.export; `import_program` brings the result
into xDSL. Weights go from torch tensor to IR constant without being copied.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

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

    from mase_opt.lib.target.torch_mlir import quiet_torch

    if isinstance(example_inputs, torch.Tensor):
        example_inputs = (example_inputs,)
    if isinstance(example_inputs, Mapping):
        args, kwargs = (), dict(example_inputs)
    else:
        args, kwargs = tuple(example_inputs), {}
    with _evaluation_mode(module), torch.no_grad(), quiet_torch():
        try:
            return torch.export.export(module, args, kwargs)
        except Exception as error:  # torch.export raises many unrelated classes
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise UserError(
                f"torch.export cannot trace {type(module).__name__}: {reason}"
            ) from error


@contextlib.contextmanager
def _evaluation_mode(module: torch.nn.Module) -> Iterator[None]:
    training = [child for child in module.modules() if child.training]
    module.eval()
    try:
        yield
    finally:
        for child in training:
            child.training = True


def function_name(name: str) -> str:
    """A valid symbol name close to `name`."""
    name = re.sub(r"\W+", "_", name)
    return name if re.match(r"[A-Za-z_]", name) else f"_{name}"


def torch_text(
    module: torch.nn.Module, example_inputs: ExampleInputs, name: str | None = None
) -> str:
    """Torch-dialect text of `module`, weights included, as `mase-opt` reads it."""
    from mase_opt.lib.target import torch_mlir

    program = export_module(module, example_inputs)
    return torch_mlir.export_fx(program, function_name(name or type(module).__name__))
