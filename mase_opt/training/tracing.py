"""Models that run without their code: TorchScript and exported programs."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from mase_opt.lib.atomic import atomic_file
from mase_opt.lib.errors import UserError


def input_of_size(text: str, seed: int) -> Tensor:
    """A random batch of a shape such as `1x1x4x4`; raises `UserError`."""
    sizes = text.lower().split("x")
    if not all(size.isdecimal() and int(size) for size in sizes):
        raise UserError(f"--input-size is '{text}', expected sizes such as 1x1x4x4")
    generator = torch.Generator().manual_seed(seed)
    return torch.randn([int(size) for size in sizes], generator=generator)


def write_traces(
    module: nn.Module, batch: Tensor, path: Path, *, save_input: bool
) -> Path:
    """
    Write `<path>_jit.pt`, `<path>.pt2`, and the batch as `<path>.raw`.

    The first is returned. The raw file has float32 numbers, little-endian, in order.
    Raises `UserError` if the model does not take the batch.
    """
    module = module.eval()
    traced, exported = BytesIO(), BytesIO()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            # TorchScript is deprecated, but what devices run today.
            warnings.simplefilter("ignore")
            jit: Any = torch.jit
            jit.save(jit.trace(module, (batch,)), traced)
            torch.export.save(torch.export.export(module, (batch,)), exported)
    except RuntimeError as error:
        reason = str(error).strip().partition("\n")[0]
        shape = "x".join(map(str, batch.shape))
        raise UserError(f"the model cannot be traced on {shape}: {reason}") from error
    first = path.with_name(f"{path.name}_jit.pt")
    files = {first: traced.getvalue()}
    files[path.with_name(f"{path.name}.pt2")] = exported.getvalue()
    if save_input:
        numbers = cast(Any, batch).numpy().astype("<f4")
        files[path.with_name(f"{path.name}.raw")] = numbers.tobytes()
    for target, data in files.items():
        with atomic_file(target) as stream:
            stream.buffer.write(data)
    return first
