"""Candidates and requests as texts to embed and words to count."""

import pytest

from archflow_plugins.local_models.ranker import Candidate, Offer, Parameter, query_texts
from archflow_plugins.local_models.ranker.candidate import (
    FORMS,
    MAX_PARAMETER_TEXT,
    MAX_PARAMETERS_TEXT,
    MAX_QUERY,
    MAX_SENTENCES,
    plain,
    spoken,
    stems,
    verbs,
)

WEATHER = Candidate(
    name="get_weather",
    description="Tells the weather. Only for cities.",
    parameters=(
        Parameter(name="cityName", description="where", required=True),
        Parameter(name="unit", values=("celsius", "fahrenheit", "K")),
    ),
)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Movies_1_FindMovies", "movies 1 find movies"),
        ("get_weather", "get weather"),
        ("a.b-c", "a b c"),
        ("", ""),
    ],
)
def test_names_are_spoken(name, words):
    assert spoken(name) == words


def test_the_forms_of_a_candidate():
    assert WEATHER.forms == (
        "get weather: Tells the weather. Only for cities.",
        "get weather",
        "Tells the weather. Only for cities.",
        "get weather: Tells the weather.",
        "get weather: Tells the weather. Only for cities. city name, unit",
        "city name where; unit ",
    )
    assert len(WEATHER.forms) == FORMS
    assert [one.text for one in WEATHER.parameters] == ["city name: where", "unit: "]


def test_a_candidate_without_words_is_known_by_its_name():
    assert Candidate(name="ping").forms == ("ping: ", "ping", "ping", "ping: ", "ping:  ", "ping")


def test_texts_of_parameters_are_bounded():
    long = Candidate(name="f", parameters=(Parameter(name="p", description="x" * 5000),))
    assert (len(long.parameters[0].text), len(long.forms[5])) == (MAX_PARAMETER_TEXT, MAX_PARAMETERS_TEXT)


def test_an_offer_embeds_each_text_once():
    offer = Offer([WEATHER, WEATHER])
    assert len(set(offer.texts)) == len(offer.texts)
    assert offer.places[0] == offer.places[1]
    assert [offer.texts[at] for at in offer.places[0]] == [
        *WEATHER.forms,
        *(one.text for one in WEATHER.parameters),
    ]


def test_rare_words_weigh_more():
    offer = Offer([Candidate(name="play music"), Candidate(name="play film"), Candidate(name="play game")])
    assert 0 < offer.rare(frozenset({"play"})) < offer.rare(frozenset({"music"}))
    assert offer.rare(frozenset({"music", "play"})) == pytest.approx(
        offer.rare(frozenset({"music"})) + offer.rare(frozenset({"play"}))
    )


def test_listed_values_are_whole_words_of_two_letters_or_more():
    assert Offer([WEATHER]).words[0].values == ((" celsius ", " fahrenheit "),)
    assert " new york " in plain("To New-York, please")
    assert " art " not in plain("start")


def test_a_request_is_itself_and_its_sentences():
    assert query_texts("Hello there. Book a table!") == [
        "Hello there. Book a table!",
        "Hello there.",
        "Book a table!",
    ]
    assert query_texts("one sentence") == ["one sentence"]
    assert query_texts(" \n ") == [" "]


def test_a_long_request_is_cut():
    found = query_texts("".join(f"This is number {at}. " for at in range(500)))
    assert len(found) == MAX_SENTENCES + 1
    assert len(found[0]) == MAX_QUERY
    assert found[1].endswith("number 0.")
    assert max(map(len, query_texts("x" * 10**6))) == MAX_QUERY


def test_stems_leave_out_the_commonest_and_the_plural():
    assert stems("Find the hotels of Paris for glass") == {"find", "hotel", "pari", "glass"}


def test_verbs_fall_into_classes():
    assert verbs("please cancel it and buy another") == {"remove", "buy"}
    assert verbs("nothing") == set()
