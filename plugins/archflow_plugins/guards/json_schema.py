"""The guard of forms: an answer must be JSON, and valid for a schema.

Source: JSON Schema, drafts 4 to 2020-12, as the library jsonschema-rs reads them.

Rule: nothing of an answer leaves before all of it is valid.
Rule: a schema refers to itself alone; nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import msgspec
from msgspec import Struct

from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.guards.long import read
from archflow_plugins.guards.whole import Whole
from archflow_plugins.kinds import Guard
from archflow_plugins.verdict import ALLOW, Screens, Side, Verdict
from archflow_schema.conversation import Conversation

if TYPE_CHECKING:
    from jsonschema_rs import Validator

AT_ONCE = 16 * 1024
"""Characters that are judged on the event loop; more of them are judged in a thread."""
SHOWN = 300
"""Characters of what is wrong with a schema that are shown."""
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class JsonSchemaConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the guard of forms.

    Attributes:
        schema: what an answer must be valid for; without one any JSON will do.
        message: what the client is told.
    """

    schema: dict[str, Any] | None = None
    message: str = "This answer was withheld: it does not have the form that it must have."


class Compiled(Struct, frozen=True, kw_only=True):
    """What the graph keeps of it: the schema as JSON, empty if there is none."""

    schema: str
    message: str


class JsonSchemaGuard(Guard):
    """Denies answers that are not valid."""

    kind = "guard.json_schema"
    config = JsonSchemaConfig
    compiled: ClassVar[type[Struct] | None] = Compiled
    sides: ClassVar[tuple[Side, ...]] = ("output",)

    @classmethod
    def compile(cls, config: JsonSchemaConfig, ctx: CompileContext) -> Compiled:
        schema = "" if config.schema is None else _encode(config.schema).decode()
        if schema:
            try:
                validator(schema)
            except Exception as error:  # noqa: BLE001 - the library has several
                ctx.error("bad-schema", f"the schema cannot be used: {_first(error)}", "schema")
        return Compiled(schema=schema, message=config.message)

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._validator = validator(compiled.schema) if compiled.schema else None

    def screens(self, asked: Callable[[], Conversation]) -> Screens:
        async def judge(text: str) -> Verdict:
            holds = await read(self.ctx, lambda: self._holds(text), long=len(text) > AT_ONCE)
            return ALLOW if holds else Verdict(allow=False, message=self.settings.message, score=1.0)

        return lambda channel: Whole(judge) if channel == "text" else None

    def _holds(self, text: str) -> bool:
        """Whether a text is JSON, and valid."""
        try:
            value = _decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return False
        return self._validator is None or self._validator.is_valid(value)


def validator(schema: str) -> Validator:
    """What judges by a schema. Patterns take linear time.

    Raises:
        ValueError: it is no schema, or refers to another document.
    """
    import jsonschema_rs  # here, for only graphs with this guard pay for it

    return jsonschema_rs.validator_for(
        _decode(schema), retriever=_refuse, pattern_options=jsonschema_rs.RegexOptions()
    )


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"'{uri}' is another document")


def _first(error: Exception) -> str:
    """What is wrong, in one line."""
    line = str(error).partition("\n")[0]
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."
