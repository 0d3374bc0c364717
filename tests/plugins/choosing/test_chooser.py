"""The chooser of a worker, with the real encoder: what it answers, remembers, refuses, and lets go."""

import msgspec
import pytest
import trio

from archflow_plugins.choosing.chooser import TEXTS_BROUGHT
from archflow_plugins.contexts import Option
from archflow_plugins.local_models.errors import ModelChanged, ModelCorrupt
from archflow_plugins.local_models.host import Host
from archflow_plugins.matchers.composite import CompositeMatcher
from archflow_plugins.routers.composite import CompositeRouter
from archflow_plugins.testing import compile_kind, conversation, run_context
from archflow_schema.errors import ClientProtocolError
from choosing_world import OPTIONS
from local_world import cache

PATIENCE = 60


@pytest.fixture(autouse=True)
def _cached(monkeypatch):
    monkeypatch.setenv("ARCHFLOW_CACHE", str(cache().folder))


def with_kind(kind, use, *, options=OPTIONS, **config):
    """Compile, open, use, close."""

    async def run():
        settings, blobs = compile_kind(kind, config, options=options)
        instance = await kind.open(settings, run_context(blobs=blobs))
        try:
            with trio.fail_after(PATIENCE):
                return await use(instance)
        finally:
            await instance.close()

    return trio.run(run)


def routed(*said, options=(), compiled=OPTIONS, **config):
    return with_kind(
        CompositeRouter,
        lambda router: router.choose(conversation(*said), options),
        options=compiled,
        **config,
    )


def test_a_choice_tells_how_sure_it_is_and_what_came_next():
    choice = routed("user: will it rain in Lisbon tomorrow?")
    assert (choice.option, choice.reason) == ("get_weather", "ranked")
    assert 0.5 <= choice.confidence <= 1
    assert choice.scores[0][0] == "get_weather"
    assert len(choice.scores) == len(OPTIONS)


def test_what_is_nobody_s_business_is_unclear():
    choice = routed("user: why did the Roman empire fall?")
    assert (choice.option, choice.reason) == ("", "unclear")
    assert choice.scores


def test_the_threshold_is_compared_with_the_confidence():
    sure = routed("user: will it rain in Lisbon tomorrow?").confidence
    assert routed("user: will it rain in Lisbon tomorrow?", threshold=min(1.0, sure + 0.01)).option == ""
    assert routed("user: why did the Roman empire fall?", threshold=0.0).option


def test_what_tools_and_models_say_moves_nothing():
    plain = routed("user: will it rain in Lisbon?")
    talk = (
        "user: will it rain in Lisbon?",
        "assistant: Shall I play music?",
        "tool: exchange rates of all currencies",
    )
    assert routed(*talk) == plain


def test_a_conversation_without_a_user_is_empty():
    assert routed("system: be brief").reason == "empty"
    assert routed().reason == "empty"


def test_without_options_there_is_nothing_to_choose():
    assert routed("user: hello", compiled=()).reason == "no_options"


def test_options_of_a_request_take_the_place_of_the_compiled_ones():
    brought = (
        Option(name="jokes", description="Tells jokes."),
        Option(name="rain", description="Rain and weather."),
    )
    assert routed("user: will it rain in Lisbon?", options=brought).option == "rain"
    assert routed("user: will it rain in Lisbon?", options=brought, compiled=()).option == "rain"


def test_too_many_texts_are_the_client_s_mistake():
    brought = tuple(
        Option(name=f"n{at}", description=f"thing {at}", examples=("x",)) for at in range(TEXTS_BROUGHT)
    )
    with pytest.raises(ClientProtocolError, match="bring fewer"):
        routed("user: hello there", options=brought)


def test_decisions_and_brought_options_are_remembered_and_bounded(monkeypatch):
    from archflow_plugins.choosing import chooser

    monkeypatch.setattr(chooser, "REMEMBERED", 2)
    monkeypatch.setattr(chooser, "TEXTS_KEPT", 6)
    brought = tuple(
        (Option(name=f"a{at}", description="One."), Option(name=f"b{at}", description="Two."))
        for at in range(3)
    )

    async def use(router):
        for some in brought:
            await router.choose(conversation("user: one"), some)
        inner = router._chooser
        assert len(inner._decided) == 2
        assert list(inner._brought) == [brought[2]]
        calls = Host.offload
        monkeypatch.setattr(Host, "offload", None)  # a decision that is known needs no thread
        again = await router.choose(conversation("user: one"), brought[2])
        monkeypatch.setattr(Host, "offload", calls)
        return again

    assert with_kind(CompositeRouter, use).scores


def test_a_matcher_finds_several_targets_in_one_turn():
    said = "user: what is the weather in Rome and how much is the pound in euros?"
    choice = with_kind(CompositeMatcher, lambda matcher: matcher.match(conversation(said)))
    assert {choice.option, *choice.also} == {"get_weather", "exchange_rate"}
    assert routed(said).also == ()


def test_a_long_message_is_no_trouble():
    choice = routed("user: " + "blah " * 40_000 + "will it rain in Lisbon?")
    assert choice.reason in {"ranked", "unclear"}


def test_another_encoder_or_scorer_than_the_graph_s_is_refused():
    settings, blobs = compile_kind(CompositeRouter, {}, options=OPTIONS)

    async def opened(**fields):
        await CompositeRouter.open(msgspec.structs.replace(settings, **fields), run_context(blobs=blobs))

    with pytest.raises(ModelChanged):
        trio.run(lambda: opened(embedder_digest="0" * 64))
    with pytest.raises(ModelCorrupt, match="compile it again"):
        trio.run(lambda: opened(scorer="0" * 64))
