"""
One model at every level: float, quantized, simulated circuit, Verilator.

A `Model` holds what a level needs and makes it when it is first asked for: a model
file is imported, quantized and lowered; a folder that `mase-opt -o` wrote is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.utils.exceptions import InterpretationError

from mase_opt.dialects.mase.types import ElementType, element_of
from mase_opt.frontend.inputs import load_mase
from mase_opt.lib.data.samples import encode_inputs, inputs_of, load_samples
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import FormatError
from mase_opt.lib.hardware.codec import lanes_of
from mase_opt.lib.hardware.interface import PortLayout
from mase_opt.lib.interpreters.codes import from_codes, to_codes
from mase_opt.lib.interpreters.exact import Array
from mase_opt.lib.interpreters.mase import evaluate, main_function
from mase_opt.model.emit import CIRCUIT, MANIFEST, MODEL, describe_interface, run_pass
from mase_opt.model.stages import LOWER_TO_HARDWARE
from mase_opt.model.verify import from_ports, results_of, to_ports
from mase_opt.registry import load_universe, new_context

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
        self._ctx = new_context(load_universe())
        self._folder = Path(source) if Path(source).is_dir() else None
        if self._folder is not None and (quantize or calibration):
            raise UserError(
                f"'{source}' is quantized already: --quantize and --calibrate are for "
                "model files"
            )

    def _load(self, source: str) -> ModuleOp:
        return load_mase(source, self._ctx)

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
        except (OSError, ValueError, RecursionError) as error:
            raise self._damaged(MANIFEST, str(error)) from error
        if not isinstance(data, dict):
            raise self._damaged(MANIFEST, "it is no JSON object")
        return cast("dict[str, Any]", data)

    def _damaged(self, file: str, reason: str) -> UserError:
        assert self._folder is not None
        return UserError(f"'{self._folder / file}' is damaged: {reason}; emit it again")

    @contextmanager
    def _reading(self, file: str) -> Generator[None]:
        """In a folder, say of which file an error is."""
        try:
            yield
        except UserError as error:
            if self._folder is None:
                raise
            raise self._damaged(file, str(error)) from error

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
        from mase_opt.lib.transforms.mase_quantize import needs_formats

        # A model file may hold formats already.
        if self._quantize or needs_formats(main_function(module)):
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
        """
        The circuit's ports.

        Raises `UserError` if what the folder says of them is not the same everywhere.
        """
        from mase_opt.lib.target.layout import port_layout, text_layout

        if isinstance(self.circuit, ModuleOp):
            return port_layout(self.circuit)
        with self._reading(CIRCUIT):
            layout = text_layout(self.circuit)
        for key, value in describe_interface(layout).items():
            if difference := _difference(key, self.manifest.get(key), value):
                raise self._damaged(MANIFEST, f"{difference} in {CIRCUIT}")
        function = main_function(self.quantized)
        lanes = {
            "in": [lane for value in function.args for lane in lanes_of(value)],
            "out": [v for r in results_of(function) for v in lanes_of(r)],
        }
        wanted = [
            (way, lane.shape, lane.codes.bits, lane.codes.min_code < 0, lane.type)
            for way, found in lanes.items()
            for lane in found
        ]
        found = [
            (p.direction, p.shape, p.width, p.signed, p.format) for p in layout.ports
        ]
        if wanted != found:
            raise self._damaged(MODEL, f"its function has not the ports of {CIRCUIT}")
        return layout

    @cached_property
    def verilog(self) -> str:
        """The SystemVerilog of all modules."""
        if self._folder is not None:
            sources: Any = self.manifest.get("sources")
            if not isinstance(sources, list) or not sources:
                raise self._damaged(MANIFEST, f"its sources are {sources!r}")
            names = cast("list[Any]", sources)
            if others := [n for n in names if n != Path(str(n)).name]:
                raise self._damaged(MANIFEST, f"{others[0]!r} is no file of the folder")
            return "".join(_read(self._folder / name) for name in names)
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
                from mase_opt.lib.simulation.choose import simulator_for

                layout, count = self.layout, len(samples[0])
                with self._reading(CIRCUIT):
                    simulator = simulator_for(self.circuit, layout, count)
                return self._on_ports(simulator.run, samples)
            case Level.VERILOG:
                from mase_opt.lib.simulation.verilator import VerilatorSimulator

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


def _difference(where: str, stated: Any, right: Any) -> str | None:
    """The first difference of data as JSON has it, in words; None if there is none."""
    given, wanted = _leaves(where, stated), _leaves(where, right)
    for place in wanted | given:
        here, there = (leaves.get(place, "missing") for leaves in (given, wanted))
        if here != there:
            return f"{place} is {here} here, {there}"
    return None


def _leaves(where: str, data: Any) -> dict[str, str]:
    """What is in nested data, as JSON, by its place."""
    parts: dict[str, Any] = {}
    if isinstance(data, dict):
        items = cast("dict[str, Any]", data).items()
        parts = {f"{where}.{key}": value for key, value in items}
    elif isinstance(data, list):
        values = enumerate(cast("list[Any]", data))
        parts = {f"{where}[{index}]": value for index, value in values}
    if not parts:
        return {where: json.dumps(data)}
    leaves = [_leaves(place, value) for place, value in parts.items()]
    return {place: text for found in leaves for place, text in found.items()}


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
