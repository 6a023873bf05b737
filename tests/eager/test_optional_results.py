"""Functions that give as many results as are asked for."""

import pytest

import optc


def test_unique_gives_what_is_asked_for() -> None:
    x = optc.tensor([3, 1, 3, 2])
    assert optc.unique(x).tolist() == [1, 2, 3]
    values, counts = x.unique(return_counts=True)
    assert (values.tolist(), counts.tolist()) == ([1, 2, 3], [1, 1, 2])
    values, inverse, counts = optc.unique(x, return_inverse=True, return_counts=True)
    assert (inverse.tolist(), counts.tolist()) == ([2, 0, 2, 1], [1, 1, 2])


def test_unique_along_a_dimension_compares_slices() -> None:
    x = optc.tensor([[2, 1], [0, 5], [2, 1]])
    rows, inverse = optc.unique(x, dim=0, return_inverse=True)
    assert (rows.tolist(), inverse.tolist()) == ([[0, 5], [2, 1]], [1, 0, 1])


def test_places_come_as_rows_or_as_one_vector_for_each_dimension() -> None:
    x = optc.tensor([[0, 3], [4, 5]])
    assert x.nonzero().tolist() == [[0, 1], [1, 0], [1, 1]]
    rows, columns = optc.nonzero(x, as_tuple=True)
    assert (rows.tolist(), columns.tolist()) == ([0, 1, 1], [1, 0, 1])
    assert [places.tolist() for places in optc.tensor(2).nonzero(as_tuple=True)] == [[0]]


def test_an_index_without_elements_may_have_any_type() -> None:
    assert optc.gather(optc.ones(3), 0, optc.zeros(0, dtype=optc.uint8)).shape == (0,)


def test_lu_tells_of_zero_pivots_only_where_asked() -> None:
    regular, singular = optc.tensor([[0.0, 2.0], [1.0, 1.0]]), optc.ones(2, 2)
    factors, pivots = optc.lu(regular)
    assert (factors.tolist(), pivots.tolist()) == ([[1, 1], [0, 2]], [2, 2])
    assert singular.lu(get_infos=True)[2].item() == 2
    with pytest.raises(RuntimeError, match="U\\[2,2\\] is zero"):
        optc.lu(singular)


def test_a_matrix_of_low_rank_is_the_product_of_its_factors() -> None:
    optc.manual_seed(0)
    x = optc.randn(6, 2) @ optc.randn(2, 4)
    u, s, v = optc.svd_lowrank(x, q=2)
    assert optc.allclose(u @ optc.diag(s) @ v.mT, x, atol=1e-5)
    with pytest.raises(ValueError, match="not greater than min"):
        optc.pca_lowrank(x, q=5)


def test_gradients_come_as_a_tuple() -> None:
    x = optc.tensor([[1.0, 4.0, 9.0], [1.0, 2.0, 3.0]])
    down, along = optc.gradient(x)
    assert down.tolist() == [[0, -2, -6], [0, -2, -6]]
    assert along.tolist() == [[3, 4, 5], [1, 1, 1]]
    assert isinstance(x.gradient(dim=1, spacing=2.0), tuple)
