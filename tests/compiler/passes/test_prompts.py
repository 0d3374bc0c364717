import pytest

from archflow_compiler.passes.prompts import _address_problem
from compiling import HEAD, MODEL, codes, compiled


@pytest.mark.parametrize(
    "address", ["host", "host:80", "127.0.0.1:65535", "[::1]:80", "$HOST:80", "host:$PORT", "a-b.c"]
)
def test_addresses(address):
    assert _address_problem(address) == ""


@pytest.mark.parametrize(
    "address",
    [
        "",
        ":80",
        "host:",
        "host:0",
        "host:70000",
        "host:x",
        "http://host",
        "host/path",
        " host",
        "a b",
        "höst:80",
        "::1",
        "fe80::1:80",
        "host\n",
        "[::1]:0",
    ],
)
def test_what_is_no_address(address):
    assert _address_problem(address)


def found(target, more=""):
    text = (
        f"endpoints: {{app: {{endpoint: h}}}}\nprompt_targets: [{{name: a, description: b{target}}}{more}]\n"
    )
    return [code for code in codes(compiled(HEAD + MODEL + text)) if code != "no-effect"]


@pytest.mark.parametrize(
    "spelling", ["int", "integer", "float", "bool", "boolean", "str", "string", "list", "array", "dict"]
)
def test_spellings_of_types(spelling):
    assert (
        found(
            f", endpoint: {{name: app, path: /}}, parameters: [{{name: x, description: y, type: {spelling}}}]"
        )
        == []
    )


def test_a_path_may_hold_a_query_with_parameters():
    parameters = "parameters: [{name: x, description: y, type: str}]"
    assert found(f", endpoint: {{name: app, path: '/a/{{x}}?b={{x}}'}}, {parameters}") == ["path-needs-value"]
    assert found(f", endpoint: {{name: app, path: '/a/{{y}}'}}, {parameters}") == ["unknown-parameter"]


@pytest.mark.parametrize(
    ("path", "parameter", "code"),
    [
        ("/a/{x}", "", ["path-needs-value"]),
        ("/a/{x}?b={x}", ", required: false", ["path-needs-value"]),
        ("/a/{x}", ", required: true", []),
        ("/a/{x}", ", default: y", []),
        ("/a?b={x}", "", []),
        ("https://host/a", "", ["bad-path"]),
        ("/a?b=https://host/a", "", []),
    ],
)
def test_what_a_path_may_be(path, parameter, code):
    parameters = f"parameters: [{{name: x, description: y, type: str{parameter}}}]"
    assert found(f", endpoint: {{name: app, path: '{path}'}}, {parameters}") == code


@pytest.mark.parametrize("path", ["/a/${KEY}", "/$AREA/{x}?key=$KEY"])
def test_a_variable_in_a_path_is_no_parameter(path):
    parameters = "parameters: [{name: x, description: y, type: str, required: true}]"
    assert found(f", endpoint: {{name: app, path: '{path}'}}, {parameters}") == []


def test_the_path_of_the_error_target_names_no_variable():
    text = "endpoints: {app: {endpoint: h}}\nerror_target: {name: app, path: /x/$KEY}\n"
    assert "reference-not-allowed" in codes(compiled(HEAD + MODEL + text))
    guard = "{jailbreak: {on_exception: {message: m, forward_to_error_target: true, error_handler: /$X}}}"
    text = (
        "endpoints: {app: {endpoint: h}}\nerror_target: {name: app}\nprompt_guards: {input_guards: "
        + guard
        + "}\n"
    )
    assert "reference-not-allowed" in codes(compiled(HEAD.replace("model}", "prompt}") + MODEL + text))


def test_a_target_without_an_endpoint_is_doubtful():
    assert found("") == ["no-endpoint"]
    assert found(", system_prompt: be kind") == []


def test_a_default_must_be_one_of_the_values():
    good = "{name: x, description: y, type: bool, default: false, enum: [true, false]}"
    assert found(f", endpoint: {{name: app, path: /}}, parameters: [{good}]") == []
    bad = good.replace("default: false", "default: 3")
    assert found(f", endpoint: {{name: app, path: /}}, parameters: [{bad}]") == ["default-not-in-enum"]
