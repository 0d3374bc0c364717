import pytest

from archflow_schema.text import Env, Secret, compile_text, references, resolve, show


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("", ()),
        ("plain", ("plain",)),
        ("$A", (Env("A"),)),
        ("${A}b", (Env("A"), "b")),
        ("Bearer $A_1", ("Bearer ", Env("A_1"))),
        ("a$$b", ("a$b",)),
        ("$$A", ("$A",)),
        ("5$", ("5$",)),
        ("$1", ("$1",)),
        ("${A", ("${A",)),
        ("${A-b}", ("${A-b}",)),
        ("$A$B", (Env("A"), Env("B"))),
    ],
)
def test_compile(raw, text):
    assert compile_text(raw) == text


def test_values_come_in_only_at_the_end():
    text = ("a ", Env("B"), Secret("c"))
    assert references(text) == (Env("B"), Secret("c"))
    assert resolve(text, lambda one: "x" if isinstance(one, Env) else "y") == "a xy"
    assert show(text) == "a $B***"
