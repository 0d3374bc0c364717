"""Slots as JSON Schema: for tools, and for objects whose members may be null.

Rule: only keywords that hosted models and local ones both hold to.
"""

from __future__ import annotations

from typing import Any

from archflow_plugins.slots.values import options
from archflow_schema.slots import Intent, Slot, SlotType

TYPES: dict[SlotType, str] = {
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "str": "string",
    "list": "array",
    "dict": "object",
}


def parameters(intent: Intent) -> dict[str, Any]:
    """The parameters of a target as a tool declares them."""
    return {
        "type": "object",
        "properties": {slot.name: described(slot) for slot in intent.slots},
        "required": [slot.name for slot in intent.slots if slot.needed],
    }


def described(slot: Slot) -> dict[str, Any]:
    """A slot, with what is told about it."""
    schema = bare(slot)
    told = slot.description
    if slot.format:
        told = f"{told} (format: {slot.format})" if told else slot.format
    return {**schema, "description": told} if told else schema


def bare(slot: Slot) -> dict[str, Any]:
    """A slot's type and options."""
    every = list(options(slot))
    if slot.type == "list":
        items: dict[str, Any] = {"enum": every} if every else {"type": TYPES[slot.items]}
        return {"type": "array", "items": items}
    return {"type": TYPES[slot.type], "enum": every} if every else {"type": TYPES[slot.type]}


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """The same, or null."""
    if "enum" in schema:
        told = schema.get("type")
        return {
            **schema,
            "enum": [*schema["enum"], None],
            **({"type": [told, "null"]} if isinstance(told, str) else {}),
        }
    return {"anyOf": [schema, {"type": "null"}]}


def whole(properties: dict[str, Any]) -> dict[str, Any]:
    """An object with exactly these members."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
