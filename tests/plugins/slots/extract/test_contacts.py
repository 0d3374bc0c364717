"""E-mail addresses, URLs and telephone numbers."""

import pytest

from archflow_plugins.slots.extract.contacts import contacts


@pytest.mark.parametrize(
    ("text", "sort", "value"),
    [
        ("mail john.doe@example.com.", "email", "john.doe@example.com"),
        ("see https://example.com/a?b=c#d, please", "url", "https://example.com/a?b=c#d"),
        ("(https://example.com/x)", "url", "https://example.com/x"),
        ("https://en.wikipedia.org/wiki/A_(b)", "url", "https://en.wikipedia.org/wiki/A_(b)"),
        ("www.example.org", "url", "www.example.org"),
        ("from example.com today", "url", "example.com"),
        ("call +1 (555) 123-4567 now", "phone", "+1 (555) 123-4567"),
        ("call 555-123-4567", "phone", "555-123-4567"),
    ],
)
def test_contacts(text, sort, value):
    assert [(one.sort, one.value) for one in contacts(text)] == [(sort, value)]


@pytest.mark.parametrize("text", ["a@b", "@name", "12-34", "1,000,000", "e.g. this", ""])
def test_no_contacts(text):
    assert contacts(text) == []
