"""Q10 to Q14: operations, statistics, graphs and pages, against numbers by hand."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import mase_opt as mo
from mase_opt.driver.main import run as mase_opt
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import Fixed, MiniFloat, parse_spec
from mase_opt.lib.reports.distributions import representable
from mase_opt.lib.table import Table

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
BLOCK = parse_spec("block<fixed<3, 1>, e8m0, [1]>")
IMAGES = str(DIGITS / "cnn_test.npz")


class Residual(nn.Module):
    """Convolutions, batch norms and a skip, as ResNets have them."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), norm(8))
        self.block = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1, bias=False),
            norm(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, groups=2),
        )
        self.head = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.head((x + self.block(x)).mean((2, 3)))


def norm(channels: int) -> nn.Module:
    made = nn.BatchNorm2d(channels)
    made.running_mean = torch.randn(channels)
    return made


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    return Residual().eval()


@pytest.fixture(scope="module")
def imported(net: nn.Module) -> mo.Model:
    return mo.import_torch(net, [torch.zeros(1, 3, 6, 6)])


@pytest.fixture(scope="module")
def quantized() -> mo.Model:
    model = mo.load(DIGITS / "cnn.mlir")
    return model.calibrate(IMAGES, samples=64).quantize(
        width=8, layers={"fc": {"weight": "block<fixed<4, 2>, e8m0, [16]>"}}
    )


def by_layer(table: Table) -> dict[Any, dict[str, Any]]:
    return {record[table.columns[0].name]: record for record in table.records()}


# ---- Q10, Q11: parameters and operations ------------------------------------------


def test_q11_operations_are_those_that_torch_counts(net: nn.Module, imported: mo.Model):
    with FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, 3, 6, 6))
    table = imported.operations()
    total = dict(zip((c.name for c in table.columns), table.total, strict=True))
    assert total["products"] == counter.get_total_flops() // 2
    assert total["parameters"] == sum(p.numel() for p in net.parameters())
    counts: Any = counter.get_flop_counts()
    for name in ("block", "stem", "head"):
        mine = [r for r in table.records() if str(r["layer"]).startswith(name)]
        theirs = sum(counts[f"Residual.{name}"].values())
        assert 2 * sum(number(r["products"]) for r in mine) == theirs


def number(cell: Any) -> int:
    assert isinstance(cell, int)
    return cell


def test_q10_what_is_ignored_counts_nowhere(imported: mo.Model):
    everything = by_layer(imported.operations())
    kept = imported.operations(["conv2d", "head"])
    assert {"head", "stem.0", "block.0", "block.3"} == {
        *everything.keys() - by_layer(kept).keys()
    }
    # A path stands for what is below it.
    below = by_layer(imported.operations(["block"]))
    assert {name for name in everything if name.startswith("block.")} == {
        *everything.keys() - below.keys()
    }
    left = [record["products"] for record in below.values()]
    assert sum(left) == everything["stem.0"]["products"] + 80
    with pytest.raises(UserError, match=r"'blok', which is no .*'block'"):
        imported.operations(["blok"])


def test_q10_a_shared_parameter_counts_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(self.layer(x))

    table = mo.import_torch(Tied(), [torch.zeros(1, 4)]).operations()
    assert table.total == ("total", None, 20, 32, 64)


# ---- Q12: statistics ----------------------------------------------------------------


def test_q12_statistics_equal_numpys(net: nn.Module, imported: mo.Model):
    x = np.random.default_rng(1).normal(size=(12, 3, 6, 6)).astype(np.float32)
    table = imported.statistics(x, quantiles=[0.03, 0.5], layers="stem.0|block.2")
    seen: dict[str, Any] = {}
    modules = dict(net.named_modules())
    hooks = [
        modules[name].register_forward_hook(
            lambda m, i, out, name=name: seen.update({name: out.numpy()})
        )
        for name in ("stem.0", "block.2")
    ]
    with torch.no_grad():
        net(torch.from_numpy(x))
    for hook in hooks:
        hook.remove()
    weight: Any = modules["stem.0"].weight
    expected = {
        ("", "input"): x,
        ("stem.0", "weight"): weight.detach().numpy(),
        ("stem.0", "result"): seen["stem.0"],
        ("block.2", "result"): seen["block.2"],
    }
    found = {(r["layer"], r["tensor"]): r for r in table.records()}
    found = {(k[0] if k[1] != "input" else "", k[1]): r for k, r in found.items()}
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        row, exact = found[key], array.astype(np.float64)
        assert row["numbers"] == array.size
        # The convolution of torch adds up in another order.
        for name, value in (
            ("min", exact.min()),
            ("max", exact.max()),
            ("mean", exact.mean()),
            ("std", exact.std()),
            ("q0.03", np.quantile(exact, 0.03)),
            ("q0.5", np.quantile(exact, 0.5)),
        ):
            assert row[name] == pytest.approx(value, rel=1e-5, abs=1e-6)


def test_q12_channels_and_magnitudes(imported: mo.Model):
    x = np.random.default_rng(2).normal(size=(5, 3, 6, 6)).astype(np.float32)
    rows = imported.statistics(
        x, tensors=["inputs"], channels=True, absolute=True, quantiles=[0.9]
    ).records()
    assert [row["channel"] for row in rows] == [0, 1, 2]
    for channel, row in enumerate(rows):
        magnitudes = np.abs(x[:, channel].astype(np.float64))
        assert row["min"] == magnitudes.min()
        assert row["max"] == magnitudes.max()
        assert row["q0.9"] == np.quantile(magnitudes, 0.9)


def test_q12_a_quantized_model_has_numbers_of_its_formats(quantized: mo.Model):
    table = quantized.statistics(IMAGES, samples=16, layers="relu")
    row = next(r for r in table.records() if r["tensor"] == "result")
    # The highest code of ufixed<8, 5>: the largest result is beyond it.
    assert (row["min"], row["max"]) == (0, 255 / 32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tensors": ["weight"]}, "tensors has 'weight', expected inputs, parameters"),
        ({"quantiles": [1.5]}, "quantile 1.5 is not between 0 and 1"),
        ({"layers": "fc9"}, "no layer fits 'fc9'"),
        ({"layers": "("}, "is not a regular expression"),
    ],
)
def test_q12_mistakes(imported: mo.Model, options: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        imported.statistics(np.zeros((1, 3, 6, 6), np.float32), **options)


# ---- Q13, Q14: graph, nodes, formats, memory ----------------------------------------


def test_q14_every_node_has_shape_and_format(quantized: mo.Model):
    rows = by_layer(quantized.graph())
    assert rows["conv"] == {
        "node": "conv",
        "operation": "conv2d",
        "layer": "conv",
        "reads": "x, conv.weight, conv.bias",
        "shape": "1x6x8x8",
        "format": "ufixed<8, 5>",
        "bits": 6 * 64 * 8,
    }
    # 960 elements of 4 bits, and an exponent of 8 for each 16 of them.
    assert rows["fc.weight"]["bits"] == 960 * 4 + 960 // 16 * 8
    assert rows["fc.weight"]["operation"] == "constant"
    assert rows["reshape"]["reads"] == "pool"
    kinds = by_layer(quantized.graph("type"))
    for kind, row in kinds.items():
        same = [r for r in rows.values() if r["operation"] == kind]
        assert row["nodes"] == len(same)
        assert row["bits"] == sum(r["bits"] for r in same)
    with pytest.raises(UserError, match=r"by is 'typ', expected .*did you mean 'type'"):
        quantized.graph("typ")


def test_q14_nodes_with_the_same_path_are_told_apart():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.ReLU()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(self.layer(self.act(x)))

    rows = by_layer(mo.import_torch(Twice(), [torch.zeros(1, 3)]).graph())
    assert rows["act"]["reads"] == next(iter(rows))
    assert rows["act#2"]["reads"] == "layer"


PASSES = {
    "summarize-graph": ("", "node"),
    "summarize-operations": ("", "layer"),
    "profile-statistics": (f"data={IMAGES} samples=8", "layer"),
    "summarize-quantization": ("", "layer"),
}


@pytest.mark.parametrize("name", PASSES)
def test_q13_reports_are_tables_csv_and_json(name: str, tmp_path: Path, capsys: Any):
    options, first = PASSES[name]
    texts: dict[str, str] = {}
    for form in ("table", "csv", "json"):
        path = tmp_path / form
        wanted = f"--{name}={options} format={form} output={path}"
        arguments = [wanted, str(DIGITS / "cnn.mlir"), "-o", str(tmp_path / "m.mlir")]
        assert mase_opt(arguments) == 0
        texts[form] = path.read_text()
    rows = json.loads(texts["json"])["rows"]
    listed = [*csv.DictReader(io.StringIO(texts["csv"]))][: len(rows)]
    assert [r[first] for r in rows] == [r[first] for r in listed]
    assert all(str(row[first]) in texts["table"] for row in rows)


def tables(model: mo.Model) -> Sequence[Table]:
    return (
        model.layers(IMAGES),
        model.graph(),
        model.graph("type"),
        model.operations(),
        model.statistics(IMAGES, samples=8, quantiles=[0.01, 0.25, 0.5, 0.75, 0.99]),
    )


def test_q13_reports_fit_80_columns(quantized: mo.Model, imported: mo.Model):
    for table in (*tables(quantized), imported.graph(), imported.operations()):
        assert max(map(len, str(table).splitlines())) <= 80


# ---- the page -----------------------------------------------------------------------


class Page(HTMLParser):
    """Titles of sections in order, and what is in each."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: dict[str, list[str]] = {}
        self.words: dict[str, str] = {}
        self._here = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "section":
            self._here = str(dict(attrs)["id"])
            self.tags[self._here], self.words[self._here] = [], ""
        elif self._here:
            self.tags[self._here].append(tag)

    def handle_data(self, data: str) -> None:
        if self._here:
            self.words[self._here] += f" {data.strip()}"


@pytest.fixture(scope="module")
def report(quantized: mo.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    with np.load(IMAGES) as data:
        quantized.report(path, data["x"][:64])
    return path


def check_page(text: str, model: mo.Model) -> None:
    page = Page(text)
    # The conv before its relu is in an unsigned format; then the narrow weights.
    assert [*page.tags] == ["layers", *(f"layer{i}" for i in range(4)), "graph"]
    titles = [page.words[f"layer{i}"].split()[0] for i in range(4)]
    assert titles == ["conv", "fc", "relu", "pool"]
    noise = [
        float(re.findall(r"SQNR of results (-?[\d.]+) dB", page.words[f"layer{i}"])[0])
        for i in range(4)
    ]
    assert noise == sorted(noise)
    with np.load(IMAGES) as data:
        rows = by_layer(model.layers(data["x"][:64]))
    assert [f"{rows[name]['output_sqnr_db']:.2f}" for name in titles] == [
        f"{value:.2f}" for value in noise
    ]
    assert all(page.tags[f"layer{i}"].count("svg") == 1 for i in range(4))
    # Text in figures is text: which formats the distributions are drawn over.
    assert "weights: block<fixed<4, 2>, e8m0, [16]>" in page.words["layer1"]
    assert "results: fixed<8, 2>" in page.words["layer1"]
    # Five edges of 8 bits each, between six boxes.
    assert page.tags["graph"].count("rect") == 6
    assert re.findall(r"[\d.]+ bit", page.words["graph"]) == ["8 bit"] * 5
    assert "ufixed<8, 5>" in page.words["graph"]


def test_the_page_ranks_layers_and_needs_nothing_else(
    report: Path, quantized: mo.Model
):
    text = report.read_text()
    check_page(text, quantized)
    assert not re.search(r"@import|url\((?!#)|<script|<link|<img", text)
    names = set(re.findall(r"https?://[^\s\"'<)]*", text))
    assert names <= {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not there")
def test_the_page_opens_in_a_browser(report: Path, quantized: mo.Model, tmp_path: Path):
    done = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path}"),
            *("--enable-logging=stderr", "--dump-dom", f"file://{report}"),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    check_page(done.stdout, quantized)
    assert "CONSOLE" not in done.stderr


def test_a_page_is_about_a_quantized_model(tmp_path: Path):
    model = mo.load(DIGITS / "cnn.mlir")
    with pytest.raises(UserError, match=r"about a quantized model: quantize\(\) first"):
        model.report(tmp_path / "x.html", IMAGES)
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize(
    ("format", "values", "expected"),
    [
        (Fixed(3, 1), [0.3], [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5]),
        (MiniFloat(2, 1), [0.3], [-3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3]),
        # The largest of two scales: 2, for -3 to 3 in steps of 1 (not -4).
        (BLOCK, [0.5, 3.0], [-3, -2, -1, 0, 1, 2, 3]),
        (Fixed(16, 8), [0.3], []),
    ],
)
def test_numbers_of_a_format(format: Any, values: list[float], expected: list[float]):
    assert representable(format, np.array(values)).tolist() == expected
