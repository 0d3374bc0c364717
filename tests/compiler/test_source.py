import pytest

from archflow_compiler import source
from archflow_compiler.source import Source, decode_text, parse
from archflow_compiler.tree import find, plain
from archflow_schema.diagnostic import Report


def read(text):
    report = Report()
    return parse(Source("x.yaml", text), report), report


def codes(report):
    return [one.code for one in report]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-7", -7),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("0.6", 0.6),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.", 1.0),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("off", "off"),
        ("~", None),
        ("null", None),
        ("", None),
        ("12:30", "12:30"),
        ("127.0.0.1", "127.0.0.1"),
        ("2024-01-01", "2024-01-01"),
        ("v0.1", "v0.1"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("!!str 3", "3"),
        ("!!int '3'", 3),
        ("+", "+"),
        (".", "."),
        ("1_000", "1_000"),
        ("9" * 40, int("9" * 40)),
        ("9" * 41, "9" * 41),
        ("9" * 5000, "9" * 5000),
        ("1e999", "1e999"),
        ("|\n    two\n    lines", "two\nlines\n"),
    ],
)
def test_scalars_are_builtins_by_the_core_schema(text, value):
    root, report = read(f"a: {text}\n")
    found = root.get("a").value
    assert found == value
    assert type(found) is type(value)
    assert not list(report)


def test_ranges_of_keys_and_values_are_exact():
    root, _ = read("one: 1\ntwo:\n  - name: openai/gpt-4o\n")
    key = root.entry("two").key_range
    assert (key.line, key.column, key.end_line, key.end_column) == (2, 1, 2, 4)
    value = find(root, ("two", 0, "name")).range
    assert (value.file, value.line, value.column, value.end_column) == ("x.yaml", 3, 11, 24)


def test_columns_count_characters_not_bytes():
    root, _ = read('"ä€": ü\n')
    assert root.entries[0].key_range.end_column == 5
    assert root.entries[0].node.range.column == 7


def test_merge_keys_bring_entries_and_earlier_ones_win():
    root, report = read("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 3\n")
    assert plain(root.get("c")) == {"x": 3, "y": 1, "z": 2}
    assert not list(report)


def test_keys_that_read_as_numbers_are_their_text():
    root, _ = read("1: a\n1.50: b\ntrue: c\n")
    assert list(plain(root)) == ["1", "1.50", "true"]


def test_every_duplicate_is_reported_with_both_places():
    _, report = read("a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert codes(report) == ["duplicate-key", "duplicate-key"]
    assert [(one.range.line, one.related[0].range.line) for one in report] == [(2, 2), (3, 1)]


def test_aliases_unfold_only_so_far(monkeypatch):
    monkeypatch.setattr(source, "MAX_NODES", 100)
    text = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    root, _ = read(text + "b: [*a, *a]\n")
    assert root is not None
    root, report = read(text + "b: &b [*a, *a, *a]\nc: [*b, *b, *b, *b]\n")
    assert root is None
    assert codes(report) == ["too-many-nodes"]


@pytest.mark.parametrize("text", ["a: &x [*x]\n", "a: &x {b: *x}\n", "a: *nothing\n"])
def test_an_alias_of_what_is_not_complete_is_reported(text):
    root, report = read(text)
    assert root is None
    assert codes(report) == ["unknown-anchor"]


def test_depth_is_limited():
    root, _ = read("a: " + "[" * 60 + "]" * 60)
    assert root is not None
    root, report = read("a: " + "[" * 100_000)
    assert root is None
    assert codes(report) == ["too-deep"]


@pytest.mark.parametrize(
    "text",
    [
        "a: \x07",
        "%YAML\n---\na: 1",
        "%TAG ! \n--- !x 1",
        'a: "\\xzz"',
        "a: \ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
        "? ? ? a",
        "&a &b c: 1",
        "!<> a",
        "*a : b",
        "- - - [",
        "\x85a: 1",
        "a: |9\n x",
        "%YAML 9999999999999.1\n---\na: 1",
    ],
)
def test_malformed_text_is_a_finding_with_a_place(text):
    root, report = read(text)
    assert root is not None or report.failed
    assert all(one.range is not None for one in report)


def test_what_usually_goes_wrong_is_said_in_words():
    _, report = read("a:\n\tb: 1\n")
    (found,) = report
    assert "a tab stands" in found.summary
    assert found.fix == "indent with spaces"
    _, report = read("a: b: c\n")
    (found,) = report
    assert (found.range.line, found.range.column) == (1, 5)
    assert "mapping values are not allowed" in found.detail


def test_bytes_that_are_not_utf8_are_placed():
    report = Report()
    decode_text("x.yaml", b"a: 1\nb: x\xff\n", report)
    (found,) = report
    assert found.code == "not-utf-8"
    assert "0xff" in found.summary
    assert (found.range.line, found.range.column) == (2, 5)


def test_a_byte_order_mark_is_dropped():
    report = Report()
    assert decode_text("x.yaml", b"\xef\xbb\xbfa: 1", report).text == "a: 1"
    assert not report.failed


def test_a_huge_file_is_refused_unread(monkeypatch):
    monkeypatch.setattr(source, "MAX_BYTES", 10)
    report = Report()
    assert decode_text("x.yaml", b"a" * 11, report).text == ""
    assert codes(report) == ["file-too-large"]


def test_windows_line_ends_keep_lines_and_columns():
    root, _ = read("a: 1\r\nb: 2\r\n")
    assert (root.entry("b").key_range.line, root.entry("b").key_range.column) == (2, 1)
    assert root.get("b").value == 2
