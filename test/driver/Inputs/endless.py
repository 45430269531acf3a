"""A plug-in whose passes compute, each in another library, until a signal comes."""

import ctypes
import os
import signal
import sys
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.universe import Universe
from xdsl.utils.exceptions import PassFailedException


@dataclass(frozen=True)
class ComputePass(ModulePass):
    """Say `started`, and compute."""

    name = "test-compute"

    where: str
    """The function below."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """See above."""
        print("started", file=sys.stderr, flush=True)
        globals()[self.where]()
        raise PassFailedException("it has ended by itself")


def python() -> None:
    """A loop that catches what it can."""
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue


def lock() -> None:
    """Compiled code that lets nobody else have Python's lock."""
    while True:
        ctypes.PyDLL(None).sleep(1000)


def circt() -> None:
    """A large circuit."""
    from mase_opt.lib.target import circt

    circt.export_verilog(_adders(400_000))


def jit() -> None:
    """Machine code of a large function."""
    from mase_opt.frontend.importer.torch_mlir import CompiledModule

    lines = "\n".join(
        f"%{n} = llvm.mul %{n - 1}, %{n - 2} : i512" for n in range(2, 20_000)
    )
    CompiledModule(
        "llvm.func @f(%0: i512, %1: i512) -> i512 {\n"
        f"{lines}\nllvm.return %19999 : i512\n}}",
        3,
    )


def highs() -> None:
    """A linear program."""
    from mase_opt.lib.hardware.registers import Graph, Net, Scheduler

    count = 8000
    random = np.random.default_rng(0)
    edges = {
        (int(random.integers(max(0, v - 300), v)), v)
        for v in range(1, count)
        for _ in range(4)
    }
    users = [tuple(w for u, w in edges if u == v) for v in range(count)]
    nets = [Net(v, w, int(random.integers(1, 64))) for v, w in enumerate(users) if w]
    Scheduler(Graph([1] * count, edges, nets, [0], [count - 1])).with_depth(2)


def solver() -> None:
    """An adder graph."""
    from mase_opt.lib import native

    weights = np.random.default_rng(0).integers(-99, 99, (80, 80))
    native.solve(weights, np.array([[-128, 127]] * 80), effort=3)


def yosys() -> None:
    """A program that starts another."""
    from mase_opt.lib.target.yosys import synthesize

    synthesize("", "top")


def verilator() -> None:
    """A C++ compiler."""
    from mase_opt.lib.hardware.interface import Port, PortLayout
    from mase_opt.lib.simulation.verilator import VerilatorSimulator
    from mase_opt.lib.target.circt import export_verilog

    ports = tuple(Port(n, d, 1, 32, False) for n, d in (("a", "in"), ("y", "out")))
    layout = PortLayout("top", ports)
    VerilatorSimulator(export_verilog(_adders(5_000)), layout, optimize=3)


def _adders(count: int) -> str:
    lines = "\n".join(
        f"%{n} = comb.{'mul' if n % 2 else 'xor'} %{n - 1}, %{max(n - 9, 0)} : i32"
        for n in range(1, count)
    )
    return (
        f"hw.module @top(in %a : i32, out y : i32) {{\n%0 = comb.xor %a, %a : i32\n"
        f"{lines}\nhw.output %{count - 1} : i32\n}}"
    )


def crash() -> None:
    """As a compiled library does it."""
    os.kill(os.getpid(), signal.SIGSEGV)


UNIVERSE = Universe(all_passes={"test-compute": lambda: ComputePass})
