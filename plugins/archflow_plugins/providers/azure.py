"""Azure OpenAI: the deployment is in the path, the API's version in the query, the key in `api-key`.

Responses are only in the newer API, which has neither: its path is `/openai/v1/responses`, and the deployment is the
request's model.

Source: Azure OpenAI data-plane reference and "Use the Azure OpenAI Responses API", 2026-11; the version is the one that
Arch uses.
"""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import quote

from archflow_plugins.providers.openai_compatible import HttpProvider
from archflow_plugins.providers.table import ENDS

API_VERSION = "2025-01-01-preview"
_DEPLOYMENTS = "/deployments"
_NEWER = frozenset({"openai_responses"})
"""Dialects that only the newer API speaks."""


class AzureOpenAI(HttpProvider):
    """Azure OpenAI; the model id is the name of the deployment."""

    kind = "provider.azure_openai"
    vendors: ClassVar[tuple[str, ...]] = ("azure_openai",)

    def path(self, dialect: str, model: str) -> str:
        if dialect in _NEWER:
            return f"{self.prefix.removesuffix(_DEPLOYMENTS).removesuffix('/v1')}/v1{ENDS[dialect]}"
        return f"{self.prefix}/{quote(model, safe='')}{ENDS[dialect]}?api-version={API_VERSION}"
