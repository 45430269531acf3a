"""How many multipliers each layer gets, so that all of them take equally long."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.base import int_array
from mase_opt.lib.analysis.parallelism import PARALLELISM, Choice, Layers
from mase_opt.lib.model_function import model_function
from mase_opt.lib.suggest import did_you_mean


@dataclass(frozen=True)
class MaseAllocateParallelismPass(ModulePass):
    """
    Choose how much of each layer is worked on at a time when it is streamed.

    With `interval`, the fewest multipliers with which a sample comes every so many
    cycles; with `multipliers`, the shortest interval that so many reach. Numbers of
    channels need not be divided: the last ones of a layer then come alone. `layers`
    fixes single ones. The choice is an attribute of each layer.

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

    multipliers: int | None = None
    """Multipliers of all layers together, at most."""

    layers: tuple[str, ...] = ()
    """Layers that are decided on, as `fc1:4x8`: outputs, inputs for each of them."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        if self.interval is not None and self.multipliers is not None:
            raise PassFailedException("give interval or multipliers, not both")
        found = Layers(model_function(op))
        choices: dict[str, Choice] = {}
        if self.interval is not None or self.multipliers is not None:
            if not found.works:
                raise PassFailedException("no layer adds up products")
            chosen = self._within(found)
            choices = {found.works[op].name: c for op, c in chosen.items()}
        choices |= self._decided(found)
        for layer, work in found.works.items():
            if (choice := choices.get(work.name)) is not None:
                layer.attributes[PARALLELISM] = int_array(choice)

    def _within(self, layers: Layers) -> dict[Operation, Choice]:
        """The choice for a budget. Raises `PassFailedException`."""
        name, least = layers.fastest
        if self.interval is not None:
            chosen = layers.choose(self.interval)
            if chosen is None:
                raise PassFailedException(
                    f"interval={self.interval} cannot be met: layer {name} takes "
                    f"{least} cycles at least"
                )
            return chosen
        assert self.multipliers is not None
        low, high = least, sum(w.products for w in layers.works.values())
        cheapest = layers.choose(high)
        assert cheapest is not None, "one after the other, all is possible"
        if layers.total(cheapest) > self.multipliers:
            raise PassFailedException(
                f"multipliers={self.multipliers} cannot be met: the layers need "
                f"{layers.total(cheapest)} at least, one each"
            )
        while low < high:
            middle = (low + high) // 2
            chosen = layers.choose(middle)
            if chosen is not None and layers.total(chosen) <= self.multipliers:
                high = middle
            else:
                low = middle + 1
        chosen = layers.choose(high)
        assert chosen is not None
        return chosen

    def _decided(self, found: Layers) -> dict[str, Choice]:
        """The layers that are fixed. Raises `PassFailedException`."""
        names = {work.name for work in found.works.values()}
        result: dict[str, Choice] = {}
        for text in self.layers:
            name, _, numbers = text.rpartition(":")
            outputs, _, inputs = numbers.partition("x")
            if name not in names:
                raise PassFailedException(
                    f"no layer '{name}' adds up products{did_you_mean(name, names)}"
                )
            if not (outputs.isdecimal() and inputs.isdecimal()) or "0" in (
                outputs,
                inputs,
            ):
                raise PassFailedException(
                    f"layers: '{text}', expected a layer, outputs and inputs at a "
                    "time, as fc1:4x8"
                )
            result[name] = int(outputs), int(inputs)
        return result
