"""Which family a model id belongs to."""

import pytest

from archflow_plugins.dialects.bedrock_converse.families import UNTOLD, family_of


@pytest.mark.parametrize(
    ("model", "thinking", "budgets", "points"),
    [
        ("anthropic.claude-v2:1", "", False, "everywhere"),
        ("anthropic.claude-3-haiku-20240307-v1:0", "", False, "everywhere"),
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "", False, "everywhere"),
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", "budget", True, "everywhere"),
        ("eu.anthropic.claude-sonnet-4-20250514-v1:0", "budget", True, "everywhere"),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", "budget", True, "everywhere"),
        ("global.anthropic.claude-haiku-4-5-20251001-v1:0", "budget", True, "everywhere"),
        ("anthropic.claude-opus-4-6-v1", "adaptive", True, "everywhere"),
        ("us-gov.anthropic.claude-sonnet-4-6", "adaptive", True, "everywhere"),
        ("anthropic.claude-opus-4-7", "adaptive", False, "everywhere"),
        ("anthropic.claude-mythos-5", "adaptive", False, "everywhere"),
        ("amazon.nova-pro-v1:0", "", False, "without tools"),
        ("us.amazon.nova-2-lite-v1:0", "nova", False, "without tools"),
        ("amazon.titan-text-express-v1", "", False, "nowhere"),
        ("openai.gpt-oss-120b-1:0", "effort", False, "nowhere"),
        ("us.meta.llama3-3-70b-instruct-v1:0", "", False, "nowhere"),
        ("deepseek.v3-v1:0", "", False, "nowhere"),
        (
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-4-7",
            "adaptive",
            False,
            "everywhere",
        ),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-pro-v1:0", "", False, "without tools"),
    ],
)
def test_families(model, thinking, budgets, points):
    family = family_of(model)
    assert (family.thinking, family.budgets, family.cache_points) == (thinking, budgets, points)


@pytest.mark.parametrize(
    "model", ["arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2c3", "model-x", ""]
)
def test_what_an_id_does_not_tell(model):
    assert family_of(model) is UNTOLD
