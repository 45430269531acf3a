"""The way back from torch: trained parameters and scales into the IR."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.rewriter import Rewriter

from mase_opt.dialects.mase.attrs import DenseAttr
from mase_opt.dialects.mase.cast_elements import CastElementsOp
from mase_opt.dialects.mase.formats import ScaledType
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import fixed_type, shape_of
from mase_opt.frontend.to_torch import MaseModule
from mase_opt.frontend.to_torch.learned_elements import master
from mase_opt.lib.formats import Fixed
from mase_opt.lib.model_function import layer_of


def from_torch(module: MaseModule) -> ModuleOp:
    """
    The IR that `module` evaluates, with its parameters as they are now.

    Float constants get the trained numbers, scaled types the learned scales, and casts
    of elements the learned formats, which hold what the module has seen. Casts
    of constants become codes by canonicalization (`--canonicalize`), or when
    `mase-quantize` runs again: the codes that the trained module computes with.
    """
    mapper: dict[SSAValue, SSAValue] = {}
    result = module.ir.clone(mapper)
    for name, parameter in module.named_parameters():
        if name not in module.constants:
            continue  # a scale, or fractions
        constant = mapper[module.constants[name].result].owner
        assert isinstance(constant, ConstantOp)
        old = constant.value
        values = parameter.detach().cpu().numpy().astype(old.data.dtype)
        constant.value = DenseAttr.from_array(values, old.label)
    for value, learned in module.scaled.items():
        element = ScaledType(learned.format())
        new = mapper[value]
        Rewriter.replace_value_with_new_type(new, TensorType(element, shape_of(new)))
    for value, elements in module.elements.items():
        _with_formats(mapper[value], elements.formats(master(module, value)))
    for op in result.ops:
        if isinstance(op, FuncOp):
            op.update_function_type()
    return result


def _with_formats(
    value: SSAValue, formats: tuple[NDArray[Any], NDArray[Any], Fixed]
) -> None:
    op = value.owner
    assert isinstance(op, CastElementsOp)
    widths, fracs, container = formats
    new = CastElementsOp(
        op.input,
        widths,
        fracs,
        element=fixed_type(container),
        layer=layer_of(op),
        rounding=op.rounding,
    )
    Rewriter.replace_op(op, new)
