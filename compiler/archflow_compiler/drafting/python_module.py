"""A module of a FastAPI or Flask application -> what can be called: its routes.

Rule: the module is parsed, never imported: what other modules define is not known, and what depends on it is a remark.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from archflow_compiler.drafting import fastapi_values, flask_values
from archflow_compiler.drafting.document import Notes
from archflow_compiler.drafting.naming import UNDESCRIBED, Unique, described, guessed, of_path, plain, snake
from archflow_compiler.drafting.offer import MOST_CALLS, MOST_VALUES, WITHOUT_BODY, Call, Host, Offer
from archflow_compiler.drafting.python_values import Module, Route, called, constant, keyword, name_of, place
from archflow_compiler.source import Source
from archflow_schema.diagnostic import Range

Framework = Literal["fastapi", "flask"]
_APPS: dict[str, Framework] = {
    "FastAPI": "fastapi",
    "APIRouter": "fastapi",
    "Flask": "flask",
    "Blueprint": "flask",
    "APIBlueprint": "flask",
    "APIFlask": "flask",
}
_PREFIXES = ("prefix", "url_prefix")
_VERBS = {"get": "GET", "post": "POST", "put": "PUT", "patch": "PATCH", "delete": "DELETE"}
_SEVERAL = frozenset({"route", "api_route"})
_PORTS = {"fastapi": 8000, "flask": 5000}
_LARGEST = 1024 * 1024
_CONVERTED = re.compile(r"\{([^{}:]*):[^{}]*\}")


class _App(Struct):
    """An application or router: what it is made with, and what stands before its paths."""

    framework: Framework
    prefix: str


def offer(source: Source, notes: Notes) -> Offer | None:
    """What a module offers; None if it cannot be read or offers nothing, which is reported."""
    tree = _parsed(source, notes)
    if tree is None:
        return None
    module = Module(source.file, tree)
    apps = _apps(module)
    names = Unique()
    calls: list[Call] = []
    frameworks: set[Framework] = set()
    routes = sorted(_routes(module, apps, notes), key=lambda one: (one.function.lineno, one.method))
    for route in routes[:MOST_CALLS]:
        frameworks.add(route.framework)
        calls.append(_call(module, route, names, notes))
    if len(routes) > MOST_CALLS:
        notes.warning(
            "too-many-operations",
            f"only the first {MOST_CALLS} of {len(routes)} operations are drafted",
            None,
        )
    if not calls:
        notes.error(
            "no-operations",
            "the module has no route of FastAPI or Flask that a prompt could call",
            None,
            fix="name the module with the functions that are decorated, such as `@app.get(...)`",
        )
        return None
    host = Host(
        name="api",
        address=f"127.0.0.1:{_port(module, frameworks)}",
        protocol="http",
        remark="where it runs, a module does not say",
    )
    return Offer(hosts=(host,), calls=tuple(calls))


def _parsed(source: Source, notes: Notes) -> ast.Module | None:
    if len(source.text) > _LARGEST:
        notes.error("file-too-large", f"a module of more than {_LARGEST} characters is not read", None)
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source.text)
    except SyntaxError as error:
        line, column = max(1, error.lineno or 1), max(1, error.offset or 1)
        where = Range(file=source.file, line=line, column=column, end_line=line, end_column=column + 1)
        notes.error("python-syntax", f"this is not Python: {plain(error.msg, 120)}", where)
    except (RecursionError, MemoryError):
        notes.error("python-syntax", "this is not Python that can be read: it is nested too deep", None)
    except ValueError as error:
        notes.error("python-syntax", f"this is not Python: {plain(str(error), 120)}", None)
    return None


def _apps(module: Module) -> dict[str, _App]:
    """Applications and routers by the names of their variables, with their whole prefixes."""
    apps: dict[str, _App] = {}
    made = [(target, node.value) for node in module.of(ast.Assign) for target in node.targets]
    made += [(node.target, node.value) for node in module.of(ast.AnnAssign) if node.value is not None]
    for target, value in made:
        framework = _APPS.get(called(value))
        if framework is not None and isinstance(target, ast.Name) and isinstance(value, ast.Call):
            apps[target.id] = _App(framework, _prefix(value))
    for call in module.of(ast.Call):
        if called(call) in {"include_router", "register_blueprint"} and call.args:
            name = name_of(call.args[0])
            if name in apps:
                apps[name].prefix = _prefix(call) + apps[name].prefix
    return apps


def _prefix(call: ast.Call) -> str:
    found = next((constant(value) for one in _PREFIXES if (value := keyword(call, one)) is not None), "")
    return found.rstrip("/") if isinstance(found, str) else ""


def _routes(module: Module, apps: dict[str, _App], notes: Notes) -> Iterator[Route]:
    """Every route, one for each of its methods."""
    guessed: Framework = (
        "flask" if "flask" in module.imported and "fastapi" not in module.imported else "fastapi"
    )
    for function in module.functions:
        for decorator in function.decorator_list:
            if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Attribute):
                continue
            verb = decorator.func.attr
            if verb not in _VERBS and verb not in _SEVERAL:
                continue
            owner = decorator.func.value
            app = apps.get(owner.id) if isinstance(owner, ast.Name) else None
            given = (
                decorator.args[0]
                if decorator.args
                else (keyword(decorator, "path") or keyword(decorator, "rule"))
            )
            path = constant(given) if given is not None else None
            reason = ""
            if not isinstance(path, str):
                reason = "its path is not written there" if app is not None else ""
            elif constant(keyword(decorator, "include_in_schema")) is False:
                reason = "it is not in the API's own schema"
            elif path.count("{") + path.count("<") > MOST_VALUES:
                reason = "its path has too many places"
            if reason:
                summary = f"{function.name} is left out: {reason}"
                notes.note("left-out", summary, place(module, decorator))
            if reason or not isinstance(path, str) or (app is None and not path.startswith("/")):
                continue
            framework = app.framework if app is not None else guessed
            methods = _methods(decorator, verb)
            for method in methods:
                yield Route(
                    alone=len(methods) == 1,
                    function=function,
                    decorator=decorator,
                    framework=framework,
                    method=method,
                    path=_joined(app.prefix if app is not None else "", path),
                )


def _joined(prefix: str, path: str) -> str:
    whole = f"{prefix}/{path.lstrip('/')}" if path or not prefix else prefix
    return whole if whole.startswith("/") else f"/{whole}"


def _methods(decorator: ast.Call, verb: str) -> list[str]:
    if verb in _VERBS:
        return [_VERBS[verb]]
    told = keyword(decorator, "methods")
    given = told.elts if isinstance(told, ast.List | ast.Tuple | ast.Set) else []
    named = [str(constant(one)).upper() for one in given]
    return [one for one in dict.fromkeys(named) if one in _VERBS.values()] or ([] if named else ["GET"])


def _call(module: Module, route: Route, names: Unique, notes: Notes) -> Call:
    decorator = route.decorator
    identified = constant(keyword(decorator, "operation_id"))
    wanted = snake(identified if isinstance(identified, str) else route.function.name)
    if not route.alone:
        wanted = snake(f"{route.method.lower()}_{wanted}")
    name = names.name(wanted or of_path(route.method, route.path))
    remarks = ["deprecated"] if constant(keyword(decorator, "deprecated")) is True else []
    description = _description(module, route)
    if not description:
        description = guessed(name)
        remarks.append(UNDESCRIBED)
        summary = f"{route.function.name} has neither a docstring nor a summary"
        notes.note("no-description", summary, place(module, route.function))
    reader = fastapi_values if route.framework == "fastapi" else flask_values
    path, values, more, left = reader.values(module, route)
    for reason in left:
        notes.note("left-out", f"{route.function.name}: {reason}", place(module, route.function))
    in_query = [one.name for one in values if one.name in more] if route.method not in WITHOUT_BODY else []
    query = "?" + "&".join(f"{one}={{{one}}}" for one in in_query) if in_query else ""
    return Call(
        name=name,
        description=description,
        method=route.method,
        path=_CONVERTED.sub(r"{\1}", path) + query,
        host="api",
        values=tuple(values),
        remarks=(*remarks, *left),
    )


def _description(module: Module, route: Route) -> str:
    """What a route says of itself: its summary, and its description or its function's docstring."""
    title, longer = (constant(keyword(route.decorator, one)) for one in ("summary", "description"))
    documented, _ = module.docstring(route.function)
    told = described(longer if isinstance(longer, str) else documented)
    title = described(title) if isinstance(title, str) else ""
    return described(f"{title.rstrip('.')}. {told}") if title and told else title or told


def _port(module: Module, frameworks: set[Framework]) -> int:
    """The port that the module itself runs on, or the framework's usual one."""
    for node in module.of(ast.Call):
        port = constant(keyword(node, "port")) if called(node) == "run" else None
        if isinstance(port, int) and 0 < port < 65_536:
            return port
    return _PORTS["flask" if frameworks == {"flask"} else "fastapi"]
