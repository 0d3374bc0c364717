"""Anthropic: Messages with `x-api-key`, and its OpenAI-compatible chat with a bearer key.

Source: Anthropic's API reference, "Versions" and "OpenAI SDK compatibility", 2026-11.
"""

from __future__ import annotations

from typing import ClassVar

from archflow_plugins.providers.openai_compatible import HttpProvider
from archflow_plugins.providers.table import Auth

VERSION = "2023-06-01"
_OWN = frozenset({"anthropic_messages", "anthropic_count_tokens"})


class Anthropic(HttpProvider):
    """Anthropic, or whoever speaks Messages as Anthropic does."""

    kind = "provider.anthropic"
    vendors: ClassVar[tuple[str, ...]] = ("anthropic",)

    def auth(self, dialect: str) -> Auth:
        return self.vendor.auth if dialect in _OWN else "bearer"

    def own_headers(self, dialect: str) -> dict[str, str]:
        headers = super().own_headers(dialect)
        return {**headers, "anthropic-version": VERSION} if dialect in _OWN else headers
