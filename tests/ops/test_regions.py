"""What torchvision's operators do with boxes that PyTorch does not ask about: it reads memory that is not its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optc
from optc.errors import ExecutionError
from optc.ops.registry import lookup
from optc.runtime.compiled import make_compiled
from tests.codegen.test_operators import calling

IMAGES = np.arange(48, dtype=np.float32).reshape(1, 2, 4, 6)
CALLS = {"roi_align": (2, 2, -1, False), "ps_roi_align": (1, 2, 0), "roi_pool": (2, 2), "ps_roi_pool": (2, 1)}


def run(name: str, boxes: Any, images: Any = IMAGES) -> list[Any]:
    """What the interpreter and compiled code give."""
    operator = lookup(f"torchvision::{name}")
    assert operator is not None
    arguments = (images, np.array(boxes, np.float32), 1.0, *CALLS[name])
    function, arrays = calling(operator, [arguments])
    compiled = make_compiled(function, None, dynamic=None, fallback="error")
    results = compiled(*(optc.from_numpy(array) for array in arrays))
    reference = operator.reference(*arguments)
    return [reference if isinstance(reference, np.ndarray) else reference[0], results[0].numpy()]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("image", [1, -1, np.nan])
def test_a_box_in_no_image_is_refused(name: str, image: float) -> None:
    with pytest.raises((IndexError, ExecutionError), match="a box lies in image"):
        run(name, [[image, 0, 0, 3, 3]])


@pytest.mark.parametrize("name", ["roi_align", "ps_roi_align"])
@pytest.mark.parametrize("corner", [np.nan, np.inf])
def test_what_is_no_box_holds_nothing(name: str, corner: float) -> None:
    interpreted, compiled = run(name, [[0, 0, 0, corner, 3], [0, 0, 0, 4, 4]])
    assert np.all(np.nan_to_num(interpreted[0]) == 0)
    assert np.array_equal(compiled, interpreted, equal_nan=True)


def test_a_place_outside_of_small_boxes_is_not_read() -> None:
    """Tables are as wide as the largest box needs; what fills them up must not let infinities in."""
    images = IMAGES.copy()
    images[0, :, 0, 0] = np.inf
    _, compiled = run("roi_align", [[0, 3, 2, 4, 3], [0, 0, 0, 6, 4]], images)
    assert np.isfinite(compiled[0]).all() and np.isinf(compiled[1]).any()
