"""Taps that look at whole lines: portions, limits, the opening."""

from typing import ClassVar

from hypothesis import given, settings
from hypothesis import strategies as st

from archflow_plugins.dialects import stream_lines
from archflow_plugins.dialects.stream_lines import MAX_LINE, LineTap


class Seen(LineTap):
    needles: ClassVar[tuple[bytes, ...]] = (b"needle",)
    opening: ClassVar[int] = 2

    def __init__(self):
        super().__init__()
        self.payloads = []

    def look(self, payload: bytes) -> bool:
        self.payloads.append(payload)
        return b"enough" in payload


def seen(data: bytes, size: int) -> list[bytes]:
    tap = Seen()
    for at in range(0, len(data), size):
        tap.feed(data[at : at + size])
    return tap.payloads


def test_opening_then_only_needles():
    data = b"data: 1\n\ndata: 2\n\ndata: 3\n\ndata: needle\n\ndata: 4\n\n"
    assert seen(data, len(data)) == [b" 1", b" 2", b" needle"]


def test_a_content_opening_ends_early():
    assert seen(b"data: enough\ndata: 2\ndata: needle\n", 99) == [b" enough", b" needle"]


def test_only_data_lines_count():
    assert seen(b"event: needle\n: needle\nid: 1\ndata: 1\n", 99) == [b" 1"]


def test_a_byte_order_mark_does_not_hide_the_first_line():
    assert seen(b"\xef\xbb\xbfdata: 1\n", 99) == [b" 1"]


def test_an_unfinished_line_is_not_looked_at():
    assert seen(b"data: needle", 3) == []


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [b"data: a", b"data: needle", b"data: nee", b"dle", b"event: x", b"", b"data: enough"]
            ),
            st.sampled_from([b"\n", b"\r", b"\r\n", b""]),
        )
    ),
    st.integers(1, 9),
)
def test_portions_do_not_matter(lines, size):
    data = b"".join(line + end for line, end in lines)
    assert seen(data, size) == seen(data, max(1, len(data)))


def test_a_line_that_is_too_long_is_ignored_however_it_comes(monkeypatch):
    monkeypatch.setattr(stream_lines, "MAX_LINE", 20)
    data = b"data: needle needle needle\ndata: needle\n"
    assert seen(data, len(data)) == [b" needle"]
    for size in (1, 3, 7, 26, 27):
        assert seen(data, size) == [b" needle"]


def test_memory_is_bounded():
    tap = Seen()
    for _ in range(40):
        tap.feed(b"x" * (MAX_LINE // 10))
    assert len(tap._partial) == MAX_LINE + 1
