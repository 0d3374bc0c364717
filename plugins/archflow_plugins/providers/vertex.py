"""Vertex AI: Google's own dialect below a project and a location, asked by a service account or by an API key.

Source: Vertex AI's REST reference (v1, publishers.models.generateContent) and "express mode", 2026-11.

`access_key` is the JSON of a service account's key, the path of a file with it (`.json`), or an API key. The project is
the account's and the location the host's, unless `base_url` has a path of its own::

    - model: vertex_ai/gemini-2.5-flash
      base_url: https://europe-west4-aiplatform.googleapis.com
      access_key: $VERTEX_SERVICE_ACCOUNT
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import msgspec

from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.kinds import ProviderConfig, UpstreamRequest
from archflow_plugins.providers.base_url import split
from archflow_plugins.providers.gemini import native
from archflow_plugins.providers.openai_compatible import Compiled, HttpProvider, clean
from archflow_plugins.providers.service_account import Account, Tokens, read
from archflow_plugins.providers.table import Auth, Vendor
from archflow_schema.errors import ArchflowError
from archflow_schema.text import Text

_LOCATION = re.compile(r"https?://(?:([a-z0-9-]+)-aiplatform\.|aiplatform\.([a-z0-9-]+)\.rep\.)")


class Vertex(HttpProvider):
    """Vertex AI's Gemini models."""

    kind = "provider.vertex"
    vendors: ClassVar[tuple[str, ...]] = ("vertex_ai",)
    static = False

    @classmethod
    def compile_key(cls, config: ProviderConfig, vendor: Vendor, ctx: CompileContext) -> Text:
        if _is_path(config.access_key) and not config.passthrough_auth:
            return ctx.text(config.access_key, "access_key")
        return super().compile_key(config, vendor, ctx)

    def __init__(self, compiled: Compiled, ctx: RunContext) -> None:
        super().__init__(msgspec.structs.replace(compiled, key=()), ctx)
        said = ctx.text(compiled.key).strip()
        if _is_path(said):
            said = _file(ctx, said)
        account = read(ctx.name, said) if said.startswith("{") else None
        self._tokens = Tokens(account, ctx) if account is not None else None
        self.key = "" if account is not None else clean(ctx, "access_key", said)
        self._models = self._place(compiled, account)

    def _place(self, compiled: Compiled, account: Account | None) -> str:
        """The path below which the models are."""
        base = self.ctx.text(compiled.base)
        if split(base).prefix is not None:
            return f"{self.prefix}/publishers/google/models"
        if account is not None and account.project_id:
            found = _LOCATION.match(base)
            location = (found[1] or found[2]) if found else "global"
            return f"/v1/projects/{account.project_id}/locations/{location}/publishers/google/models"
        if self.key:
            return "/v1/publishers/google/models"
        raise ArchflowError(
            f"{self.ctx.name} names no project: give its base_url the path /v1/projects/PROJECT/locations/LOCATION"
        )

    @property
    def stale(self) -> bool:
        return self._tokens is not None and self._tokens.stale

    async def renew(self) -> None:
        if self._tokens is not None:
            await self._tokens.renew()

    def request(self, dialect: str, model: str, *, stream: bool, body: bytes = b"") -> UpstreamRequest:
        asked = super().request(dialect, model, stream=stream, body=body)
        headers = asked.headers
        if self._tokens is not None:
            headers = (("authorization", f"Bearer {self._tokens.token()}"), *headers)
        return native(self._models, model, headers, stream=stream)

    def path(self, dialect: str, model: str) -> str:
        return ""

    def auth(self, dialect: str) -> Auth:
        return "x-goog-api-key" if self.key else "bearer"


def _is_path(said: str) -> bool:
    return said.endswith(".json") and not said.startswith(("{", "$"))


def _file(ctx: RunContext, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ArchflowError(
            f"the service account of {ctx.name} cannot be read from {path}: {error}"
        ) from error
