"""
`--verify-diagnostics`: compare errors with `expected-error` comments.

    // expected-error {{part of the message}}        error on this line
    // expected-error@+1 {{…}}  @-2, @above, @below  error on another line
    // expected-error@unknown {{…}}                  error without a place
"""

import re
from dataclasses import dataclass

from mase_opt.lib.errors import UserError
from mase_opt.model.diagnostics import ErrorReport

_COMMENT = re.compile(
    r"expected-(?P<kind>[a-z-]+)"
    r"(?:@(?P<where>[+-]\d+|above|below|unknown))?"
    r"(?P<tail>\s*\{\{(?P<text>.*?)\}\})?"
)


@dataclass(frozen=True)
class Expectation:
    """An error that must occur."""

    comment_line: int
    """Line of the comment, from 1."""
    line: int | None
    """Line the error must be on; None: an error without a place."""
    text: str
    """Part of the message."""

    def matches(self, report: ErrorReport) -> bool:
        """Whether the error is the expected one."""
        line = report.place.line if report.place is not None else None
        return line == self.line and self.text in report.message


def expectations(source: str, line_offset: int = 0) -> list[Expectation]:
    """All expectations in a chunk that starts after `line_offset` lines."""
    found: list[Expectation] = []
    for number, line in enumerate(source.split("\n"), line_offset + 1):
        comment = line.partition("//")[2]
        for match in _COMMENT.finditer(comment):
            if match["kind"] != "error" or match["tail"] is None:
                raise UserError(
                    f"line {number}: cannot read '{match[0].strip()}'; "
                    "write expected-error {{part of the message}}"
                )
            found.append(
                Expectation(number, _line(number, match["where"]), match["text"])
            )
    return found


def _line(number: int, where: str | None) -> int | None:
    match where:
        case None:
            return number
        case "unknown":
            return None
        case "above":
            return number - 1
        case "below":
            return number + 1
        case offset:
            return number + int(offset)


def mismatches(
    expected: list[Expectation], report: ErrorReport | None, name: str
) -> list[str]:
    """What differs between the expected errors and the one that occurred, if any."""
    lines: list[str] = []
    left = list(expected)
    if report is not None:
        hit = next((e for e in left if e.matches(report)), None)
        if hit is not None:
            left.remove(hit)
        else:
            place = f"{report.place}: " if report.place else f"{name}: "
            lines.append(f"{place}error: unexpected error: {report.message}")
    for e in left:
        lines.append(
            f"{name}:{e.comment_line}: error: expected error "
            f'"{e.text}" was not produced'
        )
    return lines
