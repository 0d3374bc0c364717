"""JSON Schema -> a grammar whose every text is valid against it.

Taken: `type` (one or several), `enum`, `const`, `anyOf`, `oneOf` whose branches exclude each other, `allOf` of one,
`$ref` within the document; objects with `properties`, `required`, `additionalProperties`; arrays with `items`,
`prefixItems`, `minItems`, `maxItems`; numbers with bounds and `multipleOf`; strings with `minLength`, `maxLength`,
`pattern` (see `pattern`) and some formats. Members are written in the schema's order, as hosted models do.

Source: JSON Schema draft 2020-12 (core and validation), and draft 7's `definitions`.

Rule: what cannot be held is refused with its place, never ignored: only then is every result valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec

from archflow_plugins.local_models import grammar as g
from archflow_plugins.local_models.json_terminals import NumberValue, PatternValue, StringValue
from archflow_plugins.local_models.pattern import Automaton, BadPattern

SIZE_AT_MOST = 64 * 1024
REPEAT_AT_MOST = 10_000

_SAYS_NOTHING = frozenset({
    "$schema", "$id", "$anchor", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly",
    "writeOnly", "$defs", "definitions", "format", "contentEncoding", "contentMediaType", "discriminator", "example",
    "strict", "nullable",
})  # fmt: skip
_BY_TYPE: dict[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength", "pattern"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
}
_BY_TYPE["integer"] = _BY_TYPE["number"]
_BY_TYPE["boolean"] = _BY_TYPE["null"] = frozenset()
_COMBINE = frozenset({"anyOf", "oneOf", "allOf", "$ref", "enum", "const", "type"})
_FORMATS = {
    "date": r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])",
    "time": r"([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ",
    "date-time": r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ",
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "ipv4": r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}",
    "email": r"[a-z0-9][a-z0-9._-]{0,30}@[a-z0-9][a-z0-9-]{0,20}(\.[a-z]{2,6}){1,3}",
}
"""Formats that are written by a pattern; any other is a remark."""


class BadSchema(ValueError):
    """A schema that cannot be held to; the text says where and why."""


def compile_schema(schema: Mapping[str, Any] | bool, leads: frozenset[int] | None = None) -> g.Grammar:
    """The grammar of a schema.

    Args:
        schema: as decoded from JSON.
        leads: the bytes that may begin a character beyond ASCII; all of them unless given.

    Raises:
        BadSchema: something in it is not taken here, or no value fits.
    """
    return _read(schema, leads)[1]


def compile_part(schema: Mapping[str, Any] | bool, leads: frozenset[int] | None = None) -> g.Part:
    """The same as a part of a larger grammar."""
    return _read(schema, leads)[0]


def _read(schema: Mapping[str, Any] | bool, leads: frozenset[int] | None) -> tuple[g.Part, g.Grammar]:
    reader = _Reader(schema, frozenset(range(0xC2, 0xF5)) if leads is None else leads)
    try:
        part = reader.part(schema, "#")
        return part, g.Grammar(part)
    except BadSchema:
        raise
    except RecursionError:
        raise BadSchema("the schema is nested too deeply") from None
    except ValueError as error:
        raise BadSchema(f"no value fits the schema: {error}") from error


def literal(value: Any) -> bytes:
    """A JSON value as it is written, without spaces."""
    return msgspec.json.encode(value)


_COLON = g.OneOf([b":", b": "])
_COMMA = g.OneOf([b",", b", "])


class _Reader:
    """Reads one document."""

    def __init__(self, root: Any, leads: frozenset[int]) -> None:
        self._root = root
        self._leads = leads
        self._named: dict[str, g.Named] = {}
        self._any: g.Named | None = None

    def part(self, schema: Any, at: str) -> g.Part:
        """What stands for a schema."""
        if schema is True or schema == {}:
            return self._anything()
        if schema is False:
            return g.Either(())
        if not isinstance(schema, dict):
            raise BadSchema(f"{at} is no schema: a schema is an object, true or false")
        for name in ("$ref", "allOf", "anyOf", "oneOf", "const", "enum"):
            if name in schema:
                return self._combined(name, schema, at)
        types = self._types(schema, at)
        taken = frozenset().union(*(_BY_TYPE[one] for one in types)) | _SAYS_NOTHING | {"type"}
        self._only(schema, taken, at)
        parts = [self._of_type(one, schema, at) for one in types]
        return parts[0] if len(parts) == 1 else g.Either(parts)

    def _types(self, schema: dict[str, Any], at: str) -> list[str]:
        told = schema.get("type")
        if told is None:
            found = [one for one, words in _BY_TYPE.items() if one != "integer" and words & schema.keys()]
            if len(found) > 1:
                raise BadSchema(f"{at} limits values of several types: say its `type`")
            if "nullable" in schema and schema["nullable"] is True and found:
                return [*found, "null"]
            return found or list(_BY_TYPE)
        types = [told] if isinstance(told, str) else told
        if (
            not isinstance(types, list)
            or not types
            or any(one not in _BY_TYPE for one in types if isinstance(one, str))
        ):
            raise BadSchema(f"{at}/type must be one or several of {', '.join(_BY_TYPE)}")
        if any(not isinstance(one, str) for one in types):
            raise BadSchema(f"{at}/type must be one or several of {', '.join(_BY_TYPE)}")
        if schema.get("nullable") is True and "null" not in types:
            types = [*types, "null"]
        return [one for one in types if not (one == "integer" and "number" in types)]

    def _of_type(self, name: str, schema: dict[str, Any], at: str) -> g.Part:
        match name:
            case "object":
                return self._object(schema, at)
            case "array":
                return self._array(schema, at)
            case "string":
                return self._string(schema, at)
            case "boolean":
                return g.OneOf([b"true", b"false"])
            case "null":
                return g.Text(b"null")
            case _:
                return self._number(schema, at, whole=name == "integer")

    # Combinations.

    def _combined(self, name: str, schema: dict[str, Any], at: str) -> g.Part:
        beside = _SAYS_NOTHING | {name, "type"} if name in {"const", "enum"} else _SAYS_NOTHING | {name}
        branches = schema.get("anyOf")
        if isinstance(branches, list) and all(
            isinstance(one, dict) and "type" in one and one["type"] == schema.get("type") for one in branches
        ):
            beside |= {"type"}  # common: the branches only repeat it
        self._only(schema, beside, at)
        value = schema[name]
        if name == "$ref":
            return self._reference(value, at)
        if name == "const":
            return g.Text(literal(value))
        if not isinstance(value, list) or not value:
            raise BadSchema(f"{at}/{name} must be a list that is not empty")
        if name == "enum":
            fits = [one for one in value if _is_of(one, schema.get("type"))]
            if not fits:
                raise BadSchema(f"{at}/enum has no value of the type {schema.get('type')}")
            return g.OneOf([literal(one) for one in fits])
        if name == "allOf" and len(value) > 1:
            raise BadSchema(
                f"{at}/allOf has several branches, which is not taken here: write them as one schema"
            )
        if name == "oneOf" and len(value) > 1 and not self._exclusive(value):
            raise BadSchema(
                f"{at}/oneOf has branches of which two could fit at once: use anyOf, or give each its own type or a "
                "required member with its own const"
            )
        parts = [self.part(one, f"{at}/{name}/{index}") for index, one in enumerate(value)]
        return parts[0] if len(parts) == 1 else g.Either(parts)

    def _exclusive(self, branches: list[Any]) -> bool:
        """Whether no value fits two branches: their types differ, or a required member's values."""
        seen = [self._followed(one) for one in branches]
        if not all(isinstance(one, dict) for one in seen):
            return False
        types = [_type_names(one) for one in seen]
        for index, first in enumerate(seen):
            for other in range(index + 1, len(seen)):
                if types[index] and types[other] and not types[index] & types[other]:
                    continue
                if not _told_apart(first, seen[other]):
                    return False
        return True

    def _followed(self, schema: Any) -> Any:
        for _ in range(20):
            if not isinstance(schema, dict) or "$ref" not in schema:
                break
            schema = self._find(schema["$ref"], "#")
        return schema

    def _reference(self, target: Any, at: str) -> g.Part:
        if not isinstance(target, str):
            raise BadSchema(f"{at}/$ref must be a string")
        named = self._named.get(target)
        if named is None:
            named = self._named[target] = g.Named()
            named.part = self.part(self._find(target, at), target)
        return named

    def _find(self, target: str, at: str) -> Any:
        if not target.startswith("#") or (target != "#" and not target.startswith("#/")):
            raise BadSchema(f"{at}/$ref leads out of the schema: only #/... is followed")
        found = self._root
        for escaped in target.split("/")[1:]:
            step = escaped.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and step in found:
                found = found[step]
            elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
                found = found[int(step)]
            else:
                raise BadSchema(f"{at}/$ref leads to {target}, which is not there")
        return found

    def _anything(self) -> g.Part:
        if self._any is None:
            self._any = g.Named()
            text = StringValue(leads=self._leads)
            member = g.Sequence(text, _COLON, self._any)
            self._any.part = g.Either([
                text,
                NumberValue(whole=False),
                g.OneOf([b"true", b"false", b"null"]),
                g.Repeat(b"{", member, _COMMA, b"}", 0, None),
                g.Repeat(b"[", self._any, _COMMA, b"]", 0, None),
            ])  # fmt: skip
        return self._any

    # Types.

    def _object(self, schema: dict[str, Any], at: str) -> g.Part:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if not isinstance(properties, dict):
            raise BadSchema(f"{at}/properties must be an object")
        if not isinstance(required, list) or any(not isinstance(one, str) for one in required):
            raise BadSchema(f"{at}/required must be a list of names")
        more = schema.get("additionalProperties", True)
        names = dict.fromkeys([*properties, *required])
        if not names and more is not False:
            member = g.Sequence(
                StringValue(leads=self._leads), _COLON, self.part(more, f"{at}/additionalProperties")
            )
            return g.Repeat(b"{", member, _COMMA, b"}", 0, None)
        members: list[tuple[g.Part, bool]] = []
        for name in names:
            inner = properties.get(name, more)
            value = self.part(inner, f"{at}/properties/{name}")
            members.append((g.Sequence(g.Text(literal(name)), _COLON, value), name in required))
        return g.Members(b"{", members, _COMMA, b"}")

    def _array(self, schema: dict[str, Any], at: str) -> g.Part:
        low, high = self._count(schema, "minItems", at) or 0, self._count(schema, "maxItems", at)
        first = schema.get("prefixItems", [])
        if not isinstance(first, list):
            raise BadSchema(f"{at}/prefixItems must be a list")
        item = self.part(schema.get("items", True), f"{at}/items")
        if not first:
            return g.Repeat(b"[", item, _COMMA, b"]", low, high)
        if high is not None and high < low:
            raise BadSchema(f"{at} asks for at least {low} and at most {high} items")
        parts: list[g.Part] = [self.part(one, f"{at}/prefixItems/{n}") for n, one in enumerate(first)]
        parts = parts[:high] + [item] * (low - len(parts))
        joined: list[g.Part] = []
        for part in parts:
            joined += [_COMMA, part] if joined else [part]
        return g.Sequence(g.Text(b"["), *joined, g.Text(b"]"))

    def _string(self, schema: dict[str, Any], at: str) -> g.Part:
        low, high = self._count(schema, "minLength", at) or 0, self._count(schema, "maxLength", at)
        if high is not None and high < low:
            raise BadSchema(f"{at} asks for at least {low} and at most {high} characters")
        pattern = schema.get("pattern")
        if pattern is None and "format" in schema and not low and high is None:
            pattern = _FORMATS.get(schema["format"]) if isinstance(schema["format"], str) else None
        if pattern is None:
            return StringValue(low, high, self._leads)
        if not isinstance(pattern, str):
            raise BadSchema(f"{at}/pattern must be a string")
        try:
            automaton = Automaton(pattern)
            if automaton.missing(automaton.begin()) < low:
                raise BadSchema(
                    f"{at} has a pattern and a minLength above its shortest text: put the length into it"
                )
            return PatternValue(automaton, high, self._leads)
        except BadPattern as error:
            raise BadSchema(f"{at}/pattern cannot be held to: {error}") from error
        except ValueError as error:
            raise BadSchema(f"{at}: {error}") from error

    def _number(self, schema: dict[str, Any], at: str, *, whole: bool) -> g.Part:
        bounds = {name: self._fraction(schema, name, at) for name in _BY_TYPE["number"]}
        low, high = bounds["minimum"], bounds["maximum"]
        open_low = open_high = False
        above, below = bounds["exclusiveMinimum"], bounds["exclusiveMaximum"]
        if above is not None and (low is None or above >= low):
            low, open_low = above, True
        if below is not None and (high is None or below <= high):
            high, open_high = below, True
        multiple = bounds["multipleOf"] or Fraction(0)
        if multiple < 0 or (bounds["multipleOf"] is not None and not multiple):
            raise BadSchema(f"{at}/multipleOf must be above 0")
        if multiple.denominator != 1 and not whole:
            raise BadSchema(f"{at}/multipleOf must be a whole number: fractions cannot be checked exactly")
        if multiple and not whole:
            whole = True  # every multiple of a whole number is one
        return NumberValue(
            whole=whole, low=low, high=high, open_low=open_low, open_high=open_high, multiple=multiple
        )

    # Reading.

    @staticmethod
    def _only(schema: dict[str, Any], taken: frozenset[str], at: str) -> None:
        unknown = sorted(schema.keys() - taken)
        if unknown:
            known = {"type", *_COMBINE, *(word for words in _BY_TYPE.values() for word in words)}
            why = (
                "cannot stand beside what else is said there" if unknown[0] in known else "is not taken here"
            )
            raise BadSchema(f"{at}/{unknown[0]} {why}: leave it out, or say it otherwise")

    @staticmethod
    def _count(schema: dict[str, Any], name: str, at: str) -> int | None:
        value = schema.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or value < 0:
            raise BadSchema(f"{at}/{name} must be a whole number from 0 up")
        if value > REPEAT_AT_MOST and name.startswith("min"):
            raise BadSchema(f"{at}/{name} must be at most {REPEAT_AT_MOST}")
        return int(value)

    @staticmethod
    def _fraction(schema: dict[str, Any], name: str, at: str) -> Fraction | None:
        value = schema.get(name)
        if value is None:
            return None
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or value in {float("inf"), float("-inf")}
        ):
            raise BadSchema(f"{at}/{name} must be a number")
        if abs(value) > 10**30:
            raise BadSchema(f"{at}/{name} is too large a number")
        return Fraction(Decimal(repr(value)))


def _type_names(schema: dict[str, Any]) -> frozenset[str]:
    if "const" in schema:
        return frozenset({_type_of(schema["const"])})
    if isinstance(schema.get("enum"), list):
        return frozenset(_type_of(one) for one in schema["enum"])
    told = schema.get("type")
    names = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    return frozenset("number" if one == "integer" else one for one in names if isinstance(one, str))


def _told_apart(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether two schemas of one type exclude each other by their values, or by those of a member both require."""
    mine, others = _values(first), _values(second)
    if mine is not None and others is not None:
        return not mine & others
    ours, theirs = first.get("properties"), second.get("properties")
    if not isinstance(ours, dict) or not isinstance(theirs, dict):
        return False
    for name in set(_names(first)) & set(_names(second)):
        mine, others = _values(ours.get(name)), _values(theirs.get(name))
        if mine is not None and others is not None and not mine & others:
            return True
    return False


def _names(schema: dict[str, Any]) -> list[str]:
    required = schema.get("required", [])
    return [one for one in required if isinstance(one, str)] if isinstance(required, list) else []


def _values(schema: Any) -> set[bytes] | None:
    if isinstance(schema, dict) and "const" in schema:
        return {literal(schema["const"])}
    if isinstance(schema, dict) and isinstance(schema.get("enum"), list):
        return {literal(one) for one in schema["enum"]}
    return None


def _type_of(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case None:
            return "null"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _is_of(value: Any, told: Any) -> bool:
    """Whether a value is of a schema's `type`."""
    if told is None:
        return True
    names = [told] if isinstance(told, str) else told
    found = _type_of(value)
    whole = found == "number" and value == int(value)
    return found in names or (whole and "integer" in names)
