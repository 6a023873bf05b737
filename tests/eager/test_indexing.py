"""Indexing and slice assignment; every form against PyTorch in test_eager_peers."""

from typing import Any

import numpy as np
import pytest

from optc.eager import dispatch
from optc.eager import functions as f


def numbers(*shape: int) -> Any:
    return f.arange(int(np.prod(shape))).view(*shape)


@pytest.mark.parametrize(
    "index",
    [
        0, -1, (0, 1), slice(1, None), (slice(None), slice(0, 4, 2)), (Ellipsis, 0), (0, Ellipsis), None, (slice(None), None),
        (0, None, slice(1, 3)), Ellipsis, (),
    ],
    ids=str,
)  # fmt: skip
def test_basic_indices_give_views_with_numpys_elements(index: Any) -> None:
    x = numbers(2, 3, 4)
    part = x[index]
    assert np.array_equal(part.numpy(), x.numpy()[index])
    assert np.shares_memory(part.numpy(), x.numpy())


@pytest.mark.parametrize(
    "index, same",
    [
        (f.tensor([1, 0]), [1, 0]),
        ([1, 0], [1, 0]),
        ((slice(None), [0, 2]), (slice(None), [0, 2])),
        (([0, 1], [2, 0]), ([0, 1], [2, 0])),
        (([0, 1], slice(None), [2, 0]), ([0, 1], slice(None), [2, 0])),
        (np.array([True, False]), np.array([True, False])),
        ((0, [0, 2]), (0, [0, 2])),
        (f.tensor([[0, 1], [1, 0]]), np.array([[0, 1], [1, 0]])),
    ],
    ids=range(8),
)
def test_tensor_indices_give_copies(index: Any, same: Any) -> None:
    x = numbers(2, 3, 4)
    assert np.array_equal(x[index].numpy(), x.numpy()[same])
    assert not np.shares_memory(x[index].numpy(), x.numpy())


def test_masks_select_elements() -> None:
    x = numbers(2, 3)
    assert x[x > 3].tolist() == [4, 5]
    x[x > 3] = -1
    assert x.tolist() == [[0, 1, 2], [3, -1, -1]]


@pytest.mark.parametrize(
    "index, value, expected",
    [
        (0, 7, [[7, 7, 7], [3, 4, 5]]),
        ((slice(None), 1), f.tensor([8, 9]), [[0, 8, 2], [3, 9, 5]]),
        (slice(None), f.tensor([[1, 2, 3]]), [[1, 2, 3], [1, 2, 3]]),
        (([0, 1], [2, 0]), f.tensor([8, 9]), [[0, 1, 8], [9, 4, 5]]),
        ((0, slice(0, 2)), 1.9, [[1, 1, 2], [3, 4, 5]]),
        (True, 4, [[4, 4, 4], [4, 4, 4]]),
        (False, 4, [[0, 1, 2], [3, 4, 5]]),
        ((Ellipsis, -1), True, [[0, 1, 1], [3, 4, 1]]),
    ],
    ids=str,
)
def test_assignment(index: Any, value: Any, expected: list[list[int]]) -> None:
    x = numbers(2, 3)
    x[index] = value
    assert x.tolist() == expected


@pytest.mark.parametrize(
    "index, error, text",
    [
        (5, IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
        ((0, -4), IndexError, "index -4 is out of bounds for dimension 1 with size 3"),
        ((0, 0, 0), IndexError, "too many indices for tensor of dimension 2"),
        (slice(None, None, -1), ValueError, "step must be greater than zero"),
        (slice(None, None, 0), ValueError, "slice step cannot be zero"),
        (1.5, IndexError, "only integers, slices"),
        ("a", TypeError, "invalid data type 'str'"),
        (f.tensor([0.5]), IndexError, "tensors used as indices must be long, int, byte or bool tensors"),
        (slice("a", None), TypeError, "slice indices must be integers"),
    ],
    ids=str,
)
def test_refused_indices(index: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        numbers(2, 3)[index]


def test_values_that_do_not_fit_are_refused() -> None:
    x = f.zeros(2, 3)
    with pytest.raises(RuntimeError, match="expanded size of the tensor"):
        x[0] = f.ones(2)
    with pytest.raises(TypeError, match="can't assign a list to a torch.FloatTensor"):
        x[0] = [1, 2, 3]
    with pytest.raises(TypeError, match="does not support deleting"):
        del x[0]


def test_a_scalar_tensor_cannot_be_indexed() -> None:
    with pytest.raises(IndexError, match="invalid index of a 0-dim tensor"):
        f.tensor(1)[0]


class Names:
    """A recorder that keeps the names of what ran."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def record(self, operator: Any, arguments: Any, result: Any) -> None:
        self.names.append(operator.name)

    def converted(self, tensor: Any, target: str) -> None:
        self.names.append(target)

    def size(self, tensor: Any, dim: int) -> Any:
        return tensor._array.shape[dim]

    def numel(self, tensor: Any) -> Any:
        return tensor._array.size


def test_indexing_runs_the_operators_that_pytorch_records() -> None:
    x, names = f.zeros(2, 3), Names()
    dispatch.set_recorder(names)
    try:
        x[0, 1:]
        x[:, None]
        x[1] = 4
        x[[0, 1]] = f.zeros(3)
    finally:
        dispatch.set_recorder(None)
    assert [name for name in names.names if name != "aten::zeros"] == [
        "aten::select.int", "aten::slice.Tensor",
        "aten::slice.Tensor", "aten::unsqueeze",
        "aten::select.int", "aten::fill_.Tensor",
        "aten::to.device", "aten::index_put_",
    ]  # fmt: skip
