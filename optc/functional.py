"""What PyTorch writes in Python on top of its operators: torch.functional.

The script frontend compiles these functions from the source below, as PyTorch does; their bodies therefore keep to the
script language, and use the operators, the order and the variable names that show up in the code PyTorch prints.
"""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from typing import Any

from optc.eager import functions
from optc.eager.tensor import Tensor

__all__ = ["cdist", "pca_lowrank", "stft", "svd_lowrank"]


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The distances of order `p` between all rows of two tensors. Raises ValueError for an unknown mode."""
    if compute_mode == "use_mm_for_euclid_dist_if_necessary":
        return functions.cdist(x1, x2, p, None)
    if compute_mode == "use_mm_for_euclid_dist":
        return functions.cdist(x1, x2, p, 1)
    if compute_mode == "donot_use_mm_for_euclid_dist":
        return functions.cdist(x1, x2, p, 2)
    raise ValueError(f"{compute_mode} is not a valid value for compute_mode")


def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """The spectra of overlapping frames. Raises RuntimeError for numbers that do not fit, or a missing `return_complex`."""
    if center and align_to_window is not None:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    if center:
        signal_dim = input.dim()
        extended_shape = [1] * (3 - signal_dim) + list(input.size())
        pad = int(n_fft // 2)
        input = functions.pad(input.view(extended_shape), [pad, pad], pad_mode)
        input = input.view(input.shape[-signal_dim:])
    return functions.stft(
        input, n_fft, hop_length, win_length, window, normalized, onesided, return_complex, align_to_window
    )


def get_approximate_basis(A: Tensor, q: int, niter: int | None = 2, M: Tensor | None = None) -> Tensor:
    """`q` orthonormal columns that span about what A - M does: algorithm 4.4 of Halko et al. (2009)."""
    niter = 2 if niter is None else niter
    R = functions.randn(A.shape[-1], q, dtype=A.dtype, device=A.device)
    X = functions.matmul(A, R)
    if M is not None:
        X = X - functions.matmul(M, R)
    Q = functions.linalg_qr(X)[0]
    for _ in range(niter):
        X = functions.matmul(A.mH, Q)
        if M is not None:
            X = X - functions.matmul(M.mH, Q)
        Q = functions.linalg_qr(X)[0]
        X = functions.matmul(A, Q)
        if M is not None:
            X = X - functions.matmul(M, Q)
        Q = functions.linalg_qr(X)[0]
    return Q


def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The greatest `q` singular values of A - M and their vectors, about: algorithm 5.1 of Halko et al. (2009)."""
    q = 6 if q is None else q
    m, n = A.shape[-2], A.shape[-1]
    if M is not None:
        M = M.broadcast_to(A.size())
    if m < n:
        A = A.mH
        if M is not None:
            M = M.mH
    Q = get_approximate_basis(A, q, niter, M)
    B = functions.matmul(Q.mH, A)
    if M is not None:
        B = B - functions.matmul(Q.mH, M)
    U, S, Vh = functions.linalg_svd(B, full_matrices=False)
    V = Vh.mH
    U = Q.matmul(U)
    if m < n:
        U, V = V, U
    return U, S, V


def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """The principal components of rows, `q` of them. Raises ValueError where there are not so many."""
    m, n = A.shape[-2], A.shape[-1]
    if q is None:
        q = min(6, m, n)
    elif not (q >= 0 and q <= min(m, n)):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if not (niter >= 0):
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    if not center:
        return svd_lowrank(A, q, niter)
    C = A.mean(dim=(-2,), keepdim=True)
    return svd_lowrank(A - C, q, niter)


NAMES: dict[str, Any] = {name: globals()[name] for name in __all__}
"""What `optc` exports of this module."""
