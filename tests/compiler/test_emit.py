from archflow_schema.artifact import dump, load
from compiling import HEAD, MODEL, graph


def test_the_graph_declares_what_it_uses():
    found = graph(HEAD + MODEL + "tracing: {random_sampling: 1}\n")
    (plugin,) = found.requires
    assert plugin.entry_point == "archflow"
    assert plugin.kinds == (
        "dialect.anthropic_count_tokens",
        "dialect.anthropic_messages",
        "dialect.bedrock_converse",
        "dialect.gemini",
        "dialect.openai_chat",
        "dialect.openai_completions",
        "dialect.openai_embeddings",
        "dialect.openai_responses",
        "provider.openai_compatible",
        "store.memory",
        "tracer.access_log",
        "tracer.otlp",
    )
    assert found.environment == ("OPENAI_API_KEY",)
    assert found.dialects == tuple(
        kind.partition(".")[2] for kind in plugin.kinds if kind.startswith("dialect.")
    )


def test_it_loads_as_it_was_made():
    found = graph(HEAD + MODEL)
    assert load(dump(found)) == found
