"""What runners measure: the numbers that other ways of getting them give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from math import exp, log10
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mase_opt as mo
from mase_opt.lib.errors import UserError
from mase_opt.lib.search.space import QUANTIZE, Decision
from mase_opt.lib.target import yosys
from mase_opt.search.measure import build
from mase_opt.search.runner import (
    HARDWARE,
    SOFTWARE,
    Runner,
    RunnerContext,
    Samples,
    Trial,
)
from mase_opt.search.runners import yosys as yosys_runner

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


@cache
def context(seed: int = 0) -> RunnerContext:
    model = mo.load(DIGITS / "mlp.mlir").calibrate(DIGITS / "mlp_calibration.npz")
    with np.load(DIGITS / "mlp_test.npz") as data:
        # As it comes from files: the batch of the model is one.
        x, y = data["x"][:, None], data["labels"]
    data = {"val": Samples((x[:200],), y[:200]), "train": Samples((x[200:],), y[200:])}
    return RunnerContext(model, data, seed)


def runner(name: str, **table: Any) -> Runner:
    registry = SOFTWARE if name in ("evaluation", "training") else HARDWARE
    return registry.find(name, "test")(table, context())


@cache
def tiny() -> mo.Model:
    """A model that is a circuit, and synthesized, soon."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU())
    return mo.import_torch(net, [torch.zeros(1, 4)]).calibrate(torch.randn(64, 4))


def made(
    base: mo.Model,
    recipe: dict[str, Any],
    samples: int | None = None,
    hardware: dict[str, Any] | None = None,
) -> Trial:
    decision = Decision(((QUANTIZE, recipe),), hardware or {})
    return Trial(
        0,
        {},
        decision,
        build(base, decision),
        samples,
        lambda: build(base, decision, masters=True),
    )


def circuit(width: int, **hardware: Any) -> Trial:
    """A trial of `tiny`."""
    return made(tiny(), {"width": width}, None, hardware)


def trial(samples: int | None = None, **recipe: Any) -> Trial:
    """A trial of the MLP."""
    return made(context().model, recipe, samples)


# Software.


def test_evaluation_is_what_the_model_says_of_the_same_samples():
    tried = trial(width=4)
    found = runner("evaluation", num_samples=150).measure(tried)
    val = context().data["val"]
    x, y = val.inputs[0][:150], val.labels[:150]
    assert found["accuracy"] == tried.model.evaluate(x, y)
    assert found["loss"] == tried.model.evaluate(x, y, metric="cross_entropy")
    assert found["perplexity"] == exp(found["loss"])
    expected, actual = context().model.run(x), tried.model.run(x)
    noise = np.square(actual - expected, dtype=np.float64).sum()
    signal = np.square(expected, dtype=np.float64).sum()
    assert found["sqnr"] == pytest.approx(10 * log10(signal / noise), rel=1e-5)


def test_a_trial_may_take_fewer_samples_and_none_is_kept_for_the_next():
    evaluation = runner("evaluation")
    few, all = (
        evaluation.measure(trial(30, width=4)),
        evaluation.measure(trial(width=4)),
    )
    again = evaluation.measure(trial(30, width=4))
    val = context().data["val"]
    model = trial(width=4).model
    assert few == again
    assert few["accuracy"] == model.evaluate(val.inputs[0][:30], val.labels[:30])
    assert all["accuracy"] == model.evaluate(val.inputs[0], val.labels)


def test_batches_do_not_change_results(monkeypatch: pytest.MonkeyPatch):
    whole = runner("evaluation").measure(trial(width=5))
    monkeypatch.setattr("mase_opt.search.runners.evaluation.NUMBERS", 7 * 64)
    assert runner("evaluation").measure(trial(width=5)) == pytest.approx(whole)
    assert runner("evaluation").measure(trial(width=5))["loss"] == whole["loss"]


def test_a_sample_may_have_many_labels():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Embedding(8, 4), torch.nn.Linear(4, 8))
    tokens = np.random.default_rng(0).integers(0, 8, (20, 5))
    model = mo.import_torch(net, [torch.zeros(1, 5, dtype=torch.long)])
    labels = (tokens + 1) % 8
    data = {"val": Samples((tokens[:, None],), labels)}
    model = model.calibrate(tokens[:, None])
    evaluation = SOFTWARE.find("evaluation", "test")({}, RunnerContext(model, data, 0))
    tried = made(model, {"width": 8})
    found = evaluation.measure(tried)
    scores = torch.tensor(tried.model.run(tokens[:, None])).reshape(100, 8)
    expected = torch.nn.functional.cross_entropy(
        scores.double(), torch.tensor(labels).reshape(-1)
    )
    assert found["perplexity"] == pytest.approx(exp(float(expected)))
    assert found["accuracy"] == float(
        (scores.argmax(1).numpy() == labels.ravel()).mean()
    )


def test_training_makes_a_better_model_which_is_the_same_for_the_same_seed():
    training = runner("training", steps=40, learning_rate=3e-3)
    before = trial(width=2)
    models = [
        training.prepare(before),
        runner("training", steps=40, learning_rate=3e-3).prepare(before),
    ]
    texts = [str(model.ir) for model in models]
    constants = [list(m.to_torch().state_dict().values()) for m in models]
    assert texts[0] == texts[1]
    assert all(torch.equal(a, b) for a, b in zip(*constants, strict=True))
    after = replace(before, model=models[0])
    plain = runner("evaluation").measure(before)
    assert training.measure(after)["loss"] < 0.7 * plain["loss"]
    # Nothing but the numbers is another: the formats are those that were decided on.
    assert [str(t) for t in models[0].function.function_type.outputs] == [
        str(t) for t in before.model.function.function_type.outputs
    ]
    assert models[0].recipe == before.model.recipe


def test_training_takes_as_many_steps_as_it_is_told():
    one, two = (
        runner("training", steps=steps, batch_size=100, num_samples=100).prepare(
            trial(width=6)
        )
        for steps in (1, 2)
    )
    # Plain gradient descent on all samples, done by hand.
    model = context().model.quantize(width=6, masters=True)
    net = model.to_torch(learn_scales=True)
    train = context().data["train"].first(100)
    x, y = torch.as_tensor(train.inputs[0][:, 0]), torch.as_tensor(train.labels).long()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    order = torch.Generator().manual_seed(0)
    for expected in (one, two):
        batch = torch.randperm(100, generator=order)
        optimizer.zero_grad()
        scores = net(x[batch]).float()
        torch.nn.functional.cross_entropy(scores, y[batch]).backward()
        optimizer.step()
        made = mo.from_torch(net).apply("canonicalize")
        assert np.array_equal(made.run(x), expected.run(x))


# Hardware.


def test_bits_of_a_uniform_model():
    found = runner("bits").measure(trial(width=5, bias_width=5))
    assert found == {
        "average_bitwidth": 5,
        "weight_bitwidth": 5,
        "activation_bitwidth": 5,
        "memory_density": 32 / 5,
        "model_bits": 5 * (64 * 32 + 32 + 32 * 10 + 10),
        "model_bytes": -(-5 * 2410 // 8),
    }


def test_shared_exponents_count():
    found = runner("bits", compare_to=16).measure(trial(format="mxint8"))
    # Blocks of 32 along rows of 64 and 32, none of them cut short; biases of 16 bits.
    # Inputs of layers are in blocks, and relu reads what fc1 gives, of 16 bits.
    assert found["weight_bitwidth"] == 8 + 8 / 32
    activations = 64 * 8.25 + 32 * 16 + 32 * 8.25
    assert found["activation_bitwidth"] == activations / 128
    weights = 2368 * 8.25 + 42 * 16
    assert found["memory_density"] == 16 * (2410 + 128) / (weights + activations)


def test_operations_of_a_mixed_model():
    tried = trial(width=8, layers={"fc2": {"weight": "fixed<3, auto>"}})
    found = runner("operations").measure(tried)
    assert found == {
        "flops": 2 * 64 * 32 + 32 + 2 * 32 * 10,
        "bit_operations": 64 * 32 * 8 * 8 + 32 * 10 * 8 * 3,
    }


def test_the_estimate_is_of_the_hardware_that_was_chosen():
    shallow = circuit(6, max_logic_depth=1)
    found = runner("estimate").measure(shallow)
    expected = shallow.model.estimate(max_logic_depth=1)
    assert found["lut"] == expected.lut
    assert found["latency"] == expected.latency
    assert found["lut_error"] == expected.error.median
    assert found["lut_error_most"] == expected.error.most
    assert found["latency"] > runner("estimate").measure(circuit(6))["latency"]


@pytest.mark.slow
@pytest.mark.skipif(yosys.available() is not None, reason="Yosys is not installed")
def test_synthesis_is_done_once_for_a_circuit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tried = circuit(2)
    made: list[yosys.Resources] = []
    synthesize = yosys.synthesize

    def once(*arguments: Any, **options: Any) -> yosys.Resources:
        """Count; the circuit's own resources every time but the first."""
        made.append(made[0] if made else synthesize(*arguments, **options))
        return made[-1]

    with monkeypatch.context() as patch:
        patch.setattr(yosys, "synthesize", once)
        first = runner("yosys", cache=str(tmp_path)).measure(tried)
        [kept] = tmp_path.iterdir()
        assert runner("yosys", cache=str(tmp_path)).measure(tried) == first
        assert len(made) == 1
        # What is damaged is made anew.
        whole = kept.read_text()
        kept.write_text(whole[: len(whole) // 2])
        assert runner("yosys", cache=str(tmp_path)).measure(tried) == first
        assert kept.read_text() == whole
        assert len(made) == 2
        # Other hardware is another circuit, another family another result.
        runner("yosys", cache=str(tmp_path)).measure(circuit(2, max_logic_depth=1))
        runner("yosys", cache=str(tmp_path), family="xc7").measure(tried)
        assert len(made) == 4
    result = tried.model.emit(verify=0, synth=True)
    assert result.synthesis is not None
    resources = result.synthesis.resources.to_json()
    assert first == {f"yosys_{kind}": resources[kind] for kind in yosys_runner.KINDS}
    assert first["yosys_lut"] > 0


# Mistakes.


@pytest.mark.parametrize(
    ("name", "table", "message"),
    [
        ("evaluation", {"num_samples": 0}, "num_samples is 0, expected at least 1"),
        ("evaluation", {"num_samples": 201}, "num_samples is 201, but 'val' has 200"),
        ("evaluation", {"data_loader": "test"}, "there is no data 'test'"),
        ("training", {"steps": 0}, "training: steps is 0, expected at least 1"),
        ("training", {"batch_size": True}, "training: batch_size is True"),
        ("training", {"learning_rate": -1}, "learning_rate is -1"),
        ("training", {"optimizer": "adan"}, "'adan'; did you mean 'adam'?"),
        ("bits", {"compare_to": 0}, "bits: compare_to is 0, expected a number of bits"),
        ("yosys", {"family": "xcv"}, "unknown family 'xcv'"),
    ],
)
def test_mistakes(name: str, table: Mapping[str, Any], message: str):
    if name == "yosys" and yosys.available() is not None:
        pytest.skip("Yosys is not installed")
    with pytest.raises(UserError) as caught:
        runner(name, **table)
    assert message in str(caught.value)


def test_without_yosys_nothing_begins(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="yosys: Yosys is not installed"):
        runner("yosys")


def test_without_labels_there_is_nothing_to_compare_with():
    val = context().data["val"]
    bare = RunnerContext(context().model, {"val": Samples(val.inputs)}, 0)
    with pytest.raises(UserError, match="evaluation: the data has no labels"):
        SOFTWARE.find("evaluation", "test")({}, bare)
    halves = RunnerContext(
        context().model, {"val": Samples(val.inputs, np.full(200, 0.5))}, 0
    )
    with pytest.raises(UserError, match="evaluation: labels holds 0\\.5, expected"):
        SOFTWARE.find("evaluation", "test")({}, halves)


def test_classic_names():
    for registry, classic, name in (
        (SOFTWARE, "basic_evaluation", "evaluation"),
        (SOFTWARE, "basic_train", "training"),
        (HARDWARE, "average_bitwidth", "bits"),
    ):
        assert registry.find(classic, "test") is registry.find(name, "test")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small models train many times slower where threads wait for busy cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_folds_of_the_digits_example():
    """Each training sample counts once, by a model that has not seen it."""
    from folds import FOLDS, Folds, folds, x_train, y_train
    from sklearn.model_selection import StratifiedKFold

    tried = trial(width=4)
    found = Folds({}, context()).measure(tried)
    parts = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    places = [val for _, val in parts.split(x_train, y_train)]
    assert sorted(np.concatenate(places)) == [*range(len(y_train))]
    right, noise, signal = 0, 0.0, 0.0
    for (model, *_), val in zip(folds(), places, strict=True):
        x, labels = x_train[val], y_train[val]
        exact, scores = model.run(x), model.quantize(width=4).run(x)
        right += int((scores.reshape(len(x), -1).argmax(1) == labels).sum())
        noise += float(np.square(scores - exact, dtype=np.float64).sum())
        signal += float(np.square(exact, dtype=np.float64).sum())
    assert found["accuracy"] == pytest.approx(right / len(y_train), abs=1e-9)
    assert found["sqnr"] == pytest.approx(10 * log10(signal / noise), rel=1e-4)
