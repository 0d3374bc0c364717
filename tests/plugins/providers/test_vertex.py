"""Vertex AI: project and location in the path, and whose key opens them."""

import pytest
from msgspec import json

from archflow_plugins.kinds import ProviderConfig, UpstreamRequest
from archflow_plugins.providers.vertex import Vertex
from archflow_plugins.testing import compile_context, run_context
from archflow_schema.diagnostic import Report
from archflow_schema.errors import ArchflowError, UpstreamError
from service_accounts import account

HEADERS = (("authorization", "Bearer token-1"),)


def compiled(report=None, **fields):
    config = ProviderConfig(name="v", vendor="vertex_ai", **{"access_key": "$KEY", **fields})
    return Vertex.compile(config, compile_context(report=report))


def live(key="", fetch=None, clock=None, **fields):
    return Vertex(compiled(**fields), run_context("v", environment={"KEY": key}, fetch=fetch, clock=clock))


async def exchange(method, url, headers, body, timeout):
    from archflow_plugins.contexts import Answered

    assert (method, url) == ("POST", "http://tokens.test/token")
    return Answered(
        200, "application/json", (), b'{"access_token":"token-1","expires_in":3599,"token_type":"Bearer"}'
    )


@pytest.mark.parametrize(
    ("base_url", "place"),
    [
        ("", "/v1/projects/my-project/locations/global"),
        ("https://europe-west4-aiplatform.googleapis.com", "/v1/projects/my-project/locations/europe-west4"),
        ("https://aiplatform.eu.rep.googleapis.com/", "/v1/projects/my-project/locations/eu"),
        ("http://box:1/v1/projects/p/locations/l", "/v1/projects/p/locations/l"),
    ],
)
@pytest.mark.trio
async def test_a_service_account(base_url, place):
    provider = live(account(), exchange, base_url=base_url)
    assert provider.stale
    with pytest.raises(UpstreamError, match="v has no token"):
        provider.request("gemini", "m", stream=False)
    await provider.renew()
    assert not provider.stale
    models = f"{place}/publishers/google/models"
    assert provider.request("gemini", "gemini-2.5-pro", stream=True) == UpstreamRequest(
        f"{models}/gemini-2.5-pro:streamGenerateContent", HEADERS, "alt=sse"
    )
    assert provider.request("gemini", "m", stream=False) == UpstreamRequest(
        f"{models}/m:generateContent", HEADERS
    )


@pytest.mark.trio
async def test_a_service_account_in_a_file(tmp_path):
    path = tmp_path / "account.json"
    path.write_text(account(), encoding="utf-8")
    report = Report()
    config = compiled(report, access_key=str(path))
    assert len(report) == 0
    provider = Vertex(config, run_context("v", fetch=exchange))
    await provider.renew()
    assert provider.request("gemini", "m", stream=False).headers == HEADERS
    provider = live(str(path), exchange)  # the environment may name it too
    assert provider.stale


def test_an_api_key():
    provider = live("AIza-key")
    assert provider.request("gemini", "m", stream=False) == UpstreamRequest(
        "/v1/publishers/google/models/m:generateContent", (("x-goog-api-key", "AIza-key"),)
    )
    assert not provider.stale


def test_a_clients_own_token():
    provider = live(access_key="", passthrough_auth=True, base_url="http://box:1/v1/projects/p/locations/l")
    request = provider.request("gemini", "m", stream=False)
    assert request == UpstreamRequest(
        "/v1/projects/p/locations/l/publishers/google/models/m:generateContent", ()
    )
    assert provider.credentials("gemini", "ya29") == (("authorization", "Bearer ya29"),)


@pytest.mark.trio
async def test_configured_headers_go_along():
    provider = live(account(), exchange, headers=(("X-Goog-User-Project", "billed"),))
    await provider.renew()
    assert provider.request("gemini", "m", stream=False).headers == (
        *HEADERS,
        ("x-goog-user-project", "billed"),
    )


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("", "names no project"),
        ("/nowhere/account.json", "cannot be read from /nowhere/account.json"),
        ("{", "is not understood"),
        ('{"type":"service_account"}', "is not understood.*client_email"),
        (
            json.encode({**json.decode(account()), "type": "authorized_user"}).decode(),
            "of the type 'authorized_user'",
        ),
        (json.encode({**json.decode(account()), "private_key": "x"}).decode(), "not an RSA key"),
    ],
)
def test_what_is_wrong_is_said_when_it_opens(key, complaint):
    with pytest.raises(ArchflowError, match=complaint) as caught:
        live(key)
    assert "BEGIN" not in str(caught.value)


def test_a_literal_account_is_kept_out_of_the_graph_like_any_key():
    texts = []

    def secret(raw, path):
        texts.append(raw)
        return ()

    context = compile_context()
    context._secret = secret
    Vertex.compile(ProviderConfig(name="v", vendor="vertex_ai", access_key=account()), context)
    assert texts == [account()]
