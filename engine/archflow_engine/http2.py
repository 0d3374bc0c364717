"""HTTP/2 connection state for both sides: the h2 library, with graceful ends.

h2 treats GOAWAY, sent or received, as the end of the connection, but it only says which streams will be served: those
in flight complete (RFC 9113 section 6.8). This class keeps the state machine open for them.
"""

from __future__ import annotations

import h2.connection
import h2.events
from hyperframe.frame import Frame, GoAwayFrame


class Http2Connection(h2.connection.H2Connection):
    """An H2Connection that survives GOAWAY in either direction."""

    def announce_end(self) -> None:
        """Queue a GOAWAY: streams up to the newest of the peer's are served, later ones are not."""
        frame = GoAwayFrame(stream_id=0, last_stream_id=self.highest_inbound_stream_id, error_code=0)
        self._prepare_for_sending([frame])

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[h2.events.Event]]:
        event = h2.events.ConnectionTerminated()
        event.error_code = frame.error_code
        event.last_stream_id = frame.last_stream_id
        event.additional_data = frame.additional_data or None
        return [], [event]
