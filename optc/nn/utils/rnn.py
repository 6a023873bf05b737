"""Sequences of different lengths in one batch: padded to a rectangle, or packed step by step."""
# mypy: disable-error-code="no-any-return"

from collections.abc import Sequence
from typing import NamedTuple

from optc.eager import functions
from optc.eager.functions import as_tensor, empty, tensor
from optc.eager.tensor import Tensor
from optc.ir.dtypes import INT64

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class PackedSequence(NamedTuple):
    """A batch of sequences, longest first, as the elements of step 0, then those of step 1, and so on.

    `batch_sizes[t]` sequences have a step t. `sorted_indices` is how the batch was sorted, `unsorted_indices` the way
    back; None when it came sorted.
    """

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes another."""
    return None if permutation is None else functions.argsort(permutation)


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack a padded batch (T, B, *) (or (B, T, *)), of which sequence i has `lengths[i]` steps.

    RuntimeError if a length is not positive, or grows along the batch while `enforce_sorted`.
    """
    counts = as_tensor(lengths, dtype=INT64)
    order = None
    if not enforce_sorted:
        longest_first = sorted(range(counts.numel()), key=lambda place: -counts[place].item())
        order = tensor(longest_first, dtype=INT64)
        input = input.index_select(0 if batch_first else 1, order)
        counts = counts[order]
    steps = input.transpose(0, 1) if batch_first else input
    sizes = _batch_sizes(counts.tolist(), steps.size(1), enforce_sorted)
    data = functions.cat([steps[step, :size] for step, size in enumerate(sizes)])
    return PackedSequence(data, tensor(sizes, dtype=INT64), order, invert_permutation(order))


def _batch_sizes(lengths: list[int], batch: int, enforce_sorted: bool) -> list[int]:
    if len(lengths) != batch:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(lengths)} (batch_size={batch})"
        )
    if lengths and min(lengths) <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if enforce_sorted and lengths != sorted(lengths, reverse=True):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you do "
            "not need ONNX exportability."
        )
    return [sum(length > step for length in lengths) for step in range(max(lengths, default=0))]


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The padded batch and the lengths of its sequences; `total_length` asks for more steps than the longest has.

    ValueError if it asks for fewer.
    """
    sizes: list[int] = sequence.batch_sizes.tolist()
    if total_length is not None and total_length < len(sizes):
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {len(sizes)}"
        )
    shape = (total_length or len(sizes), sizes[0], *sequence.data.shape[1:])
    steps = empty(shape, dtype=sequence.data.dtype).fill_(padding_value)
    start = 0
    for step, size in enumerate(sizes):
        steps[step, :size] = sequence.data[start : start + size]
        start += size
    lengths = tensor([sum(size > place for size in sizes) for place in range(sizes[0])], dtype=INT64)
    if sequence.unsorted_indices is not None:
        steps = steps.index_select(1, sequence.unsorted_indices)
        lengths = lengths[sequence.unsorted_indices]
    return steps.transpose(0, 1) if batch_first else steps, lengths


def pad_sequence(
    sequences: Sequence[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """A batch (T, B, *) of sequences (L, *), filled up to the longest on the right or on the left."""
    longest = max(sequence.size(0) for sequence in sequences)
    first = sequences[0]
    batch = empty((len(sequences), longest, *first.shape[1:]), dtype=first.dtype).fill_(padding_value)
    for place, sequence in enumerate(sequences):
        start = longest - sequence.size(0) if padding_side == "left" else 0
        batch[place, start : start + sequence.size(0)] = sequence
    return batch if batch_first else batch.transpose(0, 1).contiguous()


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded batch."""
    batch = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [batch[place, :length] for place, length in enumerate(lengths.tolist())]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (L, *)."""
    lengths = [sequence.size(0) for sequence in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed batch."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
