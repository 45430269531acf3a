"""A model at every level: what Python users hold, and what the tools are made of."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.parser import Parser
from xdsl.passes import ModulePass
from xdsl.utils.arg_spec import ArgSpec, ParameterListType
from xdsl.utils.exceptions import InterpretationError

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import ElementType, element_of
from mase_opt.lib.analysis.nodes import nodes_table
from mase_opt.lib.analysis.observation import calibration_inputs
from mase_opt.lib.analysis.operations import operations_table
from mase_opt.lib.analysis.quantization import summary
from mase_opt.lib.analysis.statistics import TENSORS, statistics
from mase_opt.lib.atomic import atomic_file
from mase_opt.lib.data.samples import (
    Array,
    Data,
    as_labels,
    as_samples,
    encode_inputs,
    inputs_of,
    labels_in,
)
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import FormatError
from mase_opt.lib.interpreters.codes import from_codes, to_codes
from mase_opt.lib.interpreters.mase import evaluate
from mase_opt.lib.model_function import model_function
from mase_opt.lib.quantization.batch_norm import fold_batch_norms
from mase_opt.lib.quantization.calibrate import calibrate
from mase_opt.lib.quantization.decision import (
    check_prepared,
    decide,
    forget_prepared,
    recipe_of,
)
from mase_opt.lib.quantization.quantize import quantize, quantized_function
from mase_opt.lib.quantization.recipe import Recipe
from mase_opt.lib.quantization.subject import Subject
from mase_opt.lib.reports.quantization import quantization_page
from mase_opt.lib.search.space import decided_hardware
from mase_opt.lib.suggest import did_you_mean
from mase_opt.lib.table import Table
from mase_opt.model.diagnostics import ReportedError, error_report_of
from mase_opt.model.metrics import METRICS
from mase_opt.model.stages import (
    BUILD_HARDWARE,
    MAKE_EXPLICIT,
    Architecture,
    Options,
    check_clock,
    run_pass,
)
from mase_opt.pass_options import build_pass, option_fields
from mase_opt.registry import load_universe, new_context

if TYPE_CHECKING:
    import torch

    from mase_opt.frontend.to_torch import MaseModule
    from mase_opt.frontend.to_torch.steps import Steps
    from mase_opt.lib.cost.estimate import Estimate
    from mase_opt.lib.hardware.interface import PortLayout
    from mase_opt.model.emit import Result
    from mase_opt.model.folder import Folder
    from mase_opt.search.study import Study

BATCH = 256
"""Samples that the interpreter takes at a time."""

Metric = str | Callable[[Array, Array], float]


class Level(StrEnum):
    """Where a model runs."""

    FLOAT = "float"
    """The model before quantization in the interpreter."""
    QUANTIZED = "quantized"
    """The quantized model in the interpreter: every result is exact, then rounded."""
    LOWERED = "lowered"
    """The same, with all that hardware computes made explicit."""
    RTL = "rtl"
    """The circuit, simulated in this process."""
    VERILOG = "verilog"
    """The emitted SystemVerilog, under Verilator."""


@contextmanager
def user_errors() -> Generator[None]:
    """Raise what a user can act on as `UserError`, with the command line's message."""
    try:
        yield
    except UserError:
        raise
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UserError('this needs torch: pip install "mase-opt[torch]"') from error
    except Exception as error:
        report = error_report_of(error)
        if report is None:
            raise
        raise ReportedError(report) from error


class _Home:
    """What models share that were made from another."""

    def __init__(self, plugins: Sequence[str]):
        self.plugins = tuple(plugins)
        self.universe = load_universe(plugins)
        self.steps: Steps | None = None
        """How ops are computed in torch."""
        self.context = new_context(self.universe)
        for name in ("builtin", "func", "mase"):
            self.context.get_dialect(name)


class Model:
    """
    A model in the mase dialect: immutable, every step gives a new one.

    Made by `load`, `import_torch`, `from_torch`, or from IR. All methods raise
    `UserError` for what a user can mend; warnings are Python's.
    """

    def __init__(self, ir: ModuleOp, *, plugins: Sequence[str] = ()):
        """
        The model whose only function `ir` holds; `ir` must not change from then on.

        `plugins` are files that define UNIVERSE.
        """
        with user_errors():
            if not isinstance(cast(Any, ir), ModuleOp):
                raise UserError(f"ir is {type(ir).__name__}, expected a ModuleOp")
            self._start(ir, _Home(plugins))

    def _start(
        self,
        ir: ModuleOp,
        home: _Home,
        unquantized: Model | None = None,
        folder: Folder | None = None,
    ) -> None:
        self._ir = ir
        self._home = home
        self._unquantized = unquantized
        self._folder = folder

    @staticmethod
    def _made(
        ir: ModuleOp,
        home: _Home,
        unquantized: Model | None = None,
        folder: Folder | None = None,
    ) -> Model:
        model = Model.__new__(Model)
        model._start(ir, home, unquantized, folder)
        return model

    # ---- what it is ---------------------------------------------------------------

    @property
    def ir(self) -> ModuleOp:
        """The xDSL module. Other models share it: clone it before you change it."""
        return self._ir

    @cached_property
    def function(self) -> FuncOp:
        """The only function of `ir`."""
        with user_errors():
            return model_function(self._ir)

    @cached_property
    def is_quantized(self) -> bool:
        """Whether nothing is left in floating point that could have a format."""
        return not self._subject.needs_formats

    @property
    def passes(self) -> Mapping[str, Callable[[], type[ModulePass]]]:
        """The passes that `apply` knows, those of plug-ins included, by name."""
        return self._home.universe.all_passes

    @property
    def recipe(self) -> Recipe | None:
        """What has decided on the formats, if the IR says so."""
        with user_errors():
            return recipe_of(self.function)

    @property
    def unquantized(self) -> Model:
        """The model in floating point that this one was made from."""
        if self._unquantized is not None and self.is_quantized:
            return self._unquantized
        if self._folder is not None:
            raise UserError(
                f"folder '{self._folder.path}' holds the quantized model only: run "
                "--level float on the model file"
            )
        return self

    def _table(self) -> Table:
        state = "quantized" if self.is_quantized else "floating point"
        table = summary(self.function)
        return replace(table, title=f"{self.function.sym_name.data}: {state}")

    def __repr__(self) -> str:
        return self._table().text(80)

    def _repr_html_(self) -> str:
        return self._table().html()

    # ---- reports --------------------------------------------------------------------

    def layers(self, data: Data | None = None) -> Table:
        """
        A row for each layer: formats, memory, and signal to quantization noise in dB.

        Noise is against `unquantized`; of results only with `data`, as for `calibrate`.
        """
        with user_errors():
            reference = self._reference
            if reference is None:
                return summary(self.function)
            inputs = None
            if data is not None:
                inputs = as_samples(data, inputs_of(reference))
            return summary(self.function, reference, inputs)

    def graph(self, by: str = "node") -> Table:
        """
        A row for each node: what it reads, its shape, format, and bits of memory.

        With `by` = `type`, for each kind of node.
        """
        with user_errors():
            return nodes_table(self.function, by)

    def operations(self, ignore: Sequence[str] = ()) -> Table:
        """
        A row for each layer: parameters, products in sums, and operations.

        `ignore` are kinds (`conv2d`) and paths of layers that do not count, nor what is
        below them. Operations are for the batch of the shapes.
        """
        with user_errors():
            return operations_table(self.function, ignore)

    def statistics(
        self,
        data: Data | None = None,
        *,
        tensors: Sequence[str] = TENSORS,
        layers: str | None = None,
        quantiles: Sequence[float] = (),
        absolute: bool = False,
        channels: bool = False,
        samples: int | None = None,
    ) -> Table:
        """
        A row for each tensor: range, mean, deviation and `quantiles`, all exact.

        `data` and `samples` are as for `calibrate`. `tensors` are any of `inputs`,
        `parameters` and `results`, of layers whose path fits the regular expression
        `layers`; `absolute` takes magnitudes; with `channels`, a row for each channel.
        """
        with user_errors():
            inputs = calibration_inputs(
                self.function, data=data, samples=samples, seed=0
            )
            return statistics(
                self.function,
                inputs,
                tensors=tensors,
                quantiles=quantiles,
                absolute=absolute,
                channels=channels,
                pattern=layers,
            )

    def report(self, path: str | Path, data: Data | None = None) -> None:
        """
        Write a page about formats, noise and distributions of each layer, the worst
        first, and the graph with bits on its edges.

        It needs no other file. `data` is as for `calibrate`; the model must be
        quantized.
        """
        with user_errors():
            reference = self._reference
            if reference is None:
                raise UserError("report() is about a quantized model: quantize() first")
            inputs = calibration_inputs(reference, data=data, samples=None, seed=0)
            with atomic_file(str(path)) as stream:
                stream.write(quantization_page(self.function, reference, inputs))

    @property
    def _reference(self) -> FuncOp | None:
        """What results are compared with; None if the model is in floating point."""
        if not self.is_quantized or self.unquantized is self:
            return None
        module = self.unquantized.ir.clone()
        fold_batch_norms(module)
        return model_function(module)

    # ---- new models ---------------------------------------------------------------

    def calibrate(
        self,
        data: Data | None = None,
        *,
        samples: int | None = None,
        seed: int = 0,
        channels: bool = False,
    ) -> Model:
        """
        The model with the distribution of its values on `data`, batch norms folded.

        `data` are arrays or tensors `[N, *shape]`, one, a sequence or a mapping by
        argument names; a loader of batches; or the name of a `.npz` or `.npy` file.
        None: normal numbers, with a warning. `samples` are taken at most; `channels`
        records each channel, too.
        """
        with user_errors():
            module = self._ir.clone()
            fold_batch_norms(module)
            calibrate(module, data=data, samples=samples, seed=seed, channels=channels)
            return self._derived(module)

    def quantize(
        self,
        recipe: Recipe | Mapping[str, Any] | str | Path | None = None,
        *,
        masters: bool = False,
        **options: Any,
    ) -> Model:
        """
        The model in the formats that a recipe decides on.

        `recipe` is a `Recipe`, its arguments as a dictionary, or a TOML file; `options`
        are arguments of `Recipe`, and replace its own. Without either, the IR's recipe
        counts, or 8-bit fixed point. With `masters`, constants stay in floating point,
        with casts behind them, for training.
        """
        with user_errors():
            own = Recipe.known(options, "quantize()")
            if recipe is not None:
                chosen = replace(Recipe.of(recipe), **own)
            else:
                chosen = None if own else recipe_of(self.function)
                chosen = chosen or Recipe(**own)
            module = self._quantized(chosen, masters=masters)
            if module is None:
                warnings.warn(
                    "quantize() has no effect: no value in floating point is left",
                    stacklevel=2,
                )
                module = self._ir.clone()
            function = model_function(module)
            decide(function, chosen)
            forget_prepared(function)
            return self._derived(module)

    def _quantized(self, recipe: Recipe, *, masters: bool) -> ModuleOp | None:
        """A new module; None if there is nothing to quantize."""
        subject = self._subject
        check_prepared(self.function, recipe, "options")
        if subject.is_calibrated and not subject.has_batch_norms:
            made = quantized_function(subject, recipe, masters=masters)
            if made is None:
                return None
            others = [op.clone() for op in self._ir.ops if op is not self.function]
            return ModuleOp([made, *others], self._ir.attributes, self._ir.sym_name)
        module = self._ir.clone()
        return module if quantize(module, recipe, masters=masters) else None

    @cached_property
    def _subject(self) -> Subject:
        return Subject(self.function)

    def apply(self, name: str, **options: Any) -> Model:
        """
        The model after the registered pass `name`, whose `mase-` may be missing.

        `options` are those of the pass, with underscores; lists for several values.
        """
        with user_errors():
            known = self.passes
            name = name if name in known else f"mase-{name}".removeprefix("mase-mase-")
            module = self._ir.clone()
            self._run(module, name, **options)
            return self._derived(module)

    def _derived(self, module: ModuleOp) -> Model:
        origin = self._unquantized if self.is_quantized else self
        return Model._made(module, self._home, origin)

    def _run(self, module: ModuleOp, name: str, **options: Any) -> None:
        values: dict[str, ParameterListType] = {}
        for option, value in options.items():
            several = cast("Sequence[Any]", value)
            if value is not None:
                is_list = isinstance(value, list | tuple)
                values[option] = tuple(several) if is_list else (value,)
        run_pass(self._home.context, module, name, values, self._home.universe)

    # ---- running ------------------------------------------------------------------

    def run(
        self, data: Data, *, level: Level | str | None = None, codes: bool = False
    ) -> Any:
        """
        The results on `data`, which is as for `calibrate`; several as a tuple.

        Numbers `[N, …]`, N the batch, as of `to_torch`; with `codes`, integers as the
        circuit's ports have them (numbers for builtin types). `level` is `float`,
        `quantized`, `lowered`, `rtl` or `verilog`; None: `quantized` for a quantized
        model, else `float`.
        """
        with user_errors():
            level = self._level(level)
            samples = as_samples(data, inputs_of(self.function))
            results = self.results(level, samples)
            if not codes:
                results = self.numbers(level, results)
            joined = [a.reshape(-1, *a.shape[2:]) if a.ndim > 1 else a for a in results]
            return joined[0] if len(joined) == 1 else tuple(joined)

    def evaluate(
        self,
        data: Data,
        labels: Any = None,
        *,
        metric: Metric = "accuracy",
        level: Level | str | None = None,
        samples: int | None = None,
    ) -> float:
        """
        A metric of the first result on `data`: `accuracy`, the share of samples whose
        highest score is the label, `cross_entropy`, or a function of results (samples
        in front of the shape in the IR) and labels.

        `labels` are one per sample; of a loader and a file they come with the data.
        """
        with user_errors():
            level = self._level(level)
            function = METRICS.get(metric) if isinstance(metric, str) else metric
            if function is None:
                raise UserError(
                    f"unknown metric '{metric}': expected one of {', '.join(METRICS)}, "
                    "or a function"
                )
            if labels is None:
                data, labels = labels_in(data, samples)
            inputs = as_samples(data, inputs_of(self.function), samples)
            if not inputs:
                raise UserError("the model takes no input: there is nothing to run")
            wanted = as_labels(labels, len(inputs[0]), classes=isinstance(metric, str))
            results = self.numbers(level, self.results(level, inputs))[0]
            return float(function(results, wanted))

    def _level(self, level: Level | str | None) -> Level:
        if level is None:
            quantized = self.is_quantized
            return Level.QUANTIZED if quantized else Level.FLOAT
        try:
            level = Level(level)
        except ValueError:
            names = ", ".join(Level)
            raise UserError(f"level is '{level}', expected one of {names}") from None
        if level is not Level.FLOAT and not self.is_quantized:
            raise UserError(
                f"the model is in floating point: quantize() it for level {level}"
            )
        return level

    def results(self, level: Level, samples: Sequence[Array]) -> list[Array]:
        """
        The results at `level`, each `[samples, *shape]`.

        Numbers at level float, codes (numbers for builtin types) at the others.
        """
        if level is Level.FLOAT:
            return _in_batches(self.unquantized.ir, samples)
        try:
            held = encode_inputs(self.function, samples)
        except FormatError as error:
            raise UserError(f"input data: {error}") from error
        if level in (Level.QUANTIZED, Level.LOWERED):
            module = self._ir if level is Level.QUANTIZED else self.lowered
            outputs = _in_batches(module, held)
            return [to_codes(v, a) for v, a in zip(self._results, outputs, strict=True)]
        return self._on_ports(level, held)

    def _on_ports(self, level: Level, held: Sequence[Array]) -> list[Array]:
        from mase_opt.model.verify import from_ports, to_ports

        layout = self.layout
        ports = to_ports(held, self.function.args, layout, "in")
        if level is Level.RTL:
            from mase_opt.lib.simulation.choose import simulator_for

            count = len(held[0]) if held else 0
            if self._folder is None:
                simulator = simulator_for(self.circuit, layout, count)
            else:
                memories = self._folder.memories
                with self._folder.reading("circuit.mlir"):
                    simulator = simulator_for(self.circuit, layout, count, memories)
            codes = simulator.run(ports)
        else:
            from mase_opt.lib.simulation.verilator import VerilatorSimulator

            memories = self._folder.memories if self._folder is not None else {}
            with VerilatorSimulator(
                self.verilog, layout, memories=memories
            ) as verilated:
                codes = verilated.run(ports)
        return from_ports(codes, self._results, layout, "out")

    def numbers(self, level: Level, results: Sequence[Array]) -> list[Array]:
        """What `results` returns, as numbers."""
        if level is Level.FLOAT:
            return list(results)
        return [_numbers(v, a) for v, a in zip(self._results, results, strict=True)]

    @property
    def _results(self) -> Sequence[SSAValue]:
        returned = self.function.get_return_op()
        assert returned is not None
        return returned.operands

    def save(self, path: str | Path) -> None:
        """Write the IR, with its weights, to a file that `load` and `mase-opt` read."""
        with user_errors(), atomic_file(str(path)) as stream:
            stream.write(self.text)

    @property
    def text(self) -> str:
        """The IR, with its weights, as `load` and `mase-opt` read it."""
        from mase_opt.model.emit import to_text

        return to_text(self._ir, self._home.context)

    def __reduce__(self) -> tuple[Any, ...]:
        plugins = self._home.plugins
        return _read, (self.text, plugins, self._unquantized, self._folder)

    # ---- search -------------------------------------------------------------------

    def search(
        self,
        config: str | Path | Mapping[str, Any],
        *,
        data: Any = None,
        output: str | Path | None = None,
        **setup: Any,
    ) -> Study:
        """
        Try models that this one could become: formats, pruning, hardware options.

        `config` is a TOML file, or what is in its table `[search]`. `data` are those of
        `[search.data]`: `(inputs, labels)`, a loader or a file, or a mapping of such by
        names; one alone is called `val`. The study is kept in the folder `output`, or
        in `storage`; it is taken up again if it is there already. `setup` are settings
        of `[search.strategy.setup]`, and replace its own.
        """
        from mase_opt.search.search import search

        with user_errors():
            return search(self, config, data=data, output=output, **setup)

    # ---- lowering -----------------------------------------------------------------

    @cached_property
    def lowered(self) -> ModuleOp:
        """The model after every pass that stays in the mase dialect."""
        if self._folder is not None:
            return self._ir
        with user_errors():
            module = self._explicit.clone()
            for name in BUILD_HARDWARE[:-1]:
                run_pass(self._home.context, module, name, None, self._home.universe)
            return module

    def _codes(self) -> ModuleOp:
        """The IR without masters for training: constants are codes."""
        module = self._ir
        if any(isinstance(op, ConstantOp) and _is_master(op) for op in module.walk()):
            module = module.clone()
            run_pass(self._home.context, module, "canonicalize")
        return module

    @cached_property
    def _explicit(self) -> ModuleOp:
        module = self._codes().clone()
        for name in MAKE_EXPLICIT:
            run_pass(self._home.context, module, name, None, self._home.universe)
        return module

    @cached_property
    def circuit(self) -> ModuleOp | str:
        """The hardware: a module, or the text that the folder holds."""
        if self._folder is not None:
            return self._folder.circuit
        with user_errors():
            self._check_legal(self._explicit)
            module = self.lowered.clone()
            run_pass(self._home.context, module, BUILD_HARDWARE[-1])
            return module

    @staticmethod
    def _check_legal(module: ModuleOp) -> None:
        """Before the search for adder graphs, which takes long."""
        from mase_opt.lib.conversion.unrolled.legality import check_function

        check_function(model_function(module))

    @cached_property
    def layout(self) -> PortLayout:
        """The circuit's ports."""
        from mase_opt.lib.target.layout import port_layout

        if self._folder is not None:
            return self._folder.layout(self.function)
        assert isinstance(self.circuit, ModuleOp)
        return port_layout(self.circuit)

    @cached_property
    def verilog(self) -> str:
        """The SystemVerilog of all modules."""
        if self._folder is not None:
            return self._folder.verilog
        from mase_opt.lib.target.circt import export_verilog

        return export_verilog(self.circuit)

    def emit(
        self,
        output: str | Path | None = None,
        *,
        verify: int = 64,
        split: bool = False,
        synth: bool = False,
        architecture: str = "unrolled",
        clock: float | None = None,
        **options: Any,
    ) -> Result:
        """
        SystemVerilog, written to a folder or a `.sv` file if `output` names one.

        Interpreter and circuit are compared on corners and `verify` random vectors, 0
        for none. `split` writes one file per module; `synth` asks Yosys. `options` are
        those of `mase-build-adder-graphs` and `convert-mase-to-hw`: `effort`, `dsp`,
        `max_logic_depth`, `stages`, `stall` and so on. With `architecture` "streamed",
        layers share multipliers over time; `options` are then those of
        `mase-allocate-parallelism` and `convert-mase-to-stream`: `multipliers`,
        `interval`, `layers`, `max_logic_depth`; `interface` "axis" gives AXI4-Streams.
        `clock`, in hertz, is that of the samples per second in the report, and of
        `rate`.
        """
        from mase_opt.model.emit import EmitOptions, check_output, emit_sv

        with user_errors():
            if self._folder is not None:
                raise UserError(f"folder '{self._folder.path}' is emitted already")
            self._level(Level.LOWERED)
            if verify < 0:
                raise UserError(f"verify is {verify}, expected at least 0")
            path = None if output is None else Path(output)
            built = Architecture.of(architecture)
            command = f"Model.emit({str(output)!r})"
            if clock is not None:
                check_clock(clock)
                if options.get("rate") is not None:
                    options["clock"] = clock
            chosen = EmitOptions(path, split, synth, verify, command, built, clock)
            check_output(chosen)
            module = self._codes().clone()
            hardware = self._hardware_options(options, built)
            return emit_sv(module, self._home.context, chosen, hardware=hardware)

    def estimate(self, **options: Any) -> Estimate:
        """
        What the circuit costs, without building it: LUTs, registers, latency.

        `options` are those of `emit` that build hardware. How far off LUTs are is
        `error`.
        """
        from mase_opt.lib.conversion.convert_mase_to_hw import ConvertMaseToHwPass
        from mase_opt.lib.cost.estimate import estimate
        from mase_opt.lib.transforms.mase_build_adder_graphs import (
            MaseBuildAdderGraphsPass,
        )

        with user_errors():
            if self._folder is not None:
                raise UserError(f"folder '{self._folder.path}' is emitted already")
            self._level(Level.LOWERED)
            decided = decided_hardware(self.function)
            chosen = self._hardware_options(options, Architecture.UNROLLED)
            passes = self._home.universe.all_passes
            graphs, hardware = (
                build_pass(
                    passes, ArgSpec(name, {**decided.get(name, {}), **chosen[name]})
                )
                for name in BUILD_HARDWARE
            )
            assert isinstance(graphs, MaseBuildAdderGraphsPass)
            assert isinstance(hardware, ConvertMaseToHwPass)
            self._check_legal(self._explicit)
            # Without ops that change nothing, which are wires.
            module = self._explicit.clone()
            run_pass(self._home.context, module, "canonicalize")
            return estimate(module, graphs, hardware)

    def _hardware_options(
        self, options: Mapping[str, Any], architecture: Architecture
    ) -> dict[str, Options]:
        """Options by the pass that builds hardware and has them."""
        fields = {
            n: option_fields(self._home.universe.all_passes[n]())
            for n in architecture.passes
        }
        known = [option for names in fields.values() for option in names]
        for option in options:
            if (name := option.replace("_", "-")) not in known:
                raise UserError(
                    f"unknown option '{option}'{did_you_mean(name, known)} (options: "
                    f"{', '.join(known)})"
                )
        given = {k.replace("_", "-"): v for k, v in options.items() if v is not None}
        return {
            name: {k: _option_values(given[k]) for k in fields[name] if k in given}
            for name in architecture.passes
        }

    # ---- torch --------------------------------------------------------------------

    def to_torch(
        self, *, learn_scales: bool = False, learn_widths: bool = False
    ) -> MaseModule:
        """
        The model as a `torch.nn.Module` that computes the same numbers.

        With `learn_scales`, the scales of scaled formats are parameters; with
        `learn_widths`, the fractions of `mase.cast_elements`, whose results are then
        not brought into range: ranges follow from what the module sees.
        """
        with user_errors():
            from mase_opt.frontend.to_torch import to_torch
            from mase_opt.frontend.to_torch.steps import Steps

            if self._home.steps is None:
                self._home.steps = Steps()
            steps = self._home.steps
            module = to_torch(
                self._ir,
                learn_scales=learn_scales,
                learn_widths=learn_widths,
                share=steps,
            )
            _ORIGINS[module] = self
            return module


def _read(
    text: str, plugins: Sequence[str], unquantized: Model | None, folder: Folder | None
) -> Model:
    """A model that was pickled."""
    home = _Home(plugins)
    module = Parser(home.context, text, "pickled model").parse_module()
    return Model._made(module, home, unquantized, folder)  # pyright: ignore[reportPrivateUsage]


def _option_values(value: Any) -> tuple[Any, ...]:
    """The values of an option, of which lists have several."""
    return (
        tuple(cast("Sequence[Any]", value))
        if isinstance(value, list | tuple)
        else (value,)
    )


_ORIGINS: WeakKeyDictionary[Any, Model] = WeakKeyDictionary()
"""The models that torch modules were made from."""


def load(source: str | Path, *, plugins: Sequence[str] = ()) -> Model:
    """
    The model that `source` names: any input of `mase-opt`, or a folder that it wrote.

    `plugins` are files that define UNIVERSE. Raises `UserError`.
    """
    from mase_opt.frontend.inputs import load_mase

    with user_errors():
        home, name, folder = _Home(plugins), str(source), None
        if Path(source).is_dir():
            from mase_opt.model.folder import Folder

            folder = Folder(name)
            name = folder.model
        module = load_mase(name, home.context)
        return Model._made(module, home, folder=folder)  # pyright: ignore[reportPrivateUsage]


def import_torch(
    module: torch.nn.Module | Any,
    example_inputs: Sequence[Any] | Mapping[str, Any] = (),
    name: str | None = None,
) -> Model:
    """
    The model of a torch module, or of an exported program.

    Its inputs have the shapes of the example inputs; the function is called `name`, or
    after the module's class. Raises `UserError` where torch cannot trace the module, or
    for ops that have no meaning here.
    """
    with user_errors():
        import torch
        from torch.export import ExportedProgram

        from mase_opt.frontend.import_torch import import_torch

        if not isinstance(module, torch.nn.Module | ExportedProgram):
            raise UserError(
                f"module is {type(module).__name__}, expected a torch.nn.Module or an "
                "exported program"
            )
        return Model(import_torch(module, example_inputs, name))


def from_torch(module: MaseModule) -> Model:
    """
    The model that `module`, made by `Model.to_torch`, evaluates, as it is now.

    Float constants have the trained numbers, scaled formats the learned scales.
    """
    with user_errors():
        from mase_opt.frontend.from_torch import from_torch
        from mase_opt.frontend.to_torch import MaseModule

        if not isinstance(cast(Any, module), MaseModule):
            raise UserError(
                f"module is {type(module).__name__}, expected what Model.to_torch "
                "makes; import_torch takes other modules"
            )
        ir, origin = from_torch(module), _ORIGINS.get(module)
        if origin is None:
            return Model(ir)
        return origin._derived(ir)  # pyright: ignore[reportPrivateUsage]


def _is_master(op: ConstantOp) -> bool:
    return is_float(element_of(op.result))


def _numbers(value: SSAValue, codes: Array) -> Array:
    element, held = element_of(value), from_codes(value, codes)
    return element.numbers(held) if isinstance(element, ElementType) else held


def _in_batches(module: ModuleOp, samples: Sequence[Array]) -> list[Array]:
    count = max((len(array) for array in samples), default=1)
    parts: list[list[Array]] = []
    try:
        for start in range(0, count, BATCH):
            parts.append(evaluate(module, [a[start : start + BATCH] for a in samples]))
    except InterpretationError as error:
        raise UserError(str(error)) from error
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
