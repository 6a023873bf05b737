"""`ctc_loss`: the probability of a sequence of labels over all its alignments with a longer sequence of predictions.

The forward algorithm of A. Graves et al., "Connectionist Temporal Classification" (ICML 2006), in logarithms.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.types import TensorType
from optc.ops.hosted import declare_hosted
from optc.ops.promotion import operand_type
from optc.ops.shapes import format_shape, known_shape

Array = np.ndarray[Any, Any]
MEAN, SUM = 1, 2


def _lengths(lengths: Any) -> list[int]:
    return [int(length) for length in (lengths.reshape(-1).tolist() if isinstance(lengths, np.ndarray) else lengths)]


def _infer(
    logs: TensorType, targets: TensorType, inputs: Any, labels: Any, blank: int, reduction: int, zero_infinity: bool
) -> TensorType:
    shape = known_shape(logs)
    if len(shape) not in (2, 3):
        raise RuntimeError(
            f"ctc_loss: expected log_probs to have 2 or 3 dimensions, but got sizes {format_shape(shape)}"
        )
    if operand_type(logs).kind != "float" or operand_type(logs).itemsize == 2:
        raise NotImplementedError(f"\"ctc_loss_cpu\" not implemented for '{operand_type(logs).label}'")
    classes = shape[-1]
    if isinstance(classes, int) and not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    if reduction in (MEAN, SUM):
        return logs.with_shape(())
    return logs.with_shape(() if len(shape) == 2 else (shape[1],))


def _check_lengths(logs: Array, targets: Array, inputs: list[int], labels: list[int]) -> None:
    steps, batch = logs.shape[:2]
    if len(inputs) != batch:
        raise RuntimeError("input_lengths must be of size batch_size")
    if len(labels) != batch:
        raise RuntimeError("target_lengths must be of size batch_size")
    for length in inputs:
        if length < 0:
            raise RuntimeError(
                f"Expected input_lengths to have value at least 0, but got value {length} (while checking arguments for ctc_loss_allocate_outputs)"
            )
        if length > steps:
            raise RuntimeError(
                f"Expected input_lengths to have value at most {steps}, but got value {length} (while checking arguments "
                "for ctc_loss_allocate_outputs)"
            )
    if targets.ndim == 2 and max(labels, default=0) > targets.shape[1]:
        raise RuntimeError(
            f"Expected tensor to have size at least {max(labels)} at dimension 1, but got size {targets.shape[1]} for "
            "argument #2 'targets' (while checking arguments for ctc_loss_allocate_outputs)"
        )


def _negative_log_probability(logs: Array, labels: Array, blank: int) -> float:
    """The loss of one sequence: `logs` is (steps, classes), `labels` has no blanks."""
    count = 2 * len(labels) + 1
    extended = np.full(count, blank)
    extended[1::2] = labels
    if not len(logs):
        return 0.0 if not len(labels) else float("inf")
    jumps = np.zeros(count, bool)
    jumps[2:] = (extended[2:] != blank) & (extended[2:] != extended[:-2])
    alpha = np.full(count, -np.inf)
    alpha[:2] = logs[0, extended[:2]]
    for row in logs[1:, extended]:
        stay = alpha
        step = np.concatenate(([-np.inf], alpha[:-1]))
        jump = np.where(jumps, np.concatenate(([-np.inf, -np.inf], alpha[:-2]))[:count], -np.inf)
        alpha = np.logaddexp(np.logaddexp(stay, step), jump) + row
    return -float(np.logaddexp.reduce(alpha[-2:]))


def _compute(
    logs: Array,
    targets: Array,
    input_lengths: Any,
    target_lengths: Any,
    blank: int,
    reduction: int,
    zero_infinity: bool,
) -> Array:
    batched = logs if logs.ndim == 3 else logs[:, None]
    labels = targets if logs.ndim == 3 or targets.ndim == 2 else targets[None]
    inputs, lengths = _lengths(input_lengths), _lengths(target_lengths)
    _check_lengths(batched, labels, inputs, lengths)
    starts = np.concatenate(([0], np.cumsum(lengths)))
    losses = np.zeros(batched.shape[1])
    for place, (steps, count) in enumerate(zip(inputs, lengths)):
        mine = labels[place, :count] if labels.ndim == 2 else labels[starts[place] : starts[place] + count]
        losses[place] = _negative_log_probability(batched[:steps, place].astype(np.float64), mine, blank)
    if zero_infinity:
        losses = np.where(np.isinf(losses), 0.0, losses)
    if reduction == MEAN:
        return np.asarray(np.mean(losses / np.maximum(lengths, 1)))
    if reduction == SUM:
        return np.asarray(np.sum(losses))
    return losses if logs.ndim == 3 else losses[0]


for _overload, _lengths_type in ((".IntList", "int[]"), (".Tensor", "Tensor")):
    declare_hosted(
        f"aten::ctc_loss{_overload}(Tensor log_probs, Tensor targets, {_lengths_type} input_lengths, "
        f"{_lengths_type} target_lengths, int blank=0, int reduction=1, bool zero_infinity=False) -> Tensor",
        _infer,
        _compute,
        may_fail=True,
    )
