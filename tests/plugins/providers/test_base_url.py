"""Taking a base_url apart."""

import pytest

from archflow_plugins.providers.base_url import BadUrl, BaseUrl, split


@pytest.mark.parametrize(
    ("url", "origin", "prefix"),
    [
        ("http://localhost:8000", "http://localhost:8000", None),
        ("http://localhost:8000/", "http://localhost:8000", None),
        ("https://host/api/v2", "https://host", "/api/v2"),
        ("https://host/api/v2/", "https://host", "/api/v2"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai", "/api/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000", "/v1"),
        ("HTTP://Host", "http://host", None),
        ("http://mistral_local", "http://mistral_local", None),
    ],
)
def test_halves(url, origin, prefix):
    assert split(url) == BaseUrl(origin, prefix)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("localhost:8000", "scheme is not http or https"),
        ("ftp://host", "scheme is not http or https"),
        ("//host", "scheme is not http or https"),
        ("", "scheme is not http or https"),
        ("http://", "names no host"),
        ("http:///v1", "names no host"),
        ("http://user:pass@host", "holds a user name"),
        ("http://host?x=1", "query or a fragment"),
        ("http://host/#a", "query or a fragment"),
        ("http://host/?", "query or a fragment"),
        ("http://host:99999", "not a URL"),
        ("http://host:x", "not a URL"),
        ("http://[::1", "not a URL"),
        ("http://ho st", "white space"),
        ("http://host/\r\nx: y", "white space"),
        ("https://host/v1/chat/completions", "ends in /chat/completions, which archflow adds"),
        ("https://host/v1/messages/", "ends in /messages"),
    ],
)
def test_what_cannot_be_used_is_explained(url, complaint):
    with pytest.raises(BadUrl, match=complaint):
        split(url)
