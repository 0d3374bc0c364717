"""Where sessions are kept, for how long, and what a move may cost."""

import msgspec

from archflow_plugins.stores.memory import MemoryConfig
from archflow_plugins.stores.sqlite import SqliteCompiled
from archflow_schema.graph import Budget, Choose
from compiling import HEAD, codes, compiled, graph

TEXT = """
model_providers:
  - {model: openai/gpt-4o, access_key: $KEY, default: true}
  - {model: openai/unheard-of, access_key: $KEY}
routing_preferences: [{name: code, description: programs, models: [openai/gpt-4o, openai/unheard-of]}]
"""


def sessions(**said):
    router = {"router": {"kind": "static"}, **said}
    text = f"{HEAD}{TEXT}routing: {msgspec.json.encode(router).decode()}\n"
    return next(node for node in graph(text).nodes if isinstance(node, Choose)).sessions


def test_in_memory_for_ten_minutes():
    found = sessions()
    assert (found.store.kind, found.seconds, found.tenant, found.budget) == ("store.memory", 600, "", None)


def test_as_said():
    found = sessions(session_ttl_seconds=60, session_max_entries=5, session_cache={"tenant_header": "X-Team"})
    assert (found.seconds, found.tenant) == (60, "x-team")
    assert msgspec.msgpack.decode(found.store.compiled, type=MemoryConfig).max_values == 5


def test_in_a_file():
    found = sessions(session_cache={"type": "sqlite", "path": "$STATE/sessions.db"})
    assert found.store.kind == "store.sqlite"
    path = msgspec.msgpack.decode(found.store.compiled, type=SqliteCompiled).path
    assert path[-1] == "/sessions.db"


def test_a_budget_with_the_prices_that_are_known():
    found = sessions(routing_budget={"max_switch_spend_pct": 20, "record_counterfactual": True})
    assert found.budget == Budget(
        20.0, counterfactual=True, confidence=0.6, prices=(("openai/gpt-4o", 2.5, 1.25),)
    )


def test_a_file_without_a_path_and_a_header_that_is_none():
    text = HEAD + TEXT + "routing: {router: {kind: static}, session_cache: %s}\n"
    assert codes(compiled(text % "{type: sqlite}")) == ["missing-key"]
    assert codes(compiled(text % "{tenant_header: 'a b'}")) == ["invalid-header"]
