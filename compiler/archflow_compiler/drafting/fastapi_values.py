"""The parameters of a FastAPI route, by its function's signature and by the models of its module.

Rule: what FastAPI takes from a header, a cookie or a form is left out, with the reason.
"""

from __future__ import annotations

import ast
import re

from archflow_compiler.drafting.naming import PARAMETER, described, spoken
from archflow_compiler.drafting.offer import MOST_VALUES, WITHOUT_BODY, Value, fits
from archflow_compiler.drafting.python_values import (
    Kind,
    Module,
    Route,
    arguments,
    called,
    constant,
    keyword,
    name_of,
)

_HOLE = re.compile(r"\{([^{}:]*)(?::[^{}]*)?\}")
_INNER = frozenset({
    "Request", "Response", "WebSocket", "BackgroundTasks", "HTTPConnection", "SecurityScopes", "JSONResponse",
})  # fmt: skip
_ELSEWHERE = {"Header": "header", "Cookie": "cookie", "Form": "form", "File": "file"}
_MARKERS = frozenset({"Query", "Path", "Body", *_ELSEWHERE})
_DEPENDS = frozenset({"Depends", "Security"})
Read = tuple[str, list[Value], set[str], list[str]]


def values(module: Module, route: Route) -> Read:
    """The path, the parameters, the names of those in the query, and what is left out."""
    holes = list(dict.fromkeys(_HOLE.findall(route.path)))
    _, told = module.docstring(route.function)
    found: dict[str, Value] = {}
    bodies: list[tuple[str, Kind, ast.expr | None, ast.Call | None]] = []
    query: set[str] = set()
    left: list[str] = []
    for name, annotation, default in arguments(route.function):
        kind = module.kind(annotation)
        marker = next((one for one in (default, *kind.metadata) if called(one) in _MARKERS | _DEPENDS), None)
        call = marker if isinstance(marker, ast.Call) else None
        sort = called(call)
        if sort in _DEPENDS:
            left.append(f"what {name} depends on is not read")
        elif kind.name in _INNER or (kind.name == "UploadFile" and name not in holes):
            left += [f"{name} is left out: prompts give no file"] if kind.name == "UploadFile" else []
        elif sort in _ELSEWHERE:
            left.append(f"{name} is left out: prompts give no {_ELSEWHERE[sort]}")
        elif name in holes:
            found[name] = _value(module, name, kind, None, call, told, in_path=True)
        elif sort == "Body" or (kind.model is not None and sort != "Query"):
            bodies.append((name, kind, default, call))
        elif not kind.type:
            left.append(f"{name} is left out: {kind.name or 'its type'} is not defined in this module")
        else:
            value = _value(module, name, kind, default, call, told)
            found[value.name] = value
            query.add(value.name)
    for hole in holes:
        found.setdefault(hole, Value(name=hole, description=spoken(hole), required=True, in_path=True))
    _bodies(module, route, bodies, found, left, told)
    query -= {one.name for one in found.values() if one.in_path}
    return route.path, list(found.values())[:MOST_VALUES], query, left


def _bodies(
    module: Module,
    route: Route,
    bodies: list[tuple[str, Kind, ast.expr | None, ast.Call | None]],
    found: dict[str, Value],
    left: list[str],
    told: dict[str, str],
) -> None:
    """The fields of the one model that the body is; several bodies each stand under their names."""
    if not bodies:
        return
    if route.method in WITHOUT_BODY:
        left.append(f"{', '.join(one[0] for one in bodies)} is left out: a {route.method} has no body")
        return
    name, kind, default, call = bodies[0]
    embedded = len(bodies) > 1 or (call is not None and constant(keyword(call, "embed")) is True)
    if not embedded and kind.model is None:
        left.append(
            f"{name} is left out: the body is {kind.type or kind.name or 'something'}, no object with fields"
        )
        return
    if embedded:
        for name, kind, default, call in bodies:
            given = _value(module, name, kind, default, call, told)
            found.setdefault(given.name, given)
        return
    assert kind.model is not None  # noqa: S101 - seen above
    for field in module.fields(kind.model):
        inner = module.kind(field.annotation)
        marked = next(
            (one for one in (field.default, *inner.metadata) if called(one) in {"Field", "field"}), None
        )
        given = _value(
            module, field.name, inner, field.default, marked if isinstance(marked, ast.Call) else None, {}
        )
        if given.name in found:
            left.append(f"{given.name} stands in the body too, and is sent once only")
        else:
            found[given.name] = given


def _value(
    module: Module,
    name: str,
    kind: Kind,
    default: ast.expr | None,
    call: ast.Call | None,
    told: dict[str, str],
    *,
    in_path: bool = False,
) -> Value:
    """A parameter, by its type, its default, and what `Query(...)` or `Field(...)` says of it."""
    explained = constant(keyword(call, "description")) if call is not None else None
    alias = constant(keyword(call, "alias")) if call is not None and not in_path else None
    given = default
    if call is not None and default is call:
        given = call.args[0] if call.args else keyword(call, "default")
    made = call is not None and keyword(call, "default_factory") is not None
    missing = given is None or constant(given) is ... or name_of(given) == "Undefined"
    value = module.default(given)
    if value is not None and kind.type and not fits(kind.type, value):
        value = None
    remarks = []
    if not missing and value is None and constant(given) is None and not _is_nothing(given):
        remarks.append("its default is no single value")
    options = kind.enum if kind.type != "list" else ()
    words = described(explained) if isinstance(explained, str) else told.get(name, "")
    if kind.type == "list" and kind.enum:
        words = f"{words or spoken(name)}: {', '.join(map(str, kind.enum[:20]))}"
    if not kind.type:
        remarks.append(f"{kind.name or 'its type'} is not defined in this module")
    return Value(
        name=alias if isinstance(alias, str) and PARAMETER.fullmatch(alias) else name,
        description=words or spoken(name),
        type=kind.type or "str",
        items=kind.items,
        required=in_path or (missing and not made),
        default=None if in_path or (options and value not in options) else value,
        enum=options,
        format=kind.format,
        in_path=in_path,
        remarks=tuple(remarks),
    )


def _is_nothing(node: ast.expr | None) -> bool:
    """Whether a default is None, or a list with nothing in it, which is what is sent when nobody says anything."""
    if isinstance(node, ast.List | ast.Tuple):
        return not node.elts
    return isinstance(node, ast.Constant) and node.value is None
