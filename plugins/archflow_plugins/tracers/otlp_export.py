"""The exporter half of the OTLP tracer: Records in, spans out, in opentelemetry's own thread.

Imported by `otlp` when a graph opens it, because opentelemetry takes a quarter of a second to import.

Rule: which attribute holds what stands in genai.toml; this module only walks its tables.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import cast

from msgspec import Struct
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from archflow_plugins.record import Attempt, Decision, Record
from archflow_schema.events import Usage

QUEUED_AT_MOST = 4096
BATCH = 512
DELAY_MS = 1000
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_LOGGERS = ("opentelemetry.exporter", "opentelemetry.sdk")
Value = str | int | float | bool | Sequence[str]


class _Queued:
    """A Record on its way to the thread, in the shape of which the batch processor knows one attribute."""

    __slots__ = ("record",)
    context = SpanContext(1, 1, is_remote=False, trace_flags=_SAMPLED)

    def __init__(self, record: Record) -> None:
        self.record = record


class _Try(Struct):
    """An attempt as the conventions look at it. Internal to this module, and short-lived."""

    provider: str
    upstream: str
    host: str
    port: int
    number: int
    status: int
    outcome: str
    failure: str
    reused: bool
    time_to_first_chunk: float


class _Facts(Struct):
    """What the paths of genai.toml begin with. Internal to this module, and short-lived."""

    record: Record
    operation: str
    protocol: str
    route: str
    guards: tuple[str, ...]
    finish_reasons: tuple[str, ...]
    usage: Usage | None = None
    attempt: _Try | None = None
    decision: Decision | None = None


class Exporter:
    """A batch processor with its thread, and the count of what it lost.

    Attributes:
        dropped: exchanges whose traces did not arrive.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        headers: Mapping[str, str],
        timeout: float,
        service_name: str,
        attributes: Mapping[str, str],
        names: Mapping[str, Mapping[str, str]],
        log: Callable[..., None],
    ) -> None:
        for (
            logger
        ) in _LOGGERS:  # it would print a traceback for each failed export; `_Converting` tells it once
            logging.getLogger(logger).setLevel(logging.CRITICAL)
        spans = Spans(names, service_name=service_name, attributes=attributes)
        sending = OTLPSpanExporter(endpoint=endpoint, headers=dict(headers), timeout=timeout)
        self._converting = _Converting(sending, spans, endpoint.partition("?")[0], log)
        self._overflowed = 0
        self._waiting = 0
        self._processor = BatchSpanProcessor(
            self._converting,
            max_queue_size=QUEUED_AT_MOST,
            schedule_delay_millis=DELAY_MS,
            max_export_batch_size=BATCH,
        )

    @property
    def dropped(self) -> int:
        """Exchanges whose traces did not arrive."""
        return self._overflowed + self._converting.failed

    def queue(self, record: Record) -> None:
        """Hand a Record to the thread; drop it if too many wait."""
        if self._waiting - self._converting.taken >= QUEUED_AT_MOST:
            self._overflowed += 1
            return
        self._waiting += 1
        self._processor.on_end(cast("ReadableSpan", _Queued(record)))

    def shutdown(self) -> None:
        """Send what is queued. Blocks for as long as the collector lets it."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]


class _Converting(SpanExporter):
    """Turns queued Records into spans, in the thread, and counts failures.

    Attributes:
        taken: how many Records the thread took.
        failed: how many of them did not arrive.
    """

    def __init__(self, sending: SpanExporter, spans: Spans, endpoint: str, log: Callable[..., None]) -> None:
        self.taken = 0
        self.failed = 0
        self._sending = sending
        self._spans = spans
        self._endpoint = endpoint
        self._log = log
        self._silent = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        queued = cast("Sequence[_Queued]", spans)
        self.taken += len(queued)
        result = self._sending.export([span for one in queued for span in self._spans.of(one.record)])
        if result is SpanExportResult.SUCCESS:
            self._silent = False
            return result
        self.failed += len(queued)
        if not self._silent:
            self._silent = True
            self._log(
                "traces_not_delivered",
                level="warning",
                endpoint=self._endpoint,
                detail="the collector does not take them; they are dropped until it does",
            )
        return result

    def shutdown(self) -> None:
        self._sending.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._sending.force_flush(timeout_millis)


class Spans:
    """Makes the spans of a Record."""

    def __init__(
        self, names: Mapping[str, Mapping[str, str]], *, service_name: str, attributes: Mapping[str, str]
    ) -> None:
        self._operations = names["operation"]
        self._tables = {table: _compiled(names[table]) for table in ("server", "client", "reply")}
        self._attributes = dict(attributes)
        self._resource = Resource.create({"service.name": service_name})
        self._scope = InstrumentationScope("archflow")

    def of(self, record: Record) -> list[ReadableSpan]:
        """The SERVER span and one CLIENT span for each attempt."""
        operation = self._operations.get(record.dialect, "chat")
        state = TraceState.from_header([record.trace_state]) if record.trace_state else None
        trace_id = int(record.trace_id, 16)

        def context(span_id: str, *, is_remote: bool = False) -> SpanContext:
            return SpanContext(trace_id, int(span_id, 16), is_remote, _SAMPLED, state)

        server = context(record.span_id)
        facts = _Facts(
            record=record,
            operation=operation,
            protocol=record.protocol.removeprefix("HTTP/"),
            route=record.path if record.dialect else "",
            guards=tuple(f"{name}={outcome}" for name, outcome in record.guards),
            finish_reasons=(record.finish_reason,) if record.finish_reason else (),
            usage=record.usage,
            decision=record.decisions[-1] if record.decisions else None,
        )
        end = _at(record, record.duration)
        spans = [
            self._span(
                f"{record.method} {facts.route}".strip(),
                SpanKind.SERVER,
                server,
                context(record.parent_span_id, is_remote=True) if record.parent_span_id else None,
                {**self._attributes, **_values(self._tables["server"], facts)},
                failed=record.status >= 500,
                start=record.started_ns,
                end=end,
            )
        ]
        for number, attempt in enumerate(record.attempts, 1):
            facts.attempt = _try(attempt, number)
            attributes = _values(self._tables["client"], facts)
            if attempt.outcome == "streaming":
                attributes |= _values(self._tables["reply"], facts)
            spans.append(
                self._span(
                    f"{operation} {record.model_sent}".strip(),
                    SpanKind.CLIENT,
                    context(attempt.span_id),
                    server,
                    attributes,
                    failed=bool(facts.attempt.failure),
                    start=_at(record, attempt.began),
                    end=_at(record, attempt.ended) if attempt.ended >= 0 else end,
                )
            )
        return spans

    def _span(
        self,
        name: str,
        kind: SpanKind,
        context: SpanContext,
        parent: SpanContext | None,
        attributes: Mapping[str, Value],
        *,
        failed: bool,
        start: int,
        end: int,
    ) -> ReadableSpan:
        return ReadableSpan(
            name=name,
            context=context,
            parent=parent,
            resource=self._resource,
            attributes=attributes,
            kind=kind,
            status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
            start_time=start,
            end_time=max(start, end),
            instrumentation_scope=self._scope,
        )


_Table = tuple[tuple[str, Callable[[_Facts], object]], ...]


def _compiled(table: Mapping[str, str]) -> _Table:
    return tuple((attribute, attrgetter(path)) for attribute, path in table.items())


def _values(table: _Table, facts: _Facts) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for attribute, get in table:
        try:
            value = get(facts)
        except AttributeError:  # no usage was told, or nothing was decided
            continue
        if value is not None and value not in {"", ()} and value != -1:
            found[attribute] = cast("Value", value)
    return found


def _at(record: Record, seconds: float) -> int:
    return record.started_ns + int(max(seconds, 0.0) * 1e9)


def _try(attempt: Attempt, number: int) -> _Try:
    host, _, port = attempt.address.rpartition(":")
    failed = attempt.status >= 400 or attempt.outcome not in {"", "streaming"}
    return _Try(
        provider=attempt.provider,
        upstream=attempt.upstream,
        host=host.strip("[]"),
        port=int(port) if port.isdigit() else -1,
        number=number,
        status=attempt.status or -1,
        outcome=attempt.outcome,
        failure=(str(attempt.status) if attempt.status >= 400 else attempt.outcome) if failed else "",
        reused=attempt.reused,
        time_to_first_chunk=attempt.first_byte - attempt.began if attempt.first_byte >= 0 else -1.0,
    )
