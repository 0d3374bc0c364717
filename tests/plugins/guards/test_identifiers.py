"""What is told to be personal data, where it ends, and what only looks like it."""

import pytest

from archflow_plugins.guards.identifiers import NAMES, USUAL, find

REAL = [
    ("email", "a.b+c@mail.example.co.uk"),
    ("email", "x@y.io"),
    ("phone", "+44 20 7946 0958"),
    ("phone", "(212) 555-0187"),
    ("phone", "+49 (0)30 901820"),
    ("iban", "DE89 3704 0044 0532 0130 00"),
    ("iban", "GB82WEST12345698765432"),
    ("iban", "fr1420041010050500013m02606"),
    ("iban", "NO93 8601 1117 947"),
    ("card", "4111 1111 1111 1111"),
    ("card", "4111111111111111"),
    ("card", "5500-0000-0000-0004"),
    ("card", "378282246310005"),
    ("card", "30569309025904"),
    ("card", "6011 1111 1111 1117"),
    ("ip", "192.168.0.1"),
    ("ip", "2001:db8::1"),
    ("ip", "::ffff:10.0.0.1"),
    ("us_ssn", "123-45-6789"),
    ("uk_nino", "AB 12 34 56 C"),
    ("es_dni", "12345678Z"),
    ("es_dni", "X-1234567-L"),
    ("fr_nir", "2 55 08 14 168 025 38"),
    ("it_codice_fiscale", "RSSMRA85T10A562S"),
    ("de_tax_id", "86 095 742 719"),
    ("nl_bsn", "111222333"),
]
ONLY_ALIKE = [
    "order 1234567890123456", "4111 1111 1111 1112", "12:30:45", "version 1.2.3", "1.2.3.4.5", "999.1.1.1",
    "std::vector", "a::b", "DE00 3704 0044 0532 0130 00", "XX89 3704 0044 0532 0130 00", "000-12-3456", "666-12-3456",
    "123-00-4567",
    "2026-11-25 12:00", "a@b", "12345678A", "X1234567A", "RSSMRA85T10A562T", "GB 12 34 56 C", "255081416802539",
    "1,234,567.89", "+1 and +2", "$ 100 200 300", "86095742718", "111222334", "2550 8141 6802 5380",
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), REAL)
@pytest.mark.parametrize("around", ["{}", "it is {}, I think", "({})\n", "42 <{}> AND MORE"])
def test_what_is_found_and_where(name, text, around):
    whole = around.format(text)
    assert [whole[one.start : one.end] for one in find(whole, (name,))] == [text]


@pytest.mark.parametrize("text", ONLY_ALIKE)
def test_what_only_looks_like_it(text):
    assert list(find(text, NAMES)) == []


def test_a_card_is_found_among_other_groups():
    text = "12 34 4111 1111 1111 1111 12 27 5500000000000004"
    assert [text[one.start : one.end] for one in find(text, ("card",))] == [
        "4111 1111 1111 1111",
        "5500000000000004",
    ]


def test_an_iban_ends_where_its_country_says():
    text = "GB82 WEST 1234 5698 7654 32 99 BOTTLES"
    assert [text[one.start : one.end] for one in find(text, ("iban",))] == ["GB82 WEST 1234 5698 7654 32"]


def test_bare_digits_are_not_looked_for_unless_asked():
    assert set(NAMES) - set(USUAL) == {"de_tax_id", "nl_bsn"}


@pytest.mark.parametrize(
    "piece",
    ["a@", "1 ", "4", "a.", "DE12", ":", "+1", "4 ", "x@a.a.", "a", "(212) 555-", "de12 ", "1:", "1."],
)
def test_long_nonsense_is_read_all_the_same(piece):
    text = piece * 20_000 + " mail x@y.io"
    assert [text[one.start : one.end] for one in find(text, ("email", *NAMES))].count("x@y.io") == 2
