"""Anthropic: Messages, with `x-api-key` and a version.

Its OpenAI-compatible endpoint is not used: it ignores what it does not know, output schemas, thinking and caching among
it, where a translation into Messages keeps them.

Source: Anthropic's API reference, "Versions" and "OpenAI SDK compatibility", 2026-11.
"""

from __future__ import annotations

from typing import ClassVar

from archflow_plugins.providers.openai_compatible import HttpProvider

VERSION = "2023-06-01"


class Anthropic(HttpProvider):
    """Anthropic, or whoever speaks Messages as Anthropic does."""

    kind = "provider.anthropic"
    vendors: ClassVar[tuple[str, ...]] = ("anthropic",)

    def own_headers(self, dialect: str) -> dict[str, str]:
        return {**super().own_headers(dialect), "anthropic-version": VERSION}
