"""What can be added to archflow: everything that the author of a plugin needs stands here.

A plugin is an installable package with an entry point of group `archflow` that names a module of hooks::

    [project.entry-points.archflow]
    pii = "archflow_guard_pii"

The module registers classes that derive from a kind::

    from archflow_plugins import Guard, hookimpl

    @hookimpl
    def archflow_register_guards() -> list[type[Guard]]:
        return [Pii]

`archflow_plugins.testing` checks a kind against its contract; `archc plugins new NAME` writes a package to begin with.

API boundary: a plugin imports from here, from `archflow_plugins.testing` and from `archflow_schema`, nothing else.
"""

from archflow_plugins.contexts import Answered, CompileContext, Option, RunContext
from archflow_plugins.hookspecs import hookimpl
from archflow_plugins.kinds import (
    Admission,
    Choice,
    Dialect,
    Empty,
    Filter,
    Gauge,
    Guard,
    Head,
    Kept,
    Kind,
    Later,
    Matcher,
    Provider,
    ProviderConfig,
    Recollection,
    Router,
    SlotFiller,
    Store,
    StreamTap,
    Summary,
    Tracer,
    UpstreamRequest,
)
from archflow_plugins.record import Attempt, Record
from archflow_plugins.translation import (
    FEATURES,
    Answering,
    Becomes,
    CannotExpress,
    Dropped,
    Encoded,
    Place,
    Prelude,
    Problem,
    Refused,
    ReplyDecoder,
    ReplyEncoder,
    Sent,
)
from archflow_plugins.verdict import ALLOW, Channel, Passed, Screen, Verdict
from archflow_schema.conversation import (
    AudioPart,
    Conversation,
    DocumentPart,
    ImagePart,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from archflow_schema.diagnostic import Diagnostic, Range, Report
from archflow_schema.errors import (
    ArchflowError,
    ClientProtocolError,
    FilterRefused,
    LimitExceeded,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamRefused,
    UpstreamTimeout,
)
from archflow_schema.events import Usage
from archflow_schema.graph import Graph
from archflow_schema.reply import Reply
from archflow_schema.slots import Filled, FilledCall, Intent, Question, Slot
from archflow_schema.text import Text

__all__ = [
    "ALLOW",
    "FEATURES",
    "Admission",
    "Answered",
    "Answering",
    "ArchflowError",
    "Attempt",
    "AudioPart",
    "Becomes",
    "CannotExpress",
    "Channel",
    "Choice",
    "ClientProtocolError",
    "CompileContext",
    "Conversation",
    "Diagnostic",
    "Dialect",
    "DocumentPart",
    "Dropped",
    "Empty",
    "Encoded",
    "Filled",
    "FilledCall",
    "Filter",
    "FilterRefused",
    "Gauge",
    "Graph",
    "Guard",
    "Head",
    "ImagePart",
    "Intent",
    "Kept",
    "Kind",
    "Later",
    "LimitExceeded",
    "Matcher",
    "Message",
    "OpaquePart",
    "Option",
    "Part",
    "Passed",
    "Place",
    "Prelude",
    "Problem",
    "Provider",
    "ProviderConfig",
    "Question",
    "Range",
    "ReasoningPart",
    "Recollection",
    "Record",
    "RefusalPart",
    "Refused",
    "Reply",
    "ReplyDecoder",
    "ReplyEncoder",
    "Report",
    "Router",
    "RunContext",
    "Screen",
    "Sent",
    "Slot",
    "SlotFiller",
    "Store",
    "StreamTap",
    "Summary",
    "Text",
    "TextPart",
    "Tool",
    "ToolCallPart",
    "ToolChoice",
    "ToolResultPart",
    "Tracer",
    "UpstreamError",
    "UpstreamProtocolError",
    "UpstreamRefused",
    "UpstreamRequest",
    "UpstreamTimeout",
    "Usage",
    "Verdict",
    "hookimpl",
]
