import pytest

from archflow_schema.graph import Dispatch, Route
from compiling import HEAD, compiled, graph


def route(text):
    return next(node for node in graph(text).nodes if isinstance(node, Route))


THREE = (
    HEAD
    + """model_providers:
  - {model: openai/gpt-4o, access_key: $K}
  - {model: claude/opus, access_key: $K, name: big}
  - {model: openrouter/*, access_key: $K}
"""
)


def test_a_model_is_found_by_name_full_name_and_id():
    names = {asked: (model, reason) for asked, model, reason in route(THREE).names}
    assert names == {
        "openai/gpt-4o": ("openai/gpt-4o", "name"),
        "gpt-4o": ("openai/gpt-4o", "name"),
        "big": ("big", "name"),
        "claude/opus": ("big", "name"),
        "opus": ("big", "name"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "model_aliases: {quick: {target: opus}, fast: {target: quick}}\n",
        "model_aliases: {one: {target: two}, two: {target: quick}, quick: {target: big}, fast: {target: one}}\n",
        (
            "model_aliases: {quick: {target: big}}\n"
            "ratelimits: [{model: quick, selector: {key: x}, limit: {tokens: 1, unit: day}}]\n"
        ),
        "model_aliases: {quick: {target: big}}\nrouting: {model_provider: quick}\n",
        "model_aliases: {quick: {target: big}}\nrouting_preferences: [{name: a, description: b, models: [quick]}]\n",
    ],
    ids=["alias", "aliases", "rate limit", "router", "preference"],
)
def test_where_an_alias_cannot_stand_its_model_can(text):
    found = [one for one in compiled(THREE + text).report if one.code.startswith("unknown-")]
    assert {one.fix for one in found} == {'write "big", which the alias stands for'}


def test_aliases_of_each_other_lead_nowhere():
    found = [
        one.fix for one in compiled(THREE + "model_aliases: {a1: {target: b2}, b2: {target: a1}}\n").report
    ]
    assert found == ["add a provider for b2", "add a provider for a1"]


def test_a_wildcard_takes_what_begins_with_its_provider():
    assert route(THREE).wildcards == (("openrouter/", "openrouter/*"),)


def test_names_are_sorted_so_that_order_does_not_change_the_graph():
    names = [asked for asked, _, _ in route(THREE).names]
    assert names == sorted(names)


@pytest.mark.parametrize(
    ("target", "model"),
    [("gpt-4o", "openai/gpt-4o"), ("openai/gpt-4o", "openai/gpt-4o"), ("big", "big"), ("opus", "big")],
)
def test_an_alias_leads_to_any_name(target, model):
    names = route(THREE + f"model_aliases: {{x: {{target: {target}}}}}\n").names
    assert ("x", model, "alias") in names


def test_an_alias_may_name_a_model_that_a_wildcard_takes():
    found = graph(THREE + "model_aliases: {cheap: {target: openrouter/meta/llama}}\n")
    dispatch = next(
        node for node in found.nodes if isinstance(node, Dispatch) and node.model == "openrouter/meta/llama"
    )
    assert dispatch.model_id == "meta/llama"
    assert found.upstreams[dispatch.upstream].name == "openrouter/*"
    assert found.listeners[0].models == ("openai/gpt-4o", "big", "cheap")


def test_the_only_model_is_the_default_without_saying_so():
    assert (
        route(HEAD + "model_providers: [{model: openai/gpt-4o, access_key: $K}]\n").default == "openai/gpt-4o"
    )
    assert route(THREE).default == ""


def test_an_alias_wins_over_a_model_of_the_same_name_and_says_so():
    outcome = compiled(THREE + "model_aliases: {gpt-4o: {target: big}}\n")
    assert [one.code for one in outcome.report] == ["alias-shadows-model"]
    names = {
        asked: model for asked, model, _ in next(n for n in outcome.graph.nodes if isinstance(n, Route)).names
    }
    assert names["gpt-4o"] == "big"
    assert names["openai/gpt-4o"] == "openai/gpt-4o"


def test_an_alias_of_its_own_models_name_says_nothing():
    outcome = compiled(THREE + "model_aliases: {gpt-4o: {target: gpt-4o}}\n")
    assert not list(outcome.report)


def test_the_same_model_twice_is_one_finding():
    outcome = compiled(THREE + "  - {model: openai/gpt-4o, access_key: $K}\n")
    assert [one.code for one in outcome.report] == ["duplicate-provider"]


def test_suggestions_end_when_nobody_reads_them():
    aliases = "".join(f"  a{number}: {{target: gpt-4{number}}}\n" for number in range(80))
    outcome = compiled(THREE + f"model_aliases:\n{aliases}")
    assert outcome.report.warnings == 80
    assert 0 < sum("did you mean" in one.fix for one in outcome.report) <= 50


@pytest.mark.parametrize("vendor", ["azure_openai", "ollama", "qwen"])
def test_vendors_of_arch_that_need_a_base_url(vendor):
    outcome = compiled(HEAD + f"model_providers: [{{model: {vendor}/x, access_key: $K}}]\n")
    (found,) = outcome.report
    assert found.arch == f"Provider '{vendor}' requires 'base_url' to be set for model {vendor}/x"


@pytest.mark.parametrize(
    "vendor",
    [
        "arch",
        "deepseek",
        "groq",
        "mistral",
        "openai",
        "gemini",
        "anthropic",
        "together_ai",
        "xai",
        "moonshotai",
        "zhipu",
    ],
)
def test_vendors_of_arch_that_need_none(vendor):
    assert not list(compiled(HEAD + f"model_providers: [{{model: {vendor}/x, access_key: $K}}]\n").report)
