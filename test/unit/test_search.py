"""Searches: what they find, and that nothing but the trials decides on it."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from search_models import CHEAPEST, DIGITS, FORMATS, LAB, PRICES, mlp, toll

import mase_opt as mo
from mase_opt.lib.errors import UserError
from mase_opt.lib.search.optuna_strategy import uniform
from mase_opt.search.study import Study

SAMPLERS = ("random", "tpe", "nsgaii", "nsgaiii", "qmc", "cmaes", "gp")


@pytest.fixture(scope="module")
def model() -> mo.Model:
    return mlp()


def found(study: Study) -> list[Any]:
    """What must be the same, however it came about."""
    return [
        (t.number, dict(t.point), t.samples, dict(t.values), t.objectives, t.reason)
        for t in study.trials
    ]


# ---- a known optimum --------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["grid", "brute_force"])
def test_exhaustive_samplers_try_16_points_and_stop(sampler: str, model: mo.Model):
    study = model.search(toll(sampler=sampler))
    assert len(study.trials) == 16
    assert len({tuple(t.point.values()) for t in study.trials}) == 16
    assert study.best.point == CHEAPEST
    assert study.best.values == {"toll": 3, "half": 1.5}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_approach_the_optimum(sampler: str, model: mo.Model):
    """Points cost 3 to 17; two of 16 cost 6 or less."""
    # Gaussian processes take their time; before 10 trials there are none.
    count = 14 if sampler == "gp" else 24
    study = model.search(toll(sampler=sampler, n_trials=count, batch=4, seed=1))
    # Once all points are known, there is nothing left to try.
    points = {tuple(t.point.values()) for t in study.trials}
    assert len(study.trials) == count or len(points) == 16
    assert study.best.values["toll"] <= 6
    assert study.best.values["toll"] == min(t.values["toll"] for t in study.trials)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_begin_with_uniform_points(sampler: str, model: mo.Model):
    study = model.search(toll(sampler=sampler, n_trials=6, batch=3))
    points = [tuple(t.point.values()) for t in study.trials]
    assert points[:4] == [(f, f) for f in FORMATS]
    cold = model.search(toll(sampler=sampler, n_trials=4, warm_start=False))
    assert {tuple(t.point.values()) for t in cold.trials} != set(points[:4])


def test_fewer_choices_keep_their_first_in_uniform_points():
    points = uniform({"a": (8, 6, 4), "b": ("floor", "zero"), "c": (1, 2, 3)})
    assert points == [
        {"a": 8, "b": "floor", "c": 1},
        {"a": 6, "b": "floor", "c": 2},
        {"a": 4, "b": "floor", "c": 3},
    ]


def test_greedy_descends_to_the_optimum(model: mo.Model):
    """Prices add up, so each parameter's own best is the optimum: 1 + 2 + 7 points."""
    study = model.search(toll(strategy="greedy"))
    assert study.best.point == CHEAPEST
    # The start, both ends, then data (more sensitive), weights, and no change.
    points = [tuple(t.point.values()) for t in study.trials]
    assert points[:3] == [
        (FORMATS[0], FORMATS[0]),
        (FORMATS[3], FORMATS[0]),
        (FORMATS[0], FORMATS[3]),
    ]
    assert len(points) == len(set(points)) == 11


def test_halving_keeps_the_better_third(model: mo.Model):
    config: dict[str, Any] = {
        "search_space": LAB,
        "strategy": {
            "name": "halving",
            "sw_runner": {"evaluation": {}},
            "setup": {"n_trials": 13, "min_samples": 40},
            "metrics": {"accuracy": {}},
        },
    }
    study = model.search(config, data=DIGITS / "mlp_test.npz")
    # 360 samples: 40, 120 and all, of 9, 3 and 1 points.
    assert [t.samples for t in study.trials] == [40] * 9 + [120] * 3 + [None]
    for first, last, kept in ((0, 9, 3), (9, 12, 1)):
        order = sorted(study.trials[first:last], key=lambda t: -t.values["accuracy"])
        survivors = study.trials[last : last + kept]
        assert [t.point for t in survivors] == [t.point for t in order[:kept]]
    assert study.front() == [study.trials[-1]]


def test_lab_on_digits(model: mo.Model):
    """Every accuracy is that of the model quantized by hand, on the same samples."""
    with np.load(DIGITS / "mlp_test.npz") as data:
        x, labels = data["x"][:100], data["labels"][:100]
    config: dict[str, Any] = {
        "search_space": LAB,
        "strategy": {
            "sw_runner": {"basic_evaluation": {"num_samples": 100}},
            "setup": {"sampler": "brute_force"},
            "metrics": {"accuracy": {}},
        },
    }
    study = model.search(config, data={"val": (x, labels)})
    assert len(study.trials) == 16
    for trial in study.trials:
        settings = {k.removeprefix("linear."): v for k, v in trial.point.items()}
        by_hand = model.quantize(by="type", layers={"linear": settings})
        assert trial.values["accuracy"] == by_hand.evaluate(x, labels)
    best = study.build(study.best)
    assert best.evaluate(x, labels) == study.best.values["accuracy"]
    assert best.recipe is not None
    assert best.recipe.layers["linear"] == {
        k.removeprefix("linear."): v for k, v in study.best.point.items()
    }


# ---- trials do not know of each other ----------------------------------------------


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsgaii"])
def test_same_seed_same_result(sampler: str, model: mo.Model):
    config = toll(sampler=sampler, n_trials=24, batch=4)
    assert found(model.search(config)) == found(model.search(config))
    other = model.search(toll(sampler=sampler, n_trials=24, batch=4, seed=7))
    assert found(other) != found(model.search(config))


def test_model_stays(model: mo.Model):
    before = model.text
    model.search(toll(n_trials=3))
    assert model.text == before


def test_identical_points_are_measured_once(model: mo.Model, tmp_path: Path):
    """Also across restarts, from the storage."""
    log = tmp_path / "log"
    space = {**LAB, "seed": {"linear": {"config": {"weight": FORMATS[:2]}}}}
    config = toll(
        space=space,
        sampler="random",
        n_trials=6,
        batch=6,
        log=log,
        prices={"linear.weight": {FORMATS[0]: 2, FORMATS[1]: 1}},
    )
    study = model.search(config, output=tmp_path)
    assert len(study.trials) == 6
    assert len(log.read_text().splitlines()) == 2
    known = {str(t.point): t.values for t in study.trials}
    assert all(t.values == known[str(t.point)] for t in study.trials)
    again = model.search(config, output=tmp_path, n_trials=6)
    assert found(again) == found(study)
    assert len(log.read_text().splitlines()) == 2


def test_a_study_goes_on_where_it_was(model: mo.Model, tmp_path: Path):
    whole = model.search(toll(sampler="tpe", n_trials=16, batch=4))
    first = model.search(toll(sampler="tpe", n_trials=8, batch=4), output=tmp_path)
    assert found(first) == found(whole)[:8]
    second = model.search(toll(sampler="tpe", n_trials=16, batch=4), output=tmp_path)
    assert found(second) == found(whole)


def test_models_are_pickled(model: mo.Model):
    """As workers get them."""
    small = model.quantize(width=5)
    again: mo.Model = pickle.loads(pickle.dumps(small))
    assert again.text == small.text
    assert again.unquantized.text == model.text


def test_a_pickled_model_loads_its_own_plugins(model: mo.Model, tmp_path: Path):
    own, other = tmp_path / "own.py", tmp_path / "other.py"
    for path in (own, other):
        path.write_text("from xdsl.universe import Universe\nUNIVERSE = Universe()\n")
    first = mo.Model(model.ir, plugins=[str(own)])
    mo.Model(model.ir, plugins=[str(other)])
    other.unlink()
    pickled = pickle.dumps(first.quantize(width=5))
    assert pickle.loads(pickled).recipe == mo.Recipe(width=5)
    own.unlink()
    with pytest.raises(mo.UserError, match=r"own\.py': no such file"):
        pickle.loads(pickled)


CLASSIC = """\
[search.search_space]
name = "graph/quantize/mixed_precision_ptq"

[search.search_space.setup]
by = "type"

[search.search_space.seed.default.config]
name = ["NA"]

[search.search_space.seed.linear.config]
name = ["integer"]
data_in_width = [4, 8]
data_in_frac_width = ["NA"]
weight_width = [2, 8]
weight_frac_width = ["NA"]
bias_width = [8]
bias_frac_width = ["NA"]

[search.strategy]
name = "optuna"
eval_mode = true

[search.strategy.sw_runner.basic_evaluation]
data_loader = "val_dataloader"
num_samples = 90

[search.strategy.setup]
n_jobs = 1
n_trials = 9
timeout = 20000
sampler = "tpe"
sum_scaled_metrics = false
direction = "maximize"

[search.strategy.metrics]
loss.scale = 1.0
loss.direction = "minimize"
accuracy.scale = 1.0
accuracy.direction = "maximize"
"""


WHOLE = """
input = "model.mlir"

[passes.calibrate]
samples = 4

[search.search_space]
name = "mixed_precision"
setup = {by = "type", share = true}

[search.search_space.seed.linear.config]
weight = ["fixed<8, auto>", "fixed<4, auto>"]

[search.strategy]
hw_runner.bits = {}
setup.sampler = "grid"
metrics.average_bitwidth = {}

[emit]
output = "build"
"""


def test_the_file_of_a_whole_run(model: mo.Model, tmp_path: Path):
    file = tmp_path / "run.toml"
    file.write_text(WHOLE)
    assert model.search(file).best.point == {"linear.weight": "fixed<4, auto>"}
    file.write_text(WHOLE.replace("output", "outputs"))
    with pytest.raises(UserError, match=r"emit: unknown key 'outputs'.*'output'"):
        model.search(file)
    file.write_text(WHOLE.replace("calibrate", "calibrat"))
    with pytest.raises(UserError, match=r"unknown pass 'calibrat'.*'calibrate'"):
        model.search(file)


def test_classic_file(model: mo.Model, tmp_path: Path):
    """By type, each linear layer chooses; the rest stays in floating point."""
    file = tmp_path / "search.toml"
    file.write_text(CLASSIC)
    study = model.search(file, data={"val": DIGITS / "mlp_test.npz"})
    assert len(study.trials) == 9
    assert set(study.trials[0].point) == {
        f"fc{n}.{o}_width" for n in (1, 2) for o in ("data_in", "weight")
    }
    front = study.front()
    assert front
    losses = [t.objectives[0] for t in front]
    assert losses == sorted(losses)
    point = front[0].point
    with np.load(DIGITS / "mlp_test.npz") as data:
        x, labels = data["x"][:90], data["labels"][:90]
    settings: dict[str, Any] = {
        f"fc{n}": {
            "name": "integer",
            "bias_width": 8,
            "bias_frac_width": 4,
            **{f"{o}_width": point[f"fc{n}.{o}_width"] for o in ("data_in", "weight")},
            **{
                f"{o}_frac_width": point[f"fc{n}.{o}_width"] // 2
                for o in ("data_in", "weight")
            },
        }
        for n in (1, 2)
    }
    settings["default"] = {"name": "NA"}
    by_hand = model.quantize(by="name", layers=settings)
    # The interpreter does not take what is half in floating point as quantized.
    net = by_hand.to_torch()
    hits = net(torch.as_tensor(x)).argmax(1) == torch.as_tensor(labels)
    assert front[0].values["accuracy"] == hits.double().mean()


# ---- objectives and bounds ---------------------------------------------------------


def test_pareto_front(model: mo.Model):
    """Toll and half go together; against each other, all points are on the front."""
    metrics = {"toll": {}, "half": {"direction": "maximize"}}
    config = toll(sampler="grid", sum_scaled_metrics=False, metrics=metrics)
    study = model.search(config)
    tolls = sorted({t.values["toll"] for t in study.trials})
    assert [t.values["toll"] for t in study.front()] == tolls
    one = toll(
        sampler="grid", sum_scaled_metrics=False, metrics={"toll": {}, "half": {}}
    )
    assert [t.point for t in model.search(one).front()] == [CHEAPEST]


def test_the_sum_is_scaled_and_knows_directions(model: mo.Model):
    """To minimize 2 toll - half, half being maximized: 1.5 toll."""
    metrics = {"toll": {"scale": 2}, "half": {"direction": "maximize", "scale": 1.0}}
    study = model.search(toll(sampler="grid", metrics=metrics))
    assert all(t.objectives == (1.5 * t.values["toll"],) for t in study.trials)


def test_bounds(model: mo.Model):
    """The cheapest of at least 8 is 8: data 5 and weights 2 are 7, 1 and 7 are 8."""
    metrics = {"toll": {}, "half": {"lower_bound": 4, "scale": 0}}
    study = model.search(toll(sampler="grid", metrics=metrics))
    assert study.best.values["toll"] == 8
    assert study.trials[0].objectives == (study.trials[0].values["toll"],)
    assert {t.violation > 0 for t in study.trials if t.values["half"] < 4} == {True}


def test_a_bound_that_no_trial_meets(model: mo.Model):
    metrics = {"toll": {"upper_bound": 2}}
    study = model.search(toll(sampler="grid", metrics=metrics))
    assert study.front() == []
    number = next(t.number for t in study.trials if t.point == CHEAPEST)
    with pytest.raises(UserError) as error:
        _ = study.best
    assert str(error.value) == (
        f"no trial keeps the bounds; the nearest is trial {number}: toll is 3, "
        "upper_bound 2"
    )


# ---- what goes wrong ---------------------------------------------------------------


def test_a_trial_fails_and_the_search_goes_on(model: mo.Model):
    prices = PRICES | {"linear.data_in": {FORMATS[2]: "the bridge is closed"}}
    study = model.search(toll(sampler="grid", prices=prices))
    failed = [t for t in study.trials if t.state == "failed"]
    assert [t.point["linear.data_in"] for t in failed] == [FORMATS[2]] * 4
    assert {t.reason for t in failed} == {"the bridge is closed"}
    assert study.best.values["toll"] == 2


def test_a_model_that_cannot_be_built(model: mo.Model):
    """Weights have no axis 5."""
    formats = ["fixed<8, 6>", "scaled<fixed<8, 0>, auto, axis = 5>"]
    space = {**LAB, "seed": {"linear": {"config": {"weight": formats}}}}
    study = model.search(
        toll(space=space, sampler="grid", prices={"linear.weight": {}})
    )
    assert sorted(t.state for t in study.trials) == ["complete", "failed"]
    (failed,) = (t for t in study.trials if t.state == "failed")
    assert failed.point["linear.weight"] == formats[1]
    assert failed.reason.startswith("layer 'fc1' (mase.linear): weight")


def test_nan_fails_a_trial(model: mo.Model):
    prices = {**PRICES, "linear.data_in": {FORMATS[0]: float("nan")}}
    study = model.search(toll(sampler="grid", prices=prices))
    failed = [t for t in study.trials if t.state == "failed"]
    assert {t.reason for t in failed} == {"runner toll: toll is NaN"}
    assert {t.point["linear.data_in"] for t in failed} == {FORMATS[0]}


def test_all_trials_fail(model: mo.Model):
    prices = {**PRICES, "linear.data_in": dict.fromkeys(FORMATS, "no money")}
    study = model.search(toll(sampler="random", n_trials=2, prices=prices))
    with pytest.raises(UserError, match="all of 2 trials failed; trial 0: no money"):
        _ = study.best


def changed(path: str, value: Any) -> dict[str, Any]:
    """The toll search with one thing changed; None takes it out."""
    config: Any = toll(n_trials=2)
    *keys, last = path.split(".")
    table = config
    for key in keys:
        table[key] = dict(table.get(key, {}))
        table = table[key]
    if value is None:
        del table[last]
    else:
        table[last] = value
    return config


EVALUATION: dict[str, Any] = {"evaluation": {}}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("strateg", {}, "unknown key 'strateg'; did you mean 'strategy'?"),
        ("strategy", None, "search has no table [search.strategy]"),
        ("search_space.name", None, "search_space has no name"),
        ("search_space.name", "mixed", "unknown space 'mixed'"),
        ("strategy.name", "optun", "unknown strategy 'optun'; did you mean 'optuna'?"),
        (
            "strategy.setup.sampler",
            "tpee",
            "unknown sampler 'tpee'; did you mean 'tpe'",
        ),
        ("strategy.setup.warm_start", 1, "warm_start is 1, expected true or false"),
        (
            "strategy.setup.n_trial",
            3,
            "unknown key 'n_trial'; did you mean 'n_trials'?",
        ),
        ("strategy.setup.n_trials", 0, "n_trials is 0, expected at least 1"),
        ("strategy.setup.n_jobs", 1.5, "n_jobs is 1.5, expected a whole number"),
        ("strategy.setup.timeout", "1h", "timeout is '1h', expected a number"),
        ("strategy.setup.direction", "up", "direction is 'up', expected maximize or"),
        ("strategy.metrics.tol", {}, "no runner measures 'tol'; did you mean 'toll'?"),
        ("strategy.metrics", {}, "strategy.metrics names no objective"),
        ("strategy.metrics.toll.scale", -1, "toll.scale is -1, expected at least 0"),
        ("strategy.metrics.toll.bound", 1, "unknown key 'bound'"),
        (
            "strategy.metrics.toll",
            {"lower_bound": 3, "upper_bound": 2},
            "toll: no number is at least 3 and at most 2",
        ),
        ("strategy.hw_runner", {}, "strategy has no runner"),
        ("strategy.hw_runner.tol", {}, "unknown hardware runner 'tol'; did you mean"),
        (
            "strategy.hw_runner.toll.price",
            1,
            "unknown key 'price'; did you mean 'price",
        ),
        ("strategy.sw_runner", EVALUATION, "evaluation: there is no data 'val'"),
        ("strategy.eval_mode", False, "eval_mode is false, but no runner trains"),
        ("strategy.eval_mode", 1, "eval_mode is 1, expected true or false"),
        ("data", {"val": "nowhere.npz"}, "data.val: data 'nowhere.npz': no such file"),
    ],
)
def test_what_means_nothing(path: str, value: Any, message: str, model: mo.Model):
    with pytest.raises(UserError) as error:
        model.search(changed(path, value))
    assert message in str(error.value)
    assert str(error.value).startswith("search")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("table", "data", "message"),
    [
        ({"num_samples": 0}, slice(0, 9), "num_samples is 0, expected at least 1"),
        ({"num_samples": 99}, slice(0, 9), "num_samples is 99, but 'val' has 9"),
        ({}, slice(0, 0), "data.val: data for 'x' holds no samples"),
        ({"data_loader": "train_dataloader"}, slice(0, 9), "there is no data 'train'"),
        ({"dataloader": "val"}, slice(0, 9), "unknown key 'dataloader'; did you mean"),
    ],
)
def test_samples(table: dict[str, Any], data: slice, message: str, model: mo.Model):
    config = changed("strategy.sw_runner", {"evaluation": table})
    with np.load(DIGITS / "mlp_test.npz") as arrays:
        pair = arrays["x"][data], arrays["labels"][data]
    with pytest.raises(UserError) as error:
        model.search(config, data=pair)
    assert message in str(error.value)


def test_strategies_with_one_objective(model: mo.Model):
    two: dict[str, Any] = {"toll": {}, "half": {}}
    each: list[dict[str, Any]] = [{"sampler": "cmaes"}, {"strategy": "greedy"}]
    for settings in each:
        with pytest.raises(UserError, match="has one objective, not 2"):
            model.search(toll(metrics=two, sum_scaled_metrics=False, **settings))


@pytest.mark.parametrize("sampler", ["tpe", "nsgaii", "nsgaiii", "qmc"])
def test_samplers_of_several_objectives(sampler: str, model: mo.Model):
    metrics = {"toll": {}, "half": {"direction": "maximize", "upper_bound": 7}}
    config = toll(sampler=sampler, n_trials=12, sum_scaled_metrics=False)
    config["strategy"]["metrics"] = metrics
    study = model.search(config)
    assert len(study.trials) == 12
    kept = {t.values["toll"] for t in study.trials if t.values["half"] <= 7}
    assert [t.values["toll"] for t in study.front()] == sorted(kept)


def test_optuna_is_not_installed(model: mo.Model, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r'pip install "mase-opt\[search\]"'):
        model.search(toll())


def test_timeout(model: mo.Model):
    """What was started is finished; nothing is started afterwards."""
    study = model.search(toll(sampler="grid", seconds=0.3, timeout=0.2))
    assert len(study.trials) == 1
