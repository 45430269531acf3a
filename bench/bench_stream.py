"""
Streamed hardware of networks with random weights:
`bench_stream.py [8|18|budgets|networks [NAME ...]]`.

8 and 18 are residual networks, with a JSON line per figure: seconds of CPU for every
step, interval, latency, size of the text, and whether the simulated circuit gives the
interpreter's bits. `networks` are published and small ones in 8 bits, a JSON line each,
with what Yosys makes of the circuit if it is installed; `share` is that of the cycles
in which a multiplier works. `emit` raises if a bit differs. They need the extra
`train`. `budgets` tells which part of the multipliers of ResNet-18 work, for many
numbers of them.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence

import numpy as np
import torch
from stream_networks import NETWORKS as SMALL
from xdsl.builder import ImplicitBuilder
from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import SSAValue

import mase_opt as mo
from mase_opt.dialects.mase import elementwise, layers, pooling, shape
from mase_opt.dialects.mase.types import FixedPoint, FixedType, shape_of
from mase_opt.lib.analysis.parallelism import Layers
from mase_opt.lib.conversion.convert_mase_to_stream import ConvertMaseToStreamPass
from mase_opt.lib.conversion.convert_stream_to_hw import ConvertStreamToHwPass
from mase_opt.lib.conversion.streamed.builder import parallelism
from mase_opt.lib.hardware.memory import memories_of
from mase_opt.lib.model_function import model_function
from mase_opt.lib.simulation.simulator import Simulator
from mase_opt.lib.target import yosys
from mase_opt.lib.target.circt import export_verilog
from mase_opt.lib.target.layout import port_layout
from mase_opt.lib.transforms.mase_allocate_parallelism import (
    MaseAllocateParallelismPass,
)
from mase_opt.lib.transforms.stream_size_fifos import StreamSizeFifosPass
from mase_opt.model.verify import reference_vectors

NETWORKS = {"8": ((16, 32, 64), 1, 64), "18": ((64, 128, 256, 512), 2, 1024)}
"""Channels of the stages, blocks in each, multipliers."""
PUBLISHED = {
    "lenet5": ((1, 28, 28), 10, 64),
    "resnet8": ((3, 32, 32), 10, 256),
    "ds-cnn": ((1, 49, 10), 12, 128),
    "mobilenetv1-025": ((3, 32, 32), 2, 256),
    "deep-autoencoder": ((640,), None, 256),
    "cnv": ((3, 32, 32), 10, 512),
}
"""Shape of a sample, classes, multipliers."""
X, W, B = FixedType(8, 4), FixedType(8, 7), FixedType(16, 11)
CELLS = "lut", "ff", "dsp", "carry", "bram", "lutram"
SAMPLES = 1
"""Random images behind the corners."""


class Residual:
    """A residual network for images of 32 by 32 pixels."""

    def __init__(self, widths: Sequence[int], blocks: int):
        self.rng = np.random.default_rng(0)
        self.count = 0
        function = func.FuncOp("resnet", ([TensorType(X, [1, 3, 32, 32])], ()))
        with ImplicitBuilder(function.body.block):
            func.ReturnOp(self.network(function.args[0], widths, blocks))
        function.update_function_type()
        self.module = ModuleOp([function])

    def constant(self, size: Sequence[int], element: FixedPoint) -> SSAValue:
        codes = element.format
        drawn = self.rng.integers(codes.min_code // 8, codes.max_code // 8, size)
        return shape.ConstantOp.of(drawn, element).result

    def conv(self, x: SSAValue, outputs: int, kernel: int, stride: int) -> SSAValue:
        self.count += 1
        weight = self.constant([outputs, shape_of(x)[1], kernel, kernel], W)
        return layers.Conv2dOp(
            x,
            weight,
            self.constant([outputs], B),
            strides=[stride, stride],
            padding=[kernel // 2] * 2,
            layer=f"conv{self.count}",
        ).result

    def network(self, x: SSAValue, widths: Sequence[int], blocks: int) -> SSAValue:
        y = elementwise.ReluOp(self.conv(x, widths[0], 3, 1)).result
        for stage, width in enumerate(widths):
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                z = elementwise.ReluOp(self.conv(y, width, 3, stride)).result
                z = self.conv(z, width, 3, 1)
                if stride > 1:
                    y = self.conv(y, width, 1, stride)
                y = elementwise.ReluOp(elementwise.AddOp(z, y)).result
        pooled = pooling.AvgPoolOp(y, shape_of(y)[2:]).result
        flat = shape.ReshapeOp(pooled, (1, widths[-1])).result
        weight = self.constant([10, widths[-1]], W)
        return layers.LinearOp(flat, weight, layer="fc").result


def say(figure: str, value: float | bool) -> None:
    print(json.dumps({"figure": figure, "value": value}), flush=True)


def budgets() -> None:
    """Products over multipliers and cycles, at random budgets from 150 on."""
    reference = Residual(*NETWORKS["18"][:2]).module
    rng = np.random.default_rng(0)
    least = 1.0
    for multipliers in (150, 1024, *rng.integers(150, 4001, 22).tolist()):
        module = reference.clone()
        MaseAllocateParallelismPass(multipliers=multipliers).apply(Context(), module)
        works = Layers(model_function(module)).works
        chosen = [(work, parallelism(op)) for op, work in works.items()]
        cycles = max(work.cycles(choice) for work, choice in chosen if choice)
        products = sum(work.products for work in works.values())
        part = products / (multipliers * cycles)
        least = min(least, part)
        say(f"{multipliers} multipliers at work", round(part, 4))
    say("least", round(least, 4))


def published(name: str) -> None:
    """Import, quantize, emit and compare one of the networks."""
    from mase_opt.training import DatasetInfo, find_model

    torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
    if name in SMALL:
        make, sample, multipliers = SMALL[name]
        net = make().eval()
    else:
        sample, classes, multipliers = PUBLISHED[name]
        net = find_model(name)(DatasetInfo(sample, classes)).eval()
    model = mo.import_torch(net, (torch.zeros(1, *sample),), name.replace("-", "_"))
    data = np.random.default_rng(0).normal(size=(32, *sample)).astype(np.float32)
    model = model.apply("decompose-normalizations")
    model = model.calibrate(data).quantize(width=8)
    model = model.apply("allocate-parallelism", multipliers=multipliers)
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        result = model.emit(folder, architecture="streamed", verify=SAMPLES)
    seconds = time.process_time() - start
    works = Layers(model_function(model.ir)).works
    products = sum(work.products for work in works.values())
    used = sum(
        work.multipliers(choice)
        for op, work in works.items()
        if (choice := parallelism(op))
    )
    line: dict[str, float | str] = {
        "network": name,
        "multipliers": used,
        "interval": result.initiation_interval,
        "share": round(products / (used * result.initiation_interval), 3),
        "latency": result.latency,
        "verilog_kb": len(result.verilog) >> 10,
        "cpu_s": round(seconds, 1),
    }
    if yosys.available() is None:
        found = yosys.synthesize(
            result.verilog, result.layout.top, memories=result.memories
        )
        line |= {name: getattr(found, name) for name in CELLS}
    print(json.dumps(line), flush=True)


def main(name: str = "8", *names: str) -> None:
    if name == "budgets":
        budgets()
        return
    if name == "networks":
        warnings.simplefilter("ignore")
        for network in names or (*PUBLISHED, *SMALL):
            published(network)
        return
    widths, blocks, multipliers = NETWORKS[name]
    reference = Residual(widths, blocks).module
    module = reference.clone()
    start = time.process_time()

    def lap(step: str) -> None:
        nonlocal start
        say(f"{step} CPU s", round(time.process_time() - start, 2))
        start = time.process_time()

    for step in (
        MaseAllocateParallelismPass(multipliers=multipliers),
        ConvertMaseToStreamPass(),
        StreamSizeFifosPass(),
        ConvertStreamToHwPass(),
    ):
        step.apply(Context(), module)
        lap(step.name)
    text = export_verilog(module)
    lap("SystemVerilog")
    files = [memory.text for memory in memories_of(module).values()]
    lap("memory files")
    layout = port_layout(module)
    say("SystemVerilog characters", len(text))
    say("memory files", len(files))
    say("memory files, characters", sum(map(len, files)))
    say("peak, MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
    say("interval, cycles", layout.initiation_interval)
    say("latency, cycles", layout.latency)
    simulator = Simulator(module, layout)
    lap("compile simulator")
    inputs, outputs = reference_vectors(reference, layout, SAMPLES)
    lap("interpret")
    found = simulator.run(inputs)
    seconds = time.process_time() - start
    lap("simulate")
    (port,) = layout.outputs
    assert port.channel is not None
    ends = simulator.transfers[port.name][port.channel.beats - 1 :: port.channel.beats]
    cycles = int(ends[-1]) + 1
    say("images", len(ends))
    say("steady interval, cycles", float(np.diff(ends)[1:].mean()))
    say("cycles", cycles)
    say("cycles per CPU s", round(cycles / seconds))
    say("same bits", all((found[n] == c).all() for n, c in outputs.items()))


if __name__ == "__main__":
    main(*sys.argv[1:])
