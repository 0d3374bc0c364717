"""The endpoint of a prompt target -> the call that the graph makes: path, query, headers, slots.

Rule: a path is split into literal text and slots here, once; literal text is percent-encoded here too.
"""

from __future__ import annotations

from urllib.parse import quote, unquote_plus

import msgspec

from archflow_compiler.lower import services
from archflow_compiler.lower.draft import Draft
from archflow_compiler.passes.prompts import PLACEHOLDER
from archflow_compiler.tree import Path
from archflow_schema.config import PARAMETER_TYPES, Parameter, PromptTarget
from archflow_schema.graph import Place, Target, places
from archflow_schema.slots import Slot, SlotType
from archflow_schema.text import Env, Text, compile_text

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
    made = Target(
        name=target.name,
        service=services.service(draft, endpoint.name),
        method="POST" if history else endpoint.http_method,
        path=tuple(
            msgspec.structs.replace(place, text=quote(place.text, safe=services.OF_A_PATH))
            for place in places_of(path if path.startswith("/") else f"/{path}")
        ),
        query=_query(query),
        headers=tuple(
            (name.lower(), _header(draft, name, value, f"{entry}.{name}", (*at, name)))
            for name, value in endpoint.http_headers
        ),
        slots=tuple(slot(parameter) for parameter in target.parameters),
        history=services.HISTORY if history else "",
        verbatim=not target.auto_llm_dispatch_on_response,
        system_prompt=draft.text(prompt),
    )
    draft.texts.append(tuple(Env(one.variable) for one in places(made) if one.variable))
    return made


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
    """A template as literal text, slots and variables: `/weather/{city}`, `/$AREA/now`."""
    found: list[Place] = []
    for part in compile_text(template):
        if isinstance(part, Env):
            found.append(Place("", variable=part.name))
        elif isinstance(part, str):
            at = 0
            for hole in PLACEHOLDER.finditer(part):
                found.append(Place(part[at : hole.start()], hole[1]))
                at = hole.end()
            if at < len(part):
                found.append(Place(part[at:]))
    return tuple(found) or (Place(""),)


def _query(query: str) -> tuple[tuple[str, tuple[Place, ...]], ...]:
    """The names and values of a query; what is percent-encoded there names nothing.

    A name is literal, for OData has names such as `$filter`.
    """
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return tuple(
        (
            unquote_plus(name.replace("$$", "$")),
            tuple(msgspec.structs.replace(one, text=unquote_plus(one.text)) for one in places_of(value)),
        )
        for name, _, value in pairs
    )


def _header(draft: Draft, name: str, value: str, entry: str, path: Path) -> Text:
    if _SECRET_WORDS.isdisjoint(name.lower().split("-")):
        return draft.text(value)
    text = draft.vault.text(value, entry, path)
    draft.texts.append(text)
    return text
