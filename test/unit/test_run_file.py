"""Files of whole runs: what they mean, and what means nothing."""

import re
from pathlib import Path

import pytest

from mase_opt.driver.run_file import read_run_file
from mase_opt.lib.errors import UserError
from mase_opt.registry import load_universe

PASSES = load_universe().all_passes


def test_everything(tmp_path: Path):
    path = tmp_path / "run.toml"
    path.write_text("""
input = "m.onnx"
[passes.smooth]
alpha = 0.25
[passes.mase-quantize]
data_width = 7
fc.config = {weight = "fixed<4, auto>"}
[passes.canonicalize]
[emit]
output = "out"
verify_rtl = 8
""")
    run = read_run_file(str(path), PASSES)
    assert run.input == "m.onnx"
    layers = '{"fc" = {"weight" = "fixed<4, auto>"}}'
    quantize = {"data-width": (7,), "layers": (layers,), "by": ("type",)}
    assert run.passes == [
        ("mase-smooth", {"alpha": (0.25,)}),
        ("mase-quantize", quantize),
        ("canonicalize", {}),
    ]
    assert run.emit == {"output": "out", "verify-rtl": 8}
    flags = [("mase-prune", {}), ("mase-quantize", {"data_width": (3,), "width": (5,)})]
    assert run.with_flags(flags) == [
        ("mase-smooth", {"alpha": (0.25,)}),
        ("mase-quantize", quantize | {"data-width": (3,), "width": (5,)}),
        ("canonicalize", {}),
        ("mase-prune", {}),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[pases.quantize]", "unknown key 'pases'; did you mean 'passes'?"),
        ("[search.strategy]", "unknown key 'search'"),
        ("[passes.quantise]", "unknown pass 'quantise'; did you mean 'quantize'?"),
        ("[emit]\noutptu = 'x'", "emit: unknown key 'outptu'; did you mean 'output'?"),
        ("[emit]\nsplit = 1", "emit: split is 1, expected true or false"),
        ("[emit]\nverify-rtl = true", "emit: verify-rtl is True, expected a whole"),
        ("input = 3", "input is 3, expected the name of a model"),
        ("passes = 3", "passes is 3, expected a table"),
        ("passes.quantize = 3", "passes.quantize is 3, expected a table"),
        ("[passes.quantize.fc]\nweight = 'x'", "quantize: fc: expected a table with a"),
        ("[passes.prune]\nfc.config = {a = 1}", "prune: 'fc' is a table, but mase-pr"),
        ("[", "is not TOML"),
    ],
)
def test_no_run(tmp_path: Path, text: str, message: str):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(message)):
        read_run_file(str(path), PASSES)
