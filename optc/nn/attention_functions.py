"""Multi-head attention over a layer's weights: `functional.multi_head_attention_forward` and its parts.

The script frontend compiles this source, so the bodies keep to the script language.
"""
# mypy: disable-error-code="no-any-return"

import math

from optc.eager import functions
from optc.eager.tensor import Tensor
from optc.ir import dtypes
from optc.ir.dtypes import DType
from optc.nn.functional_names import of_functional

__all__ = ["multi_head_attention_forward"]


def canonical_mask(mask: Tensor | None, mask_name: str, target_type: DType, check_other: bool = True) -> Tensor | None:
    """The mask as numbers to add to scores: -inf where a bool mask is true."""
    if mask is None:
        return None
    if mask.dtype == dtypes.BOOL:
        return functions.zeros_like(mask, dtype=target_type).masked_fill_(mask, float("-inf"))
    if not functions.is_floating_point(mask):
        raise AssertionError(f"only bool and floating types of {mask_name} are supported")
    return mask


def _in_projection(
    query: Tensor, key: Tensor, value: Tensor, weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values, of which the weights lie one below the other."""
    w_q, w_k, w_v = weight.chunk(3)
    if bias is None:
        return functions.linear(query, w_q), functions.linear(key, w_k), functions.linear(value, w_v)
    b_q, b_k, b_v = bias.chunk(3)
    return functions.linear(query, w_q, b_q), functions.linear(key, w_k, b_k), functions.linear(value, w_v, b_v)


def _in_projection_apart(
    query: Tensor, key: Tensor, value: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values by weights of their own, for keys and values of other widths."""
    if bias is None:
        return functions.linear(query, w_q), functions.linear(key, w_k), functions.linear(value, w_v)
    b_q, b_k, b_v = bias.chunk(3)
    return functions.linear(query, w_q, b_q), functions.linear(key, w_k, b_k), functions.linear(value, w_v, b_v)


def _check_ranks(
    query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None, attn_mask: Tensor | None, num_heads: int
) -> bool:
    """True when there is a batch dimension. AssertionError for ranks that do not go together."""
    if query.dim() == 3:
        if key.dim() != 3 or value.dim() != 3:
            raise AssertionError(
                "For batched (3-D) `query`, expected `key` and `value` to be 3-D "
                f"but found {key.dim()}-D and {value.dim()}-D tensors respectively"
            )
        if key_padding_mask is not None and key_padding_mask.dim() != 2:
            raise AssertionError(
                "For batched (3-D) `query`, expected `key_padding_mask` to be `None` or 2-D "
                f"but found {key_padding_mask.dim()}-D tensor instead"
            )
        if attn_mask is not None and attn_mask.dim() not in (2, 3):
            raise AssertionError(
                "For batched (3-D) `query`, expected `attn_mask` to be `None`, 2-D or 3-D "
                f"but found {attn_mask.dim()}-D tensor instead"
            )
        return True
    if query.dim() != 2:
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {query.dim()}-D query tensor"
        )
    if key.dim() != 2 or value.dim() != 2:
        raise AssertionError(
            "For unbatched (2-D) `query`, expected `key` and `value` to be 2-D "
            f"but found {key.dim()}-D and {value.dim()}-D tensors respectively"
        )
    if key_padding_mask is not None and key_padding_mask.dim() != 1:
        raise AssertionError(
            "For unbatched (2-D) `query`, expected `key_padding_mask` to be `None` or 1-D "
            f"but found {key_padding_mask.dim()}-D tensor instead"
        )
    return False


def _widen(mask: Tensor | None) -> Tensor | None:
    """One more key at the end, which everybody may see."""
    return None if mask is None else functions.pad(mask, [0, 1])


def _joint_mask(
    attn_mask: Tensor | None, key_padding_mask: Tensor | None, batch: int, num_heads: int, length: int
) -> Tensor | None:
    """Both masks as one, (batch * num_heads or 1, L or 1, S)."""
    if key_padding_mask is None:
        return attn_mask
    spread = (
        key_padding_mask.view(batch, 1, 1, length).expand(-1, num_heads, -1, -1).reshape(batch * num_heads, 1, length)
    )
    return spread if attn_mask is None else attn_mask + spread


def _check_mask(attn_mask: Tensor, length: int, keys: int, heads: int) -> Tensor:
    """The mask with three dimensions. RuntimeError for one of another size."""
    if attn_mask.dim() == 2:
        expected = [length, keys]
        if list(attn_mask.size()) != expected:
            raise RuntimeError(f"The shape of the 2D attn_mask is {attn_mask.size()}, but should be {(length, keys)}.")
        return attn_mask.unsqueeze(0)
    expected = [heads, length, keys]
    if list(attn_mask.size()) != expected:
        raise RuntimeError(
            f"The shape of the 3D attn_mask is {attn_mask.size()}, but should be {(heads, length, keys)}."
        )
    return attn_mask


@of_functional
def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention of query (L, N, E) to key (S, N, E) and value (S, N, E), or the same without N, by `num_heads` heads.

    Returns (L, N, E) and, if asked for, the weights (N, L, S) or (N, num_heads, L, S). AssertionError and RuntimeError
    for shapes that do not fit.
    """
    is_batched = _check_ranks(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not is_batched:
        query = query.unsqueeze(1)
        key = key.unsqueeze(1)
        value = value.unsqueeze(1)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)

    tgt_len, bsz, embed_dim = query.shape
    src_len = key.size(0)
    key_padding_mask = canonical_mask(key_padding_mask, "key_padding_mask", query.dtype)
    if is_causal and attn_mask is None:
        raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
    if is_causal and key_padding_mask is None and not need_weights:
        attn_mask = None
    else:
        attn_mask = canonical_mask(attn_mask, "attn_mask", query.dtype)
        is_causal = False

    if embed_dim != embed_dim_to_check:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim_to_check}, but got {embed_dim}")
    head_dim = embed_dim // num_heads
    if head_dim * num_heads != embed_dim:
        raise AssertionError(f"embed_dim {embed_dim} not divisible by num_heads {num_heads}")
    if use_separate_proj_weight:
        if key.size(0) != value.size(0) or key.size(1) != value.size(1):
            raise AssertionError(
                f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}"
            )
        assert q_proj_weight is not None and k_proj_weight is not None and v_proj_weight is not None
        q, k, v = _in_projection_apart(query, key, value, q_proj_weight, k_proj_weight, v_proj_weight, in_proj_bias)
    else:
        if key.shape != value.shape:
            raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")
        assert in_proj_weight is not None
        q, k, v = _in_projection(query, key, value, in_proj_weight, in_proj_bias)

    if attn_mask is not None:
        attn_mask = _check_mask(attn_mask, tgt_len, src_len, bsz * num_heads)
    if bias_k is not None and bias_v is not None:
        k = functions.cat([k, bias_k.repeat(1, bsz, 1)])
        v = functions.cat([v, bias_v.repeat(1, bsz, 1)])
        attn_mask = _widen(attn_mask)
        key_padding_mask = _widen(key_padding_mask)

    q = q.view(tgt_len, bsz * num_heads, head_dim).transpose(0, 1)
    k = k.view(k.size(0), bsz * num_heads, head_dim).transpose(0, 1) if static_k is None else static_k
    v = v.view(v.size(0), bsz * num_heads, head_dim).transpose(0, 1) if static_v is None else static_v
    if add_zero_attn:
        k = functions.cat([k, functions.zeros([bsz * num_heads, 1, head_dim], dtype=k.dtype)], dim=1)
        v = functions.cat([v, functions.zeros([bsz * num_heads, 1, head_dim], dtype=v.dtype)], dim=1)
        attn_mask = _widen(attn_mask)
        key_padding_mask = _widen(key_padding_mask)
    src_len = k.size(1)
    attn_mask = _joint_mask(attn_mask, key_padding_mask, bsz, num_heads, src_len)
    if not training:
        dropout_p = 0.0

    if need_weights:
        scores = functions.bmm(q * math.sqrt(1.0 / float(head_dim)), k.transpose(-2, -1))
        if attn_mask is not None:
            scores = attn_mask + scores
        weights = scores.softmax(-1)
        if dropout_p > 0.0:
            weights = functions.dropout(weights, dropout_p, True)
        attended = functions.bmm(weights, v).transpose(0, 1).contiguous().view(tgt_len * bsz, embed_dim)
        output = functions.linear(attended, out_proj_weight, out_proj_bias).view(tgt_len, bsz, out_proj_weight.size(0))
        weights = weights.view(bsz, num_heads, tgt_len, src_len)
        if average_attn_weights:
            weights = weights.mean(dim=1)
        if not is_batched:
            return output.squeeze(1), weights.squeeze(0)
        return output, weights

    if attn_mask is not None:
        if attn_mask.size(0) == 1:
            attn_mask = attn_mask.unsqueeze(0)
        else:
            attn_mask = attn_mask.view(bsz, num_heads, -1, src_len)
    attended = functions.scaled_dot_product_attention(
        q.view(bsz, num_heads, tgt_len, head_dim),
        k.view(bsz, num_heads, src_len, head_dim),
        v.view(bsz, num_heads, src_len, head_dim),
        attn_mask,
        dropout_p,
        is_causal,
    )
    attended = attended.permute(2, 0, 1, 3).contiguous().view(bsz * tgt_len, embed_dim)
    output = functions.linear(attended, out_proj_weight, out_proj_bias).view(tgt_len, bsz, out_proj_weight.size(0))
    if not is_batched:
        output = output.squeeze(1)
    return output, None
