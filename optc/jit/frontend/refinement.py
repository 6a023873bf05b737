"""What a condition says about the types of variables, and whether it is decided while compiling."""

from __future__ import annotations

from optc.dataclass import dataclass
from optc.ir.graph import Value
from optc.ir.types import Type

Refinements = dict[str, Type]


def _union(left: Refinements, right: Refinements) -> Refinements:
    result = dict(left)
    for name, type_ in right.items():
        if name not in result:
            result[name] = type_
        elif result[name] != type_:
            del result[name]
    return result


def _intersection(left: Refinements, right: Refinements) -> Refinements:
    return {name: type_ for name, type_ in left.items() if right.get(name) == type_}


@dataclass(frozen=True)
class RefinementSet:
    """Types of variables known where a condition holds (`when_true`) and where it does not (`when_false`)."""

    when_true: Refinements
    when_false: Refinements

    def both(self, other: RefinementSet) -> RefinementSet:
        """What `self and other` says."""
        return RefinementSet(_union(self.when_true, other.when_true), _intersection(self.when_false, other.when_false))

    def either(self, other: RefinementSet) -> RefinementSet:
        """What `self or other` says."""
        return RefinementSet(_intersection(self.when_true, other.when_true), _union(self.when_false, other.when_false))

    def negated(self) -> RefinementSet:
        """What `not self` says."""
        return RefinementSet(self.when_false, self.when_true)


NOTHING = RefinementSet({}, {})


@dataclass(frozen=True)
class Condition:
    """A boolean value with its refinements; `static` is its value where only one branch is to be compiled.

    `is_short_circuit`: the value is the output of the if that an `and` or `or` makes.
    """

    value: Value
    refinements: RefinementSet = NOTHING
    static: bool | None = None
    is_short_circuit: bool = False
