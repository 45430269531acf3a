"""A format that is not ours, from a plug-in: it has everything that others have."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from xdsl.context import Context

from mase_opt.dialects.mase.types import element_of
from mase_opt.frontend.load_model import load_model
from mase_opt.frontend.to_torch import to_torch
from mase_opt.lib.conversion.convert_torch_to_mase import ConvertTorchToMasePass
from mase_opt.lib.formats import (
    Element,
    FormatError,
    Overflow,
    RoundingMode,
    Scaled,
    Stochastic,
    add_family,
    parse_spec,
)
from mase_opt.lib.formats.spec import EXAMPLES, FAMILIES
from mase_opt.lib.formats.torch_cast import cast
from mase_opt.lib.interpreters.mase import evaluate, main_function
from mase_opt.lib.transforms.mase_quantize import MaseQuantizePass
from mase_opt.registry import load_plugin

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "examples" / "digits"


@pytest.fixture(scope="module", autouse=True)
def plugin() -> Iterator[Any]:
    load_plugin(str(ROOT / "examples" / "plugins" / "posit.py"))
    yield sys.modules.pop("mase_opt_plugin_posit")
    del FAMILIES["posit"]
    EXAMPLES.remove("posit<8, 1>")


def posit(code: int, bits: int, es: int) -> Fraction:
    """
    By the formula of the standard, from the bits of a two's complement code.

    ((1 - 3s) + f) · 2^((1 - 2s)(2^es · r + e + s)), without taking magnitudes.
    """
    if code == 0:
        return Fraction(0)
    text = f"{code % 2**bits:0{bits}b}"
    s, body = int(text[0]), text[1:]
    run = len(body) - len(body.lstrip(body[0]))
    r = -run if body[0] == "0" else run - 1
    rest = body[run + 1 :] + "0" * (es + bits)
    e, fraction = int("0" + rest[:es], 2), rest[es:]
    f = Fraction(int(fraction, 2), 2 ** len(fraction))
    return (1 - 3 * s + f) * Fraction(2) ** ((1 - 2 * s) * (2**es * r + e + s))


@pytest.mark.parametrize("es", [0, 1, 2, 3])
def test_every_code_and_everything_in_between(es: int):
    f = parse_spec(f"posit<8, {es}>")
    assert isinstance(f, Element)
    codes = np.arange(-127, 128)
    values = [posit(code, 8, es) for code in codes.tolist()]
    assert f.decode(codes).tolist() == [float(v) for v in values]
    assert f.encode(f.decode(codes), overflow=Overflow.ERROR).tolist() == codes.tolist()
    assert (f.min_value, f.max_value) == (values[0], values[-1])
    for code, low, high in zip(codes.tolist(), values, values[1:], strict=False):
        middle = float(posit(2 * code + 1, 9, es))
        assert low < middle < high
        even = float(low if code % 2 == 0 else high)
        if 0 in (low, high):
            # Only zero is zero.
            middle, even = 0.0, 0.0
        probes = np.array(
            [np.nextafter(middle, -np.inf), middle, np.nextafter(middle, np.inf)]
        )
        wanted = [float(low), even, float(high)]
        if 0 in (low, high):
            wanted = [-f.step, 0.0, f.step]
        assert f.cast(probes).tolist() == wanted


def test_what_has_no_posit():
    f = parse_spec("posit<8, 1>")
    assert isinstance(f, Element)
    x = np.array([1e9, -1e9, 1e-30, np.nan, np.inf, -np.inf])
    assert f.encode(x).tolist() == [127, -127, 1, -128, -128, -128]
    assert np.isnan(f.decode(np.array([-128]))).all()
    with pytest.raises(FormatError, match="posit<8, 1> does not wrap"):
        f.encode(x[:1], overflow=Overflow.WRAP)
    for mode in (RoundingMode.FLOOR, Stochastic()):
        with pytest.raises(
            FormatError, match="posit<8, 1> rounds to nearest_even only"
        ):
            f.encode(x, mode)
    with pytest.raises(FormatError, match="posits have 8 bits here, not 9"):
        parse_spec("posit<9, 1>")
    with pytest.raises(FormatError, match="expected posit<8, es> in 'posit<8>'"):
        parse_spec("posit<8>")
    with pytest.raises(ValueError, match="there is a format named 'posit' already"):
        add_family("posit", lambda term: f, "posit")


def test_combined_and_in_torch():
    f = parse_spec("scaled<posit<8, 1>, 0.5>")
    assert isinstance(f, Scaled)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1000, generator=generator) * 10
    x[:4] = torch.tensor([0.0, -0.0, 1e-30, 1e30])
    x.requires_grad_()
    for g in (f, f.element):
        wanted = g.cast(x.detach().double().numpy())
        assert cast(x, g).tolist() == wanted.tolist()
    cast(x, f).sum().backward()
    assert x.grad is not None
    assert (x.grad == (x.abs() <= f.max_value)).all()


@pytest.mark.parametrize("spec", ["posit<8, 1>", "scaled<posit<8, 0>, auto>"])
def test_digits(plugin: Any, spec: str):
    """Quantized, printed, read, evaluated, and the same in torch."""
    module = load_model(str(DIGITS / "mlp.mlir"))
    ConvertTorchToMasePass().apply(Context(), module)
    data = str(DIGITS / "mlp_calibration.npz")
    MaseQuantizePass(format=spec, data=data).apply(Context(), module)
    with np.load(DIGITS / "mlp_test.npz") as file:
        x, labels = file["x"], file["labels"]
    block = main_function(module).body.block
    source, target = (element_of(v) for v in (block.args[0], block.last_op.operands[0]))
    assert "unum.posit<8, " in str(source)
    (scores,) = evaluate(module, [source.held(x[:, None])])
    assert (target.numbers(scores)[:, 0].argmax(1) == labels).mean() > 0.94
    with torch.no_grad():
        assert to_torch(module)(torch.from_numpy(x)).tolist() == scores[:, 0].tolist()
