"""Model providers -> upstreams and the nodes that send to them.

Each model has one dispatch node, shared by all listeners; a rate limit stands before it.
"""

from __future__ import annotations

from collections.abc import Iterable

from archflow_compiler.lower.draft import Draft, edges
from archflow_compiler.passes.models import Model, elsewhere
from archflow_compiler.tree import Path
from archflow_plugins.kinds import ProviderConfig
from archflow_plugins.providers.table import find
from archflow_schema.graph import END, Dispatch, Limit, Quota, Upstream
from archflow_schema.text import Text

PERIODS: dict[str, int] = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
"""Seconds of each unit of time in a rate limit."""


class Providers:
    """Makes upstreams and dispatch nodes on demand, once each."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._upstreams: dict[int, int | None] = {}
        self._entries: dict[tuple[str, int | None], int | None] = {}
        self._quotas: dict[str, list[Quota]] = {}
        for limit in draft.config.ratelimits:
            model = draft.names.find(limit.model)
            if model is not None:
                value = "" if limit.selector.value == "*" else limit.selector.value
                self._quotas.setdefault(model.full, []).append(
                    Quota(limit.selector.key.lower(), value, limit.limit.tokens, PERIODS[limit.limit.unit])
                )

    @property
    def limited(self) -> tuple[Model, ...]:
        """The models that have a rate limit."""
        found = (self._draft.names.find(name) for name in self._quotas)
        return tuple(model for model in found if model is not None)

    def dialects(self) -> set[str]:
        """Every dialect that some upstream made so far speaks."""
        return {dialect for upstream in self._draft.upstreams for dialect in upstream.dialects}

    def entry(self, model: Model, refused: int | None = None) -> int | None:
        """The node where requests for a model go; None if its provider cannot be used, which is reported.

        Args:
            model: the model.
            refused: where they go if its upstream refuses them; an error's reply if not given.
        """
        key = (model.full, refused)
        if key not in self._entries:
            upstream = self._upstream(model)
            self._entries[key] = None if upstream is None else self._dispatch(model, upstream, refused)
        return self._entries[key]

    def asked(self, names: Iterable[str]) -> tuple[int, ...]:
        """The nodes of the models that a kind asks, by the names that it was given for them."""
        found = [model for name in sorted(names) if (model := self._draft.names.find(name)) is not None]
        return tuple(node for model in found if (node := self.entry(model)) is not None)

    def _dispatch(self, model: Model, upstream: int, refused: int | None) -> int | None:
        draft = self._draft
        origin = draft.origin("model_providers", model.index)
        node = draft.add(
            Dispatch(
                name=f"dispatch {model.name}"
                if refused is None
                else f"dispatch {model.name}, or {draft.nodes[refused].name}",
                model=model.name,
                model_id=model.model_id,
                upstream=upstream,
                edges=edges(
                    streaming=END,
                    refused=draft.reply("upstream refused", 502, "upstream_refused")
                    if refused is None
                    else refused,
                    timeout=draft.reply("upstream timeout", 504, "upstream_timeout"),
                    failed=draft.reply("upstream failed", 502, "upstream_failed"),
                    unsupported=draft.reply("unsupported dialect", 400, "unsupported_dialect"),
                ),
                origin=origin,
            )
        )
        quotas = self._quotas.get(model.full)
        if not quotas:
            return node
        store = draft.registry.kind("store.memory")
        used = draft.use(store, store.config(), f"limit {model.name}", ("ratelimits",), "ratelimits")
        if used is None:
            return None
        return draft.add(
            Limit(
                name=f"limit {model.name}",
                model=model.name,
                quotas=tuple(quotas),
                store=used[0],
                edges=edges(
                    admitted=node, exceeded=draft.reply("rate limit exceeded", 429, "rate_limit_exceeded")
                ),
                origin=draft.origin("ratelimits"),
            )
        )

    def _upstream(self, model: Model) -> int | None:
        if model.index not in self._upstreams:
            self._upstreams[model.index] = self._make_upstream(model)
        return self._upstreams[model.index]

    def _make_upstream(self, model: Model) -> int | None:
        draft, provider = self._draft, model.provider
        at: Path = ("model_providers", model.index)
        interface = find(provider.provider_interface or "")
        kind = draft.registry.provider(model.vendor, interface.name if interface else "")
        if kind is not None and kind.in_process and elsewhere(provider):
            kind = draft.registry.provider(interface.name if interface else "")
        if kind is None:
            draft.unit.error(
                "unknown-provider",
                f"no installed plugin can ask {model.vendor}",
                draft.unit.places.value(*at, "model"),
            )
            return None
        vendor = find(model.vendor)
        config = _config(model, interface.name if interface else "")
        used = draft.use(kind, config, _name(model), at, f"model_providers.{_name(model)}")
        if used is None:
            return None
        dialects = kind.dialects(used[1])
        if not dialects:
            draft.unit.error(
                "not-yet-supported",
                f"the API of {model.vendor} is not spoken yet",
                draft.unit.places.value(*at, "model"),
                fix="leave this provider out for now",
            )
            return None
        url = kind.url(used[1])
        draft.texts.append(url)
        timeouts, overrides = provider.timeouts, draft.config.overrides
        draft.upstreams.append(
            Upstream(
                name=_name(model),
                provider=vendor.provider_name if vendor is not None else model.vendor,
                use=used[0],
                url=url,
                host=self._host(model),
                dialects=dialects,
                http=provider.http_version,
                connect=timeouts.connect or overrides.upstream_connect_timeout,
                first_byte=timeouts.first_byte,
                between_chunks=timeouts.between_chunks,
                ca=overrides.upstream_tls_ca_path or "",
                passthrough_auth=provider.passthrough_auth,
                origin=draft.origin(*at),
            )
        )
        return len(draft.upstreams) - 1

    def _host(self, model: Model) -> Text:
        return self._draft.text(model.provider.http_host)


def _name(model: Model) -> str:
    return model.provider.name or model.provider.model


def _config(model: Model, interface: str) -> ProviderConfig:
    provider = model.provider
    return ProviderConfig(
        name=_name(model),
        vendor=model.vendor,
        interface=interface,
        model_id=model.model_id,
        base_url=provider.base_url or "",
        access_key=provider.access_key,
        headers=provider.headers,
        http_host=provider.http_host,
        passthrough_auth=provider.passthrough_auth,
    )
