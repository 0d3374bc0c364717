"""A router's setting written into a configuration: where it goes, and that nothing else moves."""

import pytest

from archflow_compiler.driver import compile_bytes
from archflow_compiler.tune import diff, proposed

HEAD = """version: v0.4.0
listeners: [{name: llm, type: model}]
model_providers:
  - {model: openai/gpt-4o, access_key: $KEY, default: true} # kept
routing_preferences: [{name: code, description: writing programs, models: [openai/gpt-4o]}]
"""
BEFORE = "routing: {router: {kind: composite, threshold: 0.9}}\n"
AFTER = "routing: {router: {kind: composite, threshold: 0.35}}\n"
FORMS = {
    "said": (BEFORE, AFTER),
    "flow": ("routing: {router: {kind: composite}}\n", AFTER),
    "block": (
        "routing:\n  router:\n    kind: composite # local\n  timeout: 3s\n",
        "routing:\n  router:\n    kind: composite\n    threshold: 0.35 # local\n  timeout: 3s\n",
    ),
    "no router": (
        "routing:\n    timeout: 3s\n",
        "routing:\n    router: {kind: composite, threshold: 0.35}\n    timeout: 3s\n",
    ),
    "no routing": ("", "\nrouting:\n  router: {kind: composite, threshold: 0.35}\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_it_goes_where_it_belongs(form):
    before, after = FORMS[form]
    outcome = compile_bytes("c.yaml", (HEAD + before).encode())
    found = proposed(outcome, "router.composite", "threshold", 0.35)
    assert found is not None
    assert found.source.text == HEAD + after


def test_what_cannot_be_written_is_left_to_people():
    for text in ("routing: {timeout: 3s}\n", "routing: {router: &r {kind: composite}, timeout: 3s}\n"):
        outcome = compile_bytes("c.yaml", (HEAD + text).encode())
        found = proposed(outcome, "router.composite", "threshold", 0.35)
        assert found is None or "threshold: 0.35" in found.source.text
    outcome = compile_bytes("c.yaml", HEAD.encode())
    assert proposed(outcome, "router.composite", "no-such-setting", 0.35) is None


def test_a_setting_of_a_part_of_the_router_arrives_too():
    router = "routing: {router: {kind: cascade, model: gpt-4o}}\n"
    outcome = compile_bytes("c.yaml", (HEAD + router).encode())
    for name in ("sure", "threshold"):
        found = proposed(outcome, "router.cascade", name, 0.62)
        assert found is not None
        assert f", {name}: 0.62" in found.source.text


def test_a_difference_for_people():
    shown = diff("a\nb\n", "a\nc\n", "c.yaml")
    assert shown == "--- c.yaml\n+++ c.yaml (tuned)\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
    assert diff("a", "b", "c").endswith("+b\n\\ No newline at end of file\n")
