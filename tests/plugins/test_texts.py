"""Texts of conversations: what is changed is what is read."""

from archflow_plugins.texts import changed, texts_in
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
    assert changed(TURN, lambda text: seen.append(text) or text) == TURN
    assert seen == read
    assert list(texts_in(changed(TURN, str.upper))) == [text.upper() for text in read]
