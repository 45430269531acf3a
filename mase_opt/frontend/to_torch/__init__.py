"""
Evaluation of mase modules in torch: `to_torch` makes an `nn.Module`.

Every value is a tensor of its numbers: float32 where its format has at most 24 bits,
else float64; builtin integers are `int64`, truth values `bool`. Inside, values have an
axis for samples in front of the shape that the IR says, as in the interpreter.

Results are the interpreter's, bit for bit, for fixed point, integers, and other formats
whose values are multiples of one power of two, as long as

- sums (contractions, pools, reductions) have up to 62 bits, and means 53,
- results have up to 51 bits.

Elementwise arithmetic is right in every format. Not certain are the last bits of what
the interpreter itself computes in floating point: functions such as exp, norms, softmax
and attention, and all of builtin floats. There torch may differ in the last place of
float64 (of float32 for f32); rounded to a narrow format, that shows only where the
result is that close to a tie. Sums in formats without such a grid (blocks, scales that
are no powers of two) are in float64, too.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.utils.exceptions import InterpretationError

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.base import MaseOp, Shape, show
from mase_opt.dialects.mase.cast_elements import CastElementsOp
from mase_opt.dialects.mase.elementwise import CastOp
from mase_opt.dialects.mase.normalization import BatchNormOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import (
    ElementType,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.frontend.to_torch.arithmetic import Function, carrier
from mase_opt.frontend.to_torch.known import Known, multiples_of
from mase_opt.frontend.to_torch.learned import (
    LearnedScale,
    learnable_scales,
    learned_rounding,
)
from mase_opt.frontend.to_torch.learned_elements import LearnedElements
from mase_opt.frontend.to_torch.steps import Steps
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats.multiples import Multiples
from mase_opt.lib.interpreters.mase import main_function
from mase_opt.lib.model_function import argument_names, layer_of


def to_torch(
    module: ModuleOp,
    *,
    learn_scales: bool = False,
    learn_widths: bool = False,
    share: Steps | None = None,
) -> MaseModule:
    """
    The only function of `module` as a torch module.

    With `share`, `module` must not change from then on, and is not copied; what is
    found out about its ops is shared with other modules that share the same.

    With `learn_scales`, the scales of scaled formats are parameters (see `learned`),
    those of constants and arguments excepted. With `learn_widths`, the fractions of
    `mase.cast_elements` are (see `learned_elements`); what these round is not brought
    into range, but ranges follow from what has been seen.

    Raises `UserError` where that is not a function of mase ops that torch can compute.
    """
    return MaseModule(
        module, learn_scales=learn_scales, learn_widths=learn_widths, share=share
    )


@dataclass(frozen=True)
class _Numbered:
    """One op; operands and result are numbers of values."""

    run: Function
    rounding: Function | None
    operands: tuple[int, ...]
    result: int
    done: tuple[int, ...]
    """Values that nothing uses any more."""


@dataclass(frozen=True)
class _Input:
    """An argument: its name in messages, and what makes its numbers."""

    name: str
    shape: Shape
    cast: Function


@dataclass(frozen=True)
class Replay:
    """The first result of a module, with one of its values replaced."""

    numbers: Tensor
    """What the value is, with an axis for samples in front."""
    result: Callable[[Tensor], Tensor]
    """The result for other numbers, of which all that depends is computed again."""


class MaseModule(nn.Module):
    """
    A mase function in torch.

    The first dimension of inputs and results is the batch: any multiple of what the IR
    says, hence of any size where it says 1. An input of just the size in the IR stands
    for the whole batch. Inputs are rounded into the formats of the arguments. A module
    with one result gives a tensor, others a tuple; results without dimensions get the
    batch as one. NaN, or a division by zero, at which the interpreter stops, gives NaN.

    Float constants are parameters under their labels, as in the torch model
    (`fc1.weight`; under the layer and operand if they have no label). Running
    statistics, literals, and constants in number formats are buffers. Gradients pass
    casts straight through, see `mase_opt.lib.formats.torch_cast`.
    """

    ir: ModuleOp
    """What is evaluated: a copy of the module, or with `share` the module itself."""
    constants: dict[str, ConstantOp]
    """The constants in `ir` by the names of their parameters and buffers."""

    scales: nn.ModuleDict
    """Learned scales by layer or label."""
    scaled: dict[SSAValue, LearnedScale]
    """The values in `ir` whose format has learned scales."""
    elements: dict[SSAValue, LearnedElements]
    """The values in `ir` whose elements have learned formats."""

    def __init__(
        self,
        module: ModuleOp,
        *,
        learn_scales: bool = False,
        learn_widths: bool = False,
        share: Steps | None = None,
    ):
        super().__init__()
        self.ir = module.clone() if share is None else module
        self.constants = {}
        self._steps: list[_Numbered] = []
        self._inputs: list[_Input] = []
        self._tensors: list[tuple[nn.Module, str, int]] = []
        """Where the tensors of constants are, and the numbers of their values."""
        self.scales, self.scaled = nn.ModuleDict(), {}
        function = _function(self.ir)
        if learn_scales:
            for name, (format, values) in learnable_scales(function).items():
                self.scales[name] = learned = LearnedScale(format)
                self.scaled |= dict.fromkeys(values, learned)
        self.elements = {}
        if learn_widths:
            self.elements = {
                op.result: LearnedElements(op)
                for op in function.body.block.ops
                if isinstance(op, CastElementsOp)
            }
        self.learned = nn.ModuleList(self.elements.values())
        self._build(function, Steps() if share is None else share)

    def _build(self, function: func.FuncOp, steps: Steps) -> None:
        block = function.body.block
        numbers: dict[SSAValue, int] = {}
        known: dict[SSAValue, Known] = {}
        names = argument_names(function)
        for argument, name in zip(block.args, names, strict=True):
            cast, known[argument] = steps.argument(element_of(argument))
            numbers[argument] = len(numbers)
            self._inputs.append(_Input(name, shape_of(argument), cast))
        returned = block.last_op
        assert isinstance(returned, func.ReturnOp), "checked"
        last_use = {v: op for op in block.ops for v in op.operands}
        for op in block.ops:
            if op is returned:
                break
            result = op.results[0]
            numbers[result] = len(numbers)
            if isinstance(op, ConstantOp):
                known[result] = op.value.derived(
                    ("known", result.type), partial(_known, op)
                )
                self._add_constant(op, numbers[result])
                continue
            operands = op.operands
            step = steps.of(op, [known[v] for v in operands])
            run, rounding, known[result] = step.run, step.rounding, step.known
            if (elements := self.elements.get(result)) is not None:
                run, rounding, known[result] = elements, None, Known(None)
            if (learned := self.scaled.get(result)) is not None:
                assert isinstance(op, MaseOp), "it has a kernel"
                rounding = rounding and learned_rounding(op, learned)
                known[result] = Known(None)
            done = tuple(numbers[v] for v in set(operands) if last_use[v] is op)
            of = tuple(numbers[v] for v in operands)
            self._steps.append(_Numbered(run, rounding, of, numbers[result], done))
        self._numbers = numbers
        self._results = [(numbers[v], shape_of(v)) for v in returned.operands]

    def _add_constant(self, op: ConstantOp, number: int) -> None:
        # A copy: other modules share what is derived.
        tensor = op.value.derived(
            ("torch", op.result.type, op.scales), partial(_numbers, op)
        ).clone()
        label, trains = _role(op)
        owner, name, path = self._place(label)
        if trains:
            owner.register_parameter(name, nn.Parameter(tensor))
        else:
            owner.register_buffer(name, tensor)
        self.constants[path] = op
        self._tensors.append((owner, name, number))

    def _place(self, label: str) -> tuple[nn.Module, str, str]:
        """A free name for a tensor, like `label`: its module, name there, and path."""
        # Resources put an underscore before a digit, torch does not.
        label = re.sub(r"^_(?=\d)", "", label)
        *path, leaf = (part or "_" for part in label.split("."))
        owner: nn.Module = self
        for index, part in enumerate(path):
            while not isinstance(inner := getattr(owner, part, owner), nn.Module):
                part += "_"
            if inner is owner:
                inner = nn.Module()
                owner.add_module(part, inner)
            owner, path[index] = inner, part
        while hasattr(owner, leaf):
            leaf += "_"
        return owner, leaf, ".".join([*path, leaf])

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Raises `UserError` for inputs of a wrong number or shape."""
        values, samples = self._admitted(inputs)
        with _in_formats(values):
            self._run(values)
        results = [_released(values[n], shape, samples) for n, shape in self._results]
        return results[0] if len(results) == 1 else tuple(results)

    def replay(self, value: SSAValue, *inputs: Tensor) -> Replay:
        """
        What `inputs` give for other numbers of `value` in `ir`.

        Raises `UserError` as `forward` does.
        """
        values, samples = self._admitted(inputs)
        number = self._numbers[value]
        late, after = {number}, list[_Numbered]()
        with _in_formats(values):
            for step in self._steps:
                values[step.result] = _computed(step, values)
                if late.intersection(step.operands):
                    late.add(step.result)
                    after.append(step)
        result, shape = self._results[0]

        def again(numbers: Tensor) -> Tensor:
            values[number] = numbers
            with _in_formats(values):
                for step in after:
                    values[step.result] = _computed(step, values)
            return _released(values[result], shape, samples)

        return Replay(values[number].clone(), again)

    def _admitted(self, inputs: tuple[Tensor, ...]) -> tuple[list[Any], int]:
        """Room for all values, with inputs and constants in it; how many samples."""
        if len(inputs) != len(self._inputs):
            raise UserError(
                f"the module takes {len(self._inputs)} inputs, got {len(inputs)}"
            )
        values: list[Any] = [
            _admit(expected, tensor)
            for expected, tensor in zip(self._inputs, inputs, strict=True)
        ]
        samples = next((v.shape[0] for v in values if v.shape[0] != 1), 1)
        for expected, value in zip(self._inputs, values, strict=True):
            if value.shape[0] not in (1, samples):
                raise UserError(
                    f"input '{expected.name}' has {value.shape[0]} samples, others "
                    f"have {samples}"
                )
        values += [None] * (len(self._steps) + len(self._tensors))
        for owner, name, number in self._tensors:
            values[number] = getattr(owner, name)[None]
        return values, samples

    def _run(self, values: list[Any]) -> None:
        for step in self._steps:
            values[step.result] = _computed(step, values)
            for index in step.done:
                values[index] = None

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        if fn(torch.empty(0)).dtype != torch.float32:
            raise UserError(
                "the dtypes of a mase module follow from the formats in its IR: only "
                "move it to devices"
            )
        return super()._apply(fn, recurse)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

    def __deepcopy__(self, memo: dict[int, Any]) -> MaseModule:
        # The IR does not change.
        memo[id(self.ir)] = self.ir
        memo |= {id(op): op for op in self.constants.values()}
        memo |= {id(value): value for value in self._numbers}
        result = type(self).__new__(type(self))
        memo[id(self)] = result
        result.__dict__ = copy.deepcopy(self.__dict__, memo)
        return result


def _in_formats(values: list[Any]) -> torch.autocast:
    """Without autocast: formats are what the IR says."""
    return torch.autocast(_device_of(values), enabled=False)


def _computed(step: _Numbered, values: list[Any]) -> Any:
    result = step.run(*(values[i] for i in step.operands))
    return result if step.rounding is None else step.rounding(result)


def _function(module: ModuleOp) -> func.FuncOp:
    try:
        function = main_function(module)
    except InterpretationError as error:
        raise UserError(f"not a model: {error}") from error
    if not isinstance(function.body.block.last_op, func.ReturnOp):
        raise UserError(
            f"function {function.sym_name.data} does not end in func.return"
        )
    return function


def _numbers(op: ConstantOp) -> Tensor:
    """The numbers of a constant in the type that carries them."""
    element = element_of(op.result)
    values: Any = op.array()
    if isinstance(element, ElementType):
        values = element.numbers(values)
    return torch.tensor(values).to(carrier(element))


def _known(op: ConstantOp) -> Known:
    """The codes of a constant, and between which numbers they lie."""
    element, values = element_of(op.result), op.array()
    grid = multiples_of(element)
    if grid is None or not grid.fits_int64:
        return Known(grid)
    if exact_format(element) is None:
        if not np.isfinite(values).all():
            return Known(grid)
        values = np.ldexp(values, grid.frac)
    codes = values.astype(np.int64)
    low, high = int(codes.min(initial=0)), int(codes.max(initial=0))
    return Known(Multiples(grid.frac, low, high), codes)


STATISTICS = ("mean", "variance")
ROLES = ("weight", "bias", *STATISTICS)


def _after_casts(value: SSAValue) -> SSAValue:
    """What becomes of a value that is cast and not used otherwise."""
    uses = list(value.uses)
    if len(uses) == 1 and isinstance(
        cast := uses[0].operation, CastOp | CastElementsOp
    ):
        return _after_casts(cast.result)
    return value


def _role(op: ConstantOp) -> tuple[str, bool]:
    """What a constant is called, and whether it is a parameter."""
    label, named, statistics = op.value.label, op.value.label != "data", False
    for use in _after_casts(op.result).uses:
        user = use.operation
        role = user.operand_name(use.index) if isinstance(user, MaseOp) else None
        if role not in ROLES:
            continue
        if not named and (layer := layer_of(user)) is not None:
            label, named = f"{layer}.{role}", True
        statistics = isinstance(user, BatchNormOp) and role in STATISTICS
    trains = named and not statistics and is_float(element_of(op.result))
    return label, trains


def _admit(expected: _Input, tensor: Tensor) -> Tensor:
    """`[N · B, …]` to samples `[N, B, …]` of the numbers of an argument."""
    shape, got = expected.shape, tuple(tensor.shape)
    if not shape and len(got) < 2:
        return expected.cast(tensor.reshape(-1))
    if len(got) != len(shape) or got[1:] != shape[1:] or got[0] % max(shape[0], 1):
        raise UserError(
            f"input '{expected.name}' has shape {show(got)}, expected {show(shape)}, "
            "the first dimension any multiple of that"
        )
    samples = got[0] // shape[0] if shape[0] else 1
    return expected.cast(tensor.reshape(samples, *shape))


def _device_of(values: list[Any]) -> str:
    return next((v.device.type for v in values if v is not None), "cpu")


def _released(values: Tensor, shape: Shape, samples: int) -> Tensor:
    """Samples `[N, B, …]` to `[N · B, …]`."""
    values = values.expand(samples, *shape)
    return values.reshape(samples * shape[0], *shape[1:]) if shape else values
