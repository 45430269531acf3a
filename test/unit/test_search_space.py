"""What a search may choose: parameters, decisions, and what means nothing."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from search_models import DIGITS, FORMATS, LAB, mlp

import mase_opt as mo
from mase_opt.lib.errors import UserError
from mase_opt.lib.search.space import SPACES, Decision, Space
from mase_opt.search.measure import build

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model() -> mo.Model:
    return mlp()


def space(table: dict[str, Any], model: mo.Model) -> Space:
    return SPACES.find(table["name"], "search_space.name")(table, model.function)


def mixed(by: str, seed: dict[str, Any], **setup: Any) -> dict[str, Any]:
    return {
        "name": "mixed_precision",
        "setup": {"by": by, **setup},
        "seed": {key: {"config": config} for key, config in seed.items()},
    }


FC1 = {"fc1": {"weight_width": [4, 8]}}


def layers(decision: Decision) -> dict[str, Any]:
    ((name, options),) = decision.passes
    assert name == "mase-quantize"
    return options["layers"]


def test_lab_space_has_16_points(model: mo.Model):
    """As the labs have it: all linear layers alike."""
    made = space(LAB, model)
    assert made.parameters() == {
        "linear.data_in": tuple(FORMATS),
        "linear.weight": tuple(FORMATS),
    }
    names = made.parameters()
    points = [dict(zip(names, p, strict=True)) for p in product(*names.values())]
    assert len({made.decision(point).key for point in points}) == 16
    decision = made.decision(points[7])
    assert layers(decision) == {
        "linear": {"data_in": "fixed<8, 6>", "weight": "fixed<4, 2>"}
    }
    types = [str(v.type) for v in build(model, decision).function.args]
    assert types == ["tensor<1x64x!mase.fixed<8, 6>>"]


def test_layers_choose_by_themselves(model: mo.Model):
    """By type, as classic files mean it: each layer of the type is a choice."""
    table = mixed("type", {"linear": {"weight_width": [2, 4]}})
    made = space(table, model)
    assert made.parameters() == {"fc1.weight_width": (2, 4), "fc2.weight_width": (2, 4)}
    decision = made.decision({"fc1.weight_width": 4, "fc2.weight_width": 2})
    assert layers(decision) == {"fc1": {"weight_width": 4}, "fc2": {"weight_width": 2}}


def test_names_come_before_the_default(model: mo.Model):
    seed = {"default": {"data_in_width": [8, 6]}, "fc2": {"weight_width": [3, 5]}}
    made = space(mixed("name", seed), model)
    assert list(made.parameters()) == [
        "fc1.data_in_width",
        "relu.data_in_width",
        "fc2.weight_width",
    ]


def test_regular_expressions(model: mo.Model):
    seed = {"fc[12]": {"weight_width": [3, 5], "name": ["integer", "NA"]}}
    made = space(mixed("regex_name", seed), model)
    assert list(made.parameters()) == [
        "fc1.weight_width",
        "fc1.name",
        "fc2.weight_width",
        "fc2.name",
    ]
    point = dict(zip(made.parameters(), (3, "NA", 5, "integer"), strict=True))
    assert layers(made.decision(point)) == {
        "fc1": {"name": "NA"},
        "fc2": {"weight_width": 5, "name": "integer"},
    }


def test_na_is_half_the_width_of_a_fraction_and_nothing_else(model: mo.Model):
    seed = {
        "fc1": {
            "data_in_width": [16, 5],
            "data_in_frac_width": ["NA"],
            "rounding": ["NA", "floor"],
        }
    }
    made = space(mixed("name", seed), model)
    assert list(made.parameters()) == ["fc1.data_in_width", "fc1.rounding"]
    assert layers(made.decision({"fc1.data_in_width": 5, "fc1.rounding": "NA"})) == {
        "fc1": {"data_in_width": 5, "data_in_frac_width": 2}
    }
    assert layers(
        made.decision({"fc1.data_in_width": 16, "fc1.rounding": "floor"})
    ) == {"fc1": {"data_in_width": 16, "data_in_frac_width": 8, "rounding": "floor"}}


def test_options_of_all_layers_are_choices(model: mo.Model):
    table = {**mixed("name", FC1), "options": {"method": ["mse", "minmax"], "width": 6}}
    made = space(table, model)
    assert made.parameters() == {
        "fc1.weight_width": (4, 8),
        "method": ("mse", "minmax"),
    }
    decision = made.decision({"fc1.weight_width": 4, "method": "minmax"})
    by_hand = model.quantize(
        by="name", layers={"fc1": {"weight_width": 4}}, method="minmax", width=6
    )
    assert build(model, decision).text == by_hand.text
    other = made.decision({"fc1.weight_width": 4, "method": "mse"})
    assert build(model, other).text != by_hand.text


def test_the_format_itself_is_a_choice(model: mo.Model):
    """Keys of one name go with that name only."""
    seed = {
        "fc1": {
            "name": ["integer", "mxint", "minifloat_ieee"],
            "weight_width": [8],
            "weight_frac_width": [7],
            "weight_block_size": [16],
            "weight_exponent_width": [4],
        }
    }
    made = space(mixed("name", seed), model)
    found = {
        name: layers(made.decision({"fc1.name": name}))["fc1"]
        for name in ("integer", "mxint", "minifloat_ieee")
    }
    assert found == {
        "integer": {"name": "integer", "weight_width": 8, "weight_frac_width": 7},
        "mxint": {
            "name": "mxint",
            "weight_width": 8,
            "weight_block_size": 16,
            "weight_exponent_width": 4,
        },
        "minifloat_ieee": {
            "name": "minifloat_ieee",
            "weight_width": 8,
            "weight_exponent_width": 4,
        },
    }


def test_pruning_leaves_what_is_not_pruned(model: mo.Model):
    table = {
        "name": "pruning",
        "seed": {
            "default": {"config": {"sparsity": [0.0, 0.5]}},
            "fc2": {"config": {"sparsity": [0.0, 0.75]}},
        },
    }
    made = space(table, model)
    assert made.decision({"default.sparsity": 0.0, "fc2.sparsity": 0.0}) == Decision()
    decision = made.decision({"default.sparsity": 0.5, "fc2.sparsity": 0.75})
    pruned = build(model, decision, DIGITS / "mlp_calibration.npz")
    shares = {
        w.constant.value.label: float((w.array == 0).mean()) for w in _weights(pruned)
    }
    assert sorted(shares.values()) == [0.5, 0.75]
    untouched = [float((w.array == 0).mean()) for w in _weights(model)]
    assert untouched == [0.0, 0.0]


def _weights(model: mo.Model) -> Any:
    from mase_opt.lib.analysis.weights import find_weights

    return find_weights(model.function, None, by_output=False)


JOINT = {
    "name": "joint",
    "spaces": {
        "precision": LAB,
        "pruning": {
            "name": "pruning",
            "seed": {"default": {"config": {"sparsity": [0.0, 0.5]}}},
        },
        "circuit": {
            "name": "hardware",
            "choices": {"max_logic_depth": [2, 6], "dsp": [0, 4]},
        },
    },
}


def test_a_run_file_reproduces_a_decision(model: mo.Model, tmp_path: Path):
    """Every space at once; `mase-opt --config` makes the same model."""
    made = space(JOINT, model)
    assert list(made.parameters()) == [
        "precision.linear.data_in",
        "precision.linear.weight",
        "pruning.default.sparsity",
        "circuit.max_logic_depth",
        "circuit.dsp",
    ]
    values = ("fixed<8, 4>", "fixed<8, 6>", 0.5, 2, 4)
    decision = made.decision(dict(zip(made.parameters(), values, strict=True)))
    assert [name for name, _ in decision.passes] == [
        "mase-prune",
        "mase-calibrate",
        "mase-quantize",
    ]
    assert decision.hardware == {"max_logic_depth": 2, "dsp": 4}
    table = tomllib.loads(decision.toml())["passes"]
    assert list(table) == [
        "prune",
        "calibrate",
        "set-recipe",
        "quantize",
        "lower-block-arithmetic",
        "lower-to-lookup",
        "build-adder-graphs",
        "convert-mase-to-hw",
    ]
    assert table["build-adder-graphs"] == {"dsp": 4}
    assert table["convert-mase-to-hw"] == {"max-logic-depth": 2}

    software = Decision(decision.passes)
    data = str(DIGITS / "mlp_calibration.npz")
    run = software.toml().replace(
        "[passes.calibrate]", f"[passes.calibrate]\ndata = '{data}'"
    )
    (tmp_path / "run.toml").write_text(run)
    subprocess.run(
        [
            *(sys.executable, "-m", "mase_opt.tools.mase_opt"),
            f"--config={tmp_path / 'run.toml'}",
            *(str(DIGITS / "mlp.mlir"), "-o", str(tmp_path / "out.mlir")),
        ],
        check=True,
        cwd=ROOT,
        capture_output=True,
    )
    expected = build(model, software, data)
    expected.save(tmp_path / "expected.mlir")
    theirs, mine = (mo.load(tmp_path / f"{n}.mlir") for n in ("expected", "out"))
    assert mine.ir.is_structurally_equivalent(theirs.ir)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            mixed("name", {"fc3": {"weight_width": [2, 3]}}),
            "search_space.seed: there is no layer 'fc3'; did you mean 'fc2'? (layers: "
            "fc1, relu, fc2)",
        ),
        (
            mixed("type", {"liner": {"weight_width": [2, 3]}}),
            "search_space.seed: unknown layer type 'liner'; did you mean 'linear'?",
        ),
        (
            mixed("regex_name", {"fc[": {"weight_width": [2, 3]}}),
            "search_space.seed: 'fc[' is not a regular expression: unterminated "
            "character set at position 2",
        ),
        (
            mixed("nam", {"fc1": {"weight_width": [2, 3]}}),
            "search_space.setup: by is 'nam', expected one of type, name, regex_name",
        ),
        (
            mixed("name", {"fc1": {"wieght_width": [2, 3]}}),
            "search_space.seed.fc1.config: unknown key 'wieght_width'; did you mean "
            "'weight_width'?",
        ),
        (
            mixed("name", {"fc1": {"name": ["integer", "mxnit"]}}),
            "search_space.seed.fc1.config: unknown name 'mxnit'; did you mean 'mxint'?",
        ),
        (
            mixed("name", {"fc1": {"weight": ["fixed<8, 4>", "fixd<8, 2>"]}}),
            "search_space.seed.fc1.config: weight: ",
        ),
        (
            mixed("name", {"fc1": {"weight_width": []}}),
            "search_space.seed.fc1.config.weight_width is an empty list: there is "
            "nothing to choose",
        ),
        (
            mixed("name", {"fc1": {"weight_width": [4, 8, 4]}}),
            "search_space.seed.fc1.config.weight_width lists 4 twice",
        ),
        (
            mixed("name", {"fc1": {"weight_width": [4]}}),
            "search_space.seed leaves nothing to choose: list several values",
        ),
        (mixed("name", {}), "search_space.seed has no choices"),
        (
            mixed("name", {"fc1": {"weight": ["fixed<8, 4>"], "weight_width": [4, 8]}}),
            "search_space.seed.fc1.config: both weight and weight_width are given",
        ),
        (
            mixed("name", {"fc1": {"data_in_frac_width": ["NA", 2]}}),
            "search_space.seed.fc1.config.data_in_frac_width is 'NA', half the width, "
            "but data_in_width is None",
        ),
        (
            mixed("name", {"fc1": {"weight_width": [4, 8]}}, shaer=True),
            "search_space.setup: unknown key 'shaer'; did you mean 'share'?",
        ),
        (
            {**mixed("name", FC1), "options": {"metod": ["mse", "kl"]}},
            "search_space.options: unknown key 'metod'; did you mean 'method'?",
        ),
        (
            {**mixed("name", FC1), "options": {"method": ["mse", "mx"]}},
            "search_space.options: method is 'mx', expected one of mse, minmax",
        ),
        (
            {"name": "pruning", "seed": {"fc9": {"config": {"sparsity": [0.1, 0.2]}}}},
            "search_space.seed: there is no layer 'fc9' with weights",
        ),
        (
            {"name": "pruning", "seed": {"fc1": {"config": {"sparsity": [0.1, 2]}}}},
            "search_space.seed.fc1.config.sparsity: pass 'mase-prune': sparsity is 2",
        ),
        (
            {"name": "hardware", "choices": {"max_logic_dept": [2, 3]}},
            "search_space.choices: unknown key 'max_logic_dept'; did you mean "
            "'max_logic_depth'?",
        ),
        (
            {"name": "hardware", "choices": {"dsp": [2, 3.5]}},
            "search_space.choices.dsp lists 3.5, expected whole numbers",
        ),
        (
            {"name": "joint", "spaces": {"a": {"name": "hardwar"}}},
            "search_space.spaces.a.name: unknown space 'hardwar'; did you mean "
            "'hardware'?",
        ),
        (
            {"name": "joint", "spaces": {"a": {"name": "hardware", "choices": {}}}},
            "search_space.spaces.a.choices leaves nothing to choose",
        ),
        (
            {"name": "joint", "spaces": {"a": LAB, "b": mixed("name", FC1)}},
            "search_space.spaces: two spaces choose how mase-quantize runs",
        ),
    ],
)
def test_what_means_nothing(table: dict[str, Any], message: str, model: mo.Model):
    with pytest.raises(UserError) as error:
        space(table, model)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_no_formats_are_left_to_choose(model: mo.Model):
    with pytest.raises(UserError, match="the model is quantized already"):
        space(LAB, model.quantize(width=6))


def test_a_choice_without_an_operand_is_told(model: mo.Model):
    seed = {"relu": {"data_in_width": [4, 8], "weight_width": [4, 8]}}
    with pytest.warns(UserWarning, match="relu.config.weight_width has no effect"):
        made = space(mixed("name", seed), model)
    assert list(made.parameters()) == ["relu.data_in_width"]
