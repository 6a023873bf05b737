"""The operators: importing this package declares all of them.

Overload resolution follows the order of declaration, so operators on tensors come before those on numbers.
"""

from optc.ops import (
    activation,
    arithmetic,
    attention,
    comparison,
    containers,
    conversion,
    creation,
    einsum,
    elementary,
    indexing,
    joining,
    loss,
    matrix,
    normalization,
    padding,
    recurrent,
    reduction,
    scalars,
    selection,
    shape,
    special,
    writes,
)

__all__ = [
    "activation",
    "arithmetic",
    "attention",
    "comparison",
    "containers",
    "conversion",
    "creation",
    "einsum",
    "elementary",
    "indexing",
    "joining",
    "loss",
    "matrix",
    "normalization",
    "padding",
    "recurrent",
    "reduction",
    "scalars",
    "selection",
    "shape",
    "special",
    "writes",
]
