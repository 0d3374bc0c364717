"""A router that always says the same: to switch preferences off for a while, and for tests."""

from __future__ import annotations

from msgspec import Struct

from archflow_plugins.contexts import CompileContext, Option
from archflow_plugins.kinds import Choice, Router
from archflow_schema.conversation import Conversation


class StaticConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration of the static router.

    Attributes:
        option: the preference that it always chooses; none of them if empty.
    """

    option: str = ""


class StaticRouter(Router):
    """Always chooses the same preference, or none."""

    kind = "router.static"
    config = StaticConfig

    @classmethod
    def compile(cls, config: StaticConfig, ctx: CompileContext) -> Struct:
        if config.option and all(config.option != one.name for one in ctx.options):
            ctx.error(
                "unknown-preference",
                f"there is no routing preference '{config.option}'",
                "option",
                fix="name one that is there",
            )
        return config

    async def choose(self, conversation: Conversation, options: tuple[Option, ...] = ()) -> Choice:
        option = self.settings.option
        if not option or (options and all(option != one.name for one in options)):
            return Choice(reason="static")
        return Choice(option=option, reason="static", confidence=1.0)
