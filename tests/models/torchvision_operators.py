"""Declares the operators whose schemas torchvision expects of its C++ part, where that part does not fit PyTorch.

Import this before torchvision, or what imports it. Installations whose C++ part loads are left alone.
"""

from __future__ import annotations

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "box_iou_rotated(Tensor boxes1, Tensor boxes2) -> Tensor",
)

library = torch.library.Library("torchvision", "FRAGMENT")
"""Keeps the declarations alive."""

try:
    import torchvision  # noqa: F401
except RuntimeError:
    for schema in SCHEMAS:
        library.define(schema)
except ImportError:
    pass
