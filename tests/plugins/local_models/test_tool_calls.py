"""Tools: told as models were trained, calls that are always valid, read back whatever pieces they come in."""

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, json

from archflow_plugins.local_models import tool_calls
from archflow_plugins.local_models.chat_template import TEMPLATES, Turn
from archflow_plugins.local_models.generate import Generation
from archflow_plugins.local_models.sample import Sampling
from archflow_plugins.local_models.tool_calls import BadTool, CallDelta, CallReader
from archflow_schema.conversation import Tool, ToolCallPart
from local_world import chat, words

CITY = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 6}}, "required": ["city"]}
TOOLS = (Tool(name="weather", parameters=Raw(json.encode(CITY))), Tool(name='we"ird'))
FRAMES = {name: one.tools for name, one in TEMPLATES.items()}


def read(frame, text, sizes=()):
    reader = CallReader(frame)
    parts, at = [], 0
    for size in (*sizes, len(text)):
        parts += reader.read(text[at : at + size])
        at += size
    calls = []
    for index, name, arguments in ((one.index, one.name, one.arguments) for one in parts):
        if name:
            assert index == len(calls)
            calls.append([name, ""])
        calls[index][1] += arguments
    return [(name, json.decode(arguments)) for name, arguments in calls]


def behind_mark(frame, *calls):
    text = tool_calls.written(frame, [ToolCallPart("", name, arguments) for name, arguments in calls])
    return text.removeprefix(tool_calls._mark(frame))


@pytest.mark.parametrize("name", FRAMES)
@given(sizes=st.lists(st.integers(0, 9), max_size=30), odd=st.text(max_size=8))
def test_calls_are_read_in_any_pieces(name, sizes, odd):
    frame = FRAMES[name]
    arguments = json.encode({"a": [{"}": odd}, '{"name": "x", "arguments": {'], "b": {}}).decode()
    made = [("weather", arguments), ('we"ird', "{}")]
    if not frame.call[1]:
        made = made[:1]
    assert read(frame, behind_mark(frame, *made), sizes) == [(one, json.decode(text)) for one, text in made]


def test_arguments_are_told_as_they_come():
    reader = CallReader(FRAMES["chatml"])
    assert reader.read('\n{"name": "weather", "argu') == []
    assert reader.read('ments": {"ci') == [CallDelta(0, "weather", ""), CallDelta(0, "", '{"ci')]
    assert reader.read('ty": "}"') == [CallDelta(0, "", 'ty": "}"')]
    assert reader.read("}}\n</tool_call>") == [CallDelta(0, "", "}")]


@pytest.mark.parametrize("name", FRAMES)
def test_what_is_held_is_what_is_read(name):
    frame = FRAMES[name]
    rule = tool_calls.calls(frame, TOOLS, words(), required=True).rule
    good = behind_mark(frame, ("weather", '{"city": "Oslo"}'))
    assert rule.grammar.accepts(good.encode())
    assert rule.grammar.accepts(behind_mark(frame, ('we"ird', "{}")).encode())
    for bad in (
        good.replace("weather", "whether"), good.replace("Oslo", "Copenhagen"), good[:-1], good + "x",
        behind_mark(frame, ('we"ird', '{"more": 1}')),
    ):  # fmt: skip
        assert not rule.grammar.accepts(bad.encode()), bad


def test_several_calls_up_to_a_limit():
    frame = FRAMES["chatml"]
    rule = tool_calls.calls(frame, TOOLS, words(), required=True, most=2).rule
    for count, fits in ((1, True), (2, True), (3, False)):
        assert (
            rule.grammar.accepts(behind_mark(frame, *[("weather", '{"city":"a"}')] * count).encode()) == fits
        )


def test_the_same_tools_share_a_rule():
    frame = FRAMES["chatml"]
    first = tool_calls.calls(frame, TOOLS, words(), required=True).rule
    assert tool_calls.calls(frame, TOOLS, words(), required=False).rule is first
    assert tool_calls.calls(frame, TOOLS, words(), required=True, most=1).rule is not first


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        (b'{"not": {}}', "#/not"),
        (b"[]", "schema of an object"),
        (b'{"type": "array"}', "schema of an object"),
        (b'{"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}}', "not there"),
        (b'{"title": "' + b"x" * 70_000 + b'"}', "larger than 64 KiB together"),
    ],
    ids=str,
)
def test_tools_that_cannot_be_held_to_are_told_by_number(parameters, says):
    with pytest.raises(BadTool, match=says) as raised:
        tool_calls.calls(
            FRAMES["chatml"], [TOOLS[0], Tool(name="x", parameters=Raw(parameters))], words(), required=True
        )
    assert raised.value.index == (0 if "together" in says else 1)


def test_tools_are_told_as_they_were_in_training():
    text = tool_calls.told(FRAMES["chatml"], TOOLS[:1])
    assert (
        '<tools>\n{"type": "function", "function": {"name": "weather", "description": "", "parameters": {'
        in text
    )
    assert text.endswith("</tool_call>")


class Scripted:
    """A generation whose model proposes the tokens of a text, one after the other."""

    def __init__(self, tokens, frame="chatml", **fields):
        self.told = []
        made = tool_calls.calls(FRAMES[frame], TOOLS, words(), required=False)
        self.generation = Generation(
            chat(), chat().prompt([Turn("user", "hi")]), Sampling(**fields), self.told.append, None, made
        )
        self.went_on = [self.generation.hear(token, None) for token in tokens]

    @property
    def text(self):
        return "".join(one.text for one in self.told if not one.called)

    @property
    def called(self):
        return "".join(one.text for one in self.told if one.called)


def test_words_may_stand_before_a_call():
    found = Scripted(words().encode("Let me see. <tool_call>"))
    assert found.text == "Let me see. "
    assert found.generation.called
    assert found.generation.looks
    assert found.went_on[-1] is False
    assert all(found.went_on[:-1])
    assert found.called == '\n{"name": "we'  # what both names have in common
    chat().generate(found.generation)
    for name, value in read(FRAMES["chatml"], found.called):
        jsonschema.validate(value, CITY if name == "weather" else {"maxProperties": 0})


def test_a_mark_that_ends_within_a_token_is_cut_there(monkeypatch):
    token = words().encode("hello")[0]
    spelt = list(chat().words.bytes)
    spelt[token] = b"> and more"
    monkeypatch.setattr(chat().words, "bytes", spelt)
    found = Scripted([*words().encode("<tool_call"), token])
    assert found.text == ""
    assert found.called.startswith('\n{"name"')
    assert words().text(found.generation.tokens).startswith("<tool_call>\n{")


def test_what_looks_like_a_mark_and_is_none_is_told():
    found = Scripted(words().encode("a <tool_cal is <tool_"))
    assert found.text == "a <tool_cal is "
    found.generation._end("stop")
    assert found.text == "a <tool_cal is <tool_"
    assert not found.generation.called


def test_where_only_the_whole_answer_is_a_call():
    assert Scripted(words().encode(' {"name": "'), "llama3").generation.called
    found = Scripted(words().encode('see {"name": "we'), "llama3")
    assert not found.generation.called
    assert found.text == 'see {"name": "we'


def test_a_call_that_has_no_room_is_not_begun():
    found = Scripted(words().encode("<tool_call>"), max_tokens=12)
    assert found.generation.reason == "length"
    assert (found.text, found.called) == ("", "")
    assert not found.generation.called
    assert len(found.generation.tokens) <= 12


def test_a_stop_string_before_the_mark_ends_it():
    found = Scripted(words().encode("no. <tool_call>"), stop=("o. ",))
    assert (found.generation.reason, found.text, found.called) == ("stop", "n", "")
