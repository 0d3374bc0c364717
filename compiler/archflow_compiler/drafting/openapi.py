"""An OpenAPI 3 document -> what can be called: each operation with its parameters, its host and its credentials.

Rule: it knows OpenAPI and nothing of YAML or of how a draft is written.
"""

from __future__ import annotations

import re
from itertools import islice
from urllib.parse import quote

from msgspec import structs

from archflow_compiler.drafting.document import Document, Notes
from archflow_compiler.drafting.hosts import Hosts, credentials
from archflow_compiler.drafting.naming import (
    HOLE,
    PARAMETER,
    UNDESCRIBED,
    Unique,
    described,
    guessed,
    of_path,
    plain,
    snake,
    spoken,
)
from archflow_compiler.drafting.offer import MOST_CALLS, MOST_VALUES, WITHOUT_BODY, Call, Offer, Value
from archflow_compiler.drafting.schemas import Schemas
from archflow_compiler.lower.services import OF_A_PATH
from archflow_compiler.tree import Mapping, Node, Scalar, head

METHODS = ("get", "post", "put", "patch", "delete")
_ELSEWHERE = frozenset({"head", "options", "trace", "query"})
_VERSION = re.compile(r"3\.\d")
_JSON = re.compile(r"application/(?:[\w.-]+\+)?json|\*/\*", re.IGNORECASE)
_LONGEST_NAME = 200
_LOOKED_AT = 2 * MOST_VALUES
"""Parameters and properties of an operation that are looked at."""


def offer(root: Mapping, notes: Notes) -> Offer | None:
    """What a document offers; None if it is none, which is reported."""
    document = Document(root, notes)
    if not _is_openapi(document):
        return None
    return _Reader(document).offer()


def _is_openapi(document: Document) -> bool:
    root, notes = document.root, document.notes
    version = document.look(root, "openapi")
    said = (version.raw or str(version.value)) if isinstance(version, Scalar) else ""
    if _VERSION.match(said):
        return True
    swagger = root.entry("swagger")
    if swagger is not None:
        notes.error(
            "openapi-version",
            "this document is of Swagger 2.0, and OpenAPI 3.0 and 3.1 are read",
            swagger.key_range,
            fix="convert it first: `npx swagger2openapi FILE`, or editor.swagger.io",
        )
    elif version is not None:
        notes.error(
            "openapi-version",
            f'"{plain(said, 40)}" is no version of OpenAPI that is read: these are 3.0 and 3.1',
            head(version),
        )
    else:
        notes.error(
            "no-openapi",
            "this is no OpenAPI document: it does not begin with `openapi: 3`",
            head(root),
            fix="give a document of OpenAPI 3, or the module (.py) of a FastAPI or Flask application",
        )
    return False


class _Reader:
    """Reads one document; what several operations share is kept."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._notes = document.notes
        self._schemas = Schemas(document)
        self._names = Unique()
        self._hosts = Hosts(document)
        self._calls: list[Call] = []

    def offer(self) -> Offer | None:
        root = self._document.root
        paths = self._document.look(root, "paths")
        count = 0
        for path, node in self._document.entries(paths):
            item = self._document.follow(node)
            for method, operation in self._document.entries(item):
                if method in _ELSEWHERE:
                    self._notes.note(
                        "method-left-out",
                        f"{method.upper()} {plain(path, 80)} is left out: prompts cannot ask for it",
                        head(operation),
                    )
                elif method in METHODS and path.count("{") > MOST_VALUES:
                    summary = f"{method.upper()} {plain(path, 80)} is left out: its path has too many places"
                    self._notes.note("left-out", summary, head(operation))
                elif method in METHODS and isinstance(operation, Mapping):
                    count += 1
                    if count <= MOST_CALLS:
                        self._calls.append(self._call(method.upper(), path, item, operation))
        if count > MOST_CALLS:
            self._notes.warning(
                "too-many-operations",
                f"only the first {MOST_CALLS} of {count} operations are drafted",
                head(root),
                fix="draft from a document with the operations that users ask for",
            )
        if not count:
            self._notes.error(
                "no-operations", "the document has no operation that a prompt could call", head(paths or root)
            )
            return None
        return Offer(hosts=self._hosts.found, calls=tuple(self._calls))

    def _call(self, method: str, path: str, item: Node | None, operation: Mapping) -> Call:
        document = self._document
        named = snake(document.text(operation, "operationId"))
        summary = described(document.text(operation, "summary"))
        told = described(document.text(operation, "description"))
        name = self._names.name(named or of_path(method, path))
        label = f"{method} {plain(path, 80)}"
        remarks = ["deprecated"] if document.true(operation, "deprecated") else []
        if summary and told and told.casefold().rstrip(".") != summary.casefold().rstrip("."):
            description = plain(f"{summary.rstrip('.')}. {told}")
        else:
            description = summary or told
        if not description:
            description = guessed(name)
            remarks.append(UNDESCRIBED)
            self._notes.note("no-description", f"{label} has no description", head(operation))
        host, base = self._hosts.of(operation, item)
        values, places = self._values(method, label, item, operation, remarks)
        path, values = self._placed(path, label, operation, values)
        headers, lacking = credentials(self._document, operation)
        for scheme, at in lacking:
            self._left_out(f'the credential "{plain(scheme, 60)}" of {label}', "it is no header", at, remarks)
        kept = {one.name: one for one in values}
        query = (
            []
            if method in WITHOUT_BODY
            else [name for name, where in places.items() if where == "query" and name in kept]
        )
        target = quote(base, safe=OF_A_PATH) + path
        if query:
            target += "?" + "&".join(f"{quote(one)}={{{one}}}" for one in query)
        return Call(
            name=name,
            description=description,
            method=method,
            path=target,
            host=host,
            headers=headers,
            values=tuple(values),
            remarks=tuple(remarks),
        )

    # With what.

    def _values(
        self, method: str, label: str, item: Node | None, operation: Mapping, remarks: list[str]
    ) -> tuple[list[Value], dict[str, str]]:
        """The parameters of an operation, and where each stands: path, query or body."""
        declared: dict[tuple[str, str], Node] = {}
        for place in (item, operation):
            for node in self._document.items(self._document.look(place, "parameters")):
                found = self._document.follow(node)
                name, where = self._document.text(found, "name"), self._document.text(found, "in")
                if found is not None and name and where and len(declared) < _LOOKED_AT:
                    declared[name, where] = found
        values: dict[str, Value] = {}
        places: dict[str, str] = {}
        for (name, where), node in declared.items():
            reason = self._cannot(name, where, node, places)
            if reason:
                self._left_out(f'the parameter "{plain(name, 60)}" of {label}', reason, node, remarks)
            elif len(values) < MOST_VALUES:
                values[name] = self._parameter(name, where, node)
                places[name] = where
            else:
                remarks.append("it takes more parameters")
                break
        for one in self._body(method, label, operation, remarks):
            if one.name in values:
                remarks.append(
                    f"{one.name} stands in the body too, and is sent in the {places[one.name]} only"
                )
            elif len(values) < MOST_VALUES:
                values[one.name] = one
                places[one.name] = "body"
            else:
                remarks.append("it takes more parameters")
                break
        return list(values.values()), places

    def _cannot(self, name: str, where: str, node: Node, places: dict[str, str]) -> str:
        """Why a parameter cannot be one of a prompt target's; empty if it can."""
        if where not in {"path", "query"}:
            needed = ", and the service needs it" if self._document.true(node, "required") else ""
            return f"prompts give no {where}{needed}"
        if not PARAMETER.fullmatch(name) and where == "query":
            return "a configuration cannot hold its name"
        if name in places:
            return f"another one in the {places[name]} has its name"
        return ""

    def _left_out(self, what: str, reason: str, node: Node, remarks: list[str]) -> None:
        remarks.append(f"{what} is left out: {reason}")
        self._notes.note("left-out", f"{what} is left out: {reason}", head(node))

    def _parameter(self, name: str, where: str, node: Node) -> Value:
        content = next(
            (found for _, found in self._document.entries(self._document.look(node, "content"))), None
        )
        schema = self._document.look(node, "schema") or self._document.look(content, "schema")
        described = self._document.text(node, "description")
        required = where == "path" or self._document.true(node, "required")
        value = self._schemas.value(name, schema, description=described, required=required)
        style = self._document.text(node, "style")
        more = (f"style {plain(style, 40)}",) if style not in {"", "form", "simple"} else ()
        return structs.replace(value, in_path=where == "path", remarks=(*value.remarks, *more))

    def _body(self, method: str, label: str, operation: Mapping, remarks: list[str]) -> list[Value]:
        body = self._document.look(operation, "requestBody")
        if body is None:
            return []
        content = self._document.look(body, "content")
        media = next((found for kind, found in self._document.entries(content) if _JSON.match(kind)), None)
        reason = ""
        if media is None:
            kinds = (
                ", ".join(kind for kind, _ in self._document.entries(content))
                or "something that it does not say"
            )
            reason = f"it is {plain(kinds, 80)}, and prompts give JSON"
        elif method in WITHOUT_BODY:
            reason = f"a {method} has none"
        if not reason:
            schema = self._schemas.read(self._document.look(media, "schema"))
            if not schema.properties:
                reason = "it is no object with properties"
        if reason:
            self._left_out(f"the body of {label}", reason, body, remarks)
            return []
        remarks += [f"body: {one}" for one in schema.remarks]
        found: list[Value] = []
        for name, node in islice(schema.properties.items(), _LOOKED_AT):
            if self._document.true(self._document.follow(node), "readOnly"):
                continue
            if _writable(name):
                found.append(self._schemas.value(name, node, required=name in schema.required))
            else:
                what = f'the property "{plain(name, 60)}" in the body of {label}'
                self._left_out(what, "a configuration cannot hold its name", node, remarks)
        return found

    # How the path holds them.

    def _placed(
        self, path: str, label: str, operation: Mapping, values: list[Value]
    ) -> tuple[str, list[Value]]:
        """The path, and the parameters: each place in the path has one, by a name that may stand there."""
        clean = path.partition("?")[0].partition("#")[0]
        declared = {one.name: one for one in values if one.in_path}
        taken = {one.name for one in values if not one.in_path}
        holes = dict.fromkeys(HOLE.findall(clean))
        names: dict[str, str] = {}
        found: dict[str, Value] = {}
        for hole in holes:
            name = _in_path(hole)
            name = f"{name}_in_path" if name in taken else name
            if hole not in declared:
                self._undeclared(
                    f'{label} has "{plain(hole, 60)}" in its path and declares no such parameter', operation
                )
            known = declared.get(hole) or Value(
                name=name, description=spoken(hole), required=True, in_path=True
            )
            names[hole] = name
            found.setdefault(name, structs.replace(known, name=name))
        for name in (one for one in declared if one not in holes):
            self._undeclared(
                f'{label} declares "{plain(name, 60)}" for its path, which has no such place', operation
            )
        literal = HOLE.sub(lambda hole: f"{{{names[hole[1]]}}}", clean)
        rest = [one for one in values if not one.in_path]
        return literal if literal.startswith("/") else f"/{literal}", [*found.values(), *rest]

    def _undeclared(self, summary: str, operation: Mapping) -> None:
        self._notes.warning("undeclared-parameter", summary, head(operation))


def _writable(name: str) -> bool:
    """Whether a configuration can hold a name of a body's property as it is."""
    return (
        bool(name)
        and len(name) <= _LONGEST_NAME
        and name.isprintable()
        and not re.search(r"\$[A-Za-z_{]", name)
    )


def _in_path(name: str) -> str:
    """A name as it may stand in a path's hole."""
    return re.sub(r"[^\w.-]+", "_", plain(name, 60)).strip("_") or "value"
