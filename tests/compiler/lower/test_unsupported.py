import msgspec
import pytest

from archflow_compiler.lower.unsupported import _NEVER, _WITHOUT_EFFECT
from archflow_schema.config import Config
from compiling import HEAD, MODEL, codes, compiled


def at(cls, path):
    """The type of the field that a path leads to."""
    for step in path:
        fields = {field.name: field.type for field in msgspec.structs.fields(cls)}
        cls = fields[step]
    return cls


@pytest.mark.parametrize("path", [path for path, _ in (*_WITHOUT_EFFECT, *_NEVER)], ids=".".join)
def test_every_path_is_a_key_of_the_configuration(path):
    assert at(Config, path)


@pytest.mark.parametrize(
    "section",
    [
        "state_storage: {type: postgres, connection_string: 'postgresql://h/d'}",
    ],
)
def test_what_changes_answers_is_refused(section):
    outcome = compiled(HEAD + MODEL + section + "\n")
    assert "not-yet-supported" in codes(outcome)
    assert outcome.graph is None
