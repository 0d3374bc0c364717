"""Signature Version 4, held against Amazon's own signer."""

from datetime import UTC, datetime
from unittest import mock
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as TheirCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from archflow_plugins.providers.sigv4 import Credentials, Signer

NOW = datetime(2026, 11, 25, 16, 5, 9, tzinfo=UTC)
WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


def theirs(credentials, *, region, service, path, headers, body, now=NOW):
    request = AWSRequest(
        "POST",
        f"https://{headers['host']}{path}",
        headers={**headers, "x-amz-date": "overwritten"},
        data=body,
    )
    signer = botocore.auth.SigV4Auth(
        TheirCredentials(credentials.access_key, credentials.secret_key, credentials.token or None),
        service,
        region,
    )
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=now):
        signer.add_auth(request)
    return {
        name: request.headers[name]
        for name in ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")
        if name in request.headers
    }


def check(credentials, *, region="us-east-1", service="bedrock", now=NOW, **request):
    added = Signer(region, service).sign(credentials, method="POST", now=now, **request)
    expected = theirs(credentials, region=region, service=service, now=now, **request)
    assert added == {name.lower(): value for name, value in expected.items()}


@pytest.mark.parametrize(
    "model",
    [
        "amazon.nova-pro-v1:0",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6",
        "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0",
        "a b/c+d=é%20~_-.",
    ],
)
@pytest.mark.parametrize("token", ["", "a-session-token//with+signs=="])
def test_the_paths_of_models(model, token):
    check(
        Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", token),
        path=f"/model/{quote(model, safe='-_.~')}/converse-stream",
        headers={"host": "bedrock-runtime.us-east-1.amazonaws.com", "content-type": "application/json"},
        body=b'{"messages":[]}',
    )


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/a//b",
        "/a/./b/../c/",
        "/a/..",
        "/..",
        "/a/../..",
        "//",
        "/a?b=2&a=1&b=1&c",
        "/a?x=%2F&x=",
        "/?",
        "/%2e%2E/x",
    ],
)
def test_paths_and_queries(path):
    check(Credentials("AK", "SK"), path=path, headers={"host": "example.com"}, body=b"")


@settings(max_examples=150)
@given(
    secret=WORDS,
    token=st.just("") | WORDS,
    segments=st.lists(st.text(max_size=12), max_size=4),
    query=st.lists(st.tuples(st.text(max_size=6), st.text(max_size=6)), max_size=4),
    headers=st.dictionaries(
        st.from_regex(r"x-[a-z]{1,8}", fullmatch=True),
        st.from_regex(r"[a-z ]{0,12}", fullmatch=True),
        max_size=3,
    ),
    body=st.binary(max_size=300),
    region=st.sampled_from(["us-east-1", "eu-central-2", "us-gov-west-1"]),
    now=st.integers(946684800, 4070908800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
)
def test_any_request(secret, token, segments, query, headers, body, region, now):
    path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    if query:
        path += "?" + "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
    check(
        Credentials("AKID", secret, token),
        region=region,
        path=path,
        headers={**headers, "host": "h.example"},
        body=body,
        now=now,
    )


def test_a_day_s_key_is_made_once_and_anew_for_another_day_or_secret():
    signer = Signer("us-east-1", "bedrock")

    def sign(secret, now):
        return signer.sign(
            Credentials("AK", secret), method="POST", path="/", headers={"host": "h"}, body=b"", now=now
        )["authorization"]

    first = sign("one", NOW)
    assert sign("two", NOW) != first
    assert sign("one", NOW.replace(day=26)) != first
    assert sign("one", NOW) == first
