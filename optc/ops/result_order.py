"""In which order the elements of results lie in PyTorch, when those of all arguments lie row by row."""

from __future__ import annotations

from optc.ops.registry import Interpreted, Operator

REORDERED = frozenset(
    f"aten::{name}"
    for name in (
        "argwhere", "einsum", "empty_permuted", "empty_strided", "gru", "gru_cell", "linalg_inv", "linalg_matrix_power",
        "linalg_solve", "linalg_tensorinv", "lstm", "lstm_cell", "multi_head_attention_forward", "nanquantile",
        "_native_multi_head_attention", "new_empty_strided", "nonzero", "quantile", "rnn_relu", "rnn_relu_cell",
        "rnn_tanh", "rnn_tanh_cell", "rot90", "scaled_dot_product_attention", "stft", "istft", "tensordot",
        "_transformer_encoder_layer_fwd", "unique_consecutive", "unique_dim", "_unique", "_unique2", "unravel_index",
        "cdist", "trapezoid", "cov", "corrcoef", "bilinear",
    )
)  # fmt: skip
"""Operators that transpose what they compute, or may."""


def keeps_rows(operator: Operator) -> bool:
    """True when results lie row by row for arguments that do. Views are not asked about."""
    return not isinstance(operator.lowering, Interpreted) and operator.schema.name not in REORDERED
