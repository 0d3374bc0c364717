"""The routing graph: what `archc` emits and `archrun` executes.

A graph is a tuple of nodes; an edge leads from a node's outcome to another node by its index. Listeners hold the
entries, upstreams the addresses. Everything is frozen, and children are tuples, so a graph can be shared by workers
and compared by its digest.

Rule: no secret is in a graph. A value that may name one is a `Text`: literal parts and references.
Rule: it evolves by appending fields with defaults; any other change raises `artifact.FORMAT`.
Invariant: `problems(graph)` is empty for every graph that the compiler emits and every graph that the engine runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from archflow_schema.slots import Slot
from archflow_schema.text import Env, Secret, Text

END = -1
"""The target of an edge that ends the walk: from there on the reply is relayed."""


class Edge(Struct, frozen=True, array_like=True):
    """What happens after an outcome: `target` is an index into `Graph.nodes`, or END."""

    outcome: str
    target: int


class Use(Struct, frozen=True, array_like=True):
    """One use of a plugin's kind: its dotted name and its compiled configuration, as msgpack of `Kind.compiled`."""

    kind: str
    compiled: bytes = b"\x80"


class Origin(Struct, frozen=True, array_like=True):
    """Where in the configuration something was said; line 0 means that it was implied."""

    file: str = ""
    line: int = 0


class Guard(Struct, frozen=True, array_like=True, tag="guard"):
    """Judges a conversation. Outcomes: allow, deny, failed.

    Attributes:
        label: what clients are told that it is called; its name if empty.
        fail: `open` lets a conversation on to where `allow` leads when the guard could not judge it.
    """

    name: str
    use: Use
    edges: tuple[Edge, ...]
    origin: Origin = Origin()
    label: str = ""
    fail: Literal["closed", "open"] = "closed"


class Screen(Struct, frozen=True, array_like=True, tag="screen"):
    """Has a guard judge the reply, whoever gives it. Outcomes: ready (the request goes on); later deny, failed.

    Attributes:
        label: what clients are told that it is called; its name if empty.
        fail: `open` lets a reply that the guard could not judge go to the client.
    """

    name: str
    use: Use
    edges: tuple[Edge, ...]
    origin: Origin = Origin()
    label: str = ""
    fail: Literal["closed", "open"] = "closed"


class Recall(Struct, frozen=True, array_like=True, tag="recall"):
    """Puts earlier replies in the place of references to them, and has translated ones kept. Outcomes: ready, failed.

    Attributes:
        store: where they are kept.
        seconds: for how long.
    """

    name: str
    store: Use
    seconds: float
    edges: tuple[Edge, ...]
    origin: Origin = Origin()


class Route(Struct, frozen=True, array_like=True, tag="route"):
    """Picks a model by name. Outcomes: `model:<name>`, unknown, and `choose` if it has `routed` names.

    Attributes:
        names: asked name -> model name and why (`name`, `alias`), sorted by name.
        wildcards: prefix (`openai/`) -> model name; the longest prefix wins.
        default: the model for requests that name none; empty if there is none.
        unknown: what a name that nobody knows does: `refuse` (404) or `default` (as Arch 0.3).
        routed: names that leave the choice to a router, the empty one among them.
    """

    name: str
    names: tuple[tuple[str, str, str], ...]
    wildcards: tuple[tuple[str, str], ...]
    default: str
    unknown: Literal["refuse", "default"]
    edges: tuple[Edge, ...]
    origin: Origin = Origin()
    routed: tuple[str, ...] = ()


class Budget(Struct, frozen=True, array_like=True):
    """What moving a session to another model may cost, since the prompt cache of the first is lost by it.

    Attributes:
        percent: the extra spend allowed, in per cent of what the session would have cost by staying.
        anew: count anew after a move.
        discount: what a cached token costs, as a part of its full price, where its own price is not known.
        counterfactual: also record what would have been chosen without a budget.
        confidence: how sure the router must be of another model.
        prices: model -> US dollars per million tokens of input, and of input that is cached (-1 if not known).
    """

    percent: float
    anew: bool = True
    discount: float = 0.1
    counterfactual: bool = False
    confidence: float = 0.0
    prices: tuple[tuple[str, float, float], ...] = ()


class Sessions(Struct, frozen=True, array_like=True):
    """How sessions stay with a model.

    Attributes:
        store: where it is kept which session is with which model.
        seconds: how long it is kept after the session's last request.
        tenant: a request header that keeps sessions of the same name apart; empty for none.
        budget: what a move may cost; without one a session never moves.
    """

    store: Use
    seconds: int
    tenant: str = ""
    budget: Budget | None = None


class Ranked(Struct, frozen=True, array_like=True):
    """How the models of some routes are ranked while requests come.

    Attributes:
        routes: their names.
        gauge: the kind that puts a number on each model, the lowest best; None for the time that each was seen to take
            until its first byte.
    """

    routes: tuple[str, ...]
    gauge: Use | None = None


class Choose(Struct, frozen=True, array_like=True, tag="choose"):
    """Lets a router pick the model by what a conversation is about.

    Outcomes: `model:<name>` for the models of the routes, `named` for a model that the request itself proposed, none,
    failed.

    Attributes:
        use: the router kind.
        routes: name of a route -> its models, best first.
        timeout: seconds that the router may take.
        user_only: a conversation whose newest turn is not a user's is judged by its newest turn of a user.
        ranked: routes whose models are ranked anew for each request.
        sessions: how sessions stay with a model.
    """

    name: str
    use: Use
    routes: tuple[tuple[str, tuple[str, ...]], ...]
    timeout: float
    edges: tuple[Edge, ...]
    user_only: bool = False
    origin: Origin = Origin()
    ranked: tuple[Ranked, ...] = ()
    sessions: Sessions | None = None


class Next(Struct, frozen=True, array_like=True, tag="next"):
    """Takes the next model of a route, where an upstream could not be reached: no connection, TLS or stream.

    Outcomes: `model:<name>` for the models of the routes, and none.
    """

    name: str
    models: tuple[str, ...]
    edges: tuple[Edge, ...]
    origin: Origin = Origin()


class Select(Struct, frozen=True, array_like=True, tag="select"):
    """Lets a router pick the agent, or a matcher several, by what a conversation is about.

    Outcomes: `agent:<id>` for each, none, failed. Of several, the last one's answer goes to the client; prompt targets
    and models come last.

    Attributes:
        use: the router or matcher kind.
        agents: who may be chosen, by id.
        timeout: seconds that the router may take.
        asks: the nodes of the models that the router may ask, by index.
        targets: those of `agents` that are prompt targets.
        models: those of `agents` that are models.
    """

    name: str
    use: Use
    agents: tuple[str, ...]
    timeout: float
    edges: tuple[Edge, ...]
    asks: tuple[int, ...] = ()
    origin: Origin = Origin()
    targets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


class Agent(Struct, frozen=True, array_like=True, tag="agent"):
    """Hands the request to an agent as it came, and relays its reply. Outcomes: streaming, refused, timeout, failed.

    Attributes:
        agent: its id.
        url: where it answers; the client's path is put behind it.
        connect, first_byte, between_chunks: timeouts in seconds.
        ca: path of a CA bundle, as that of an Upstream.
        host: the Host header when it differs from the URL's.
        tells: names and values that it is told in the request's `metadata`.
    """

    name: str
    agent: str
    url: Text
    edges: tuple[Edge, ...]
    connect: float = 5.0
    first_byte: float = 300.0
    between_chunks: float = 300.0
    ca: str = ""
    origin: Origin = Origin()
    host: Text = ()
    tells: tuple[tuple[str, str], ...] = ()


class Filter(Struct, frozen=True, array_like=True, tag="filter"):
    """Lets a filter change the request, or refuse it. Outcomes: passed, refused, failed.

    Attributes:
        filter: its id.
        use: the filter kind.
    """

    name: str
    filter: str
    use: Use
    edges: tuple[Edge, ...]
    origin: Origin = Origin()


class Sift(Struct, frozen=True, array_like=True, tag="sift"):
    """Has a filter change the reply, whoever gives it. Outcomes: ready (the request goes on); later refused, failed.

    Attributes:
        filter: its id.
        use: the filter kind.
    """

    name: str
    filter: str
    use: Use
    edges: tuple[Edge, ...]
    origin: Origin = Origin()


class Quota(Struct, frozen=True, array_like=True):
    """`tokens` per `period` seconds for requests whose header `key` has `value`; an empty value is one bucket each."""

    key: str
    value: str
    tokens: int
    period: int


class Limit(Struct, frozen=True, array_like=True, tag="limit"):
    """Charges tokens to a quota. Outcomes: admitted, exceeded."""

    name: str
    model: str
    quotas: tuple[Quota, ...]
    store: Use
    edges: tuple[Edge, ...]
    origin: Origin = Origin()


class Dispatch(Struct, frozen=True, array_like=True, tag="dispatch"):
    """Sends the request upstream. Outcomes: streaming, refused, timeout, failed, unsupported.

    Attributes:
        model: the name as `/v1/models` lists it.
        model_id: what the upstream is asked for; empty for a wildcard, which sends what follows its prefix.
        upstream: index into `Graph.upstreams`.
    """

    name: str
    model: str
    model_id: str
    upstream: int
    edges: tuple[Edge, ...]
    origin: Origin = Origin()


class Reply(Struct, frozen=True, array_like=True, tag="reply"):
    """Answers the client from here, in the form of its dialect. Has no outcomes.

    Attributes:
        status: HTTP status; 0 means that of the exchange, which the node that failed left there.
        code: what went wrong in one word, such as `model_not_found`; empty for a reply that is no error.
        message: the text; empty means the text that the exchange carries from the node that failed.
        form: of an error's body: the dialect's, or `chain`, in which agents and filters tell of theirs.
    """

    name: str
    status: int
    code: str = ""
    message: Text = ()
    edges: tuple[Edge, ...] = ()
    origin: Origin = Origin()
    form: Literal["dialect", "chain"] = "dialect"


class State(Struct, frozen=True, array_like=True):
    """How what prompts called, and what was answered, is known in later turns.

    Attributes:
        mode: `client` gives it to the client, who sends it back; `server` keeps it in `store`; `none` forgets it.
        store: the store kind, for `server`.
        seconds: how long it is kept there.
    """

    mode: Literal["client", "server", "none"] = "none"
    store: Use | None = None
    seconds: float = 3600.0


class Match(Struct, frozen=True, array_like=True, tag="match"):
    """Finds the prompt target that a conversation asks for.

    Outcomes: `target:<name>`, miss, pass (the newest turn is no user's, or not in words), empty (it says nothing),
    failed.

    Attributes:
        use: the matcher kind.
        targets: what it finds one of.
        timeout: seconds that it may take.
        state: where earlier calls are known from, and later turns know these.
        asks: the nodes of the models that it may ask, by index.
    """

    name: str
    use: Use
    targets: tuple[str, ...]
    edges: tuple[Edge, ...]
    timeout: float = 30.0
    state: State = State()
    origin: Origin = Origin()
    asks: tuple[int, ...] = ()


class Resume(Struct, frozen=True, array_like=True, tag="resume"):
    """Puts back into a conversation what earlier turns called, where no Match does. Outcome: resumed.

    Attributes:
        targets: the prompt targets by which such calls are told from others.
        state: as in Match.
    """

    name: str
    targets: tuple[str, ...]
    edges: tuple[Edge, ...]
    state: State = State()
    origin: Origin = Origin()


class Fill(Struct, frozen=True, array_like=True, tag="fill"):
    """Takes the matched targets' parameters from the conversation. Outcomes: filled, ask, none, failed.

    Attributes:
        use: the slot filler kind.
        targets: whose slots it fills; it is asked for those of them that were matched.
        timeout: seconds that it may take.
        asks: as in Match.
    """

    name: str
    use: Use
    targets: tuple[str, ...]
    edges: tuple[Edge, ...]
    timeout: float = 30.0
    origin: Origin = Origin()
    asks: tuple[int, ...] = ()


class Place(Struct, frozen=True, array_like=True):
    """A piece of a path or query: literal text, then the value of a slot, of a variable, or nothing more."""

    text: str
    slot: str = ""
    variable: str = ""


class Target(Struct, frozen=True, array_like=True):
    """A prompt target's call.

    Attributes:
        name: the prompt target's.
        service: index into `Graph.services`.
        method: the HTTP method.
        path: its pieces, ready to send; values are percent-encoded.
        query: name and pieces of each parameter that the configuration writes into the query itself.
        headers: lower-case name and value.
        slots: the parameters.
        history: the dialect in whose messages the call gets the conversation, as `{"messages": [...]}`, instead of
            parameters; empty for a call with parameters.
        verbatim: the answer is the reply; else a model puts it into words.
        system_prompt: goes before the conversation then.
    """

    name: str
    service: int
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: tuple[Place, ...]
    query: tuple[tuple[str, tuple[Place, ...]], ...] = ()
    headers: tuple[tuple[str, Text], ...] = ()
    slots: tuple[Slot, ...] = ()
    history: str = ""
    verbatim: bool = False
    system_prompt: Text = ()


class Call(Struct, frozen=True, array_like=True, tag="call"):
    """Calls the services of what was filled, and puts their answers before the conversation or before the client.

    Outcomes: answered (the conversation goes on to a model), verbatim (the answer is the reply), failed.

    Attributes:
        targets: whose calls it makes; one with `history` is called without being filled.
        timeout: seconds for one call, repetitions included.
        retries: how often one that may be repeated is tried again.
        most: how many calls one turn may make.
        forget: leave the answers of earlier calls out of what a model is asked.
    """

    name: str
    targets: tuple[Target, ...]
    edges: tuple[Edge, ...]
    timeout: float = 30.0
    retries: int = 3
    most: int = 8
    forget: bool = False
    origin: Origin = Origin()


class Frame(Struct, frozen=True, array_like=True, tag="frame"):
    """Makes a conversation one that a model can be asked: with a system prompt, without what only we know.

    Outcome: framed.

    Attributes:
        system_prompt: goes before the conversation.
        forget: as in Call.
    """

    name: str
    system_prompt: Text
    edges: tuple[Edge, ...]
    forget: bool = False
    origin: Origin = Origin()


class Tell(Struct, frozen=True, array_like=True, tag="tell"):
    """Tells a service of what went wrong. Outcomes: replied (its answer is the reply), silent.

    Attributes:
        service: index into `Graph.services`.
        path: where it is told.
        kind: what went wrong, in one word, unless the node that failed has a better one.
        dialect: in whose messages it gets the conversation.
        timeout: seconds that it may take.
    """

    name: str
    service: int
    path: str
    kind: str
    dialect: str
    edges: tuple[Edge, ...]
    timeout: float = 30.0
    origin: Origin = Origin()


Node = (
    Recall
    | Guard
    | Screen
    | Sift
    | Filter
    | Match
    | Resume
    | Fill
    | Call
    | Frame
    | Tell
    | Route
    | Choose
    | Next
    | Select
    | Limit
    | Dispatch
    | Agent
    | Reply
)


class Upstream(Struct, frozen=True, array_like=True):
    """Who serves models, and how to reach it.

    Attributes:
        name: the provider's name in the configuration.
        provider: the vendor, such as `openai`: a metric label and `gen_ai.provider.name`.
        use: the provider kind and its compiled configuration (paths, auth, headers).
        url: scheme, host, port; the path belongs to the kind.
        host: the Host header when it differs from the URL's.
        dialects: what it speaks, by dialect name.
        http: `1.1`, or `2` (by prior knowledge over http, by ALPN over https).
        connect, first_byte, between_chunks: timeouts in seconds.
        ca: path of a CA bundle, taken as those of `Tls`; empty means the system's.
        pool: idle connections to keep per worker.
        passthrough_auth: the client's own key is sent on.
    """

    name: str
    provider: str
    use: Use
    url: Text
    host: Text = ()
    dialects: tuple[str, ...] = ()
    http: Literal["1.1", "2"] = "1.1"
    connect: float = 5.0
    first_byte: float = 300.0
    between_chunks: float = 300.0
    ca: str = ""
    pool: int = 256
    passthrough_auth: bool = False
    origin: Origin = Origin()


class Service(Struct, frozen=True, array_like=True):
    """A service of the user's own: addresses that take turns.

    Attributes:
        name: its name in the configuration.
        addresses: scheme, host and port of each.
        host: the Host header when it differs from the address.
        connect: seconds until a connection is made.
        affinity: keep a conversation with one address.
    """

    name: str
    addresses: tuple[Text, ...]
    host: Text = ()
    connect: float = 0.5
    affinity: bool = False
    origin: Origin = Origin()


class Tls(Struct, frozen=True, array_like=True):
    """Paths of PEM files for a listener that speaks TLS 1.2 and 1.3, with ALPN `h2` and `http/1.1`.

    Relative ones begin at the folder of the graph.bin, or of the configuration when archrun compiles it.
    """

    certificate: str
    private_key: str


class Limits(Struct, frozen=True, array_like=True):
    """What a listener accepts. Sizes in bytes, times in seconds.

    Attributes:
        head: request line and headers together.
        headers: how many of them.
        body: the request's body.
        receive: until a request that has begun is complete, and for a new connection to begin its first.
        idle: a kept-alive connection without a request.
        connections: open at once; 0 means no limit.
    """

    head: int = 65_536
    headers: int = 200
    body: int = 32 * 1024 * 1024
    receive: float = 60.0
    idle: float = 620.0
    connections: int = 0


class Endpoint(Struct, frozen=True, array_like=True):
    """A path that takes requests in a dialect, and the node where their walk begins.

    Attributes:
        decides: the model is chosen and told to the client, and not asked.
    """

    path: str
    dialect: str
    entry: int
    decides: bool = False


class Listener(Struct, frozen=True, array_like=True):
    """An address that accepts clients. `timeout` is the whole request's, in seconds."""

    name: str
    type: Literal["model", "prompt", "agent"]
    address: str
    port: int
    timeout: float
    endpoints: tuple[Endpoint, ...]
    tls: Tls | None = None
    limits: Limits = Limits()
    models: tuple[str, ...] = ()
    origin: Origin = Origin()


class Requires(Struct, frozen=True, array_like=True):
    """A plugin that the graph was compiled with: entry point, distribution, version, digest of its files' list."""

    entry_point: str
    distribution: str
    version: str
    digest: str
    kinds: tuple[str, ...]


class Blob(Struct, frozen=True, array_like=True):
    """Bytes that a kind compiled and opens again, such as an index or a vocabulary.

    `data` of a graph that was read is a view of the file: it is not copied, and workers that map the file share it.
    """

    digest: str
    data: memoryview = memoryview(b"")


class LocalModel(Struct, frozen=True, array_like=True):
    """A model that runs in the gateway's own process, as it was when the graph was compiled.

    Attributes:
        name: in the catalogue or the cache.
        digest: over every file that decides what it answers; another one is refused at run time.
        quantization: how its matrices are stored.
        conversion: the number of the way it was converted in.
        size: bytes on disk, and about as many in each worker's memory.
    """

    name: str
    digest: str
    quantization: str
    conversion: int
    size: int


class Graph(Struct, frozen=True, array_like=True):
    """The whole program.

    Attributes:
        source: the configuration's file name, without its folder.
        listeners, nodes, upstreams: see there.
        tracers: the tracer kinds that see every exchange.
        environment: the names of all variables that its Texts refer to, sorted.
        secrets: the entries of `graph.secrets` that its Texts refer to, sorted.
        requires: the plugins it was compiled with.
        blobs: what its kinds compiled.
        dialects: the names of the dialects in use, such as `openai_chat` for the kind `dialect.openai_chat`.
        models: the local models that its kinds open, sorted.
        services: what calls go to.
    """

    source: str
    listeners: tuple[Listener, ...]
    nodes: tuple[Node, ...]
    upstreams: tuple[Upstream, ...]
    tracers: tuple[Use, ...] = ()
    environment: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    requires: tuple[Requires, ...] = ()
    blobs: tuple[Blob, ...] = ()
    dialects: tuple[str, ...] = ()
    models: tuple[LocalModel, ...] = ()
    services: tuple[Service, ...] = ()


OUTCOMES: dict[str, tuple[str, ...]] = {
    "recall": ("ready", "failed"),
    "guard": ("allow", "deny", "failed"),
    "screen": ("ready", "deny", "failed"),
    "sift": ("ready", "refused", "failed"),
    "resume": ("resumed",),
    "fill": ("filled", "ask", "none", "failed"),
    "call": ("answered", "verbatim", "failed"),
    "frame": ("framed",),
    "tell": ("replied", "silent"),
    "limit": ("admitted", "exceeded"),
    "dispatch": ("streaming", "refused", "timeout", "failed", "unsupported"),
    "filter": ("passed", "refused", "failed"),
    "agent": ("streaming", "refused", "timeout", "failed"),
    "reply": (),
}
"""The outcomes of each node type but `route`, `choose`, `next`, `match` and `select`, whose outcomes are what they can
pick and what else may happen."""


def node_type(node: Node) -> str:
    """The node's type as its tag names it, such as `guard` or `dispatch`."""
    return str(node.__struct_config__.tag)


def outcomes(node: Node) -> tuple[str, ...]:
    """Every outcome that the node can have."""
    if isinstance(node, Route):
        models = {model for _, model, _ in node.names} | {model for _, model in node.wildcards}
        if node.default:
            models.add(node.default)
        chosen = ("choose",) if node.routed else ()
        return (*(f"model:{model}" for model in sorted(models)), "unknown", *chosen)
    if isinstance(node, Match):
        return (*(f"target:{target}" for target in node.targets), "miss", "pass", "empty", "failed")
    if isinstance(node, Choose):
        models = {model for _, models in node.routes for model in models}
        return (*(f"model:{model}" for model in sorted(models)), "named", "none", "failed")
    if isinstance(node, Next):
        return (*(f"model:{model}" for model in sorted(set(node.models))), "none")
    if isinstance(node, Select):
        return (*(f"agent:{agent}" for agent in node.agents), "none", "failed")
    return OUTCOMES[node_type(node)]


def uses(graph: Graph) -> Iterator[Use]:
    """Every use of a kind in the graph, dialects excepted."""
    for node in graph.nodes:
        if isinstance(node, Guard | Screen | Sift | Filter | Choose | Select | Match | Fill):
            yield node.use
        if isinstance(node, Choose):
            yield from (ranked.gauge for ranked in node.ranked if ranked.gauge is not None)
            if node.sessions is not None:
                yield node.sessions.store
        if isinstance(node, Limit | Recall):
            yield node.store
        if isinstance(node, Match | Resume) and node.state.store is not None:
            yield node.state.store
    for upstream in graph.upstreams:
        yield upstream.use
    yield from graph.tracers


def texts(graph: Graph) -> Iterator[Text]:
    """Every Text of the graph outside the kinds' compiled configurations."""
    for upstream in graph.upstreams:
        yield upstream.url
        yield upstream.host
    for service in graph.services:
        yield from service.addresses
        yield service.host
    for node in graph.nodes:
        if isinstance(node, Reply):
            yield node.message
        elif isinstance(node, Agent):
            yield node.url
            yield node.host
        elif isinstance(node, Frame):
            yield node.system_prompt
        elif isinstance(node, Call):
            for target in node.targets:
                yield target.system_prompt
                yield from (value for _, value in target.headers)
                yield tuple(Env(one.variable) for one in places(target) if one.variable)


def places(target: Target) -> Iterator[Place]:
    """Every piece of a call's path and query."""
    yield from target.path
    for _, value in target.query:
        yield from value


def problems(graph: Graph) -> tuple[str, ...]:
    """What does not hold together, in words; empty for a sound graph.

    Checks: indexes in range, each outcome of each node wired exactly once, no cycle, references declared.
    """
    found: list[str] = []
    count = len(graph.nodes)
    for listener in graph.listeners:
        found.extend(
            f"listener {listener.name}: {endpoint.path} enters at node {endpoint.entry}, which does not exist"
            for endpoint in listener.endpoints
            if not 0 <= endpoint.entry < count
        )
    for node in graph.nodes:
        found.extend(_node_problems(graph, node))
    if not found and _has_cycle(graph):
        found.append("the nodes form a cycle")
    environment, secrets = set(graph.environment), set(graph.secrets)
    for text in texts(graph):
        for part in text:
            if isinstance(part, Env) and part.name not in environment:
                found.append(f"the variable {part.name} is used and not declared")
            elif isinstance(part, Secret) and part.key not in secrets:
                found.append(f"the secret {part.key} is used and not declared")
    return tuple(found)


_ENDS = frozenset({
    ("dispatch", "streaming"), ("agent", "streaming"), ("call", "verbatim"), ("tell", "replied"), ("screen", "failed"),
})  # fmt: skip
"""The outcomes after which somebody else than a node has the last word: an upstream, a service."""


def _node_problems(graph: Graph, node: Node) -> Iterator[str]:
    wired = [edge.outcome for edge in node.edges]
    expected = outcomes(node)
    if sorted(wired) != sorted(expected):
        yield f"node {node.name}: outcomes {', '.join(expected) or 'none'} expected, {', '.join(wired) or 'none'} wired"
    for edge in node.edges:
        if not END <= edge.target < len(graph.nodes):
            yield f"node {node.name}: {edge.outcome} leads to node {edge.target}, which does not exist"
        elif edge.target == END and (node_type(node), edge.outcome) not in _ENDS:
            yield f"node {node.name}: {edge.outcome} leads nowhere"
    if isinstance(node, Screen):
        failed = next((edge.target for edge in node.edges if edge.outcome == "failed"), None)
        if failed is not None and (failed == END) != (node.fail == "open"):
            yield f"node {node.name}: fails {node.fail}, and failed leads {'nowhere' if failed == END else 'on'}"
    if isinstance(node, Select | Match | Fill):
        for index in node.asks:
            if not 0 <= index < len(graph.nodes):
                yield f"node {node.name}: asks node {index}, which does not exist"
    if isinstance(node, Select):
        for name in {*node.targets, *node.models} - {*node.agents}:
            yield f"node {node.name}: {name} cannot be chosen"
    if isinstance(node, Call):
        for target in node.targets:
            yield from _target_problems(graph, node, target)
    if isinstance(node, Tell):
        if not 0 <= node.service < len(graph.services):
            yield f"node {node.name}: service {node.service} does not exist"
        if node.dialect not in graph.dialects:
            yield f"node {node.name}: the dialect {node.dialect} is not declared"
    if isinstance(node, Dispatch) and not 0 <= node.upstream < len(graph.upstreams):
        yield f"node {node.name}: upstream {node.upstream} does not exist"


def _target_problems(graph: Graph, node: Call, target: Target) -> Iterator[str]:
    if not 0 <= target.service < len(graph.services):
        yield f"node {node.name}: service {target.service} of {target.name} does not exist"
    if target.history and target.history not in graph.dialects:
        yield f"node {node.name}: the dialect {target.history} is not declared"
    known = {"", *(slot.name for slot in target.slots)}
    for place in places(target):
        if place.slot not in known:
            yield f"node {node.name}: {target.name} has no slot {place.slot}"
    if not target.path or not target.path[0].text.startswith("/"):
        yield f"node {node.name}: the path of {target.name} does not begin with /"


def _has_cycle(graph: Graph) -> bool:
    """Whether a walk could go round: depth first, white (absent), grey (False), black (True)."""
    done: dict[int, bool] = {}
    for start in range(len(graph.nodes)):
        stack = [(start, iter(graph.nodes[start].edges))] if start not in done else []
        done.setdefault(start, False)
        while stack:
            index, edges = stack[-1]
            edge = next(edges, None)
            if edge is None:
                done[index] = True
                stack.pop()
            elif edge.target != END:
                state = done.get(edge.target)
                if state is False:
                    return True
                if state is None:
                    done[edge.target] = False
                    stack.append((edge.target, iter(graph.nodes[edge.target].edges)))
    return False
