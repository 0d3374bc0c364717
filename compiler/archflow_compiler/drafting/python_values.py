"""What the source of a module says of values: constants, types, classes, the words of a docstring.

Rule: a syntax tree in, values out; nothing is evaluated but constants.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Literal, TypeVar

from msgspec import Struct, structs

from archflow_compiler.drafting.naming import described
from archflow_compiler.drafting.offer import Single, Value, kind_of, single
from archflow_schema.diagnostic import Range

T = TypeVar("T", bound=ast.AST)
Function = ast.FunctionDef | ast.AsyncFunctionDef
_TYPES = {
    "int": ("int", ""), "float": ("float", ""), "bool": ("bool", ""), "str": ("str", ""), "Decimal": ("float", ""),
    "PositiveInt": ("int", ""), "NonNegativeInt": ("int", ""), "PositiveFloat": ("float", ""), "StrictStr": ("str", ""),
    "date": ("str", "date"), "datetime": ("str", "date-time"), "time": ("str", "time"),
    "timedelta": ("str", "duration"),
    "UUID": ("str", "uuid"), "UUID4": ("str", "uuid"), "EmailStr": ("str", "email"), "HttpUrl": ("str", "uri"),
    "AnyUrl": ("str", "uri"), "IPv4Address": ("str", "ipv4"), "Path": ("str", ""), "Any": ("str", ""),
    "dict": ("dict", ""), "Dict": ("dict", ""), "Mapping": ("dict", ""),
}  # fmt: skip
_LISTS = frozenset(
    {"list", "List", "set", "Set", "tuple", "Tuple", "Sequence", "Iterable", "frozenset", "FrozenSet"}
)
_MODELS = frozenset({"BaseModel", "SQLModel", "TypedDict", "Struct", "NamedTuple"})
_ENUMS = frozenset({"Enum", "StrEnum", "IntEnum"})
_DEEPEST = 12
_FIELDS_AT_MOST = 200
_BASES_AT_MOST = 50
_ARGUMENTS_AT_MOST = 200
_LONGEST_DOCSTRING = 10_000


class Route(Struct, frozen=True, kw_only=True):
    """A function that answers a method at a path; `alone` if it answers no other method there."""

    function: Function
    decorator: ast.Call
    framework: Literal["fastapi", "flask"]
    method: str
    path: str
    alone: bool = True


class Kind(Struct, frozen=True, kw_only=True):
    """What an annotation says.

    Attributes:
        type, items, format, enum: as of a parameter; the type is empty if it is of another module.
        optional: whether None may stand there.
        model: the class of the module whose fields it has.
        metadata: what `Annotated` has behind the type.
        name: what it is called.
    """

    type: str = ""
    items: str = ""
    format: str = ""
    enum: tuple[Single, ...] = ()
    optional: bool = False
    model: ast.ClassDef | None = None
    metadata: tuple[ast.expr, ...] = ()
    name: str = ""


class Field(Struct, frozen=True, kw_only=True):
    """A field of a model: its annotation, and what stands behind the equals sign."""

    name: str
    annotation: ast.expr
    default: ast.expr | None


class Module:
    """A module, walked once.

    Attributes:
        file: its name.
        classes: by name.
        imported: the top-level modules that it imports.
        read: what functions read of their requests, by the function's id, as far as it was looked at.
    """

    def __init__(self, file: str, tree: ast.Module) -> None:
        self.file = file
        self.read: dict[int, list[tuple[str, Value]]] = {}
        self._docstrings: dict[int, tuple[str, dict[str, str]]] = {}
        self._nodes = list(ast.walk(tree))
        self.classes = {node.name: node for node in self.of(ast.ClassDef)}
        named = [one.name for node in self.of(ast.Import) for one in node.names]
        named += [node.module or "" for node in self.of(ast.ImportFrom)]
        self.imported = {name.partition(".")[0] for name in named}

    def of(self, sort: type[T]) -> Iterator[T]:
        """Every node of a sort."""
        return (node for node in self._nodes if isinstance(node, sort))

    @property
    def functions(self) -> Iterator[Function]:
        """Every function."""
        return (node for node in self._nodes if isinstance(node, Function))

    def docstring(self, function: Function) -> tuple[str, dict[str, str]]:
        """A function's docstring, and what it says of parameters: `Args:` as Google writes it, or `:param name:`."""
        known = self._docstrings.get(id(function))
        if known is None:
            text = (ast.get_docstring(function) or "")[:_LONGEST_DOCSTRING]
            known = self._docstrings[id(function)] = (text, _told(text))
        return known

    def fields(self, model: ast.ClassDef) -> list[Field]:
        """The fields of a model, those of its bases in this module first."""
        found: dict[str, Field] = {}
        for one in reversed(self._line(model)):
            for node in one.body:
                if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
                    continue
                name = node.target.id
                if (
                    not name.startswith("_")
                    and name != "model_config"
                    and name_of(node.annotation) != "ClassVar"
                ):
                    found[name] = Field(name=name, annotation=node.annotation, default=node.value)
        return list(found.values())[:_FIELDS_AT_MOST]

    def _line(self, model: ast.ClassDef) -> list[ast.ClassDef]:
        """A class and those of this module that it is made of, each once, the nearest first."""
        found = {id(model): model}
        ahead = [model]
        while ahead and len(found) < _BASES_AT_MOST:
            for base in ahead.pop(0).bases:
                known = self.classes.get(name_of(base))
                if known is not None and id(known) not in found:
                    found[id(known)] = known
                    ahead.append(known)
        return list(found.values())

    def kind(self, annotation: ast.expr | None, deep: int = 0) -> Kind:
        """What an annotation says."""
        if annotation is None:
            return Kind(type="str")
        if deep > _DEEPEST:
            return Kind()
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            return self._quoted(annotation.value, deep)
        if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
            return self._union([annotation.left, annotation.right], deep)
        if isinstance(annotation, ast.Subscript):
            return self._subscript(annotation, deep)
        name = name_of(annotation)
        if name in _TYPES:
            kind, form = _TYPES[name]
            return Kind(type=kind, format=form, name=name)
        if name in _LISTS:
            return Kind(type="list", items="str", name=name)
        known = self.classes.get(name)
        if known is None:
            return Kind(name=name)
        if self._is(known, _ENUMS):
            return self._enum(known)
        if self._is(known, _MODELS) or any("dataclass" in name_of(one) for one in known.decorator_list):
            return Kind(type="dict", model=known, name=name)
        return Kind(name=name)

    def _quoted(self, text: str, deep: int) -> Kind:
        try:
            return self.kind(ast.parse(text[:500], mode="eval").body, deep + 1)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return Kind()

    def _union(self, parts: list[ast.expr], deep: int) -> Kind:
        rest = [one for one in parts if not (isinstance(one, ast.Constant) and one.value is None)]
        first = self.kind(rest[0], deep + 1) if rest else Kind(type="str")
        optional = len(rest) < len(parts) or first.optional
        return structs.replace(
            first, optional=optional or any(self.kind(one, deep + 1).optional for one in rest[1:])
        )

    def _subscript(self, node: ast.Subscript, deep: int) -> Kind:
        name = name_of(node.value)
        inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
        if not inner:
            return Kind(name=name)
        if name == "Annotated":
            return structs.replace(self.kind(inner[0], deep + 1), metadata=tuple(inner[1:]))
        if name in {"Optional", "Union"}:
            found = self._union(inner, deep)
            return structs.replace(found, optional=found.optional or name == "Optional")
        if name == "Literal":
            values = [one for each in inner if (one := single(constant(each))) is not None]
            return Kind(type=kind_of(values), enum=tuple(dict.fromkeys(values)), name=name)
        if name in _LISTS:
            item = self.kind(inner[0], deep + 1)
            return Kind(type="list", items=item.type or "str", enum=item.enum, name=name)
        if name in _TYPES:
            return Kind(type=_TYPES[name][0], name=name)
        return Kind(name=name)

    def _is(self, model: ast.ClassDef, sorts: frozenset[str]) -> bool:
        """Whether a class is made of one of these."""
        return any(name_of(base) in sorts for one in self._line(model) for base in one.bases)

    def _enum(self, node: ast.ClassDef) -> Kind:
        values = [
            one
            for each in node.body
            if isinstance(each, ast.Assign) and (one := single(constant(each.value))) is not None
        ]
        return Kind(type=kind_of(values), enum=tuple(dict.fromkeys(values)), name=node.name)

    def default(self, node: ast.expr | None) -> Single | None:
        """A default as a configuration has it: a constant, or a member of an enum of this module."""
        if isinstance(node, ast.Attribute) and (known := self.classes.get(name_of(node.value))) is not None:
            for each in known.body:
                if isinstance(each, ast.Assign) and any(name_of(one) == node.attr for one in each.targets):
                    return single(constant(each.value))
        return single(constant(node))


def arguments(function: Function) -> list[tuple[str, ast.expr | None, ast.expr | None]]:
    """Name, annotation and default of each parameter."""
    told = function.args
    first = [*told.posonlyargs, *told.args]
    defaults: list[ast.expr | None] = [*[None] * (len(first) - len(told.defaults)), *told.defaults]
    pairs = [*zip(first, defaults, strict=True), *zip(told.kwonlyargs, told.kw_defaults, strict=True)]
    named = [(one.arg, one.annotation, default) for one, default in pairs if one.arg not in {"self", "cls"}]
    return named[:_ARGUMENTS_AT_MOST]


def name_of(node: ast.AST | None) -> str:
    """The last name of an expression: `datetime.date` gives `date`, `Field(...)` gives `Field`."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def called(node: ast.AST | None) -> str:
    """The last name of what is called; empty if nothing is."""
    return name_of(node) if isinstance(node, ast.Call) else ""


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """A keyword argument of a call."""
    return next((one.value for one in call.keywords if one.arg == name), None)


def constant(node: ast.AST | None) -> object:
    """The value of a constant; None for anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = constant(node.operand)
        return -inner if isinstance(inner, int | float) and not isinstance(inner, bool) else None
    return node.value if isinstance(node, ast.Constant) else None


def place(module: Module, node: ast.AST) -> Range | None:
    """Where a node begins."""
    line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
    if not line:
        return None
    return Range(file=module.file, line=line, column=column + 1, end_line=line, end_column=column + 2)


_GOOGLE = re.compile(r"^[ \t]{0,16}(\*{0,2}\w+)[ \t]*(?:\([^()\n]{0,100}\))?:[ \t]+(\S.*)$", re.MULTILINE)
_SPHINX = re.compile(r":param (?:[\w\[\], |]{1,60} )?(\w+):[ \t]*(\S.*)")


def _told(text: str) -> dict[str, str]:
    found = {name: described(words) for name, words in _SPHINX.findall(text)}
    _, mark, rest = text.partition("Args:\n")
    if mark:
        listed = re.split(r"\n\s*\n", rest, maxsplit=1)[0]
        found |= {name: described(words) for name, words in _GOOGLE.findall(listed)}
    return found
