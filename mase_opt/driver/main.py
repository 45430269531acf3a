"""
`mase-opt`: xDSL's optimizer driver with pass flags, clean errors and `--emit-sv`.

Options, printing and the pass machinery are xDSL's. Added: each registered pass is
a flag too, every model format is an input, errors are one line with a place,
`--verify-diagnostics` compares with `expected-error` comments, outputs are written
atomically, and a bug leaves a reproducer.
"""

import contextlib
import dataclasses
import inspect
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute
from xdsl.passes import ModulePass, PassPipeline
from xdsl.universe import XDSL_UNIVERSE
from xdsl.utils.arg_spec import ArgSpec, parse_spec
from xdsl.utils.diagnostic import Diagnostic
from xdsl.utils.exceptions import ArgSpecParseError, ParseError, ShrinkException
from xdsl.xdsl_opt_main import xDSLOptMain

from mase_opt import __version__
from mase_opt.driver.command_line import DEFAULT_SAMPLES, DriverParser, plugin_files
from mase_opt.driver.expected import expectations, mismatches
from mase_opt.frontend.inputs import SPLIT_MARKER, Chunk, load_module, read_chunks
from mase_opt.lib import console
from mase_opt.lib.atomic import atomic_file
from mase_opt.lib.errors import UserError
from mase_opt.lib.standard_output import stdout_to_stderr, write_result
from mase_opt.model.diagnostics import ErrorReport, error_report_of, failure
from mase_opt.model.stages import (
    BUILD_HARDWARE,
    BUILD_STREAMS,
    IMPORT_PASS,
    MAKE_EXPLICIT,
    Architecture,
    check_clock,
    needs_mase,
)
from mase_opt.pass_options import build_pass, parse_flag_options, parse_pipeline_text
from mase_opt.registry import load_universe, new_context, plugin_of, plugin_place

if TYPE_CHECKING:
    from xdsl.utils.target import Target

    from mase_opt.model.emit import EmitOptions
    from mase_opt.model.verify import Lowering


class _Failed(Exception):
    """The run has failed, and the user has been told."""


class MaseOptMain(xDSLOptMain):
    """The driver; construct it with the command line, then `run`."""

    def __init__(self, args: Sequence[str]):
        """Raises `UserError` for a command line that means nothing."""
        self.command = ("mase-opt", *args)
        self.universe = load_universe(plugin_files(args))
        self.available_frontends = {}
        self.available_passes = dict(self.universe.all_passes)
        self.available_targets = dict(self.universe.all_targets)
        self.ctx = new_context(self.universe)
        self.register_all_frontends()

        parser = DriverParser()
        self.register_all_arguments(parser)
        parser.add_driver_options()
        parser.add_pass_flags(self.available_passes)
        self.args = parser.parse(args)
        self._follow_run_file()
        self._check_target()
        self._check_emit_options()
        self._choose_interface()

        self.ctx.allow_unregistered = self.args.allow_unregistered_dialect
        if self.args.disable_verify:
            # Attributes verify themselves when made; xDSL's driver does the same.
            setattr(Attribute, "__post_init__", _no_post_init)
        if self.args.syntax_highlight:
            Diagnostic.colored = True
        self.setup_pipeline()

    def _follow_run_file(self) -> None:
        """Add what the file of `--config` says and the command line does not."""
        flags = [
            (name, parse_flag_options(text)) for name, text in self.args.pass_flags
        ]
        self.pass_specs = flags
        if self.args.config is None:
            return
        from mase_opt.driver.run_file import read_run_file

        if self.args.passes:
            raise UserError("-p and --config don't mix: write passes as flags")
        run = read_run_file(self.args.config, self.available_passes)
        self.pass_specs = run.with_flags(flags)
        if self.args.input_file is None:
            self.args.input_file = run.input
        if run.emit is not None:
            self.args.emit_sv = True
            self.args.split |= run.emit.get("split", False)
            self.args.synth |= run.emit.get("synth", False)
            if self.args.output_file is None:
                self.args.output_file = run.emit.get("output")
            if self.args.verify_rtl is None:
                self.args.verify_rtl = run.emit.get("verify-rtl")
            if self.args.architecture is None:
                self.args.architecture = run.emit.get("architecture")
            if self.args.interface is None:
                self.args.interface = run.emit.get("interface")
            if self.args.clock is None and "clock" in run.emit:
                self.args.clock = run.emit["clock"]

    version_format = f"mase-opt {__version__} (xDSL {{xdsl_version}})"

    def _check_target(self) -> None:
        try:
            name = parse_spec(self.args.target).name
        except ArgSpecParseError as error:
            raise UserError(f"option -t: {error}") from error
        if name not in self.available_targets:
            raise UserError(
                f"unknown target '{name}': choose from "
                f"{', '.join(self.available_targets)}"
            )
        target = self.available_targets[name]
        # A target that is a function, not the maker of a class, has no options.
        if "{" not in self.args.target or inspect.signature(target).parameters:
            return
        make = cast("Callable[[], type[Target]]", target)
        try:
            make().from_spec(parse_spec(self.args.target))
        except (ArgSpecParseError, ValueError, TypeError) as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise UserError(f"target '{self.args.target}': {reason}") from error

    def _check_emit_options(self) -> None:
        given = {
            "--split": self.args.split,
            "--synth": self.args.synth,
            "--verify-rtl": self.args.verify_rtl is not None,
            "--architecture": self.args.architecture is not None,
            "--interface": self.args.interface is not None,
            "--clock": self.args.clock is not None,
        }
        for option, is_given in given.items():
            if is_given and not self.args.emit_sv:
                raise UserError(f"{option} is for SystemVerilog: add --emit-sv")
        if self.args.clock is not None:
            check_clock(self.args.clock)
        if self.args.synth:
            from mase_opt.lib.target import yosys

            if missing := yosys.available():
                raise UserError(f"--synth: {missing}")

    def _choose_interface(self) -> None:
        """Hand `--interface` to the pass that builds the top module."""
        if self.args.interface is None:
            return
        name = BUILD_STREAMS[-1]
        if self.args.passes:
            raise UserError(
                f"-p and --interface don't mix: write {name}"
                f"{{interface={self.args.interface}}}"
            )
        if self._architecture() is not Architecture.STREAMED:
            raise UserError(
                "--interface is of streamed circuits: add --architecture=streamed"
            )
        others = [spec for spec in self.pass_specs if spec[0] != name]
        options = dict(self.pass_specs).get(name, {})
        options["interface"] = (self.args.interface,)
        self.pass_specs = [*others, (name, options)]

    # Passes.

    def setup_pipeline(self) -> None:
        """Passes from `-p` or from pass flags; raises `UserError`."""
        self.chosen = self._chosen_passes()
        # The callback is xDSL's: it verifies, prints and times.
        self.args.passes = ""
        super().setup_pipeline()
        assert self.pipeline.callback is not None
        self.between_passes = self.pipeline.callback
        self._start_progress()

    def _callback(
        self,
        previous: ModulePass | None,
        module: ModuleOp,
        following: ModulePass | None,
    ) -> None:
        """What happens before, between and after passes."""
        self.running, self.verifying = None, previous
        self.between_passes(previous, module, following)
        self.running, self.verifying = following, None
        self.finished += previous is not None
        if self.args.emit_sv:
            self._keep_lowering(previous, module, following)
        if following is None:
            return
        if following.name in self._architecture().passes:
            if self._remaining()[:2] == list(BUILD_HARDWARE):
                from mase_opt.lib.conversion.unrolled import legality

                # Now, since searching for adder graphs takes long.
                legality.check_function(legality.only_function(module))
            if self.args.emit_sv and self.reference is None:
                self.reference = module.clone()
        console.phase(following.name)

    def _keep_lowering(
        self,
        previous: ModulePass | None,
        module: ModuleOp,
        following: ModulePass | None,
    ) -> None:
        """Keep what is on both sides of a pass that must not change results."""
        from mase_opt.model.verify import Lowering

        if previous is not None and self.before_lowering is not None:
            before = self.before_lowering
            self.lowerings.append(Lowering(previous.name, before, module.clone()))
        lowering = following is not None and following.name in MAKE_EXPLICIT
        self.before_lowering = module.clone() if lowering else None

    def _chosen_passes(self) -> list[ModulePass]:
        """The passes of the command line, with what `--emit-sv` needs between them."""
        if self.args.passes and self.args.pass_flags:
            flag = self.args.pass_flags[0][0]
            raise UserError(
                f"-p and pass flags (here --{flag}) don't mix: write all passes one way"
            )
        if self.args.passes:
            passes = parse_pipeline_text(self.available_passes, self.args.passes)
        else:
            passes = [
                build_pass(self.available_passes, ArgSpec(name, options))
                for name, options in self.pass_specs
            ]
        # If the user has chosen how hardware is built, the rest of the lowering comes
        # here, else `emit_sv` does all of it.
        builds = self._architecture().passes
        if self.args.emit_sv and any(p.name in builds for p in passes):
            lowering = (*MAKE_EXPLICIT, *builds)
            for index, name in enumerate(lowering):
                self._add(passes, name, lowering[index + 1 :])
        if self.args.emit_sv:
            # Hardware has no floating point, whatever the settings leave in it.
            undecided = [getattr(p, "complete", False) is None for p in passes]
            passes = [
                dataclasses.replace(cast(Any, p), complete=True) if u else p
                for p, u in zip(passes, undecided, strict=True)
            ]
        return passes

    def _architecture(self) -> Architecture:
        """What `--emit-sv` builds."""
        if self.args.architecture is not None:
            return Architecture.of(self.args.architecture)
        streams = any(name in BUILD_STREAMS for name, _ in self.pass_specs)
        return Architecture.STREAMED if streams else Architecture.UNROLLED

    def _add(
        self, passes: list[ModulePass], name: str, followers: Sequence[str]
    ) -> None:
        """Add a pass that is missing: before the first of `followers`, else behind."""
        names = [p.name for p in passes]
        if name not in names:
            before = (i for i, n in enumerate(names) if n in followers)
            new = build_pass(self.available_passes, ArgSpec(name, {}))
            passes.insert(next(before, len(names)), new)

    def _passes_for(self, module: ModuleOp) -> list[ModulePass]:
        """The passes for a module: the import goes first where mase IR is needed."""
        passes = list(self.chosen)
        if self.args.emit_sv or any(needs_mase(p.name) for p in passes):
            from mase_opt.lib.conversion.convert_torch_to_mase import is_torch

            if is_torch(module):
                self._add(passes, IMPORT_PASS, [p.name for p in passes])
        return passes

    def _start_progress(self) -> None:
        """Forget how far the previous chunk came."""
        self.passes: list[ModulePass] = []
        self.finished = 0
        self.running: ModulePass | None = None
        self.verifying: ModulePass | None = None
        self.reference: ModuleOp | None = None
        """The model before it became hardware, which the circuit must agree with."""
        self.before_lowering: ModuleOp | None = None
        self.lowerings: list[Lowering] = []

    def _remaining(self) -> list[str]:
        """The names of the passes that have not run."""
        return [p.name for p in self.passes[self.finished :]]

    def _list_passes(self) -> str:
        from mase_opt.driver.pass_docs import describe_pass, render_pass_list

        own = [
            factory
            for name, factory in self.available_passes.items()
            if name not in XDSL_UNIVERSE.all_passes
        ]
        width = console.line_width(sys.stdout)
        return render_pass_list([describe_pass(factory()) for factory in own], width)

    # Running.

    def run(self) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """
        Do what the command line asks for; the exit code.

        Errors have been printed, except those that `error_report_of` knows and that
        happen outside a module: reading the input, writing the output.
        """
        if self.args.list_passes:
            write_result(self._list_passes())
            return 0
        if self.args.list_formats:
            from mase_opt.lib.formats.catalog import listing

            write_result(listing(sys.stdout))
            return 0
        try:
            chunks = read_chunks(self.args.input_file, split=self.args.split_input_file)
            as_expected = True
            with console.quietly(self.args.quiet), self._output() as write:
                for index, chunk in enumerate(chunks):
                    if index > 0:
                        write(f"{SPLIT_MARKER}\n")
                    as_expected &= self._run_chunk(chunk, write)
        except ShrinkException:
            write_result("Success, can shrink\n")
            return 0
        except _Failed:
            return 1
        if self.args.shrink:
            write_result("Failure, can't shrink\n")
            return 1
        return 0 if as_expected else 1

    @contextlib.contextmanager
    def _output(self) -> Generator[Callable[[str], object]]:
        """Where text goes: `-o`'s file once all went well, else standard output."""
        name: str | None = self.args.output_file
        if name in (None, "-") or self.args.emit_sv:
            yield write_result
        else:
            with atomic_file(name) as stream:
                yield stream.write
            if console.is_watched():
                console.tell(f"wrote {name}\n")

    def _run_chunk(self, chunk: Chunk, write: Callable[[str], object]) -> bool:
        """
        Compile one chunk; whether its errors are those it expects.

        Without `--verify-diagnostics` none is: the first one raises `_Failed`.
        """
        self._start_progress()
        expecting: bool = self.args.verify_diagnostics
        expected = (
            expectations(chunk.text, chunk.line_offset)
            if expecting and chunk.text is not None
            else []
        )
        report: ErrorReport | None = None
        try:
            # Standard output is for the result.
            with contextlib.redirect_stdout(sys.stderr), stdout_to_stderr():
                text = self._compile(chunk)
        except ShrinkException:
            raise
        # Models and plug-ins may call sys.exit: that is no success.
        except (Exception, SystemExit) as error:
            report = self._report(error, chunk)
            if self.args.debug and not (expecting and report):
                raise
            if report is None:
                self._tell_of_bug(error, chunk)
                raise _Failed from error
            if self.args.parsing_diagnostics and isinstance(error, ParseError):
                write(str(error) + "\n")
                return True
        else:
            write(text)
        if expecting:
            wrong = mismatches(expected, report, chunk.name)
            sys.stderr.writelines(f"{line}\n" for line in wrong)
            return not wrong
        if report is not None:
            sys.stderr.write(report.render(chunk.name, chunk.text, chunk.line_offset))
            raise _Failed
        return True

    def _compile(self, chunk: Chunk) -> str:
        """The text that a chunk becomes."""
        name: str | None = self.args.output_file
        has_file = name not in (None, "-")
        # Where IR goes to the screen, it would stand below them.
        with console.phases(self.args.emit_sv or has_file):
            console.phase(f"read {chunk.name}")
            module = load_module(
                chunk, self.ctx, implicit_module=not self.args.no_implicit_module
            )
            if not self.args.emit_sv:
                self._run_passes(module)
                console.phase("print")
                return self.output_resulting_program(module)

            from mase_opt.model.emit import check_output, emit_sv

            options = self._emit_options()
            check_output(options)
            self._run_passes(module)
            result = emit_sv(module, self.ctx, options, self.reference, self.lowerings)
        if options.output is not None or options.verify_samples or options.synth:
            result.report.show()
            console.tell(f"{result.summary}\n")
        return result.verilog if options.output is None else ""

    def _run_passes(self, module: ModuleOp) -> None:
        self.passes = self._passes_for(module)
        PassPipeline(tuple(self.passes), self._callback).apply(self.ctx, module)

    def _emit_options(self) -> "EmitOptions":
        from mase_opt.model.emit import EmitOptions

        name: str | None = self.args.output_file
        output = None if name in (None, "-") else Path(name)
        samples: int | None = self.args.verify_rtl
        if samples is None:
            samples = DEFAULT_SAMPLES if output is not None else 0
        return EmitOptions(
            output=output,
            split=self.args.split,
            synth=self.args.synth,
            verify_samples=samples,
            command=shlex.join(self.command),
            architecture=self._architecture(),
            clock=self.args.clock,
        )

    # Failing.

    def _report(self, error: BaseException, chunk: Chunk) -> ErrorReport | None:
        """The report of a user's mistake; None for a bug."""
        if self.verifying is not None:
            return None  # a pass left invalid IR behind
        return error_report_of(error, chunk.line_offset)

    def _tell_of_bug(self, error: BaseException, chunk: Chunk) -> None:
        culprit = self.verifying or self.running
        if self.verifying is not None:
            plugin = plugin_of(type(self.verifying))
            owner = f" of plug-in {plugin}" if plugin else ""
            message = (
                f"pass '{self.verifying.name}'{owner} left invalid IR behind: {error}"
            )
        else:
            running = plugin_of(type(self.running)) if self.running else None
            plugin = plugin_place(error.__traceback__) or running
            message = failure(error, plugin)
            if self.running is not None:
                message = f"pass '{self.running.name}': {message}"
        print(f"{chunk.name}: error: {message}", file=sys.stderr)
        whose = "" if plugin else "this is a bug; "
        print(f"note: {whose}--debug shows where", file=sys.stderr)
        if self.finished == 0 and culprit is None:
            return  # reading the input failed: the input itself reproduces it
        try:
            note = self._reproducer(message, chunk, culprit)
        except Exception as second:
            note = f"no reproducer could be written: {second}"
        print(f"note: {note}", file=sys.stderr)

    def _reproducer(
        self, message: str, chunk: Chunk, culprit: ModulePass | None
    ) -> str:
        """Repeat the passes that went well, and keep their result."""
        from mase_opt.driver.reproducer import write_reproducer

        ctx = new_context(self.universe)
        ctx.allow_unregistered = self.ctx.allow_unregistered
        module = load_module(
            chunk, ctx, implicit_module=not self.args.no_implicit_module
        )
        done = self.finished - (culprit is not None and culprit is self.verifying)
        for finished in self.passes[: max(done, 0)]:
            finished.apply(ctx, module)
        arguments = [f"--load-plugin={file}" for file in self.args.load_plugin]
        if ctx.allow_unregistered:
            arguments.append("--allow-unregistered-dialect")
        if culprit is not None:
            arguments += ["-p", str(culprit)]
            stem = culprit.name
        else:
            arguments.append("--emit-sv")
            stem = "emit-sv"
        path, command = write_reproducer(
            stem, message, shlex.join(arguments), module, ctx
        )
        return f"reproducer: {path}, run with: {command}"


def _no_post_init(self: Attribute) -> None:
    """An attribute's `__post_init__` under `--disable-verify`."""


def show_warnings() -> None:
    """Print warnings as one line each, in the form of errors."""
    warnings.showwarning = _show_warning


def _show_warning(
    message: Warning | str, category: type[Warning], *_: object, **__: object
) -> None:
    console.write_line(f"warning: {message}\n")


def run(args: Sequence[str]) -> int:
    """Run `mase-opt` with these arguments; the exit code."""
    show_warnings()
    debug = "--debug" in args
    try:
        return MaseOptMain(args).run()
    except BrokenPipeError:
        return 128 + 13  # nobody reads any more: as if ended by SIGPIPE
    except Exception as error:
        if debug:
            traceback.print_exc()
            return 1
        report = error_report_of(error)
        text = (
            f"{failure(error)} (--debug shows where)"
            if report is None
            else report.message
        )
        print(f"error: {text}", file=sys.stderr)
        return 1
