"""torchvision's wheel beside a torch without CUDA."""

from __future__ import annotations

import functools
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.library import Library


@functools.cache
def declare_torchvision_ops() -> Library | None:
    """
    Let torchvision load, and lightning, timm and transformers, which import it.

    The wheel on PyPI is built for CUDA; without it, its compiled ops do not register,
    and importing it fails for want of two schemas. To be called before any of them is
    imported; what is returned must live on.
    """
    if find_spec("torchvision") is None:
        return None
    import torch

    if torch.version.cuda is not None or "+cpu" in version("torchvision"):
        return None
    library = torch.library.Library("torchvision", "DEF")
    define = cast("Callable[[str], object]", cast(Any, library).define)
    for name in ("nms", "qnms"):
        define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library
