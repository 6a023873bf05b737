"""The operators: importing this package declares all of them."""

from optc.ops import activation, arithmetic, comparison, creation, elementary, shape, special

__all__ = ["activation", "arithmetic", "comparison", "creation", "elementary", "shape", "special"]
