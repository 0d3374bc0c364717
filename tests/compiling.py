"""Compiling in tests: YAML text -> outcome, and what it found."""

from archflow_compiler.driver import Outcome, compile_bytes

HEAD = "version: v0.4.0\nlisteners:\n  - {name: llm, type: model}\n"
MODEL = "model_providers:\n  - {model: openai/gpt-4o, access_key: $OPENAI_API_KEY}\n"


def compiled(text: str) -> Outcome:
    """The outcome of a configuration."""
    return compile_bytes("arch_config.yaml", text.encode())


def graph(text: str):
    """The graph of a configuration that must be good."""
    outcome = compiled(text)
    assert outcome.graph is not None, [(one.code, one.summary) for one in outcome.report]
    return outcome.graph


def codes(outcome: Outcome) -> list[str]:
    """What was found, by code, in the order of the file."""
    return [one.code for one in outcome.report]
