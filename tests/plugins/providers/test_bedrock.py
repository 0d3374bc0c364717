"""Bedrock: where it is asked, and how requests prove who asks."""

import re
from datetime import UTC, datetime
from unittest import mock
from urllib.parse import urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as TheirCredentials
from botocore.session import Session

from archflow_plugins.kinds import ProviderConfig
from archflow_plugins.providers.bedrock import Bedrock
from archflow_plugins.testing import compile_context, run_context
from archflow_schema.diagnostic import Report
from archflow_schema.errors import ArchflowError
from archflow_schema.text import Env

pytestmark = pytest.mark.trio

KEY_ID, SECRET, TOKEN = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "token//=="
SIGNED = "$ID:$SECRET"
VALUES = {"ID": KEY_ID, "SECRET": SECRET, "TOKEN": TOKEN, "KEY": "ABSKexample", "AWS_REGION": "eu-west-1"}
MODEL = (
    "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
)
AWS = ("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
       "AWS_REGION", "AWS_DEFAULT_REGION")  # fmt: skip


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """A process that has no AWS credentials."""
    for name in AWS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def compiled(report=None, **fields):
    config = ProviderConfig(name="bedrock", vendor="amazon_bedrock", model_id="m", **fields)
    return Bedrock.compile(config, compile_context("bedrock", report))


async def live(environment=None, **fields) -> Bedrock:
    return await Bedrock.open(compiled(**fields), run_context("bedrock", environment=environment or VALUES))


async def test_an_api_key():
    provider = await live(access_key="$KEY")
    assert provider.static
    assert provider.dialects(provider.settings) == ("bedrock_converse",)
    assert provider.url(provider.settings) == (
        "https://bedrock-runtime.",
        Env("AWS_REGION"),
        ".amazonaws.com",
    )
    request = provider.request("bedrock_converse", "amazon.nova-pro-v1:0", stream=False)
    assert request.path == "/model/amazon.nova-pro-v1%3A0/converse"
    assert request.headers == (("authorization", "Bearer ABSKexample"),)
    streamed = provider.request("bedrock_converse", "amazon.nova-pro-v1:0", stream=True)
    assert streamed.path == "/model/amazon.nova-pro-v1%3A0/converse-stream"


@pytest.mark.parametrize(
    ("base_url", "path"),
    [("https://proxy.test", "/model/m/converse"), ("https://proxy.test/aws/", "/aws/model/m/converse")],
)
async def test_a_base_url(base_url, path):
    provider = await live(access_key="$KEY", base_url=base_url)
    assert provider.request("bedrock_converse", "m", stream=False).path == path


@pytest.mark.parametrize(
    ("model", "segment"),
    [
        (MODEL, MODEL.replace(":", "%3A").replace("/", "%2F")),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("../x", "..%2Fx"),
        ("a?b#c\r\n é", "a%3Fb%23c%0D%0A%20%C3%A9"),
    ],
)
async def test_a_model_is_one_segment(model, segment):
    provider = await live(access_key="$KEY")
    assert provider.request("bedrock_converse", model, stream=False).path == f"/model/{segment}/converse"


@pytest.mark.parametrize(
    "base_url", ["", "https://bedrock-runtime.eu-west-1.amazonaws.com", "http://127.0.0.1:8088"]
)
@pytest.mark.parametrize("token", ["", ":$TOKEN"])
@pytest.mark.parametrize("host", ["", "vpc.internal"])
async def test_a_signature_is_that_of_amazons_own_client(base_url, token, host, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    provider = await live(access_key=SIGNED + token, base_url=base_url, http_host=host)
    assert not provider.static
    body = b'{"messages":[]}'
    request = provider.request("bedrock_converse", MODEL, stream=True, body=body)
    sent = dict(request.headers)
    base = base_url or "https://bedrock-runtime.eu-west-1.amazonaws.com"
    theirs = AWSRequest("POST", base + request.path, data=body)
    if host:
        theirs.headers["host"] = host
    now = datetime.strptime(sent["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=now):
        credentials = TheirCredentials(KEY_ID, SECRET, TOKEN if token else None)
        botocore.auth.SigV4Auth(credentials, "bedrock", "eu-west-1").add_auth(theirs)
    assert sent["authorization"] == theirs.headers["Authorization"]
    assert ("x-amz-security-token" in sent) == bool(token)


@pytest.mark.parametrize("operation", ["Converse", "ConverseStream"])
async def test_the_path_is_that_of_amazons_own_client(operation):
    client = Session().create_client(
        "bedrock-runtime", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    seen = []

    def stop(request, **_):
        seen.append(request.url)
        raise InterruptedError

    client.meta.events.register("before-send.bedrock-runtime", stop)
    name = re.sub("(?<!^)([A-Z])", r"_\1", operation).lower()
    with pytest.raises(InterruptedError):
        getattr(client, name)(modelId=MODEL, messages=[{"role": "user", "content": [{"text": "hi"}]}])
    provider = await live(access_key="$KEY")
    ours = provider.request("bedrock_converse", MODEL, stream=operation == "ConverseStream").path
    assert urlsplit(seen[0]).path == ours


async def test_no_access_key_means_the_chain(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    report = Report()
    compiled(report)
    assert list(report) == []
    provider = await live()
    headers = dict(provider.request("bedrock_converse", "m", stream=False, body=b"{}").headers)
    assert f"Credential={KEY_ID}/" in headers["authorization"]
    assert "/eu-west-1/bedrock/aws4_request" in headers["authorization"]
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "ABSKother\n")
    provider = await live()
    assert provider.static
    assert provider.request("bedrock_converse", "m", stream=False).headers == (
        ("authorization", "Bearer ABSKother"),
    )


async def test_passthrough_proves_nothing_itself():
    provider = await live(passthrough_auth=True)
    assert provider.static
    assert provider.request("bedrock_converse", "m", stream=False).headers == ()
    assert provider.credentials("bedrock_converse", "k") == (("authorization", "Bearer k"),)


@pytest.mark.parametrize(
    ("base_url", "region"),
    [
        ("https://bedrock-runtime.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("https://bedrock-runtime-fips.us-east-2.amazonaws.com", "us-east-2"),
        ("https://bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("https://bedrock-runtime.ap-south-1.api.aws", "ap-south-1"),
        ("https://vpce-0a1b.bedrock-runtime.eu-north-1.vpce.amazonaws.com", "eu-north-1"),
        ("https://proxy.test", "sa-east-1"),
    ],
)
async def test_the_region_that_is_signed_for(base_url, region, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "sa-east-1")
    provider = await live(access_key=SIGNED, base_url=base_url)
    headers = dict(provider.request("bedrock_converse", "m", stream=False).headers)
    assert f"/{region}/bedrock/" in headers["authorization"]


@pytest.mark.parametrize(
    ("fields", "environment", "why"),
    [
        (
            {"access_key": SIGNED, "base_url": "https://proxy.test"},
            {},
            "region of bedrock is not known: set AWS_REGION",
        ),
        ({"access_key": "$KEY"}, {"KEY": ""}, "access_key of bedrock is empty"),
        ({"access_key": "$KEY"}, {"KEY": "a:b"}, r"neither an API key nor of the form key id:secret"),
        ({"access_key": "$KEY"}, {"KEY": f"{KEY_ID}:"}, r"neither an API key nor of the form"),
        ({"access_key": "$KEY"}, {"KEY": f"{KEY_ID}:s:t:u"}, r"neither an API key nor of the form"),
        ({}, {}, "bedrock has no AWS credentials"),
    ],
)
async def test_what_is_missing_is_said_at_the_start(fields, environment, why):
    with pytest.raises(ArchflowError, match=why):
        await live({**VALUES, **environment}, **fields)


async def test_a_secret_that_is_refused_is_not_shown():
    with pytest.raises(ArchflowError) as raised:
        await live({**VALUES, "KEY": "canary:canary"}, access_key="$KEY")
    assert "canary" not in str(raised.value)


async def test_configured_headers_win():
    provider = await live(access_key="$KEY", headers=(("x-team", "blue"), ("Authorization", "Basic x")))
    assert provider.request("bedrock_converse", "m", stream=False).headers == (
        ("authorization", "Basic x"),
        ("x-team", "blue"),
    )
