"""Texts of conversations: what is changed is what is read."""

import pytest

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


@pytest.mark.parametrize(
    ("url", "text", "new"),
    [
        ("data:text/plain;base64,YSBi", "a b", "data:text/plain;base64,QSBC"),
        ("data:text/markdown;charset=utf-8;base64,YSBi", "a b", "data:text/markdown;base64,QSBC"),
        ("data:application/json;base64,eyJhIjoxfQ", '{"a":1}', "data:application/json;base64,eyJBIjoxfQ=="),
        ("data:,a%20b", "a b", "data:text/plain;base64,QSBC"),
        ("DATA:text/plain;base64,/v8AYQ==", "a", "data:text/plain;base64,QQ=="),
        ("data:text/plain;base64,6Q==", "\u00e9", "data:text/plain;base64,w4k="),
        ("data:text/plain;base64,8J-YgA==", "\U0001f600", "data:text/plain;base64,8J-YgA=="),
        ("data:application/pdf;base64,YSBi", "", "data:application/pdf;base64,YSBi"),
        ("data:text/plain;base64,a", "", "data:text/plain;base64,a"),
        ("https://x.test/a.txt", "", "https://x.test/a.txt"),
    ],
)
def test_text_that_came_as_a_data_url_is_read_and_changed(url, text, new):
    part = DocumentPart(url=url, name="n")
    assert list(texts_of(part)) == [text, "", "n"]
    assert changed(part, str.upper) == DocumentPart(url=new, name="N")
    assert changed(part, lambda text: text) == part


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
