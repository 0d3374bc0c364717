"""The endpoint of a prompt target -> the call that the graph makes: path, query, headers, slots.

Rule: a path is split into literal text and slots here, once; literal text is percent-encoded here too.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote

import msgspec

from archflow_compiler.lower import services
from archflow_compiler.lower.draft import Draft
from archflow_compiler.tree import Path
from archflow_schema.config import PARAMETER_TYPES, Parameter, PromptTarget
from archflow_schema.graph import Place, Target
from archflow_schema.slots import Slot, SlotType
from archflow_schema.text import Text

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_SECRET_WORDS = frozenset({"authorization", "auth", "key", "apikey", "token", "secret", "cookie", "password"})
_TYPES: dict[str, SlotType] = {
    "int": "int",
    "float": "float",
    "bool": "bool",
    "str": "str",
    "list": "list",
    "dict": "dict",
}


def target(draft: Draft, index: int, target: PromptTarget, *, history: bool) -> Target:
    """The call of a prompt target, which has an endpoint.

    Args:
        draft: the graph so far.
        index: which of the prompt targets it is.
        target: it.
        history: whether it gets the conversation instead of parameters.
    """
    endpoint = target.endpoint
    assert endpoint is not None  # noqa: S101 - only targets with an endpoint are called
    if history:
        draft.dialect(services.HISTORY)
    path, _, query = endpoint.path.partition("?")
    at: Path = ("prompt_targets", index, "endpoint", "http_headers")
    entry = f"prompt_targets.{target.name}.endpoint.http_headers"
    prompt = target.system_prompt or ("" if history else draft.config.system_prompt)
    return Target(
        name=target.name,
        service=services.service(draft, endpoint.name),
        method="POST" if history else endpoint.http_method,
        path=tuple(
            Place(quote(place.text, safe=services.OF_A_PATH), place.slot)
            for place in places_of(path if path.startswith("/") else f"/{path}")
        ),
        query=tuple((name, places_of(value)) for name, value in parse_qsl(query, keep_blank_values=True)),
        headers=tuple(
            (name.lower(), _header(draft, name, value, f"{entry}.{name}", (*at, name)))
            for name, value in endpoint.http_headers
        ),
        slots=tuple(slot(parameter) for parameter in target.parameters),
        history=services.HISTORY if history else "",
        verbatim=not target.auto_llm_dispatch_on_response,
        system_prompt=draft.text(prompt),
    )


def slot(parameter: Parameter) -> Slot:
    """A parameter as slot fillers and calls see it."""
    items = parameter.items.type if parameter.items is not None else "str"
    return Slot(
        name=parameter.name,
        description=parameter.description,
        type=_TYPES[PARAMETER_TYPES[parameter.type]],
        required=parameter.required,
        default=b"" if parameter.default is None else msgspec.json.encode(parameter.default),
        enum=tuple(msgspec.json.encode(value) for value in parameter.enum),
        format=parameter.format,
        items=_TYPES[PARAMETER_TYPES.get(items, "str")],
    )


def places_of(template: str) -> tuple[Place, ...]:
    """A template as literal text and slots: `/weather/{city}`."""
    found, at = [], 0
    for hole in _PLACEHOLDER.finditer(template):
        found.append(Place(template[at : hole.start()], hole[1]))
        at = hole.end()
    if at < len(template) or not found:
        found.append(Place(template[at:]))
    return tuple(found)


def _header(draft: Draft, name: str, value: str, entry: str, path: Path) -> Text:
    if _SECRET_WORDS.isdisjoint(name.lower().split("-")):
        return draft.text(value)
    text = draft.vault.text(value, entry, path)
    draft.texts.append(text)
    return text
