"""Builds typed nodes: what decompositions, rules and passes use to write operators into a graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from optc.ir.dims import Dim, Symbolic
from optc.ir.graph import Graph, Value
from optc.ir.schema import Argument
from optc.ir.types import BOOL, FLOAT, INT, NONE, NUMBER, STRING, IntType, ListType, TensorType, Type
from optc.ops.abstract import Unknown, abstract, abstract_constant, concrete_type, tensor_type_of
from optc.ops.registry import Operator, lookup


class Builder:
    """Inserts nodes at a graph's insertion point, with types from the shape rules.

    `b("aten::mean.dim", x, [-1], True)` takes Values, and Python values which become constants.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def __call__(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        """Insert the operator `name`. Returns its output, or a tuple of them. Raises what the shape rule raises."""
        operator = lookup(name)
        if operator is None:
            raise KeyError(f"there is no operator {name}")
        given = self.complete(operator, arguments, keywords)
        inputs = [self.value(item, argument.type) for item, argument in zip(given, operator.schema.arguments)]
        result = operator.infer(*(abstract(value) for value in inputs))
        schema = operator.schema
        results = result if len(schema.returns) != 1 else (result,)
        types = [result_type(item, declared.type) for item, declared in zip(results, schema.returns)]
        node = self.graph.insert(schema.name, inputs, types, overload=schema.overload)
        node.operator = operator
        return node.output if len(types) == 1 else tuple(node.outputs)

    @staticmethod
    def complete(operator: Operator, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> list[Any]:
        """One value per argument of the schema. Raises TypeError when they are too many or too few."""
        declared: tuple[Argument, ...] = operator.schema.arguments
        given = list(arguments)
        for argument in declared[len(given) :]:
            if argument.name not in keywords and not argument.has_default:
                raise TypeError(f"{operator.name}: argument {argument.name} is missing")
            given.append(keywords.pop(argument.name, argument.default))
        if keywords or len(given) > len(declared):
            raise TypeError(f"{operator.name} does not take {sorted(keywords) or 'so many arguments'}")
        return given

    def value(self, item: Any, type_: Type | None = None) -> Value:
        """A Value as it is; numbers, strings, None, arrays and lists as constants; dimensions as int values."""
        if isinstance(item, Value):
            return item
        if isinstance(item, Symbolic):
            return self.dim(item)
        if isinstance(item, list | tuple):
            return self._list(item, type_)
        return self.graph.insert_constant(item, constant_type(item))

    def _list(self, items: list[Any] | tuple[Any, ...], type_: Type | None) -> Value:
        values = [self.value(item) for item in items]
        declared = getattr(type_, "element", None)
        if isinstance(declared, ListType):
            declared = declared.element
        element = declared if declared is not None else (values[0].type if values else INT)
        element = IntType() if isinstance(element, IntType) else element
        return self.graph.insert("prim::ListConstruct", values, (ListType(element),)).output

    def constant(self, array: np.ndarray[Any, Any]) -> Value:
        """A tensor that is always the same."""
        return self.graph.insert_constant(array, constant_type(array))

    def multiply(self, left: Any, right: Any) -> Any:
        """The product of two ints, each known, a dimension or an int Value."""
        if not isinstance(left, Value) and not isinstance(right, Value):
            return left * right
        return self("aten::mul.int", left, right)

    def abstract(self, item: Any) -> Any:
        """What is known of an argument: Values as `optc.ops.abstract` sees them, other things as they are."""
        return abstract(item) if isinstance(item, Value) else item

    def require(self, condition: Value, message: str, kind: str = "RuntimeError") -> None:
        """Insert a check: the program raises where `condition`, a bool or a tensor of one element, does not hold."""
        if isinstance(condition.type, TensorType):
            condition = self("aten::Bool.Tensor", condition)
        branch = self.graph.insert("prim::If", [condition])
        branch.add_block()
        with self.graph.inserting(branch.add_block()):
            texts = [self.graph.insert_constant(text, STRING) for text in (message, kind)]
            self.graph.insert("prim::RaiseException", texts)

    def dim(self, dim: Dim) -> Value:
        """An int value equal to a dimension, computed by integer operators from `prim::Dim` leaves."""
        if isinstance(dim, int):
            return self.graph.insert_constant(dim, INT)
        return self.graph.insert("prim::Dim", (), (IntType(dim),), {"dim": dim}).output

    def type(self, value: Value) -> TensorType:
        """The tensor type of a value. Raises TypeError for anything else."""
        if not isinstance(value.type, TensorType):
            raise TypeError(f"%{value.name} is no tensor but {value.type}")
        return value.type

    def shape(self, value: Value) -> tuple[Dim, ...]:
        """The dimensions of a tensor of known rank. Raises TypeError when the rank is not known."""
        shape = self.type(value).shape
        if shape is None:
            raise TypeError(f"the rank of %{value.name} is not known")
        return shape


def constant_type(item: Any) -> Type:
    """The IR type of a Python constant."""
    if item is None:
        return NONE
    if isinstance(item, np.ndarray):
        return tensor_type_of(item)
    simple: dict[type, Type] = {bool: BOOL, int: INT, float: FLOAT, str: STRING}
    return simple.get(type(item)) or concrete_type(abstract_constant(item))


def result_type(result: Any, declared: Type) -> Type:
    """The IR type of an operator's abstract result: what the rule found out, or what the schema says."""
    if isinstance(result, TensorType):
        return result
    if declared is NUMBER and isinstance(result, Unknown | int | float | Symbolic):
        return concrete_type(result)
    if isinstance(declared, IntType) and isinstance(result, int | Symbolic):
        return IntType(result)
    if isinstance(declared, ListType) and isinstance(result, list) and result and isinstance(result[0], TensorType):
        return declared
    return declared
