"""Older forms -> the newest one, on the tree, before anything is decoded.

Forms of Arch 0.1 to 0.3, forms that only its documentation shows, and what its config generator writes out
("rendered"). Each step looks for one form, rewrites it where the user wrote it, and warns with the new form.

Rule: a step that does not find its form returns the tree as it is; a value of the wrong type is left for `decode`.
Rule: nothing is dropped without a diagnostic.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs

from archflow_compiler.passes import provider_forms
from archflow_compiler.tree import Entry, Mapping, Node, Scalar, Sequence, head, plain
from archflow_schema.diagnostic import Diagnostic, Range, Related, Report

Step = Callable[[Mapping, Report], Mapping]


def migrate(root: Mapping, report: Report) -> Mapping:
    """Rewrite every older form of a file."""
    for step in STEPS:
        root = step(root, report)
    return root


def legacy(report: Report, old: str, new: str, place: Range, *, detail: str = "") -> None:
    """Warn that an older form was understood."""
    report.add(
        Diagnostic(
            code="legacy-form", severity="warning", summary=f"{old} is an older form", detail=detail,
            fix=f"write {new}", range=place,
        )
    )  # fmt: skip


def _llm_providers(root: Mapping, report: Report) -> Mapping:
    old, new = root.entry("llm_providers"), root.entry("model_providers")
    if old is None:
        return root
    if new is not None:
        arch = (
            "Please provide either llm_providers or model_providers, not both. "
            "llm_providers is deprecated, please use model_providers instead"
        )
        report.add(
            Diagnostic(
                code="providers-twice",
                severity="error",
                summary="llm_providers and model_providers are the same key, and both stand here",
                fix="move all providers under model_providers",
                arch=arch,
                range=old.key_range,
                related=(Related(new.key_range, "model_providers stands here"),),
            )
        )
        return root.without("llm_providers")
    legacy(report, "`llm_providers`", "`model_providers`", old.key_range)
    return root.renamed("llm_providers", "model_providers")


_LEGACY_LISTENERS = {"egress_traffic": "model", "ingress_traffic": "prompt"}


def _legacy_listeners(root: Mapping, report: Report) -> Mapping:
    """`listeners: {egress_traffic: ..., ingress_traffic: ...}` -> a list. Egress is there even when it is not named."""
    entry = root.entry("listeners")
    if entry is None or not isinstance(entry.node, Mapping):
        return root
    listeners = entry.node
    found: list[Node] = []
    for one in listeners:
        if one.key not in _LEGACY_LISTENERS:
            report.add(
                Diagnostic(
                    code="unknown-key",
                    severity="error",
                    summary=f'unknown key "{one.key}" in "listeners"',
                    fix="the older form has egress_traffic and ingress_traffic; the newer one is a list",
                    arch=f"Additional properties are not allowed ('{one.key}' was unexpected)",
                    range=one.key_range,
                )
            )
        elif isinstance(one.node, Mapping):
            found.append(_named(one.node, one.key, _LEGACY_LISTENERS[one.key], one.key_range))
        else:
            found.append(one.node)
    if "model_providers" not in root:
        report.add(
            Diagnostic(
                code="no-providers",
                severity="error",
                summary="there is no model provider",
                fix="add `model_providers:` with at least one `- model: <provider>/<model_id>`",
                arch="model_providers cannot be empty when using legacy format",
                range=entry.key_range,
            )
        )
    if "egress_traffic" not in listeners:
        found.append(
            _named(Mapping((), structs.replace(entry.key_range)), "egress_traffic", "model", entry.key_range)
        )
    legacy(
        report,
        "`listeners` as a mapping",
        "a list: `- name: egress_traffic` with `type: model`, and `- name: ingress_traffic` with `type: prompt`",
        entry.key_range,
    )
    return root.having("listeners", Sequence(tuple(found), listeners.range))


def _named(node: Mapping, name: str, kind: str, place: Range) -> Mapping:
    implied = tuple(
        Entry(key, place, Scalar(value, place))
        for key, value in (("name", name), ("type", kind))
        if key not in node
    )
    return structs.replace(node, entries=(*implied, *node.entries))


def _single_listener(root: Mapping, report: Report) -> Mapping:
    """The `listener:` of Arch's concept pages -> a prompt listener."""
    entry = root.entry("listener")
    if entry is None or not isinstance(entry.node, Mapping):
        return root
    node = entry.node
    timeout = node.entry("connect_timeout")
    if timeout is not None:
        report.add(
            Diagnostic(
                code="no-effect",
                severity="warning",
                summary="a listener makes no connections, so its connect_timeout has no effect",
                fix="set `timeouts: {connect: ...}` at a provider",
                range=timeout.key_range,
            )
        )
        node = node.without("connect_timeout")
    legacy(report, "`listener`", "an item of `listeners` with `type: prompt`", entry.key_range)
    root = root.without("listener")
    listeners = root.get("listeners")
    items = listeners.items if isinstance(listeners, Sequence) else ()
    if listeners is not None and not isinstance(listeners, Sequence):
        return root
    named = _named(node, "ingress_traffic", "prompt", entry.key_range)
    if not items:
        egress = _named(Mapping((), entry.key_range), "egress_traffic", "model", entry.key_range)
        return root.having("listeners", Sequence((named, egress), entry.node.range), entry.key_range)
    return root.having("listeners", Sequence((*items, named), listeners.range if listeners else node.range))


_TYPES = {"model_listener": "model", "prompt_listener": "prompt", "agent_listener": "agent"}


def _listener_types(root: Mapping, report: Report) -> Mapping:
    def rewrite(listener: Mapping) -> Mapping:
        entry = listener.entry("type")
        new = _TYPES.get(listener.text("type"))
        if entry is None or new is None:
            return listener
        legacy(report, f"`type: {listener.text('type')}`", f"`type: {new}`", head(entry.node))
        return listener.having("type", Scalar(new, head(entry.node)))

    return _each(root, "listeners", rewrite)


_LISTENER_PROVIDERS = ("model_providers", "llm_providers")
_EITHER = (
    "Please provide model_providers either under listeners or at root level, not both. "
    "Currently we don't support multiple listeners with model_providers"
)


def _listener_providers(root: Mapping, report: Report) -> Mapping:
    """Providers under a listener -> at the top level, where they belong to every listener."""
    listeners = root.get("listeners")
    if not isinstance(listeners, Sequence):
        return root
    carried = [
        entry
        for listener in listeners.items
        if isinstance(listener, Mapping)
        for key in _LISTENER_PROVIDERS
        if (entry := listener.entry(key)) is not None
    ]
    if not carried:
        return root
    root = _each(root, "listeners", lambda listener: listener.without(*_LISTENER_PROVIDERS))
    first = carried[0]
    for other in carried[1:]:
        report.add(
            Diagnostic(
                code="providers-twice",
                severity="error",
                summary="two listeners have model providers; all listeners share one list",
                fix="move them to the top-level `model_providers`",
                arch="Currently only one listener can have model_providers set",
                range=other.key_range,
                related=(Related(first.key_range, "the first stands here"),),
            )
        )
    top = root.entry("model_providers")
    if top is None:
        return root.having("model_providers", first.node, first.key_range)
    if _is_copy(first.node, top.node):
        report.add(
            Diagnostic(
                code="rendered-config",
                severity="warning",
                summary="the listener repeats the top-level model_providers",
                detail="Arch's config generator writes both; the top-level list is used",
                fix="leave them out here",
                range=first.key_range,
            )
        )
        return root
    report.add(
        Diagnostic(
            code="providers-twice",
            severity="error",
            summary="model providers stand under a listener and at the top level",
            fix="move them all to the top-level `model_providers`",
            arch=_EITHER,
            range=first.key_range,
            related=(Related(top.key_range, "the top-level list stands here"),),
        )
    )
    return root


def _is_copy(inner: Node, outer: Node) -> bool:
    if not isinstance(inner, Sequence) or not isinstance(outer, Sequence):
        return False
    known = {repr(plain(item)) for item in outer.items}
    return bool(inner.items) and all(repr(plain(item)) in known for item in inner.items)


def _agents(root: Mapping, report: Report) -> Mapping:
    """Agents as `name` and `endpoint` -> `id` and `url`, at the top level and under listeners."""

    def rewrite(agent: Mapping) -> Mapping:
        for old, new in (("name", "id"), ("endpoint", "url"), ("filter_chain", "input_filters")):
            entry = agent.entry(old)
            if entry is not None and new not in agent:
                legacy(report, f"`{old}` of an agent", f"`{new}`", entry.key_range)
                agent = agent.renamed(old, new)
        return agent

    root = _each(root, "agents", rewrite)
    return _each(root, "listeners", lambda listener: _each(listener, "agents", rewrite))


def _prompt_targets(root: Mapping, report: Report) -> Mapping:
    """`path` beside the target's name or endpoint, and `method` for `http_method`."""
    endpoints = root.get("endpoints")
    names = [entry.key for entry in endpoints] if isinstance(endpoints, Mapping) else []

    def rewrite(target: Mapping) -> Mapping:
        endpoint = target.get("endpoint")
        if isinstance(endpoint, Mapping):
            method = endpoint.entry("method")
            if method is not None and "http_method" not in endpoint:
                legacy(report, "`method` of an endpoint", "`http_method`", method.key_range)
                target = target.having("endpoint", endpoint.renamed("method", "http_method"))
        path, endpoint = target.entry("path"), target.get("endpoint")
        if path is None:
            return target
        place = path.key_range
        if endpoint is None and len(names) == 1:
            endpoint = Scalar(names[0], place)
        if isinstance(endpoint, Scalar):
            endpoint = Mapping((Entry("name", place, endpoint),), path.node.range)
        if not isinstance(endpoint, Mapping) or "path" in endpoint:
            return target
        legacy(report, "`path` of a prompt target", "`endpoint: {name: ..., path: ...}`", place)
        return target.without("path").having("endpoint", endpoint.having("path", path.node, place), place)

    return _each(root, "prompt_targets", rewrite)


def _endpoints(root: Mapping, report: Report) -> Mapping:
    """The `port` that Arch's generator splits off an endpoint -> `host:port`."""
    endpoints = root.get("endpoints")
    if not isinstance(endpoints, Mapping):
        return root
    for entry in endpoints:
        port = entry.node.entry("port") if isinstance(entry.node, Mapping) else None
        if port is None or not isinstance(entry.node, Mapping) or not isinstance(port.node, Scalar):
            continue
        host = entry.node.get("endpoint")
        if isinstance(host, Scalar) and isinstance(host.value, str) and isinstance(port.node.value, int):
            legacy(
                report, "`port` of an endpoint", f"`endpoint: {host.value}:{port.node.value}`", port.key_range
            )
            joined = Scalar(f"{host.value}:{port.node.value}", host.range)
            endpoints = endpoints.having(entry.key, entry.node.without("port").having("endpoint", joined))
    return root.having("endpoints", endpoints)


def _routing(root: Mapping, report: Report) -> Mapping:
    routing = root.get("routing")
    if not isinstance(routing, Mapping):
        return root
    entry = routing.entry("llm_provider")
    if entry is None or "model_provider" in routing:
        return root
    legacy(report, "`routing.llm_provider`", "`routing.model_provider`", entry.key_range)
    return root.having("routing", routing.renamed("llm_provider", "model_provider"))


def _tracing(root: Mapping, report: Report) -> Mapping:
    """`sampling_rate`, a part of one -> `random_sampling`, per cent."""
    tracing = root.get("tracing")
    if not isinstance(tracing, Mapping):
        return root
    entry = tracing.entry("sampling_rate")
    if entry is None or "random_sampling" in tracing or not isinstance(entry.node, Scalar):
        return root
    rate = entry.node.value
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
        return root
    percent = round(rate * 100)
    legacy(
        report,
        "`tracing.sampling_rate`",
        f"`random_sampling: {percent}`",
        entry.key_range,
        detail="Arch's documentation shows it, but Arch 0.3 never read it: it traced nothing",
    )
    renamed = tracing.renamed("sampling_rate", "random_sampling")
    return root.having("tracing", renamed.having("random_sampling", Scalar(percent, entry.node.range)))


def _error_target(root: Mapping, report: Report) -> Mapping:
    """`error_target: name` -> `error_target: {name: name}`."""
    entry = root.entry("error_target")
    if entry is None or not isinstance(entry.node, Scalar) or not isinstance(entry.node.value, str):
        return root
    legacy(
        report, "`error_target` as text", f"`error_target: {{name: {entry.node.value}}}`", head(entry.node)
    )
    place = head(entry.node)
    return root.having("error_target", Mapping((Entry("name", place, entry.node),), place))


def _each(parent: Mapping, key: str, rewrite: Callable[[Mapping], Mapping]) -> Mapping:
    """Rewrite the mappings in the list under a key."""
    listed = parent.get(key)
    if not isinstance(listed, Sequence):
        return parent
    items = tuple(rewrite(item) if isinstance(item, Mapping) else item for item in listed.items)
    return parent.having(key, structs.replace(listed, items=items))


def _providers(root: Mapping, report: Report) -> Mapping:
    listed = root.get("model_providers")
    if not isinstance(listed, Sequence):
        return root
    items = tuple(
        made
        for item in listed.items
        if (made := provider_forms.rewrite(item, report) if isinstance(item, Mapping) else item) is not None
    )
    return root.having("model_providers", structs.replace(listed, items=items))


STEPS: tuple[Step, ...] = (
    _llm_providers,
    _legacy_listeners,
    _single_listener,
    _listener_types,
    _listener_providers,
    _providers,
    _agents,
    _prompt_targets,
    _endpoints,
    _routing,
    _tracing,
    _error_target,
)
"""The steps, in order: later ones rely on the forms that earlier ones make."""
