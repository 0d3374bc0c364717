"""Options and their vectors by the encoder that ships."""

from __future__ import annotations

import functools

from archflow_plugins.contexts import Option
from archflow_plugins.local_models.cache import Cache
from archflow_plugins.local_models.chooser.asked import asked
from archflow_plugins.local_models.chooser.score import Scorer
from archflow_plugins.local_models.chooser.table import Found, Table, pack, texts
from archflow_plugins.local_models.embed import Embedder
from local_world import cache

OPTIONS = (
    Option(
        name="get_weather", description="Current weather and forecasts for a city: temperature, rain, wind."
    ),
    Option(name="exchange_rate", description="Exchange rates between currencies."),
    Option(name="reboot_device", description="Reboots a network device, such as a router or a switch."),
    Option(name="book_table", description="Books a table in a restaurant."),
    Option(name="play_music", description="Plays songs, artists and playlists."),
)


@functools.cache
def embedder() -> Embedder:
    world = Cache(cache().folder)
    return Embedder(world.ensure(world.find("minilm")))


@functools.cache
def table(options: tuple[Option, ...] = OPTIONS) -> Table:
    return Table(options, pack(options, embedder().encode(texts(options))), embedder().dimension)


def find(*said: str, options: tuple[Option, ...] = OPTIONS, bar: float = 1.0) -> Found:
    question = asked(said, several=bar < 1)
    return table(options).find(Scorer.installed(), question, embedder().encode(question.texts), bar)


def best(*said: str, options: tuple[Option, ...] = OPTIONS) -> str:
    return options[find(*said, options=options).options[0]].name


__all__ = ["OPTIONS", "best", "embedder", "find", "table"]
