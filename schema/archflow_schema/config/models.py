"""What is asked for and who serves it: model providers, aliases, routing, rate limits."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from archflow_schema.config.forms import Duration, Name, Pairs, Url

Interface = Literal[
    "anthropic",
    "arch",
    "chatgpt",
    "claude",
    "deepseek",
    "digitalocean",
    "edenai",
    "gemini",
    "groq",
    "mistral",
    "moonshotai",
    "openai",
    "openrouter",
    "plano",
    "vercel",
    "xiaomi",
]
"""Whose wire format a provider speaks that is not in the table of vendors."""


class Preference(Struct, frozen=True):
    """A kind of request that a provider's model is preferred for.

    Attributes:
        name: unique among all preferences.
        description: what such requests are about; a router compares the conversation with it.
        examples: what users say then; they sharpen the description.
    """

    name: Name
    description: str
    examples: tuple[str, ...] = ()


class Timeouts(Struct, frozen=True, kw_only=True):
    """How long a provider may take.

    Attributes:
        connect: until a connection is made; `overrides.upstream_connect_timeout` sets it for all providers.
        first_byte: from the request's last byte until the reply's first.
        between_chunks: between two pieces of a reply.
    """

    connect: Duration | None = None
    first_byte: Duration = 300.0
    between_chunks: Duration = 300.0


class ModelProvider(Struct, frozen=True, kw_only=True):
    """A model and who serves it.

    Attributes:
        model: `<provider>/<model_id>`, such as `openai/gpt-4o`; `<provider>/*` takes every model of that provider.
        name: what clients and `GET /v1/models` call it; by default the text of `model`.
        access_key: the key sent upstream, usually `$NAME` of an environment variable. For Vertex AI also the JSON of a
            service account's key, or the path of its `.json` file.
        default: takes the requests that name no model; at most one provider.
        base_url: where the provider answers, when not at the vendor's own address. A path in it takes the place of the
            vendor's own.
        http_host: the Host header, when it differs from the address.
        provider_interface: for a provider that is not in the table of vendors: whose wire format it speaks.
        passthrough_auth: send the client's own key on, instead of `access_key`.
        headers: extra headers for every request to it.
        http_version: `1.1`, or `2` for HTTP/2 (by prior knowledge over http).
        timeouts: how long it may take.
        routing_preferences: what its model is preferred for; the top-level `routing_preferences` is the newer form.
    """

    model: Name
    name: Name | None = None
    access_key: str = ""
    default: bool = False
    base_url: Url | None = None
    http_host: str = ""
    provider_interface: Interface | None = None
    passthrough_auth: bool = False
    headers: Pairs = ()
    http_version: Literal["1.1", "2"] = "1.1"
    timeouts: Timeouts = Timeouts()
    routing_preferences: tuple[Preference, ...] = ()


class ModelAlias(Struct, frozen=True):
    """Another name for a model.

    Attributes:
        alias: the name; dots are allowed, as in `arch.summarize.v1`.
        target: the name of a provider, a full model name or a model id.
    """

    alias: Name
    target: Name


class SelectionPolicy(Struct, frozen=True):
    """How the models of a routing preference are ranked.

    Attributes:
        prefer: `cheapest` and `fastest` by `model_metrics_sources`; `none` keeps the order given.
    """

    prefer: Literal["cheapest", "fastest", "none"] = "none"


class RoutingPreference(Struct, frozen=True, kw_only=True):
    """A kind of request and the models preferred for it.

    Attributes:
        name: unique among all preferences.
        description: what such requests are about; a router compares the conversation with it.
        models: full names of models, best first.
        selection_policy: how they are ranked.
        examples: what users say then; they sharpen the description.
    """

    name: Name
    description: str
    models: Annotated[tuple[Name, ...], Meta(min_length=1)]
    selection_policy: SelectionPolicy = SelectionPolicy()
    examples: tuple[str, ...] = ()


class SessionCache(Struct, frozen=True, kw_only=True):
    """Where sessions that stay with a model are kept.

    Attributes:
        type: `memory` of this process, `sqlite` for a file that workers share and that outlives them, or `redis`.
        path: for `sqlite`: the file.
        url: for `redis`: where it is.
        tenant_header: a request header that keeps tenants apart.
    """

    type: Literal["memory", "sqlite", "redis"] = "memory"
    path: str = ""
    url: str = ""
    tenant_header: str = ""


class RoutingBudget(Struct, frozen=True, kw_only=True):
    """What moving a session to another model may cost, since the provider's prompt cache is lost by it.

    Attributes:
        max_switch_spend_pct: the extra spend allowed, in per cent of what the session would have cost by staying.
        replenish_on_rebind: count anew after a move.
        min_confidence: how sure the router must be of another model; keeps a session from going back and forth.
        cache_read_discount: what a cached token costs, as a part of its full price.
        record_counterfactual: also record what would have been chosen without a budget.
    """

    max_switch_spend_pct: Annotated[float, Meta(ge=0, le=100)] = 0.0
    replenish_on_rebind: bool = True
    min_confidence: Annotated[float, Meta(ge=0, le=1)] = 0.6
    cache_read_discount: Annotated[float, Meta(ge=0, le=1)] = 0.1
    record_counterfactual: bool = False


class RouterUse(Struct, frozen=True):
    """The router that compares conversations with preferences. The keys beside this one are the kind's own.

    Attributes:
        kind: the router's kind; `composite` stands for `router.composite`.
    """

    rest: ClassVar[bool] = True
    kind: Name


class Routing(Struct, frozen=True, kw_only=True):
    """How a model is chosen.

    Attributes:
        unknown_model: what a name that nobody knows does at listeners of type `model`: `refuse` answers 404 and names
            the close ones, `default` asks the default provider, as Arch 0.3 does. Those of type `prompt` always ask the
            default provider, and refuse only where there is none.
        model_provider: the provider that serves the router model.
        model: the router model's name.
        router: who compares conversations with preferences; by default the local `composite`, or `language_model` where
            a router model is named.
        timeout: how long it may take; after that the default model is asked.
        override_explicit_model: let it also choose for requests that name a model, as Arch does.
        route_on_user_only: choose anew only after a message of the user.
        session_ttl_seconds: how long a session, named by the header `x-model-affinity`, stays with its model after its
            last request.
        session_max_entries: how many sessions are remembered in memory.
        session_cache: where they are remembered.
        routing_budget: what moving a session may cost; without it a session never moves.
    """

    unknown_model: Literal["refuse", "default"] = "refuse"
    model_provider: Name | None = None
    model: str = ""
    router: RouterUse | None = None
    timeout: Duration = 2.0
    override_explicit_model: bool = False
    route_on_user_only: bool = False
    session_ttl_seconds: Annotated[int, Meta(ge=1)] = 600
    session_max_entries: Annotated[int, Meta(ge=1, le=10_000)] = 10_000
    session_cache: SessionCache = SessionCache()
    routing_budget: RoutingBudget | None = None


class Selector(Struct, frozen=True):
    """Whose requests a rate limit counts.

    Attributes:
        key: a request header, such as `x-user-id`.
        value: the value that it must have; `*` or nothing counts each value by itself.
    """

    key: Name
    value: str = ""


class Limit(Struct, frozen=True):
    """How much is allowed.

    Attributes:
        tokens: tokens per unit of time.
        unit: the unit of time.
    """

    tokens: Annotated[int, Meta(ge=1)]
    unit: Literal["second", "minute", "hour", "day"]


class RateLimit(Struct, frozen=True):
    """A limit on the tokens that a model takes. A client names the header that counts in `x-arch-ratelimit-selector`.

    Attributes:
        model: the model: its name, its full name or its id.
        selector: whose requests are counted.
        limit: how much is allowed.
    """

    model: Name
    selector: Selector
    limit: Limit


class CostSource(Struct, frozen=True, kw_only=True, tag="cost", tag_field="type"):
    """Where prices of models come from, for `prefer: cheapest`.

    Attributes:
        provider: the catalogue.
        url: where it is, when not at its own address.
        refresh_interval: seconds between two looks.
        model_aliases: the catalogue's names -> ours.
    """

    provider: Literal["digitalocean", "models.dev"]
    url: Url | None = None
    refresh_interval: Annotated[int, Meta(ge=1)] = 3600
    model_aliases: Pairs = ()


class LatencySource(Struct, frozen=True, kw_only=True, tag="latency", tag_field="type"):
    """Where latencies of models come from, for `prefer: fastest`.

    Attributes:
        provider: the source.
        url: where it is.
        query: a PromQL query that gives one value per label `model_name`.
        refresh_interval: seconds between two looks.
    """

    provider: Literal["prometheus"]
    url: Url
    query: str
    refresh_interval: Annotated[int, Meta(ge=1)] = 60


class PromptCaching(Struct, frozen=True, kw_only=True):
    """How the prompt caches of providers are used.

    Attributes:
        enabled: whether they are.
        session_affinity: keep a conversation with the model that has its prompt cached.
        inject_cache_control: set the marks that a provider needs to cache a prompt.
        min_prefix_tokens: shorter prompts are left alone.
        session_ttl_seconds: how long a prompt is taken to stay cached.
    """

    enabled: bool = False
    session_affinity: bool = True
    inject_cache_control: bool = True
    min_prefix_tokens: Annotated[int, Meta(ge=0)] = 1024
    session_ttl_seconds: Annotated[int, Meta(ge=1)] | None = None
