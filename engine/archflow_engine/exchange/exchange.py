"""One request and its reply: the state machine that fronts, nodes and upstreams talk to.

::

    front --begin--> WALKING --dispatch--> WAITING --head--> RELAYING --end--> OVER
                        |                     |                  |
                        +------ refuse -------+---- cut short ---+--> OVER

Everything here is sync: the hub drives a request by callbacks from its first byte to its last. When a node must wait,
`walk` runs the same steps in a trio task and hands back.

An exchange is one Struct in four parts, so that a request makes one object. Each part lies on the one before it and
knows none behind it: `asked`, `answered`, `relayed`, and here what leads from one state to another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archflow_engine import trace
from archflow_engine.decided import encode_decided
from archflow_engine.exchange.answered import JSON
from archflow_engine.exchange.relayed import FOREVER, Relayed
from archflow_engine.hub import monotonic
from archflow_engine.sieve import Sieve, Telling
from archflow_engine.upstream.call import Call, CallHead, Headers
from archflow_engine.walk import walk
from archflow_plugins.kinds import Head
from archflow_plugins.record import Attempt, Decision
from archflow_schema.assigned import assigned
from archflow_schema.errors import ClientProtocolError, UpstreamError, UpstreamRefused, UpstreamTimeout

if TYPE_CHECKING:
    from archflow_engine.nodes.agent import AgentNode
    from archflow_engine.nodes.dispatch import DispatchNode
    from archflow_engine.nodes.recall import RecallNode
    from archflow_engine.nodes.sift import SiftNode
    from archflow_engine.stages import Maker
    from archflow_engine.walk import Runner


@assigned
class Exchange(Relayed):
    """One request and its reply: the state of both. Mutable: nearly all of it changes as it goes on.

    Attributes:
        error: what went wrong, in words, for the node that replies.
        fault: what a filter makes of an error, status and body.
        selfsufficient: the request, if it refers to nothing that is kept.
        keeper: who keeps the reply, if somebody does.
        model_suffix: what the client named behind a wildcard.
        chosen, spare: the models that were preferred, and those that are left if one cannot be reached.
        decides: whether it is told which model would be asked, and none is.
        decision: the router's, if one was asked.
        stages: what the reply passes.
        sifts: the filters that the reply passes.
    """

    error: str = ""
    fault: tuple[int, bytes] | None = None
    selfsufficient: Head | None = None
    keeper: RecallNode | None = None
    model_suffix: str = ""
    chosen: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    decides: bool = False
    decision: Decision | None = None
    stages: list[Maker] | None = None
    sifts: list[SiftNode] | None = None

    # The client's side.

    def begin(self, body: bytes) -> None:
        """The request is whole. Drives it as far as it goes without waiting."""
        request, listener, record = self.request, self.listener, self.record
        endpoint = listener.endpoints.get(request.path)
        named = None
        if endpoint is None:
            endpoint = listener.deciding.get(request.path)
            self.decides = endpoint is not None
            if endpoint is None:
                named = listener.by_pattern(request.path)
                endpoint = None if named is None else named.endpoint
        if endpoint is None or request.method != b"POST":
            listener.answer(self, request.method)
            return
        self.plan.hub.timed.add(self)
        self.dialect, record.dialect, entry = endpoint
        if request.refusal is not None:
            self.refuse(*request.refusal)
            return
        try:
            head = self.dialect.decode_head(body)
            if named is not None:
                head = Head(named.model, named.stream, head.fields, head.body)
        except ClientProtocolError as error:
            self.refuse(400, "invalid_request", str(error))
            return
        except Exception as error:  # noqa: BLE001 - a dialect is a plugin: what it raises is answered all the same
            self.trouble(error)
            return
        self.head = head
        record.stream = head.stream
        record.model_asked = head.model
        walk(self, entry)

    def begin_refused(self, status: int, code: str, message: str) -> None:
        """A request came that the front does not accept: it is answered and recorded all the same."""
        endpoint = self.listener.endpoints.get(self.request.path)
        if endpoint is not None:
            self.dialect, self.record.dialect, _ = endpoint
        self.refuse(status, code, message)

    def client_gone(self) -> None:
        """The client left: whatever is under way for it stops now."""
        if self.over:
            return
        self._stop()
        if not self._started or self.translation is None or not self.translation.finished:
            self.record.error = self.record.error or "client_gone"
        if not self._started:
            self.record.status = 499
        self.finish()

    # The nodes' side.

    def decided(self, models: tuple[str, ...]) -> None:
        """Tell the client which models would be asked, best first, and ask none."""
        record = self.record
        session = self.request.fields.get(b"x-model-affinity", b"").decode("latin-1")
        self.answer(200, JSON, encode_decided(models, record, self.decision, session), self.reply_headers)

    def tell(self, status: int, content_type: bytes, body: bytes, headers: Headers | None = None) -> None:
        """Answer with what somebody else said, once it has passed the filters of replies."""
        if self.sifts:
            walk(self, Telling(self.sifts, status, content_type, body, headers))
        else:
            self.answer(status, content_type, body, headers)

    def anew(self) -> None:
        """The request goes to another model: what was made and charged for the first one is undone."""
        if self.translation is not None:
            self.reply_headers = [one for one in self.reply_headers if one not in self.translation.told]
            self.translation = None
        self.sieve = None
        self.refund()
        self.model_suffix = ""

    def dispatch(self, node: DispatchNode | AgentNode, head: CallHead, body: bytes) -> None:
        """Send a request upstream; what comes of it goes to the client, or back to the node."""
        self._dispatch = node
        record = self.record
        if self.sifts is not None:
            self.sieve = Sieve(self, self.sifts)
        span_id = trace.new_span_id()
        own = trace.lines(record, span_id, told=self.plan.samples)
        self._call = call = Call(head, own, body, self.translation or self.sieve or self)
        self._heard = now = monotonic()
        self.attempt = attempt = Attempt(node.provider, node.upstream, "", span_id, now - self._began)
        record.attempts.append(attempt)
        self._patience = patience = node.first_byte
        silent = now + patience
        self.deadline = silent if silent < self._whole else self._whole  # noqa: FURB136 - it costs a tenth of min()
        node.pool.send(call)

    def withhold(self, status: int, runner: Runner | None) -> None:
        """The client gets nothing of the upstream's reply, which had this status: the walk goes on at `runner`."""
        if self.over:
            return
        self.unheard()
        self.translation = self.sieve = self.stages = None
        if self.prompt is not None:  # what it tells was the reply's
            self.prompt.metadata = self.prompt.prelude = ()
        now = monotonic()
        if self.attempt is not None:
            self.attempt.status, self.attempt.outcome = status, "streaming"
            self.attempt.ended = now - self._began
        self._patience = FOREVER
        self.deadline = self._whole
        walk(self, runner)

    # The upstream's side.

    def give_up(self, error: UpstreamError) -> None:
        """What the upstream says is of no use: hear no more of it."""
        self.unheard()
        (self.sieve or self).failed(error)

    def failed(self, error: UpstreamError) -> None:
        """The upstream will say nothing (more)."""
        if self.over:
            return
        outcome = (
            "refused" if isinstance(error, UpstreamRefused)
            else "timeout" if isinstance(error, UpstreamTimeout)
            else "failed"
        )  # fmt: skip
        self._call = None
        self.error = str(error)
        if self.attempt is not None:
            self.attempt.outcome = outcome
            self.attempt.error = self.error
            self.attempt.ended = monotonic() - self._began
        if self._started:
            self._cut_short(f"upstream_{outcome}", self.error)
            return
        self.attempt = None
        walk(self, self._dispatch.edges[outcome])

    def expired(self, now: float) -> None:
        """A deadline passed: the whole request's, or that of what it waits for."""
        if self.over:
            self.plan.hub.timed.discard(self)
            return
        if self._bears(now):
            return
        self._stop()
        timeout = self.listener.timeout
        if now >= self._whole:
            error = UpstreamTimeout(f"the request took longer than the listener's timeout of {timeout:g} s")
        elif self._started:
            error = UpstreamTimeout(f"the upstream was silent for {self._dispatch.between_chunks:g} s")
        else:
            error = UpstreamTimeout(f"the upstream sent nothing for {self._dispatch.first_byte:g} s")
        if self.attempt is None and not self._started:
            self.refuse(504, "request_timeout", str(error))
        else:
            self.failed(error)
