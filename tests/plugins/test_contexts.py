"""What kinds are given: texts, secrets, blobs, findings."""

from msgspec import Struct, msgpack

from archflow_plugins.contexts import CompileContext, encode_compiled, environment_names, secret_keys
from archflow_plugins.testing import compile_context
from archflow_schema.diagnostic import Range, Report
from archflow_schema.graph import LocalModel
from archflow_schema.text import Env, Secret, compile_text


def test_findings_have_the_range_of_their_path():
    def locate(*path):
        return Range(file="a.yaml", line=len(path) + 1, column=1, end_line=len(path) + 1, end_column=2)

    report = Report()
    context = CompileContext("the guard", report, locate)
    context.error("bad", "wrong", "words", 3, detail="why", fix="what")
    context.warning("odd", "doubtful")
    odd, bad = report
    assert (bad.severity, bad.code, bad.summary, bad.detail, bad.fix) == (
        "error",
        "bad",
        "wrong",
        "why",
        "what",
    )
    assert (bad.range.line, odd.range.line, odd.severity) == (3, 1, "warning")


def test_texts_are_recorded():
    context = compile_context()
    assert context.text("Bearer $TOKEN", "header") == ("Bearer ", Env("TOKEN"))
    assert context.text("literal", secret=True) == ("literal",), (
        "without a side file a literal stays where it is"
    )
    assert environment_names(context.texts) == {"TOKEN"}


def test_a_secret_goes_where_the_compiler_says():
    asked = []

    def keep(raw, path):
        asked.append((raw, path))
        return (Secret("key"),)

    context = CompileContext("x", Report(), lambda *_: None, keep)
    assert context.text("sk-1", "access_key", secret=True) == (Secret("key"),)
    assert context.text("plain") == ("plain",)
    assert asked == [("sk-1", ("access_key",))]
    assert secret_keys(context.texts) == {"key"}


def test_equal_blobs_are_kept_once():
    context = compile_context()
    assert context.blob(b"a") == context.blob(b"a") != context.blob(b"b")
    assert [blob.data for blob in context.blobs] == [b"a", b"b"]


def test_a_model_is_recorded_once():
    context = compile_context()
    model = LocalModel("minilm", "0" * 64, "int8", 1, 5)
    context.needs(model)
    context.needs(LocalModel("minilm", "0" * 64, "int8", 1, 5))
    assert context.local_models == [model]


class Two(Struct, frozen=True):
    a: dict[str, int]
    b: tuple[str, ...] = ()


def test_compiled_bytes_do_not_depend_on_the_order_of_a_dict():
    first, second = Two({"x": 1, "y": 2}), Two({"y": 2, "x": 1})
    assert encode_compiled(first) == encode_compiled(second)
    assert msgpack.decode(encode_compiled(first), type=Two) == first


def test_compiled_texts_survive():
    class Holder(Struct, frozen=True):
        text: tuple[str | Env | Secret, ...]

    held = Holder((*compile_text("a $B"), Secret("c")))
    assert msgpack.decode(encode_compiled(held), type=Holder) == held
