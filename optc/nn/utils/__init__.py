"""What goes with modules without being one."""

from optc.nn.utils import rnn

__all__ = ["rnn"]
