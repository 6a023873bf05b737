"""The adaptive softmax: frequent classes by themselves, rare ones in clusters of fewer numbers."""
# mypy: disable-error-code="no-any-return"

import itertools
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

from optc.eager import functions
from optc.eager.tensor import Tensor
from optc.ir.dtypes import DType
from optc.nn import functional
from optc.nn.modules.container import ModuleList, Sequential
from optc.nn.modules.linear import Linear
from optc.nn.modules.module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]

_ASMoutput = namedtuple("_ASMoutput", ["output", "loss"])


class AdaptiveLogSoftmaxWithLoss(Module):
    """(N, in_features) and (N) classes -> the log probability of each, and the mean of their negatives.

    `cutoffs` divide the classes, the most frequent first: those before the first are in the head, each of the others'
    clusters has a projection to `in_features // div_value ** (i + 1)` numbers.
    """

    in_features: int
    n_classes: int
    cutoffs: list[int]
    div_value: float
    head_bias: bool
    head: Linear
    tail: ModuleList

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        given = list(cutoffs)
        _check_cutoffs(given, n_classes)
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*given, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, device=device, dtype=dtype)
        self.tail = ModuleList()
        for place in range(self.n_clusters):
            narrow = int(in_features // (div_value ** (place + 1)))
            size = self.cutoffs[place + 1] - self.cutoffs[place]
            self.tail.append(
                Sequential(
                    Linear(in_features, narrow, bias=False, device=device, dtype=dtype),
                    Linear(narrow, size, bias=False, device=device, dtype=dtype),
                )
            )

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        self.head.reset_parameters()
        for projection, classes in self.tail:
            projection.reset_parameters()
            classes.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> Any:
        _check_target(input_, target_)
        is_batched = target_.dim() > 0
        input = input_ if is_batched else input_.unsqueeze(0)
        target = target_ if is_batched else target_.unsqueeze(0)
        used_rows = 0
        output = input.new_zeros(target.size(0))
        gather_inds = target.new_empty(target.size(0))
        bounds = [0, *self.cutoffs]
        for place, (low, high) in enumerate(itertools.pairwise(bounds)):
            rows = ((target >= low) & (target < high)).nonzero().squeeze(1)
            if rows.numel() == 0:
                continue
            if place == 0:
                gather_inds.index_copy_(0, rows, target[rows])
            else:
                relative = target[rows] - low
                cluster = self.tail[place - 1](input.index_select(0, rows))
                gather_inds.index_fill_(0, rows, self.shortlist_size + place - 1)
                local = functional.log_softmax(cluster, dim=1).gather(1, relative.unsqueeze(1))
                output.index_copy_(0, rows, local.squeeze(1))
            used_rows += rows.numel()
        if used_rows != target.size(0):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{target.min().item()}, {target.max().item()}] were found. "
            )
        head = functional.log_softmax(self.head(input), dim=1)
        output = output + head.gather(1, gather_inds.unsqueeze(1)).squeeze(1)
        loss = (-output).mean()
        return _ASMoutput(output if is_batched else output.squeeze(0), loss)

    def _get_full_log_prob(self, input: Tensor, head_output: Tensor) -> Tensor:
        out = input.new_empty((head_output.size(0), self.n_classes))
        head = functional.log_softmax(head_output, dim=1)
        out[:, : self.shortlist_size] = head[:, : self.shortlist_size]
        for place, (start, stop) in enumerate(itertools.pairwise(self.cutoffs)):
            cluster = functional.log_softmax(self.tail[place](input), dim=1)
            out[:, start:stop] = cluster + head[:, self.shortlist_size + place].unsqueeze(1)
        return out

    def log_prob(self, input: Tensor) -> Tensor:
        """The log probabilities of all classes: (N, in_features) -> (N, n_classes)."""
        return self._get_full_log_prob(input, self.head(input))

    def predict(self, input: Tensor) -> Tensor:
        """The most probable classes: (N, in_features) -> (N)."""
        head = self.head(input)
        output = functions.argmax(head, dim=1)
        in_head = output < self.shortlist_size
        if bool(in_head.all()):
            return output
        if not bool(in_head.any()):
            return functions.argmax(self._get_full_log_prob(input, head), dim=1)
        rest = self._get_full_log_prob(input[~in_head], head[~in_head])
        output[~in_head] = functions.argmax(rest, dim=1)
        return output


def _check_cutoffs(cutoffs: list[int], n_classes: int) -> None:
    if not cutoffs:
        raise ValueError("cutoffs should be a sequence of length larger than 0")
    rises = cutoffs == sorted(cutoffs) and len(set(cutoffs)) == len(cutoffs)
    if not rises or min(cutoffs) <= 0 or max(cutoffs) > n_classes - 1 or any(int(cut) != cut for cut in cutoffs):
        raise ValueError(
            "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each value "
            "is between 1 and n_classes-1"
        )


def _check_target(input: Tensor, target: Tensor) -> None:
    if target.dim() == 1:
        if input.size(0) != target.size(0):
            raise RuntimeError("Input and target should have the same size in the batch dimension.")
        if input.dim() != 2:
            raise RuntimeError("1D target tensor expects 2D input tensors, but found inputs with size", input.size())
    elif target.dim() == 0:
        if input.dim() != 1:
            raise RuntimeError("0D target tensor expects 1D input tensors, but found inputs with size", input.size())
    else:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
