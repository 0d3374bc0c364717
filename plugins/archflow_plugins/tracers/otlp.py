"""Traces to an OpenTelemetry collector: a SERVER span per exchange, a CLIENT span below it per attempt.

The ids are those that were sent upstream in `traceparent`, so that the upstream's spans hang below ours. An exchange
that ends only queues its Record; spans are built, encoded and sent by the exporter's own thread.

Rule: the one importer of opentelemetry, and only when a graph opens this kind.
Rule: a collector that is slow, dead or silent costs a request nothing: the queue is bounded, what does not fit is
dropped and counted, and closing waits no longer than PATIENCE.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from msgspec import Struct

from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.kinds import Tracer
from archflow_plugins.record import Record
from archflow_schema.errors import ArchflowError
from archflow_schema.text import Text, references

if TYPE_CHECKING:
    from archflow_plugins.tracers.otlp_export import Exporter

DEFAULT_ENDPOINT = "http://localhost:4318/v1/traces"
PATIENCE = 2.0
"""Seconds that closing waits for the collector."""


class OtlpConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the OTLP tracer.

    Attributes:
        endpoint: the collector's URL for traces, over HTTP.
        headers: sent with every export, name and value; may name the environment.
        sampling: percent of the traces that begin here; a trace that began elsewhere keeps its caller's decision.
        service_name: `service.name` of the resource.
        timeout: of one export, in seconds.
        attributes: set on every SERVER span, name and value.
    """

    endpoint: str = DEFAULT_ENDPOINT
    headers: tuple[tuple[str, str], ...] = ()
    sampling: float = 100.0
    service_name: str = "archflow"
    timeout: float = 10.0
    attributes: tuple[tuple[str, str], ...] = ()


class Compiled(Struct, frozen=True, kw_only=True):
    """What the graph keeps of it."""

    endpoint: Text
    headers: tuple[tuple[str, Text], ...]
    sampling: float
    service_name: str
    timeout: float
    attributes: tuple[tuple[str, str], ...]


class Otlp(Tracer):
    """Exports traces over OTLP/HTTP."""

    kind = "tracer.otlp"
    config = OtlpConfig
    compiled: ClassVar[type[Struct] | None] = Compiled

    @classmethod
    def compile(cls, config: OtlpConfig, ctx: CompileContext) -> Compiled:
        endpoint = ctx.text(config.endpoint, "endpoint")
        if not references(endpoint) and not config.endpoint.startswith(("http://", "https://")):
            ctx.error(
                "invalid-endpoint",
                f"the endpoint {config.endpoint} is not an http or https URL",
                "endpoint",
                fix=f"write it like {DEFAULT_ENDPOINT}",
            )
        if not 0 <= config.sampling <= 100:
            ctx.error("invalid-sampling", f"{config.sampling:g} is no percentage: use 0 to 100", "sampling")
        if config.timeout <= 0:
            ctx.error("invalid-timeout", "a timeout must be above 0 seconds", "timeout")
        return Compiled(
            endpoint=endpoint,
            headers=tuple(
                (name.lower(), ctx.text(value, "headers", name, secret=True))
                for name, value in config.headers
            ),
            sampling=config.sampling,
            service_name=config.service_name,
            timeout=config.timeout,
            attributes=config.attributes,
        )

    @classmethod
    async def open(cls, compiled: Any, ctx: RunContext) -> Self:
        """Start the exporter's thread; the collector need not be there.

        Raises:
            ArchflowError: the endpoint's variable holds no URL.
        """
        tracer = cls(compiled, ctx)
        tracer.start()
        return tracer

    def __init__(self, compiled: Compiled, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._bound = round(compiled.sampling / 100 * (1 << 64))
        self._exporter: Exporter | None = None

    @property
    def dropped(self) -> int:
        """Exchanges whose traces did not reach the collector."""
        return self._exporter.dropped if self._exporter is not None else 0

    def start(self) -> None:
        """Start the exporter's thread. Raises ArchflowError as `open` does."""
        from archflow_plugins.tracers.otlp_export import Exporter

        endpoint = self.ctx.text(self.settings.endpoint).strip()
        scheme, _, rest = endpoint.partition("://")
        if scheme not in {"http", "https"} or not rest:
            raise ArchflowError(
                f"the endpoint of the OTLP tracer is no http or https URL: write it like {DEFAULT_ENDPOINT}"
            )
        if not rest.partition("/")[2]:
            endpoint = f"{endpoint.rstrip('/')}/v1/traces"
        self._exporter = Exporter(
            endpoint=endpoint,
            headers={name: self.ctx.text(value).strip() for name, value in self.settings.headers},
            timeout=self.settings.timeout,
            service_name=self.settings.service_name,
            attributes=dict(self.settings.attributes),
            names=load_names(),
            log=self.ctx.log,
        )

    def sample(self, record: Record) -> bool:
        """The caller's decision if there is one, else by the trace id, so that all services decide alike."""
        if record.parent_span_id:
            return record.sampled
        return int(record.trace_id[16:], 16) < self._bound

    def finish(self, record: Record) -> None:
        if record.sampled and self._exporter is not None:
            self._exporter.queue(record)

    async def close(self) -> None:
        """Send what is queued, for at most PATIENCE seconds; not cut short when the engine is cancelled."""
        import trio

        exporter, self._exporter = self._exporter, None
        if exporter is not None:
            with trio.move_on_after(PATIENCE, shield=True):
                await trio.to_thread.run_sync(exporter.shutdown, abandon_on_cancel=True)


def load_names() -> dict[str, dict[str, str]]:
    """The tables of genai.toml: which attribute is made of which fact."""
    text = resources.files(__package__).joinpath("genai.toml").read_text(encoding="utf-8")
    return {
        name: cast("dict[str, str]", table)
        for name, table in tomllib.loads(text).items()
        if isinstance(table, dict)
    }
