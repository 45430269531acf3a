"""
Evaluation of ResNet-18 in 8-bit fixed point, over the float model in plain torch.

224x224 images, random weights, calibrated with a few random images. In turn, in the
same run: the float model, the quantized one by `to_torch`, both compiled, and the same
model in Brevitas: power-of-two scales, a rounding at the same places, its fastest mode
(weights quantized once). Medians and the smallest of some runs; results of `to_torch`
are compared with the interpreter's. One JSON line per figure. Needs the extra `models`.

Brevitas is installed into a folder of its own, away with the run, and evaluated in a
process of its own; without it, a line says so.

`python bench/bench_torch.py [eager] [compiled] [brevitas]`: all of them by default.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

RUNS = 7
BATCH = 8
TARGET = 2.5
ZOO = Path(__file__).parents[1] / "test" / "models"
BREVITAS = ("brevitas==0.13.4", "dependencies==2.0.1", "unfoldNd==0.2.3")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

Model = Callable[[Tensor], Tensor]


def resnet18() -> nn.Module:
    sys.path.insert(0, str(ZOO))
    zoo = import_module("zoo")
    model, _ = cast("tuple[nn.Module, Any]", zoo.MODELS["resnet18"]())
    return model.eval()


def images(count: int) -> Tensor:
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(count, 3, 224, 224))
    return torch.tensor(pixels, dtype=torch.float32)


def seconds(model: Model, x: Tensor) -> float:
    """Of one evaluation."""
    start = time.perf_counter()
    with torch.no_grad():
        model(x)
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def quantized(model: nn.Module) -> nn.Module:
    """The model in 8-bit fixed point; one result is checked against the interpreter."""
    from xdsl.context import Context

    from mase_opt.dialects.mase.types import ElementType, element_of
    from mase_opt.frontend.import_torch import import_torch
    from mase_opt.frontend.to_torch import to_torch
    from mase_opt.lib.interpreters.mase import evaluate, main_function
    from mase_opt.lib.transforms.mase_quantize import MaseQuantizePass

    module = import_torch(model, (images(1),), "resnet18")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "calibration.npz"
        np.savez(data, x=images(4).numpy())
        MaseQuantizePass(width=8, data=str(data)).apply(Context(), module)
    net = to_torch(module)
    block = main_function(module).body.block
    assert block.last_op is not None
    source, target = element_of(block.args[0]), element_of(block.last_op.operands[0])
    assert isinstance(source, ElementType)
    assert isinstance(target, ElementType)
    (codes,) = evaluate(module, [source.held(images(1).numpy()[None])])
    with torch.no_grad():
        result = net(images(1))
    assert (result.numpy() == target.numbers(codes)[0]).all(), "not exact"
    return net.to(DEVICE)


# ---- Brevitas -----------------------------------------------------------------------


class Peer:
    """The model in Brevitas, in a process of its own."""

    def __init__(self):
        """Raises `RuntimeError` if it does not install or run."""
        self._folder = tempfile.TemporaryDirectory()
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        install = subprocess.run(
            [*command, "--target", self._folder.name, *BREVITAS, "setuptools"],
            capture_output=True,
            text=True,
        )
        if install.returncode:
            raise RuntimeError(install.stderr.strip().splitlines()[-1])
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, "peer"],
            env={**os.environ, "PYTHONPATH": self._folder.name},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.seconds()  # the first one is not counted

    def seconds(self) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print("run", file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("its process has ended")
        return float(line)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


def in_brevitas(model: Any) -> nn.Module:
    """`model` with batch norms folded and a rounding behind every layer."""
    qnn, quant = import_module("brevitas.nn"), import_module("brevitas.quant")
    signed = quant.Int8ActPerTensorFixedPoint
    unsigned = quant.Uint8ActPerTensorFixedPoint
    weights = quant.Int8WeightPerTensorFixedPoint

    def conv(layer: Any, norm: Any, out: Any) -> nn.Module:
        fused = fuse_conv_bn_eval(layer, norm)
        result = qnn.QuantConv2d(
            fused.in_channels,
            fused.out_channels,
            fused.kernel_size,
            fused.stride,
            fused.padding,
            bias=True,
            weight_quant=weights,
            output_quant=out,
        )
        result.weight.data, result.bias.data = fused.weight.data, fused.bias.data
        return result

    class Block(nn.Module):
        def __init__(self, block: Any):
            super().__init__()
            self.conv1 = conv(block.conv1, block.bn1, unsigned)
            self.conv2 = conv(block.conv2, block.bn2, signed)
            self.down: nn.Module = nn.Identity()
            if block.downsample is not None:
                layer, norm = block.downsample
                self.down = conv(layer, norm, signed)
            self.relu = qnn.QuantIdentity(act_quant=unsigned)

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(self.conv2(self.conv1(x)) + self.down(x))

    fc = qnn.QuantLinear(
        512, model.fc.out_features, True, weight_quant=weights, output_quant=signed
    )
    fc.weight.data, fc.bias.data = model.fc.weight.data, model.fc.bias.data
    stages = (model.layer1, model.layer2, model.layer3, model.layer4)
    return nn.Sequential(
        qnn.QuantIdentity(act_quant=signed),
        conv(model.conv1, model.bn1, unsigned),
        nn.MaxPool2d(3, 2, 1),
        *(Block(block) for stage in stages for block in stage),
        nn.AdaptiveAvgPool2d(1),
        qnn.QuantIdentity(act_quant=unsigned),
        nn.Flatten(),
        fc,
    )


def peer() -> None:
    """Evaluates whenever a line comes in, and answers with the seconds."""
    with torch.no_grad():
        net = in_brevitas(resnet18()).train()
        for _ in range(4):
            net(images(4))  # collects the ranges
        net = net.eval().to(DEVICE)
        x = images(BATCH).to(DEVICE)
        inference = import_module("brevitas.export.inference").quant_inference_mode
        with inference(net, cache_quant_weight=True):
            for _ in sys.stdin:
                print(seconds(net, x), flush=True)


# ---- figures ------------------------------------------------------------------------


def figure(name: str, ours: list[float], base: list[float], of: str, **more: Any):
    """Print a ratio of times."""
    line = {
        "benchmark": f"torch_resnet18_{name}",
        "mase_opt_ms": round(statistics.median(ours) * 1e3, 1),
        "peer_ms": round(statistics.median(base) * 1e3, 1),
        "peer": of,
        "ratio": round(statistics.median(ours) / statistics.median(base), 2),
        "ratio_of_smallest": round(min(ours) / min(base), 2),
        **more,
        "batch": BATCH,
        "runs": RUNS,
        "device": torch.cuda.get_device_name() if DEVICE.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(line), flush=True)


def main(names: list[str]) -> None:
    """Measure the named ones in turn."""
    base = resnet18()
    net = quantized(base)
    x = images(BATCH).to(DEVICE)
    base = base.to(DEVICE)
    runs: dict[str, Callable[[], float]] = {
        "float": lambda: seconds(base, x),
        "ours": lambda: seconds(net, x),
    }
    if "compiled" in names:
        models = {"float": base, "ours": net}
        for name, model in models.items():
            compiled = cast(Any, torch).compile(model, fullgraph=True)
            runs[f"compiled {name}"] = lambda model=compiled: seconds(model, x)
            with torch.no_grad():
                same = name == "float" or torch.equal(compiled(x), net(x))
            assert same, "the compiled model differs"
    other: Peer | None = None
    if "brevitas" in names:
        try:
            other = Peer()
            runs["brevitas"] = other.seconds
        except RuntimeError as error:
            note = {"benchmark": "torch_resnet18_over_brevitas", "missing": str(error)}
            print(json.dumps(note), flush=True)
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(RUNS):
        for name, run in runs.items():
            times[name].append(run())
    if other is not None:
        other.close()
    if "eager" in names:
        figure("eager", times["ours"], times["float"], "torch", target_max=TARGET)
    if "compiled" in names:
        compiled_float = times["compiled float"]
        of = "torch.compile"
        figure(
            "compiled", times["compiled ours"], compiled_float, of, target_max=TARGET
        )
    if other is not None:
        of = BREVITAS[0].replace("==", " ")
        figure("over_brevitas", times["ours"], times["brevitas"], of, target_max=1.0)


if __name__ == "__main__":
    if sys.argv[1:] == ["peer"]:
        peer()
    else:
        main(sys.argv[1:] or ["eager", "compiled", "brevitas"])
