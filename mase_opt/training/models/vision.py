"""Published networks for images: of timm, of transformers, and CSWin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mase_opt.lib.errors import UserError
from mase_opt.training.hub import from_hub
from mase_opt.training.models.small import classes_of, image_of
from mase_opt.training.registry import DatasetInfo, model

if TYPE_CHECKING:
    from torch import nn

TIMM: Sequence[tuple[str, str, str]] = (
    ("resnet18", "resnet18", "ResNet of 18 layers"),
    ("resnet18-imagenet", "resnet18", "The same, under its other name"),
    ("resnet50", "resnet50", "ResNet of 50 layers"),
    ("mobilenetv2", "mobilenetv2_100", "MobileNetV2"),
    ("mobilenetv3_small", "mobilenetv3_small_100", "Small MobileNetV3"),
    ("efficientnet_b0", "efficientnet_b0", "EfficientNet-B0"),
    ("efficientnet_v2_s", "tf_efficientnetv2_s", "Small EfficientNetV2"),
    ("pvt_v2_b0", "pvt_v2_b0", "Pyramid vision transformer 2"),
    ("deit_tiny_224", "deit_tiny_patch16_224", "DeiT-tiny"),
    ("swin_tiny", "swin_tiny_patch4_window7_224", "Swin-tiny"),
)
"""Names, what timm calls them, summaries."""
SIZED = ("deit", "swin")
"""Those that must be told the size of their images."""


def _of_timm(name: str, known_as: str, summary: str) -> None:
    def build(info: DatasetInfo, pretrained: bool = False, **options: Any) -> nn.Module:
        import timm

        image = image_of(info, 32)
        if known_as.startswith(SIZED):
            options.setdefault("img_size", image[1:])
        create: Any = timm.create_model
        given = {"num_classes": classes_of(info), "in_chans": image[0], **options}
        try:
            if not pretrained:
                return create(known_as, **given)
            with from_hub(f"pretrained weights of '{name}' (timm/{known_as})"):
                return create(known_as, pretrained=True, **given)
        except (AssertionError, TypeError) as error:
            raise UserError(f"model '{name}', arguments of timm: {error}") from error

    build.__doc__ = f"{summary} (timm)."
    model(name, needs=("timm", "torchvision"))(build)


for _row in TIMM:
    _of_timm(*_row)


@model("pvt", needs=("transformers",))
def pvt(info: DatasetInfo, pretrained: bool = False, **options: Any) -> nn.Module:
    """Pyramid vision transformer, tiny (transformers)."""
    from mase_opt.training.models.text import transformer

    image = image_of(info, 32)
    sizes = {"image_size": image[1], "num_channels": image[0]}
    sizes["num_labels"] = classes_of(info)
    return transformer(
        "Zetatech/pvt-tiny-224",
        "AutoModelForImageClassification",
        pretrained,
        {"model_type": "pvt", "depths": [2, 2, 2, 2], **sizes},
        options,
    )


@model("cswin_64_tiny")
def cswin_64_tiny(
    info: DatasetInfo,
    dim: int = 64,
    depths: Sequence[int] = (1, 2, 21, 1),
    heads: Sequence[int] = (2, 4, 8, 16),
    stripes: Sequence[int] = (1, 2, 7, 7),
) -> nn.Module:
    """CSWin transformer, tiny, of 64 channels."""
    from mase_opt.training.models.cswin import CSWin

    channels, height, width = image_of(info, 32)
    if height != width or height % 32:
        raise UserError(
            f"cswin_64_tiny takes squares whose side 32 divides, not {height}x{width}"
        )
    return CSWin(
        height,
        dim,
        tuple(depths),
        tuple(heads),
        tuple(stripes),
        classes_of(info),
        channels=channels,
    )
