"""TLS on the hub: a Channel whose bytes are encrypted, for clients and upstreams alike.

The handshake and records run in memory (`ssl.MemoryBIO`), so a TLS connection needs no task of its own and stands on
the same callbacks as a plain one. OpenSSL does the cryptography; certificates are verified by its context.

Rule: a peer's TLS mistake ends its connection with the reason, nothing else.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections.abc import Callable

from archflow_engine.hub import RECEIVE, Channel, Hub, Owner


class TlsChannel(Channel):
    """An encrypted Channel. What is written before the handshake is done waits for it.

    Args:
        context: certificates and ALPN protocols.
        server_name: whom we expect to meet, for a client; None makes this the server's side.
        secured: called once with the ALPN protocol agreed on (None if none was).
    """

    __slots__ = ("_early", "_incoming", "_outgoing", "_secured", "_tls", "secure")

    def __init__(
        self,
        hub: Hub,
        sock: socket.socket,
        owner: Owner,
        context: ssl.SSLContext,
        *,
        server_name: str | None,
        secured: Callable[[str | None], None],
    ) -> None:
        super().__init__(hub, sock, owner)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_name is None, server_hostname=server_name
        )
        self._secured = secured
        self._early: list[bytes] = []
        self.secure = False

    def handshake(self) -> None:
        """Go on with the handshake; call once when the socket is connected."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send_records()
            return
        except OSError as error:  # ssl.SSLError is one
            self._send_records()
            self._lost(error)
            return
        self._send_records()
        self.secure = True
        self._secured(self._tls.selected_alpn_protocol())
        early, self._early = self._early, []
        for data in early:
            self.write(data)

    def write(self, data: bytes) -> None:
        """As Channel.write, encrypted."""
        if self.closed:
            return
        if not self.secure:
            self._early.append(data)
            return
        try:
            self._tls.write(data)
        except OSError as error:  # ssl.SSLError is one
            self._lost(error)
            return
        self._send_records()

    def resume(self) -> None:
        """As Channel.resume; records that were received already are opened in the next round."""
        if self.paused:
            self._pending |= select.EPOLLIN
        super().resume()

    def send_eof(self) -> None:
        """Tell the peer, in TLS and then in TCP, that nothing more follows."""
        with contextlib.suppress(ssl.SSLError, OSError):
            self._tls.unwrap()
        self._send_records()
        super().send_eof()

    def _send_records(self) -> None:
        records = self._outgoing.read()
        if records:
            super().write(records)

    def ready(self, mask: int) -> None:
        """As Channel.ready, for records."""
        if not self._may_receive(mask):
            return
        try:
            data = self._recv(RECEIVE)
        except BlockingIOError:
            data = None
        except OSError as error:
            self._lost(error)
            return
        if data:
            self._incoming.write(data)
            if mask & ~select.EPOLLIN & ~select.EPOLLOUT or len(data) == RECEIVE:
                self._hub.again(self, mask)
        elif data is not None:
            self._incoming.write_eof()
        if not self.secure:
            self.handshake()
            if not self.secure:
                if data == b"":
                    self._lost(None)
                return
        self._open_records()

    def _open_records(self) -> None:
        while not self.paused and not self.closed:
            try:
                plain = self._tls.read(RECEIVE)
            except ssl.SSLWantReadError:
                break
            except OSError as error:  # ssl.SSLError is one
                # An end without close_notify is how most HTTP peers close; framing tells whether it came too soon.
                self._lost(None if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) else error)
                return
            if not plain:
                self._lost(None)
                return
            self.owner.received(plain)
        if not self.closed:
            self._send_records()
