"""In which order a preference's models are asked, decided as early as it can be."""

import msgspec
import pytest

from archflow_plugins.gauges.prices import PricesCompiled
from archflow_plugins.gauges.prometheus import PrometheusCompiled
from archflow_schema.graph import Choose, Next
from compiling import HEAD, codes, compiled, graph

PROVIDERS = """
model_providers:
  - {model: openai/gpt-4o, access_key: $KEY, default: true}
  - {model: openai/gpt-4o-mini, name: small, access_key: $KEY}
  - {model: openai/unheard-of, access_key: $KEY}
routing: {router: {kind: static, option: code}}
"""


def preference(prefer, models="[openai/unheard-of, openai/gpt-4o, small]"):
    return f"""
routing_preferences:
  - name: code
    description: programs
    models: {models}
    selection_policy: {{prefer: {prefer}}}
"""


def choose(text):
    (found,) = [node for node in graph(HEAD + PROVIDERS + text).nodes if isinstance(node, Choose)]
    return found


def test_the_cheapest_first_and_what_has_no_price_last():
    found = choose(preference("cheapest"))
    assert found.routes == (("code", ("small", "openai/gpt-4o", "openai/unheard-of")),)
    assert found.ranked == ()


def test_as_given_otherwise():
    assert choose(preference("none")).routes[0][1] == ("openai/unheard-of", "openai/gpt-4o", "small")


def test_the_fastest_by_what_was_seen_where_nobody_tells():
    found = choose(preference("fastest"))
    assert [(one.routes, one.gauge) for one in found.ranked] == [(("code",), None)]


def test_prices_that_are_looked_up():
    source = (
        "model_metrics_sources: [{type: cost, provider: models.dev, model_aliases: {tiny: gpt-4o-mini}}]\n"
    )
    (ranked,) = choose(preference("cheapest") + source).ranked
    assert ranked.gauge.kind == "gauge.prices"
    stored = msgspec.msgpack.decode(ranked.gauge.compiled, type=PricesCompiled)
    assert stored.names[0] == ("tiny", "small")
    assert dict(stored.known) == {"openai/gpt-4o": 12.5, "small": 0.75}


def test_times_that_are_looked_up():
    source = (
        'model_metrics_sources: [{type: latency, provider: prometheus, url: "http://p:9090", query: up}]\n'
    )
    (ranked,) = choose(preference("fastest") + source).ranked
    stored = msgspec.msgpack.decode(ranked.gauge.compiled, type=PrometheusCompiled)
    assert stored.url == ("http://p:9090/api/v1/query?query=up",)


@pytest.mark.parametrize(("prefer", "warnings"), [("none", 2), ("cheapest", 1)])
def test_a_source_that_nobody_needs_is_told(prefer, warnings):
    source = "model_metrics_sources:\n" + "  - {type: cost, provider: models.dev}\n" * 2
    outcome = compiled(HEAD + PROVIDERS + preference(prefer) + source)
    assert codes(outcome) == ["no-effect"] * warnings


def test_what_refuses_leads_to_the_next_model_and_ends_after_three():
    found = graph(HEAD + PROVIDERS + preference("none"))
    nexts = [node for node in found.nodes if isinstance(node, Next)]
    assert [node.name for node in nexts] == ["next llm, 2", "next llm"]
    dispatched = next(edge for edge in choose(preference("none")).edges if edge.outcome == "model:small")
    refused = [edge for edge in found.nodes[dispatched.target].edges if edge.outcome == "refused"]
    assert found.nodes[refused[0].target].name == "next llm"


def test_a_preference_of_one_model_has_no_next():
    found = graph(HEAD + PROVIDERS + preference("none", "[small]"))
    assert not [node for node in found.nodes if isinstance(node, Next)]
