"""OpenAI Chat Completions, as OpenAI and most other vendors speak it.

Sources: OpenAI's API reference and Python client 3.57, OpenRouter's Python client 1.3 and documents
(`reasoning_details`, `cache_control`), LiteLLM's documents (`thinking_blocks`), Mistral's, DeepSeek's, Groq's, xAI's
and Google's ("OpenAI compatibility") API references, all as of 2026-11.

Rule: `wire.py`, `decode.py` and `encode.py` are about requests, `reply_wire.py`, `reply_decoder.py`, `reply_choice.py`,
`stream_encoder.py` and `whole_encoder.py` about replies, `reasoning.py` about what all of them do with thoughts;
`table.py` says what maps to what.
"""

from archflow_plugins.dialects.openai_chat.dialect import OpenAIChat

__all__ = ["OpenAIChat"]
