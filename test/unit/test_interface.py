"""The description of a circuit's ports, as it goes through the manifest."""

from hw_circuits import STALL_LAYOUT


def test_words_name_every_port():
    words = STALL_LAYOUT.describe()
    for name in ("clk", "rst", "in_valid", "out_ready", "x: in", "y: out"):
        assert name in words
