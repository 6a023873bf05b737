"""Sequences of different lengths in one batch: padded to a rectangle, or packed step by step."""
# mypy: disable-error-code="no-any-return"

from collections.abc import Sequence
from typing import NamedTuple

from optc.eager import functions
from optc.eager.functions import empty
from optc.eager.tensor import Tensor
from optc.ir import dtypes

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
    input: Tensor, lengths: Tensor, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack a padded batch (T, B, *) (or (B, T, *)), of which sequence i has `lengths[i]` steps (a list of ints will do).

    RuntimeError if a length is not positive, or grows along the batch while `enforce_sorted`.
    """
    counts = functions.as_tensor(lengths, dtype=dtypes.INT64)
    order: Tensor | None = None
    if not enforce_sorted:
        counts, longest_first = functions.sort(counts, descending=True)
        input = input.index_select(0 if batch_first else 1, longest_first)
        order = longest_first
    data, sizes = functions._pack_padded_sequence(input, counts, batch_first)
    return PackedSequence(data, sizes, order, invert_permutation(order))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The padded batch and the lengths of its sequences; `total_length` asks for more steps than the longest has.

    ValueError if it asks for fewer.
    """
    longest = sequence.batch_sizes.size(0)
    if total_length is not None:
        if total_length < longest:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, but got "
                f"total_length={total_length} and max sequence length being {longest}"
            )
        longest = total_length
    steps, lengths = functions._pad_packed_sequence(
        sequence.data, sequence.batch_sizes, batch_first, padding_value, longest
    )
    back = sequence.unsorted_indices
    if back is not None:
        return steps.index_select(0 if batch_first else 1, back), lengths[back]
    return steps, lengths


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
    lengths = functions.as_tensor([sequence.size(0) for sequence in sequences], dtype=dtypes.INT64)
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed batch."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
