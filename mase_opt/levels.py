"""
One model at every level: float, quantized, simulated circuit, Verilator.

A `Model` holds what a level needs and makes it when it is first asked for: a model
file is imported, quantized and lowered; a folder that `mase-opt -o` wrote is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.utils.exceptions import InterpretationError

from mase_opt.dialects.mase.types import ElementType, element_of
from mase_opt.emit import CIRCUIT, MANIFEST, MODEL, run_pass
from mase_opt.inputs import load_module, read_chunks
from mase_opt.lib.analysis.codes import from_codes, to_codes
from mase_opt.lib.analysis.samples import encode_inputs, inputs_of, load_samples
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import FormatError
from mase_opt.lib.interpreters.exact import Array
from mase_opt.lib.interpreters.mase import evaluate, main_function
from mase_opt.lib.target.interface import PortLayout
from mase_opt.pipelines import IMPORT_PASS, LOWER_TO_HARDWARE
from mase_opt.registry import load_universe
from mase_opt.verify import from_ports, results_of, to_ports

BATCH = 256
"""Samples that the interpreter takes at a time."""


class Level(StrEnum):
    """Where a model runs."""

    FLOAT = "float"
    """The imported model in the interpreter."""
    QUANTIZED = "quantized"
    """The quantized model in the interpreter: every result is exact, then rounded."""
    LOWERED = "lowered"
    """The same, with all that hardware computes made explicit."""
    RTL = "rtl"
    """The circuit, simulated in this process."""
    VERILOG = "verilog"
    """The emitted SystemVerilog, under Verilator."""


class Model:
    """A model file, or a folder that `mase-opt --emit-sv -o` wrote."""

    def __init__(
        self, source: str, *, quantize: str = "", calibration: str | None = None
    ):
        """
        `quantize` are options of `mase-quantize`, `calibration` is a data file.

        Raises `UserError` if the source cannot be read.
        """
        self.source = source
        self._quantize = quantize
        self._calibration = calibration
        self._ctx = Context()
        for name, factory in load_universe().all_dialects.items():
            self._ctx.register_dialect(name, factory)
        self._folder = Path(source) if Path(source).is_dir() else None
        if self._folder is not None and (quantize or calibration):
            raise UserError(
                f"'{source}' is quantized already: --quantize and --calibrate are for "
                "model files"
            )

    def _load(self, source: str) -> ModuleOp:
        (chunk,) = read_chunks(source, split=False)
        module = load_module(chunk, self._ctx, implicit_module=True)
        module.verify()
        run_pass(self._ctx, module, IMPORT_PASS)
        return module

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest of the folder. Raises `UserError` if it is damaged."""
        assert self._folder is not None
        try:
            data = json.loads((self._folder / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UserError(
                f"folder '{self._folder}' has no {MANIFEST}: name a folder that "
                "mase-opt --emit-sv -o wrote"
            ) from error
        except (OSError, ValueError) as error:
            raise UserError(
                f"'{self._folder / MANIFEST}' is damaged: {error}; emit it again"
            ) from error
        if not isinstance(data, dict) or "interface" not in data:
            raise UserError(
                f"'{self._folder / MANIFEST}' is damaged: no interface; emit it again"
            )
        return cast("dict[str, Any]", data)

    @cached_property
    def imported(self) -> ModuleOp:
        """The model before quantization."""
        if self._folder is not None:
            raise UserError(
                f"folder '{self._folder}' holds the quantized model only: run "
                "--level float on the model file"
            )
        return self._load(self.source)

    @cached_property
    def quantized(self) -> ModuleOp:
        """The quantized model; of a folder, the lowered one."""
        if self._folder is not None:
            assert self.manifest
            return self._load(str(self._folder / MODEL))
        module = self.imported.clone()
        if self._calibration is not None:
            run_pass(
                self._ctx, module, "mase-calibrate", {"data": (self._calibration,)}
            )
        run_pass(self._ctx, module, "mase-quantize", self._quantize)
        return module

    @cached_property
    def lowered(self) -> ModuleOp:
        """The quantized model after every pass that stays in the mase dialect."""
        if self._folder is not None:
            return self.quantized
        module = self.quantized.clone()
        for name in LOWER_TO_HARDWARE[:-1]:
            run_pass(self._ctx, module, name)
        return module

    @cached_property
    def circuit(self) -> ModuleOp | str:
        """The hardware: a module, or the text that the folder holds."""
        if self._folder is not None:
            return _read(self._folder / CIRCUIT)
        module = self.lowered.clone()
        run_pass(self._ctx, module, LOWER_TO_HARDWARE[-1])
        return module

    @cached_property
    def layout(self) -> PortLayout:
        if self._folder is not None:
            return PortLayout.from_json(self.manifest["interface"])
        from mase_opt.lib.target.layout import port_layout

        assert isinstance(self.circuit, ModuleOp)
        return port_layout(self.circuit)

    @cached_property
    def verilog(self) -> str:
        """The SystemVerilog of all modules."""
        if self._folder is not None:
            sources = self.manifest.get("sources", [])
            return "".join(_read(self._folder / Path(name).name) for name in sources)
        from mase_opt.lib.target.circt import export_verilog

        return export_verilog(self.circuit)

    def load(self, path: str, limit: int | None = None) -> list[Array]:
        """Samples of a data file as the arguments need them, not yet encoded."""
        module = self.quantized if self._folder is not None else self.imported
        return load_samples(path, inputs_of(main_function(module)), limit)

    def run(self, level: Level, samples: Sequence[Array]) -> list[Array]:
        """
        The outputs at `level`, each `[samples, *shape]`.

        Numbers at level float, codes (numbers for builtin types) at the others.
        Raises `UserError` where a value does not fit its format.
        """
        match level:
            case Level.FLOAT:
                return _in_batches(self.imported, samples)
            case Level.QUANTIZED | Level.LOWERED:
                module = self.lowered if level is Level.LOWERED else self.quantized
                outputs = _in_batches(module, self._encode(samples))
                results = results_of(main_function(self.quantized))
                return [to_codes(v, a) for v, a in zip(results, outputs, strict=True)]
            case Level.RTL:
                from mase_opt.lib.target.simulate import Simulator

                simulator = Simulator(self.circuit, self.layout)
                return self._on_ports(simulator.run, samples)
            case Level.VERILOG:
                from mase_opt.lib.target.verilator import VerilatorSimulator

                with VerilatorSimulator(self.verilog, self.layout) as verilated:
                    return self._on_ports(verilated.run, samples)

    def _encode(self, samples: Sequence[Array]) -> list[Array]:
        """Samples as the interpreter holds them in the quantized model's arguments."""
        try:
            return encode_inputs(main_function(self.quantized), samples)
        except FormatError as error:
            raise UserError(f"input data: {error}") from error

    def _on_ports(
        self, run: Callable[[Any], Any], samples: Sequence[Array]
    ) -> list[Array]:
        arguments = main_function(self.quantized).args
        codes = run(to_ports(self._encode(samples), arguments, self.layout, "in"))
        results = results_of(main_function(self.quantized))
        return from_ports(codes, results, self.layout, "out")

    def decode(self, level: Level, outputs: Sequence[Array]) -> list[Array]:
        """Outputs of `run` as numbers."""
        if level is Level.FLOAT:
            return list(outputs)
        results = results_of(main_function(self.quantized))
        return [_numbers(v, a) for v, a in zip(results, outputs, strict=True)]


def _numbers(value: SSAValue, codes: Array) -> Array:
    element, held = element_of(value), from_codes(value, codes)
    return element.numbers(held) if isinstance(element, ElementType) else held


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read '{path}': {error}; emit it again") from error


def _in_batches(module: ModuleOp, samples: Sequence[Array]) -> list[Array]:
    count = max((len(array) for array in samples), default=1)
    parts: list[list[Array]] = []
    try:
        for start in range(0, count, BATCH):
            parts.append(evaluate(module, [a[start : start + BATCH] for a in samples]))
    except InterpretationError as error:
        raise UserError(str(error)) from error
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def accuracy(scores: Array, labels: Array) -> float:
    """
    The share of samples whose highest score (or predicted class) is the label.

    `scores` are `[samples, …, classes]`, or `[samples]` predicted classes. Raises
    `UserError` for labels that are no class, and predictions that are none.
    """
    flat = scores.reshape(len(scores), -1)
    classes = flat.shape[1]
    if classes == 1:
        predicted = flat[:, 0]
        if (predicted != np.floor(predicted)).any():
            raise UserError(
                "accuracy needs scores of classes, but the model's result is a single "
                "number: leave --labels out"
            )
    else:
        predicted = flat.argmax(axis=1)
        if (wrong := (labels < 0) | (labels >= classes)).any():
            raise UserError(
                f"label {labels[wrong][0]} of sample {wrong.argmax()} is no class: the "
                f"model has {classes}, counted from 0 on"
            )
    return float((predicted == labels).mean())
