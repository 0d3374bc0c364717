"""The vendors: where each is reached, what it speaks, how it is told who is calling. Data only.

Sources: the vendors' own API references as of 2026-11 (OpenAI, Anthropic, DeepSeek, Groq, Mistral, Google Gemini
"OpenAI compatibility", Together, xAI, Moonshot, Zhipu BigModel, Alibaba Model Studio, Azure OpenAI data plane,
OpenRouter, Vercel AI Gateway, DigitalOcean Gradient, Xiaomi MiMo, MiniMax, Perplexity, Cerebras, Fireworks, Cohere
"Compatibility API", Eden AI, GitHub Models, Meta Llama API, UCloud Astraflow, Ollama, vLLM); prefixes and paths that
Arch 0.3.17 and Plano 0.4.36 use are kept. `telemetry` follows OpenTelemetry's `gen_ai.provider.name`.

A path is `prefix` + the dialect's own end, such as `/openai/v1` + `/chat/completions`. A configured `base_url` with a
path replaces the prefix.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Auth = Literal["bearer", "x-api-key", "api-key", "x-goog-api-key"]

ENDS: dict[str, str] = {
    "openai_chat": "/chat/completions",
    "openai_completions": "/completions",
    "openai_embeddings": "/embeddings",
    "openai_responses": "/responses",
    "anthropic_messages": "/messages",
    "bedrock_converse": "/converse",
    "anthropic_count_tokens": "/messages/count_tokens",
}
"""How the path of a dialect ends."""

CHAT = ("openai_chat",)
CHAT_TEXT = ("openai_chat", "openai_completions")
CHAT_EMBED = ("openai_chat", "openai_embeddings")
ALL = ("openai_chat", "openai_completions", "openai_embeddings")
MESSAGES = ("anthropic_messages",)
RESPONSES = ("openai_responses",)
"""Only where the vendor keeps responses, too: with Groq and OpenRouter, which do not, `previous_response_id` works only
when chat is translated and the gateway keeps them (their documentation, 2026-11)."""
CONVERSE = ("bedrock_converse",)
NATIVE = ("gemini",)
COMPLETION_TOKENS = (("max_tokens", "max_completion_tokens"),)
"""Newer models refuse the older name."""


class Vendor(Struct, frozen=True, kw_only=True):
    """One vendor.

    Attributes:
        name: the prefix of its models: `openai` in `openai/gpt-4o`.
        url: scheme and host, which may name an environment variable; empty if every customer has an own one (then
            `needs_base_url`).
        prefix: the path that its endpoints share.
        dialects: what it speaks, preferred first; empty if nothing that archflow speaks yet.
        auth: the header that carries the key: `Authorization: Bearer`, or its name.
        needs_base_url: whether a configuration must say where it is.
        key_optional: whether it commonly runs without a key.
        aliases: other prefixes for it.
        renames: fields of chat requests that it calls otherwise: our name, its name. Clients of its own know.
        streams: `only` or `never` where it has but one way to reply.
        telemetry: its name in traces and metrics.
        arch: whether Arch 0.3.17 knows this prefix.
    """

    name: str
    url: str = ""
    prefix: str = "/v1"
    dialects: tuple[str, ...] = CHAT
    auth: Auth = "bearer"
    needs_base_url: bool = False
    key_optional: bool = False
    aliases: tuple[str, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()
    streams: Literal["asked", "only", "never"] = "asked"
    telemetry: str = ""
    arch: bool = False

    @property
    def provider_name(self) -> str:
        """The value of `gen_ai.provider.name`."""
        return self.telemetry or self.name


_ROWS: tuple[Vendor, ...] = (
    Vendor(
        name="openai",
        url="https://api.openai.com",
        dialects=ALL + RESPONSES,
        renames=COMPLETION_TOKENS,
        arch=True,
    ),
    Vendor(
        name="anthropic",
        url="https://api.anthropic.com",
        dialects=(*MESSAGES, "anthropic_count_tokens"),
        auth="x-api-key",
        aliases=("claude",),
        arch=True,
    ),
    Vendor(name="deepseek", url="https://api.deepseek.com", arch=True),
    Vendor(name="groq", url="https://api.groq.com", prefix="/openai/v1", arch=True),
    Vendor(
        name="mistral",
        url="https://api.mistral.ai",
        dialects=CHAT_EMBED,
        aliases=("mistralai",),
        renames=(("seed", "random_seed"),),
        telemetry="mistral_ai",
        arch=True,
    ),
    Vendor(
        name="gemini",
        url="https://generativelanguage.googleapis.com",
        prefix="/v1beta/openai",
        dialects=NATIVE + CHAT_EMBED,
        aliases=("google",),
        telemetry="gcp.gemini",
        arch=True,
    ),
    Vendor(
        name="together_ai", url="https://api.together.xyz", dialects=ALL, aliases=("together",), arch=True
    ),
    Vendor(
        name="xai",
        url="https://api.x.ai",
        dialects=CHAT_TEXT + RESPONSES,
        aliases=("x-ai",),
        telemetry="x_ai",
        arch=True,
    ),
    Vendor(
        name="moonshotai",
        url="https://api.moonshot.ai",
        aliases=("moonshot",),
        telemetry="moonshot_ai",
        arch=True,
    ),
    Vendor(
        name="zhipu",
        url="https://open.bigmodel.cn",
        prefix="/api/paas/v4",
        dialects=CHAT_EMBED,
        aliases=("z-ai",),
        arch=True,
    ),
    Vendor(name="qwen", prefix="/compatible-mode/v1", dialects=ALL, needs_base_url=True, arch=True),
    Vendor(name="ollama", dialects=ALL, needs_base_url=True, key_optional=True, arch=True),
    Vendor(
        name="azure_openai",
        prefix="/openai/deployments",
        dialects=ALL + RESPONSES,
        auth="api-key",
        needs_base_url=True,
        aliases=("azure",),
        renames=COMPLETION_TOKENS,
        telemetry="azure.ai.openai",
        arch=True,
    ),
    Vendor(
        name="amazon_bedrock",
        url="https://bedrock-runtime.$AWS_REGION.amazonaws.com",
        prefix="",
        dialects=CONVERSE,
        key_optional=True,
        aliases=("amazon", "bedrock"),
        telemetry="aws.bedrock",
        arch=True,
    ),
    Vendor(name="arch", url="https://archfc.katanemo.dev", key_optional=True, arch=True),
    Vendor(name="plano", needs_base_url=True, key_optional=True),
    Vendor(name="openrouter", url="https://openrouter.ai", prefix="/api/v1", dialects=ALL),
    Vendor(name="vercel", url="https://ai-gateway.vercel.sh", dialects=CHAT_EMBED + MESSAGES),
    Vendor(name="digitalocean", url="https://inference.do-ai.run", aliases=("do", "do_ai")),
    Vendor(name="xiaomi", url="https://api.xiaomimimo.com"),
    Vendor(name="minimax", url="https://api.minimax.io"),
    Vendor(name="edenai", url="https://api.edenai.run", prefix="/v3", dialects=CHAT_EMBED),
    Vendor(name="perplexity", url="https://api.perplexity.ai", prefix=""),
    Vendor(name="cerebras", url="https://api.cerebras.ai", dialects=CHAT_TEXT),
    Vendor(
        name="fireworks",
        url="https://api.fireworks.ai",
        prefix="/inference/v1",
        dialects=ALL,
        aliases=("fireworks_ai",),
    ),
    Vendor(name="cohere", url="https://api.cohere.ai", prefix="/compatibility/v1", dialects=CHAT_EMBED),
    Vendor(
        name="github", url="https://models.github.ai", prefix="/inference", dialects=CHAT_EMBED, arch=True
    ),
    Vendor(name="meta", url="https://api.llama.com", prefix="/compat/v1", aliases=("meta_llama",)),
    Vendor(name="astraflow", url="https://api-us-ca.umodelverse.ai"),
    Vendor(name="astraflow_cn", url="https://api.modelverse.cn"),
    Vendor(
        name="chatgpt", url="https://chatgpt.com", prefix="/backend-api/codex", dialects=(), key_optional=True
    ),
    Vendor(
        name="vertex_ai",
        url="https://aiplatform.googleapis.com",
        dialects=NATIVE,
        aliases=("vertex",),
        telemetry="gcp.vertex_ai",
    ),
    Vendor(name="vllm", dialects=ALL, needs_base_url=True, key_optional=True),
)

VENDORS: dict[str, Vendor] = {vendor.name: vendor for vendor in _ROWS}
"""The vendors by name, Arch's own first."""

ALIASES: dict[str, str] = {alias: vendor.name for vendor in _ROWS for alias in vendor.aliases}
"""Other prefixes -> vendor name."""


def find(prefix: str) -> Vendor | None:
    """The vendor of a model's prefix or of a `provider_interface`, by name or alias, in any case."""
    name = prefix.lower()
    return VENDORS.get(ALIASES.get(name, name))
