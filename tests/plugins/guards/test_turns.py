"""Which words of a conversation guards read."""

from msgspec import Raw

from archflow_plugins.guards.turns import words
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
    assert list(words(asked, ("user", "assistant", "system"))) == [
        'so\n{"a":1}',
        "t\nd\nc\nn\nr\nin it",
        "rules",
    ]
