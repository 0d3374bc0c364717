"""What an agent of the command line is told, and which gateway it gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from archflow_engine import agent
from archflow_engine.agent import Place, environment
from archflow_plugins.coding_agents import AGENTS, CodingAgent
from archflow_schema.errors import ArchflowError
from compiling import graph

CLAUDE, CODEX = AGENTS
ORIGIN = "http://127.0.0.1:12000"


def test_an_agent_whose_models_are_unknown_is_given_the_default() -> None:
    variables, arguments = environment(CLAUDE, Place(ORIGIN, ("openai/gpt-4o", "fast"), "fast"), "")
    assert variables["ANTHROPIC_BASE_URL"] == ORIGIN
    assert variables["NO_PROXY"] == "127.0.0.1"
    assert variables["ANTHROPIC_MODEL"] == variables["ANTHROPIC_SMALL_FAST_MODEL"] == "fast"
    assert arguments == []


def test_without_a_default_it_is_given_the_first() -> None:
    variables, _ = environment(CLAUDE, Place(ORIGIN, ("openai/gpt-4o", "fast")), "")
    assert variables["ANTHROPIC_MODEL"] == "openai/gpt-4o"


def test_an_agent_whose_models_are_known_chooses_itself() -> None:
    variables, _ = environment(CLAUDE, Place(ORIGIN, ("claude-sonnet-4-5", "x"), "x"), "")
    assert "ANTHROPIC_MODEL" not in variables
    assert "ANTHROPIC_SMALL_FAST_MODEL" not in variables


def test_the_small_model_is_the_alias_of_arch() -> None:
    names = ("claude-sonnet-4-5", "arch.claude.code.small.fast")
    variables, _ = environment(CLAUDE, Place(ORIGIN, names), "")
    assert variables["ANTHROPIC_SMALL_FAST_MODEL"] == "arch.claude.code.small.fast"


def test_what_the_user_asks_for_wins() -> None:
    variables, arguments = environment(CODEX, Place(ORIGIN, ("gpt-5.2",)), "mine")
    assert variables["ARCHFLOW_KEY"]
    assert arguments[-2:] == ["-c", 'model="mine"']
    assert any(f'base_url="{ORIGIN}/v1"' in one and "{{" not in one for one in arguments)


def test_an_agent_that_is_not_installed(tmp_path: Path) -> None:
    absent = CodingAgent(
        name="absent",
        command="archflow-absent-agent",
        install="npm install it",
        dialect="openai_chat",
        own_models=("x",),
        environment=(),
    )
    with pytest.raises(ArchflowError, match="npm install it"):
        agent.run(absent, None, ORIGIN, "", (), str)


BEFORE = {
    "nothing": "listeners: [{name: a, type: model}]",
    "targets": """listeners: [{name: a, type: prompt}]
endpoints: {api: {endpoint: 127.0.0.1:1}}
prompt_targets: [{name: rate, description: a rate, endpoint: {name: api, path: /}}]""",
    "guards": """listeners: [{name: a, type: model, guards: [{name: words, kind: regex, deny_words: [secret]}]}]
ratelimits: [{model: openai/x, selector: {key: x-user}, limit: {tokens: 7, unit: hour}}]""",
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_the_default_is_found_behind_whatever_stands_before_the_route(before: str) -> None:
    found = graph(f"version: v0.4.0\n{before}\nmodel_providers: [{{model: openai/x, default: true}}]\n")
    assert agent._place(found, CLAUDE).default == "openai/x"
