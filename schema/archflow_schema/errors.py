"""Every exception of archflow, in one tree::

    ArchflowError
      CompileFailed            a file did not compile; carries the Report
      ArtifactError            graph.bin cannot be used
        NotAnArtifact            it is something else, or cut short
        FormatMismatch           written by another format number
        DigestMismatch           its bytes are not those that were written
        MalformedGraph           its bytes are whole, its graph is not
      SecretsMissing           names that the graph needs and the environment lacks
      PluginError              a plugin cannot be used
        PluginMissing            not installed
        PluginChanged            another version or content than the graph was compiled with
        KindMissing              no plugin offers this kind
        KindConflict             two plugins offer the same kind
      ExchangeError            one request failed; has a status_hint
        ClientProtocolError      the client sent what its dialect forbids         400
        ClientGone               the client left; never answered, only traced     499
        UpstreamError            the upstream failed                              502
          UpstreamRefused          no connection                                  502
          UpstreamTimeout          too slow                                       504
          UpstreamProtocolError    not HTTP, or cut short                         502
        FilterRefused            a filter answered with an error                500
        LimitExceeded            a limit said no; has retry_after                 429

Rule: a user's mistake in a configuration is a Diagnostic, not an exception; a guard's deny is an outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from archflow_schema.diagnostic import Report


class ArchflowError(Exception):
    """Anything archflow raises on purpose; its text is written for the person who runs it.

    Attributes:
        what: what is wrong.
        fix: what to do about it, where that is told apart; the text is both.
    """

    what: str = ""  # also of a plugin's own, which may begin in another way
    fix: str = ""

    def __init__(self, what: str = "", *, fix: str = "") -> None:
        super().__init__(f"{what}: {fix}" if fix else what)
        self.what = what
        self.fix = fix


class CompileFailed(ArchflowError):
    """A configuration has errors.

    Attributes:
        report: every finding, errors and warnings, in the order of the file.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(f"{report.errors} error(s), {report.warnings} warning(s)")
        self.report = report


class ArtifactError(ArchflowError):
    """A graph.bin cannot be used."""


class NotAnArtifact(ArtifactError):
    """The bytes are not a graph.bin, or only a part of one."""


class FormatMismatch(ArtifactError):
    """The graph.bin was written in another format than this version reads."""


class DigestMismatch(ArtifactError):
    """The bytes of the graph.bin differ from those that were written."""


class MalformedGraph(ArtifactError):
    """The graph.bin is whole, but the graph in it does not hold together."""


class SecretsMissing(ArchflowError):
    """The graph names environment variables or side-file entries that are not there.

    Attributes:
        names: the missing names, sorted.
    """

    def __init__(self, names: tuple[str, ...], where: str) -> None:
        listed = ", ".join(names)
        super().__init__(
            f"{where} lacks {listed}: set it in the environment, or in a .env file beside the graph"
        )
        self.names = names


class PluginError(ArchflowError):
    """A plugin cannot be used."""


class PluginMissing(PluginError):
    """A plugin is not installed."""


class PluginChanged(PluginError):
    """A plugin differs from the one that the graph was compiled with."""


class KindMissing(PluginError):
    """No installed plugin offers a kind."""


class KindConflict(PluginError):
    """Two plugins offer the same kind."""


class ExchangeError(ArchflowError):
    """One request failed.

    Attributes:
        status_hint: the HTTP status that tells the client best.
    """

    status_hint: ClassVar[int] = 500


class ClientProtocolError(ExchangeError):
    """The client sent what HTTP or its dialect forbids."""

    status_hint = 400


class ClientGone(ExchangeError):
    """The client left before its reply was complete."""

    status_hint = 499


class UpstreamError(ExchangeError):
    """The upstream failed.

    Attributes:
        unsent: whether it certainly got nothing of the request, so that another may be sent it.
    """

    status_hint = 502
    unsent: bool = False


class UpstreamRefused(UpstreamError):
    """No connection to the upstream could be made."""


class UpstreamTimeout(UpstreamError):
    """The upstream was too slow."""

    status_hint = 504


class UpstreamProtocolError(UpstreamError):
    """The upstream sent something that is not HTTP, or stopped in the middle of it."""


class FilterRefused(ExchangeError):
    """A filter does not let pass what it was given.

    Attributes:
        status: what it answered with; below 500 it is the client's mistake.
        said: its own words.
    """

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"the filter answered with status {status}")
        self.status = status
        self.said = said


class LimitExceeded(ExchangeError):
    """A limit said no.

    Attributes:
        retry_after: seconds until the same request would be admitted.
    """

    status_hint = 429

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def spelt(text: str) -> str:
    """A text that UTF-8 can hold: bytes of a file's name that are none are spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()


def os_reason(error: OSError) -> str:
    """What the system says of a failure, as it stands in the middle of a message."""
    return (error.strerror or str(error)).lower()
