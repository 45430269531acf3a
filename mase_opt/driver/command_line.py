"""The command line of `mase-opt`: driver options, and a flag for each pass."""

import argparse
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any, NoReturn

from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean

DEFAULT_SAMPLES = 256
"""Random vectors of `--verify-rtl` without a number."""


class _PassFlag(argparse.Action):
    """Collects pass flags in the order of the command line."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        namespace.pass_flags = [*namespace.pass_flags, (self.dest, values)]


class DriverParser(argparse.ArgumentParser):
    """argparse with pass flags, whose errors are `UserError`s."""

    def __init__(self) -> None:
        # Flags whose value is optional, with what a bare one stands for. argparse
        # would take an input file that follows for the value.
        self._bare = {"--verify-rtl": f"--verify-rtl={DEFAULT_SAMPLES}"}
        self._known: list[str] = []
        super().__init__(
            prog="mase-opt",
            description="Compile torch and MLIR models to SystemVerilog.",
            epilog="Each pass is also a flag, in order: --quantize is -p mase-quantize,"
            ' with options --quantize="width=6 by=type". See --list-passes.',
            allow_abbrev=False,
        )

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:  # pyright: ignore[reportIncompatibleMethodOverride]
        """As argparse's; keeps the names for suggestions."""
        action = super().add_argument(*names, **options)
        self._known += action.option_strings
        match action.dest:
            case "input_file":
                action.help = "MLIR text, .pt2, .onnx or FILE.py:FACTORY; - is stdin"
            case "passes":
                action.help = "comma-separated passes: first{option=1},second"
            case "verify_diagnostics":
                action.help = "errors must be those of the // expected-error comments"
            case _:
                pass
        return action

    def add_driver_options(self) -> None:
        """What `mase-opt` has beyond xDSL's driver."""
        self.add_argument(
            "--emit-sv",
            action="store_true",
            help="run whatever lowering is still missing and write SystemVerilog to "
            "-o FILE.sv, to -o FOLDER (an earlier output is replaced) or to stdout",
        )
        self.add_argument(
            "--split", action="store_true", help="--emit-sv: one file per module"
        )
        self.add_argument(
            "--synth", action="store_true", help="--emit-sv: LUTs and FFs from Yosys"
        )
        self.add_argument(
            "--architecture",
            metavar="unrolled|streamed",
            help="--emit-sv: all products at a time (default), or in turns",
        )
        self.add_argument(
            "--interface",
            metavar="handshake|axis",
            help="--emit-sv, streamed: ports with valid and ready (default), or "
            "AXI4-Streams",
        )
        self.add_argument(
            "--clock",
            type=float,
            metavar="HERTZ",
            help="--emit-sv, streamed: the clock of the samples per second in the "
            "report, as 200e6",
        )
        self.add_argument(
            "--verify-rtl",
            type=_count,
            metavar="SAMPLES",
            help="--emit-sv: compare the simulated circuit with the interpreter "
            f"(default with -o: {DEFAULT_SAMPLES}; 0: don't)",
        )
        self.add_argument(
            "--config",
            metavar="FILE.toml",
            help="input, passes and emission from a file; the command line goes first",
        )
        self.add_argument(
            "--load-plugin",
            action="append",
            default=[],
            metavar="FILE.py",
            help="load passes and dialects from a file that defines UNIVERSE",
        )
        self.add_argument(
            "--list-passes",
            action="store_true",
            help="print mase-opt's and the plug-ins' passes with their options",
        )
        self.add_argument(
            "--list-formats",
            action="store_true",
            help="print the number formats with their sizes, ranges and steps",
        )
        self.add_argument(
            "--quiet",
            action="store_true",
            help="no progress and no reports, only warnings and errors",
        )
        self.add_argument(
            "--debug", action="store_true", help="show the traceback of an error"
        )

    def add_pass_flags(self, pass_names: Iterable[str]) -> None:
        """`--mase-quantize` and `--quantize` for `mase-quantize`."""
        self.set_defaults(pass_flags=[])
        flags = {f"--{name}": name for name in pass_names}
        for name in list(flags.values()):
            # A pass whose whole name that is goes first.
            flags.setdefault(f"--{name.removeprefix('mase-')}", name)
        for flag, name in flags.items():
            # A driver option of this name goes first; `-p` still reaches the pass.
            if flag not in self._known:
                self.add_argument(
                    flag, dest=name, action=_PassFlag, help=argparse.SUPPRESS
                )
                self._bare[flag] = f"{flag}="

    def parse(self, args: Sequence[str]) -> argparse.Namespace:
        """Parse a command line; raises `UserError`."""
        namespace, unknown = self.parse_known_args(list(self._joined(args)))
        for argument in unknown:
            flag = argument.partition("=")[0]
            if flag.startswith("-"):
                raise UserError(
                    f"unknown option '{flag}'{did_you_mean(flag, self._known)} "
                    "(see --help and --list-passes)"
                )
            raise UserError(
                f"one input at a time: '{argument}' after '{namespace.input_file}'"
            )
        return namespace

    def _joined(self, args: Sequence[str]) -> Iterator[str]:
        """
        The command line with the values of flags whose value is optional.

        A number behind `--verify-rtl` is its value, as `--help` has it. Raises
        `UserError` for options of a pass that are not in one argument with its flag.
        """
        waiting = deque(args)
        while waiting:
            flag = waiting.popleft()
            if flag not in self._bare:
                yield flag
                continue
            following = list(takewhile(_is_no_file, waiting))
            if flag == "--verify-rtl" and following and following[0].isdecimal():
                yield f"{flag}={waiting.popleft()}"
                continue
            options = list(takewhile(_OPTION.match, following))
            if options and flag != "--verify-rtl":
                raise UserError(
                    f"'{options[0]}' is no input: write its flag and a pass's options "
                    f'as one argument, {flag}="{" ".join(options)}"'
                )
            yield self._bare[flag]

    def error(self, message: str) -> NoReturn:
        """Raise argparse's complaint as `UserError`."""
        raise UserError(f"{message} (see --help)")


_OPTION = re.compile(r"[A-Za-z][\w-]*=")
"""What options of passes begin with."""


def _is_no_file(argument: str) -> bool:
    return not Path(argument).exists()


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of samples")
    return int(text)


def plugin_files(args: Sequence[str]) -> list[str]:
    """
    The `--load-plugin` files of a command line.

    They are needed before the rest can be parsed: their passes are flags.
    """
    files = [a.partition("=")[2] for a in args if a.startswith("--load-plugin=")]
    return files + [
        following
        for argument, following in pairwise(args)
        if argument == "--load-plugin"
    ]
