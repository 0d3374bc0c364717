"""What a worker imports for a graph before it is ready, and what it leaves to whoever asks for it first."""

import subprocess
import sys

import pytest

from house_tree import ROOT

TRANSLATING = {
    "openai_chat.decode",
    "openai_chat.encode",
    "openai_chat.reply_decoder",
    "openai_chat.stream_encoder",
    "openai_chat.whole_encoder",
    "openai_responses.fields",
    "openai_responses.request",
    "openai_responses.read_reply",
    "openai_responses.write_reply",
    "openai_responses.state",
    "anthropic_messages.decode_request",
    "anthropic_messages.encode_request",
    "anthropic_messages.reply_decoder",
    "anthropic_messages.reply_encoder",
    "anthropic_messages.stream_encoder",
    "bedrock_converse.decode_request",
    "bedrock_converse.encode_request",
    "bedrock_converse.decode_reply",
    "bedrock_converse.encode_reply",
    "gemini.request",
    "gemini.ask",
    "gemini.reply",
    "gemini.answer",
}
SCRIPT = """
import sys
from archflow_engine.rehearsal import rehearse
from archflow_plugins.kinds import Empty
from archflow_plugins.registry import Registry
from archflow_plugins.testing import run_context
from archflow_schema.graph import Use
from msgspec import structs
from graphs import model_graph, provider

vendor, *guards = sys.argv[1:]
registry = Registry.load()
upstream = provider(vendor, "http://127.0.0.1:1", vendor=vendor, registry=registry)
graph = model_graph([upstream], registry=registry, guards=tuple(Use(guard) for guard in guards))
as_compiled = sorted(graph.listeners[0].endpoints, key=lambda endpoint: endpoint.path)
graph = structs.replace(graph, listeners=(structs.replace(graph.listeners[0], endpoints=tuple(as_compiled)),))
names = dict.fromkeys(endpoint.dialect for one in graph.listeners for endpoint in one.endpoints)
rehearse(graph, {name: registry.dialects()[name](Empty(), run_context()) for name in names})
print(*(name.removeprefix("archflow_plugins.dialects.") for name in sys.modules))
"""


def imported(*arguments: str) -> set[str]:
    """Which of the translating modules a process has that rehearses a graph."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True, text=True, check=True, cwd=ROOT / "tests",
    )  # fmt: skip
    return TRANSLATING & set(done.stdout.split())


def test_the_list_above_is_of_modules_that_are_there():
    dialects = ROOT / "plugins" / "archflow_plugins" / "dialects"
    assert not [name for name in TRANSLATING if not (dialects / f"{name.replace('.', '/')}.py").is_file()]


def test_where_nothing_must_be_translated_nothing_is_imported():
    assert imported("openai") == set()


def test_a_guard_reads_what_the_clients_say():
    assert imported("openai", "guard.regex") == {"openai_chat.decode"}


@pytest.mark.parametrize(
    ("vendor", "asked"),
    [
        ("anthropic", {"anthropic_messages.encode_request", "anthropic_messages.reply_decoder"}),
        ("amazon_bedrock", {"bedrock_converse.encode_request", "bedrock_converse.decode_reply"}),
    ],
)
def test_an_upstream_of_another_dialect_is_prepared_for(vendor, asked):
    found = imported(vendor)
    needed = {"openai_chat.decode", "openai_chat.stream_encoder", "openai_chat.whole_encoder", *asked}
    assert needed <= found
    assert not [name for name in found if name.startswith(("openai_responses", "gemini"))]
