"""The parameters of a Flask route: those of its path, and those that its function reads from `request`.

Rule: what a function hands on to others is not followed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from archflow_compiler.drafting.naming import PARAMETER, spoken
from archflow_compiler.drafting.offer import MOST_VALUES, WITHOUT_BODY, Single, Value
from archflow_compiler.drafting.python_values import (
    Function,
    Module,
    Route,
    called,
    constant,
    keyword,
    name_of,
)
from archflow_schema.suggest import listed

_HOLE = re.compile(r"<(?:([a-z_]+)(?:\(([^()]*)\))?:)?(\w+)>")
_CONVERTERS = {"int": ("int", ""), "float": ("float", ""), "uuid": ("str", "uuid")}
_TYPES = {"int": "int", "float": "float", "bool": "bool", "str": "str"}
_BODY = frozenset({"json", "get_json"})
_NO_WORDS = {"form": "form", "files": "file", "cookies": "cookie", "headers": "header"}
Read = tuple[str, list[Value], set[str], list[str]]


def values(module: Module, route: Route) -> Read:
    """The path, the parameters, the names of those in the query, and what is left out."""
    _, told = module.docstring(route.function)
    found = {one.name: one for one in _of_path(route.path, told)}
    query: set[str] = set()
    left: dict[str, dict[str, None]] = {}
    for source, value in _known(module, route.function, told):
        if source in _NO_WORDS:
            left.setdefault(f"prompts give no {_NO_WORDS[source]}", {})[value.name] = None
        elif source == "body" and route.method in WITHOUT_BODY:
            left.setdefault(f"a {route.method} has no body", {})[value.name] = None
        elif value.name not in found or (value.required and not found[value.name].required):
            found[value.name] = value
            if source == "args":
                query.add(value.name)
    path = _HOLE.sub(lambda hole: f"{{{hole[3]}}}", route.path)
    return path, list(found.values())[:MOST_VALUES], query, _reasons(left)


def _known(module: Module, function: Function, told: dict[str, str]) -> list[tuple[str, Value]]:
    """What a function reads of its request; a function with many routes is looked at once."""
    if id(function) not in module.read:
        module.read[id(function)] = list(_read(module, function, told))
    return module.read[id(function)]


def _reasons(left: dict[str, dict[str, None]]) -> list[str]:
    return [f"{listed(names)} left out: {reason}" for reason, names in left.items()]


def _of_path(path: str, told: dict[str, str]) -> Iterator[Value]:
    for converter, inner, name in _HOLE.findall(path):
        kind, form = _CONVERTERS.get(converter, ("str", ""))
        options = (
            tuple(one.strip().strip("'\"") for one in inner.split(","))
            if converter == "any" and inner
            else ()
        )
        yield Value(
            name=name,
            description=told.get(name) or spoken(name),
            type=kind,
            format=form,
            enum=options,
            required=True,
            in_path=True,
        )


def _read(module: Module, function: Function, told: dict[str, str]) -> Iterator[tuple[str, Value]]:
    """What a function reads of its request: from where, and what."""
    nodes = list(ast.walk(function))
    bodies = {
        target.id
        for node in nodes
        if isinstance(node, ast.Assign) and _source(node.value, set()) == "body"
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    wrapped = {
        id(first): _TYPES[called(node)]
        for node in nodes
        if called(node) in _TYPES and (first := _first(node)) is not None
    }
    seen: list[tuple[int, int, str, Value]] = []
    for node in nodes:
        source, name, required, default, kind, many = "", None, True, None, "", False
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            source, name = _source(node.value, bodies), constant(node.slice)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in {"get", "getlist"}
        ):
            source, name = _source(node.func.value, bodies), constant(_first(node))
            given = node.args[1] if len(node.args) > 1 else keyword(node, "default")
            required, default = False, module.default(given)
            kind, many = _TYPES.get(name_of(keyword(node, "type")), ""), node.func.attr == "getlist"
        if not source or not isinstance(name, str) or not PARAMETER.fullmatch(name):
            continue
        kind = kind or wrapped.get(id(node), "") or _of_default(default)
        value = Value(
            name=name,
            description=told.get(name) or spoken(name),
            type="list" if many else kind,
            items=kind if many else "",
            required=required,
            default=default,
        )
        seen.append((getattr(node, "lineno", 0), getattr(node, "col_offset", 0), source, value))
    for _, _, source, value in sorted(seen, key=lambda one: one[:2]):
        yield source, value


def _of_default(default: Single | None) -> str:
    return type(default).__name__ if default is not None else "str"


def _first(node: ast.AST) -> ast.expr | None:
    return node.args[0] if isinstance(node, ast.Call) and node.args else None


def _source(node: ast.expr, bodies: set[str]) -> str:
    """Which part of the request an expression is: `args`, `body`, `form`, ...; empty if none."""
    if isinstance(node, ast.Name) and node.id in bodies:
        return "body"
    if isinstance(node, ast.BoolOp) and node.values:  # request.get_json() or {}
        return _source(node.values[0], bodies)
    if isinstance(node, ast.Call):
        node = node.func
    if not isinstance(node, ast.Attribute) or name_of(node.value) != "request":
        return ""
    if node.attr in _BODY:
        return "body"
    return node.attr if node.attr == "args" or node.attr in _NO_WORDS else ""
