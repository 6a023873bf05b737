"""The code of an archive: classes and functions are found by their qualified names and compiled by the script frontend.

Text is parsed, never executed. A class is read when it is first named, the body of a method when it is first needed.
"""

from __future__ import annotations

import ast
import hashlib
import math
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from optc import config
from optc.archive.debug_information import DebugInformation
from optc.archive.deep_code import parse
from optc.archive.keyword_names import has_keyword_members, with_keywords_as_names
from optc.archive.upgraders import upgrade
from optc.archive.value_types import Fitting
from optc.archive.zip_reader import ZipReader
from optc.errors import ArchiveError, ScriptError, SourceRange
from optc.ir.function import ClassAttribute, ClassType, Function, WrittenCode
from optc.ir.schema import Argument, FunctionSchema
from optc.ir.types import FLOAT, NATIVE_CLASSES, NONE, EnumType, TupleType, Type
from optc.jit.code_dependencies import contained_types
from optc.jit.frontend.callables import FunctionValue
from optc.jit.frontend.enumerations import enum_class, register_enum
from optc.jit.frontend.missing_operators import ArchivedNamespaces, ArchivedTorch
from optc.jit.frontend.resolver import StringResolver, value_of_type
from optc.jit.frontend.signatures import read_signature
from optc.jit.frontend.simple import SimpleValue
from optc.jit.frontend.source import Source
from optc.jit.frontend.type_expressions import TypeExpressions
from optc.jit.frontend.values import SugaredValue
from optc.jit.frontend.writer import GraphWriter
from optc.jit.recursive import RECURSION

_MOST_FIELDS = 10_000
_MOST_WORDS = 400_000
"""Words and signs that the code of any archive may have. Each takes up to 2 KB in a syntax tree."""

_WORD = re.compile(r"\w+|[^\w\s]")
_LARGEST = 1 << 63  # with a minus before it, it fits 64 bits
_NUMBERS = {"inf": math.inf, "nan": math.nan, "infj": complex(0, math.inf), "nanj": complex(0, math.nan)}


class ArchiveCode:
    """The definitions in an archive of some version. What code calls `CONSTANTS.c0` is the first of `written.constants`."""

    def __init__(self, archive: ZipReader, folder: str, version: int) -> None:
        self.archive = archive
        self.folder = folder
        self.version = version
        self.written = WrittenCode()
        self.types: dict[str, Type] = {}
        self.sizes: dict[str, int] = {}
        self.functions: dict[str, Function] = {}
        self.resolver = ArchiveResolver(self)
        self._files: dict[str, _CodeFile | None] = {}
        self._words = 0

    def fail(self, entry: str, reason: str) -> ArchiveError:
        """The error for something wrong with an entry."""
        return self.archive.fail(entry, reason)

    def class_type(self, name: str) -> ClassType:
        """The class of that qualified name. Raises ArchiveError when the archive does not define it."""
        found = self.type(name)
        if not isinstance(found, ClassType):
            raise self.fail(self._entry(name), f"the class {name} is not defined")
        return found

    def type(self, name: str) -> Type | None:
        """The class, interface, NamedTuple or enumeration of that name; None when there is none."""
        if name in self.types:
            return self.types[name]
        if name.startswith(NATIVE_CLASSES):
            return self.types.setdefault(name, ClassType(name))
        file = self._file_of(name)
        node = file.definitions.get(name.rpartition(".")[2]) if file is not None else None
        if file is None or not isinstance(node, ast.ClassDef):
            return None
        with _Reading(self, file):
            return _ClassReader(self, file, name, node).read()

    def function(self, name: str) -> Function | None:
        """The function of that qualified name; None when there is none."""
        if name in self.functions:
            return self.functions[name]
        file = self._file_of(name)
        node = file.definitions.get(name.rpartition(".")[2]) if file is not None else None
        if file is None or not isinstance(node, ast.FunctionDef):
            return None
        self.functions[name] = self.compiled(name, file, node, None)
        return self.functions[name]

    def compiled(self, name: str, file: _CodeFile, node: ast.FunctionDef, class_: ClassType | None) -> Function:
        """A function or method that is compiled when it is first needed. Raises ArchiveError then."""

        def define(function: Function) -> None:
            with _Reading(self, file):
                defaults = self.defaults(node)
                RECURSION.define_tree(function, node, file.source, self.resolver, defaults, class_, None)
                upgrade(function.graph, self.version)

        def declare() -> FunctionSchema | None:
            with _Reading(self, file):
                return self.declared(file, node, class_)

        return Function(name, define=define, declare=declare, written=self.written)

    def declared(self, file: _CodeFile, node: ast.FunctionDef, class_: ClassType | None) -> FunctionSchema | None:
        """The schema of a definition whose annotations say what it returns; None for others."""
        if node.returns is None or (class_ is not None and not node.args.args):
            return None
        types = TypeExpressions(self.resolver, file.source)
        signature = read_signature(node, file.source.text, types, class_ is not None, self.defaults(node))
        arguments = signature.arguments
        if class_ is not None:
            arguments = (Argument(arguments[0].name, class_), *arguments[1:])
        assert signature.returns is not None
        return FunctionSchema(node.name, "", arguments, (Argument("", signature.returns),))

    def defaults(self, node: ast.FunctionDef) -> dict[str, Any]:
        """The default values of a definition's arguments."""
        names = [argument.arg for argument in node.args.args]
        values = map(self.literal, node.args.defaults)
        return dict(zip(names[len(names) - len(node.args.defaults) :], values))

    def literal(self, node: ast.expr) -> Any:
        """The value of a constant expression as archives write them. Raises ScriptError for others."""
        if isinstance(node, ast.Constant):
            if type(node.value) is int and node.value > _LARGEST:
                raise ScriptError("Integral constant out of range (must fit in a signed 64 bit integer)")
            return node.value
        if isinstance(node, ast.Name) and node.id in _NUMBERS:
            return _NUMBERS[node.id]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self.literal(node.operand)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            left, right = self.literal(node.left), self.literal(node.right)
            return left + right if isinstance(node.op, ast.Add) else left - right
        if isinstance(node, ast.List):
            return [self.literal(item) for item in node.elts]
        if isinstance(node, ast.Tuple):
            return tuple(self.literal(item) for item in node.elts)
        if isinstance(node, ast.Dict):
            pairs = ((key, value) for key, value in zip(node.keys, node.values) if key is not None)
            return {self.literal(key): self.literal(value) for key, value in pairs}
        if isinstance(node, ast.Call):
            return self._called_literal(node)
        if isinstance(node, ast.Attribute):
            return self._member_literal(node)
        raise ScriptError(f"{ast.unparse(node)} is no constant")

    def _member_literal(self, node: ast.Attribute) -> Any:
        owner = ast.unparse(node.value)
        if owner == "CONSTANTS":
            return self.constant(node.attr)
        enumeration = self.type(owner)
        members = enum_class(enumeration).__members__ if isinstance(enumeration, EnumType) else {}
        if node.attr not in members:
            raise ScriptError(f"{ast.unparse(node)} is no constant")
        return members[node.attr]

    def _called_literal(self, node: ast.Call) -> Any:
        called = ast.unparse(node.func)
        if called == "annotate" and len(node.args) == 2:
            return self.literal(node.args[1])
        if called == "torch.device" and len(node.args) == 1:
            return self.literal(node.args[0])
        raise ScriptError(f"{ast.unparse(node)} is no constant")

    def constant(self, name: str) -> Any:
        """The constant called `c3`. Raises ScriptError when there is none."""
        if name[:1] == "c" and name[1:].isdigit() and int(name[1:]) < len(self.written.constants):
            return self.written.constants[int(name[1:])]
        raise ScriptError(f"the archive has no constant {name}")

    def has_module(self, name: str) -> bool:
        """True when some entry's path continues `name`, so that it may be part of a qualified name."""
        start = f"{self.folder}code/{name.replace('.', '/')}"
        place = bisect_left(self._entries, f"{start}/")
        follows = place < len(self._entries) and self._entries[place].startswith(f"{start}/")
        return follows or f"{start}.py" in self.archive.entries

    @cached_property
    def _entries(self) -> list[str]:
        return sorted(self.archive.names)

    def check_syntax(self) -> None:
        """Parse all files. Raises ArchiveError for the first that is no code."""
        start = f"{self.folder}code/"
        digest = hashlib.sha256(f"version {self.version}".encode())
        for entry in self.archive.names:
            if entry.startswith(start) and entry.endswith(".py"):
                text = self._file(entry).source.text.encode()
                digest.update(f"\0{entry.removeprefix(start)}\0{len(text)}\0".encode() + text)
        self.written.digest = digest.hexdigest()

    def count_words(self, entry: str, text: str) -> None:
        """Raise ArchiveError for more code than an archive of this size should hold: a syntax tree is large."""
        self._words += sum(1 for _ in _WORD.finditer(text))
        self.archive.check_limit(
            entry, self._words, max(_MOST_WORDS, config.UNPACK_RATIO() * self.archive.size // 16), "words of code"
        )

    def _entry(self, name: str) -> str:
        return f"{self.folder}code/{name.rpartition('.')[0].replace('.', '/')}.py"

    def _file_of(self, name: str) -> _CodeFile | None:
        entry = self._entry(name)
        return self._file(entry) if entry in self.archive.entries else None

    def _file(self, entry: str) -> _CodeFile:
        found = self._files.get(entry)
        if found is None:
            found = self._files[entry] = _CodeFile(self, entry)
        return found


def _parsed(text: str) -> ast.Module:
    try:
        if "lambda : " in text:  # which Python takes for a function where it is the name of an attribute
            return parse(with_keywords_as_names(text))
        return parse(text)
    except SyntaxError:
        if not has_keyword_members(text):
            raise
        return parse(with_keywords_as_names(text))


def _originals(code: ArchiveCode, entry: str, text: str) -> Callable[[int, int], SourceRange | None] | None:
    """Finds the user's own source behind places in a code file; None where the archive does not tell."""
    described = f"{entry}.debug_pkl"
    if described not in code.archive.entries:
        return None
    return DebugInformation(text, lambda: code.archive.read(described)).original


class _CodeFile:
    """One parsed file: its definitions by name."""

    def __init__(self, code: ArchiveCode, entry: str) -> None:
        self.entry = entry
        try:
            text = bytes(code.archive.read(entry)).decode()
            code.count_words(entry, text)
            tree = _parsed(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise code.fail(entry, f"the code cannot be parsed: {error}") from error
        self.source = Source(text, entry.removeprefix(code.folder), original=_originals(code, entry, text))
        self.definitions = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


class _Reading:
    """Context manager: what goes wrong while code is read becomes an ArchiveError that names the file and entry."""

    def __init__(self, code: ArchiveCode, file: _CodeFile) -> None:
        self.code = code
        self.file = file

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is None or isinstance(error, ArchiveError):
            return
        if isinstance(error, ScriptError | RecursionError | KeyError | TypeError | ValueError):
            raise self.code.fail(self.file.entry, str(error)) from error


class _ClassReader:
    """Reads one class definition."""

    def __init__(self, code: ArchiveCode, file: _CodeFile, name: str, node: ast.ClassDef) -> None:
        self.code = code
        self.file = file
        self.name = name
        self.node = node
        self.types = TypeExpressions(code.resolver, file.source)

    def read(self) -> Type:
        """The type; it is known to the archive before its members are read, so that they may refer to it."""
        base = ast.unparse(self.node.bases[0]) if self.node.bases else ""
        if base == "NamedTuple":
            return self._named_tuple()
        if base == "Enum":
            return self._enum()
        class_ = ClassType(
            self.name,
            is_module=base in ("Module", "ModuleInterface"),
            is_interface=base.endswith("Interface"),
        )
        self.code.types[self.name] = class_
        try:
            for statement in self.node.body:
                self._member(class_, statement)
            self._mark_tensors(class_)
        except Exception:
            del self.code.types[self.name]
            raise
        if not class_.is_interface:
            self.code.written.classes.add(class_)
        return class_

    def _named_tuple(self) -> Type:
        fields = [each for each in self.node.body if isinstance(each, ast.AnnAssign)]
        names = tuple(each.target.id for each in fields if isinstance(each.target, ast.Name))
        elements = tuple(self.types.parse(each.annotation) for each in fields)
        made = TupleType(elements, self.name, names)
        size = self.code.sizes[self.name] = sum(map(self._size, elements))
        if size > _MOST_FIELDS:
            raise ScriptError(f"{self.name} has more than {_MOST_FIELDS} fields inside of fields")
        self.code.types[self.name] = made
        return made

    def _size(self, type_: Type) -> int:
        """How many types a type is made of: NamedTuples inside NamedTuples may double it with every line of code."""
        if isinstance(type_, TupleType) and type_.name is not None:
            return self.code.sizes.get(type_.name, 1)
        if isinstance(type_, ClassType):
            return 1
        return 1 + sum(map(self._size, contained_types(type_)))

    def _enum(self) -> EnumType:
        members: list[tuple[str, object]] = []
        for each in self.node.body:
            if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
                members.append((each.targets[0].id, self.code.literal(each.value)))
        made = self.code.types[self.name] = register_enum(self.name, members)
        return made

    def _member(self, class_: ClassType, node: ast.stmt) -> None:
        if isinstance(node, ast.FunctionDef):
            self._method(class_, node)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            self._attribute(class_, node.target.id, node)
        elif isinstance(node, ast.Assign):
            self._assigned(class_, node)
        elif not isinstance(node, ast.Pass):
            raise ScriptError("a class has an unexpected member", self.file.source.range(node))

    def _method(self, class_: ClassType, node: ast.FunctionDef) -> None:
        if class_.is_interface:
            class_.methods[node.name] = self._declared_method(class_, node)
            return
        method = self.code.compiled(f"{class_.name}.{node.name}", self.file, node, class_)
        class_.methods[node.name] = method

    def _declared_method(self, class_: ClassType, node: ast.FunctionDef) -> Function:
        """A method of an interface: a signature, and nothing to run."""
        signature = read_signature(node, self.file.source.text, self.types, True, {})
        arguments = (Argument(signature.arguments[0].name, class_), *signature.arguments[1:])
        returned = NONE if signature.returns is None else signature.returns
        schema = FunctionSchema(node.name, "", arguments, (Argument("", returned),))
        return Function(f"{class_.name}.{node.name}", schema)

    def _attribute(self, class_: ClassType, name: str, node: ast.AnnAssign) -> None:
        if node.value is None:
            class_.attributes[name] = ClassAttribute(self.types.parse(node.annotation))
            return
        type_ = self.types.parse(_without_final(node.annotation))
        value = self.code.literal(node.value)
        if not Fitting().fits(value, type_):
            raise ScriptError(f"the constant {name} is no {type_.annotation}", self.file.source.range(node))
        class_.constants[name] = float(value) if type_ is FLOAT and isinstance(value, int) else value
        class_.constant_types[name] = type_

    def _assigned(self, class_: ClassType, node: ast.Assign) -> None:
        target = node.targets[0]
        if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            class_.attributes[str(self.code.literal(target.slice))] = ClassAttribute(self.types.parse(node.value))

    def _mark_tensors(self, class_: ClassType) -> None:
        for node in self.node.body:
            if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
                continue
            kind = node.targets[0].id
            names = self.code.literal(node.value) if kind != "__annotations__" else []
            for name in names:
                self._mark(class_, kind, name)

    def _mark(self, class_: ClassType, kind: str, name: Any) -> None:
        members: Mapping[str, Any] = class_.methods if kind.endswith("hooks__") else class_.attributes
        if name not in members:
            raise ScriptError(f"{kind} names {name}, which is not defined")
        if kind == "__parameters__":
            class_.attributes[name].is_parameter = True
        elif kind == "__buffers__":
            class_.attributes[name].is_buffer = True
        elif kind == "__forward_hooks__":
            class_.forward_hooks.append(class_.methods[name])
        elif kind == "__forward_pre_hooks__":
            class_.forward_pre_hooks.append(class_.methods[name])


def _without_final(annotation: ast.expr) -> ast.expr:
    """The type inside `Final[...]`, which constants are declared with."""
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Final":
        return annotation.slice
    return annotation


class ArchiveResolver(StringResolver):
    """What names mean in an archive's code: those of strings, `CONSTANTS`, and qualified names under `__torch__`."""

    def __init__(self, code: ArchiveCode) -> None:
        super().__init__()
        self.code = code

    def value(self, name: str, writer: GraphWriter, source: SourceRange | None) -> SugaredValue | None:
        if name == "CONSTANTS":
            return _Constants(self.code)
        if name == "__torch__":
            return _QualifiedName(self.code, name)
        if name == "torch":
            return ArchivedTorch(self.code.archive.filename, self.code.version)
        if name == "ops":
            return ArchivedNamespaces(self.code.archive.filename, self.code.version)
        return super().value(name, writer, source)

    def type(self, name: str, source: SourceRange | None) -> Type | None:
        return self.code.type(name) if name.startswith("__torch__.") else None


class _Constants(SugaredValue):
    kind = "constants"

    def __init__(self, code: ArchiveCode) -> None:
        self.code = code

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        value = self.code.constant(name)
        return SimpleValue(writer.constant(getattr(value, "_array", value), source))


class _QualifiedName(SugaredValue):
    """The beginning of a qualified name."""

    kind = "module"

    def __init__(self, code: ArchiveCode, name: str) -> None:
        self.code = code
        self.name = name

    def attribute(self, writer: GraphWriter, source: SourceRange | None, name: str) -> SugaredValue:
        qualified = f"{self.name}.{name}"
        function = self.code.function(qualified)
        if function is not None:
            return FunctionValue(function)
        found = value_of_type(self.code.type(qualified))
        if found is not None:
            return found
        if self.code.has_module(qualified):
            return _QualifiedName(self.code, qualified)
        raise ScriptError(f"{qualified} is not defined", source)
