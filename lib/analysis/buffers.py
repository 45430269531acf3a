"""What the buffers of processes are there for."""

from __future__ import annotations

from enum import StrEnum

from mase_opt.dialects.stream.ops import ProcessOp
from mase_opt.lib.analysis.parallelism import channel_axis


class Role(StrEnum):
    """Why a buffer holds beats."""

    FIFO = "fifo"
    """Between two processes that do not write and read in the same cycles."""
    LINES = "line buffer"
    """For the windows that are still to come."""
    VECTOR = "vector kept"
    """To be read again for other outputs."""
    SKIP = "skip"
    """Until what another way brings arrives as well."""


def role_of(process: ProcessOp, operand: int) -> Role:
    """Why the buffer of an operand holds beats, by the accesses of the process."""
    schedule = process.schedule
    read = schedule.reads[operand]
    least = schedule.least_capacity(read)
    channels = channel_axis(read.layout.shape)
    windows = any(
        sum(f != 0 for f in tile.factors) > 1
        for axis, tile in enumerate(read.tiles)
        if axis != channels
    )
    if windows and least > 1:
        return Role.LINES
    again = any(
        size > 1 and not any(tile.factors[level] for tile in read.tiles)
        for level, size in enumerate(schedule.loops)
    )
    if again and least > 1:
        return Role.VECTOR
    parted = len(list(process.inputs[operand].uses)) > 1
    return Role.SKIP if parted or len(process.inputs) > 1 else Role.FIFO
