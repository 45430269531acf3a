"""A front of models between accuracy and hardware, from one training run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.transforms.canonicalize import CanonicalizePass

from mase_opt.lib.console import progress_bar
from mase_opt.lib.data.samples import (
    Array,
    Data,
    as_labels,
    as_samples,
    inputs_of,
    labels_in,
)
from mase_opt.lib.errors import UserError
from mase_opt.lib.quantization.batch_norm import fold_batch_norms
from mase_opt.lib.quantization.elements import (
    WHOLE,
    Granularity,
    Start,
    exact_types,
    insert_casts,
)
from mase_opt.model.metrics import accuracy
from mase_opt.model.model import Level, Model, user_errors

if TYPE_CHECKING:
    from torch import Generator, Tensor
    from torch.nn import Parameter

    from mase_opt.frontend.to_torch import MaseModule
    from mase_opt.frontend.to_torch.learned_elements import AdderCost

STEADY = 0.5
"""The part of a stage of training before its learning rate falls."""

FRACTIONS = 2.0
"""How much faster fractions learn than weights."""

Teacher = Callable[..., Any]
"""Scores of samples, as tensors; a torch module, for example."""


@dataclass(frozen=True)
class Point:
    """A model of the front."""

    model: Model
    cost: float
    """Non-zero digits of weights, times a bit more than what they multiply has."""
    accuracy: float
    """On the validation samples."""


@dataclass(frozen=True)
class _Snapshot:
    state: dict[str, Any]
    weight: float
    """That of the cost."""


def learn_widths(
    model: Model,
    data: Data,
    validation: Data,
    labels: Any = None,
    *,
    teacher: Teacher | None = None,
    steps: int = 4000,
    batch: int = 256,
    weights: tuple[float, float] = (1e-5, 1e-4),
    granularity: Granularity | str = Granularity.ELEMENT,
    learning_rate: float = 1e-2,
    sweeps: int = 2,
    points: int = 8,
    seed: int = 0,
) -> list[Point]:
    """
    A front of models, the cheapest first, each better than all that cost less.

    `model` is a trained classifier in floating point, of layers with constant weights
    and functions that keep numbers exact, such as relu and max pools. It is trained on
    with the bits of every weight, and of every element that a layer multiplies, as
    parameters; `granularity` says what has a format of its own beside weights:
    `tensor`, `channel` or `element`. What bits cost is part of the loss. Training has
    `points` stages; from one to the next, the weight of the cost rises by a factor,
    from `weights[0]` to `weights[1]`. In each, the learning rate falls to zero at last,
    and a model is taken.

    `data` are samples without labels, as for `calibrate`: what is learned are the
    scores of `teacher`, on them and on mixtures of two, or without one, those of
    `model` itself. `labels` are those of `validation`, as for `evaluate`; on it, models
    are judged, and it is not trained on. Of each, single digits and bits are removed or
    moved in up to `sweeps` passes, where the loss and the cost together fall. Same
    seed, same front, on one machine.

    Raises `UserError` for data that does not fit, layers that cannot take formats, and
    a loss that is not finite.
    """
    with user_errors():
        _check(steps=steps, batch=batch, points=points)
        if not 0 < weights[0] <= weights[1]:
            raise UserError(f"weights are {weights}, expected 0 < first <= second")
        if labels is None:
            validation, labels = labels_in(validation)
        start = Start(_granularity(granularity))
        inputs = inputs_of(model.function)
        samples, held_out = (as_samples(d, inputs) for d in (data, validation))
        judges = held_out, as_labels(labels, len(held_out[0])).astype(np.int64)
        trainer = _Trainer(model, _with_casts(model, samples, start), teacher, samples)
        stages = np.geomspace(*weights, points).tolist() if points > 1 else weights[1:]
        snapshots = trainer.run(steps, batch, stages, learning_rate, seed)
        return _front([trainer.point(s, sweeps, seed, judges) for s in snapshots])


def _check(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise UserError(f"{name} is {count}, expected at least 1")


def _granularity(name: Granularity | str) -> Granularity:
    try:
        return Granularity(name)
    except ValueError:
        raise UserError(
            f"granularity is '{name}', expected one of {', '.join(Granularity)}"
        ) from None


def _with_casts(model: Model, samples: Sequence[Array], start: Start) -> ModuleOp:
    if model.is_quantized:
        raise UserError("the model is quantized already: learn widths of the original")
    module = model.ir.clone()
    fold_batch_norms(module)
    ranges = [(float(a.min(initial=0)), float(a.max(initial=0))) for a in samples]
    left = insert_casts(module, ranges, start)
    if left:
        raise UserError(
            f"{', '.join(left)}: no learned widths for layers that multiply two "
            "results; quantize() them"
        )
    module.verify()
    return module


Judges = tuple[Sequence[Array], Array]
"""Samples and their classes."""


class _Trainer:
    """Trains one module."""

    def __init__(
        self,
        model: Model,
        ir: ModuleOp,
        teacher: Teacher | None,
        samples: Sequence[Array],
    ):
        import torch

        from mase_opt.frontend.to_torch import to_torch
        from mase_opt.frontend.to_torch.learned_elements import AdderCost

        self.module: MaseModule = to_torch(ir, learn_widths=True)
        self.cost: AdderCost = AdderCost(self.module)
        self.inputs = [torch.as_tensor(a).flatten(0, 1) for a in samples]
        self.teacher = teacher or model.to_torch().eval()
        self.home = model

    def run(
        self,
        steps: int,
        batch: int,
        stages: Sequence[float],
        learning_rate: float,
        seed: int,
    ) -> list[_Snapshot]:
        """Train with one weight of the cost after the other; what each leads to."""
        import torch

        generator = torch.Generator().manual_seed(seed)
        groups = [
            {"params": parameters, "lr": learning_rate * pace, "pace": pace}
            for pace, parameters in self._paces().items()
        ]
        optimizer = torch.optim.Adam(groups, learning_rate, fused=True)
        found: list[_Snapshot] = []
        count = len(self.inputs[0])
        order = torch.empty(0, dtype=torch.int64)
        ends = [steps * (n + 1) // len(stages) for n in range(len(stages))]
        with progress_bar("learning widths", steps) as show:
            for step in range(steps):
                if len(order) < min(batch, count):
                    order = torch.randperm(count, generator=generator)
                chosen, order = order[:batch], order[batch:]
                self.module.train()
                stage = step * len(stages) // steps
                weight, rate = stages[stage], _rate(step * len(stages) / steps - stage)
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate * rate * group["pace"]
                inputs = self._mixed(chosen, generator)
                optimizer.zero_grad()
                loss = self._loss(inputs)(self._scores(inputs))
                loss = loss + weight * self.cost()
                if not torch.isfinite(loss):
                    raise _diverging(f"the loss is {loss.item()}", step)
                loss.backward()  # pyright: ignore[reportUnknownMemberType]
                optimizer.step()  # pyright: ignore[reportUnknownMemberType]
                if step + 1 in ends:
                    if self._beyond():
                        raise _diverging(f"numbers are beyond 2^{WHOLE}", step)
                    state = self.module.state_dict()
                    kept = {k: v.clone() for k, v in state.items()}
                    found.append(_Snapshot(kept, weight))
                if step % 16 == 0:
                    show(step + 1)
        return found

    def _paces(self) -> dict[float, list[Parameter]]:
        """Parameters by how fast they learn."""
        fractions = {id(e.frac) for e in self.module.elements.values()}
        paces: dict[float, list[Parameter]] = {1.0: [], FRACTIONS: []}
        for parameter in self.module.parameters():
            paces[FRACTIONS if id(parameter) in fractions else 1.0].append(parameter)
        return paces

    def _beyond(self) -> bool:
        """Whether numbers are too large for the codes of weights."""
        return any((p.abs() >= 1 << WHOLE).any() for p in self.module.parameters())

    def _mixed(self, chosen: Tensor, generator: Generator) -> list[Tensor]:
        """Samples, every other one of them mixed with another one."""
        import torch

        part = torch.rand(len(chosen), generator=generator)
        part[::2] = 1.0
        others = chosen[torch.randperm(len(chosen), generator=generator)]
        mixed: list[Tensor] = []
        for x in self.inputs:
            share = part.reshape(-1, *(1,) * (x.dim() - 1))
            mixed.append(share * x[chosen] + (1 - share) * x[others])
        return mixed

    def _loss(self, inputs: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
        """What tells how far scores of `inputs` are from those of the teacher."""
        import torch
        from torch.nn.functional import cross_entropy

        with torch.no_grad():
            wanted = self.teacher(*inputs).flatten(1).softmax(1)
        return lambda scores: cross_entropy(scores.flatten(1), wanted)

    def _scores(self, inputs: Sequence[Tensor]) -> Tensor:
        results = cast("Tensor | tuple[Tensor, ...]", self.module(*inputs))
        return (results[0] if isinstance(results, tuple) else results).flatten(1)

    def _see_all(self) -> None:
        """Ranges are those of all samples, and no others."""
        import torch

        self.module.eval()
        for elements in self.module.elements.values():
            elements.forget()
        with torch.no_grad():
            self._scores(self.inputs)

    def point(
        self, snapshot: _Snapshot, sweeps: int, seed: int, judges: Judges
    ) -> Point:
        """The model of a snapshot after some moves, in fixed point."""
        import torch

        from mase_opt.frontend.from_torch import from_torch

        self.module.load_state_dict(snapshot.state)
        self._move(snapshot.weight, sweeps, seed)
        self._see_all()
        with torch.no_grad():
            cost = self.cost().item()
        ir = from_torch(self.module)
        CanonicalizePass().apply(Context(), ir)
        if left := exact_types(ir):
            raise UserError(
                f"{', '.join(left)}: no exact results in fixed point, which learned "
                "widths need: quantize() the model instead"
            )
        model = self.home._derived(ir)  # pyright: ignore[reportPrivateUsage]
        samples, labels = judges
        (scores, *_) = model.numbers(
            Level.QUANTIZED, model.results(Level.QUANTIZED, samples)
        )
        return Point(model, cost, accuracy(scores, labels))

    def _move(self, weight: float, sweeps: int, seed: int) -> None:
        """Move codes and widths as long as that pays."""
        import torch

        from mase_opt.model.moves import Moves

        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(self.inputs[0]), generator=generator)
        inputs = self._mixed(chosen, generator)
        moves = Moves(self.module, inputs, self._loss(inputs), weight)
        for _ in range(sweeps):
            if not moves.sweep(generator):
                break


def _diverging(sign: str, step: int) -> UserError:
    return UserError(f"{sign} at step {step}: choose a lower learning_rate")


def _rate(done: float) -> float:
    """The part of the learning rate where `done` of a stage is done."""
    left = min((1 - done) / (1 - STEADY), 1.0)
    return 0.5 * (1 - float(np.cos(np.pi * left)))


def _front(found: Sequence[Point]) -> list[Point]:
    """Those that are better than all that cost less."""
    best, result = -1.0, list[Point]()
    for one in sorted(found, key=lambda f: (f.cost, -f.accuracy)):
        if one.accuracy > best:
            best = one.accuracy
            result.append(one)
    return result
