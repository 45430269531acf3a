"""After a bug: a file and a command line that show it again."""

import tempfile
from pathlib import Path
from typing import TextIO

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.printer import Printer


def write_reproducer(
    stem: str, error: str, arguments: str, module: ModuleOp, ctx: Context
) -> tuple[Path, str]:
    """
    Write the IR as it was before the failure, to the working directory if possible.

    `arguments` are the options that lead to the failure from there. Returns the file
    and the whole command line, which is in its head, too.
    """
    name = f"mase-opt-reproducer-{stem}.mlir"
    try:
        path = Path(name)
        stream = path.open("w", encoding="utf-8")
    except OSError:
        path = Path(tempfile.mkdtemp(prefix="mase-opt-")) / name
        stream = path.open("w", encoding="utf-8")
    command = f"mase-opt {arguments} {path}"
    with stream:
        summary = " ".join(error.split())
        stream.write(f"// {summary}\n// reproduce with: {command}\n")
        _print_generic(module, ctx, stream)
    return path, command


def _print_generic(module: ModuleOp, ctx: Context, stream: TextIO) -> None:
    printer = Printer(stream=stream, print_generic_format=True)
    printer.print_op(module)
    printer.print_metadata(ctx.loaded_dialects)
    stream.write("\n")
