"""Google's Gemini API: its own dialect with `x-goog-api-key`, and its OpenAI-compatible chat with a bearer key.

Source: Google's Gemini API reference (v1beta) and "OpenAI compatibility", 2026-11.

Rule: model and stream stand in the path of Google's own dialect. `alt=sse` is asked for only where the request is
translated: a client of that dialect says itself whether it wants events or an array.
"""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import quote

from archflow_plugins.kinds import UpstreamRequest
from archflow_plugins.providers.openai_compatible import HttpProvider
from archflow_plugins.providers.table import Auth

NATIVE = "gemini"


class Gemini(HttpProvider):
    """The Gemini API. A base_url that ends in `/openai`, as for the compatible half alone, serves both."""

    kind = "provider.gemini"
    vendors: ClassVar[tuple[str, ...]] = ("gemini",)

    def request(self, dialect: str, model: str, *, stream: bool, body: bytes = b"") -> UpstreamRequest:
        asked = super().request(dialect, model, stream=stream, body=body)
        if dialect != NATIVE:
            return asked
        return native(f"{self.prefix.removesuffix('/openai')}/models", model, asked.headers, stream=stream)

    def path(self, dialect: str, model: str) -> str:
        return "" if dialect == NATIVE else super().path(dialect, model)

    def auth(self, dialect: str) -> Auth:
        return "x-goog-api-key" if dialect == NATIVE else "bearer"


def native(models: str, model: str, headers: tuple[tuple[str, str], ...], *, stream: bool) -> UpstreamRequest:
    """How a model below the path `models` is asked in Google's own dialect."""
    method = "streamGenerateContent" if stream else "generateContent"
    return UpstreamRequest(
        f"{models}/{quote(model, safe='')}:{method}", headers, query="alt=sse" if stream else ""
    )
