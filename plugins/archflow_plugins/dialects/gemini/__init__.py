"""Google's native dialect: `generateContent` and `streamGenerateContent`.

Source: Google's Gemini API reference (v1beta) and Vertex AI's, the service's documents on thinking and thought
signatures, and the types of google-genai 3.6.1, 2026-11.

Rule: `wire` holds the shapes, `spelling` the other way to write them; `request` and `reply` read, `ask` and `answer`
write, `table` says what goes where.
"""

from __future__ import annotations

from archflow_plugins.dialects.gemini.dialect import Gemini

__all__ = ["Gemini"]
