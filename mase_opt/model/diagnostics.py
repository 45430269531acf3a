"""
Errors as the user sees them: `file:line:column: error: message`.

Everything that a user can cause becomes an `ErrorReport`; what does not is a bug in
mase-opt, which `error_report_of` answers with None.
"""

import re
from dataclasses import dataclass
from types import TracebackType

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.utils.exceptions import (
    ArgSpecParseError,
    DiagnosticException,
    MultipleSpansParseError,
    ParseError,
)
from xdsl.utils.lexer import Span

from mase_opt.frontend.locations import SourcePlace, place_of
from mase_opt.lib.errors import UserError
from mase_opt.registry import plugin_place

_SHOWN_WIDTH = 160
"""Longest part of a source line that is shown (lines of weights are megabytes)."""

_UNREGISTERED = re.compile(r"Operation \S+ is not registered")
_REMEDY = (
    "; models are read in the torch and mase dialects and in those of --load-plugin "
    "files (mase-opt --allow-unregistered-dialect keeps what is unknown)"
)


@dataclass(frozen=True)
class ErrorReport:
    """One error: what is wrong, and where if that is known."""

    message: str
    place: SourcePlace | None = None
    notes: tuple[tuple[SourcePlace | None, str], ...] = ()
    """Further places that the error refers to."""

    @property
    def summary(self) -> str:
        """The message behind its place, in one line."""
        return f"{self.place}: {self.message}" if self.place else self.message

    def render(self, name: str, source: str | None, line_offset: int = 0) -> str:
        """
        The lines to print, each ending with a newline.

        `source` is the text of the input `name` from after its first `line_offset`
        lines on; the line with the error is quoted from it.
        """
        lines = [_located(self.place, "error", self.message)]
        if source is not None and self.place is not None and self.place.file == name:
            lines += _quote(source, self.place.line - line_offset, self.place.column)
        lines += [_located(place, "note", text) for place, text in self.notes]
        return "\n".join(lines) + "\n"


class ReportedError(UserError):
    """A report as an exception of Python users."""

    def __init__(self, report: ErrorReport):
        super().__init__(report.summary)
        self.report = report


def _located(place: SourcePlace | None, kind: str, message: str) -> str:
    return f"{place}: {kind}: {message}" if place else f"{kind}: {message}"


def _quote(source: str, line_number: int, column_number: int) -> list[str]:
    """The source line and a caret under the column; both count from 1."""
    start = 0
    for _ in range(line_number - 1):
        start = source.find("\n", start) + 1
        if start == 0:
            return []
    end = source.find("\n", start)
    line = source[start : end if end >= 0 else len(source)].rstrip("\r")
    column = column_number - 1
    first = max(0, column - _SHOWN_WIDTH // 2) if len(line) > _SHOWN_WIDTH else 0
    shown = line[first : first + _SHOWN_WIDTH]
    # Tabs stay tabs so that the caret lands below its character.
    lead = re.sub(r"[^\t]", " ", shown[: column - first])
    return [f"  {shown}", f"  {lead}^"]


def _span_place(span: Span[str] | Span[bytes], line_offset: int) -> SourcePlace:
    location = span.get_location()
    return SourcePlace(location.file, location.line + line_offset, location.col)


def _blamed_op(traceback: TracebackType | None) -> Operation | None:
    """
    The operation being verified or rewritten where the exception was raised.

    xDSL's exceptions do not carry it. The innermost frame that is a method of an
    operation, or a rewrite of one (argument `op`), has it; a whole module, which
    is every pass's `op`, says nothing.
    """
    found: Operation | None = None
    while traceback is not None:
        variables = traceback.tb_frame.f_locals
        for name in ("self", "op"):
            candidate = variables.get(name)
            if isinstance(candidate, Operation) and not isinstance(candidate, ModuleOp):
                found = candidate
        traceback = traceback.tb_next
    return found


def failure(error: BaseException, plugin: str | None = None) -> str:
    """
    What went wrong where nobody expected it: in a plug-in, or here.

    `plugin` is the one to blame if the traceback names none.
    """
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    place = plugin_place(error.__traceback__) or plugin
    return f"plug-in {place}: {what}" if place else f"internal error: {what}"


def error_report_of(error: BaseException, line_offset: int = 0) -> ErrorReport | None:
    """
    The report for an error the user can act on; None for a bug of ours.

    `line_offset` is the number of lines before the chunk being parsed.
    """
    match error:
        case MultipleSpansParseError():
            notes = [
                (_span_place(span, line_offset), text or error.ref_text or "see here")
                for span, text in error.refs
            ]
            place = _span_place(error.span, line_offset)
            return ErrorReport(error.msg, place, tuple(notes))
        case ParseError():
            message = error.msg.strip()
            if error.span.start >= len(error.span.input):
                message = f"unexpected end of input: {message}"
            if _UNREGISTERED.fullmatch(message):
                message += _REMEDY
            return ErrorReport(message, _span_place(error.span, line_offset))
        case ArgSpecParseError():
            return ErrorReport(str(error))
        case DiagnosticException():
            op = _blamed_op(error.__traceback__)
            return ErrorReport(str(error), place_of(op) if op is not None else None)
        case ReportedError():
            return error.report
        case UserError():
            return ErrorReport(str(error))
        case UnicodeDecodeError():
            return ErrorReport(
                f"the input is not UTF-8 text (byte {error.start}): {error.reason}"
            )
        case MemoryError():
            # NumPy says how much it wanted, and for what shape.
            return ErrorReport(f"out of memory: {error}".removesuffix(": "))
        case OSError(filename=None):
            return ErrorReport(error.strerror or str(error))
        case OSError():
            return ErrorReport(f"{error.filename}: {error.strerror}")
        case _:
            return None
