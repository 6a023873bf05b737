"""Models of torchvision, small images for them, and statistics for their normalisations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

import tests.models.torchvision_operators  # noqa: F401

# isort: split
import torchvision

from tests.models.exporting import Inputs, randomise


@dataclass(frozen=True)
class Model:
    """How a model is made, and the shapes of its arguments: what a second call gets has another batch."""

    make: Callable[[], Any]
    shapes: tuple[tuple[int, ...], ...]


def classifier(name: str, size: int = 64, **options: Any) -> Model:
    return Model(lambda: getattr(torchvision.models, name)(weights=None, **options), ((2, 3, size, size),))


def segmentation(name: str) -> Model:
    family = torchvision.models.segmentation
    options = {"weights": None, "weights_backbone": None, "num_classes": 4}
    return Model(lambda: getattr(family, name)(**options), ((2, 3, 64, 64),))


def video(name: str, frames: int = 8, size: int = 32) -> Model:
    return Model(lambda: getattr(torchvision.models.video, name)(weights=None), ((1, 3, frames, size, size),))


class Detector(torch.nn.Module):
    """A detector for one image, the first of a batch. What it gives in scripts is more than elsewhere."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> Any:
        if torch.jit.is_scripting():
            found = self.model([images[0]])[1][0]
        else:
            found = self.model(list(images))[0]  # all of them, for the statistics of their batch
        return found["boxes"], found["scores"], found["labels"]


def detector(name: str) -> Model:
    options = {"weights": None, "weights_backbone": None, "num_classes": 4}
    return Model(lambda: Detector(getattr(torchvision.models.detection, name)(**options)), ((1, 3, 80, 96),))


def small_maxvit() -> Any:
    return torchvision.models.MaxVit(
        input_size=(64, 64), stem_channels=16, partition_size=2, block_channels=[16, 32], block_layers=[1, 2], head_dim=8,
        stochastic_depth_prob=0.2, num_classes=10,
    )  # fmt: skip


def small_mvit() -> Any:
    """Two blocks of the first multiscale vision transformer, the second of which halves the resolution."""
    block = torchvision.models.video.mvit.MSBlockConfig
    settings = [
        block(1, 16, 32, [], [3, 3, 3], [], [1, 4, 4]),
        block(2, 32, 64, [3, 3, 3], [3, 3, 3], [1, 2, 2], [1, 2, 2]),
    ]
    return torchvision.models.video.MViT(
        spatial_size=(32, 32), temporal_size=4, block_setting=settings, residual_pool=False, residual_with_cls_embed=True,
        rel_pos_embed=False, proj_after_attn=False, num_classes=10,
    )  # fmt: skip


def small_efficientnet_v2() -> Any:
    """Both kinds of blocks of the second EfficientNet, the first of which convolves once."""
    family = torchvision.models.efficientnet
    settings = [
        family.FusedMBConvConfig(1, 3, 1, 24, 24, 1), family.FusedMBConvConfig(4, 3, 2, 24, 48, 2),
        family.MBConvConfig(4, 3, 2, 48, 64, 2), family.MBConvConfig(6, 3, 1, 64, 80, 1),
    ]  # fmt: skip
    return family.EfficientNet(settings, 0.2, last_channel=128, num_classes=10)


def small_video_swin() -> Any:
    return torchvision.models.video.swin_transformer.SwinTransformer3d(
        patch_size=[2, 4, 4], embed_dim=24, depths=[2, 2], num_heads=[2, 4], window_size=[8, 7, 7], num_classes=10
    )


MODELS: dict[str, Model] = {
    "AlexNet": classifier("alexnet", 80),
    "VGG": classifier("vgg11_bn", 32),
    "ResNet-18": classifier("resnet18"),
    "ResNet-50": classifier("resnet50"),
    "ResNeXt-50": classifier("resnext50_32x4d"),
    "SqueezeNet": classifier("squeezenet1_1"),
    "DenseNet-121": classifier("densenet121"),
    "GoogLeNet": classifier("googlenet", init_weights=False),
    "Inception": classifier("inception_v3", 96, init_weights=False),
    "MobileNetV2": classifier("mobilenet_v2"),
    "MobileNetV3": classifier("mobilenet_v3_small"),
    "MNASNet": classifier("mnasnet0_5"),
    "ShuffleNetV2": classifier("shufflenet_v2_x0_5"),
    "EfficientNet": classifier("efficientnet_b0"),
    "EfficientNetV2": Model(small_efficientnet_v2, ((2, 3, 64, 64),)),
    "RegNet": classifier("regnet_y_400mf"),
    "ConvNeXt": classifier("convnext_tiny"),
    "ViT": classifier("vit_b_16", image_size=64),
    "Swin": classifier("swin_t"),
    "Swin V2": classifier("swin_v2_t"),
    "MaxViT": Model(small_maxvit, ((2, 3, 64, 64),)),
    "FCN": segmentation("fcn_resnet50"),
    "DeepLabV3": segmentation("deeplabv3_mobilenet_v3_large"),
    "LR-ASPP": segmentation("lraspp_mobilenet_v3_large"),
    "SSDLite": detector("ssdlite320_mobilenet_v3_large"),
    "R3D": video("r3d_18"),
    "MC3": video("mc3_18"),
    "R(2+1)D": video("r2plus1d_18"),
    "Video Swin": Model(small_video_swin, ((1, 3, 8, 32, 32),)),
    "MViT": Model(small_mvit, ((1, 3, 4, 32, 32),)),
    "RAFT": Model(
        lambda: torchvision.models.optical_flow.raft_small(weights=None), ((1, 3, 128, 128), (1, 3, 128, 128))
    ),
}


def build(model: Model) -> tuple[Any, list[Inputs]]:
    """The module, ready for inference, and two sets of arguments, the second with another batch."""
    torch.manual_seed(0)
    module = model.make()
    randomise(module)
    inputs = [
        tuple(torch.randn(shape[0] + more, *shape[1:]) for shape in model.shapes)
        for more in (0, 1)
    ]  # fmt: skip
    collect_statistics(module, tuple(torch.randn(4, *shape[1:]) for shape in model.shapes))
    return module.eval(), inputs


def collect_statistics(module: Any, inputs: Inputs) -> None:
    """Let batch normalisations take their means and variances from a batch, everything else as in inference."""
    module.eval()
    for part in module.modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            part.train()
            part.momentum = None
            part.reset_running_stats()
    with torch.no_grad():
        module(*inputs)
