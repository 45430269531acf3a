"""Installed packages whose universe imports what it names when that is used."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"^```\w+\n(?:#|//) (\w+\.\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the page's files, of which two are what a package registers."""
    for name, text in BLOCK.findall(PAGE):
        (tmp_path / name).write_text(text, encoding="utf-8")
    info = tmp_path / "extra_formats-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: extra-formats\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(
        "[xdsl.universe]\nextra_formats = universe:UNIVERSE\n"
    )
    return tmp_path


def run(site: Path, *arguments: str) -> str:
    path = os.pathsep.join([str(site), str(ROOT)])
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=site,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


MASE_OPT = ("-m", "mase_opt.tools.mase_opt")


def test_format_of_a_package(site: Path) -> None:
    listing = run(site, *MASE_OPT, "--list-formats")
    assert re.search(r"^ *nf4 .* 0\.0795803", listing, re.M)
    (site / "m.mlir").write_text(
        "func.func @f(%x: tensor<1x2xf32>) -> tensor<1x1xf32> {\n"
        "  %w = mase.constant <f32, [1.0, -1.0]> : tensor<1x2xf32>\n"
        "  %0 = mase.linear %x, %w : (tensor<1x2xf32>, tensor<1x2xf32>)\n"
        "    -> tensor<1x1xf32>\n"
        "  func.return %0 : tensor<1x1xf32>\n"
        "}\n"
    )
    quantize = ("--quantize=width=4 weight-format=nf4", "m.mlir", "-o", "q.mlir")
    run(site, *MASE_OPT, *quantize)
    text = (site / "q.mlir").read_text()
    assert "mase.constant <ui8, [15, 0]> : tensor<1x2x!extra.nf4>" in text
    # The type is found by its dialect alone, and its circuit with it.
    verilog = run(site, *MASE_OPT, "--emit-sv", "--verify-rtl=8", "q.mlir")
    assert "module f(" in verilog


def test_rule_of_a_package(site: Path) -> None:
    universe = (site / "universe.py").read_text()
    (site / "universe.py").write_text(universe.replace("nf4", "atan"))
    text = run(site, *MASE_OPT, "--convert-torch-to-mase", "angle.py:make")
    assert "extra.atan" in text


def test_loading_imports_no_torch(site: Path) -> None:
    plugins = ["fast_gelu.py", "square.py", "atan.py", "nf4.py"]
    plugins.append(str(ROOT / "examples" / "plugins" / "posit.py"))
    for plugin in plugins:
        run(
            site,
            "-c",
            "import sys\n"
            "from mase_opt.registry import load_plugin, load_universe\n"
            "assert 'extra' in load_universe().all_dialects\n"
            "assert 'nf4' not in sys.modules\n"
            f"load_plugin({plugin!r})\n"
            "assert not {'torch', 'torch_mlir'} & set(sys.modules)\n",
        )
