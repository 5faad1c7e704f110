"""What is chosen for connections, in the words of the package websockets, and as the library has it."""

from __future__ import annotations

from typing import Union

from wsframe.connection import NEVER, Config, Connection

Marks = Union[int, None, tuple[Union[int, None], Union[int, None]]]
"""A high-water mark, or one with a low-water mark."""

_NO_LIMIT = 2**63 - 1


class Options:
    """How the connections of a server, or that of a client, behave."""

    __slots__ = ("close_timeout", "config", "ping_interval", "ping_timeout", "queue_high", "queue_low")

    def __init__(  # noqa: PLR0913
        self,
        *,
        compression: str | None,
        open_timeout: float | None,
        ping_interval: float | None,
        ping_timeout: float | None,
        close_timeout: float | None,
        max_size: Marks,
        max_queue: Marks,
        write_limit: int | tuple[int, int | None],
    ) -> None:
        if compression not in {"deflate", None}:
            raise ValueError(f"unsupported compression: {compression}")
        self.ping_interval, self.ping_timeout, self.close_timeout = ping_interval, ping_timeout, close_timeout
        high, low = max_queue if isinstance(max_queue, tuple) else (max_queue, None)
        self.queue_high = _NO_LIMIT if high is None else high
        self.queue_low = self.queue_high // 4 if low is None else low
        if not 0 <= self.queue_low <= self.queue_high:
            raise ValueError(f"max_queue is {max_queue}, but must be at least 0, and low not above high")
        message_len, frame_len = max_size if isinstance(max_size, tuple) else (max_size, max_size)
        self.config: Config = {
            "deflate": compression is not None,
            "max_message_len": _length(message_len),
            "max_inflated_len": _length(message_len),
            "max_frame_len": _length(frame_len),
            "high_water_len": max(write_limit[0] if isinstance(write_limit, tuple) else write_limit, 1),
            "handshake_timeout_ms": _ms(open_timeout),
            "close_timeout_ms": _ms(close_timeout),
            "ping_interval_ms": NEVER,  # they have a time of their own, and their answers are measured
        }


def checked(config: Config) -> Config:
    """Returns it. UsageError: the library refuses it, which is to be said now, and not of each client."""
    Connection.server(**config)
    return config


def _length(most: int | None) -> int:
    return _NO_LIMIT if most is None else max(most, 1)


def _ms(seconds: float | None) -> int:
    """A time, as the library has it, to which 0 is its default."""
    return NEVER if seconds is None else min(max(int(seconds * 1000), 1), NEVER - 1)
