"""Invariant: whatever a conversation says, a call keeps the path that was configured; no state of a client is a crash.

What fills a path is one piece of one segment; what fills a query or a body comes back from it as it went in; whatever
stands in a client's metadata is understood or passed over, and a model is then asked what the user said.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from archflow_compiler.lower.calls import places_of
from archflow_engine.prompts import history, state
from archflow_engine.prompts.targets import TargetCall, Unfit
from archflow_schema.conversation import Conversation, Message, TextPart
from archflow_schema.graph import Target
from archflow_schema.slots import Slot

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    ["..", ".", "/", "//evil.test", "%2e%2e", "a b\r\nHost: x", "?a=1&b=2", "#"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300)
@given(place=VALUES, other=VALUES, method=st.sampled_from(["GET", "POST"]))
def test_a_call_keeps_its_path(place: Any, other: Any, method: Any) -> None:
    slots = (Slot("place", "", "str"), Slot("other", "", "str"))
    call = TargetCall(Target("t", 0, method, places_of("/a/{place}/b"), slots=slots))
    said = [("place", Raw(msgspec.json.encode(place))), ("other", Raw(msgspec.json.encode(other)))]
    try:
        request = call.request(call.values(said))
    except Unfit:
        assert place in (None, "", ".", "..") or not place or place in ([""], ["."], [".."])
        return
    path, _, query = request.target.decode("ascii").partition("?")
    first, a, segment, b = path.split("/")
    assert (first, a, b) == ("", "a", "b")
    assert unquote(segment) not in {"", ".", ".."}
    if isinstance(place, str):
        assert unquote(segment) == place
    assert all(33 <= byte <= 126 for byte in request.target)
    if method == "POST":
        assert query == ""
        assert msgspec.json.decode(request.body) == ({} if other is None else {"other": other})
    elif isinstance(other, str):
        assert parse_qsl(query, keep_blank_values=True) == [("other", other)]


@settings(max_examples=300)
@given(
    told=TEXTS
    | VALUES.map(lambda value: msgspec.json.encode(value).decode())
    | VALUES.map(lambda value: msgspec.json.encode({"messages": value}).decode())
    | st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["user", "assistant", "tool", "king"])},
            optional={"content": VALUES, "tool_calls": VALUES, "tool_call_id": VALUES},
        ),
        max_size=4,
    ).map(lambda value: msgspec.json.encode({"messages": msgspec.json.encode(value).decode()}).decode())
)
def test_no_state_of_a_client_is_a_crash(told: str) -> None:
    messages = tuple(
        Message(role=role, parts=(TextPart(text),))  # type: ignore[arg-type]
        for role, text in (("user", "one"), ("assistant", "two"), ("user", "three"))
    )
    conversation = Conversation(messages=messages, metadata=((state.STATE, told),))
    names = frozenset({"weather"})
    restored = history.restored(conversation, state.of_client(conversation), names)
    asked = history.for_model(restored, names, forget=True)
    said = [one for one in asked.messages if one.role == "user"]
    assert said == [messages[0], messages[2]]
