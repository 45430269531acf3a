"""The package works from the root of a clone, however it is installed."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from mase_opt.lib import native

ROOT = Path(__file__).parents[2]
SHOW = """
import mase_opt, mase_opt.dialects.mase, mase_opt.tools.mase_opt
from mase_opt.lib import native
print(*(m.__file__ for m in (mase_opt, mase_opt.dialects, mase_opt.tools, native)))
print(native.AVAILABLE)
"""
FOLDERS = ("mase_opt", "dialects", "tools", "lib/native")
SHOWN = " ".join(str(ROOT / folder / "__init__.py") for folder in FOLDERS)


def packages(folder: Path, *, ours: bool) -> Path:
    """
    A folder of all packages, without what makes editable ones importable.

    With `ours`, what is compiled of this one is there as if it came from a wheel.
    """
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.suffix != ".pth" and (ours or not entry.name.startswith("mase_opt")):
            (folder / entry.name).symlink_to(entry)
    return folder


def python(*arguments: str, path: Path | None) -> str:
    return subprocess.run(
        # -S: no .pth files.
        [sys.executable, *(["-S"] if path else []), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(path or "")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_installed_editable():
    assert python("-c", SHOW, path=None).split("\n")[0] == SHOWN


@pytest.mark.parametrize("ours", [False, True])
def test_otherwise(tmp_path: Path, ours: bool):
    path = packages(tmp_path, ours=ours)
    # The solver is compiled by an installation.
    found = f"{SHOWN}\n{ours and native.AVAILABLE}\n"
    assert python("-c", SHOW, path=path) == found
    listing = python("-m", "mase_opt.tools.mase_opt", "--list-passes", path=path)
    assert "mase-quantize" in listing
