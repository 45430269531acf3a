"""What a search leaves in its folder: the numbers, models that can be made again."""

from __future__ import annotations

import csv
import json
import re
import resource
import shutil
import signal
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from search_models import DIGITS, FORMATS, PRICES, mlp, toll

import mase_opt as mo
from mase_opt.driver.main import run as mase_opt
from mase_opt.lib.errors import UserError
from mase_opt.search.outputs import write_outputs
from mase_opt.search.report import best_so_far, importances
from mase_opt.search.study import Study, Tried

METRICS = {"toll": {}, "average_bitwidth": {}}
FAILING = {**PRICES, "linear.weight": {**PRICES["linear.weight"], FORMATS[0]: "a < b"}}
HARDWARE = {"name": "hardware", "choices": {"max_logic_depth": [3, 6]}}


def config(**setup: Any) -> dict[str, Any]:
    """Prices that are known, over bits; four of sixteen points fail."""
    made = toll(
        prices=FAILING,
        metrics=METRICS,
        sampler="brute_force",
        sum_scaled_metrics=False,
        **setup,
    )
    made["strategy"]["hw_runner"]["bits"] = {}
    return made


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path]:
    folder = tmp_path_factory.mktemp("search") / "out"
    return mlp().search(config(), output=folder), folder


def test_there_is_a_file_for_everything(found: tuple[Study, Path]):
    study, folder = found
    numbers = sorted(trial.number for trial in study.front())
    assert len(numbers) > 1
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert names == {
        *("study.journal", "trials.csv", "log.json", "best.json", "model.mlir"),
        *(f"pareto/{n}.{kind}" for n in numbers for kind in ("mlir", "toml")),
        *("report.html", "figures/pareto_front.png", "figures/best_so_far.png"),
        *("figures/importance.png", "figures/bits_per_layer.png"),
    }
    for path in (folder / "figures").iterdir():
        assert path.read_bytes().startswith(b"\x89PNG\r\n")


def test_trials_are_a_table(found: tuple[Study, Path]):
    study, folder = found
    with (folder / "trials.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(study.trials) == 16
    for row, trial in zip(rows, study.trials, strict=True):
        assert int(row["number"]) == trial.number
        assert row["state"] == trial.state
        assert row["linear.weight"] == trial.point["linear.weight"]
        assert row["reason"] == trial.reason
        if trial.state == "complete":
            assert float(row["toll"]) == trial.values["toll"]
            # What is measured, not only what is wanted.
            assert float(row["model_bytes"]) == trial.values["model_bytes"]
    assert [row["reason"] for row in rows].count("a < b") == 4


def test_json_has_what_was_decided(found: tuple[Study, Path]):
    study, folder = found
    log, best = (
        json.loads((folder / name).read_text()) for name in ("log.json", "best.json")
    )
    for data in (log, best):
        assert data["model"] == "digits_mlp"
        assert data["metrics"] == {"toll": "minimize", "average_bitwidth": "minimize"}
    assert [t["number"] for t in log["trials"]] == [t.number for t in study.trials]
    assert [t["number"] for t in best["pareto"]] == [t.number for t in study.front()]
    for record, trial in zip(best["pareto"], study.front(), strict=True):
        assert record["values"] == trial.values
        assert record["point"] == trial.point
        layers = dict(record["config"]["passes"])["mase-quantize"]["layers"]
        assert layers["linear"]["weight"] == trial.point["linear.weight"]
        assert (folder / record["model"]).is_file()
        assert (folder / record["toml"]).is_file()


def test_models_are_those_of_the_points_and_say_so(found: tuple[Study, Path]):
    study, folder = found
    for trial in study.front():
        model = mo.load(folder / "pareto" / f"{trial.number}.mlir")
        assert model.text == study.build(trial).text
        assert model.recipe is not None
        settings = dict(model.recipe.layers["linear"])
        assert settings == {
            "data_in": trial.point["linear.data_in"],
            "weight": trial.point["linear.weight"],
        }


def test_a_file_makes_a_model_again(found: tuple[Study, Path], tmp_path: Path):
    study, folder = found
    number = study.best.number
    expected = (folder / "pareto" / f"{number}.mlir").read_bytes()
    toml, model = folder / "pareto" / f"{number}.toml", folder / "model.mlir"
    made = tmp_path / "made.mlir"
    assert mase_opt([f"--config={toml}", str(model), "-o", str(made)]) == 0
    # mase-opt ends its output with an empty line.
    assert made.read_bytes() == expected + b"\n"


def test_a_file_makes_the_hardware_again(tmp_path: Path):
    """With options of hardware, a run ends in the circuit of the trial."""
    space = {"name": "joint", "spaces": {"hardware": HARDWARE, "precision": WIDTHS}}
    study = mlp().search(
        {
            "search_space": space,
            "strategy": {
                "hw_runner": {"estimate": {}},
                "setup": {"sampler": "brute_force", "sum_scaled_metrics": False},
                "metrics": {"ff": {}, "latency": {}},
            },
        },
        output=tmp_path / "out",
    )
    latencies = {
        t.point["hardware.max_logic_depth"]: t.values["latency"] for t in study.trials
    }
    assert latencies[3] > latencies[6]
    for trial in study.trials:
        if trial not in study.front():
            continue
        toml = tmp_path / "out" / "pareto" / f"{trial.number}.toml"
        model = tmp_path / "out" / "model.mlir"
        emitted = tmp_path / f"circuit{trial.number}"
        arguments = [f"--config={toml}", "--emit-sv", "--verify-rtl=4", str(model)]
        assert mase_opt([*arguments, "-o", str(emitted)]) == 0
        manifest, report = (
            json.loads((emitted / f"{name}.json").read_text())
            for name in ("manifest", "report")
        )
        built = study.build(trial)
        assert trial.decision is not None
        expected = built.emit(verify=0, **trial.decision.hardware)
        assert manifest["interface"]["latency"] == expected.latency
        assert report["totals"] == expected.report.totals
        # The saved model knows its hardware, too; options go before that.
        saved = mo.load(tmp_path / "out" / "pareto" / f"{trial.number}.mlir")
        assert saved.emit(verify=0).report.totals == expected.report.totals
        assert saved.estimate() == built.estimate(**trial.decision.hardware)
        combinational = saved.emit(verify=0, max_logic_depth=0)
        assert combinational.latency == 0


WIDTHS = {
    "name": "mixed_precision",
    "setup": {"by": "type", "share": True},
    "seed": {"linear": {"config": {"weight": ["fixed<2, 1>", "fixed<2, 0>"]}}},
}


# ---- report -----------------------------------------------------------------------


class Page(HTMLParser):
    """Sections by their names with how many rows of tables and drawings they have."""

    def __init__(self, text: str):
        super().__init__()
        self.sections: dict[str, dict[str, int]] = {}
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "section":
            self.sections[str(dict(attrs)["id"])] = {}
        elif self.sections:
            counts = self.sections[list(self.sections)[-1]]
            counts[tag] = counts.get(tag, 0) + 1
        self.addresses += [
            value or ""
            for name, value in attrs
            if name.rpartition(":")[2] in ("href", "src") and not tag.startswith("xml")
        ]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


SECTIONS = (
    *("pareto_front", "best_so_far", "importance", "bits_per_layer"),
    *("points", "failed"),
)


def check_page(text: str, study: Study) -> None:
    page = Page(text)
    assert tuple(page.sections) == SECTIONS
    for name in SECTIONS[:4]:
        assert page.sections[name]["svg"] == 1
    assert page.sections["points"]["tr"] == 1 + len(study.front())
    assert page.sections["failed"]["tr"] == 1 + 4
    words = " ".join(page.words)
    assert "16 trials, 4 of them failed" in words
    assert "a < b" in words
    # Text in figures is text.
    for label in ("average_bitwidth", "Pareto front", "fc1", "fc2", "linear.weight"):
        assert label in words


def test_the_report_needs_nothing_else(found: tuple[Study, Path]):
    study, folder = found
    text = (folder / "report.html").read_text()
    check_page(text, study)
    # References stay within the page, and no other place is named to fetch from.
    assert all(address.startswith("#") for address in Page(text).addresses)
    assert not re.search(r"@import|url\((?!#)|<script|<link|<img", text)
    names = set(re.findall(r"https?://[^\s\"'<)]*", text))
    assert names == {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not there")
def test_the_report_opens_in_a_browser(found: tuple[Study, Path], tmp_path: Path):
    study, folder = found
    done = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path}"),
            *("--enable-logging=stderr", "--dump-dom", f"file://{folder}/report.html"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    check_page(done.stdout, study)
    # What the page's policy forbids, or what is wrong with it, would be said.
    assert "CONSOLE" not in done.stderr


def test_the_best_so_far_is_of_trials_that_count():
    def tried(number: int, value: float | None, **options: Any) -> Tried:
        values = {} if value is None else {"lut": value}
        state = "failed" if value is None else "complete"
        fields = {"samples": None, "violation": 0.0, **options}
        return Tried(
            number,
            {},
            None,
            values=values,
            objectives=(),
            state=state,
            reason="",
            seconds=0,
            **fields,
        )

    trials = [
        tried(0, None),
        tried(1, 5.0),
        tried(2, 7.0),
        tried(3, 1.0, violation=0.5),
        tried(4, 2.0, samples=10),
        tried(5, 3.0),
    ]
    low, high = (5.0, 5.0, 5.0, 5.0, 3.0), (5.0, 7.0, 7.0, 7.0, 7.0)
    for direction, values in (("minimize", low), ("maximize", high)):
        found = best_so_far(trials, {"lut": direction})
        assert found == {"lut": [*zip(range(2, 7), values, strict=True)]}
    assert best_so_far(trials[:1], {"lut": "minimize"}) == {"lut": []}


def test_importance_tells_what_matters_from_what_does_not():
    trials = [
        Tried(
            8 * a + b,
            {"a": a, "b": b, "c": 1},
            None,
            None,
            {"m": float(a)},
            (),
            0.0,
            "complete",
            "",
            0.0,
        )
        for a in range(8)
        for b in range(8)
    ]
    shares = importances(trials, "m")
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["a"] > 0.9
    # Nothing to tell apart: no value, or no choice.
    assert importances(trials[:8], "m") == {}
    assert importances([], "m") == {}


# ---- again, and when it goes wrong ------------------------------------------------


def test_a_study_taken_up_again_writes_the_same(found: tuple[Study, Path]):
    _, folder = found
    before = files(folder)
    mlp().search(config(), output=folder)
    after = files(folder)
    assert after.pop("study.journal").startswith(before.pop("study.journal"))
    assert after == before


def test_without_a_point_there_are_no_models(tmp_path: Path):
    bound = {"toll": {"upper_bound": 1.0}, "average_bitwidth": {}}
    made = config()
    made["strategy"]["metrics"] = bound
    study = mlp().search(made, output=tmp_path / "out")
    with pytest.raises(UserError, match="no trial keeps the bounds; the nearest"):
        _ = study.best
    assert json.loads((tmp_path / "out" / "best.json").read_text())["pareto"] == []
    assert list((tmp_path / "out" / "pareto").iterdir()) == []
    page = Page((tmp_path / "out" / "report.html").read_text())
    assert tuple(page.sections) == ("points", "failed")


def test_a_full_disk_leaves_what_was_there(
    found: tuple[Study, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    study, folder = found
    shutil.copytree(folder, tmp_path / "out")
    before = files(tmp_path / "out")
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The tables fit, neither the model nor the report does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(UserError, match=r"cannot write '.*model\.mlir': File too"):
            write_outputs(study, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert files(tmp_path / "out") == before


def test_what_is_not_from_a_search_stays(found: tuple[Study, Path], tmp_path: Path):
    study, _ = found
    (tmp_path / "pareto").mkdir()
    (tmp_path / "pareto" / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="holds files that are not from an earlier run"):
        write_outputs(study, tmp_path)
    assert (tmp_path / "pareto" / "thesis.tex").read_text() == "mine"


def files(folder: Path) -> dict[str, bytes]:
    """What there is, without how long trials took."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_data_are_read_from_files_that_the_configuration_names(tmp_path: Path):
    """The whole way, from a TOML file."""
    (tmp_path / "search.toml").write_text(f"""
[search.data]
val = "{DIGITS / "mlp_test.npz"}"

[search.search_space]
name = "mixed_precision"
setup = {{ by = "type", share = true }}
seed.linear.config.weight = ["fixed<3, auto>", "fixed<6, auto>"]

[search.strategy]
sw_runner.basic_evaluation = {{ data_loader = "val_dataloader", num_samples = 100 }}
hw_runner.average_bitwidth = {{ compare_to = 32 }}
setup = {{ sampler = "brute_force" }}
metrics.accuracy = {{ scale = 1.0 }}
metrics.average_bitwidth = {{ scale = 0.2 }}
""")
    study = mlp().search(tmp_path / "search.toml", output=tmp_path / "out")
    by_weight = {t.point["linear.weight"]: t for t in study.trials}
    assert len(by_weight) == 2
    few, many = by_weight["fixed<3, auto>"], by_weight["fixed<6, auto>"]
    assert few.values["weight_bitwidth"] == 3
    assert many.values["accuracy"] >= few.values["accuracy"]
    value = few.values["accuracy"] - 0.2 * few.values["average_bitwidth"]
    assert few.objectives == (pytest.approx(value),)
    assert study.best is few


def test_what_was_learned_is_kept(tmp_path: Path):
    test = str(DIGITS / "mlp_test.npz")
    strategy = {
        "sw_runner": {"training": {"steps": 5, "learning_rate": 0.01}},
        "setup": {"sampler": "brute_force"},
        "metrics": {"accuracy": {}},
    }
    study = mlp().search(
        {"search_space": WIDTHS, "strategy": strategy},
        data={"train": test, "val": test},
        output=tmp_path / "out",
    )
    best = study.best
    model = mo.load(tmp_path / "out" / "pareto" / f"{best.number}.mlir")
    assert model.evaluate(test) == best.values["accuracy"]
    assert best.decision is not None
    untrained = study.model.quantize(**dict(best.decision.passes)["mase-quantize"])
    assert untrained.evaluate(test) < best.values["accuracy"]
