"""
Runs functions of the stream dialect as Kahn networks: beats in, beats out.

The values do not depend on when anything happens, so that every process takes all of
its beats in one go. The bodies are ops of mase, whose kernels see an iteration as they
see a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute, SSAValue
from xdsl.utils.exceptions import InterpretationError

from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.formats import BlockType
from mase_opt.dialects.mase.types import (
    ElementType,
    element_of,
    exact_format,
    shape_of,
)
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
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.formats.block import Encoded
from mase_opt.lib.formats.rounding import integers
from mase_opt.lib.interpreters.exact import Array
from mase_opt.lib.interpreters.kernels.values import exact_sum
from mase_opt.lib.interpreters.mase import evaluate_op, main_function
from mase_opt.lib.streams.schedule import Read, Schedule

ELEMENTS = 1 << 22
"""About as many elements of what a process reads are worked on at a time."""


def evaluate(module: ModuleOp, inputs: Sequence[Array]) -> list[Array]:
    """
    Run the function of `module`, which takes and gives channels.

    `inputs` and results have shape `[samples, *shape]`, with what the interpreter of
    mase holds. Raises `InterpretationError` as that one does.
    """
    function = main_function(module)
    arguments = function.body.block.args
    if len(inputs) != len(arguments):
        raise InterpretationError(
            f"function {function.sym_name.data} takes {len(arguments)} inputs, got "
            f"{len(inputs)}"
        )
    samples = len(inputs[0]) if inputs else 1
    beats: dict[SSAValue, Array] = {
        argument: channel_of(argument).layout.to_beats(array)
        for argument, array in zip(arguments, inputs, strict=True)
    }
    for op in function.body.block.ops:
        match op:
            case ProcessOp():
                beats[op.result] = run_process(
                    op, [beats[v] for v in op.inputs], samples
                )
            case ViewOp() | FifoOp():
                beats[op.result] = beats[op.input]
            case func.ReturnOp():
                return [channel_of(v).layout.from_beats(beats[v]) for v in op.operands]
            case _:
                raise InterpretationError(f"{op.name} is no part of a network")
    raise InterpretationError("the function does not end in func.return")


def held(element: Attribute, codes: Array) -> Array:
    """What the interpreter holds for codes."""
    if isinstance(element, BlockType):
        return np.asarray(element.codes.decode(codes.astype(np.int64)))
    if isinstance(element, ElementType) and exact_format(element) is None:
        return np.asarray(element.format.decode(codes.astype(np.int64)))
    return integers(codes)


def run_process(op: ProcessOp, inputs: Sequence[Array], samples: int) -> Array:
    """What a process writes, `[samples, beats, lanes]`, from what its operands hold."""
    schedule = op.schedule
    groups = schedule.iterations // schedule.group
    widest = max((a.shape[-1] for a in inputs), default=1)
    per_group = samples * schedule.group * widest
    step = max(ELEMENTS // max(per_group, 1), 1)
    parts = [
        _Run(op, schedule, range(start, min(start + step, groups)), samples).result(
            inputs
        )
        for start in range(0, groups, step)
    ]
    return np.concatenate(parts, axis=1)


class _Run:
    """Some of the groups of iterations that lead to a written beat each."""

    def __init__(self, op: ProcessOp, schedule: Schedule, groups: range, samples: int):
        self.op = op
        self.schedule = schedule
        size = schedule.group
        self.rows = np.arange(groups.start * size, groups.stop * size)
        """The iterations that values stand for."""
        self.values: dict[SSAValue, Array] = {}
        self.samples = samples

    def result(self, inputs: Sequence[Array]) -> Array:
        self._read(inputs)
        for op in self.op.body.block.ops:
            match op:
                case RomOp():
                    self.values[op.result] = self._rom(op)
                case SelectOp():
                    self.values[op.result] = self._select(op)
                case MergeOp():
                    self.values[op.result] = self._merge(op)
                case TableOp():
                    self.values = {op.result: self._table(op)}
                case AccumulateOp():
                    self._accumulate(op)
                case JoinOp():
                    groups = self._grouped(op.input)
                    shape = shape_of(op.result)
                    self._go_on(op.result, groups.reshape(-1, *shape))
                case YieldOp():
                    return self._written(op)
                case _:
                    arrays = [self.values[v] for v in op.operands]
                    self.values[op.results[0]] = evaluate_op(op, arrays)
        raise AssertionError("verified: the body ends in stream.yield")

    def _read(self, inputs: Sequence[Array]) -> None:
        schedule, op = self.schedule, self.op
        for argument, read, array, fill in zip(
            op.body.block.args, schedule.reads, inputs, ints(op.fill), strict=True
        ):
            inside = schedule.inside(read)[self.rows]
            places = np.where(inside, schedule.positions(read)[self.rows], 0)
            tiles = array[:, places]
            outside = held(element_of(argument), np.array(fill))
            tiles = np.where(inside[:, None], tiles, outside)
            self.values[argument] = tiles.reshape(-1, *shape_of(argument))

    def _rom(self, op: RomOp) -> Array:
        words = self._words(op)
        if len(words) == 1:
            return words
        index = np.zeros(len(self.rows), np.int64)
        for level in ints(op.loops):
            counter = self.schedule.counters[level][self.rows]
            index = index * self.schedule.loops[level] + counter
        return words[np.tile(index, self.samples)]

    def _table(self, op: TableOp) -> Array:
        words = self._words(op)
        chosen = integers(self.values[op.input]).reshape(-1).astype(np.int64)
        if chosen.min(initial=0) < 0 or chosen.max(initial=0) >= len(words):
            raise InterpretationError(
                f"an index lies outside of the {len(words)} rows of a table"
            )
        return words[chosen]

    @staticmethod
    def _words(op: RomOp | TableOp) -> Array:
        shape, element = shape_of(op.result), element_of(op.result)
        if isinstance(element, BlockType):
            codes = op.words().astype(np.int64)
            grid = element.format.parts(shape).grid
            elements, scales = np.split(codes, [prod(shape)], axis=1)
            encoded = Encoded(elements.reshape(-1, *shape), scales.reshape(-1, *grid))
            return np.asarray(element.format.decode(encoded))
        return held(element_of(op.result), op.words()).reshape(-1, *shape)

    def _select(self, op: SelectOp) -> Array:
        array, shape = self.values[op.input], shape_of(op.result)
        parts = array.reshape(len(array), -1, prod(shape))
        counter = self.schedule.counters[op.loop.value.data][self.rows]
        which = np.tile(counter, self.samples)
        return parts[np.arange(len(parts)), which].reshape(-1, *shape)

    def _merge(self, op: MergeOp) -> Array:
        pairs = zip(self.op.body.block.args, self.schedule.reads, strict=True)
        reads: dict[SSAValue, Read] = dict(pairs)
        *others, last = op.inputs
        result = self.values[last]
        for value in reversed(others):
            inside = self.schedule.inside(reads[value])[self.rows]
            where = np.tile(inside, self.samples).reshape(-1, *[1] * (result.ndim - 1))
            result = np.where(where, self.values[value], result)
        return result

    def _grouped(self, value: SSAValue) -> Array:
        """The tiles of each group of iterations."""
        array = self.values[value]
        return array.reshape(-1, self.schedule.group, *array.shape[1:])

    def _go_on(self, value: SSAValue, array: Array) -> None:
        """From here on, a row stands for a group."""
        size = self.schedule.group
        self.rows = self.rows[size - 1 :: size]
        self.values = {value: array}

    def _accumulate(self, op: AccumulateOp) -> None:
        groups = self._grouped(op.input)
        if op.kind.data == Kind.SUM:
            total = exact_sum(integers(groups), (1,))
        elif op.kind.data == Kind.MAX:
            total = groups.max(axis=1)
        else:
            total = groups.min(axis=1)
        self._go_on(op.result, total)

    def _written(self, op: YieldOp) -> Array:
        array = self.values[op.value]
        lanes = prod(array.shape[1:])
        found = np.broadcast_to(
            array.reshape(len(array), lanes), (self.samples * len(self.rows), lanes)
        )
        found = found.reshape(self.samples, len(self.rows), lanes)
        return found[:, self.schedule.writes[self.rows]]
