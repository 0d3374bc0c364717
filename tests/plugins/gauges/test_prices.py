"""What models cost: as shipped, as a catalogue on the network tells, and what a broken catalogue changes."""

import pytest
import trio
from msgspec import json

from archflow_plugins.contexts import Answered
from archflow_plugins.gauges.prices import Prices, PricesConfig, price
from archflow_plugins.gauges.source import RETRY, Measured, keys
from archflow_plugins.testing import compile_context, run_context
from archflow_schema.errors import ArchflowError, UpstreamTimeout

MODELS = (
    Measured("openai/gpt-4o", "openai", "gpt-4o"),
    Measured("mini", "openai", "gpt-4o-mini"),
    Measured("anthropic/unheard-of", "anthropic", "unheard-of"),
)
MODELS_DEV = {
    "openai": {
        "models": {"gpt-4o": {"cost": {"input": 7, "output": 8}}, "gpt-4o-mini": {"id": "x"}, "o9": {}}
    },
    "anthropic": {"models": {"unheard-of": {"cost": {"input": 0.5}}}},
    "empty": {},
}
DIGITALOCEAN = {
    "data": [
        {
            "model_id": "openai-gpt-4o",
            "pricing": {"input_price_per_million": 2.0, "output_price_per_million": 3},
        },
        {"model_id": "gpt-4o-mini", "pricing": {"input_price_per_million": 1.5}},
        {"model_id": "unheard-of", "pricing": None},
    ]
}


class World:
    """A clock, and a catalogue that answers."""

    def __init__(self, body=b"{}", status=200):
        self.now = 1000.0
        self.answer = Answered(status, "application/json", (), body)
        self.asked = []

    async def fetch(self, method, url, headers, body, timeout):
        await trio.lowlevel.checkpoint()
        self.asked.append((method, url))
        if self.answer is None:
            raise UpstreamTimeout("nobody there")
        return self.answer

    def gauge(self, **config):
        compiled = Prices.compile(PricesConfig(models=MODELS, **config), compile_context())
        return Prices(compiled, run_context(clock=lambda: self.now, fetch=self.fetch))


def test_a_price_is_input_and_output_together():
    assert price("openai", "gpt-4o") == 12.5
    assert price("openai", "unheard-of") is None
    assert price("nobody", "gpt-4o") is None


def test_until_the_catalogue_answers_the_shipped_prices_count():
    assert World().gauge().readings() == {"openai/gpt-4o": 12.5, "mini": 0.75}


def test_models_dev():
    world = World(json.encode(MODELS_DEV))
    gauge = world.gauge(refresh_interval=600)
    assert gauge.stale
    trio.run(gauge.renew)
    assert world.asked == [("GET", "https://models.dev/api.json")]
    assert gauge.readings() == {"openai/gpt-4o": 15.0, "mini": 0.75, "anthropic/unheard-of": 0.5}
    assert not gauge.stale
    world.now += 600
    assert gauge.stale


def test_digitalocean_with_names_of_its_own():
    world = World(json.encode(DIGITALOCEAN))
    gauge = world.gauge(
        provider="digitalocean", url="http://prices.test", model_aliases=(("openai-gpt-4o", "openai/gpt-4o"),)
    )
    trio.run(gauge.renew)
    assert world.asked == [("GET", "http://prices.test")]
    assert gauge.readings() == {"openai/gpt-4o": 5.0, "mini": 1.5}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"<html>", 200, "cannot be read"),
        (b'{"openai": 3}', 200, "cannot be read"),
        (b"{}", 503, "answered with status 503"),
        (None, 0, "nobody there"),
    ],
    ids=["no json", "no catalogue", "an error", "nobody"],
)
def test_a_catalogue_that_fails_changes_nothing_and_is_left_alone_for_a_while(body, status, words):
    world = World(body or b"", status)
    if body is None:
        world.answer = None
    gauge = world.gauge()
    with pytest.raises(ArchflowError, match=words):
        trio.run(gauge.renew)
    assert gauge.readings() == {"openai/gpt-4o": 12.5, "mini": 0.75}
    assert not gauge.stale
    world.now += RETRY
    assert gauge.stale


def test_a_model_is_known_by_all_its_names_and_aliases_come_first():
    assert keys(MODELS[1:2], (("theirs", "mini"),)) == (
        ("theirs", "mini"),
        ("mini", "mini"),
        ("openai/gpt-4o-mini", "mini"),
        ("gpt-4o-mini", "mini"),
    )
