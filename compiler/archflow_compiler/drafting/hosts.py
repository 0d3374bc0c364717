"""Where the operations of an OpenAPI document are served, and with which credentials.

Rule: a key is never written: headers name variables of the environment, after the document's own schemes.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from archflow_compiler.drafting.document import Document
from archflow_compiler.drafting.naming import HOLE, plain, snake
from archflow_compiler.drafting.offer import Host
from archflow_compiler.passes.prompts import OF_THE_GATEWAY
from archflow_compiler.tree import Mapping, Node, head

UNKNOWN = "127.0.0.1:8000"
_ADDRESS = re.compile(r"[\w.-]+(?::\d+)?", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_LONGEST = 500


class Hosts:
    """The hosts of a document, each once.

    Attributes:
        found: those that operations were asked for.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._known: dict[tuple[str, str], Host] = {}

    @property
    def found(self) -> tuple[Host, ...]:
        return tuple(self._known.values())

    def of(self, operation: Mapping, item: Node | None) -> tuple[str, str]:
        """The name of an operation's host, and the path that stands before its own."""
        document = self._document
        places = (document.look(one, "servers") for one in (operation, item, document.root))
        servers = next((found for one in places if (found := document.items(one))), ())
        server = document.follow(servers[0]) if servers else None
        url, remark = self._url(server)
        protocol, address, base = _parts(url)
        if not protocol:
            protocol, address, remark = "http", UNKNOWN, "the document does not say where it runs"
        key = (protocol, address)
        if key not in self._known:
            name = "api" if not self._known else f"api{len(self._known) + 1}"
            self._known[key] = Host(name=name, address=address, protocol=protocol, remark=remark)
            if remark:
                where = head(server) if server is not None else head(document.root)
                document.notes.note("address-guessed", f"{remark}: {protocol}://{address} is written", where)
        return self._known[key].name, base

    def _url(self, server: Node | None) -> tuple[str, str]:
        """The URL of a server with its variables' defaults, and what is doubtful about it."""
        variables = self._document.look(server, "variables")
        guessed: list[str] = []

        def default(hole: re.Match[str]) -> str:
            guessed.append(hole[1])
            return self._document.text(self._document.look(variables, hole[1]), "default")

        url = HOLE.sub(default, self._document.text(server, "url")[:_LONGEST])[:_LONGEST]
        return url, f"{plain(', '.join(guessed), 80)} may differ" if guessed else ""


def _parts(url: str) -> tuple[str, str, str]:
    """Protocol, address and path of a URL; no protocol if it names no host that can be called."""
    try:
        parts = urlsplit(url)
        address = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "", "", ""
    protocol, base = parts.scheme.lower(), parts.path.rstrip("/")
    if protocol in {"http", "https"} and _ADDRESS.fullmatch(address):
        return protocol, address, base
    return "", "", base if url.startswith("/") else ""


def credentials(
    document: Document, operation: Mapping
) -> tuple[tuple[tuple[str, str], ...], list[tuple[str, Node]]]:
    """Headers with the credentials of an operation, which the environment has; and the schemes that are no header."""
    wanted = document.look(operation, "security") or document.look(document.root, "security")
    choices = document.items(wanted)
    if not choices or any(not list(document.entries(one)) for one in choices):
        return (), []
    schemes = document.look(document.look(document.root, "components"), "securitySchemes")
    found: dict[str, str] = {}
    lacking: list[tuple[str, Node]] = []
    for name, _ in document.entries(choices[0]):
        scheme = document.look(schemes, name)
        header, value = _header(document, scheme, name)
        if header:
            found[header] = value
        else:
            lacking.append((name, scheme or operation))
    return tuple(found.items()), lacking


def _header(document: Document, scheme: Node | None, name: str) -> tuple[str, str]:
    """The header of a scheme, and its value; no header if it is none."""
    variable = snake(name).upper()
    variable = variable if variable[:1].isalpha() else f"KEY_{variable}".rstrip("_")
    match document.text(scheme, "type"):
        case "apiKey":
            header = plain(document.text(scheme, "name"), 80)
            fits = _HEADER.fullmatch(header) and header.lower() not in OF_THE_GATEWAY
            return (header, f"${variable}") if fits and document.text(scheme, "in") == "header" else ("", "")
        case "http":
            basic = document.text(scheme, "scheme").lower() == "basic"
            return "Authorization", f"{'Basic' if basic else 'Bearer'} ${variable}"
        case "oauth2" | "openIdConnect":
            return "Authorization", f"Bearer ${variable}"
        case _:
            return "", ""
