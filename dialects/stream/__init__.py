"""
The stream dialect: processes joined by channels, between mase and hardware.

`RATIONALE.md` says why it is as it is.
"""

from __future__ import annotations

from xdsl.ir import Dialect

from mase_opt.dialects.stream.ops import (
    AccumulateOp,
    FifoOp,
    JoinOp,
    Kind,
    MergeOp,
    ProcessOp,
    RomOp,
    SelectOp,
    TableOp,
    ViewOp,
    YieldOp,
)
from mase_opt.dialects.stream.types import ChannelType, channel_of

__all__ = [
    "AccumulateOp",
    "ChannelType",
    "FifoOp",
    "JoinOp",
    "Kind",
    "MergeOp",
    "ProcessOp",
    "RomOp",
    "SelectOp",
    "Stream",
    "TableOp",
    "ViewOp",
    "YieldOp",
    "channel_of",
]

Stream = Dialect(
    "stream",
    [
        ProcessOp,
        RomOp,
        SelectOp,
        MergeOp,
        AccumulateOp,
        JoinOp,
        TableOp,
        YieldOp,
        ViewOp,
        FifoOp,
    ],
    [ChannelType],
)
