"""The matcher that asks a model: what it asks, and what it makes of the answer."""

import msgspec
import pytest
import trio

from archflow_plugins.choosing.by_model import ByModelConfig
from archflow_plugins.contexts import Option
from archflow_plugins.kinds import Choice
from archflow_plugins.matchers.language_model import MOST, LanguageModelMatcher
from archflow_plugins.testing import compile_context, conversation, run_context
from archflow_schema.diagnostic import Report
from archflow_schema.errors import UpstreamTimeout
from archflow_schema.reply import Reply

OPTIONS = tuple(Option(name=name, description=f"does {name}") for name in "abcdefg")


def matched(answer, *said, options=OPTIONS, **config):
    """The choice for a model's answer, and what the model was asked."""
    heard = []

    async def ask(model, asked, timeout):
        heard.append(asked)
        if isinstance(answer, Exception):
            raise answer
        return Reply(text=answer)

    settings = LanguageModelMatcher.compile(
        ByModelConfig(model="small", **config), compile_context(options=options)
    )
    matcher = LanguageModelMatcher(settings, run_context(ask=ask))
    return trio.run(matcher.match, conversation(*said)), heard


def test_it_matches_what_the_model_names():
    choice, [asked] = matched('{"functions": ["b", "a"]}', "user: both")
    assert choice == Choice(
        option="b", reason="language_model", confidence=1.0, scores=(("b", 1.0), ("a", 1.0)), also=("a",)
    )
    assert '{"name":"a","description":"does a"}' in asked.messages[0].text


def test_the_answer_is_held_to_the_targets():
    _, [asked] = matched('{"functions": []}', "user: hi")
    schema = msgspec.json.decode(asked.output.schema)
    assert schema["properties"]["functions"]["items"]["enum"] == list("abcdefg")
    _, [asked] = matched('{"functions": []}', "user: hi", constrained=False)
    assert asked.output is None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [('{"functions": []}', "other"), ('{"functions": ["x"]}', "unknown_target"), ("I think so", "unclear")],
)
def test_other_answers_are_a_miss(answer, reason):
    choice, _ = matched(answer, "user: hi")
    assert (choice.option, choice.reason) == ("", reason)


def test_what_is_not_there_is_left_out_and_the_rest_is_bounded():
    choice, _ = matched('{"functions": ["x", "a", "a", "b", "c", "d", "e", "f"]}', "user: all")
    assert (choice.option, *choice.also) == tuple("abcdefg"[:MOST])


def test_nothing_is_asked_where_nothing_is_said_or_offered():
    assert matched("", "system: x") == (Choice(reason="empty"), [])
    assert matched("", "user: x", options=()) == (Choice(reason="no_options"), [])


def test_a_model_that_does_not_answer_fails():
    with pytest.raises(UpstreamTimeout):
        matched(UpstreamTimeout("late"), "user: hi")


def test_a_prompt_without_its_places_is_refused():
    report = Report()
    LanguageModelMatcher.compile(
        ByModelConfig(model="small", prompt="just answer"),
        compile_context("matcher", report, options=OPTIONS),
    )
    assert [one.summary for one in report] == [
        "the matcher's prompt lacks {functions}",
        "the matcher's prompt lacks {conversation}",
    ]
