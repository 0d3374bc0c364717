"""Older forms of one model provider: bare model names, host and port, what Arch's generator adds.

Rule: as `migrate`, whose step for providers this is.
"""

from __future__ import annotations

from archflow_compiler.tree import Entry, Mapping, Node, Scalar, Sequence, head
from archflow_schema.diagnostic import Diagnostic, Report

_GENERATED = ("cluster_name", "base_url_path_prefix")


def rewrite(provider: Mapping, report: Report) -> Node | None:
    """One provider in the newest form; None for one that only Arch's generator writes."""
    internal = provider.entry("internal")
    if internal is not None:
        report.add(
            Diagnostic(
                code="rendered-config",
                severity="warning",
                summary=f'the internal provider "{provider.text("name") or provider.text("model")}" is left out',
                detail="Arch's config generator adds it for its own models",
                fix="remove this item",
                range=internal.key_range,
            )
        )
        return None
    rendered = provider.entry("cluster_name") is not None
    provider = _address(provider, rendered, report)
    provider = _provider_key(provider, report)
    provider = _bare_model(provider, rendered, report)
    return _usage(provider, report)


def _warn(report: Report, old: str, new: str, entry: Entry) -> None:
    report.add(
        Diagnostic(
            code="legacy-form",
            severity="warning",
            summary=f"{old} is an older form",
            fix=f"write {new}",
            range=entry.key_range,
        )
    )


def _address(provider: Mapping, rendered: bool, report: Report) -> Mapping:
    """`endpoint`, `port` and `protocol` -> `base_url`; beside a base_url they are the generator's copies of it."""
    endpoint = provider.entry("endpoint")
    if "base_url" in provider and (rendered or endpoint is not None):
        first = next((entry for entry in provider if entry.key in {"endpoint", *_GENERATED}), None)
        if first is not None:
            report.add(
                Diagnostic(
                    code="rendered-config",
                    severity="warning",
                    summary=f"`{first.key}` repeats what base_url says, as Arch's config generator writes it",
                    fix="leave out cluster_name, endpoint, port, protocol and base_url_path_prefix",
                    range=first.key_range,
                )
            )
        return provider.without("endpoint", "port", "protocol", *_GENERATED)
    host = provider.text("endpoint")
    if endpoint is None or not host:
        return provider
    protocol = provider.text("protocol") or "http"
    port = provider.get("port")
    if ":" not in host and isinstance(port, Scalar) and isinstance(port.value, int):
        host = f"{host}:{port.value}"
    url = f"{protocol}://{host}"
    _warn(report, "`endpoint` of a provider", f"`base_url: {url}`", endpoint)
    return provider.without("endpoint", "port", "protocol").having(
        "base_url", Scalar(url, head(endpoint.node)), endpoint.key_range
    )


def _provider_key(provider: Mapping, report: Report) -> Mapping:
    """`provider: openai` beside a bare model -> `model: openai/...`."""
    entry = provider.entry("provider")
    if entry is None:
        return provider
    if "provider_interface" in provider:
        report.add(
            Diagnostic(
                code="provider-twice",
                severity="error",
                summary="provider and provider_interface say the same twice",
                fix="leave both out and write `model: <provider>/<model_id>`",
                arch="Please provide either provider or provider_interface, not both",
                range=entry.key_range,
            )
        )
        return provider.without("provider")
    vendor, model = provider.text("provider"), provider.entry("model")
    if not vendor or model is None or not provider.text("model"):
        return provider
    name = provider.text("model")
    full = name if name.startswith(f"{vendor}/") else f"{vendor}/{name}"
    _warn(report, "`provider` of a model provider", f"`model: {full}`", entry)
    return provider.without("provider").having("model", Scalar(full, head(model.node)))


def _bare_model(provider: Mapping, rendered: bool, report: Report) -> Mapping:
    """`provider_interface` beside a bare model -> `model: <interface>/<model>`."""
    entry, model = provider.entry("provider_interface"), provider.entry("model")
    interface, name = provider.text("provider_interface"), provider.text("model")
    if entry is None or model is None or not interface or not name:
        return provider
    if "/" in name and not (rendered or provider.text("name") == f"{interface}/{name}"):
        return provider
    full = f"{interface}/{name}"
    _warn(report, "`provider_interface` beside a bare model name", f"`model: {full}`", entry)
    return provider.without("provider_interface").having("model", Scalar(full, head(model.node)))


def _usage(provider: Mapping, report: Report) -> Mapping:
    """`usage: text` -> a routing preference."""
    entry = provider.entry("usage")
    if entry is None or not provider.text("usage") or "routing_preferences" in provider:
        return provider
    _warn(report, "`usage` of a provider", "`routing_preferences` with a name and this description", entry)
    place = head(entry.node)
    name = provider.text("name") or provider.text("model")
    preference = Mapping(
        (Entry("name", place, Scalar(name, place)), Entry("description", place, entry.node)), place
    )
    return provider.without("usage").having(
        "routing_preferences", Sequence((preference,), place), entry.key_range
    )
