"""Tree -> typed configuration, item by item, so that every mistake of a file shows at once.

Driven by the Structs themselves: msgspec's type descriptions say what is expected, the forms of
`archflow_schema.config.forms` how it may be written. A part that cannot be decoded is reported and left out; the rest
goes on to the next passes.

Rule: it knows types and forms, never keys or their meaning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final, TypeVar, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import inspect

from archflow_compiler.tree import Mapping, Node, Path, Places, Scalar, Sequence, describe, head, plain
from archflow_schema.config.forms import DURATION_UNITS, SIZE_UNITS
from archflow_schema.diagnostic import Diagnostic, Range, Report
from archflow_schema.suggest import did_you_mean, listed
from archflow_schema.text import Env, compile_text, references

S = TypeVar("S", bound=msgspec.Struct)

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)")
_QUANTITY = re.compile(rf"(?:\s*{_PART.pattern})+\s*")
_MAY_BE_SECRET = re.compile(r"key|token|secret|password|auth|cookie", re.IGNORECASE)
_USER = re.compile(r"(?<=://)[^/@]+(?=@)")
MAX_INTEGER = 2**63 - 1
"""What fits into every integer of a graph."""
_YES_NO = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


class _Invalid:
    """Stands for a value that was reported."""


INVALID: Final = _Invalid()


class Decoder:
    """Decodes trees into Structs, and remembers where each value stands.

    Attributes:
        places: where the decoded values stand.
        theirs: whether a plugin's Struct is decoded, about which Arch says nothing.
    """

    def __init__(self, report: Report, places: Places, *, theirs: bool = False) -> None:
        self.report = report
        self.places = places
        self.theirs = theirs
        self._secret = False

    def struct(self, node: Node, cls: type[S], path: Path = ()) -> S | None:
        """Decode a node into a Struct.

        Args:
            node: the node.
            cls: the Struct.
            path: where the result stands in the configuration, for `places`.

        Returns:
            The Struct; None if something required is missing or wrong, which is then reported.
        """
        found = self._struct(_described(cls), node, path)
        return None if isinstance(found, _Invalid) else found

    def _error(
        self, code: str, summary: str, place: Range, *, detail: str = "", fix: str = "", arch: str = ""
    ) -> None:
        self.report.add(
            Diagnostic(
                code=code,
                severity="error",
                summary=summary,
                detail=detail,
                fix=fix,
                arch="" if self.theirs else arch,
                range=place,
            )
        )

    def _wrong(self, expected: str, node: Node, *, detail: str = "", fix: str = "") -> _Invalid:
        """Report a value that is not what was expected."""
        if not detail and isinstance(node, Scalar) and node.value is None:
            detail = "nothing stands after the colon"
        self._error(
            "wrong-type", f"expected {expected}, found {describe(node)}", head(node), detail=detail, fix=fix
        )
        return INVALID

    # -- structures -------------------------------------------------------------------------------------------------

    def _struct(self, described: inspect.StructType, node: Node, path: Path) -> Any:
        if not isinstance(node, Mapping):
            return self._wrong("a mapping", node, fix="write " + _example(described))
        fields = {field.encode_name: field for field in described.fields}
        values: dict[str, Any] = {}
        complete = True
        for entry in node:
            field = fields.get(entry.key)
            below = (*path, entry.key)
            if field is None:
                if entry.key != described.tag_field and not getattr(described.cls, "rest", False):
                    others = [name for name in fields if name not in node]
                    self._unknown_key(entry.key, entry.key_range, fields, others, path)
                continue
            self.places.nodes[below] = entry.node
            self.places.keys[below] = entry.key_range
            self._secret = _MAY_BE_SECRET.search(entry.key) is not None
            if _decodable(field.type):
                value = self._value(field.type, entry.node, below)
            else:
                value = self._whole(described.cls, field.name, entry.node)
            if isinstance(value, _Invalid):
                complete = complete and not field.required
            else:
                values[field.name] = value
        for field in described.fields:
            if field.required and field.encode_name not in node:
                complete = False
                self._error(
                    "missing-key",
                    f'the key "{field.encode_name}" is missing{_where(path)}',
                    head(node),
                    arch=f"'{field.encode_name}' is a required property",
                )
        if not complete:
            return INVALID
        try:
            return described.cls(**values)
        except (ValueError, TypeError) as error:  # a kind's Struct may check itself in __post_init__
            self._error("invalid-value", str(error), head(node))
            return INVALID

    def _unknown_key(
        self, key: str, place: Range, known: Iterable[str], others: list[str], path: Path
    ) -> None:
        self._error(
            "unknown-key",
            f'unknown key "{key}"{_where(path)}',
            place,
            fix=did_you_mean(key, known)
            or (f"other keys here are {listed(others, 30)}" if others else "leave it out"),
            arch=f"Additional properties are not allowed ('{key}' was unexpected)",
        )

    def _items(self, described: inspect.VarTupleType | inspect.ListType, node: Node, path: Path) -> Any:
        if not isinstance(node, Sequence):
            return self._wrong("a list", node, fix="begin each item with `- `")
        return self._each(described, node.items, node, path)

    def _each(
        self,
        described: inspect.VarTupleType | inspect.ListType,
        items: tuple[Node, ...],
        node: Node,
        path: Path,
    ) -> Any:
        if len(items) < (described.min_length or 0):
            return self._wrong(f"a list of at least {described.min_length}", node)
        values: list[Any] = []
        for item in items:
            below = (*path, len(values))
            known = len(self.places.nodes), len(self.places.keys)
            self.places.nodes[below] = item
            value = self._value(described.item_type, item, below)
            if isinstance(value, _Invalid):
                _forget(self.places, *known)
            else:
                values.append(value)
        return values if isinstance(described, inspect.ListType) else tuple(values)

    def _keyed(
        self, described: inspect.VarTupleType, node: Node, path: Path, key: str, value: str | None
    ) -> Any:
        """A mapping whose keys become a field of each item, such as `model_aliases`."""
        if not isinstance(node, Mapping):
            return self._wrong("a mapping of names", node)
        items: list[Any] = []
        for entry in node:
            below = (*path, entry.key)
            known = len(self.places.nodes), len(self.places.keys)
            self.places.nodes[below] = entry.node
            self.places.keys[below] = entry.key_range
            name = Scalar(entry.key, entry.key_range)
            whole = (
                Mapping((), entry.node.range).having(value, entry.node) if value is not None else entry.node
            )
            if not isinstance(whole, Mapping):
                self._wrong("a mapping", whole, fix="write " + _example(described.item_type, key))
                continue
            if key in whole:
                place = whole.entry(key)
                self._unknown_key(key, place.key_range if place else head(whole), (), [], below)
                whole = whole.without(key)
            item = self._value(described.item_type, whole.having(key, name), below)
            if isinstance(item, _Invalid):
                _forget(self.places, *known)
            else:
                items.append(item)
        return tuple(items)

    def _pairs(self, described: inspect.VarTupleType, node: Node, path: Path) -> Any:
        """A mapping of text to single values, kept as pairs."""
        if not isinstance(node, Mapping):
            return self._wrong("a mapping", node, fix="write `name: value`")
        pair = described.item_type
        assert isinstance(pair, inspect.TupleType)  # noqa: S101 - the form `pairs` is a tuple of pairs
        values = []
        for entry in node:
            below = (*path, entry.key)
            self.places.nodes[below] = entry.node
            self.places.keys[below] = entry.key_range
            self._secret = _MAY_BE_SECRET.search(entry.key) is not None
            value = self._value(pair.item_types[1], entry.node, below)
            if not isinstance(value, _Invalid):
                values.append((entry.key, value))
        return tuple(values)

    # -- values -----------------------------------------------------------------------------------------------------

    def _value(self, described: inspect.Type, node: Node, path: Path) -> Any:
        form: dict[str, Any] = {}
        if isinstance(described, inspect.Metadata):
            form = described.extra or {}
            described = described.type
        match form.get("form"):
            case "duration":
                return self._quantity(node, DURATION_UNITS, "a time such as 30s", float)
            case "size":
                return self._quantity(node, SIZE_UNITS, "a size such as 32MiB", int)
            case "name" if isinstance(described, inspect.StrType):
                return self._text(described, node, literal=True)
            case "url" if isinstance(described, inspect.StrType):
                return self._url(described, node, path)
            case "pairs" if isinstance(described, inspect.VarTupleType):
                return self._pairs(described, node, path)
            case "keyed" if isinstance(described, inspect.VarTupleType):
                return self._keyed(described, node, path, form["key"], form.get("value"))
            case "one-or-more" if isinstance(described, inspect.VarTupleType):
                items = node.items if isinstance(node, Sequence) else (node,)
                return self._each(described, items, node, path)
            case _:
                return self._by_type(described, node, path)

    def _by_type(self, described: inspect.Type, node: Node, path: Path) -> Any:
        match described:
            case inspect.StructType():
                return self._struct(described, node, path)
            case inspect.VarTupleType() | inspect.ListType():
                return self._items(described, node, path)
            case inspect.UnionType():
                return self._union(described, node, path)
            case inspect.LiteralType():
                return self._choice(described, node)
            case inspect.BoolType():
                return self._boolean(node)
            case inspect.IntType():
                return self._integer(described, node)
            case inspect.FloatType():
                return self._number(described, node)
            case inspect.StrType():
                return self._text(described, node, literal=False)
            case _:
                raise TypeError(f"{described} is not decoded part by part")

    def _union(self, described: inspect.UnionType, node: Node, path: Path) -> Any:
        types = [one for one in described.types if not isinstance(one, inspect.NoneType)]
        if len(types) == 1:
            return self._value(types[0], node, path)
        tagged = {
            one.tag: one for one in types if isinstance(one, inspect.StructType) and one.tag is not None
        }
        if len(tagged) == len(types):
            return self._tagged(tagged, node, path)
        if isinstance(node, Scalar) and any(_is_of(one, node.value) for one in types):
            return node.value
        return self._wrong("a single value", node)

    def _tagged(self, tagged: dict[Any, inspect.StructType], node: Node, path: Path) -> Any:
        field = next(iter(tagged.values())).tag_field or "type"
        if not isinstance(node, Mapping):
            return self._wrong(
                "a mapping", node, fix=f"begin with `{field}:` and one of {listed(map(str, tagged))}"
            )
        entry = node.entry(field)
        if entry is None:
            self._error(
                "missing-key",
                f'the key "{field}" is missing{_where(path)}',
                head(node),
                fix=f"add `{field}:` with one of {listed(map(str, tagged))}",
                arch=f"'{field}' is a required property",
            )
            return INVALID
        tag = entry.node.value if isinstance(entry.node, Scalar) else None
        if tag not in tagged:
            return self._not_one_of(tuple(map(str, tagged)), entry.node)
        self.places.nodes[*path, field] = entry.node
        self.places.keys[*path, field] = entry.key_range
        return self._struct(tagged[tag], node, path)

    def _choice(self, described: inspect.LiteralType, node: Node) -> Any:
        if isinstance(node, Scalar) and node.value in described.values and not isinstance(node.value, bool):
            return node.value
        if isinstance(node, Scalar) and node.raw and node.raw in described.values:
            return node.raw  # `http_version: 1.1` reads as a number
        return self._not_one_of(tuple(map(str, described.values)), node)

    def _not_one_of(self, values: tuple[str, ...], node: Node) -> _Invalid:
        expected = (
            "one of " + ", ".join(f'"{value}"' for value in values) if len(values) > 1 else f'"{values[0]}"'
        )
        word = node.value if isinstance(node, Scalar) and isinstance(node.value, str) else ""
        return self._wrong(expected, node, fix=did_you_mean(word, values) if word else "")

    def _boolean(self, node: Node) -> Any:
        if not isinstance(node, Scalar):
            return self._wrong("true or false", node)
        if isinstance(node.value, bool):
            return node.value
        if isinstance(node.value, str) and node.value.casefold() in _YES_NO:
            meant = _YES_NO[node.value.casefold()]
            return self._wrong(
                "true or false", node, detail=f"in YAML 1.2, {node.value} is text", fix=f"write `{meant}`"
            )
        return self._wrong("true or false", node, fix=_unquote(node))

    def _integer(self, described: inspect.IntType, node: Node) -> Any:
        if isinstance(node, Scalar) and isinstance(node.value, int) and not isinstance(node.value, bool):
            return self._bounded(described, node, node.value)
        return self._not_a_number("a whole number", node)

    def _number(self, described: inspect.FloatType, node: Node) -> Any:
        if (
            isinstance(node, Scalar)
            and isinstance(node.value, int | float)
            and not isinstance(node.value, bool)
        ):
            return self._bounded(described, node, float(node.value))
        return self._not_a_number("a number", node)

    def _not_a_number(self, expected: str, node: Node) -> _Invalid:
        reference = _reference(node)
        if reference:
            return self._no_reference(reference, node)
        return self._wrong(expected, node, fix=_unquote(node))

    def _bounded(self, described: inspect.IntType | inspect.FloatType, node: Node, value: float) -> Any:
        low, high = described.ge, described.le
        if not -MAX_INTEGER <= value <= MAX_INTEGER and isinstance(value, int):
            return self._wrong(f"a whole number up to {MAX_INTEGER}", node)
        if low is not None and high is not None and not low <= value <= high:
            return self._wrong(f"a number from {low} to {high}", node)
        if low is not None and value < low:
            return self._wrong(f"a number of at least {low}", node)
        if high is not None and value > high:
            return self._wrong(f"a number of at most {high}", node)
        if described.gt is not None and value <= described.gt:
            return self._wrong(f"a number greater than {described.gt}", node)
        if described.lt is not None and value >= described.lt:
            return self._wrong(f"a number less than {described.lt}", node)
        return value

    def _text(self, described: inspect.StrType, node: Node, *, literal: bool) -> Any:
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            if not isinstance(node, Scalar) or node.value is None or not node.raw:
                return self._wrong("text", node)
            if self._secret:  # it may be a key, which no finding repeats
                self._error(
                    "wrong-type",
                    "expected text, found a number or a word of YAML",
                    head(node),
                    fix="quote it",
                )
                return INVALID
            return self._wrong("text", node, fix=f'quote it: "{node.raw}"')
        value = node.value
        if literal:
            reference = _reference(node)
            if reference:
                return self._no_reference(reference, node)
        if described.min_length and len(value) < described.min_length:
            return self._wrong("text", node, detail="it must not be empty")
        if described.pattern is not None and re.search(described.pattern, value) is None:
            return self._wrong(f"text that matches {described.pattern}", node)
        return value

    def _no_reference(self, reference: str, node: Node) -> _Invalid:
        self._error(
            "reference-not-allowed",
            f"the environment reference {reference} cannot stand here",
            head(node),
            detail="the graph is built from this value, and the environment is read only when the graph runs",
            fix="write the value itself",
        )
        return INVALID

    def _url(self, described: inspect.StrType, node: Node, path: Path) -> Any:
        value = self._text(described, node, literal=False)
        if isinstance(value, _Invalid):
            return value
        parts = compile_text(value)
        if isinstance(parts[0], Env):
            return value
        arch = (
            "Please provide a valid URL with scheme (http/https) in base_url"
            if path[-1] == "base_url"
            else ""
        )
        problem = _url_problem("".join(part if isinstance(part, str) else "0" for part in parts))
        if problem:
            self._error(
                "bad-url", f'"{_USER.sub("***", value)}" is no usable address: {problem}', head(node), arch=arch,
                fix="write it as in https://host:port/path",
            )  # fmt: skip
            return INVALID
        return value

    def _quantity(
        self, node: Node, units: dict[str, Any], expected: str, number: Callable[[float], float | int]
    ) -> Any:
        if (
            isinstance(node, Scalar)
            and isinstance(node.value, int | float)
            and not isinstance(node.value, bool)
        ):
            value = float(node.value)
        elif isinstance(node, Scalar) and isinstance(node.value, str):
            reference = _reference(node)
            if reference:
                return self._no_reference(reference, node)
            parts = _PART.findall(node.value) if _QUANTITY.fullmatch(node.value) else []
            if not parts or any(unit not in units for _, unit in parts):
                return self._wrong(expected, node, fix=f"the units are {listed(units, 20)}")
            value = sum(float(count) * units[unit] for count, unit in parts)
        else:
            return self._wrong(expected, node)
        if not 0 < value < 1e15:
            return self._wrong(f"{expected} and greater than 0", node)
        if number is int and value != int(value):
            return self._wrong(f"{expected} that is a whole number of bytes", node)
        return number(value)

    def _whole(self, cls: type, field: str, node: Node) -> Any:
        """A field of a type that only a plugin's Struct uses, such as a dict: msgspec converts it whole."""
        hint = get_type_hints(cls, include_extras=True)[field]
        try:
            return msgspec.convert(plain(node), hint)
        except msgspec.ValidationError as error:
            self._error("wrong-type", str(error).partition(" - at ")[0], head(node))
            return INVALID


_SCALAR_TYPES = (inspect.StrType, inspect.IntType, inspect.FloatType, inspect.BoolType)
_DECODED = (*_SCALAR_TYPES, inspect.StructType, inspect.LiteralType)


@lru_cache
def _described(cls: type[msgspec.Struct]) -> inspect.StructType:
    described = inspect.type_info(cls)
    assert isinstance(described, inspect.StructType)  # noqa: S101 - for the type checker
    return described


def _is_of(described: inspect.Type, value: object) -> bool:
    match described:
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case inspect.FloatType():
            return isinstance(value, float)
        case inspect.StrType():
            return isinstance(value, str)
        case _:
            return False


def _decodable(described: inspect.Type) -> bool:
    """Whether a value of this type is decoded part by part."""
    match described:
        case inspect.Metadata():
            return bool(described.extra and "form" in described.extra) or _decodable(described.type)
        case inspect.VarTupleType() | inspect.ListType():
            return _decodable(described.item_type)
        case inspect.UnionType():
            types = [one for one in described.types if not isinstance(one, inspect.NoneType)]
            tagged = all(isinstance(one, inspect.StructType) and one.tag is not None for one in types)
            simple = all(isinstance(one, _SCALAR_TYPES) for one in types)
            return tagged or simple or (len(types) == 1 and _decodable(types[0]))
        case _:
            return isinstance(described, _DECODED)


def _forget(places: Places, nodes: int, keys: int) -> None:
    """Drop the places of an item that was left out; they are the newest ones."""
    while len(places.nodes) > nodes:
        places.nodes.popitem()
    while len(places.keys) > keys:
        places.keys.popitem()


def _where(path: Path) -> str:
    """` in "tracing.exporters"`; nothing at the top level."""
    named = ".".join(step for step in path if isinstance(step, str))
    return f' in "{named}"' if named else ""


def _reference(node: Node) -> str:
    """The first environment reference of a text, as it is written; empty if there is none."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str) or "$" not in node.value:
        return ""
    found = [part for part in references(compile_text(node.value)) if isinstance(part, Env)]
    return f"${found[0].name}" if found else ""


def _unquote(node: Node) -> str:
    """Advice for a number or boolean that stands in quotes."""
    if isinstance(node, Scalar) and isinstance(node.value, str) and not node.raw:
        text = node.value.strip()
        if text in {"true", "false"} or re.fullmatch(r"[-+]?[0-9]+(\.[0-9]+)?", text):
            return f"write it without quotes: {text}"
    return ""


def _example(described: inspect.Type, besides: str = "") -> str:
    fields = described.fields if isinstance(described, inspect.StructType) else ()
    fields = tuple(field for field in fields if field.name != besides)
    field = next((one for one in fields if one.required), fields[0] if fields else None)
    return "its keys below it" if field is None else f"its keys below it, such as `{field.encode_name}:`"


def _url_problem(url: str) -> str:
    """Why a URL cannot be called; empty if it can."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in {"http", "https"}:
        return "its scheme must be http or https"
    if not parts.hostname:
        return "it names no host"
    if parts.username is not None:
        return "a user and password do not belong into it"
    if parts.fragment:
        return "a fragment (#...) has no meaning here"
    if any(character.isspace() for character in url):
        return "it holds a space"
    if not url.isascii():
        return "it is not ASCII: write the host in punycode (xn--...), and the rest percent-encoded"
    return ""
