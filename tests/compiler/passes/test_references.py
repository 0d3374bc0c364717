import pytest

from compiling import HEAD, MODEL, codes, compiled


@pytest.mark.parametrize(
    ("one", "two", "clash"),
    [
        ("0.0.0.0", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("::", "127.0.0.1", True),
    ],
)
def test_two_listeners_at_one_port(one, two, clash):
    listeners = f"listeners: [{{name: a, type: model, address: '{one}'}}, {{name: b, type: model, address: '{two}'}}]\n"
    outcome = compiled("version: v0.4.0\n" + listeners + MODEL)
    assert ("port-taken" in codes(outcome)) == clash


@pytest.mark.parametrize("version", ["v0.1", "v0.1.0", "0.1-beta", "0.2.0", "v0.2.0", "v0.3.0", "v0.4.0"])
def test_versions_of_arch(version):
    assert codes(compiled(HEAD.replace("v0.4.0", version) + MODEL)) == []


def test_refused_providers_are_not_called_missing():
    assert codes(compiled(HEAD + "model_providers: [{model: 3}]\n")) == ["wrong-type"]
