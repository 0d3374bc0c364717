"""Requests with another conversation in them: what changes, and what keeps its bytes."""

from msgspec import json, structs

from archflow_plugins.dialects.anthropic_messages import AnthropicMessages
from archflow_plugins.dialects.openai_chat import OpenAIChat
from archflow_plugins.kinds import Empty
from archflow_plugins.rewriting import covered, rewritten
from archflow_plugins.testing import run_context
from archflow_plugins.texts import changed
from archflow_schema.conversation import Message, TextPart

CHAT = OpenAIChat(Empty(), run_context())
MESSAGES = AnthropicMessages(Empty(), run_context())


def told(dialect, body, change):
    """The request with changed messages."""
    head = dialect.decode_head(body)
    before = dialect.decode(head)
    after = structs.replace(before, messages=change(before.messages))
    return rewritten(dialect, head, before, after).body


def said(old, new):
    """Messages in which a text is another one."""

    def part(one):
        return structs.replace(one, text=new) if isinstance(one, TextPart) and one.text == old else one

    return lambda messages: tuple(
        structs.replace(message, parts=tuple(map(part, message.parts))) for message in messages
    )


def test_only_the_text_changes():
    body = (
        b'{"model":"m","messages":[{"role":"user","content":"a","own":[ 1.50 ]},'
        b'{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"x"}},{"type":"text","text":"b"}]}],'
        b'"temperature":1.0,"more":{ }}'
    )
    assert told(CHAT, body, said("a", "c")) == body.replace(b'"a"', b'"c"')
    assert told(CHAT, body, said("z", "c")) == body


def test_another_dialect_and_its_system_prompt():
    body = (
        b'{"model":"m","max_tokens":9,"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}],'
        b'"messages":[{"role":"user","content":"b","x":1}]}'
    )
    assert told(MESSAGES, body, said("a", "c")) == body.replace(b'"a"', b'"c"')
    assert told(MESSAGES, body, said("b", "c")) == body.replace(b'"b"', b'"c"')


def test_more_or_other_messages_are_written_anew():
    body = b'{"model":"m","messages":[{"role":"user","content":"a","own":1}]}'
    more = told(CHAT, body, lambda messages: (*messages, Message(role="user", parts=(TextPart("b"),))))
    assert json.decode(more)["messages"] == [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
    ]
    other = told(CHAT, body, lambda _: (Message(role="system", parts=(TextPart("a"),)),))
    assert json.decode(other)["messages"] == [{"role": "system", "content": "a"}]


def test_texts_that_a_conversation_has_no_place_for_change_and_no_others():
    body = (
        b'{"model":"a","messages":[{"role":"user","name":"a","content":[{"type":"text","text":"a","odd":["a",{"x":"b"}]}]},'
        b'{"role":"assistant","content":"c","function_call":{"name":"f","arguments":"c"}}],'
        b'"prediction":{"type":"content","content":[{"type":"text","text":"b"}],"url":"data:b"},"user":"b","temperature":1.50}'
    )
    head = CHAT.decode_head(body)
    found = covered(CHAT, head, CHAT.decode(head), lambda text: {"a": "z", "b": "z"}.get(text, text))
    wanted = body.replace(b'{"x":"b"}', b'{"x":"z"}').replace(b'"text":"b"', b'"text":"z"')
    assert found.body == wanted
    assert covered(CHAT, head, CHAT.decode(head), lambda text: text) is head


def test_what_no_conversation_can_say_is_read_as_a_whole():
    head = CHAT.decode_head(
        b'{"model":"b","messages":[{"role":"user","content":[{"type":"odd","odd":"b"}]}]}'
    )
    found = covered(CHAT, head, CHAT.decode(head), lambda text: text.replace("b", "z"))
    assert found.body == b'{"model":"b","messages":[{"role":"user","content":[{"type":"odd","odd":"z"}]}]}'


def test_a_document_that_came_as_bytes_goes_on_as_what_we_would_write():
    source = {"type": "base64", "media_type": "text/plain", "data": "YSBi"}
    document = {"type": "document", "source": source, "own": 1}
    body = json.encode({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [document]}]})

    def upper(messages):
        return tuple(
            structs.replace(one, parts=tuple(changed(part, str.upper) for part in one.parts))
            for one in messages
        )

    [message] = json.decode(told(MESSAGES, body, upper))["messages"]
    [found] = message["content"]
    assert found["source"] == {"type": "text", "media_type": "text/plain", "data": "A B"}


def test_a_text_that_is_also_a_name_changes_where_it_is_said():
    body = b'{"model":"m","messages":[{"role":"user","name":"a","content":[{"type":"text","text":"a"}]}]}'
    assert json.decode(told(CHAT, body, said("a", "c")))["messages"] == [
        {"role": "user", "name": "a", "content": [{"type": "text", "text": "c"}]}
    ]


def test_another_model_and_a_stream_are_asked_for():
    body = b'{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"stream":false}'
    head = CHAT.decode_head(body)
    before = CHAT.decode(head)
    after = structs.replace(before, messages=said("a", "c")(before.messages), stream=True)
    found = rewritten(CHAT, head, before, after, "other")
    wanted = body.replace(b'"a"', b'"c"').replace(b'"m"', b'"other"').replace(b"false", b"true")
    assert found.body.startswith(wanted[:-1])
    assert found.stream
