import pytest

from archflow_compiler.driver import compile_bytes, compile_file, compiled
from archflow_schema.artifact import load
from archflow_schema.errors import CompileFailed
from compiling import HEAD, MODEL


def test_a_file_compiles_to_a_graph_that_loads(tmp_path):
    file = tmp_path / "arch_config.yaml"
    file.write_text(HEAD + MODEL)
    outcome = compile_file(file)
    assert load(outcome.data) == outcome.graph
    assert outcome.graph.source == "arch_config.yaml"


def test_the_folder_does_not_change_the_graph(tmp_path):
    (tmp_path / "a").mkdir()
    for name in ("x.yaml", "a/x.yaml"):
        (tmp_path / name).write_text(HEAD + MODEL)
    assert compile_file(tmp_path / "x.yaml").data == compile_file(tmp_path / "a" / "x.yaml").data


def test_the_environment_does_not_change_the_graph(monkeypatch):
    before = compile_bytes("x.yaml", (HEAD + MODEL).encode()).data
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    assert compile_bytes("x.yaml", (HEAD + MODEL).encode()).data == before


def test_a_file_that_is_not_there(tmp_path):
    outcome = compile_file(tmp_path / "none.yaml")
    (found,) = outcome.report
    assert found.code == "unreadable-file"
    assert "no such file" in found.summary
    assert outcome.graph is None


def test_a_folder_is_no_file(tmp_path):
    (found,) = compile_file(tmp_path).report
    assert found.code == "unreadable-file"


def test_compiled_raises_with_the_report(tmp_path):
    (tmp_path / "x.yaml").write_text("version: 3\n")
    with pytest.raises(CompileFailed) as caught:
        compiled(tmp_path / "x.yaml")
    assert caught.value.report.failed


def test_thousands_of_models_and_names_take_linear_work():
    """Counted, not timed: the calls of a compile grow as the file does."""
    import sys

    def calls(count):
        providers = "".join(f"  - {{model: openai/m{number}, access_key: $K}}\n" for number in range(count))
        aliases = "".join(f"  a{number}: {{target: m{number}}}\n" for number in range(count))
        text = (HEAD + f"model_providers:\n{providers}model_aliases:\n{aliases}").encode()
        counted = 0

        def count_call(frame, event, argument):
            nonlocal counted
            counted += event in {"call", "c_call"}

        sys.setprofile(count_call)
        try:
            outcome = compile_bytes("x.yaml", text)
        finally:
            sys.setprofile(None)
        assert outcome.graph is not None
        return counted

    calls(1)
    assert calls(400) < 4.5 * calls(100)
