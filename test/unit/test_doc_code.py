"""
The code in the README and in docs/ runs, from the root, in the order of each page.

Python and MLIR whose first line names a file (`# square.py`) is in that file for what
follows. A block of language `text` is what the command before it shows. A comment
before a block says why it does not run here: `<!-- not run: … -->`.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mase_opt.lib import native

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+) -->\n\n?)?"
    r"^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
NAMED = re.compile(r"(?:#|//) (?P<file>\w+\.(?:py|mlir))\n")
SHELL = ("sh", "console")


@dataclass(frozen=True)
class Block:
    """A code block of a page."""

    language: str
    text: str
    reason: str | None
    """Why it does not run."""


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = [Block(m["language"], m["text"], m["reason"]) for m in BLOCK.finditer(text)]
    fences = re.findall("^```", text, re.MULTILINE)
    assert len(fences) == 2 * len(found), "a block that is not understood"
    return found


def commands(block: Block) -> Sequence[str] | None:
    """How to run a block; None for what is only shown."""
    if block.language in SHELL:
        return ["bash", "-e", "-u", "-o", "pipefail", "-c", block.text]
    if block.language == "python":
        return [sys.executable, "-c", block.text]
    known = ("mlir", "pyi", "text", "toml")
    assert block.language in known, f"unknown language '{block.language}'"
    return None


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder like the root, where everything but `build` is the root's."""
    for entry in ROOT.iterdir():
        if entry.name != "build" and not entry.name.startswith("."):
            (tmp_path / entry.name).symlink_to(entry)
    return tmp_path


@pytest.mark.slow
@pytest.mark.skipif(not native.AVAILABLE, reason="installed without a C++ compiler")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page: Path, root: Path):
    scripts = str(Path(sys.executable).parent)
    path = os.pathsep.join([scripts, os.environ["PATH"]])
    shown = ""
    for block in blocks(page):
        if block.language == "text":
            assert block.text == shown, f"{page.name} shows something else"
        named = NAMED.match(block.text)
        if named is not None:
            (root / named["file"]).write_text(block.text, encoding="utf-8")
        command = commands(block)
        if command is None or block.reason is not None:
            continue
        done = subprocess.run(
            command,
            cwd=root,
            env={**os.environ, "PATH": path, "COLUMNS": "80", "TERM": "xterm"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block.text}\n{done.stdout[-4000:]}"
        shown = done.stdout


def test_most_code_runs():
    # The first sets up an environment, the second is what CI begins with, the third
    # needs another compiler, the fourth an hour; the others have tests of their own.
    reasons = [b.reason for page in PAGES for b in blocks(page) if b.reason]
    assert len(reasons) == 7
    runs = [b for page in PAGES for b in blocks(page) if commands(b) and not b.reason]
    assert len(runs) >= 18
