"""How many multipliers each layer gets, so that all of them take equally long."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, inf

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.base import int_array
from mase_opt.lib.analysis.devices import DEVICES, RESOURCES, Resources
from mase_opt.lib.analysis.parallelism import PARALLELISM, Choice, Layers, Work
from mase_opt.lib.model_function import model_function
from mase_opt.lib.suggest import did_you_mean

UNROLLED = "unrolled"
STEP = 1.05
"""How much longer an interval is that is tried after one for which limits are short."""


@dataclass(frozen=True)
class Budget:
    """An interval to reach, and what there is to reach it with."""

    interval: int | None
    multipliers: int | None
    limits: Resources | None
    clock: float | None

    def choose(self, layers: Layers) -> dict[Operation, Choice]:
        """
        The cheapest choice that reaches the interval, or the fastest within limits.

        Raises `PassFailedException`, which says the best that is possible.
        """
        name, least = layers.fastest
        if self.interval is not None:
            chosen = self._cheapest(layers, max(self.interval, 1))
            if chosen is None:
                raise PassFailedException(
                    f"{self._wanted} cannot be met: layer {name} takes {least} cycles "
                    f"at least{self._rate(least)}"
                )
            if not (over := self._over(layers, chosen)):
                return chosen
            best, _ = self._fastest(layers, least)
            raise PassFailedException(
                f"{self._wanted} cannot be met: it takes {over}; the best within that "
                f"is interval={best}{self._rate(best)}"
            )
        return self._fastest(layers, least)[1]

    def _fastest(
        self, layers: Layers, least: int
    ) -> tuple[int, dict[Operation, Choice]]:
        """The shortest interval within the limits, and the choice for it."""
        slowest = sum(w.products for w in layers.works.values())
        low, high = least, least
        # From the fast end, since fewer multipliers can take more block memories.
        while (found := self._fitting(layers, high)) is None and high < slowest:
            low, high = high + 1, min(ceil(high * STEP), slowest)
        if found is None:
            chosen = self._cheapest(layers, slowest)
            assert chosen is not None, "one after the other, all is possible"
            raise PassFailedException(
                "the limits cannot be met: the layers take "
                f"{self._over(layers, chosen)} at least, with one multiplier each"
            )
        while low < high:
            middle = (low + high) // 2
            if (chosen := self._fitting(layers, middle)) is not None:
                high, found = middle, chosen
            else:
                low = middle + 1
        return high, found

    def _fitting(self, layers: Layers, interval: int) -> dict[Operation, Choice] | None:
        """The cheapest choice for an interval, if it is within the limits."""
        chosen = self._cheapest(layers, interval)
        return None if chosen is None or self._over(layers, chosen) else chosen

    def _cheapest(
        self, layers: Layers, interval: int
    ) -> dict[Operation, Choice] | None:
        """The fewest multipliers, unrolled layers where blocks for them are short."""
        chosen = layers.choose(interval)
        if chosen is None or self.limits is None:
            return chosen
        return layers.unroll(chosen, self.limits)

    def _over(self, layers: Layers, chosen: dict[Operation, Choice]) -> str:
        """What a choice takes more of than there is, in words; empty if all fits."""
        total = layers.total(chosen)
        if self.multipliers is not None and total > self.multipliers:
            return f"{total} multipliers of {self.multipliers}"
        return layers.resources(chosen).over(self.limits) if self.limits else ""

    @property
    def _wanted(self) -> str:
        if self.clock is None or self.interval is None:
            return f"interval={self.interval}"
        return f"a sample every {self.interval} cycles"

    def _rate(self, interval: int) -> str:
        if self.clock is None:
            return ""
        return f", {self.clock / interval:.6g} samples a second"


@dataclass(frozen=True)
class MaseAllocateParallelismPass(ModulePass):
    """
    Choose how much of each layer is worked on at a time when it is streamed.

    With `interval`, the fewest multipliers with which a sample comes every so many
    cycles; `clock` and `rate` say that in hertz and samples a second. With limits, of
    `multipliers`, of the tables, multiplier blocks and block memories of a `device`, or
    of `lut`, `dsp` and `bram` alone, the shortest interval within them. Of both, an
    error says what is the best that the limits allow. What layers take of a device is
    estimated: their multipliers, accumulators, weights and windows. Numbers of
    channels need not be divided: the last ones of a layer then come alone. `layers`
    fixes single ones. The choice is an attribute of each layer. What works on all of
    its weights at a time is unrolled: they become adders, not multipliers; where
    limits leave too few multiplier blocks, layers are, as far as there are tables.

    ```mlir
    %0 = mase.linear %x, %w, %b {layer = "fc1"} : (…) -> tensor<1x32x!mase.fixed<8, 4>>
    ```

    becomes, with `interval=128`,

    ```mlir
    %0 = mase.linear %x, %w, %b {layer = "fc1", mase.parallelism = array<i64: 16, 1>}
      : (…) -> tensor<1x32x!mase.fixed<8, 4>>
    ```
    """

    name = "mase-allocate-parallelism"

    interval: int | None = None
    """Cycles from one sample to the next, at most."""

    clock: float | None = None
    """Hertz; with rate, instead of interval."""

    rate: float | None = None
    """Samples a second, at least."""

    multipliers: int | None = None
    """Multipliers of all layers together, at most."""

    device: str | None = None
    """An FPGA whose resources are the limits, as xc7z020."""

    lut: int | None = None
    """Tables of six inputs, at most."""

    dsp: int | None = None
    """Multiplier blocks, at most."""

    bram: int | None = None
    """Block memories of 36 Kbit, at most."""

    layers: tuple[str, ...] = ()
    """
    Layers that are decided on, as `fc1:4x8`: outputs, inputs for each of them; or as
    `fc1:unrolled`, all of both.
    """

    def __post_init__(self) -> None:
        if self.interval is not None and self.rate is not None:
            raise ValueError("give interval, or clock and rate, not both")
        if self.rate is not None and self.clock is None:
            raise ValueError("rate needs a clock in hertz, as clock=200e6")
        if self.clock is not None and self._is_empty:
            raise ValueError("clock alone decides nothing: add a rate, as rate=1000")
        given = {"clock": self.clock, "rate": self.rate}
        for name, value in given.items():
            if value is not None and not (0 < value < inf):
                unit = "hertz" if name == "clock" else "samples a second"
                raise ValueError(f"{name} is {value:g}, expected {unit}")
        if self.device is not None and self.device not in DEVICES:
            raise ValueError(
                f"unknown device '{self.device}'{did_you_mean(self.device, DEVICES)} "
                f"(known: {', '.join(DEVICES)}; or give lut, dsp and bram)"
            )

    @property
    def _is_empty(self) -> bool:
        """Whether no interval and no limit is asked for."""
        given = (self.interval, self.rate, self.multipliers, self.device)
        limits = (getattr(self, name) for name in RESOURCES)
        return all(value is None for value in (*given, *limits))

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        found = Layers(model_function(op))
        budget = Budget(self._interval(), self.multipliers, self._limits(), self.clock)
        choices: dict[str, Choice] = {}
        if not self._is_empty:
            if not found.works:
                raise PassFailedException("no layer adds up products")
            chosen = budget.choose(found)
            choices = {found.works[op].name: c for op, c in chosen.items()}
        choices |= self._decided(found)
        for layer, work in found.works.items():
            if (choice := choices.get(work.name)) is not None:
                layer.attributes[PARALLELISM] = int_array(choice)

    def _interval(self) -> int | None:
        """The cycles that are wanted."""
        if self.rate is None or self.clock is None:
            return self.interval
        return int(self.clock / self.rate)

    def _limits(self) -> Resources | None:
        """What the circuit may take."""
        own = {name: getattr(self, name) for name in RESOURCES}
        given = {name: value for name, value in own.items() if value is not None}
        if self.device is None:
            nothing = Resources(inf, inf, inf)
            return replace(nothing, **given) if given else None
        return replace(DEVICES[self.device], **given)

    def _decided(self, found: Layers) -> dict[str, Choice]:
        """The layers that are fixed. Raises `PassFailedException`."""
        works = {work.name: work for work in found.works.values()}
        result: dict[str, Choice] = {}
        for text in self.layers:
            name, _, numbers = text.rpartition(":")
            outputs, _, inputs = numbers.partition("x")
            if name not in works:
                raise PassFailedException(
                    f"no layer '{name}' adds up products{did_you_mean(name, works)}"
                )
            if numbers == UNROLLED:
                result[name] = _unrolled(works[name])
                continue
            if not (outputs.isdecimal() and inputs.isdecimal()) or "0" in (
                outputs,
                inputs,
            ):
                raise PassFailedException(
                    f"layers: '{text}', expected a layer, outputs and inputs at a "
                    f"time, as fc1:4x8, or fc1:{UNROLLED}"
                )
            result[name] = int(outputs), int(inputs)
        return result


def _unrolled(work: Work) -> Choice:
    """All of a layer. Raises `PassFailedException` where it takes several cycles."""
    if work.unrolled is None:
        raise PassFailedException(
            f"layer '{work.name}' cannot be unrolled: places of a kernel, groups and "
            "what is flattened take turns; unrolled are linear layers and 1x1 "
            "convolutions"
        )
    return work.unrolled
