"""Every vendor that is asked by a POST below one prefix, with a key in one header: nearly all of them.

Also for vendors nobody knows: with `base_url` and `interface`, they are asked as the interface's vendor is.

Rule: what differs between vendors is data in `table`; a vendor that needs code derives from `HttpProvider`.
Invariant: a key, and any header that may hold one, is a Text: names in the graph, values only here, at run time.
"""

from __future__ import annotations

import re
from typing import ClassVar

import msgspec
from msgspec import Raw, Struct

from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.kinds import Provider, ProviderConfig, UpstreamRequest
from archflow_plugins.providers.base_url import BadUrl, split
from archflow_plugins.providers.table import ENDS, RESPONSES, VENDORS, Auth, Vendor, find
from archflow_schema.errors import ArchflowError
from archflow_schema.text import Text, references

_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS = frozenset({
    "connection", "content-length", "content-type", "host", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
_SECRET_WORDS = frozenset({
    "authorization", "auth", "key", "apikey", "token", "secret", "cookie", "password", "signature",
})  # fmt: skip


OF_THEIR_OWN = frozenset({"amazon_bedrock", "anthropic", "azure_openai", "gemini", "mistral", "vertex_ai"})
"""Vendors that have a kind of their own."""


class Compiled(Struct, frozen=True, kw_only=True):
    """What the graph keeps of a provider.

    Attributes:
        vendor: the name in `table.VENDORS`, after aliases and interface.
        base: where it is, the path included; may refer to the environment.
        key: empty when it needs none, or when the client's own is sent on.
        headers: lower-case name and value; these win over our own.
        stranger: the table does not know the vendor, only whose interface it speaks; that is all that it is asked in.
    """

    vendor: str
    base: Text
    key: Text = ()
    headers: tuple[tuple[str, Text], ...] = ()
    stranger: bool = False


class HttpProvider(Provider):
    """A provider that is described by a row of the table."""

    compiled: ClassVar[type[Struct] | None] = Compiled

    @classmethod
    def compile(cls, config: ProviderConfig, ctx: CompileContext) -> Compiled:
        vendor = find(config.vendor) or find(config.interface)
        if vendor is None:
            ctx.error(
                "unknown-provider",
                f"nobody knows how to ask the provider {config.vendor}",
                "model",
                fix="set base_url, and provider_interface to the API that it speaks, such as openai",
            )
            vendor = VENDORS["openai"]
        return Compiled(
            vendor=vendor.name,
            base=_base(config, vendor, ctx),
            key=cls.compile_key(config, vendor, ctx),
            headers=tuple(_header(name, value, ctx) for name, value in config.headers),
            stranger=find(config.vendor) is None,
        )

    @classmethod
    def compile_key(cls, config: ProviderConfig, vendor: Vendor, ctx: CompileContext) -> Text:
        """The key as the graph keeps it."""
        return _key(config, vendor, ctx)

    @classmethod
    def url(cls, compiled: Compiled) -> Text:
        if references(compiled.base):
            return compiled.base
        return (split("".join(str(part) for part in compiled.base)).origin,)

    @classmethod
    def dialects(cls, compiled: Compiled) -> tuple[str, ...]:
        spoken = VENDORS[compiled.vendor].dialects
        return tuple(one for one in spoken if one not in RESPONSES) if compiled.stranger else spoken

    def __init__(self, compiled: Compiled, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self.vendor = VENDORS[compiled.vendor]
        self.streams = self.vendor.streams
        self._renames = dict(self.vendor.renames)
        prefix = _run_time_prefix(ctx, compiled)
        self.prefix = self.vendor.prefix if prefix is None else prefix
        self.key = clean(ctx, "access_key", ctx.text(compiled.key))
        self._headers = {name: clean(ctx, name, ctx.text(value)) for name, value in compiled.headers}

    def request(self, dialect: str, model: str, *, stream: bool, body: bytes = b"") -> UpstreamRequest:
        headers = {**self.own_headers(dialect), **self._headers}
        return UpstreamRequest(self.path(dialect, model), tuple(headers.items()))

    def adapt(self, dialect: str, body: bytes) -> bytes:
        if dialect != "openai_chat" or not self._renames:
            return body
        fields = _decode_fields(body)
        return _encode({self._renames.get(name, name): value for name, value in fields.items()})

    def credentials(self, dialect: str, key: str) -> tuple[tuple[str, str], ...]:
        return tuple(auth_header(self.auth(dialect), key).items())

    def path(self, dialect: str, model: str) -> str:
        """The path, with query, under which the upstream takes a dialect."""
        return self.prefix + ENDS[dialect]

    def auth(self, dialect: str) -> Auth:
        """The form in which the upstream takes its key for a dialect."""
        return self.vendor.auth

    def own_headers(self, dialect: str) -> dict[str, str]:
        """The headers that the vendor asks for, before the configured ones."""
        if not self.key:
            return {}
        return auth_header(self.auth(dialect), self.key)


class OpenAICompatible(HttpProvider):
    """The vendors of the table that need no code of their own, and unknown ones with an interface."""

    kind = "provider.openai_compatible"
    vendors: ClassVar[tuple[str, ...]] = tuple(
        vendor.name for vendor in VENDORS.values() if vendor.name not in OF_THEIR_OWN
    )


def auth_header(form: Auth, key: str) -> dict[str, str]:
    """The header that carries a key."""
    return {"authorization": f"Bearer {key}"} if form == "bearer" else {form: key}


def _base(config: ProviderConfig, vendor: Vendor, ctx: CompileContext) -> Text:
    if not config.base_url:
        if not vendor.url:
            ctx.error(
                "missing-base-url",
                f"the provider {vendor.name} needs a base_url",
                "model",
                fix="say where it is, such as base_url: http://localhost:11434",
            )
        return ctx.text(vendor.url or "http://localhost")
    base = ctx.text(config.base_url, "base_url")
    if references(base):
        return base
    try:
        split(config.base_url)
    except BadUrl as error:
        ctx.error("invalid-base-url", f"the base_url {config.base_url} cannot be used: {error}", "base_url")
        return ("http://localhost",)
    return base


def _key(config: ProviderConfig, vendor: Vendor, ctx: CompileContext) -> Text:
    if config.passthrough_auth:
        if config.access_key:
            ctx.warning(
                "unused-access-key",
                "access_key is not used, because passthrough_auth sends the client's own key",
                "access_key",
                fix="remove one of the two",
            )
        return ()
    if config.access_key:
        return ctx.text(config.access_key, "access_key", secret=True)
    if not vendor.key_optional and not config.base_url and not config.headers:
        ctx.warning(
            "no-access-key",
            f"{config.name} has no access_key, so {vendor.url.removeprefix('https://')} will refuse its requests",
            "model",
            fix="add access_key: $YOUR_KEY, or passthrough_auth: true",
        )
    return ()


def _header(name: str, value: str, ctx: CompileContext) -> tuple[str, Text]:
    lower = name.lower()
    if not _NAME.fullmatch(name):
        ctx.error("invalid-header", f"{name!r} is not a header name", "headers", name)
    elif lower in _OURS:
        fix = "use http_host" if lower == "host" else "remove it"
        ctx.error("reserved-header", f"the header {name} belongs to the connection", "headers", name, fix=fix)
    if not _VALUE.fullmatch(value):
        ctx.error(
            "invalid-header",
            f"the value of the header {name} holds a line break or characters that HTTP cannot carry",
            "headers",
            name,
        )
    return lower, ctx.text(value, "headers", name, secret=_may_hold_key(lower))


def _may_hold_key(name: str) -> bool:
    return not _SECRET_WORDS.isdisjoint(name.split("-"))


def _run_time_prefix(ctx: RunContext, compiled: Compiled) -> str | None:
    url = ctx.text(compiled.base)
    try:
        return split(url).prefix
    except BadUrl as error:
        raise ArchflowError(f"the base_url of {ctx.name} cannot be used: {error}") from error


def clean(ctx: RunContext, what: str, value: str) -> str:
    """A header value from the environment; the newline that ends so many files of secrets is dropped."""
    value = value.strip()
    if not _VALUE.fullmatch(value):
        raise ArchflowError(
            f"the value for {what} of {ctx.name} holds a line break or characters that HTTP cannot carry: "
            "look at the variable that it comes from"
        )
    return value
