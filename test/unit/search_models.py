"""A model, runners and configurations for the tests of searches."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import mase_opt as mo
from mase_opt.lib.errors import UserError
from mase_opt.search.runner import HARDWARE, Metric, Runner, RunnerContext, Trial

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
FORMATS = ["fixed<16, 8>", "fixed<8, 6>", "fixed<8, 4>", "fixed<4, 2>"]
"""The lab's choices for data, and for weights."""


@HARDWARE.add
class Toll(Runner):
    """
    A number for each point, known in advance, without a look at the model.

    `toll` adds what `prices` has for each choice; `half` is half of it. A point whose
    price is a text fails with it; if that is "mortal", its process dies, and if it is
    a file that is not there, too, but leaves one. `log` gets the id of the process and
    the number of the trial, when it starts; then it takes `seconds`.
    """

    name = "toll"
    metrics: ClassVar[Mapping[str, Metric]] = {
        "toll": Metric("minimize", "coins"),
        "half": Metric("minimize", "coins"),
    }
    keys = ("prices", "log", "seconds")

    def __init__(self, table: Mapping[str, Any], context: RunnerContext):
        self.prices: Mapping[str, Mapping[str, Any]] = table["prices"]
        self.log: str | None = table.get("log")
        self.seconds: float = table.get("seconds", 0)

    def measure(self, trial: Trial) -> dict[str, float]:
        if self.log is not None:
            with open(self.log, "a", encoding="utf-8") as stream:
                stream.write(f"{os.getpid()} {trial.number}\n")
        time.sleep(self.seconds)
        prices = [self.prices[k].get(str(v), 0) for k, v in trial.point.items()]
        for price in prices:
            if isinstance(price, str):
                self._fail(price)
        prices = [p for p in prices if not isinstance(p, str)]
        toll = float(sum(prices))
        return {"toll": toll, "half": toll / 2}

    def _fail(self, price: str) -> None:
        if price == "mortal" or (price.startswith("/") and not Path(price).exists()):
            if price != "mortal":
                Path(price).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if not price.startswith("/"):
            raise UserError(price)


PRICES = {
    "linear.data_in": dict(zip(FORMATS, (8, 5, 1, 4), strict=True)),
    "linear.weight": dict(zip(FORMATS, (9, 2, 6, 7), strict=True)),
}
"""The cheapest is data in fixed<8, 4> and weights in fixed<8, 6>: 3."""
CHEAPEST = {"linear.data_in": "fixed<8, 4>", "linear.weight": "fixed<8, 6>"}

LAB: dict[str, Any] = {
    "name": "mixed_precision",
    "setup": {"by": "type", "share": True},
    "seed": {"linear": {"config": {"data_in": FORMATS, "weight": FORMATS}}},
}
"""16 points."""


def toll(
    *,
    space: Mapping[str, Any] = LAB,
    strategy: str = "optuna",
    prices: Mapping[str, Any] = PRICES,
    metrics: Mapping[str, Any] | None = None,
    log: Path | None = None,
    seconds: float = 0,
    **setup: Any,
) -> dict[str, Any]:
    """A search that costs nothing, for a known optimum."""
    table: dict[str, Any] = {"prices": prices, "seconds": seconds}
    if log is not None:
        table["log"] = str(log)
    return {
        "search_space": space,
        "strategy": {
            "name": strategy,
            "hw_runner": {"toll": table},
            "setup": {"direction": "minimize", **setup},
            "metrics": metrics or {"toll": {}},
        },
    }


def mlp() -> mo.Model:
    """The calibrated digits MLP: fc1, relu, fc2."""
    model = mo.load(DIGITS / "mlp.mlir")
    return model.calibrate(DIGITS / "mlp_calibration.npz", samples=32)
