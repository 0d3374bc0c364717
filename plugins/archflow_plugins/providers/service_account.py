"""Tokens for one of Google's service accounts: an assertion signed by its key, exchanged for a token of an hour.

Source: RFC 7523 and Google's "Using OAuth 2.0 for Server to Server Applications", 2026-11.

Rule: the key signs and goes nowhere; neither it nor a token is ever in an error or a log line.
Rule: only this module imports `cryptography`, and only when there is an account: it comes with `archflow[vertex]`.
"""

from __future__ import annotations

import base64
import math
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from archflow_plugins.contexts import RunContext
from archflow_schema.errors import ArchflowError, UpstreamError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LIFETIME = 3600
"""Seconds for which a token is asked; Google gives no longer ones."""
MARGIN = 300
"""Seconds before its end from which a token is renewed."""
AGAIN = 10
"""Seconds after which a renewal that failed is tried again while the old token is good."""
PATIENCE = 15
"""Seconds that the exchange may take."""
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Account(Struct, frozen=True):
    """What a service account's key file tells, as far as it is used."""

    client_email: str
    private_key: str
    private_key_id: str = ""
    project_id: str = ""
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    type: str = "service_account"

    def __repr__(self) -> str:
        return f"Account({self.client_email})"


class _Token(Struct):
    access_token: str
    expires_in: float = LIFETIME


class _Problem(Struct):
    error: str = ""
    error_description: str = ""


def read(name: str, text: str) -> Account:
    """The account of a key file's text; `name` says whose it is.

    Raises:
        ArchflowError: it is none.
    """
    try:
        account = msgspec.json.decode(text, type=Account)
    except (msgspec.DecodeError, RecursionError) as error:
        # a DecodeError tells where, and quotes nothing
        raise ArchflowError(f"the service account of {name} is not understood: {error}") from None
    if account.type != "service_account":
        raise ArchflowError(
            f"the key file of {name} is of the type '{account.type[:40]}': create a key for a service account"
        )
    return account


class Tokens:
    """The current token of an account, and how it is renewed."""

    def __init__(self, account: Account, ctx: RunContext) -> None:
        import trio

        self._account = account
        self._ctx = ctx
        self._key = _private_key(account, ctx.name)
        self._lock = trio.Lock()
        self._token = ""
        self._ends = -math.inf
        self._due = -math.inf

    @property
    def stale(self) -> bool:
        """Whether it is time to renew. While somebody does, the others use what is still good."""
        now = self._ctx.clock()
        return now >= self._due and (now >= self._ends or not self._lock.locked())

    def token(self) -> str:
        """The token.

        Raises:
            UpstreamError: there is none that is good.
        """
        if self._ctx.clock() >= self._ends:
            raise UpstreamError(f"{self._ctx.name} has no token of its service account")
        return self._token

    async def renew(self) -> None:
        """Get another token. Blocks.

        Raises:
            UpstreamError: there is none, and the old one is not good any more.
        """
        async with self._lock:
            if self._ctx.clock() < self._due:
                return  # somebody else got it meanwhile
            try:
                found = await self._exchange()
            except UpstreamError as error:
                now = self._ctx.clock()
                self._ctx.log("token_not_renewed", account=self._account.client_email, error=str(error))
                if now >= self._ends:
                    raise
                self._due = now + AGAIN
                return
            now = self._ctx.clock()
            self._token = found.access_token
            self._ends = now + found.expires_in
            self._due = max(self._ends - MARGIN, now + found.expires_in / 2)

    async def _exchange(self) -> _Token:
        account, key = self._account, self._key
        now = int(time.time())
        assertion = await self._ctx.offload(lambda: signed(account, key, now))
        body = urlencode({"grant_type": _GRANT, "assertion": assertion}).encode()
        headers = (("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json"))
        answered = await self._ctx.fetch(
            "POST", account.token_uri, headers=headers, body=body, timeout=PATIENCE
        )
        if answered.status != 200:
            raise UpstreamError(
                f"no token for {self._ctx.name}: its token endpoint answered {answered.status}{_reason(answered.body)}"
            )
        try:
            return msgspec.json.decode(answered.body, type=_Token)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamError(
                f"no token for {self._ctx.name}: what its token endpoint answered is not understood"
            ) from None


def signed(account: Account, key: RSAPrivateKey, now: int) -> str:
    """The assertion: a JSON Web Token that says who asks, for what, and until when (RFC 7519, RS256). Slow: about a
    millisecond.
    """
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    head = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": now,
        "exp": now + LIFETIME,
    }
    said = b".".join(_base64(msgspec.json.encode(part)) for part in (head, claims))
    return b".".join((said, _base64(key.sign(said, PKCS1v15(), SHA256())))).decode("ascii")


def _private_key(account: Account, name: str) -> RSAPrivateKey:
    try:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise ArchflowError(
            f"{name} signs with a service account, which needs `pip install 'archflow[vertex]'`"
        ) from error
    try:
        key = load_pem_private_key(account.private_key.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    except Exception as error:  # what else the library raises for a key of a kind that it does not know
        raise ArchflowError(f"the private_key of {account.client_email} cannot be used") from error
    if not isinstance(key, RSAPrivateKey):
        raise ArchflowError(f"the private_key of {account.client_email} is not an RSA key in PEM")
    return key


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _reason(body: bytes) -> str:
    try:
        found = msgspec.json.decode(body, type=_Problem)
    except (msgspec.DecodeError, RecursionError):
        return ""
    said = ": ".join(word for word in (found.error, found.error_description) if word)
    return f": {said[:300]}" if said else ""
