"""Quantization to every family of formats: next to nothing is lost in wide ones."""

import numpy as np
import pytest
from quantize_models import LAYERS, model, quantize, run

from mase_opt.lib.analysis.model import model_function
from mase_opt.lib.analysis.samples import random_samples

WIDE = {
    "fixed": {"format": "fixed<32, auto>"},
    "minifloat": {"format": "minifloat<8, 23, ieee>"},
    "block": {"format": "block<fixed<28, 26>, e8m0, [4]>"},
    "block_minifloat": {"format": "block<minifloat<8, 23, finite>, exp<8, 127>, [3]>"},
    "block_fp": {"format": "block<minifloat<0, 23, no_implicit>, exp<8, 127>, [2]>"},
    "scaled": {"format": "scaled<fixed<28, 0>, auto>"},
    "affine": {"format": "scaled<ufixed<28, 0>, auto, zero_point = auto>"},
    "power_of_two": {"format": "scaled<fixed<28, 0>, power_of_two>"},
    "per_channel": {"format": "scaled<fixed<28, 0>, auto, axis = 0>"},
    "per_group": {"format": "scaled<fixed<28, 0>, auto, axis = -1, group = 3>"},
}


@pytest.mark.parametrize("family", WIDE)
@pytest.mark.parametrize("layer", LAYERS)
def test_wide_formats_change_next_to_nothing(layer, family):
    """Catches lost biases, affine parameters and running statistics."""
    module = model(*LAYERS[layer])
    inputs = random_samples(model_function(module), 100, seed=0)
    expected = run(module, inputs)
    # minmax: the samples are those of calibration, so that nothing is cut off.
    quantize(module, method="minmax", samples=100, **WIDE[family])
    assert "f32>" not in str(module)
    actual = run(module, inputs)
    error = np.abs(actual - expected).max() / np.abs(expected).max()
    assert error < 1e-5
