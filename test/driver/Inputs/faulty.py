"""Passes that fail in every way a pass can."""

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.arith import AddiOp
from xdsl.dialects.builtin import ModuleOp, i64
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.universe import Universe
from xdsl.utils.exceptions import PassFailedException

from mase_opt.lib.errors import UserError


@dataclass(frozen=True)
class TestRefusePass(ModulePass):
    """Refuse every addition."""

    name = "test-refuse"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """See the class."""
        PatternRewriteWalker(_Refuse()).rewrite_module(op)


class _Refuse(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: AddiOp, rewriter: PatternRewriter, /) -> None:
        raise PassFailedException(f"'{op.name}' has no equivalent; use arith.subi")


@dataclass(frozen=True)
class TestBugPass(ModulePass):
    """
    Fail with an internal error.

    Until then it does nothing.
    """

    name = "test-bug"

    key: str = "missing"
    """Name of the key that is not there."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """See the class."""
        dict[str, int]()[self.key]


@dataclass(frozen=True)
class TestInvalidPass(ModulePass):
    """Leave invalid IR behind."""

    name = "test-invalid"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """See the class."""
        for addition in op.walk():
            if isinstance(addition, AddiOp):
                addition.result._type = i64  # pyright: ignore[reportPrivateUsage]


@dataclass(frozen=True)
class TestConfigPass(ModulePass):
    """Reject its options."""

    name = "test-config"

    scale: float
    """A number."""

    names: tuple[str, ...] = ()
    """Some names."""

    fast: bool = False
    """Whether to hurry."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """See the class."""
        raise UserError(f"scale {self.scale!r} names {self.names} fast {self.fast}")


UNIVERSE = Universe(
    all_passes={
        "test-refuse": lambda: TestRefusePass,
        "test-bug": lambda: TestBugPass,
        "test-invalid": lambda: TestInvalidPass,
        "test-config": lambda: TestConfigPass,
    }
)
