"""Which efforts OpenAI's models are asked for."""

import pytest

from archflow_plugins.dialects.openai_chat.generations import effort_for


@pytest.mark.parametrize(
    ("model", "efforts"),
    [
        ("gpt-3.5-turbo", {"none": "", "high": ""}),
        ("gpt-35-turbo", {"high": ""}),
        ("gpt-4o", {"none": "", "minimal": "", "max": "", "odd": ""}),
        ("GPT-4.1-mini-2025-04-14", {"low": ""}),
        ("chatgpt-4o-latest", {"low": ""}),
        ("ft:gpt-4o-mini:acme::1", {"low": ""}),
        ("openai/gpt-4o", {"low": ""}),
        ("o3-mini", {"none": "low", "minimal": "low", "medium": "medium", "max": "high"}),
        ("o1", {"xhigh": "high"}),
        ("gpt-5-chat-latest", {"low": ""}),
        ("gpt-5-pro", {"none": "high", "max": "high"}),
        ("gpt-5-codex", {"minimal": "low"}),
        ("gpt-5-mini", {"none": "minimal", "minimal": "minimal", "xhigh": "high"}),
        ("gpt-5.1", {"none": "none", "minimal": "low", "xhigh": "high", "odd": "odd"}),
        ("gpt-5.2-codex", {"none": "none", "minimal": "low", "xhigh": "xhigh", "max": "xhigh"}),
        ("gpt-6", {"none": "none", "minimal": "minimal", "max": "max"}),
        ("gpt-40", {"low": "low"}),
        ("deepseek-chat", {"max": "max", "none": "none"}),
        ("qwen3-o1-like", {"none": "none"}),
        ("gpt-oss-120b", {"minimal": "minimal"}),
    ],
)
def test_efforts(model, efforts):
    assert {effort: effort_for(model, effort) for effort in efforts} == efforts
