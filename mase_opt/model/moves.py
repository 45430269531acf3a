"""Moves of single codes and widths that cost less than they save."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from mase_opt.frontend.to_torch import MaseModule
from mase_opt.frontend.to_torch.learned_elements import (
    AdderCost,
    LearnedElements,
    master,
)
from mase_opt.lib.hardware.arith import digits


class Moves:
    """
    Coordinate descent on a loss plus the cost of adders.

    A digit of a weight may go, or move by one place; an element of what layers multiply
    may lose a bit. What is kept never makes the objective larger.
    """

    def __init__(
        self,
        module: MaseModule,
        cost: AdderCost,
        inputs: Sequence[Tensor],
        loss: Callable[[Tensor], Tensor],
        weight: float,
    ):
        self._module, self._cost = module.eval(), cost
        self._inputs, self._loss, self._weight = inputs, loss, weight
        self._constants: list[tuple[LearnedElements, Tensor]] = []
        self._data: list[LearnedElements] = []
        for value, learned in module.elements.items():
            numbers = master(module, value)
            if numbers is None:
                self._data.append(learned)
            else:
                numbers = numbers.detach()
                scale = torch.exp2(learned.whole_frac())
                numbers.copy_(torch.round(numbers * scale) / scale)
                self._constants.append((learned, numbers))
        with torch.no_grad():
            for learned in self._data:
                learned.frac.copy_(learned.whole_frac())
        self.best = self.objective()

    def objective(self) -> float:
        """The loss plus the weighted cost, of the module as it is."""
        with torch.no_grad():
            for learned in self._data:
                learned.forget()
            scores = self._module(*self._inputs)
            return float(self._loss(scores) + self._weight * self._cost())

    def sweep(self, generator: torch.Generator) -> int:
        """Try every move once, in random order; how many are kept."""
        kept = 0
        for learned, numbers in self._constants:
            flat, units = numbers.view(-1), torch.exp2(-learned.whole_frac()).flatten()
            for index in torch.randperm(len(flat), generator=generator).tolist():
                unit = float(units[index])
                codes = _others(round(float(flat[index]) / unit))
                kept += self._move(flat, index, (code * unit for code in codes))
        for learned in self._data:
            flat = learned.frac.detach().view(-1)
            for index in torch.randperm(len(flat), generator=generator).tolist():
                if learned.bits().flatten()[index] > 0:
                    kept += self._move(flat, index, [float(flat[index]) - 1])
        return kept

    def _move(self, numbers: Tensor, index: int, others: Iterable[float]) -> bool:
        """Take the first of `others` that is better, if there is one."""
        old = float(numbers[index])
        for other in others:
            numbers[index] = other
            value = self.objective()
            if value < self.best:
                self.best = value
                return True
        numbers[index] = old
        return False


def _others(code: int) -> Iterator[int]:
    """Codes with a digit less, then those with one at a place beside its own."""
    own = digits(code)
    for place, negative in own:
        yield code - (-(1 << place) if negative else 1 << place)
    for place, negative in own:
        sign = -1 if negative else 1
        without = code - sign * (1 << place)
        yield without + sign * (1 << (place + 1))
        if place:
            yield without + sign * (1 << (place - 1))
