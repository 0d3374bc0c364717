"""Counters and histograms of one worker, and their text form for Prometheus.

Plain lists and dicts, keyed by label values: an observation is a look-up and an addition. Snapshots of several
workers add up to one.

Source of the text form: Prometheus exposition format 0.0.4.
Rule: labels come from the graph or from fixed sets, never from a client, so that their number is bounded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from msgspec import Struct

from archflow_plugins.record import Record

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Family(Struct, frozen=True):
    """What a metric is called and means."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str


REQUESTS = Family(
    "archflow_requests_total",
    "counter",
    ("listener", "dialect", "model", "status"),
    "Requests answered, by the status that the client got.",
)
ERRORS = Family(
    "archflow_errors_total", "counter", ("listener", "error"), "Requests that failed, by what went wrong."
)
DURATION = Family(
    "archflow_request_duration_seconds",
    "histogram",
    ("listener", "model"),
    "From a request's first byte to its reply's last.",
)
FIRST_BYTE = Family(
    "archflow_time_to_first_byte_seconds", "histogram", ("listener", "model"), "Until the reply's first byte."
)
OVERHEAD = Family(
    "archflow_overhead_seconds",
    "histogram",
    ("listener",),
    "Time that a request spent in the gateway before it went upstream.",
)
TOKENS = Family(
    "archflow_tokens_total", "counter", ("model", "kind"), "Tokens as the upstreams counted them."
)
ATTEMPTS = Family(
    "archflow_upstream_attempts_total",
    "counter",
    ("upstream", "outcome"),
    "Tries at upstreams, by how they ended.",
)
GUARDS = Family("archflow_guard_verdicts_total", "counter", ("guard", "verdict"), "Verdicts of guards.")
DECISIONS = Family(
    "archflow_router_decisions_total",
    "counter",
    ("route", "reason"),
    "What routers and matchers decided, and how it was found; the route of a request's own preferences is not told.",
)
DECIDING = Family("archflow_router_decision_seconds", "histogram", ("node",), "How long it took to decide.")
RATELIMITED = Family(
    "archflow_ratelimited_total", "counter", ("model",), "Requests that a rate limit refused."
)
IN_FLIGHT = Family("archflow_requests_in_flight", "gauge", (), "Requests that are not answered yet.")
CONNECTIONS = Family("archflow_client_connections", "gauge", ("listener",), "Open client connections.")
UPSTREAM_CONNECTIONS = Family(
    "archflow_upstream_connections", "gauge", ("origin", "state"), "Connections to upstreams, open and idle."
)
LOCAL_BYTES = Family(
    "archflow_local_model_bytes",
    "gauge",
    ("model", "of"),
    "Memory of models in this process: their weights, and vectors that are remembered.",
)
LOCAL_WAITING = Family(
    "archflow_local_model_waiting", "gauge", ("model",), "Requests that wait for a model in this process."
)
LOCAL_LOOKUPS = Family(
    "archflow_local_model_lookups_total",
    "counter",
    ("model", "result"),
    "Texts whose vector was remembered (hit), or had to be made (miss).",
)
INFO = Family("archflow_graph_info", "gauge", ("digest",), "The graph that is running.")
SWAPS = Family("archflow_graph_swaps_total", "counter", ("result",), "Graphs swapped in or refused.")
SERVICE_FAILURES = Family(
    "archflow_service_failures_total",
    "counter",
    (),
    "Services that a request needed besides its upstream, such as a router's model or a guard, and did not get.",
)
TROUBLE = Family("archflow_internal_errors_total", "counter", (), "Exceptions that should not have happened.")

FAMILIES = (
    REQUESTS, ERRORS, DURATION, FIRST_BYTE, OVERHEAD, TOKENS, ATTEMPTS, GUARDS, DECISIONS, DECIDING, RATELIMITED,
    IN_FLIGHT, CONNECTIONS, UPSTREAM_CONNECTIONS, LOCAL_BYTES, LOCAL_WAITING, LOCAL_LOOKUPS, INFO, SWAPS,
    SERVICE_FAILURES, TROUBLE,
)  # fmt: skip

OF_KINDS = {"bytes": LOCAL_BYTES, "waiting": LOCAL_WAITING, "lookups": LOCAL_LOOKUPS}
"""The numbers that kinds tell, by what they call them."""

Labels = tuple[str, ...]


class Snapshot(Struct, frozen=True):
    """The numbers of a worker at one moment; what workers tell their supervisor."""

    values: dict[str, dict[Labels, float]]
    histograms: dict[str, dict[Labels, list[float]]]


class _Cell:
    """What the requests of one listener, dialect, model and status add to, found by one look-up.

    Those that took one try, as nearly all do, are told apart by upstream and outcome too, and count that try at once.
    The lists are shared with the cells whose labels they have in common.

    Attributes:
        over: those that are not added yet.
    """

    __slots__ = ("duration", "first_byte", "over", "overhead", "requests", "tokens")

    def __init__(
        self, duration: list[float], first_byte: list[float], overhead: list[float], tokens: list[float]
    ) -> None:
        self.duration = duration
        self.first_byte = first_byte
        self.overhead = overhead
        self.tokens = tokens
        self.requests = 0.0
        self.over: list[Record] = []

    def fold(self) -> None:
        """Add what is over: a list at a time, as that costs half as much as a record at a time."""
        over = self.over
        self.requests += len(over)
        _distribute([record.duration for record in over], self.duration)
        _distribute([record.first_byte for record in over if record.first_byte >= 0], self.first_byte)
        _distribute([record.attempts[0].began for record in over if record.attempts], self.overhead)
        tokens = self.tokens
        usages = [record.usage for record in over if record.usage is not None]
        tokens[0] += sum([usage.input_tokens for usage in usages])
        tokens[1] += sum([usage.output_tokens for usage in usages])
        tokens[2] += sum([usage.cached_tokens for usage in usages])
        tokens[3] += sum([usage.reasoning_tokens for usage in usages])
        over.clear()


_KINDS_OF_TOKENS = ("input", "output", "cached", "reasoning")


class Metrics:
    """The numbers of this worker."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str, str, int, str, str], _Cell] = {}
        self._values: dict[str, dict[Labels, float]] = {}
        self._histograms: dict[str, dict[Labels, list[float]]] = {}
        self._tokens: dict[str, list[float]] = {}
        self._attempts = self._values.setdefault(ATTEMPTS.name, {})

    def count(self, family: Family, labels: Labels, amount: float = 1.0) -> None:
        """Add to a counter."""
        _add(self._values.setdefault(family.name, {}), labels, amount)

    def observe(self, *records: Record) -> None:
        """Count finished exchanges."""
        cells = self._cells
        touched: set[_Cell] = set()
        for record in records:
            attempts = record.attempts
            if len(attempts) == 1:
                attempt = attempts[0]
                upstream, outcome = attempt.upstream, attempt.outcome
            else:
                upstream = outcome = ""
                for attempt in attempts:
                    _add(self._attempts, (attempt.upstream, attempt.outcome), 1.0)
            key = (record.listener, record.dialect, record.model, record.status, upstream, outcome)
            cell = cells.get(key)
            if cell is None:
                cell = cells[key] = self._cell(record)
            cell.over.append(record)
            touched.add(cell)
            if record.error or record.guards or record.decisions:
                self._count_more(record)
        for cell in touched:
            cell.fold()

    def _count_more(self, record: Record) -> None:
        """Count what went wrong, what guards found and what routers decided."""
        if record.error:
            self.count(ERRORS, (record.listener, record.error))
            if record.status == 429 and not record.attempts:
                self.count(RATELIMITED, (record.model,))
        for guard, verdict in record.guards:
            self.count(GUARDS, (guard, verdict))
        for decision in record.decisions:
            route = "" if decision.proposed else decision.option
            self.count(DECISIONS, (route, decision.reason or "cancelled"))
            _distribute([decision.seconds], self._buckets(DECIDING, (decision.node,)))

    def _cell(self, record: Record) -> _Cell:
        listener, model = record.listener, record.model
        return _Cell(
            self._buckets(DURATION, (listener, model)),
            self._buckets(FIRST_BYTE, (listener, model)),
            self._buckets(OVERHEAD, (listener,)),
            self._tokens.setdefault(model, [0.0] * len(_KINDS_OF_TOKENS)),
        )

    def _buckets(self, family: Family, labels: Labels) -> list[float]:
        """The buckets of a histogram, with the sum in the last place."""
        return self._histograms.setdefault(family.name, {}).setdefault(labels, [0.0] * (len(SECONDS) + 2))

    def snapshot(self, gauges: Iterable[tuple[Family, Labels, float]]) -> Snapshot:
        """A copy of everything, with gauges as they are now."""
        values = {name: dict(by_labels) for name, by_labels in self._values.items()}
        requests = values[REQUESTS.name] = {}
        for (listener, dialect, model, status, upstream, outcome), cell in self._cells.items():
            _add(requests, (listener, dialect, model, str(status)), cell.requests)
            if upstream:
                _add(values[ATTEMPTS.name], (upstream, outcome), cell.requests)
        values[TOKENS.name] = {
            (model, kind): amount
            for model, amounts in self._tokens.items()
            for kind, amount in zip(_KINDS_OF_TOKENS, amounts, strict=True)
            if amount
        }
        for family, labels, value in gauges:
            _add(values.setdefault(family.name, {}), labels, value)
        histograms = {
            name: {labels: list(buckets) for labels, buckets in by_labels.items() if any(buckets)}
            for name, by_labels in self._histograms.items()
        }
        return Snapshot(values, histograms)


def _distribute(times: list[float], buckets: list[float]) -> None:
    """Add some times to the buckets of a histogram, and to their sum in the last place."""
    buckets[-1] += sum(times)
    times.sort()
    before, all_of_them = 0, len(times)
    for place, bound in enumerate(SECONDS):
        if before == all_of_them:
            return
        after = bisect_right(times, bound)
        buckets[place] += after - before
        before = after
    buckets[len(SECONDS)] += all_of_them - before


def _add(values: dict[Labels, float], labels: Labels, amount: float) -> None:
    try:
        values[labels] += amount
    except KeyError:
        values[labels] = amount


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """The numbers of all workers together; a graph's info is one, not their sum."""
    total = Snapshot({}, {})
    for snapshot in snapshots:
        for name, by_labels in snapshot.values.items():
            mine = total.values.setdefault(name, {})
            for labels, value in by_labels.items():
                mine[labels] = 1.0 if name == INFO.name else mine.get(labels, 0.0) + value
        for name, histograms in snapshot.histograms.items():
            sums = total.histograms.setdefault(name, {})
            for labels, buckets in histograms.items():
                have = sums.get(labels)
                sums[labels] = (
                    list(buckets) if have is None else [a + b for a, b in zip(have, buckets, strict=True)]
                )
    return total


def render(snapshot: Snapshot) -> str:
    """The text form."""
    lines: list[str] = []
    for family in FAMILIES:
        values = snapshot.values.get(family.name, {})
        histograms = snapshot.histograms.get(family.name, {})
        if not values and not histograms:
            continue
        lines.append(f"# HELP {family.name} {family.help}")
        lines.append(f"# TYPE {family.name} {family.type}")
        lines += [
            f"{family.name}{_labels(family.labels, labels)} {value:.17g}" for labels, value in values.items()
        ]
        for labels, buckets in histograms.items():
            lines += _histogram(family, labels, buckets)
    return "\n".join(lines) + "\n"


def _histogram(family: Family, labels: Labels, buckets: list[float]) -> Iterable[str]:
    running = 0.0
    for bound, amount in zip((*SECONDS, float("inf")), buckets[:-1], strict=True):
        running += amount
        shown = "+Inf" if bound == float("inf") else f"{bound:g}"
        yield f"{family.name}_bucket{_labels((*family.labels, 'le'), (*labels, shown))} {running:.17g}"
    yield f"{family.name}_sum{_labels(family.labels, labels)} {buckets[-1]:.17g}"
    yield f"{family.name}_count{_labels(family.labels, labels)} {running:.17g}"


def _labels(names: tuple[str, ...], values: Labels) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
