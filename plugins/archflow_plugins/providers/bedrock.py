"""Amazon Bedrock: Converse, asked with an API key or with AWS credentials.

`access_key` decides: an API key is sent as a bearer token; `key id:secret` or `key id:secret:session token` signs every
request; without it, the AWS credential chain says which of the two. Without `base_url`, `AWS_REGION` says where.

Source: Amazon Bedrock User Guide ("Bedrock API keys", "Endpoints") and botocore's model of bedrock-runtime, 2026-11.

Rule: the model's id is one segment of the path, whatever is in it: ARNs hold `:` and `/`.
Rule: a signature covers host, time and body; the engine's other headers are not signed, so they may change on the way.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import ClassVar, Self
from urllib.parse import quote, urlsplit

from msgspec import Struct

from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.kinds import ProviderConfig, UpstreamRequest
from archflow_plugins.providers import openai_compatible
from archflow_plugins.providers.aws_credentials import Kept, find, read_profile, region_of
from archflow_plugins.providers.openai_compatible import HttpProvider, auth_header
from archflow_plugins.providers.sigv4 import Credentials, Signer
from archflow_schema.errors import ArchflowError
from archflow_schema.text import Text

SERVICE = "bedrock"
"""What Bedrock's runtime is called in a signature."""
_CLIENTS = ("x-amz-security-token", "x-amz-date", "x-amz-content-sha256")
"""With what a client of Amazon's proves who it is, beside `authorization`."""
_ENDS = {False: "/converse", True: "/converse-stream"}
_REGION = re.compile(r"(?:^|\.)bedrock-runtime(?:-fips)?\.([a-z]{2,}(?:-[a-z]+)+-\d+)\.")
_KEY_ID = re.compile(r"[A-Z0-9]{16,128}")


class Compiled(openai_compatible.Compiled, frozen=True, kw_only=True):
    """What the graph keeps of Bedrock.

    Attributes:
        host: the Host header, if it is not that of the address; it is signed.
        own: whether we prove who asks; else the client does.
    """

    host: Text = ()
    own: bool = True


class Bedrock(HttpProvider):
    """Amazon Bedrock; the model id may be a model's, an inference profile's, or an ARN."""

    kind = "provider.bedrock"
    vendors: ClassVar[tuple[str, ...]] = ("amazon_bedrock",)
    compiled: ClassVar[type[Struct] | None] = Compiled

    @classmethod
    def compile(cls, config: ProviderConfig, ctx: CompileContext) -> Compiled:
        found = super().compile(config, ctx)
        return Compiled(
            vendor=found.vendor,
            base=found.base,
            key=found.key,
            headers=found.headers,
            host=ctx.text(config.http_host, "http_host"),
            own=not config.passthrough_auth,
        )

    @classmethod
    async def open(cls, compiled: Compiled, ctx: RunContext) -> Self:
        provider = cls(compiled, ctx)
        if compiled.own:
            await provider._prove()
        return provider

    def __init__(self, compiled: Compiled, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._host = ctx.text(compiled.host) or _authority(ctx.text(compiled.base))
        self._given = bool(compiled.key)
        self._signer: Signer | None = None
        self._credentials: Credentials | None = None
        self._kept: Kept | None = None

    async def _prove(self) -> None:
        """Find out how to prove who asks."""
        if self._given and ":" not in self.key:
            if not self.key:
                raise ArchflowError(
                    f"the access_key of {self.ctx.name} is empty: set the variable that it names, or leave access_key "
                    "out for the AWS credential chain"
                )
            return
        environment = dict(os.environ)
        profile = await self.ctx.offload(lambda: read_profile(environment))
        if self._given:
            self._credentials = _given(self.key, self.ctx.name)
        else:
            found = await self.ctx.offload(lambda: find(environment, profile, self.ctx.name))
            self.key = found.api_key.strip()
            self._credentials = found.credentials
            if found.credentials is not None and found.renew is not None:
                self._kept = Kept(self.ctx, found.credentials, found.renew)
        if self._credentials is not None:
            self.key = ""
            self.static = False
            self._signer = Signer(self._region(region_of(environment, profile)), SERVICE)

    def _region(self, told: str) -> str:
        """The region to sign for: that of the address, or the one that the environment tells."""
        base = self.ctx.text(self.settings.base)
        found = _REGION.search(urlsplit(base).hostname or "")
        region = found[1] if found is not None else told
        if not region:
            raise ArchflowError(
                f"the region of {self.ctx.name} is not known: set AWS_REGION, or a base_url that names it, such as "
                "https://bedrock-runtime.us-east-1.amazonaws.com"
            )
        return region

    async def close(self) -> None:
        if self._kept is not None:
            self._kept.close()

    def request(self, dialect: str, model: str, *, stream: bool, body: bytes = b"") -> UpstreamRequest:
        path = f"{self.prefix}/model/{_segment(model)}{_ENDS[stream]}"
        if self._signer is None:
            headers = self.own_headers(dialect)
        else:
            credentials = self._kept.now if self._kept is not None else self._credentials
            assert credentials is not None  # noqa: S101 - set together with the signer
            headers = self._signer.sign(
                credentials,
                method="POST",
                path=path,
                headers={"host": self._host},
                body=body,
                now=datetime.now(UTC),
            )
        return UpstreamRequest(path, tuple({**headers, **self._headers}.items()), without=_CLIENTS)

    def credentials(self, dialect: str, key: str) -> tuple[tuple[str, str], ...]:
        return tuple(auth_header("bearer", key).items())


def _segment(model: str) -> str:
    quoted = quote(model, safe="-_.~")
    return quoted.replace(".", "%2E") if not quoted.strip(".") else quoted


def _authority(base: str) -> str:
    """The Host header that the engine sends for an address."""
    parts = urlsplit(base)
    host = parts.hostname or ""
    bare = f"[{host}]" if ":" in host else host
    default = 443 if parts.scheme == "https" else 80
    return bare if parts.port in {None, default} else f"{bare}:{parts.port}"


def _given(key: str, name: str) -> Credentials:
    """Credentials from an `access_key` with colons in it."""
    parts = [part.strip() for part in key.split(":")]
    if len(parts) not in {2, 3} or not _KEY_ID.fullmatch(parts[0]) or not all(parts):
        raise ArchflowError(
            f"the access_key of {name} is neither an API key nor of the form key id:secret[:session token]: write "
            "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"
        )
    return Credentials(*parts)
