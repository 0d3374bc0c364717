from archflow_compiler.decode import Decoder
from archflow_compiler.passes import models, preferences
from archflow_compiler.source import Source, parse
from archflow_compiler.tree import Places
from archflow_compiler.unit import Unit
from archflow_plugins.registry import Registry
from archflow_schema.config import Config
from archflow_schema.diagnostic import Report

PROVIDERS = """
model_providers:
  - model: openai/a
    routing_preferences: [{name: code, description: write code}, {name: chat, description: talk}]
  - model: openai/b
    routing_preferences: [{name: code, description: write code}]
"""


def merged(text):
    report = Report()
    root = parse(Source("x.yaml", text), report)
    places = Places(root)
    config = Decoder(report, places).struct(root, Config)
    unit = Unit(config, places, report)
    found = preferences.merge(unit, models.resolve(unit, Registry.load()))
    return {one.name: (one.description, one.models) for one in found}, [one.code for one in report]


def test_the_same_preference_at_two_providers_has_two_models():
    found, codes = merged(PROVIDERS)
    assert found == {"code": ("write code", ("openai/a", "openai/b")), "chat": ("talk", ("openai/a",))}
    assert codes == []


def test_the_top_level_wins_and_says_so():
    found, codes = merged(PROVIDERS + "routing_preferences: [{name: code, description: ours, models: [b]}]\n")
    assert found["code"] == ("ours", ("b",))
    assert codes == ["preference-overruled", "preference-overruled"]


def test_two_that_differ_are_refused():
    _, codes = merged(PROVIDERS.replace("write code}]", "read code}]"))
    assert codes == ["duplicate-preference"]


def test_the_same_twice_at_one_provider_is_refused():
    one = "model_providers: [{model: a/b, base_url: 'http://h', provider_interface: openai, routing_preferences: "
    _, codes = merged(one + "[{name: x, description: y}, {name: x, description: y}]}]\n")
    assert codes == ["duplicate-preference"]
