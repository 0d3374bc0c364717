"""Agents of the command line that can be pointed at a gateway: how each is told where it is. Data only.

Sources: Claude Code's documentation, "LLM gateway configuration" and "Environment variables"; Codex's documentation,
"config.toml, model_providers"; what both send, seen on the wire, 2026-11. What Arch's `cli-agent` sets is kept.

Templates hold `{origin}` (scheme, host and port of the gateway), `{host}`, `{model}` and `{small}`.
"""

from __future__ import annotations

from msgspec import Struct


class CodingAgent(Struct, frozen=True, kw_only=True):
    """One agent.

    Attributes:
        name: what people call it.
        command: what is run.
        install: how one gets it.
        dialect: what it speaks.
        own_models: how the names begin that it asks for by itself; where the gateway knows none, it is given another.
        small_alias: the alias that stands for its small, fast model.
        environment: variables, always set.
        with_model, with_small: variables set when it is given a model, and a small one.
        arguments: before the user's own.
        model_arguments: before those, when it is given a model.
    """

    name: str
    command: str
    install: str
    dialect: str
    own_models: tuple[str, ...]
    small_alias: str = ""
    environment: tuple[tuple[str, str], ...]
    with_model: tuple[tuple[str, str], ...] = ()
    with_small: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    model_arguments: tuple[str, ...] = ()


AGENTS: tuple[CodingAgent, ...] = (
    CodingAgent(
        name="claude",
        command="claude",
        install="npm install -g @anthropic-ai/claude-code",
        dialect="anthropic_messages",
        own_models=("claude", "anthropic/claude"),
        small_alias="arch.claude.code.small.fast",
        environment=(
            ("ANTHROPIC_BASE_URL", "{origin}"),
            ("ANTHROPIC_AUTH_TOKEN", "test"),
            ("API_TIMEOUT_MS", "600000"),
            ("NO_PROXY", "{host}"),
            ("DISABLE_TELEMETRY", "1"),
            ("DISABLE_COST_WARNINGS", "1"),
            ("DISABLE_ERROR_REPORTING", "1"),
            ("DISABLE_AUTOUPDATER", "1"),
        ),
        with_model=(("ANTHROPIC_MODEL", "{model}"),),
        with_small=(("ANTHROPIC_SMALL_FAST_MODEL", "{small}"), ("ANTHROPIC_DEFAULT_HAIKU_MODEL", "{small}")),
    ),
    CodingAgent(
        name="codex",
        command="codex",
        install="npm install -g @openai/codex",
        dialect="openai_responses",
        own_models=("gpt-5", "codex", "openai/gpt-5"),
        environment=(("ARCHFLOW_KEY", "test"), ("NO_PROXY", "{host}")),
        arguments=(
            "-c",
            'model_provider="archflow"',
            "-c",
            'model_providers.archflow={{name="archflow",base_url="{origin}/v1",wire_api="responses",env_key="ARCHFLOW_KEY"}}',
        ),
        model_arguments=("-c", 'model="{model}"'),
    ),
)
"""The agents, by what people call them."""
