"""Options are found by what a conversation says, few or many, alone or several, and not where nothing fits."""

import numpy as np
import pytest

from archflow_plugins.contexts import Option
from archflow_plugins.local_models.chooser.asked import asked
from archflow_plugins.local_models.chooser.features import FEATURES
from archflow_plugins.local_models.chooser.score import Scorer
from archflow_plugins.local_models.chooser.table import ALL, Table, pack, texts
from choosing_world import OPTIONS, best, embedder, find, table


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("will it rain in Lisbon tomorrow?", "get_weather"),
        ("what is exchange rate for gbp", "exchange_rate"),
        ("please restart the switch in rack four", "reboot_device"),
        ("a table for four at eight, the Italian place", "book_table"),
        ("put on some jazz", "play_music"),
    ],
)
def test_the_option_that_is_asked_for_is_found(text, name):
    assert best(text) == name


@pytest.mark.parametrize(
    "follow", ["and in celsius?", "thanks", "what about Porto?", "Berlin", "and the day after?"]
)
def test_a_follow_up_stays_with_its_option(follow):
    assert best("what is the weather in Lisbon?", follow) == "get_weather"


def test_a_conversation_that_drifts_is_followed():
    assert best("what is the weather in Lisbon?", "now play something by Amália Rodrigues") == "play_music"
    assert best("play some fado", "how many euros are a hundred dollars?") == "exchange_rate"


def test_nothing_fits_what_is_no_option_s_business():
    inside, outside = find("will it rain in Lisbon tomorrow?"), find("why did the Roman empire fall?")
    assert inside.confidence > 0.8
    assert outside.confidence < 0.4


def test_a_turn_that_asks_for_two_gets_both():
    found = find("what is the weather in Rome and how much is the pound in euros?", bar=0.5)
    named = {OPTIONS[at].name for at in (found.options[0], *(at for at, _ in found.also))}
    assert named == {"get_weather", "exchange_rate"}


def test_a_turn_that_asks_for_one_gets_one():
    assert find("will it rain in Rome, and will there be wind, or is it warm?", bar=0.5).also == ()


def test_chances_add_up_and_are_in_order():
    found = find("will it rain?")
    assert sum(found.chances) == pytest.approx(1)
    assert list(found.chances) == sorted(found.chances, reverse=True)
    assert len(found.options) == len(OPTIONS)


def test_examples_decide_where_descriptions_do_not():
    options = (
        Option(
            name="a",
            description="Requests of kind A.",
            examples=("my parcel has not come", "where is my order"),
        ),
        Option(
            name="b",
            description="Requests of kind B.",
            examples=("I want my money back", "refund me, please"),
        ),
    )
    assert best("the package never arrived", options=options) == "a"
    assert best("give me a refund", options=options) == "b"


def many(count: int) -> tuple[Option, ...]:
    things = ("lamp", "door", "pump", "valve", "camera", "engine", "printer", "boiler", "fan", "gate")
    verbs = ("open", "close", "check", "repair", "paint", "move", "sell", "buy", "rent", "clean")
    return (
        *OPTIONS,
        *(
            Option(
                name=f"{verbs[at % 10]}_{things[at // 10 % 10]}_{at}",
                description=f"Task {at} of the {things[at // 10 % 10]}.",
            )
            for at in range(count - len(OPTIONS))
        ),
    )


def test_among_many_the_nearest_are_compared():
    options = many(400)
    found = find("will it rain in Lisbon tomorrow?", options=options)
    assert options[found.options[0]].name == "get_weather"
    assert len(found.options) < ALL + 32


def test_an_approximate_index_finds_the_same():
    options = many(2500)
    vectors = embedder().encode(texts(options))
    approximate = Table(options, pack(options, vectors), embedder().dimension)
    assert approximate._index.form == "hnsw"
    question = asked(["please restart the switch in rack four"])
    found = approximate.find(Scorer.installed(), question, embedder().encode(question.texts))
    assert options[found.options[0]].name == "reboot_device"


def test_the_same_options_give_the_same_bytes():
    vectors = embedder().encode(texts(OPTIONS))
    assert pack(OPTIONS, vectors) == pack(OPTIONS, np.array(vectors))


def test_a_single_option_is_found_or_not():
    options = OPTIONS[:1]
    assert find("will it rain in Lisbon?", options=options).chances == (1.0,)
    assert (
        find("will it rain in Lisbon?", options=options).confidence
        > find("write a poem about cats", options=options).confidence
    )


def test_features_are_of_the_options_that_are_compared():
    question = asked(["will it rain?", "and in Rome?"])
    backdrop = Scorer.installed().backdrop
    places, [turn] = table().compared(question, embedder().encode(question.texts), backdrop)
    assert places == list(range(len(OPTIONS)))
    newest, joined = turn.newest.options, turn.joined.options
    assert newest.shape == joined.shape == (len(OPTIONS), len(FEATURES))
    assert joined[0, 0] > newest[0, 0]  # the earlier turn named the weather
    assert turn.newest.backdrop.shape == (turn.likeness.shape[1], len(FEATURES))
