"""Azure OpenAI: the deployment is in the path, the API's version in the query, the key in `api-key`.

Source: Azure OpenAI data-plane reference; the version is the one that Arch uses.
"""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import quote

from archflow_plugins.providers.openai_compatible import HttpProvider
from archflow_plugins.providers.table import ENDS

API_VERSION = "2025-01-01-preview"


class AzureOpenAI(HttpProvider):
    """Azure OpenAI; the model id is the name of the deployment."""

    kind = "provider.azure_openai"
    vendors: ClassVar[tuple[str, ...]] = ("azure_openai",)

    def path(self, dialect: str, model: str) -> str:
        return f"{self.prefix}/{quote(model, safe='')}{ENDS[dialect]}?api-version={API_VERSION}"
