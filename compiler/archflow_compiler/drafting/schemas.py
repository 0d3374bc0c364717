"""JSON Schema, as OpenAPI has it -> what a prompt target's parameter can say of a value.

Rule: a schema that says more than a parameter can is taken for the nearest thing, with a remark.
Rule: a schema that holds itself ends where it begins again.
"""

from __future__ import annotations

from msgspec import Struct

from archflow_compiler.drafting.document import Document
from archflow_compiler.drafting.naming import described, plain, spoken
from archflow_compiler.drafting.offer import Single, Value, fits, kind_of, single
from archflow_compiler.tree import Mapping, Node, Scalar, Sequence

TYPES = {
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "string": "str",
    "array": "list",
    "object": "dict",
}
_SIZES = frozenset({"int32", "int64", "float", "double", "byte", "binary", "password"})
"""Formats that say how a value is kept and not how it is said."""
_LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern")
_MOST_OPTIONS = 200
_MOST_PARTS = 200
"""Schemas that one schema may be put together from."""


class Schema(Struct, kw_only=True):
    """A schema with its parts put together. Mutable: they are put together here.

    Attributes:
        words: its keywords.
        properties: by name.
        required: names of those that must be there.
        remarks: what could not be put together.
    """

    words: dict[str, Node] = {}
    properties: dict[str, Node] = {}
    required: set[str] = set()
    remarks: dict[str, None] = {}


class Schemas:
    """Reads the schemas of a document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._known: dict[int, Schema] = {}

    def read(self, node: Node | None) -> Schema:
        """A schema, references followed and parts put together; what many refer to is put together once."""
        found = self._document.follow(node)
        schema = self._known.get(id(found))
        if schema is None:
            schema = self._known[id(found)] = Schema(words={}, properties={}, required=set(), remarks={})
            self._put(schema, found, set(), [0])
        return schema

    def _put(self, schema: Schema, node: Node | None, within: set[int], parts: list[int]) -> None:
        found = self._document.follow(node)
        if not isinstance(found, Mapping):
            return
        parts[0] += 1
        if id(found) in within or parts[0] > _MOST_PARTS:
            schema.remarks["a schema that holds itself is left out"] = None
            return
        look = self._document.look
        within = {*within, id(found)}
        for key, value in self._document.entries(found):
            schema.words.setdefault(key, value)
        for key, value in self._document.entries(look(found, "properties")):
            schema.properties.setdefault(key, value)
        schema.required.update(
            one.value
            for one in self._document.items(look(found, "required"))
            if isinstance(one, Scalar) and isinstance(one.value, str)
        )
        for part in self._document.items(look(found, "allOf")):
            self._put(schema, part, within, parts)
        for key in ("anyOf", "oneOf"):
            options = [one for one in self._document.items(look(found, key)) if not self._nothing(one)]
            if len(options) > 1 and self._named(schema, options):
                continue
            if len(options) > 1:
                schema.remarks[f"one of {len(options)} forms; this is the first"] = None
            if options:
                self._put(schema, options[0], within, parts)

    def _named(self, schema: Schema, options: list[Node]) -> bool:
        """Take forms that are nothing but values for the options that they are, if they are."""
        found: list[Node] = []
        for one in options[:_MOST_OPTIONS]:
            const = self._document.look(one, "const")
            told = self._document.items(self._document.look(one, "enum")) or (
                (const,) if const is not None else ()
            )
            if not told:
                return False
            found += told
        schema.words.setdefault("enum", Sequence(tuple(found), found[0].range))
        return True

    def _nothing(self, node: Node) -> bool:
        found = self._document.look(node, "type")
        return isinstance(found, Scalar) and found.value in {"null", None}

    def value(self, name: str, node: Node | None, *, description: str = "", required: bool = False) -> Value:
        """A parameter with this schema.

        Args:
            name: of the parameter.
            node: the schema.
            description: what stands beside the schema; the schema's own is taken where there is none.
            required: whether it must be there.
        """
        schema = self.read(node)
        remarks = list(schema.remarks)
        kind = self._kind(schema, remarks)
        enum = self._enum(schema, remarks) if kind not in {"list", "dict"} else ()
        items = ""
        words = (description, *(_text(schema.words.get(one)) for one in ("description", "title")))
        told = described(next((one for one in words if one), ""))
        if kind == "list":
            inner = self.read(schema.words.get("items"))
            items = self._kind(inner, remarks)
            if options := self._enum(inner, remarks):
                told = f"{told or spoken(name)}: {', '.join(map(str, options[:20]))}"
        default = self._default(schema, kind, enum, remarks)
        remarks += [
            f"{word} {plain(str(found.value), 80)}"
            for word in _LIMITS
            if isinstance(found := schema.words.get(word), Scalar) and found.value not in {None, False}
        ]
        form = _text(schema.words.get("format"))
        return Value(
            name=name,
            description=told or spoken(name),
            type=kind,
            items=items,
            required=required,
            default=default,
            enum=enum,
            format="" if form in _SIZES else plain(form, 60),
            remarks=tuple(remarks),
        )

    def _kind(self, schema: Schema, remarks: list[str]) -> str:
        told = schema.words.get("type")
        named = [one.value for one in (told, *self._document.items(told)) if isinstance(one, Scalar)]
        kinds = [TYPES[one] for one in named if isinstance(one, str) and one in TYPES]
        if len(kinds) > 1:
            remarks.append(f"{' or '.join(kinds)}; this is the first")
        if kinds:
            return kinds[0]
        if schema.properties:
            return "dict"
        if "items" in schema.words:
            return "list"
        every = self._document.items(schema.words.get("enum"))
        return kind_of(one.value for one in every if isinstance(one, Scalar) and one.value is not None)

    def _enum(self, schema: Schema, remarks: list[str]) -> tuple[Single, ...]:
        const = self._document.follow(schema.words.get("const"))
        every = self._document.items(schema.words.get("enum")) or ((const,) if const is not None else ())
        told = [one.value for one in every if isinstance(one, Scalar) and one.value is not None]
        found = [one for each in told if (one := single(each)) is not None]
        if len(found) < len(told):
            remarks.append("it has options that a configuration cannot hold")
        if len(found) > _MOST_OPTIONS:
            remarks.append(f"{len(found) - _MOST_OPTIONS} more options")
        return tuple(dict.fromkeys(found[:_MOST_OPTIONS]))

    def _default(
        self, schema: Schema, kind: str, enum: tuple[Single, ...], remarks: list[str]
    ) -> Single | None:
        if "default" not in schema.words:
            return None
        node = self._document.follow(schema.words["default"])
        found = single(node.value) if isinstance(node, Scalar) else None
        if found is None:
            if not isinstance(node, Scalar) or node.value is not None:
                remarks.append("its default is no single value")
            return None
        if not fits(kind, found):
            remarks.append(f"its default {plain(str(found), 60)} is no {kind}")
            return None
        if enum and found not in enum:
            remarks.append(f"its default {plain(str(found), 60)} is none of its options")
            return None
        return found


def _text(node: Node | None) -> str:
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else ""
