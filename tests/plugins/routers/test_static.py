"""The router that always says the same."""

import trio

from archflow_plugins.contexts import Option
from archflow_plugins.routers.static import StaticConfig, StaticRouter
from archflow_plugins.testing import compile_context, conversation, run_context
from archflow_schema.diagnostic import Report

OPTIONS = (Option(name="a", description="x"),)


def chosen(option, options=()):
    router = StaticRouter(
        StaticRouter.compile(StaticConfig(option), compile_context(options=OPTIONS)), run_context()
    )
    return trio.run(router.choose, conversation("user: hi"), options).option


def test_it_says_what_it_was_told():
    assert chosen("a") == "a"
    assert chosen("") == ""
    assert chosen("a", (Option(name="b", description="y"),)) == ""


def test_an_option_that_is_not_there():
    report = Report()
    StaticRouter.compile(StaticConfig("z"), compile_context("r", report, options=OPTIONS))
    assert [one.code for one in report] == ["unknown-preference"]
