"""`optc.autograd`: what inference code asks of it. optc computes no gradients."""

from optc import profiler
from optc.eager.gradient import enable_grad, inference_mode, no_grad, set_grad_enabled

__all__ = ["enable_grad", "inference_mode", "no_grad", "profiler", "set_grad_enabled"]
