"""What `archc init` writes: configurations to begin with, each of which compiles as it is.

Rule: no template needs an answer; what must be changed stands in a comment or in the environment.
"""

from __future__ import annotations

_HEAD = """\
# yaml-language-server: $schema=arch_config.schema.json
# `archc schema > arch_config.schema.json` writes the schema that editors complete and check this file with.
version: v0.4.0
"""

TEMPLATES: dict[str, tuple[str, str]] = {
    "models": (
        "two vendors behind one address, with aliases",
        _HEAD
        + """
listeners:
  - name: egress_traffic
    type: model
    address: 127.0.0.1
    port: 12000

model_providers:
  - model: openai/gpt-4o-mini
    access_key: $OPENAI_API_KEY
    default: true

  - model: anthropic/claude-sonnet-4-5
    access_key: $ANTHROPIC_API_KEY

# Ask for `fast` or `smart`; what they mean is decided here.
model_aliases:
  fast:
    target: gpt-4o-mini
  smart:
    target: claude-sonnet-4-5
""",
    ),
    "local": (
        "an OpenAI-compatible server on this machine, no key",
        _HEAD
        + """
listeners:
  - name: egress_traffic
    type: model
    address: 127.0.0.1
    port: 12000

model_providers:
  # Ollama, vLLM, llama.cpp and many others speak this API.
  - model: local/llama3.1
    base_url: http://127.0.0.1:11434
    provider_interface: openai
    default: true
""",
    ),
    "full": (
        "limits, timeouts, rate limits, tracing and an access log",
        _HEAD
        + """
listeners:
  - name: egress_traffic
    type: model
    address: 127.0.0.1
    port: 12000
    timeout: 10m
    limits:
      body: 8MiB
      connections: 1000

model_providers:
  - model: openai/gpt-4o-mini
    access_key: $OPENAI_API_KEY
    default: true
    timeouts:
      connect: 5s
      first_byte: 60s

  # Every other model of this vendor, by its full name.
  - model: openrouter/*
    access_key: $OPENROUTER_API_KEY

model_aliases:
  fast:
    target: gpt-4o-mini

# Clients say `x-arch-ratelimit-selector: x-user-id`; each user has an own budget.
ratelimits:
  - model: openai/gpt-4o-mini
    selector:
      key: x-user-id
    limit:
      tokens: 100000
      unit: hour

access_log:
  format: json
  path: stdout

tracing:
  random_sampling: 10
  exporters:
    - type: otlp
      endpoint: http://127.0.0.1:4318/v1/traces
""",
    ),
}
"""Name -> what it is for, and its text."""
