"""The composite slot filler as a kind: what it compiles, when it asks a model, what it does with the answer."""

import msgspec
import pytest
import trio

from archflow_plugins.slot_fillers.composite import CompositeConfig, CompositeSlotFiller
from archflow_plugins.testing import compile_context, conversation, run_context
from archflow_schema.diagnostic import Report
from archflow_schema.errors import UpstreamTimeout
from archflow_schema.reply import Reply
from archflow_schema.slots import Intent, Question, Slot
from local_world import cache
from slot_world import values as values_of

INTENT = Intent(
    "find",
    "Find a recipe",
    (
        Slot("dish", "what to cook", "str", required=True),
        Slot("minutes", "how many minutes it may take", "int", required=True),
        Slot("diet", "the diet", "str", enum=(b'"vegan"', b'"any"')),
    ),
)


def run(said, answer=None, *, intents=(INTENT,), **config):
    """The outcome, and what the model was asked."""
    heard = []

    async def ask(model, asked, timeout):
        heard.append((model, asked, timeout))
        if isinstance(answer, Exception):
            raise answer
        return Reply(text=answer or "{}")

    report = Report()
    settings = {"embedder": "", **config}
    compiled = CompositeSlotFiller.compile(
        CompositeConfig(**settings), compile_context(report=report, intents=intents)
    )
    assert not report.failed, list(report)

    async def main():
        filler = await CompositeSlotFiller.open(compiled, run_context(ask=ask))
        try:
            return await filler.fill(said, tuple(one.name for one in intents))
        finally:
            await filler.close()

    return trio.run(main), heard


def values(outcome):
    return values_of(outcome)[0]


SAID = conversation("user: I fancy lasagna tonight, 30 minutes at most")


def test_without_a_model_what_is_unclear_is_asked_for():
    outcome, heard = run(SAID)
    assert outcome == Question("Could you tell me what to cook?", ("dish",), "find")
    assert not heard


def test_a_model_chooses_among_what_was_said():
    outcome, [(model, asked, timeout)] = run(SAID, '{"dish":"lasagna"}', model="small", timeout=3.0)
    assert values(outcome) == {"dish": "lasagna", "minutes": 30}
    assert (model, timeout) == ("small", 3.0)
    schema = msgspec.json.decode(asked.output.schema)
    assert list(schema["properties"]) == ["dish"], "only what is open is asked"
    choice = schema["properties"]["dish"]
    assert "lasagna" in choice["enum"]
    assert None in choice["enum"]


def test_the_words_of_the_target_are_no_value():
    outcome, heard = run(conversation("user: find a recipe, 30 minutes"), '{"dish":"recipe"}', model="small")
    assert isinstance(outcome, Question)
    assert not heard, "there is nothing to choose from"


@pytest.mark.parametrize(
    "answer",
    ['{"dish":"pizza"}', '{"dish":null}', "{}", "not json", '{"dish":3}', '["lasagna"]', '{"dish":""}'],
)
def test_what_was_not_said_is_asked_for_whatever_the_model_says(answer):
    outcome, _ = run(SAID, answer, model="small")
    assert isinstance(outcome, Question)
    assert outcome.missing == ("dish",)


def test_a_model_that_fails_leaves_the_question():
    outcome, heard = run(SAID, UpstreamTimeout("late"), model="small")
    assert isinstance(outcome, Question)
    assert len(heard) == 1


def test_no_model_is_asked_where_nothing_is_open():
    outcome, heard = run(
        conversation("user: cook 'lasagna' in 30 minutes, vegan"), '{"dish":"x"}', model="small"
    )
    assert values(outcome) == {"dish": "lasagna", "minutes": 30, "diet": "vegan"}
    assert not heard


def test_optional_values_are_asked_for_on_demand():
    said = conversation("user: cook 'lasagna' in 30 minutes, no animals please")
    outcome, heard = run(said, '{"diet":"vegan"}', model="small", optional=True)
    assert values(outcome) == {"dish": "lasagna", "minutes": 30, "diet": "vegan"}
    assert len(heard) == 1


def test_long_conversations_are_read_in_a_thread():
    said = conversation("user: " + "blah " * 3000 + "cook 'lasagna' in 30 minutes")
    outcome, _ = run(said)
    assert values(outcome) == {"dish": "lasagna", "minutes": 30}


def test_meaning_needs_an_embedder(monkeypatch):
    monkeypatch.setenv("ARCHFLOW_CACHE", str(cache().folder))
    said = conversation("user: cook 'lasagna' in 30 minutes, plants only")
    outcome, _ = run(said, embedder="tiny-embed", similarity=1.0)
    assert values(outcome) == {"dish": "lasagna", "minutes": 30}, "random weights mean nothing"


def test_the_graph_names_no_embedder_where_no_words_are_to_choose_from():
    plain = Intent("t", "t", (Slot("n", "n", "int"),))
    compiled = CompositeSlotFiller.compile(CompositeConfig(), compile_context(intents=(plain,)))
    assert compiled.embedder == compiled.embedder_digest == ""


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"timezone": "Europe/Nowhere"}, "unknown-timezone"),
        ({"timezone": "../etc/passwd"}, "unknown-timezone"),
        ({"similarity": 0.0}, "bad-similarity"),
        ({"timeout": 0.0}, "bad-timeout"),
        ({"optional": True}, "no-model"),
        ({"embedder": "nothing-like-it"}, "local-model-unusable"),
    ],
)
def test_mistakes(config, code):
    report = Report()
    settings = {"embedder": "", **config}
    CompositeSlotFiller.compile(
        CompositeConfig(**settings), compile_context(report=report, intents=(INTENT,))
    )
    assert [one.code for one in report] == [code]
