"""Moves of single codes and widths that cost less than they save."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Generator, Tensor

from mase_opt.frontend.to_torch import MaseModule
from mase_opt.frontend.to_torch.learned_elements import LearnedElements, master
from mase_opt.lib.hardware.arith import digits


class Moves:
    """
    Coordinate descent on an objective, which runs the module.

    A digit of a weight may go, or move by one place; an element of what layers multiply
    may lose a bit. What is kept makes the objective smaller.
    """

    def __init__(self, module: MaseModule, objective: Callable[[], Tensor]):
        self._objective = objective
        self._constants: list[tuple[LearnedElements, Tensor]] = []
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
                self._constants.append((learned, numbers))
        self.best = self._now()
        """The objective with all that has been kept."""

    def _now(self) -> float:
        for learned in self._data:
            learned.forget()
        with torch.no_grad():
            return self._objective().item()

    def sweep(self, generator: Generator) -> int:
        """Try every move once, in random order; how many are kept."""
        kept = 0
        for learned, numbers in self._constants:
            flat, units = numbers.view(-1), torch.exp2(-learned.whole_frac()).flatten()
            for index in _order(flat, generator):
                unit = units[index].item()
                codes = _others(round(flat[index].item() / unit))
                kept += self._move(flat, index, (code * unit for code in codes))
        for learned in self._data:
            flat = learned.frac.detach().view(-1)
            for index in _order(flat, generator):
                if learned.bits().flatten()[index] > 0:
                    kept += self._move(flat, index, [flat[index].item() - 1])
        return kept

    def _move(self, numbers: Tensor, index: int, others: Iterable[float]) -> bool:
        """Take the first of `others` that is better, if there is one."""
        old = numbers[index].item()
        for other in others:
            numbers[index] = other
            now = self._now()
            if now < self.best:
                self.best = now
                return True
        numbers[index] = old
        return False


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
