"""What is known of an option: the texts that are embedded, and the words that are counted."""

from archflow_plugins.contexts import Option
from archflow_plugins.local_models.chooser.described import (
    MOST_EXAMPLES,
    MOST_SENTENCES,
    Rarity,
    described,
    words,
)

WEATHER = Option(
    name="get_weather",
    description="Tells the weather. It knows forecasts, too.",
    examples=("will it rain?", "how warm is it?"),
)


def test_an_option_is_embedded_as_a_whole_and_in_parts():
    found = described(WEATHER)
    assert found.texts == (
        "get weather: Tells the weather. It knows forecasts, too.",
        "get weather",
        "Tells the weather. It knows forecasts, too.",
        "Tells the weather.",
        "It knows forecasts, too.",
        "will it rain?",
        "how warm is it?",
    )
    assert (found.name, found.description, found.sentences, found.examples) == (1, 2, (3, 4), (5, 6))


def test_no_text_is_embedded_twice():
    found = described(Option(name="get_weather", description="", examples=("get weather", "get weather")))
    assert found.texts == ("get weather",)
    assert (found.name, found.description, found.sentences, found.examples) == (0, 0, (), (0,))


def test_a_single_sentence_is_the_description_itself():
    found = described(Option(name="a", description="One sentence."))
    assert found.sentences == (found.description,)


def test_texts_are_bounded():
    many = Option(
        name="a", description="So it is. " * 1000, examples=tuple(f"example {at}" for at in range(1000))
    )
    found = described(many)
    assert len(found.examples) == MOST_EXAMPLES
    assert len(found.sentences) <= MOST_SENTENCES
    assert max(map(len, found.texts)) < 1100


def test_words_are_stems_and_verbs():
    found = words(WEATHER)
    assert found.name == {"get", "weather"}
    assert "forecast" in found.described
    assert found.verbs == {"find", "tell"}
    assert found.examples[0] == {"will", "rain"}


def test_a_word_that_few_options_have_tells_more():
    rarity = Rarity(
        [WEATHER, Option(name="get_news", description="News."), Option(name="get_time", description="Time.")]
    )
    assert rarity.of(frozenset({"weather"})) > rarity.of(frozenset({"get"}))
    assert rarity.of(frozenset()) == 0
