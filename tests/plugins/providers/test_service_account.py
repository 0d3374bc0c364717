"""Tokens of a service account: what is signed, when they are renewed, what a failure does."""

import base64
import builtins
from urllib.parse import parse_qs

import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from msgspec import json

from archflow_plugins.contexts import Answered
from archflow_plugins.providers.service_account import SCOPE, Tokens, read, signed
from archflow_plugins.testing import run_context
from archflow_schema.errors import ArchflowError, UpstreamError, UpstreamTimeout
from service_accounts import EMAIL, account, key


class Stand:
    """A token endpoint, and a clock."""

    def __init__(self):
        self.now = 1000.0
        self.asked = []
        self.answer = None
        self.lines = []
        self.gate = None
        self.tokens = Tokens(read("v", account()), self.context())

    def context(self):
        return run_context(
            "v",
            clock=lambda: self.now,
            fetch=self.fetch,
            log=lambda event, **fields: self.lines.append((event, fields)),
        )

    async def fetch(self, method, url, headers, body, timeout):
        self.asked.append(parse_qs(body.decode()))
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return Answered(*self.answer[:1], "application/json", (), self.answer[1])
        number = len(self.asked)
        return Answered(200, "application/json", (), b'{"access_token":"t%d","expires_in":3600}' % number)


@pytest.fixture
def stand():
    return Stand()


def part(text):
    return json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def test_the_assertion():
    said = signed(read("v", account()), key(), 1000)
    head, claims, signature = said.split(".")
    assert part(head) == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
    assert part(claims) == {
        "iss": EMAIL,
        "scope": SCOPE,
        "aud": "http://tokens.test/token",
        "iat": 1000,
        "exp": 4600,
    }
    proof = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    key().public_key().verify(proof, f"{head}.{claims}".encode(), PKCS1v15(), SHA256())


def test_googles_own_library_would_say_the_same():
    from google.auth import crypt, jwt

    info = json.decode(account())
    signer = crypt.RSASigner.from_service_account_info(info)
    claims = {"iss": EMAIL, "scope": SCOPE, "aud": info["token_uri"], "iat": 1000, "exp": 4600}
    theirs = jwt.encode(signer, claims).decode().split(".")
    ours = signed(read("v", account()), key(), 1000).split(".")
    assert [part(one) for one in theirs[:2]] == [part(one) for one in ours[:2]]


@pytest.mark.trio
async def test_a_token_lives_for_an_hour_less_a_margin(stand):
    await stand.tokens.renew()
    (asked,) = stand.asked
    assert asked["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assert (stand.tokens.token(), stand.tokens.stale) == ("t1", False)
    stand.now += 3299
    assert not stand.tokens.stale
    stand.now += 1
    assert stand.tokens.stale
    assert stand.tokens.token() == "t1"
    await stand.tokens.renew()
    assert (stand.tokens.token(), stand.tokens.stale, len(stand.asked)) == ("t2", False, 2)


@pytest.mark.trio
async def test_many_that_wait_ask_once(stand):
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(stand.tokens.renew)
    assert (len(stand.asked), stand.tokens.token()) == (1, "t1")


@pytest.mark.trio
async def test_while_one_renews_the_others_go_on(stand):
    await stand.tokens.renew()
    stand.now += 3500
    stand.gate = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stand.tokens.renew)
        while len(stand.asked) < 2:
            await trio.sleep(0.001)
        assert not stand.tokens.stale
        stand.now += 200
        assert stand.tokens.stale
        stand.gate.set()


@pytest.mark.trio
async def test_a_failure_costs_nothing_while_the_old_token_is_good(stand):
    await stand.tokens.renew()
    stand.now += 3400
    stand.answer = UpstreamTimeout("late")
    await stand.tokens.renew()
    assert (stand.tokens.token(), stand.tokens.stale) == ("t1", False)
    assert stand.lines == [("token_not_renewed", {"account": EMAIL, "error": "late"})]
    stand.now += 10
    assert stand.tokens.stale
    stand.now += 200
    with pytest.raises(UpstreamTimeout):
        await stand.tokens.renew()
    with pytest.raises(UpstreamError, match="v has no token"):
        stand.tokens.token()
    stand.answer = None
    await stand.tokens.renew()
    assert stand.tokens.token() == "t4"


@pytest.mark.parametrize(
    ("status", "body", "complaint"),
    [
        (
            400,
            b'{"error":"invalid_grant","error_description":"Invalid JWT Signature."}',
            "answered 400: invalid_grant: Invalid JWT Signature.",
        ),
        (503, b"<html>", "answered 503$"),
        (200, b"{}", "is not understood"),
        (200, b'{"access_token":3}', "is not understood"),
    ],
)
@pytest.mark.trio
async def test_an_answer_that_is_no_token(stand, status, body, complaint):
    stand.answer = (status, body)
    with pytest.raises(UpstreamError, match=complaint):
        await stand.tokens.renew()
    assert stand.tokens.stale


def test_the_library_that_signs_is_named_when_it_is_not_there(monkeypatch):
    whole = builtins.__import__

    def without(name, *rest):
        if name.startswith("cryptography"):
            raise ImportError(name)
        return whole(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ArchflowError, match=r"v signs with a service account.*archflow\[vertex\]"):
        Tokens(read("v", account()), run_context("v"))


def test_an_account_does_not_show_its_key():
    assert repr(read("v", account())) == f"Account({EMAIL})"
