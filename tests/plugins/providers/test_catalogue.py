"""The models that are known of vendors: plausible facts, each once, of vendors that there are."""

from datetime import date

import pytest

from archflow_plugins.providers.catalogue import Known, catalogue, find, of
from archflow_plugins.providers.table import VENDORS

MODELS = catalogue().models


def test_it_says_when_and_where_from():
    assert date.fromisoformat(catalogue().taken).year >= 2026
    assert catalogue().source


def test_each_is_there_once_in_order_of_its_vendor():
    assert len({(one.vendor, one.id) for one in MODELS}) == len(MODELS)
    for vendor in {one.vendor for one in MODELS}:
        names = [one.id for one in of(vendor)]
        assert names == sorted(names)


@pytest.mark.parametrize("model", MODELS, ids=lambda one: f"{one.vendor}/{one.id}")
def test_facts_are_plausible(model):
    assert model.vendor in VENDORS
    assert model.id.isprintable()
    assert " " not in model.id
    assert 256 <= model.context <= 20_000_000
    assert 0 <= model.output <= 20_000_000
    for price in (model.input_price, model.output_price, model.cached_price):
        assert price is None or 0 <= price < 1000
    if model.cached_price is not None and model.input_price:
        assert model.cached_price <= model.input_price
    assert (model.output_price is None) == (model.does == "embeddings")
    assert len(set(model.can)) == len(model.can)


@pytest.mark.parametrize(
    "vendor", ["openai", "anthropic", "gemini", "vertex_ai", "mistral", "xai", "deepseek", "groq"]
)
def test_the_big_vendors_are_there(vendor):
    assert len(of(vendor)) >= 4
    assert of("nobody") == ()


@pytest.mark.parametrize(
    ("does", "vendor", "served"),
    [
        ("chat", "openai", True),
        ("chat", "anthropic", True),
        ("embeddings", "openai", True),
        ("embeddings", "vertex_ai", False),
        ("chat", "chatgpt", False),
    ],
)
def test_what_can_be_asked(does, vendor, served):
    assert Known(vendor=vendor, id="m", does=does, context=1).served_by(VENDORS[vendor]) is served


def test_a_model_is_found_by_its_vendor_and_id():
    for one in catalogue().models:
        assert find(one.vendor, one.id) is one
    assert find("openai", "nobody-made-this") is None
    assert find("nobody", of("openai")[0].id) is None
