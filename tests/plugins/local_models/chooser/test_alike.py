"""Options that can hardly be told apart are named, with how alike they are and by what."""

from archflow_plugins.contexts import Option
from archflow_plugins.local_models.chooser.alike import pairs
from choosing_world import OPTIONS, table


def test_options_that_differ_are_no_pair():
    assert pairs(table(), 0.9) == []


def test_options_that_say_the_same_are_a_pair():
    options = (
        *OPTIONS,
        Option(
            name="weather_info",
            description="Current weather and forecasts for a city: temperature, rain and wind.",
        ),
    )
    [pair] = pairs(table(options), 0.9)
    assert (pair.one, pair.other, pair.why) == ("get_weather", "weather_info", "descriptions")
    assert 0.9 <= pair.likeness <= 1


def test_examples_that_are_the_same_make_a_pair():
    options = (
        Option(name="refunds", description="Money back.", examples=("my parcel is broken",)),
        Option(name="parcels", description="Deliveries and tracking.", examples=("my parcel is broken",)),
    )
    [pair] = pairs(table(options), 0.95)
    assert pair.why == "examples"


def test_the_most_alike_come_first():
    options = tuple(
        Option(name=name, description="Plays music.") for name in ("play_music", "play_musics", "weather")
    )
    found = pairs(table(options), 0.5)
    assert {found[0].one, found[0].other} == {"play_music", "play_musics"}
    assert [one.likeness for one in found] == sorted((one.likeness for one in found), reverse=True)
