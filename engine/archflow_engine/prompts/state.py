r"""What earlier turns of a prompt called and were answered: written for clients and stores, and read back.

Arch gives it to the client in the reply's metadata, as messages in its own form, texts of JSON inside texts of JSON::

    x-arch-state: {"messages": "[{\"role\": \"assistant\", ...}, {\"role\": \"tool\", ...}]"}

A client may put the messages into its next request's history, or send the metadata back; either form of the metadata
is read, an object or a list, and so is one that holds lists instead of texts.

Rule: what cannot be read is passed over: state that is lost costs context, never a request.
Rule: what a stranger sends is bounded in size before it is read, and in number after.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from archflow_engine.prompts.prompt import FUNCTION_MODEL, Made
from archflow_plugins.translation import Prelude
from archflow_schema.conversation import Conversation, Message, Part, TextPart, ToolCallPart, ToolResultPart

STATE = "x-arch-state"
LONGEST = 1 << 20
"""Bytes of a state that is read."""
MOST = 64
"""Messages of one turn that are read."""
TURNS = 32
"""Turns that a store keeps of one conversation."""
KEPT_AT_MOST = 256 << 10
"""Bytes that a store keeps of one conversation."""
_BAD = (msgspec.DecodeError, RecursionError, UnicodeDecodeError, UnicodeEncodeError)


class _Function(Struct):
    name: str = ""
    arguments: Raw = Raw(b"{}")


class _Called(Struct):
    id: str = ""
    function: _Function | None = None


class _Told(Struct):
    role: str
    content: str | None = None
    tool_calls: list[_Called] | None = None
    tool_call_id: str | None = None


class _Holder(Struct):
    messages: str | list[Raw]


class Turn(Struct, frozen=True, array_like=True):
    """What a store keeps of a turn: the number of the user's turn, from 1, and the messages as JSON."""

    number: int
    messages: bytes


_decode_state = msgspec.json.Decoder(_Holder | list[Raw]).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_told = msgspec.json.Decoder(_Told).decode
_decode_holder = msgspec.json.Decoder(_Holder).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_turns = msgspec.msgpack.Decoder(tuple[Turn, ...]).decode
_encode_turns = msgspec.msgpack.Encoder().encode
_encode = msgspec.json.Encoder().encode


def _text(value: object) -> str:
    return _encode(value).decode()


# Writing.


def call_text(made: Sequence[Made]) -> str:
    """Calls as Arch's function model writes them."""
    return _text({"tool_calls": [{"name": one.target, "arguments": one.arguments} for one in made]})


def messages(made: Sequence[Made]) -> list[dict[str, object]]:
    """The messages of one turn: the assistant's call, and what each tool answered."""
    calls = [
        {
            "id": one.id,
            "type": "function",
            "function": {"name": one.target, "arguments": one.arguments},
        }
        for one in made
    ]
    asked: dict[str, object] = {
        "role": "assistant",
        "content": call_text(made),
        "tool_calls": calls,
        "model": FUNCTION_MODEL,
    }
    answers: list[dict[str, object]] = [
        {"role": "tool", "content": one.answer, "tool_call_id": one.id, "model": FUNCTION_MODEL}
        for one in made
    ]
    return [asked, *answers]


def turn(made: Sequence[Made]) -> tuple[Message, ...]:
    """The same as kinds read it."""
    calls = tuple(ToolCallPart(one.id, one.target, bytes(one.arguments).decode()) for one in made)
    answers = (
        Message(role="tool", parts=(ToolResultPart(one.id, (TextPart(one.answer),), name=one.target),))
        for one in made
    )
    return (Message(role="assistant", parts=calls), *answers)


def metadata(made: Sequence[Made]) -> tuple[tuple[str, str], ...]:
    """What a whole reply tells its client."""
    told = messages(made)
    return (
        ("x-arch-tool-call-message", _text(told[0])),
        ("x-arch-api-response-message", _text(told[1])),
        (STATE, _text({"messages": _text(told)})),
        ("x-arch-fc-model-response", _text(call_text(made))),
    )


def asked(target: str, question: str) -> tuple[tuple[str, str], ...]:
    """What the reply that asks for something tells its client."""
    shape = _text({"required_functions": [target] if target else [], "clarification": question})
    return (("x-arch-fc-model-response", _text(shape)),)


def prelude(made: Sequence[Made]) -> tuple[Prelude, ...]:
    """What a streamed reply tells its client before the model speaks."""
    calls = Prelude("assistant", call_text(made), FUNCTION_MODEL)
    return (calls, *(Prelude("tool", one.answer, FUNCTION_MODEL) for one in made))


# Reading.


def of_client(conversation: Conversation) -> dict[int, tuple[Message, ...]]:
    """What a client sends back in its metadata, as the turn before the newest."""
    text = next((value for name, value in conversation.metadata if name == STATE), "")
    if not text or len(text) > LONGEST:
        return {}
    try:
        found = read(_raws(text))
    except _BAD:
        return {}
    return {len(conversation.user_turns) - 1: found} if found else {}


def read(raws: Sequence[Raw]) -> tuple[Message, ...]:
    """Messages in Arch's form.

    Raises:
        msgspec.DecodeError: they are something else.
    """
    read: list[Message] = []
    calls: list[str] = []
    for index, raw in enumerate(raws[:MOST]):
        told = _decode_told(raw)
        if told.role == "tool":
            called = told.tool_call_id or (calls.pop(0) if calls else "")
            answer = ToolResultPart(called, (TextPart(told.content or ""),))
            read.append(Message(role="tool", parts=(answer,)))
        elif told.role == "assistant":
            parts: tuple[Part, ...] = tuple(
                ToolCallPart(one.id or f"call_{index}_{number}", one.function.name, _arguments(one.function))
                for number, one in enumerate(told.tool_calls or ())
                if one.function is not None
            )
            calls = [part.id for part in parts if isinstance(part, ToolCallPart)]
            read.append(Message(role="assistant", parts=parts or (TextPart(told.content or ""),)))
    return tuple(read)


def _raws(text: str) -> list[Raw]:
    """The messages of a state in any of its forms."""
    found = _decode_state(text.encode())
    if isinstance(found, list):
        return [raw for item in found for raw in _inner(item)]
    return _of_holder(found)


def _inner(item: Raw) -> list[Raw]:
    """An item of a list: a message, or an object that holds some."""
    try:
        return _of_holder(_decode_holder(item))
    except msgspec.ValidationError:
        return [item]


def _of_holder(holder: _Holder) -> list[Raw]:
    held = holder.messages
    return _decode_list(held.encode()) if isinstance(held, str) else held


def _arguments(function: _Function) -> str:
    """Arguments as JSON, whether they came as JSON or as its text."""
    try:
        return _decode_text(function.arguments)
    except msgspec.ValidationError:
        return bytes(function.arguments).decode()


# Stores.


def of_store(data: bytes | None) -> tuple[Turn, ...]:
    """What a store kept; nothing if it is not understood."""
    if not data:
        return ()
    try:
        return _decode_turns(data)
    except msgspec.MsgspecError:
        return ()


def of_turns(turns: Sequence[Turn]) -> dict[int, tuple[Message, ...]]:
    """Turns as messages."""
    found: dict[int, tuple[Message, ...]] = {}
    for turn in turns:
        try:
            found[turn.number] = read(_decode_list(turn.messages))
        except _BAD:
            continue
    return found


def for_store(turns: Sequence[Turn], number: int, made: Sequence[Made]) -> bytes:
    """What a store shall keep once turn `number` was served; what came after it is of another past, and goes."""
    kept = [turn for turn in turns if turn.number < number]
    kept.append(Turn(number, _encode(messages(made))))
    kept = kept[-TURNS:]
    while kept and sum(len(turn.messages) for turn in kept) > KEPT_AT_MOST:
        kept.pop(0)
    return _encode_turns(tuple(kept))
