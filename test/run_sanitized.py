"""
Run the solver's tests with AddressSanitizer and UndefinedBehaviorSanitizer.

The package is installed once more, into a folder, with its compiled part built for the
sanitizers of g++. Any wrong access to memory, overflow or bad shift ends the tests.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = "test/unit/test_adder_graph_solver.py"
INSTRUMENTED = (b"__asan_report_load", b"__ubsan_handle")


def install(folder: Path) -> tuple[Path, str]:
    """Build and install the package; the folder to import it from, and pip's words."""
    package = folder / "package"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--verbose", "--no-deps"),
            *("--upgrade", "--target", package),
            # Debug builds keep the names that a report shows.
            *("-C", f"build-dir={folder / 'cmake'}", "-C", "cmake.build-type=Debug"),
            *("-C", "cmake.define.MASE_SANITIZE=ON", ROOT),
        ],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(done.stdout)
    return package, done.stdout


def environment(package: Path) -> dict[str, str]:
    """What Python needs to load instrumented modules, and `package` before others."""
    compiler = os.environ.get("CXX", "g++")
    # The runtime must come first in a process; of the C++ library, it wraps functions.
    runtime = [
        subprocess.run(
            [compiler, f"-print-file-name={name}"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for name in ("libasan.so", "libstdc++.so.6")
    ]
    return {
        **os.environ,
        "LD_PRELOAD": ":".join(runtime),
        # Python frees little of what it holds when it ends.
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONPATH": os.pathsep.join([str(package), sysconfig.get_path("purelib")]),
    }


def main() -> int:
    """Run `run_sanitized.py FOLDER`, where to build; 1 if anything failed."""
    package, log = install(Path(sys.argv[1]).resolve())
    # Without site (-S) there is no finder of an editable install, which would lead to
    # the usual build; without the current folder (-P), no sources.
    python = [sys.executable, "-S", "-P"]
    env = environment(package)
    show = "from mase_opt.lib.native import _native; print(_native.__file__)"
    shown = subprocess.run(
        [*python, "-c", show], env=env, check=False, stdout=subprocess.PIPE, text=True
    )
    loaded = shown.stdout.strip()
    if shown.returncode != 0 or not Path(loaded).is_relative_to(package):
        print(f"{log}\nthe sanitized build cannot be imported from {package}")
        return 1
    binary = Path(loaded).read_bytes()
    if not all(symbol in binary for symbol in INSTRUMENTED):
        print(f"{loaded} was built without sanitizers")
        return 1
    # Reports go to the descriptor of standard error, which pytest would swallow.
    tests = [*python, "-m", "pytest", "--capture=sys", "--durations=5", TESTS]
    return subprocess.run(tests, cwd=ROOT, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
