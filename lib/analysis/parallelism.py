"""What layers cost per sample, by how many channels are worked on at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil, gcd, prod

from xdsl.dialects import func
from xdsl.ir import BlockArgument, Operation, SSAValue

from mase_opt.dialects.mase import layers
from mase_opt.dialects.mase.base import ArithmeticOp, ints, is_constant
from mase_opt.dialects.mase.elementwise import CastOp
from mase_opt.dialects.mase.shape import ReshapeOp
from mase_opt.dialects.mase.types import (
    ElementType,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.lib.analysis.blocks import is_block
from mase_opt.lib.analysis.devices import (
    SHORT,
    Resources,
    dsp_blocks,
    half_blocks,
)
from mase_opt.lib.streams.layout import Index
from mase_opt.lib.streams.windows import Windows, transposed

PARALLELISM = "mase.parallelism"
"""
Attribute of a layer: how many of its outputs, and of its inputs for each of them, are
worked on at a time. Without it, all of the channels are.
"""

Choice = tuple[int, int]
"""Outputs, and inputs for each of them."""


GRAPH = 1 / 7
"""Tables of an adder graph for each bit of data and bit of a weight, about."""
CONTROL = 200
"""Tables that counters and addresses of a process take, about."""


def bits_of(value: SSAValue) -> int:
    """Bits of an element; those of floats, which are not hardware yet, as 32."""
    element = element_of(value)
    if (format := exact_format(element)) is not None:
        return format.width
    if isinstance(element, ElementType):
        return ceil(element.format.bits_per_element)
    return 32


def channel_axis(shape: Sequence[int]) -> int:
    """The dimension of channels in streams: in convolutions' data the second one."""
    return 1 if len(shape) > 3 else max(len(shape) - 1, 0)


def channels_in(shape: Sequence[int]) -> int:
    """How many channels there are."""
    return shape[channel_axis(shape)] if shape else 1


def divisor(size: int, limit: int) -> int:
    """The largest divisor of a size that is at most `limit`."""
    return max(n for n in range(1, min(size, limit) + 1) if size % n == 0)


def transposed_windows(
    op: layers.ConvTranspose2dOp,
) -> list[tuple[Windows, Index]]:
    """By dimension: the windows, and the place in the kernel by phase and tap."""
    return [
        transposed(*options)
        for options in zip(
            shape_of(op.weight)[2:],
            ints(op.strides),
            ints(op.padding),
            ints(op.dilation),
            strict=True,
        )
    ]


@dataclass(frozen=True)
class Work:
    """The sums of products of a layer."""

    name: str
    outputs: int
    """Of a group."""
    inputs: int
    """Channels in each sum, at each place of the kernel."""
    repeats: int
    """Positions, places of the kernel and groups: these always take turns."""
    divided: bool
    """Whether only divisors of outputs and inputs are possible."""
    depthwise: bool
    """Whether each channel is on its own."""
    arrives: SSAValue
    """What it reads."""
    positions: int
    """Places of what it reads, each with all of the channels."""
    channels: int
    matrices: int = 0
    """Of the second operand, if that is a stream; each is put together in a buffer."""
    weights: int = 0
    """All of them, or of a matrix that is put together."""
    bits: tuple[int, int] = (0, 0)
    """Of an element that it reads, and of a weight."""
    lines: int = 1
    """Places of what it reads that windows need at a time."""
    blocks: bool = False
    """Whether inputs share exponents: then each sum has multipliers for all of them."""

    @property
    def products(self) -> int:
        """Multiplications for a sample."""
        return self.repeats * self.outputs * self.inputs

    def cycles(self, choice: Choice) -> int:
        """Cycles for a sample."""
        outputs, inputs = choice
        if self.depthwise:
            inputs = 1
        folds = -(-self.outputs // outputs) * -(-self.inputs // inputs)
        loads = self.matrices * self.outputs * self.inputs // min(choice)
        return max(self.repeats * folds, loads)

    def multipliers(self, choice: Choice) -> int:
        return choice[0] if self.depthwise else choice[0] * choice[1]

    @property
    def unrolled(self) -> Choice | None:
        """With which every weight has an adder of its own; None if that cannot be."""
        whole = self.outputs, self.inputs
        alone = not (self.depthwise or self.matrices or self.blocks)
        return whole if alone and self.weights == prod(whole) else None

    def resources(self, choice: Choice) -> Resources:
        """
        What multipliers, accumulators, weights and windows take, by estimate.

        Block memories and multipliers are those that synthesis chooses for such sizes.
        """
        data, weight = self.bits
        count, lanes = self.multipliers(choice), min(choice[1], self.channels)
        outputs = min(choice[0], self.outputs)
        if choice == self.unrolled:
            adders = self.weights * data * weight * GRAPH
            return Resources(CONTROL + adders + outputs * 2 * (data + weight))
        blocks = dsp_blocks(data, weight)
        sums = data + weight + (self.products // self.outputs).bit_length()
        in_tables = 0 if blocks else data * weight
        memories = [
            (-(-self.weights // count), count * weight),
            (self.lines * -(-self.channels // lanes), lanes * data),
        ]
        tables = sum(width for words, width in memories if 1 < words <= SHORT)
        return Resources(
            CONTROL + tables + count * (in_tables + sums) + outputs * 2 * sums,
            count * blocks,
            sum(half_blocks(*memory) for memory in memories) / 2,
        )

    def cheapest(self, interval: int, arriving: int | None) -> Choice | None:
        """
        The fewest multipliers with which a sample takes at most `interval` cycles.

        In beats of `arriving` channels it gets what it reads; what cuts and joins them
        must keep up, too. None if nothing is that fast.
        """
        best: Choice | None = None
        for inputs in range(1, self.inputs + 1):
            folds = interval // (self.repeats * -(-self.inputs // inputs))
            if self.blocks and inputs < self.inputs:
                continue
            if folds < 1 or (self.divided and self.inputs % inputs):
                continue
            outputs = -(-self.outputs // folds)
            if self.matrices:
                loads = self.matrices * self.outputs * self.inputs
                if inputs * interval < loads:
                    continue
                outputs = max(outputs, -(-loads // interval))
            while self.divided and self.outputs % outputs:
                outputs += 1
            taken = outputs if self.depthwise else inputs
            if not self._arrives_in_time(taken, arriving, interval):
                continue
            choice = outputs, taken
            if best is None or self.multipliers(choice) < self.multipliers(best):
                best = choice
        return best

    def _arrives_in_time(self, taken: int, arriving: int | None, interval: int) -> bool:
        if arriving is None or arriving == taken:
            return True
        parts = -(-self.channels // gcd(arriving, taken))
        return self.positions * parts <= interval


@dataclass
class Layers:
    """The layers of a function that add up products, in order."""

    function: func.FuncOp
    works: dict[Operation, Work] = field(init=False)

    def __post_init__(self) -> None:
        self.works = {
            op: work
            for op in self.function.body.block.ops
            if (work := _work(op)) is not None
        }

    def choose(self, interval: int) -> dict[Operation, Choice] | None:
        """The cheapest choice for each layer; None if one is not that fast."""
        lanes: dict[SSAValue, int] = {}
        result: dict[Operation, Choice] = {}
        for op in self.function.body.block.ops:
            if not op.results:
                continue
            if (work := self.works.get(op)) is not None:
                choice = work.cheapest(interval, lanes.get(work.arrives))
                if choice is None:
                    return None
                result[op] = choice
                lanes[op.results[0]] = min(choice[0], work.outputs)
                continue
            moving = [v for v in op.operands if v in lanes]
            if moving:
                lanes[op.results[0]] = lanes[moving[0]]
        return result

    def total(self, choices: dict[Operation, Choice]) -> int:
        """Multipliers of all layers."""
        return sum(self.works[op].multipliers(c) for op, c in choices.items())

    def resources(self, choices: dict[Operation, Choice]) -> Resources:
        """What all layers take, by estimate."""
        found = (self.works[op].resources(c) for op, c in choices.items())
        return sum(found, Resources())

    def unroll(
        self, choices: dict[Operation, Choice], limits: Resources
    ) -> dict[Operation, Choice]:
        """The same with adders for multiplier blocks, while these are too few."""
        result = dict(choices)
        saved: list[tuple[float, int, Operation]] = []
        for index, (op, choice) in enumerate(choices.items()):
            if (other := self.works[op].unrolled) is None or other == choice:
                continue
            before, after = map(self.works[op].resources, (choice, other))
            if before.dsp > after.dsp:
                price = (after.lut - before.lut) / (before.dsp - after.dsp)
                saved.append((price, index, op))
        for _, _, op in sorted(saved, key=lambda s: s[:2]):
            if self.resources(result).dsp <= limits.dsp:
                break
            result[op] = self.works[op].unrolled or choices[op]
        return result

    @property
    def fastest(self) -> tuple[str, int]:
        """The slowest layer if all is worked on at a time, and its cycles."""
        found = (
            (w.cycles((w.outputs, w.outputs if w.depthwise else w.inputs)), w.name)
            for w in self.works.values()
        )
        cycles, name = max(found)
        return name, cycles


def _work(op: Operation) -> Work | None:
    work = _sums(op)
    if work is None or not any(map(is_block, op.operands[:2])):
        return work
    if isinstance(op, layers.MatmulOp):
        # A column at a time.
        return replace(work, blocks=True)
    # Blocks become layers of their own, side by side; so do places of a kernel.
    return replace(
        work,
        inputs=prod(shape_of(op.operands[1])[1:]),
        repeats=prod(shape_of(op.results[0])) // max(work.outputs, 1),
        blocks=True,
    )


def _sums(op: Operation) -> Work | None:
    match op:
        case layers.MatmulOp():
            return _product(op)
        case layers.LinearOp() if _is_weight(op.weight):
            return _dense(op)
        case layers.ConvOp() | layers.ConvTranspose2dOp() if _is_weight(op.weight):
            return _convolution(op)
        case _:
            return None


def _dense(op: layers.LinearOp) -> Work:
    root, shape = _arrives(op.input)
    rows = prod(shape_of(op.input)[:-1])
    if rows > 1 or shape == shape_of(op.input):
        # Rows are brought into their shape, a single one comes as it is.
        shape = shape_of(op.input)
        channels = shape[-1]
    else:
        channels = channels_in(shape)
    positions = prod(shape) // channels
    outputs, features = shape_of(op.weight)
    flattened = features != channels
    return Work(
        name=_name(op),
        outputs=outputs,
        inputs=min(channels, features),
        repeats=rows * (features // channels if flattened else 1),
        divided=False,
        depthwise=False,
        arrives=root,
        positions=positions,
        channels=channels,
        weights=outputs * features,
        bits=(bits_of(op.input), bits_of(op.weight)),
        lines=positions if flattened else 1,
    )


def _convolution(op: layers.ConvOp | layers.ConvTranspose2dOp) -> Work:
    root, shape = _arrives(op.input)
    size, groups = shape_of(op.input), op.groups.value.data
    channels = size[1] if shape == size else channels_in(shape)
    batch, outputs, *places = shape_of(op.result)
    repeats = batch * prod(places)
    if isinstance(op, layers.ConvTranspose2dOp):
        # A period that ends beyond the result goes on to its end.
        for size, (windows, _) in zip(places, transposed_windows(op), strict=True):
            rounds = windows.rounds(size) * windows.period
            repeats = repeats // size * rounds * windows.taps
        depthwise = False
    else:
        repeats *= prod(shape_of(op.weight)[2:])
        depthwise = groups > 1 and groups == channels == outputs
    return Work(
        name=_name(op),
        outputs=outputs if depthwise else outputs // groups,
        inputs=1 if depthwise else shape_of(op.input)[1] // groups,
        repeats=repeats if depthwise else repeats * groups,
        divided=groups > 1 and not depthwise,
        depthwise=depthwise,
        arrives=root,
        positions=prod(shape) // channels,
        channels=channels,
        weights=prod(shape_of(op.weight)),
        bits=(bits_of(op.input), bits_of(op.weight)),
        lines=_lines(op),
    )


def _name(op: ArithmeticOp) -> str:
    return op.layer.data if op.layer else op.name


def _arrives(value: SSAValue) -> tuple[SSAValue, tuple[int, ...]]:
    """What has been reshaped to `value`, and the shape in which it is made."""
    root = _root(value)
    # What is reshaped before it arrives is made in the shape that is read.
    return root, shape_of(value if isinstance(root, BlockArgument) else root)


def _is_weight(value: SSAValue) -> bool:
    """Whether it is constant: codes, or casts of the numbers that training changes."""
    owner = value.owner
    return is_constant(owner.input if isinstance(owner, CastOp) else value)


def _lines(op: layers.ConvOp | layers.ConvTranspose2dOp) -> int:
    """The places from the first one of a window to its last."""
    kernel, sizes = shape_of(op.weight)[2:], shape_of(op.input)[2:]
    spans = [(k - 1) * d for k, d in zip(kernel, ints(op.dilation), strict=True)]
    return 1 + sum(span * prod(sizes[i + 1 :]) for i, span in enumerate(spans))


def _root(value: SSAValue) -> SSAValue:
    """What has been reshaped to `value`."""
    while isinstance(value.owner, ReshapeOp):
        value = value.owner.input
    return value


def _product(op: layers.MatmulOp) -> Work | None:
    """That of two streams."""
    if is_constant(op.lhs) or is_constant(op.rhs):
        return None
    *batch, rows, columns = shape_of(op.result)
    *lead, terms, _ = shape_of(op.rhs)
    return Work(
        name=_name(op),
        outputs=columns,
        inputs=terms,
        repeats=prod(batch) * rows,
        divided=True,
        depthwise=False,
        arrives=_root(op.lhs),
        positions=prod(shape_of(op.lhs)) // terms,
        channels=terms,
        matrices=prod(lead),
        weights=terms * columns,
        bits=(bits_of(op.lhs), bits_of(op.rhs)),
    )
