"""The estimate of a circuit's cost: its parts, its error, and what `emit` says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_estimate import observed
from estimate_designs import designs

import mase_opt as mo
from mase_opt.lib.conversion.convert_mase_to_hw import ConvertMaseToHwPass
from mase_opt.lib.cost.estimate import weighted
from mase_opt.lib.cost.features import features_of
from mase_opt.lib.cost.operations import counts, product
from mase_opt.lib.cost.registers import advance, cheapest_cuts, pipeline
from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.builder import Builder, Design, Output
from mase_opt.lib.hardware.timing import Timing
from mase_opt.lib.hardware.wire import bits_for, constant
from mase_opt.lib.target import yosys
from mase_opt.lib.transforms.mase_build_adder_graphs import MaseBuildAdderGraphsPass

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "examples" / "digits"
DATA = [
    json.loads(line)
    for line in (ROOT / "bench" / "estimate_data.jsonl").read_text().splitlines()
]
FITTED = json.loads((ROOT / "lib" / "cost" / "fitted.json").read_text())

needs_yosys = pytest.mark.skipif(
    yosys.available() is not None or yosys.version() != "Yosys 0.23",
    reason="the estimate is fitted to Yosys 0.23",
)


# ---- operations ---------------------------------------------------------------------


def counted(build: Any, *spans: tuple[int, int]) -> dict[str, float]:
    """What a circuit of inputs in some ranges consists of."""
    b = Builder(Design(stall=False), "top")
    inputs = [
        b.input(f"in{i}", bits_for(*span), [span])[0] for i, span in enumerate(spans)
    ]
    wire = build(b, *inputs)
    b.finish([Output("out", wire.bits, [wire])])
    timing = Timing([b])
    total: dict[str, float] = {}
    for op in b.block.ops:
        for name, count in counts(op, timing.pieces).items():
            if count:
                total[name] = total.get(name, 0) + count
    return total


def test_bits_of_adders():
    # Eight bits of both, and the carry, which is none of either.
    assert counted(arith.add, (0, 255), (0, 255)) == {"adders": 1, "add_both": 8}
    assert counted(arith.add, (0, 255), (0, 15)) == {
        "adders": 1,
        "add_both": 4,
        "add_one": 4,
    }
    # Below the only bit of the constant, nothing is added.
    assert counted(lambda b, x: arith.add(b, x, constant(64)), (0, 255)) == {
        "adders": 1,
        "add_one": 2,
    }
    # Four bits and the sign, which is extended in both.
    assert counted(arith.add, (-16, 15), (-16, 15)) == {"adders": 1, "add_both": 5}


def test_bits_of_choices_and_comparisons():
    def relu(b: Builder, x: Any) -> Any:
        return arith.maximum(b, x, constant(0))

    assert counted(relu, (-128, 127)) == {"mux_one": 8}
    assert counted(arith.maximum, (0, 255), (0, 255)) == {
        "order_both": 8,
        "mux_both": 8,
    }
    assert counted(lambda b, x: arith.compare(b, "eq", x, constant(9)), (0, 31)) == {
        "equal_one": 5
    }


SUM = """
func.func @f(%x: tensor<1x2x!mase.ufixed<8, 0>>) -> tensor<1x1x!mase.fixed<4, 0>> {{
  %0 = mase.adder_graph %x {{nodes = #mase.dense<i32, [0, 1, 0, 0, 0]>,
    outputs = #mase.dense<i32, [2, 0, 0]>, offsets = #mase.dense<i64, [{offset}]>,
    frac = 0 : i64, rounding = #mase.rounding<floor, {overflow}>}}
    : (tensor<1x2x!mase.ufixed<8, 0>>) -> tensor<1x1x!mase.fixed<4, 0>>
  func.return %0 : tensor<1x1x!mase.fixed<4, 0>>
}}
"""


# Without an offset, in two's complement: no carry is for itself.
@pytest.mark.parametrize(
    ("overflow", "offset", "bits"),
    [("saturate", 1, 8), ("saturate", 0, 9), ("wrap", 1, 4), ("wrap", 0, 4)],
)
def test_sums_have_the_bits_that_both_operands_have_and_results_see(
    overflow: str, offset: int, bits: int, tmp_path: Path
):
    text = SUM.format(overflow=overflow, offset=offset)
    (tmp_path / "sum.mlir").write_text(text)
    model = mo.load(tmp_path / "sum.mlir")
    found = features_of(model.ir, MaseBuildAdderGraphsPass(), ConvertMaseToHwPass())
    assert found.counts["graph_both"] == bits


def test_multiplications_are_blocks_or_tables():
    assert counted(arith.mul, (0, 7), (0, 7)) == {"multiplies": 1, "product": 27}
    assert counted(arith.mul, (0, 255), (0, 255)) == {"multiplies": 1, "dsp": 1}
    assert product(30, 20) == {"multiplies": 1, "dsp": 2}
    assert product(1, 30) == {"multiplies": 1, "product": 30}


# ---- registers ----------------------------------------------------------------------


def test_levels_are_packed_into_stages():
    assert advance(0, 1, 2) == 1
    assert advance(1, 1, 2) == 2
    assert advance(2, 1, 2) == 3
    # Two levels do not fit behind one of a stage of two.
    assert advance(1, 2, 2) == 4
    # Five are more than a stage, and alone in one.
    assert advance(1, 5, 2) == 4
    assert advance(3, 0, 2) == 3
    assert advance(3, 4, 0) == 7


def test_cuts_lie_where_few_bits_cross():
    cost = [90, 50, 10, 30, 5, 40, 80]
    assert cheapest_cuts(cost, 6, 1) == [4]
    assert cheapest_cuts(cost, 4, 1) == [4]
    assert cheapest_cuts(cost, 3, 1) == [3]
    assert cheapest_cuts(cost, 3, 2) == [2, 4]
    assert cheapest_cuts(cost, 2, 2) == [2, 4]
    assert cheapest_cuts(cost, 2, 3) == [2, 4, 4]
    assert cheapest_cuts(cost, 6, 0) == []


def test_registers_are_what_crosses_cuts():
    # 8 bits go to all of 6 levels, 20 to the first two, 3 from there to the end.
    table = np.array([[0, 5, 8], [0, 2, 20], [2, 6, 3]], float)
    found = pipeline(table, 6, 3, 1)
    assert (found.latency, found.depth, found.registers) == (1, 3, 11)
    # Two cuts: both cross at 2 and 4, where 11 bits do.
    assert pipeline(table, 6, 2, 2).registers == 22
    # At five cuts, only what goes no further than two of them is in registers.
    assert pipeline(table, 6, 1, 5).registers == 20
    assert pipeline(table, 6, 0, 0) == pipeline(table[:0], 6, 0, 0)


# ---- the estimate -------------------------------------------------------------------


@pytest.fixture(scope="module")
def calibrated() -> mo.Model:
    return mo.load(DIGITS / "mlp.mlir").calibrate(DIGITS / "mlp_calibration.npz")


@pytest.mark.parametrize("kind", ["fixed", "other"])
def test_error_is_what_held_out_designs_show(kind: str):
    stated = FITTED["errors"][kind]
    rows = [r for r in DATA if r["held_out"] and r["kind"] == kind]
    off = [
        abs(weighted(FITTED["coefficients"]["lut"], r["features"]) - r["lut"])
        / r["lut"]
        for r in rows
    ]
    assert len(rows) == stated["designs"]
    assert round(float(np.median(off)), 3) == stated["median"]
    assert round(float(np.quantile(off, 0.95)), 3) == stated["most"]


def test_error_is_small():
    rows = [r for r in DATA if r["held_out"]]
    found = [weighted(FITTED["coefficients"]["lut"], r["features"]) for r in rows]
    wanted = [r["lut"] for r in rows]
    off = [abs(f - w) / w for f, w in zip(found, wanted, strict=True)]
    assert np.median(off) <= 0.08
    assert np.quantile(off, 0.95) <= 0.25
    ranks = [np.argsort(np.argsort(values)) for values in (found, wanted)]
    assert np.corrcoef(*ranks)[0, 1] >= 0.98


@pytest.mark.parametrize("name", ["network_1", "mlp_1", "log_2"])
def test_data_are_of_this_estimate(name: str):
    """What was fitted to is what models have now."""
    row = next(r for r in DATA if r["name"] == name)
    design = next(d for d in designs() if d.name == name)
    found = observed(design.make(), design.options)
    assert found["features"] == row["features"]
    assert found["estimated_latency"] == row["estimated_latency"]


def test_given_graphs_are_not_searched_for(calibrated: mo.Model):
    """With the adder graphs of the circuit, depth and latency are those of `emit`."""
    small = calibrated.quantize(width=4)
    for effort, depth in ((0, 2), (1, 6)):
        built = small.apply("build-adder-graphs", effort=effort)
        found = built.estimate(max_logic_depth=depth)
        result = built.emit(verify=0, max_logic_depth=depth)
        assert found.latency == result.latency
        assert found.logic_depth == result.report.logic_depth
        adders = result.report.totals["adders"]
        assert found.adders == pytest.approx(adders, rel=0.05)


def test_options_are_those_of_emit(calibrated: mo.Model):
    small = calibrated.quantize(width=4)
    usual = small.estimate()
    combinational = small.estimate(max_logic_depth=0)
    assert (combinational.latency, combinational.ff) == (0, 0)
    assert combinational.logic_depth > usual.logic_depth == 6
    assert small.estimate(stages=5).latency == 5
    assert small.estimate(stall=True, max_logic_depth=40).latency == 1
    deep = small.estimate(max_logic_depth=1)
    assert deep.latency > usual.latency
    assert deep.ff > usual.ff
    assert deep.logic_depth == 1
    wide = calibrated.quantize(width=8)
    usual, blocks = wide.estimate(), wide.estimate(dsp=10)
    assert usual.dsp == usual.multiplies == 0
    assert blocks.dsp == blocks.multiplies == 10
    assert blocks.lut < usual.lut
    efforts = [small.estimate(effort=effort).lut for effort in range(4)]
    assert efforts == sorted(efforts, reverse=True)
    assert efforts[0] > efforts[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"effort": 7}, "effort is 7, expected 0 to 3"),
        ({"dsp": -1}, "dsp is -1, expected 0 or more"),
        ({"max_logic_depth": -2}, "max-logic-depth is -2, expected at least 0"),
        ({"stages": 2, "max_logic_depth": 2}, "give max-logic-depth or stages"),
        ({"max_depth": 1}, "a depth of 1 cannot be had"),
        ({"logic_depth": 3}, "unknown option 'logic_depth'"),
    ],
)
def test_mistakes_are_those_of_emit(
    calibrated: mo.Model, options: dict[str, Any], message: str
):
    small = calibrated.quantize(width=4)
    with pytest.raises(mo.UserError, match=message) as estimated:
        small.estimate(**options)
    with pytest.raises(mo.UserError) as emitted:
        small.emit(verify=0, **options)
    assert str(estimated.value) == str(emitted.value)


def test_the_error_stands_beside_the_estimate(calibrated: mo.Model):
    found = calibrated.quantize(width=3).estimate()
    error = FITTED["errors"]["fixed"]
    assert f"{found.lut} LUT" in str(found)
    assert f"within {error['median']:.0%}, 95 % of them" in str(found)
    assert json.loads(json.dumps(found.to_json()))["error"] == error
    floats = calibrated.quantize(format="fp4_e2m1").estimate()
    assert floats.error.kind == "other"


@pytest.mark.slow
@needs_yosys
@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({"width": 2}, {}),
        ({"data_width": 3, "weight_width": 2}, {"max_logic_depth": 2}),
    ],
)
def test_estimate_against_yosys(
    calibrated: mo.Model, options: dict[str, Any], settings: dict[str, Any]
):
    small = calibrated.quantize(**options)
    found = small.estimate(**settings)
    result = small.emit(verify=0, **settings)
    real = yosys.synthesize(result.verilog, result.layout.top)
    assert found.lut == pytest.approx(real.lut, rel=found.error.most)
    assert found.carry == pytest.approx(real.carry, rel=0.3)
    assert found.ff == pytest.approx(real.ff, rel=0.3)
    assert found.dsp == real.dsp


DROPPING = """
func.func @f(%x: tensor<1x16x!mase.ufixed<8, 4>>) -> tensor<1x8x!mase.fixed<20, 8>> {{
  %w = mase.constant <i8, w_0> : tensor<8x16x!mase.fixed<5, 4>>
  %0 = {cast} {{rounding = #mase.rounding<floor, saturate>{widths}}}
    : (tensor<1x16x!mase.ufixed<8, 4>>) -> tensor<1x16x!mase.ufixed<{type}>>
  %1 = mase.linear %0, %w
    : (tensor<1x16x!mase.ufixed<{type}>>, tensor<8x16x!mase.fixed<5, 4>>)
    -> tensor<1x8x!mase.fixed<20, 8>>
  func.return %1 : tensor<1x8x!mase.fixed<20, 8>>
}}
{{-# dialect_resources: {{ mase: {{ w_0: "0x08000000{weights}" }} }} #-}}
"""


def test_bits_that_elements_lack_cost_nothing(tmp_path: Path):
    """The same circuit, whether the type says the width or the table of elements."""
    weights = np.random.default_rng(0).integers(-15, 16, (8, 16)).astype(np.int8)
    elements = (
        ", grid = array<i64>, widths = #mase.dense<i8, [5]>"
        ", fracs = #mase.dense<i16, [1]>"
    )
    found: list[mo.Estimate] = []
    for cast, widths, type in (
        ("mase.cast %x", "", "5, 1"),
        ("mase.cast_elements %x", elements, "8, 4"),
    ):
        path = tmp_path / "model.mlir"
        text = {"cast": cast, "widths": widths, "type": type}
        path.write_text(DROPPING.format(**text, weights=weights.tobytes().hex()))
        model = mo.load(path)
        found += [model.estimate(), model.apply("build-adder-graphs").estimate()]
    assert found[:2] == found[2:]
