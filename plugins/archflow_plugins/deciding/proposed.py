"""Preferences that a request itself brings: Plano's `routing_preferences` in the body, and Arch's in `metadata`.

Arch's are a text of YAML or JSON. Both forms are taken out of the request, for no model's API knows them.

Rule: what is not understood is the client's mistake and is answered as one.
Rule: a text of YAML is short and has no anchors, so that reading it takes no longer than its length.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.contexts import Option
from archflow_plugins.kinds import Head
from archflow_schema.errors import ClientProtocolError

FIELD = "routing_preferences"
METADATA = "metadata"
KEY = "archgw_preference_config"
MOST = 1000
"""Preferences of one request at most."""
YAML_AT_MOST = 16 * 1024
"""Characters of a text that is YAML and not JSON, which is many times as slow to read."""
_ANCHOR = re.compile(r"(?:^|[\s\[{,:?-])[&*][^\s,\[\]{}]")


class _Named(Struct):
    name: str
    description: str
    examples: list[str] = []


class _Preference(_Named):
    models: list[str] = []


class _OfModel(Struct):
    model: str
    routing_preferences: list[_Named] = []


_decode_preferences = msgspec.json.Decoder(list[_Preference] | None).decode
_decode_metadata = msgspec.json.Decoder(dict[str, Raw] | None).decode
_decode_text = msgspec.json.Decoder(str | list[_OfModel]).decode
_decode_of_models = msgspec.json.Decoder(list[_OfModel]).decode
_encode = msgspec.json.Encoder().encode


class Proposed(Struct, frozen=True):
    """What a request proposes: options, the models of each, and the request without them."""

    options: tuple[Option, ...]
    routes: dict[str, tuple[str, ...]]
    head: Head


def brings(head: Head) -> bool:
    """Whether a request brings preferences of its own."""
    return FIELD in head.fields or (METADATA in head.fields and KEY.encode() in bytes(head.fields[METADATA]))


def take(head: Head) -> Proposed | None:
    """The preferences of a request; None if it brings none.

    Raises:
        ClientProtocolError: they are not understood.
    """
    if not brings(head):
        return None
    fields = dict(head.fields)
    try:
        found = _decode_preferences(fields.pop(FIELD, Raw(b"null"))) or []
        metadata = _decode_metadata(fields.get(METADATA, Raw(b"null")))
        text = metadata.pop(KEY, None) if metadata else None
        if text is not None and metadata is not None:
            found += _of_models(text)
            fields[METADATA] = Raw(_encode(metadata))
            if not metadata:
                del fields[METADATA]
    except msgspec.MsgspecError as error:
        raise ClientProtocolError(
            f"the request's own routing preferences are not understood: {error}"
        ) from error
    if len(found) > MOST:
        raise ClientProtocolError(f"a request may bring at most {MOST} routing preferences")
    routes: dict[str, tuple[str, ...]] = {}
    options: dict[str, Option] = {}
    for one in found:
        routes[one.name] = (*routes.get(one.name, ()), *one.models)
        options.setdefault(
            one.name, Option(name=one.name, description=one.description, examples=tuple(one.examples))
        )
    return Proposed(tuple(options.values()), routes, Head(head.model, head.stream, fields, _encode(fields)))


def without(head: Head) -> Head:
    """A request without preferences of its own, whatever they say; itself if it brings none."""
    if not brings(head):
        return head
    fields = dict(head.fields)
    fields.pop(FIELD, None)
    try:
        metadata = _decode_metadata(fields.get(METADATA, Raw(b"null")))
    except msgspec.MsgspecError:
        metadata = None  # its own upstream says what is wrong with it
    if metadata and metadata.pop(KEY, None) is not None:
        fields[METADATA] = Raw(_encode(metadata))
        if not metadata:
            del fields[METADATA]
    return Head(head.model, head.stream, fields, _encode(fields))


def _of_models(raw: Raw) -> list[_Preference]:
    told = _decode_text(raw)
    models = _read(told) if isinstance(told, str) else told
    return [
        _Preference(one.name, one.description, one.examples, [model.model])
        for model in models
        for one in model.routing_preferences
    ]


def _read(text: str) -> list[_OfModel]:
    """Preferences from a text of JSON or YAML."""
    if text.lstrip()[:1] in {"[", "{"}:
        return _decode_of_models(text.encode())
    if len(text) > YAML_AT_MOST:
        raise ClientProtocolError(
            f"{KEY} is longer than the {YAML_AT_MOST} characters that YAML may have: send it as JSON"
        )
    if _ANCHOR.search(text):
        raise ClientProtocolError(f"{KEY} holds YAML anchors or aliases: write them out")
    return msgspec.yaml.decode(text.encode(), type=list[_OfModel])
