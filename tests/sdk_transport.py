"""An HTTP client for an official SDK that needs no network: it answers every request with the same bytes."""

import importlib
from typing import Any


def canned_client(default_client: type, status: int, content_type: str, body: bytes) -> Any:
    """A client of the SDK's own HTTP library, which is httpx or its successor httpx2, depending on the SDK's age."""
    names = [base.__module__.partition(".")[0] for base in default_client.__mro__]
    http = importlib.import_module(next(name for name in names if name.startswith("httpx")))

    def answer(_: object) -> Any:
        return http.Response(status, headers={"content-type": content_type}, content=body)

    return http.Client(transport=http.MockTransport(answer))
