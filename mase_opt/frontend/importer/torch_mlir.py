"""
The bridge to torch-mlir: the only file that imports it.

Pinned to torch-mlir 20261001.
"""

from __future__ import annotations

import ctypes
import importlib
from typing import Any

from mase_opt.lib.errors import UserError


def bindings(name: str) -> Any:
    """A module of torch-mlir; it has no type information."""
    return importlib.import_module(f"torch_mlir.{name}")


class CompiledModule:
    """
    LLVM-dialect text compiled to machine code in this process.

    The code lives as long as the object. Raises `UserError` if torch-mlir is missing.
    """

    def __init__(self, text: str, opt_level: int):
        try:
            ir = bindings("ir")
            engine = bindings("execution_engine")
        except ImportError as error:
            raise UserError(
                "simulation needs the compiler in torch-mlir: pip install torch-mlir"
            ) from error
        with ir.Context():
            module = ir.Module.parse(text)
            self._engine = engine.ExecutionEngine(module, opt_level=opt_level)

    def call(self, name: str, *arguments: int) -> int:
        """
        Call a function whose arguments and result are 64 bits wide.

        Pointers are given as addresses. The result of a function without one is 0.
        """
        # The engine hands out a wrapper that takes pointers to arguments and result.
        values = (ctypes.c_int64 * (len(arguments) + 1))(*arguments, 0)
        base, size = ctypes.addressof(values), ctypes.sizeof(ctypes.c_int64)
        places = [base + size * index for index in range(len(values))]
        wrapper = self._engine.raw_lookup(name)
        assert wrapper, f"no function {name}"
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(wrapper)(
            (ctypes.c_void_p * len(places))(*places)
        )
        return values[len(arguments)]
