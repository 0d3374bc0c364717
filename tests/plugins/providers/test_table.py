"""The table of vendors: what Arch knows is there, and each row is one that can be asked."""

import pytest

from archflow_plugins.providers.base_url import split
from archflow_plugins.providers.table import ALIASES, ENDS, NATIVE, VENDORS, find
from archflow_schema.text import compile_text, references

ARCH = (
    "arch deepseek groq mistral openai gemini anthropic together_ai azure_openai xai ollama moonshotai zhipu qwen "
    "amazon_bedrock github"
)
SUCCESSOR = "plano xiaomi chatgpt digitalocean vercel openrouter edenai astraflow astraflow_cn meta minimax"


def test_every_prefix_of_arch_and_of_its_successor():
    assert {name for name, vendor in VENDORS.items() if vendor.arch} == set(ARCH.split())
    assert set(SUCCESSOR.split()) <= set(VENDORS)


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda vendor: vendor.name)
def test_rows(vendor):
    assert bool(vendor.url) != vendor.needs_base_url
    if "$" in vendor.url:
        assert references(compile_text(vendor.url))
    elif vendor.url:
        assert split(vendor.url).origin == vendor.url
        assert split(vendor.url).prefix is None
        assert vendor.url.startswith("https://")
    assert vendor.prefix == "" or (vendor.prefix.startswith("/") and not vendor.prefix.endswith("/"))
    assert set(vendor.dialects) <= {*ENDS, *NATIVE}
    assert len(set(vendor.dialects)) == len(vendor.dialects)


def test_aliases_lead_to_one_vendor_and_hide_none():
    assert not set(ALIASES) & set(VENDORS)
    assert sum(len(vendor.aliases) for vendor in VENDORS.values()) == len(ALIASES)


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("openai", "openai"),
        ("OpenAI", "openai"),
        ("claude", "anthropic"),
        ("google", "gemini"),
        ("together", "together_ai"),
        ("do_ai", "digitalocean"),
        ("amazon", "amazon_bedrock"),
    ],
)
def test_find(prefix, name):
    found = find(prefix)
    assert found is not None
    assert found.name == name


def test_find_nobody():
    assert find("my_llm_provider") is None


@pytest.mark.parametrize(
    ("vendor", "name"),
    [
        ("openai", "openai"),
        ("amazon_bedrock", "aws.bedrock"),
        ("azure_openai", "azure.ai.openai"),
        ("gemini", "gcp.gemini"),
        ("mistral", "mistral_ai"),
        ("xai", "x_ai"),
        ("moonshotai", "moonshot_ai"),
        ("vllm", "vllm"),
    ],
)
def test_names_in_telemetry(vendor, name):
    assert VENDORS[vendor].provider_name == name
