"""HTTP/2 connection state for both sides: the h2 library, with graceful ends.

h2 treats GOAWAY, sent or received, as the end of the connection, but it only says which streams will be served: those
in flight complete (RFC 9113 section 6.8). This class keeps the state machine open for them.
"""

from __future__ import annotations

import h2.connection
import h2.errors
import h2.events
import h2.exceptions
from hyperframe.frame import Frame, GoAwayFrame

_LENGTH = 3
"""Bytes of a frame's head that tell its length."""


class Http2Connection(h2.connection.H2Connection):
    """An H2Connection that survives GOAWAY in either direction."""

    def receive_data(self, data: bytes) -> list[h2.events.Event]:  # type: ignore[override] # sockets give bytes
        """As H2Connection's, but a frame that is too long is refused by its head: h2 waits for all of it first."""
        events = super().receive_data(data)
        waiting = self.incoming_buffer._data  # noqa: SLF001 - there is no other way to look
        if len(waiting) >= _LENGTH and int.from_bytes(waiting[:_LENGTH]) > self.max_inbound_frame_size:
            self._terminate_connection(h2.errors.ErrorCodes.FRAME_SIZE_ERROR)
            raise h2.exceptions.FrameTooLargeError(
                f"a frame is longer than {self.max_inbound_frame_size} bytes"
            )
        return events

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
