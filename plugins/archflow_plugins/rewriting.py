"""A client's request with another conversation in it, in the client's own dialect.

Both conversations are encoded, and where they differ the request gets what the new one says: of a list with as many
items as before only the items that differ, of an object only its fields that do. Where a client wrote something in
another form than we would, such as a list where a text will do, its texts are changed in that form, if the dialect then
reads the new conversation in it; else it is written anew.

Rule: what the conversation did not change keeps its bytes, and so does what the dialect-free form does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
from msgspec import Raw, structs

from archflow_plugins.kinds import Dialect, Head
from archflow_plugins.texts import texts_in, texts_of
from archflow_schema.conversation import Conversation, Message, TextPart
from archflow_schema.errors import ClientProtocolError

DEEPEST = 24
"""Levels below a field of the request that are looked into; what differs deeper is written anew."""
_SOMETHING = (Message(role="user", parts=(TextPart("-"),)),)
_WHAT = ("role", "type")
"""Fields that say what an object is: another one shares nothing with the one before."""
_object = msgspec.json.Decoder(dict[str, Raw]).decode
_list = msgspec.json.Decoder(list[Raw]).decode
_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode
_Texts = dict[str, str]


def rewritten(
    dialect: Dialect, head: Head, before: Conversation, after: Conversation, model: str = ""
) -> Head:
    """The request with `after` where it said `before`.

    Args:
        dialect: the request's.
        head: the request.
        before: its conversation as it came.
        after: as it goes on.
        model: what is asked for, if that is another one.

    Raises:
        CannotExpress, ClientProtocolError: the dialect has no words for the new conversation.
    """
    new = _object(dialect.encode(after, model or head.model).body)
    try:
        old = _object(dialect.encode(before, head.model).body)
    except ClientProtocolError:  # it may hold messages that only a gateway knows: then all are written anew
        old = _object(dialect.encode(structs.replace(before, messages=_SOMETHING), head.model).body)
    texts = dict(_changed(before, after))
    if texts:
        found = _head(head, after, _fields(head.fields, old, new, texts, DEEPEST))
        try:
            if dialect.decode(found).messages == after.messages:
                return found
        except ClientProtocolError:
            pass
    return _head(head, after, _fields(head.fields, old, new, {}, DEEPEST))


def covered(dialect: Dialect, head: Head, conversation: Conversation, change: Callable[[str], str]) -> Head:
    """The request with other texts where it holds what a Conversation has no place for; itself if none is another.

    Args:
        dialect: the request's.
        head: the request.
        conversation: the same, whose own texts stay.
        change: gives the other text. What is a data URL is no text.
    """
    told = {text for message in conversation.messages for text in texts_in(message)}

    def other(text: str) -> str:
        return text if text in told or text.startswith("data:") else change(text)

    try:
        known = _object(dialect.encode(structs.replace(conversation, extras=()), head.model).body)
    except ClientProtocolError:  # it holds what is no other's business: all of it is read
        known = {name: raw for name, raw in head.fields.items() if name == "model"}
    fields = {name: _beside(raw, known.get(name), other, DEEPEST) for name, raw in head.fields.items()}
    if all(fields[name] is raw for name, raw in head.fields.items()):
        return head
    return Head(head.model, head.stream, fields, _encode(fields))


def _beside(came: Raw, known: Raw | None, change: Callable[[str], str], deep: int) -> Raw:
    """A value with other texts wherever `known`, which says the same, has none in the same place."""
    opening = bytes(came)[:1]
    also = b"" if known is None else bytes(known)[:1]
    new: object
    match opening:
        case b'"':
            if known is not None:
                return came
            text = _text(came)
            new = change(text)
            return came if new == text else Raw(_encode(new))
        case b"{" if deep:
            fields = _object(came)
            places = _object(known) if known is not None and also == b"{" else {}
            new = {name: _beside(raw, places.get(name), change, deep - 1) for name, raw in fields.items()}
            same = all(new[name] is raw for name, raw in fields.items())
        case b"[" if deep:
            items = _list(came)
            others: list[Raw | None] = [*_list(known)] if known is not None and also == b"[" else []
            if len(others) != len(items):
                others = [None] * len(items)
            new = [_beside(raw, place, change, deep - 1) for raw, place in zip(items, others, strict=True)]
            same = all(one is raw for one, raw in zip(new, items, strict=True))
        case _:
            return came
    return came if same else Raw(_encode(new))


def _head(head: Head, after: Conversation, fields: dict[str, Raw]) -> Head:
    return Head(head.model, after.stream, fields, _encode(fields))


def _changed(before: Conversation, after: Conversation) -> Iterator[tuple[str, str]]:
    """The texts that became others, where nothing but texts did."""
    for was, now in zip(before.messages, after.messages, strict=False):
        for one, other in zip(was.parts, now.parts, strict=False):
            for text, became in zip(texts_of(one), texts_of(other), strict=False):
                if text != became:
                    yield text, became


def _fields(
    came: dict[str, Raw], old: dict[str, Raw], new: dict[str, Raw], texts: _Texts, deep: int
) -> dict[str, Raw]:
    """An object as it came with what differs between two others."""
    fields = {}
    for name, raw in came.items():
        if name in new:
            fields[name] = _merged(raw, old[name], new[name], texts, deep) if name in old else new[name]
        elif name not in old:
            fields[name] = raw
    others = {name: raw for name, raw in new.items() if name not in came}
    return fields | {name: raw for name, raw in others.items() if bytes(raw) != bytes(old.get(name, b""))}


def _merged(came: Raw, old: Raw, new: Raw, texts: _Texts, deep: int) -> Raw:
    """A value as it came with what differs between two others."""
    if bytes(old) == bytes(new):
        return came
    opening = {bytes(value)[:1] for value in (came, old, new)}
    if deep and opening == {b"{"}:
        fields, was, now = _object(came), _object(old), _object(new)
        if all(
            bytes(was.get(name, b""))
            == bytes(now.get(name, b""))
            == bytes(fields.get(name, now.get(name, b"")))
            for name in _WHAT
        ):
            return Raw(_encode(_fields(fields, was, now, texts, deep - 1)))
    elif deep and opening == {b"["}:
        items, was_items, now_items = _list(came), _list(old), _list(new)
        if len(items) == len(was_items) == len(now_items):
            triples = zip(items, was_items, now_items, strict=True)
            return Raw(_encode([_merged(*triple, texts, deep - 1) for triple in triples]))
    return _with(came, texts, deep) if texts and _holds(came, texts) else new


def _holds(came: Raw, texts: _Texts) -> bool:
    """Whether a value may hold texts that became others."""
    opening = bytes(came)[:1]
    return opening in {b"{", b"["} or (opening == b'"' and _text(came) in texts)


def _with(came: Raw, texts: _Texts, deep: int) -> Raw:
    """A value with other texts in it."""
    match bytes(came)[:1]:
        case b'"':
            text = _text(came)
            return Raw(_encode(texts[text])) if text in texts else came
        case b"{" if deep:
            return Raw(_encode({name: _with(raw, texts, deep - 1) for name, raw in _object(came).items()}))
        case b"[" if deep:
            return Raw(_encode([_with(raw, texts, deep - 1) for raw in _list(came)]))
        case _:
            return came
