"""Which words of a conversation guards read."""

from msgspec import Raw

from archflow_plugins.guards.turns import apart, said, words
from archflow_plugins.testing import conversation
from archflow_schema.conversation import (
    Conversation,
    DocumentPart,
    ImagePart,
    Message,
    OpaquePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)


def test_the_newest_first_and_only_those_who_are_asked_for():
    asked = conversation("system: s", "user: one", "assistant: a", "user: two")
    assert list(words(asked, ("user",))) == ["two", "one"]
    assert list(words(asked, ("assistant", "system"))) == ["a", "s"]


def test_everything_that_a_model_reads_as_text():
    user = Message(
        role="user",
        parts=(
            TextPart("t"),
            ImagePart("https://x"),
            DocumentPart(text="d", context="c", name="n"),
            ToolResultPart("1", (TextPart("r"), DocumentPart(text="in it"))),
            OpaquePart("k", Raw(b"{}")),
        ),
    )
    called = Message(role="assistant", parts=(ReasoningPart(text="so"), ToolCallPart("1", "f", '{"a":1}')))
    developer = Message(role="developer", parts=(TextPart("rules"),))
    silent = Message(role="user", parts=(ImagePart("https://x"),))
    asked = Conversation(messages=(developer, user, called, silent))
    everybody = ("user", "assistant", "system", "tool")
    assert list(words(asked, everybody)) == ['so\n{"a":1}', "t\nd\nc\nn", "r\nin it", "rules"]
    assert list(words(asked, ("tool",))) == ["r\nin it"]
    assert list(filter(None, apart(asked, everybody))) == [
        "so", '{"a":1}', "t", "d\nc\nn", "r\nin it", "rules"
    ]  # fmt: skip
    assert list(filter(None, apart(asked, ("user",)))) == ["t", "d\nc\nn"]


def test_a_turn_is_said_by_the_tool_before_the_user_and_by_somebody_if_nothing_is_said():
    result = ToolResultPart("1", (TextPart("r"),))
    assert said(Message(role="user", parts=(TextPart("t"), result, TextPart("u")))) == [
        ("tool", "r"),
        ("user", "t\nu"),
    ]
    assert said(Message(role="user", parts=(result,))) == [("tool", "r")]
    assert said(Message(role="tool", parts=(result, TextPart("t")))) == [("tool", "r\nt")]
    assert said(Message(role="developer", parts=())) == [("system", "")]
