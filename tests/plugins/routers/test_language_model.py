"""The router that asks a model: what it asks, and what it makes of the answer."""

import msgspec
import pytest
import trio

from archflow_plugins.contexts import Option
from archflow_plugins.kinds import Choice
from archflow_plugins.routers.language_model import LanguageModelConfig, LanguageModelRouter, read
from archflow_plugins.testing import compile_context, conversation, run_context
from archflow_schema.diagnostic import Report
from archflow_schema.errors import UpstreamTimeout
from archflow_schema.reply import Reply

OPTIONS = (
    Option(name="code", description="writing code"),
    Option(name="story", description="telling stories"),
)


def asked(answer, conversation_, *, options=(), **config):
    """The choice for a model's answer, and what the model was asked."""
    heard = []

    async def ask(model, said, timeout):
        heard.append((model, said, timeout))
        if isinstance(answer, Exception):
            raise answer
        return Reply(text=answer)

    compiled = LanguageModelRouter.compile(
        LanguageModelConfig(model="small", **config), compile_context(options=OPTIONS)
    )
    router = LanguageModelRouter(compiled, run_context(ask=ask))
    return trio.run(router.choose, conversation_, options), heard


def test_it_chooses_what_the_model_names():
    choice, [(model, said, timeout)] = asked(
        '{"route": "code"}', conversation("user: a loop in Rust", "system: x")
    )
    assert choice == Choice(option="code", reason="language_model", confidence=1.0, scores=(("code", 1.0),))
    assert (model, timeout) == ("small", 30.0)
    text = said.messages[0].text
    assert (
        '[{"name":"code","description":"writing code"},{"name":"story","description":"telling stories"}]'
        in text
    )
    assert '[{"role":"user","content":"a loop in Rust"}]' in text
    assert said.sampling.temperature == 0.01


def test_the_answer_is_held_to_the_routes():
    _, [(_, said, _)] = asked('{"route": "code"}', conversation("user: hi"))
    schema = msgspec.json.decode(said.output.schema)
    assert schema["properties"]["route"]["enum"] == ["code", "story", "other"]
    _, [(_, said, _)] = asked('{"route": "code"}', conversation("user: hi"), constrained=False)
    assert said.output is None


@pytest.mark.parametrize(
    ("answer", "option", "reason"),
    [
        ('{"route": "other"}', "", "other"),
        ('{"route": null}', "", "other"),
        ("{}", "", "other"),
        ("I do not know", "", "other"),
        ('{"route": "cooking"}', "", "unknown_route"),
        ("{'route': 'story'}", "story", "language_model"),
        ('```json\n{"route": "story"}\n```', "story", "language_model"),
        ('{"route": "story"}\\n', "story", "language_model"),
    ],
)
def test_what_answers_mean(answer, option, reason):
    choice, _ = asked(answer, conversation("user: hi"))
    assert (choice.option, choice.reason) == (option, reason)


def test_the_requests_own_options_take_the_place_of_the_compiled_ones():
    own = (Option(name="poem", description="poetry"),)
    choice, [(_, said, _)] = asked('{"route": "poem"}', conversation("user: hi"), options=own)
    assert choice.option == "poem"
    assert "telling stories" not in said.messages[0].text


def test_a_conversation_without_words_is_not_asked_about():
    choice, heard = asked("{}", conversation("system: x"))
    assert (choice.option, choice.reason, heard) == ("", "empty", [])


def test_a_model_that_does_not_answer_fails():
    with pytest.raises(UpstreamTimeout):
        asked(UpstreamTimeout("too slow"), conversation("user: hi"))


def test_a_long_conversation_fits_the_window():
    said = conversation("user: " + "x" * 200_000)
    _, [(_, sent, _)] = asked('{"route": "code"}', said, tokens=500)
    assert len(sent.messages[0].text) <= 500 * 4 + 8


def test_a_prompt_of_the_users_own():
    _, [(_, said, _)] = asked("{}", conversation("user: hi"), prompt="R {routes} C {conversation}")
    assert said.messages[0].text.startswith('R [{"name":"code"')
    report = Report()
    LanguageModelRouter.compile(
        LanguageModelConfig(model="m", prompt="{routes}", tokens=0), compile_context("r", report)
    )
    assert [one.code for one in report] == ["bad-prompt", "bad-tokens"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\ud800", "{" * 10_000])
def test_nonsense_is_no_route(text):
    assert read(text) == ""
