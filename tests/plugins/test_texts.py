"""Texts of conversations: what is changed is what is read."""

from archflow_plugins.texts import changed, texts_in, texts_of
from archflow_schema.conversation import (
    DocumentPart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

TURN = Message(
    role="assistant",
    parts=(
        TextPart("text"),
        RefusalPart("refusal"),
        ReasoningPart(text="thought", signature="proof"),
        ImagePart("data:image/png;base64,iVBO"),
        DocumentPart(text="body", context="about", name="title"),
        ToolCallPart("1", "f", '{"a":"b"}'),
        ToolResultPart("1", (TextPart("result"), DocumentPart(text="inner"))),
    ),
)


def test_what_is_changed_is_what_is_read():
    read = list(texts_in(TURN))
    assert read == [
        "text", "refusal", "thought", "body", "about", "title", '{"a":"b"}', "result", "inner", "", ""
    ]  # fmt: skip
    seen = []
    assert [changed(part, lambda text: seen.append(text) or text) for part in TURN.parts] == [*TURN.parts]
    assert seen == read
    upper = tuple(changed(part, str.upper) for part in TURN.parts)
    assert [text for part in upper for text in texts_of(part)] == [text.upper() for text in read]
