"""The description of a circuit's ports, as it goes through the manifest."""

import json
from typing import Any

import pytest
from hw_circuits import CASES, STALL_LAYOUT

from mase_opt.lib.errors import UserError
from mase_opt.lib.target.interface import PortLayout


@pytest.mark.parametrize("name", CASES)
def test_json_round_trip(name: str):
    layout = CASES[name][1]
    assert PortLayout.from_json(json.loads(json.dumps(layout.to_json()))) == layout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latency": "2"}, "entry 'latency' is '2'"),
        ({"latency": True}, "entry 'latency' is True"),
        ({"ports": [{"name": "x"}]}, "no entry 'direction'"),
        ({"has_clock": False}, "latency needs a clock"),
        ({"has_valid": False}, "ready needs valid"),
    ],
)
def test_damaged_json_is_a_user_error(change: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        PortLayout.from_json(STALL_LAYOUT.to_json() | change)


def test_other_json_is_a_user_error():
    with pytest.raises(UserError, match="no entry 'ports'"):
        PortLayout.from_json([])


def test_words_name_every_port():
    words = STALL_LAYOUT.describe()
    for name in ("clk", "rst", "in_valid", "out_ready", "x: in", "y: out"):
        assert name in words
