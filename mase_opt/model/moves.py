"""Moves of single codes and widths that cost less than they save."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Generator, Tensor
from xdsl.ir import SSAValue

from mase_opt.frontend.to_torch import MaseModule, Replay
from mase_opt.frontend.to_torch.learned_elements import (
    AdderCost,
    LearnedElements,
    master,
)
from mase_opt.lib.hardware.arith import digits


class Moves:
    """
    Coordinate descent on `loss` of the results plus `weight` times what adders cost.

    A digit of a weight may go, or move by one place; an element of what layers multiply
    may lose or get a bit. What is kept makes the objective smaller.
    """

    def __init__(
        self,
        module: MaseModule,
        inputs: Sequence[Tensor],
        loss: Callable[[Tensor], Tensor],
        weight: float,
    ):
        self._module, self._inputs = module, inputs
        self._loss, self._weight = loss, weight
        self._cost = AdderCost(module)
        self._constants: dict[SSAValue, Tensor] = {}
        self._data: list[LearnedElements] = []
        module.eval()
        for value, learned in module.elements.items():
            numbers = master(module, value)
            if numbers is None:
                learned.frac.detach().copy_(learned.whole_frac())
                self._data.append(learned)
            else:
                numbers, scale = numbers.detach(), torch.exp2(learned.whole_frac())
                numbers.copy_(torch.round(numbers * scale) / scale)
                self._constants[value] = numbers
        self.best = self._now()
        """The objective with all that has been kept."""

    def _now(self) -> float:
        for learned in self._data:
            learned.forget()
        with torch.no_grad():
            results: Tensor | tuple[Tensor, ...] = self._module(*self._inputs)
            first = results[0] if isinstance(results, tuple) else results
            return (self._loss(first) + self._weight * self._cost()).item()

    def sweep(self, generator: Generator) -> int:
        """Try every move once, in random order; how many are kept."""
        kept = sum(self._codes(value, generator) for value in self._constants)
        for learned in self._data:
            flat = learned.frac.detach().view(-1)
            for index in _order(flat, generator):
                self.best = self._now()
                if learned.bits().flatten()[index] > 0:
                    kept += self._widths(flat, index)
        return kept

    def _widths(self, fracs: Tensor, index: int) -> bool:
        """Take the first width that is better."""
        old = fracs[index].item()
        for other in (old - 1, old + 1):
            fracs[index] = other
            if self._kept():
                return True
        fracs[index] = old
        return False

    def _kept(self) -> bool:
        """Whether what has been moved makes the objective smaller."""
        now = self._now()
        if now >= self.best:
            return False
        self.best = now
        return True

    @torch.no_grad()
    def _codes(self, value: SSAValue, generator: Generator) -> int:
        """Move those of a constant; how many."""
        learned, numbers = self._module.elements[value], self._constants[value].view(-1)
        units = torch.exp2(-learned.whole_frac()).flatten()
        self._now()
        prices = self._cost.prices()[value].flatten()
        replay = self._module.replay(value, *self._inputs)
        tried, kept = replay.numbers.view(-1), 0
        loss, slopes = self._slopes(replay)
        for index in _order(numbers, generator):
            unit, price = units[index].item(), self._weight * prices[index].item()
            old = round(numbers[index].item() / unit)
            for code in _others(old):
                # As if ranges stayed; what is kept is judged by the whole.
                saved = price * (len(digits(old)) - len(digits(code)))
                # The loss is above its tangent, at least behind the last layer.
                if slopes[index].item() * (code - old) * unit >= saved:
                    continue
                tried[index] = code * unit
                if self._loss(replay.result(replay.numbers)).item() < loss + saved:
                    numbers[index] = code * unit
                    if self._kept():
                        loss, slopes = self._slopes(replay)
                        kept += 1
                        break
                tried[index] = numbers[index] = old * unit
        return kept

    def _slopes(self, replay: Replay) -> tuple[float, Tensor]:
        """The loss, and how fast it rises with each number."""
        with torch.enable_grad():
            numbers = replay.numbers.clone().requires_grad_()
            loss = self._loss(replay.result(numbers))
            (slopes,) = torch.autograd.grad(loss, numbers)
        return loss.item(), slopes.flatten()


def _order(numbers: Tensor, generator: Generator) -> list[int]:
    order = torch.randperm(len(numbers), generator=generator)
    return order.tolist()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _others(code: int) -> Iterator[int]:
    """Codes with a digit less, then those with one at a place beside its own."""
    parts = [-(1 << p) if negative else 1 << p for p, negative in digits(code)]
    for part in parts:
        yield code - part
    for part in parts:
        yield code + part
        if part % 2 == 0:
            yield code - part // 2
