"""Tensor as a Python object: memory shared with views and numpy, conversions, attributes, gradients that are only
carried."""

import copy
import operator
import pickle
from typing import Any

import numpy as np
import pytest

from optc.eager import functions as f
from optc.eager.gradient import no_grad
from optc.eager.tensor import Tensor
from optc.errors import UnsupportedError
from optc.ir import dtypes


def numbers(*shape: int) -> Any:
    return f.arange(int(np.prod(shape))).view(*shape)


class TestMemory:
    def test_views_write_through(self) -> None:
        x = f.zeros(2, 3)
        x[0][1] = 5
        x.t()[2] += 1
        x.view(-1)[3:5].fill_(7)
        assert x.tolist() == [[0, 5, 1], [7, 7, 1]]

    def test_from_numpy_and_numpy_share_memory(self) -> None:
        array = np.zeros(3, np.float32)
        x = f.from_numpy(array)
        x += 1
        array[0] = 9
        assert x.tolist() == [9, 1, 1]
        assert x.numpy() is array

    def test_tensor_copies_and_as_tensor_shares(self) -> None:
        array = np.zeros(2)
        copied, shared = f.tensor(array), f.as_tensor(array)
        array += 1
        assert copied.tolist() == [0, 0]
        assert shared.tolist() == [1, 1]

    def test_numpy_reads_a_tensor_without_a_copy(self) -> None:
        x = f.ones(2, 3)
        assert np.shares_memory(np.asarray(x), x.numpy())
        assert np.asarray(x, np.float64).dtype == np.float64
        assert not np.shares_memory(np.array(x), x.numpy())

    def test_dlpack_shares_memory_both_ways(self) -> None:
        x = f.zeros(3)
        np.from_dlpack(x)[0] = 4
        y = f.from_dlpack(x)
        y[1] = 5
        assert x.tolist() == [4, 5, 0]

    def test_an_operator_of_numpy_gives_a_tensor(self) -> None:
        assert isinstance(f.ones(2) + np.ones(2), Tensor)
        assert isinstance(np.float32(2) * f.ones(2), Tensor)
        assert (np.array([1, 2]) / f.tensor([2, 8])).tolist() == [0.5, 0.25]

    def test_a_tensor_is_compared_with_an_array_element_by_element(self) -> None:
        assert (f.ones(3) == np.array([1, 0, 1])).tolist() == [True, False, True]
        assert (np.array([1, 0, 1]) == f.ones(3)).tolist() == [True, False, True]
        assert (f.ones(1) == np.array(["1"])) is False

    def test_storage_is_shared_by_views_and_offsets_count_from_its_start(self) -> None:
        x = numbers(4, 5)
        part = x[1:, 2]
        assert part.storage_offset() == 7
        assert part.stride() == (5,)
        assert part.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
        assert part.data_ptr() == x.data_ptr() + 7 * 8
        assert x.untyped_storage().nbytes() == 160

    def test_a_part_of_an_array_is_a_storage_of_its_own(self) -> None:
        assert f.from_numpy(np.ones(5)[2:]).storage_offset() == 0

    @pytest.mark.parametrize(
        "array, error",
        [
            (np.ones(3)[::-1], ValueError),
            (np.ones(3, ">f4"), ValueError),
            (np.array(["a"]), TypeError),
            ([1.0], TypeError),
        ],
        ids=["negative stride", "byte order", "strings", "list"],
    )
    def test_arrays_that_no_tensor_can_share_are_refused(self, array: Any, error: type[Exception]) -> None:
        with pytest.raises(error):
            f.from_numpy(array)

    def test_a_read_only_array_is_warned_about(self) -> None:
        array = np.ones(2)
        array.flags.writeable = False
        with pytest.warns(UserWarning, match="not writable"):
            f.from_numpy(array)


class TestInPlace:
    def test_in_place_returns_the_tensor_itself(self) -> None:
        x = f.ones(2)
        assert x.add_(1) is x
        y = x
        y *= 3
        assert y is x
        assert x.tolist() == [6, 6]

    def test_growing_is_refused_and_leaves_the_tensor(self) -> None:
        x = f.zeros(2, 3)
        with pytest.raises(RuntimeError, match=r"output with shape \[2, 3\] doesn't match the broadcast shape"):
            x.add_(f.ones(4, 2, 3))
        assert x.tolist() == [[0, 0, 0]] * 2

    def test_a_result_of_a_higher_kind_is_refused(self) -> None:
        with pytest.raises(RuntimeError, match="result type Float can't be cast to the desired output type Long"):
            f.arange(2).add_(1.5)

    def test_an_operand_that_is_a_view_of_the_target(self) -> None:
        x = numbers(3)
        x.add_(x.clone())
        x += x
        assert x.tolist() == [0, 4, 8]

    @pytest.mark.parametrize(
        "written, expected",
        [
            (operator.iand, [0, 1, 2]),
            (operator.ior, [3, 3, 3]),
            (operator.ixor, [3, 2, 1]),
            (operator.ilshift, [0, 8, 16]),
        ],
    )
    def test_operators_on_bits_write_their_left_operand(self, written: Any, expected: list[int]) -> None:
        x = f.arange(3)
        assert written(x, f.full((3,), 3)) is x
        assert x.tolist() == expected

    def test_out_receives_the_result(self) -> None:
        out = f.empty(0)
        assert f.add(f.ones(2), 1, out=out) is out
        assert out.tolist() == [2, 2]

    @pytest.mark.parametrize("name, expected", [("cumsum", [2, 5, 9]), ("cumprod", [2, 6, 24])])
    def test_running_sums_and_products_are_written_into_a_part(self, name: str, expected: list[int]) -> None:
        out = f.zeros(4)
        getattr(f, name)(f.arange(2, 5), 0, out=out[1:])
        assert out.tolist() == [0, *expected]


class TestConversions:
    def test_single_elements_become_numbers(self) -> None:
        assert f.tensor([[1.5]]).item() == 1.5
        assert int(f.tensor(2.7)) == 2
        assert float(f.tensor(3)) == 3.0
        assert complex(f.tensor(2)) == 2
        assert [10, 20][f.tensor(1)] == 20
        assert bool(f.tensor(float("nan")))

    @pytest.mark.parametrize(
        "convert, error, text",
        [
            (lambda: bool(f.ones(2)), RuntimeError, "more than one value is ambiguous"),
            (lambda: bool(f.ones(0)), RuntimeError, "no values is ambiguous"),
            (lambda: f.ones(2).item(), RuntimeError, "a Tensor with 2 elements cannot be converted to Scalar"),
            (lambda: int(f.ones(2)), ValueError, "only one element tensors"),
            (lambda: [1][f.tensor(0.0)], TypeError, "only integer tensors of a single element"),
            (lambda: len(f.tensor(1)), TypeError, "len\\(\\) of a 0-d tensor"),
            (lambda: list(f.tensor(1)), TypeError, "iteration over a 0-d tensor"),
            (lambda: "a" in f.ones(1), RuntimeError, "only supports Tensor or scalar"),
            (lambda: f.ones(2) + "a", TypeError, "unsupported operand"),
            (lambda: f.ones(2) < "a", TypeError, "not supported between"),
        ],
    )
    def test_what_has_no_single_value_is_refused(self, convert: Any, error: type[Exception], text: str) -> None:
        with pytest.raises(error, match=text):
            convert()

    def test_comparison_with_what_is_no_operand_is_identity(self) -> None:
        x = f.ones(2)
        assert (x == None) is False
        assert (x != "a") is True

    def test_containers(self) -> None:
        x = numbers(2, 2)
        assert len(x) == 2
        assert [row.tolist() for row in x] == [[0, 1], [2, 3]]
        assert 3 in x
        assert 4 not in x
        assert f"{f.tensor(1.25):.1f}" == "1.2"

    def test_tensors_are_hashed_by_identity(self) -> None:
        x = f.ones(2)
        assert {x: 1}[x] == 1

    def test_to_returns_the_tensor_itself_where_nothing_changes(self) -> None:
        x = f.ones(2)
        assert x.to(dtypes.FLOAT32) is x
        assert x.float() is x
        assert x.contiguous() is x
        assert x.to("cpu") is x
        assert x.to(dtypes.FLOAT32, copy=True) is not x
        assert x.double().dtype is dtypes.FLOAT64
        assert x.to(f.arange(1)).dtype is dtypes.INT64

    def test_another_device_is_refused(self) -> None:
        with pytest.raises(RuntimeError, match="'cuda:0' is not available"):
            f.ones(2).to("cuda:0")


class TestAttributes:
    def test_shape_is_a_size(self) -> None:
        x = f.ones(2, 3)
        assert repr(x.shape) == "torch.Size([2, 3])"
        assert repr(x.shape[1:] + (4,)) == "torch.Size([3, 4])"
        assert x.shape.numel() == 6
        assert x.size(-1) == 3
        with pytest.raises(IndexError, match="Dimension out of range"):
            x.size(2)

    def test_names_of_types(self) -> None:
        x = f.ones(2)
        assert repr(x.dtype) == "torch.float32"
        assert repr(x.device) == "device(type='cpu')"
        assert repr(x.layout) == "torch.strided"
        assert x.type() == "torch.FloatTensor"

    def test_contiguity_and_memory_order_of_results(self) -> None:
        x = f.ones(2, 3).t()
        assert not x.is_contiguous()
        assert (x + 1).stride() == (1, 3)
        assert x.contiguous().stride() == (2, 1)

    def test_a_missing_method_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match="no attribute 'no_such_method'"):
            f.ones(2).no_such_method()

    def test_a_result_is_a_plain_tensor_and_a_subclass_prints_its_name(self) -> None:
        class Marked(Tensor):
            pass

        marked = Marked._make_subclass(f.ones(2))
        assert repr(marked) == "Marked([1., 1.])"
        assert type(marked + 1) is Tensor
        assert marked.add_(1) is marked


class TestGradients:
    def test_requires_grad_is_carried_to_results(self) -> None:
        x = f.ones(2, requires_grad=True)
        assert repr(x) == "tensor([1., 1.], requires_grad=True)"
        y = x * 2
        assert y.requires_grad
        assert not y.is_leaf
        assert repr(y) == "tensor([2., 2.])"
        assert not (x > 0).requires_grad
        assert not x.detach().requires_grad

    def test_no_grad_stops_it(self) -> None:
        x = f.ones(2, requires_grad=True)
        with no_grad():
            x += 1
            assert not (x * 2).requires_grad

    def test_what_needs_autograd_says_so(self) -> None:
        x = f.ones(2, requires_grad=True)
        with pytest.raises(UnsupportedError, match="no autograd"):
            x.sum().backward()
        assert x.grad is None
        x.grad = None

    def test_leaves_are_protected(self) -> None:
        x = f.ones(2, requires_grad=True)
        with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
            x.add_(1)
        with pytest.raises(RuntimeError, match="Can't call numpy"):
            x.numpy()
        with pytest.raises(RuntimeError, match="only Tensors of floating point"):
            f.arange(2).requires_grad_()


class TestCopies:
    @pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
    def test_copies_are_independent(self, duplicate: Any) -> None:
        x = f.ones(2, requires_grad=True)
        y = duplicate(x)
        with no_grad():
            y += 1
        assert x.tolist() == [1, 1]
        assert y.requires_grad

    def test_deepcopy_keeps_sharing_inside_one_structure(self) -> None:
        x = f.ones(2)
        first, second = copy.deepcopy([x, x])
        assert first is second

    def test_data_can_be_replaced(self) -> None:
        x = f.ones(2)
        x.data = f.zeros(3)
        assert x.shape == (3,)


def test_a_tensor_that_is_one_place_in_memory_many_times_is_not_written() -> None:
    x = f.ones(1).expand(3)
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor refers to a single memory"):
        x.add_(1)
    x.fill_(4)
    assert x.tolist() == [4, 4, 4]


def test_python_types_stand_for_dtypes() -> None:
    assert f.zeros(2, dtype=float).dtype is dtypes.FLOAT64
    assert f.tensor([1.5], dtype=int).dtype is dtypes.INT64
    assert f.zeros(2).to(bool).dtype is dtypes.BOOL
