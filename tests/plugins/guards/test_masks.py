"""Masks: which placeholders stand for what, and where values are put back."""

import msgspec
import pytest
import trio

from archflow_plugins.guards.masks import Masks, Restoring, mask
from archflow_plugins.guards.pii import AT_ONCE, EVERYBODY, PiiConfig, PiiGuard
from archflow_plugins.guards.sought import Sought
from archflow_plugins.testing import compile_context, conversation, run_context
from archflow_schema.conversation import (
    Citation,
    Conversation,
    DocumentPart,
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from archflow_schema.diagnostic import Report

EMAIL = Sought(("email",))


def test_the_same_value_has_the_same_placeholder():
    masks = Masks(lambda: frozenset({"<EMAIL_2>"}))
    assert masks.masked("a@b.de, c@d.de and a@b.de", EMAIL) == "<EMAIL_1>, <EMAIL_3> and <EMAIL_1>"
    assert masks.values == {"<EMAIL_1>": "a@b.de", "<EMAIL_3>": "c@d.de"}
    assert masks.masked("nothing", EMAIL) == "nothing"


def test_every_text_of_a_turn_is_masked_and_nothing_else():
    image = ImagePart("data:image/png;base64,a@b.de")
    parts = (
        TextPart("a@b.de"),
        image,
        DocumentPart(text="c@d.de", context="a@b.de", name="a@b.de, a letter"),
        ToolCallPart("a@b.de", "f", '{"to":"a@b.de"}'),
        ToolResultPart("1", (TextPart("c@d.de"), image)),
        ReasoningPart(text="a@b.de", signature="s"),
    )
    asked = Conversation(messages=(Message(role="user", parts=parts),))
    other, masks = mask(asked, EMAIL, EVERYBODY, apart=True)
    text, same, document, call, result, thought = other.messages[0].parts
    assert (text, same) == (TextPart("<EMAIL_1>"), image)
    assert document == DocumentPart(text="<EMAIL_2>", context="<EMAIL_1>", name="<EMAIL_1>, a letter")
    assert call == ToolCallPart("a@b.de", "f", '{"to":"<EMAIL_1>"}')
    assert result == ToolResultPart("1", (TextPart("<EMAIL_2>"), image))
    assert thought == ReasoningPart(text="<EMAIL_1>", signature="s")
    assert len(masks.values) == 2


def test_sources_that_name_what_is_masked_are_left_out():
    kept = Citation(title="a letter", url="https://x.test", cited="words")
    part = TextPart("so", citations=(Citation(cited="write to a@b.de"), kept))
    other, _ = mask(
        Conversation(messages=(Message(role="assistant", parts=(part,)),)), EMAIL, EVERYBODY, apart=True
    )
    assert other.messages[0].parts == (TextPart("so", citations=(kept,)),)


def test_only_asked_roles_and_the_same_conversation_if_there_is_nothing():
    asked = conversation("system: a@b.de", "user: c@d.de")
    other, _ = mask(asked, EMAIL, ("user",), apart=False)
    assert [message.text for message in other.messages] == ["a@b.de", "<EMAIL_1>"]
    assert mask(asked, Sought(("card",)), EVERYBODY, apart=False)[0] is asked


def test_what_a_tool_answered_is_the_tools_in_a_turn_of_the_user_too():
    said, result = TextPart("a@b.de"), ToolResultPart("1", (TextPart("c@d.de"),))
    asked = Conversation(messages=(Message(role="user", parts=(result, said)),))
    masked = (ToolResultPart("1", (TextPart("<EMAIL_1>"),)), TextPart("<EMAIL_1>"))
    for roles, parts in ((("user",), (result, masked[1])), (("tool",), (masked[0], said))):
        assert mask(asked, EMAIL, roles, apart=False)[0].messages[0].parts == parts


def test_placeholders_that_a_client_said_are_ours_only_if_nothing_is_put_back():
    asked = conversation("user: <EMAIL_1> is a@b.de")
    assert mask(asked, EMAIL, EVERYBODY, apart=True)[0].messages[0].text == "<EMAIL_1> is <EMAIL_2>"
    assert mask(asked, EMAIL, EVERYBODY, apart=False)[0].messages[0].text == "<EMAIL_1> is <EMAIL_1>"


def test_what_is_held_while_it_may_become_a_placeholder():
    screen = Restoring({"<EMAIL_1>": "a@b.de"})

    def fed(text):
        return [(one.length, one.text) for one in screen.feed_nowait(text, end=False)]

    assert fed("say <EMA") == [(4, None)]
    assert fed("IL_1> and <E") == [(9, "a@b.de"), (5, None)]
    assert fed("mail") == [(6, None)]
    assert fed("<EMAIL_2>") == [(9, None)]


def test_a_long_request_is_masked_in_a_thread():
    async def check():
        guard = PiiGuard(PiiConfig(action="mask", restore=True), run_context())
        return await guard.check(conversation("user: " + "word " * AT_ONCE + "a@b.de"))

    verdict = trio.run(check)
    assert verdict.becomes.messages[0].text.endswith("<EMAIL_1>")
    assert isinstance(verdict.screens("text"), Restoring)


@pytest.mark.parametrize(
    ("config", "side", "codes"),
    [
        ({"action": "mask", "restore": True}, "input", []),
        ({"restore": True}, "input", ["nothing-to-restore"]),
        ({"action": "mask", "restore": True}, "output", ["nothing-to-restore"]),
        ({"action": "mask"}, "output", []),
        ({"roles": ["user"]}, "output", ["no-roles"]),
    ],
)
def test_what_compiling_says(config, side, codes):
    report = Report()
    context = compile_context(report=report, side=side)
    PiiGuard.compile(msgspec.convert(config, PiiConfig), context)
    assert [one.code for one in report] == codes
