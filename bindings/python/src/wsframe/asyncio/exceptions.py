"""
What the calls of connections raise, by the names that the package websockets gives them.

WebSocketException is the base of all: ConnectionClosed with ConnectionClosedOK and ConnectionClosedError;
InvalidURI; InvalidHandshake with InvalidStatus, InvalidMessage, SecurityError and NegotiationError;
ConcurrencyError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wsframe.asyncio.frames import Close, CloseCode

if TYPE_CHECKING:
    from wsframe.asyncio.http11 import Response

_FINE = (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.NO_STATUS_RCVD)


class WebSocketException(Exception):
    """The base of all here."""


class ConnectionClosed(WebSocketException):
    """
    The connection has ended, so there is nothing more to be received, or this was not sent.

    rcvd is the peer's close frame and sent the one for the peer, each None if there was none. rcvd_then_sent
    says, if there were both, whether the peer's came first. __cause__ is an error if it failed.
    """

    def __init__(self, rcvd: Close | None, sent: Close | None, rcvd_then_sent: bool | None = None) -> None:
        super().__init__(rcvd, sent, rcvd_then_sent)
        self.rcvd, self.sent, self.rcvd_then_sent = rcvd, sent, rcvd_then_sent

    def __str__(self) -> str:
        if self.rcvd is None and self.sent is None:
            return "no close frame received or sent"
        if self.rcvd is None:
            return f"sent {self.sent}; no close frame received"
        if self.sent is None:
            return f"received {self.rcvd}; no close frame sent"
        if self.rcvd_then_sent:
            return f"received {self.rcvd}; then sent {self.sent}"
        return f"sent {self.sent}; then received {self.rcvd}"

    @property
    def code(self) -> int:
        """The peer's close code, 1006 if it sent no close frame."""
        return CloseCode.ABNORMAL_CLOSURE if self.rcvd is None else self.rcvd.code

    @property
    def reason(self) -> str:
        """The peer's reason, empty if it sent none."""
        return "" if self.rcvd is None else self.rcvd.reason


class ConnectionClosedOK(ConnectionClosed):
    """It ended in good order, with 1000, 1001 or without a code from both sides."""


class ConnectionClosedError(ConnectionClosed):
    """It ended in another way."""


def connection_closed(
    rcvd: Close | None, sent: Close | None, rcvd_then_sent: bool | None
) -> ConnectionClosed:
    """Makes the one that fits."""
    is_fine = rcvd is not None and sent is not None and rcvd.code in _FINE and sent.code in _FINE
    return (ConnectionClosedOK if is_fine else ConnectionClosedError)(rcvd, sent, rcvd_then_sent)


class ConcurrencyError(WebSocketException, RuntimeError):
    """Two tasks wanted the same at the same time, of which only one can have it."""


class InvalidURI(WebSocketException):
    """It is no URI of a WebSocket server."""

    def __init__(self, uri: str, msg: str) -> None:
        super().__init__(uri, msg)
        self.uri, self.msg = uri, msg

    def __str__(self) -> str:
        return f"{self.uri} isn't a valid URI: {self.msg}"


class InvalidHandshake(WebSocketException):
    """The opening handshake did not come about."""


class SecurityError(InvalidHandshake):
    """Going on would not be safe."""


class InvalidMessage(InvalidHandshake):
    """What came was no response to a handshake."""


class NegotiationError(InvalidHandshake):
    """There is no agreement on a subprotocol."""


class InvalidStatus(InvalidHandshake):
    """The server has refused; response is its answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response)
        self.response = response

    def __str__(self) -> str:
        return f"server rejected WebSocket connection: HTTP {self.response.status_code}"


# Programs name these to catch them. Nothing here raises them: there are no proxies, and what is wrong with a
# response is said by InvalidHandshake.


class ProxyError(InvalidHandshake):
    """A proxy was not reached; never raised here."""


class InvalidProxy(WebSocketException):
    """It is no proxy; never raised here."""


class InvalidProxyMessage(ProxyError):
    """What a proxy answered makes no sense; never raised here."""


class InvalidProxyStatus(ProxyError):
    """A proxy has refused; never raised here."""


class InvalidHeader(InvalidHandshake):
    """A field is wrong; never raised here."""


class InvalidOrigin(InvalidHeader):
    """An Origin is not wanted; never raised here."""


class InvalidUpgrade(InvalidHeader):
    """It is no upgrade to WebSocket; never raised here."""


class ProtocolError(WebSocketException):
    """A peer broke a rule; never raised here: it is the cause of a ConnectionClosedError."""


class PayloadTooBig(WebSocketException):
    """A message is too long; never raised here."""
