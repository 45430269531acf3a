"""Where an operation comes from: source positions kept through parsing."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from xdsl.context import Context
from xdsl.dialects.builtin import (
    ArrayAttr,
    CallSiteLoc,
    FileLineColLoc,
    FusedLoc,
    IntAttr,
    ModuleOp,
    NameLoc,
    StringAttr,
    UnknownLoc,
)
from xdsl.ir import Attribute, Operation, TypeAttribute
from xdsl.parser import Parser
from xdsl.parser.generic_parser import ParserState
from xdsl.utils.exceptions import VerifyException
from xdsl.utils.lexer import Input
from xdsl.utils.mlir_lexer import MLIRLexer, MLIRTokenKind


class SourcePlace(NamedTuple):
    """A place in a text: file name, and line and column counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class _Lexer(MLIRLexer):
    """
    xDSL's lexer without its exponential time on a string that does not end.

    Files that are cut off end that way: weights are strings. Possessive quantifiers,
    which accept the same strings, never try another split.
    """

    _unescaped_characters_regex = re.compile(
        r'"(?:[^"\\\n\v\f]++|\\(?:["nt\\]|[0-9A-Fa-f]{2}))*+"'
    )


_ALIASES = (MLIRTokenKind.HASH_IDENT, MLIRTokenKind.EXCLAMATION_IDENT)
_TOO_DEEP = "nested too deeply"


class BoundedParser(Parser):
    """
    xDSL's parser for text of any origin: nesting that is too deep is an error.

    What walks over IR and attributes later calls itself for each level, and looks at
    an attribute behind an alias as often as it is named: both are bounded here, where
    the error has a place.
    """

    MAX_DEPTH = 64
    """Operations, attributes and types around each other."""
    MAX_SIZE = 1 << 20
    """Attributes and types in an alias."""

    def __init__(self, ctx: Context, text: str, name: str = "<unknown>"):
        super().__init__(ctx, "", name)
        self._parser_state = ParserState(_Lexer(Input(text, name)))
        self._depth = self._deepest = self._size = 0
        self._aliases: dict[str, tuple[int, int]] = {}
        """Depth and size of each alias."""

    def parse_module(self, allow_implicit_module: bool = True) -> ModuleOp:
        """
        Parse the whole text; raises `ParseError`.

        What an attribute's verifier rejects has a place, too: where parsing stands.
        """
        try:
            return super().parse_module(allow_implicit_module)
        except VerifyException as error:
            self.raise_error(str(error))
        except RecursionError:
            # In what is no attribute, as lists of numbers and affine maps.
            self.raise_error(_TOO_DEEP)

    def _enter(self, depth: int = 1) -> None:
        """Go into something that takes up `depth` levels."""
        self._depth += 1
        self._deepest = max(self._deepest, self._depth + depth - 1)
        if self._deepest > self.MAX_DEPTH:
            self.raise_error(_TOO_DEEP)

    def _enter_attribute(self) -> None:
        depth = size = 1
        if self._current_token.kind in _ALIASES:
            depth, size = self._aliases.get(self._current_token.text, (1, 1))
        self._size += size
        self._enter(depth)

    def parse_operation(self) -> Operation:
        """Parse one operation; raises `ParseError`."""
        self._enter()
        try:
            return super().parse_operation()
        finally:
            self._depth -= 1

    def parse_optional_attribute(self) -> Attribute | None:
        """Parse an attribute, if there is one; raises `ParseError`."""
        self._enter_attribute()
        try:
            return super().parse_optional_attribute()
        finally:
            self._depth -= 1

    def parse_optional_type(self) -> TypeAttribute | None:
        """Parse a type, if there is one; raises `ParseError`."""
        self._enter_attribute()
        try:
            return super().parse_optional_type()
        finally:
            self._depth -= 1

    def _parse_alias_def(self) -> None:
        name = self._current_token.text
        self._deepest, before = 0, self._size
        super()._parse_alias_def()
        self._aliases[name] = self._deepest, self._size - before
        if self._size - before > self.MAX_SIZE:
            self.raise_error(f"alias '{name}' stands for too large an attribute")


class LocatingParser(BoundedParser):
    """
    A parser that gives each operation its source location.

    An explicit `loc(…)` in the text wins. Without this a verifier or pass could
    name the operation it rejects, but not the line.
    """

    def __init__(self, ctx: Context, text: str, name: str, line_offset: int = 0):
        super().__init__(ctx, text, name)
        self._file = StringAttr(name)
        # Operations start in increasing order, so lines are counted only once.
        self._counted_to = 0
        self._line = line_offset + 1

    def parse_operation(self) -> Operation:
        """Parse one operation; raises `ParseError`."""
        span = self._current_token.span
        text = span.input.content
        assert isinstance(text, str)
        self._line += text.count("\n", self._counted_to, span.start)
        self._counted_to = span.start
        line = self._line
        column = span.start - text.rfind("\n", 0, span.start)
        op = super().parse_operation()
        if isinstance(op.location, UnknownLoc):
            op.location = FileLineColLoc(self._file, IntAttr(line), IntAttr(column))
        return op


def _nested_locations(location: Attribute) -> Iterable[Attribute]:
    match location:
        case NameLoc(location=inner):
            yield inner
        case CallSiteLoc(callee=callee, caller=caller):
            yield callee
            yield caller
        case FusedLoc(locations=ArrayAttr(data=inner)):
            yield from inner
        case _:
            return


def source_place(location: Attribute) -> SourcePlace | None:
    """The first file position inside a location attribute, if there is one."""
    if isinstance(location, FileLineColLoc):
        return SourcePlace(
            location.filename.data, location.line.data, location.column.data
        )
    for inner in _nested_locations(location):
        if (place := source_place(inner)) is not None:
            return place
    return None


def place_of(op: Operation) -> SourcePlace | None:
    """
    The source place of an operation, or of the nearest op around it.

    Operations that a pass made have no place of their own.
    """
    current: Operation | None = op
    while current is not None:
        if (place := source_place(current.location)) is not None:
            return place
        current = current.parent_op()
    return None
