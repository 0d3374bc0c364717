"""Which local models a graph needs: what a bundle takes, and what `archrun` looks for before it binds a port."""

import pytest

from compiling import HEAD, MODEL, graph
from local_world import cache

ROUTED = (
    HEAD + MODEL + "routing_preferences: [{name: code, description: programs, models: [openai/gpt-4o]}]\n"
)
TARGETS = """version: v0.4.0
listeners: [{name: chat, type: prompt}]
endpoints: {api: {endpoint: 127.0.0.1:1}}
prompt_targets:
  - name: weather
    description: the weather
    endpoint: {name: api, path: /}
"""
CHOICE = "    parameters: [{name: unit, description: the unit, type: str, enum: [celsius, fahrenheit]}]\n"
TOPIC = """version: v0.4.0
listeners:
  - {name: a, type: model, guards: [{name: t, kind: topic, deny: [{name: tax, description: taxes}]}]}
"""


@pytest.fixture(autouse=True)
def _cached(monkeypatch):
    monkeypatch.setenv("ARCHFLOW_CACHE", str(cache().folder))


@pytest.mark.parametrize(
    "text",
    [
        ROUTED,
        TARGETS + MODEL,
        TARGETS + CHOICE + MODEL + "prompting: {matcher: {kind: language_model, model: openai/gpt-4o}}\n",
        TOPIC + MODEL,
    ],
    ids=["router", "matcher", "slot filler", "topic guard"],
)
def test_whatever_embeds_names_its_embedder(text):
    assert [one.name for one in graph(text).models] == ["minilm"]


def test_a_graph_without_them_needs_none():
    assert graph(HEAD + MODEL).models == ()
