"""Anthropic Messages: `POST /v1/messages`, and the counting of its tokens.

Source: Anthropic's API reference and the types of its Python client 2.14, 2026-11; what Claude Code 2.1 sends.

Rule: only `dialect` and `count_tokens` are kinds; the other modules each read or write one thing.
"""

from archflow_plugins.dialects.anthropic_messages.count_tokens import AnthropicCountTokens
from archflow_plugins.dialects.anthropic_messages.dialect import AnthropicMessages

__all__ = ["AnthropicCountTokens", "AnthropicMessages"]
