"""The grammar: refuses what TorchScript does not have, anywhere in a definition, and removes sugar.

Chained comparisons and `and`/`or` become binary, `not in` becomes `not (... in ...)`, f-strings become calls of
`format`, generator expressions lists.
"""

from __future__ import annotations

import ast
from typing import NoReturn

from optc.errors import SourceRange, UnsupportedNodeError
from optc.jit.frontend.source import Source

_NAMES: dict[type[ast.AST], str] = {
    ast.FunctionDef: "function definitions",
    ast.AsyncFunctionDef: "async function definitions",
    ast.ClassDef: "class definitions",
    ast.AsyncFor: "async for loops",
    ast.AsyncWith: "async with statements",
    ast.Try: "try blocks",
    ast.Import: "import statements",
    ast.ImportFrom: "import statements",
    ast.Global: "global variables",
    ast.Nonlocal: "nonlocal variables",
}
"""What messages call the statements that are refused; expressions go by the name of their class."""

_AUGMENTED = (
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod, ast.BitOr, ast.BitAnd, ast.BitXor, ast.LShift, ast.RShift, ast.Pow,
)  # fmt: skip

_ALLOWED = (
    ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return, ast.Raise, ast.Assert, ast.Pass, ast.Break,
    ast.Continue, ast.If, ast.While, ast.For, ast.With, ast.Delete, ast.Name, ast.Constant, ast.Attribute, ast.Call,
    ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.IfExp, ast.Compare, ast.Subscript, ast.Slice, ast.List, ast.Tuple, ast.Dict,
    ast.JoinedStr, ast.ListComp, ast.DictComp, ast.GeneratorExp, ast.Starred,
)  # fmt: skip

_RESERVED_PREFIX = "__jit"

_VARIADIC = "Compiled functions can't take variable number of arguments or use keyword-only arguments with defaults"


def normalize(node: ast.FunctionDef, source: Source, nested_definitions: bool = False) -> ast.FunctionDef:
    """The definition checked and without sugar; the given tree is changed. Raises UnsupportedNodeError.

    `nested_definitions`: text may define the functions it forks inside another one, as archives do.
    """
    _check_arguments(node.args, source)
    normalizer = _Normalizer(source, node.name, nested_definitions)
    node.body = [normalizer.statement(statement) for statement in node.body]
    return node


def _check_arguments(arguments: ast.arguments, source: Source) -> None:
    for extra in (arguments.kwarg, arguments.vararg):
        if extra is not None:
            raise UnsupportedNodeError(_VARIADIC, source.range(extra))
    for default in arguments.kw_defaults:
        if default is not None:
            raise UnsupportedNodeError(_VARIADIC, source.range(default))


class _Normalizer(ast.NodeTransformer):
    def __init__(self, source: Source, function: str, nested_definitions: bool) -> None:
        self.source = source
        self.function = function
        self.nested_definitions = nested_definitions

    def _refuse(self, message: str, node: ast.AST) -> NoReturn:
        place: SourceRange = self.source.range(node)
        raise UnsupportedNodeError(message, place)

    def visit(self, node: ast.AST) -> ast.AST:
        is_part = not isinstance(node, ast.stmt | ast.expr)
        is_definition = isinstance(node, ast.FunctionDef) and self.nested_definitions
        if not is_part and not is_definition and not isinstance(node, _ALLOWED):
            self._refuse(f"{_NAMES.get(type(node), type(node).__name__)} aren't supported", node)
        method = getattr(self, f"visit_{type(node).__name__}", self.generic_visit)
        visited: ast.AST = method(node)
        return visited

    def statement(self, node: ast.stmt) -> ast.stmt:
        visited = self.visit(node)
        assert isinstance(visited, ast.stmt)
        return visited

    def expression(self, node: ast.expr) -> ast.expr:
        visited = self.visit(node)
        assert isinstance(visited, ast.expr)
        return visited

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return normalize(node, self.source, True)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            self._refuse("annotated assignments without assigned value aren't supported", node)
        target = node.target
        on_self = isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self"
        if on_self and self.function != "__init__":
            self._refuse(
                f"Type annotations on instance attributes must be declared in __init__, not '{self.function}'",
                node,
            )
        self.visit(target)  # a name, an attribute or an item: changed in place
        node.value = self.expression(node.value)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        if not isinstance(node.op, _AUGMENTED):
            self._refuse(f"unsupported kind of augmented assignment: {type(node.op).__name__}", node)
        return self.generic_visit(node)

    def visit_While(self, node: ast.While) -> ast.AST:
        if node.orelse:
            self._refuse("else branches of while loops aren't supported", node)
        return self.generic_visit(node)

    def visit_For(self, node: ast.For) -> ast.AST:
        if node.orelse:
            self._refuse("else branches of for loops aren't supported", node)
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if node.exc is None:
            self._refuse("raise without an exception isn't supported", node)
        node.exc = self.expression(node.exc)
        node.cause = None
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id.startswith(_RESERVED_PREFIX):
            self._refuse(f"names of variables used in JIT-ed functions can't start with {_RESERVED_PREFIX}", node)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, bytes):
            self._refuse("Unknown Constant expression type", node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        for keyword in node.keywords:
            if keyword.arg is None:
                self._refuse("keyword-arg expansion is not supported", keyword.value)
        return self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        if None in node.keys:
            self._refuse("Dict expansion (e.g. `{**dict}`) is not supported", node)
        return self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        if isinstance(node.op, ast.UAdd):
            self._refuse("unsupported unary operator: UAdd", node)
        return self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        values = [self.expression(value) for value in node.values]
        result = values[0]
        for value in values[1:]:
            result = ast.copy_location(ast.BoolOp(node.op, [result, value]), node)
        return result

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        operands = [self.expression(operand) for operand in (node.left, *node.comparators)]
        result: ast.expr | None = None
        for left, comparison, right in zip(operands, node.ops, operands[1:]):
            single = self._comparison(node, left, comparison, right)
            result = single if result is None else ast.copy_location(ast.BoolOp(ast.And(), [result, single]), node)
        assert result is not None
        return result

    @staticmethod
    def _comparison(node: ast.Compare, left: ast.expr, comparison: ast.cmpop, right: ast.expr) -> ast.expr:
        negated = isinstance(comparison, ast.NotIn)
        used = ast.In() if negated else comparison
        single: ast.expr = ast.copy_location(ast.Compare(left, [used], [right]), node)
        return ast.copy_location(ast.UnaryOp(ast.Not(), single), node) if negated else single

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        text = ""
        arguments: list[ast.expr] = []
        for part in node.values:
            if isinstance(part, ast.Constant):
                text += str(part.value)
                continue
            assert isinstance(part, ast.FormattedValue)
            if part.conversion != -1:
                self._refuse("Don't support conversion in JoinedStr", part)
            if part.format_spec is not None:
                self._refuse("Don't support formatting in JoinedStr", part)
            text += "{}"
            arguments.append(self.expression(part.value))
        template = ast.copy_location(ast.Constant(text), node)
        callee = ast.copy_location(ast.Attribute(template, "format", ast.Load()), node)
        return ast.copy_location(ast.Call(callee, arguments, []), node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        return self.visit_ListComp(ast.copy_location(ast.ListComp(node.elt, node.generators), node))

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        self._check_generators(node.generators, node)
        return self.generic_visit(node)

    def visit_DictComp(self, node: ast.DictComp) -> ast.AST:
        self._check_generators(node.generators, node)
        return self.generic_visit(node)

    def _check_generators(self, generators: list[ast.comprehension], node: ast.expr) -> None:
        if len(generators) != 1:
            self._refuse("Only a single generator is currently supported", node)
        if generators[0].ifs:
            self._refuse("Comprehension ifs are not supported yet", node)
