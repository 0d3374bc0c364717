"""The cascade: a model is asked only where the composite router is not sure, and its failing costs only its answer."""

import pytest
import trio

from archflow_plugins.choosing.chooser import TOLD
from archflow_plugins.routers.cascade import CascadeConfig, CascadeRouter
from archflow_plugins.testing import compile_context, compile_kind, conversation, run_context
from archflow_schema.diagnostic import Report
from archflow_schema.errors import UpstreamTimeout
from archflow_schema.reply import Reply
from choosing_world import OPTIONS
from local_world import cache

CLEAR = "user: will it rain in Lisbon tomorrow?"
UNCLEAR = "user: why did the Roman empire fall?"


@pytest.fixture(autouse=True)
def _cached(monkeypatch):
    monkeypatch.setenv("ARCHFLOW_CACHE", str(cache().folder))


def routed(said, answer='{"route": "play_music"}', **config):
    """The choice, what the model was asked, and what was logged."""
    heard, logged = [], []

    async def ask(model, asked, timeout):
        heard.append(asked.messages[0].text)
        if isinstance(answer, Exception):
            raise answer
        return Reply(text=answer)

    async def run():
        settings, blobs = compile_kind(CascadeRouter, {"model": "small", **config}, options=OPTIONS)
        context = run_context(blobs=blobs, ask=ask, log=lambda event, **fields: logged.append(event))
        router = await CascadeRouter.open(settings, context)
        try:
            with trio.fail_after(60):
                return await router.choose(conversation(said))
        finally:
            await router.close()

    return trio.run(run), heard, logged


def test_a_sure_choice_asks_nobody():
    choice, heard, _ = routed(CLEAR, sure=0.5)
    assert (choice.option, choice.reason, heard) == ("get_weather", "ranked", [])


def test_an_unsure_one_is_the_model_s_to_make():
    choice, [asked], _ = routed(UNCLEAR)
    assert (choice.option, choice.reason) == ("play_music", "language_model")
    assert choice.scores[0][0] in {one.name for one in OPTIONS}
    assert all(one.name in asked for one in OPTIONS)


def test_the_model_chooses_among_the_likeliest_only():
    _, [asked], _ = routed(UNCLEAR, candidates=2)
    assert sum(f'"name":"{one.name}"' in asked for one in OPTIONS) == 2


def test_the_model_may_say_that_none_fits():
    choice, _, _ = routed(UNCLEAR, answer='{"route": "other"}')
    assert (choice.option, choice.reason) == ("", "other")


def test_a_model_that_fails_leaves_the_composite_router_s_choice():
    choice, _, logged = routed(UNCLEAR, answer=UpstreamTimeout("late"), threshold=0.0)
    assert choice.reason == "ranked"
    assert logged == ["router_model_failed"]


def test_an_answer_that_names_nothing_leaves_it_too():
    choice, _, _ = routed(UNCLEAR, answer='{"route": "nobody"}')
    assert choice.reason == "unclear"


def test_settings_that_make_no_sense_are_refused():
    report = Report()
    CascadeRouter.compile(
        CascadeConfig(model="small", sure=2.0, candidates=TOLD + 1),
        compile_context("router", report, options=OPTIONS),
    )
    assert {one.code for one in report} == {"bad-threshold", "bad-candidates"}
