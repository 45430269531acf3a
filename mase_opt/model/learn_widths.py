"""A front of models between accuracy and hardware, from one training run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from xdsl.context import Context
from xdsl.transforms.canonicalize import CanonicalizePass

from mase_opt.lib.console import progress_bar
from mase_opt.lib.data.samples import Array, Data, as_labels, as_samples, inputs_of
from mase_opt.lib.errors import UserError
from mase_opt.lib.quantization.batch_norm import fold_batch_norms
from mase_opt.lib.quantization.elements import (
    Granularity,
    Start,
    exact_types,
    insert_casts,
)
from mase_opt.model.metrics import accuracy
from mase_opt.model.model import Model, user_errors

if TYPE_CHECKING:
    from torch import Tensor

    from mase_opt.frontend.to_torch import MaseModule
    from mase_opt.frontend.to_torch.learned_elements import AdderCost

QUIET, RAMP = 0.1, 0.7
"""The parts of training before the weight of the cost rises, and while it does."""


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
    cost: float
    accuracy: float


def learn_widths(
    model: Model,
    data: Data,
    labels: Any,
    validation: Data,
    validation_labels: Any,
    *,
    steps: int = 4000,
    batch: int = 256,
    granularity: Granularity | str = Granularity.ELEMENT,
    weights: tuple[float, float] = (1e-7, 1e-4),
    learning_rate: float = 3e-3,
    sweeps: int = 1,
    teacher: Any = None,
    seed: int = 0,
) -> list[Point]:
    """
    A front of models, the cheapest first, of which none is better and cheaper.

    `model`, a classifier in floating point, is trained on with the number of bits of
    every weight, and of every element of what layers multiply, as parameters. What
    these cost is part of the loss, with a weight that rises from `weights[0]` to
    `weights[1]`; on the way, models are kept that are better than all that cost less,
    judged on the validation samples, which training does not see. Same seed, same front
    (on one machine). `granularity` says what has a format of its own: `tensor`,
    `channel` or `element`.

    Raises `UserError` for data that does not fit, layers that cannot take formats, and
    a loss that is not finite.
    """
    with user_errors():
        if steps < 1 or batch < 1:
            raise UserError(f"steps {steps}, batch {batch}: expected at least 1 of each")
        if not 0 < weights[0] <= weights[1]:
            raise UserError(f"weights are {weights}, expected 0 < first <= second")
        start = Start(_granularity(granularity), *eval(__import__('os').environ.get('START','()')))
        inputs = inputs_of(model.function)
        samples, held_out = (as_samples(d, inputs) for d in (data, validation))
        wanted = as_labels(labels, len(samples[0])).astype(np.int64)
        expected = as_labels(validation_labels, len(held_out[0])).astype(np.int64)
        from mase_opt.frontend.to_torch import to_torch
        teacher = teacher or to_torch(model.ir).eval()
        trainer = _Trainer(teacher, _with_casts(model, samples, start), samples, wanted)
        snapshots = trainer.run(
            steps, batch, weights, learning_rate, seed, (held_out, expected)
        )
        points = [trainer.point(s, held_out, expected, sweeps, seed) for s in _front(snapshots)]
        return _best(points)


def _granularity(name: Granularity | str) -> Granularity:
    try:
        return Granularity(name)
    except ValueError:
        raise UserError(
            f"granularity is '{name}', expected one of {', '.join(Granularity)}"
        ) from None


def _with_casts(model: Model, samples: Sequence[Array], start: Start) -> Any:
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


class _Trainer:
    """Trains one module."""

    def __init__(self, teacher: Any, ir: Any, samples: Sequence[Array], labels: Array):
        import torch

        from mase_opt.frontend.to_torch import to_torch
        from mase_opt.frontend.to_torch.learned_elements import AdderCost

        self.module: MaseModule = to_torch(ir, learn_widths=True, share=True)
        self.cost: AdderCost = AdderCost(self.module)
        self.inputs = [torch.as_tensor(a).flatten(0, 1) for a in samples]
        self.labels = torch.as_tensor(labels)
        self.teacher = teacher

    def run(
        self,
        steps: int,
        batch: int,
        weights: tuple[float, float],
        learning_rate: float,
        seed: int,
        validation: tuple[Sequence[Array], Array],
    ) -> list[_Snapshot]:
        import torch
        from torch.nn.functional import cross_entropy

        generator = torch.Generator().manual_seed(seed)
        import os
        fr=[p for n,p in self.module.named_parameters() if n.startswith("learned.")]
        ot=[p for n,p in self.module.named_parameters() if not n.startswith("learned.")]
        optimizer = torch.optim.Adam([{"params":ot,"m":1.0},{"params":fr,"m":float(os.environ.get("FM","1"))}], learning_rate, fused=True)
        found: list[_Snapshot] = []
        count, every = len(self.labels), max(steps // 100, 1)
        order = torch.empty(0, dtype=torch.int64)
        with progress_bar("learning widths", steps) as show:
            for step in range(steps):
                if len(order) < min(batch, count):
                    order = torch.randperm(count, generator=generator)
                chosen, order = order[:batch], order[batch:]
                self.module.train()
                weight, rate = _schedule(step / steps, weights)
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate * rate * group["m"]
                inputs = self._mixed(chosen, generator)
                with torch.no_grad():
                    wanted = self.teacher(*inputs).flatten(1).softmax(1)
                optimizer.zero_grad()
                loss = cross_entropy(self._scores(inputs), wanted)
                loss = loss + weight * self.cost()
                if not torch.isfinite(loss):
                    raise UserError(
                        f"the loss is {float(loss)} at step {step}: lower learning_rate, "
                        "or check the data"
                    )
                loss.backward()  # pyright: ignore[reportUnknownMemberType]
                optimizer.step()
                if step % every == every - 1:
                    found.append(self._snapshot(weight, *validation))
                    show(step + 1)
        return found

    def _mixed(self, chosen: Tensor, generator: torch.Generator) -> list[Tensor]:
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

    def _scores(self, inputs: Sequence[Tensor]) -> Tensor:
        scores = self.module(*inputs)
        return (scores if not isinstance(scores, tuple) else scores[0]).flatten(1)

    def _snapshot(
        self, weight: float, samples: Sequence[Array], labels: Array
    ) -> _Snapshot:
        import torch

        self._see_all()
        with torch.no_grad():
            inputs = [torch.as_tensor(a).flatten(0, 1) for a in samples]
            cost = float(self.cost())
            scores = self._scores(inputs).numpy()
        state = {k: v.clone() for k, v in self.module.state_dict().items()}
        return _Snapshot(state, weight, cost, accuracy(scores, labels))

    def _see_all(self) -> None:
        """Ranges are those of all samples, and no others."""
        import torch

        self.module.eval()
        for elements in self.module.elements.values():
            elements.forget()
        with torch.no_grad():
            self._scores(self.inputs)

    def point(
        self,
        snapshot: _Snapshot,
        samples: Sequence[Array],
        labels: Array,
        sweeps: int,
        seed: int,
    ) -> Point:
        """The model of a snapshot, and how good it is in fixed point."""
        import torch

        from mase_opt.frontend.from_torch import from_torch

        self.module.load_state_dict(snapshot.state)
        if sweeps:
            self._polish(snapshot.weight, sweeps, seed)
        self._see_all()
        with torch.no_grad():
            cost = float(self.cost())
        ir = from_torch(self.module)
        CanonicalizePass().apply(Context(), ir)
        exact_types(ir)
        model = Model(ir)
        (scores, *_) = model.numbers("quantized", model.results("quantized", samples))
        return Point(model, cost, accuracy(scores, labels))


    def _polish(self, weight: float, sweeps: int, seed: int) -> None:
        """Move codes and widths as long as that pays."""
        import torch
        from torch.nn.functional import cross_entropy

        from mase_opt.model.moves import Moves

        generator = torch.Generator().manual_seed(seed)
        count = len(self.labels)
        chosen = torch.randperm(count, generator=generator)
        inputs = self._mixed(chosen, generator)
        with torch.no_grad():
            wanted = self.teacher(*inputs).flatten(1).softmax(1)

        def loss(scores: Tensor) -> Tensor:
            return cross_entropy(scores.flatten(1), wanted)

        moves = Moves(self.module, self.cost, inputs, loss, weight)
        for _ in range(sweeps):
            if not moves.sweep(generator):
                break


def _schedule(done: float, weights: tuple[float, float]) -> tuple[float, float]:
    """The weight of the cost, and the part of the learning rate."""
    low, high = weights
    if done < QUIET:
        return low, 1.0
    if done < QUIET + RAMP:
        return low * (high / low) ** ((done - QUIET) / RAMP), 1.0
    rest = (done - QUIET - RAMP) / (1 - QUIET - RAMP)
    return high, 0.5 * (1 + float(np.cos(np.pi * rest)))


def _front(snapshots: Sequence[_Snapshot]) -> list[_Snapshot]:
    """Those that are better than all that cost less."""
    best, result = -1.0, list[_Snapshot]()
    for snapshot in sorted(snapshots, key=lambda s: (s.cost, -s.accuracy)):
        if snapshot.accuracy > best:
            best = snapshot.accuracy
            result.append(snapshot)
    return result


def _best(points: Sequence[Point]) -> list[Point]:
    """As `_front`, of models."""
    best, result = -1.0, list[Point]()
    for point in sorted(points, key=lambda p: (p.cost, -p.accuracy)):
        if point.accuracy > best:
            best = point.accuracy
            result.append(point)
    return result
