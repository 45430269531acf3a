"""Kills leave the earlier or the new output, and the next run cleans up."""

import errno
import os
import random
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mase_opt.lib import atomic, external
from mase_opt.lib.atomic import atomic_directory, atomic_file
from mase_opt.lib.temporaries import temporary_file, temporary_folder

WRITER = """
import itertools, sys
from pathlib import Path
from mase_opt.lib.atomic import atomic_directory, atomic_file

kind, target, start, count = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
print("ready", flush=True)
for number in range(start, start + count):
    text = f"{number}\\n" * 200
    if kind == "file":
        with atomic_file(target) as stream:
            for line in text.splitlines(True):
                stream.write(line)
    else:
        with atomic_directory(target, lambda folder: True) as folder:
            for name in "abcd":
                (folder / name).write_text(text)
"""


@contextmanager
def writer(
    kind: str, target: Path, start: int, count: int
) -> Generator[subprocess.Popen[str]]:
    arguments = [kind, str(target), str(start), str(count)]
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


def content(target: Path) -> set[str]:
    """The numbers in an output; one, if it is complete."""
    files = [target] if target.is_file() else sorted(target.iterdir())
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert len(lines) == 200 * len(files)
    assert target.is_file() or [file.name for file in files] == list("abcd")
    return set(lines)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_killed_writers(tmp_path: Path, kind: str):
    target = tmp_path / "out"
    choose = random.Random(0)
    left = 0
    with writer(kind, target, 0, 1) as process:
        pass
    assert process.returncode == 0
    for index in range(12):
        with writer(kind, target, 1000 * index, 10**9) as process:
            time.sleep(choose.random() / 50)
            process.kill()
        assert len(content(target)) == 1
        hidden = [p for p in tmp_path.iterdir() if p != target]
        left += len(hidden)
        assert len(hidden) <= 1, "the run before has left one, which this removed"
    assert left, "no kill came while an output was written"
    with writer(kind, target, 7, 1):
        pass
    assert content(target) == {"7"}
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_concurrent_writers(tmp_path: Path, kind: str):
    target = tmp_path / "out"
    with (
        writer(kind, target, 0, 150) as one,
        writer(kind, target, 1000, 150) as two,
        writer(kind, target, 2000, 150) as three,
    ):
        seen = 0
        while one.poll() is None:
            if target.is_file():
                seen += len({*target.read_text().splitlines()}) == 1
    assert [p.returncode for p in (one, two, three)] == [0, 0, 0]
    assert kind == "folder" or seen
    assert content(target) <= {"149", "1149", "2149"}
    assert list(tmp_path.iterdir()) == [target]


def test_others_are_kept(tmp_path: Path):
    ours = ".out.mase-0123456789abcdef.tmp"
    kept = [".out.mase-0123456789abcdef.tmp.txt", ".outer" + ours[4:], ".out.tmp"]
    for name in (ours, *kept):
        (tmp_path / name).mkdir()
        (tmp_path / name / "content").write_text("x")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("x")
    link = tmp_path / ".out.mase-1123456789abcdef.tmp"
    link.symlink_to(elsewhere)
    os.mkfifo(tmp_path / ".out.mase-2123456789abcdef.tmp")
    with (
        temporary_folder(".out", tmp_path) as folder,
        temporary_file(".out", tmp_path) as (file, _),
        atomic_file(tmp_path / "out") as stream,
    ):
        stream.write("x")
        assert folder.is_dir()
        assert file.is_file()
    left = sorted(p.name for p in tmp_path.iterdir())
    assert left == sorted(["elsewhere", "out", link.name, *kept])


def test_folder_where_nothing_can_be_exchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(one: Path, other: Path) -> None:
        raise OSError(errno.EINVAL, "not on this file system")

    monkeypatch.setattr(atomic, "_exchange", refuse)
    target = tmp_path / "out"
    for name in "ab":
        with atomic_directory(target, lambda folder: True) as folder:
            (folder / name).write_text("")
    assert [p.name for p in target.iterdir()] == ["b"]
    assert list(tmp_path.iterdir()) == [target]


def test_earlier_folder_is_there_all_the_time(tmp_path: Path):
    target = tmp_path / "out"
    with writer("folder", target, 0, 300) as process:
        looks = gaps = 0
        while process.poll() is None:
            exists = target.exists()
            looks += exists
            gaps += looks > 0 and not exists
    assert looks
    assert gaps == 0


def test_program_that_takes_too_long_ends_with_its_children(tmp_path: Path):
    # The grandchild would keep the pipe open, and the call from returning.
    with pytest.raises(subprocess.TimeoutExpired):
        external.run(["sh", "-c", "sleep 1000 & wait"], folder=tmp_path, timeout=0.2)
    done = external.run(["sh", "-c", "echo $TMPDIR; cat; exit 3"], folder=tmp_path)
    assert (done.stdout, done.returncode) == (f"{tmp_path}\n", 3)
