"""What a model is asked, and what is made of its answer."""

import msgspec
import pytest

from archflow_plugins.choosing.by_model import answer, question
from archflow_plugins.contexts import Option
from archflow_plugins.testing import conversation

OPTIONS = (Option(name="a", description="one thing, {conversation} and all"),)


class Form(msgspec.Struct):
    route: str | None = None


def test_options_and_conversation_stand_where_the_prompt_says():
    asked = question(
        "R {routes} C {conversation}", "{routes}", OPTIONS, conversation("user: {routes}!"), 500, None
    )
    assert asked.messages[0].text == (
        'R [{"name":"a","description":"one thing, {conversation} and all"}] C [{"role":"user","content":"{routes}!"}]'
    )
    assert asked.output is None


def test_a_conversation_that_says_nothing_is_not_asked_about():
    assert (
        question("{routes}{conversation}", "{routes}", OPTIONS, conversation("system: x"), 500, None) is None
    )


@pytest.mark.parametrize(
    "text", ['{"route": "a"}', "{'route': 'a'}", '```json\n{"route": "a"}\n```', '{"route":\\n"a"}']
)
def test_answers_are_read_as_models_write_them(text):
    assert answer(text, Form).route == "a"


@pytest.mark.parametrize("text", ["", "a", "[]", '{"route": 1}', "{", "[" * 5000])
def test_what_is_not_understood_is_nothing(text):
    assert answer(text, Form) is None
