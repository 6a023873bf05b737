"""The generator gives PyTorch's numbers: known values here, any seed, size and interleaving in test_random_peers."""

import ml_dtypes
import numpy as np
import pytest

from optc.eager import random
from optc.eager.generator import Generator, default_generator


def seeded(seed: int) -> Generator:
    return Generator().manual_seed(seed)


def test_uniform_numbers_of_seed_zero() -> None:
    numbers = np.empty(3, np.float32)
    random.fill_uniform(numbers, 0.0, 1.0, seeded(0))
    assert numbers.tolist() == pytest.approx([0.4962565899, 0.7682217956, 0.0884774327], abs=1e-10)


def test_normal_numbers_of_seed_zero_in_pairs_and_in_blocks() -> None:
    pairs, block = np.empty(3, np.float32), np.empty(16, np.float32)
    random.fill_normal(pairs, 0.0, 1.0, seeded(0))
    random.fill_normal(block, 0.0, 1.0, seeded(0))
    assert pairs.tolist() == pytest.approx([1.5409960746, -0.2934288979, -2.1787893772], abs=1e-9)
    assert block[:3].tolist() == pytest.approx([-1.1258398294, -1.1523602009, -0.2505785823], abs=1e-9)


def test_permutation_of_seed_zero() -> None:
    assert random.permutation(10, seeded(0)).tolist() == [4, 1, 7, 5, 3, 9, 0, 8, 6, 2]


def test_same_seed_same_numbers_and_another_seed_others() -> None:
    first, again, other = (np.empty(100) for _ in range(3))
    random.fill_uniform(first, 0, 1, seeded(3))
    random.fill_uniform(again, 0, 1, seeded(3))
    random.fill_uniform(other, 0, 1, seeded(4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_half_of_a_normal_pair_waits_for_the_next_call_and_is_part_of_the_state() -> None:
    generator = seeded(1)
    together, one_by_one = np.empty(4), [np.empty(1) for _ in range(4)]
    random.fill_normal(together, 0, 1, seeded(1))
    random.fill_normal(one_by_one[0], 0, 1, generator)
    generator = generator.clone()
    for single in one_by_one[1:]:
        random.fill_normal(single, 0, 1, generator)
    assert np.concatenate(one_by_one).tolist() == together.tolist()


def test_state_restores_the_stream() -> None:
    generator = seeded(5)
    generator.words(700)
    state = generator.state_bytes()
    expected = generator.words(1000)
    generator.restore_bytes(state)
    assert np.array_equal(generator.words(1000), expected)


@pytest.mark.parametrize("state", [np.zeros(5056, np.uint8), np.zeros(16, np.uint8)], ids=["content", "size"])
def test_a_state_that_is_none_is_refused(state: np.ndarray) -> None:
    with pytest.raises(RuntimeError, match="Invalid mt19937 state|Expected a CPUGeneratorImplState"):
        Generator().restore_bytes(state)


def test_a_state_of_another_dtype_is_refused() -> None:
    with pytest.raises(TypeError, match="must be a torch.ByteTensor"):
        Generator().restore_bytes(np.zeros(5056, np.int64))


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
def test_a_seed_outside_64_bits_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="Overflow"):
        Generator().manual_seed(seed)


def test_numbers_are_stored_in_the_order_of_memory() -> None:
    straight, transposed = np.empty((3, 5)), np.empty((3, 5)).T
    random.fill_uniform(straight, 0, 1, seeded(2))
    random.fill_uniform(transposed, 0, 1, seeded(2))
    assert np.array_equal(transposed, straight.T)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_uniform_numbers_stay_below_the_upper_bound(dtype: type) -> None:
    numbers = np.empty(100_000, dtype)
    random.fill_uniform(numbers, 1.0, 2.0, seeded(0))
    assert numbers.min() >= 1
    assert numbers.max() < 2


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
@pytest.mark.parametrize("size", [15, 1000])
def test_normal_numbers_have_mean_and_deviation(dtype: type, size: int) -> None:
    numbers = np.empty((100, size), dtype)
    for row in numbers:
        random.fill_normal(row, 3.0, 2.0, default_generator)
    assert numbers.astype(np.float64).mean() == pytest.approx(3, abs=0.2)
    assert numbers.astype(np.float64).std() == pytest.approx(2, abs=0.2)


def test_large_permutations_shuffle_inside_out() -> None:
    shuffled = random._inside_out_permutation(1000, seeded(0))
    assert sorted(shuffled.tolist()) == list(range(1000))
    words = seeded(0).long_words(1000).tolist()
    expected: list[int] = []
    for place, word in enumerate(words):
        expected.append(place)
        expected[place], expected[word % (place + 1)] = expected[word % (place + 1)], place
    assert shuffled.tolist() == expected


@pytest.mark.parametrize("weights", [[1.0, -1.0], [0.0, 0.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_weights_that_are_no_distribution_are_refused(weights: list[float]) -> None:
    with pytest.raises(RuntimeError, match="probability tensor|invalid multinomial"):
        random.multinomial(np.array(weights), 1, True, Generator())


@pytest.mark.parametrize("drawn", [0, 3, 700])
def test_a_generator_goes_back_to_a_snapshot(drawn: int) -> None:
    generator = Generator(4)
    random.fill_normal(np.empty(drawn), 0.0, 1.0, generator)
    snapshot, before = generator.snapshot(), generator.state_bytes()
    random.fill_normal(np.empty(999), 0.0, 1.0, generator)
    generator.go_back(snapshot)
    assert np.array_equal(generator.state_bytes(), before)
    generator.manual_seed(9)
    generator.go_back(snapshot)
    assert np.array_equal(generator.state_bytes(), before)
