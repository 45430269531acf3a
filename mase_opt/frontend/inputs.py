"""Inputs of the driver: what an argument names, and how it becomes a module."""

import re
import sys
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TextIO, cast

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from mase_opt.frontend.locations import LocatingParser
from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean

SPLIT_MARKER = "// -----"
"""Separates the chunks of a file that holds several modules."""

_MARKER_LINE = re.compile(rf"^{SPLIT_MARKER}[ \t\r]*$", re.MULTILINE)

_TORCH_TYPE = "!torch."
"""Only text in the torch dialect has these types."""

_RESOURCES = "{-#"
"""What the weights of a module begin with, behind its IR."""

_MASE_ATTRIBUTE = re.compile(r"^(?!\s*//).*#mase\.", re.MULTILINE)
"""In torch-dialect text that we printed; torch-mlir does not know it."""


@dataclass(frozen=True)
class Chunk:
    """An input, or one part of a split one."""

    name: str
    """The file, or `<stdin>`; a factory's name."""
    text: str | None
    """None: not MLIR text (`.pt2`, `.onnx`, a factory)."""
    line_offset: int = 0
    """Lines of the file before this part."""


def read_chunks(argument: str | None, *, split: bool) -> list[Chunk]:
    """
    The input that an argument names; None and `-` are standard input.

    Raises `UserError` if there is none, `OSError` and `UnicodeDecodeError` as usual.
    """
    if argument is None or argument == "-":
        stdin = cast("TextIO | None", sys.stdin)  # None if it is closed
        if stdin is None or (argument is None and stdin.isatty()):
            raise UserError("no input: name a file, or - for standard input")
        name, data = "<stdin>", stdin.buffer.read()
    elif _is_factory(argument):
        return [_unsplit(Chunk(argument, None), split)]
    elif argument.endswith(".py"):
        raise UserError(
            f"'{argument}' is Python: name a function that returns a module and its "
            f"example inputs, as in {argument}:factory"
        )
    else:
        name, data = argument, _read(Path(argument))
    if not data.strip():
        raise UserError(f"{name} is empty: a module is expected")
    if _is_binary(name, data):
        return [_unsplit(Chunk(name, None), split)]
    # Some editors begin a file with a byte order mark.
    text = data.decode("utf-8").removeprefix("\ufeff")
    if not split:
        return [Chunk(name, text)]
    parts = _MARKER_LINE.split(text)
    offsets = accumulate([0, *(part.count("\n") for part in parts[:-1])])
    return [
        Chunk(name, part, offset) for part, offset in zip(parts, offsets, strict=True)
    ]


def _is_factory(argument: str) -> bool:
    """`package.module:factory` or `file.py:factory`."""
    module, colon, factory = argument.rpartition(":")
    return bool(colon and module and factory.isidentifier()) and not (
        Path(argument).exists()
    )


def _is_binary(name: str, data: bytes) -> bool:
    # Pickles begin with 0x80, which no UTF-8 text does.
    return (
        name.endswith((".pt2", ".onnx", ".pb"))
        or data.startswith(b"\x80")
        or b"\0" in data[:4096]
    )


def _unsplit(chunk: Chunk, split: bool) -> Chunk:
    if split:
        raise UserError(f"{chunk.name} is not text: --split-input-file has no meaning")
    return chunk


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        folder = path.parent
        names = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        raise UserError(
            f"cannot read '{path}': no such file{did_you_mean(path.name, names)}"
        ) from error
    except OSError as error:
        raise UserError(f"cannot read '{path}': {error.strerror}") from error


def load_module(chunk: Chunk, ctx: Context, *, implicit_module: bool) -> ModuleOp:
    """
    The module of a chunk.

    Raises `ParseError` for text that is not MLIR, `UserError` for models that the
    front end rejects.
    """
    if chunk.text is None:
        from mase_opt.frontend.load_model import load_model

        _load_front_end_dialects(ctx)
        return load_model(chunk.name)
    if _is_torch(chunk.text):
        from mase_opt.frontend.load_model import load_torch_text

        _load_front_end_dialects(ctx)
        return load_torch_text(chunk.text, chunk.name)
    parser = LocatingParser(ctx, chunk.text, chunk.name, chunk.line_offset)
    return parser.parse_module(implicit_module)


def load_mase(source: str, ctx: Context) -> ModuleOp:
    """
    The model that `source` names, verified, in the mase dialect.

    Raises as `read_chunks` and `load_module` do, and `PassFailedException` listing all
    ops that cannot be converted.
    """
    from mase_opt.lib.conversion.convert_torch_to_mase import ConvertTorchToMasePass

    (chunk,) = read_chunks(source, split=False)
    module = load_module(chunk, ctx, implicit_module=True)
    module.verify()
    ConvertTorchToMasePass().apply(ctx, module)
    module.verify()
    return module


def _is_torch(text: str) -> bool:
    """Whether `text` is torch-mlir's; of large files only the IR is looked at."""
    end = text.find(_RESOURCES)
    end = len(text) if end < 0 else end
    return text.find(_TORCH_TYPE, 0, end) >= 0 and not _MASE_ATTRIBUTE.search(
        text, 0, end
    )


def _load_front_end_dialects(ctx: Context) -> None:
    """The front end parses in a context of its own; printing needs these loaded."""
    for name in ("func", "torch", "mase"):
        ctx.get_dialect(name)
