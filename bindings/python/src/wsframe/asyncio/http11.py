"""The request and the response of an opening handshake, as the application sees them."""

from __future__ import annotations

import http
from dataclasses import dataclass, field

from wsframe.asyncio.datastructures import Headers


@dataclass
class Request:
    """What a client asks for."""

    path: str
    """The path and the query."""
    headers: Headers = field(default_factory=Headers)

    @classmethod
    def of_head(cls, head: bytes, target: str) -> Request:
        """Makes one of a head that the library has checked, and of the target that it has read there."""
        return cls(target, _lines(head)[1])


@dataclass
class Response:
    """What a server answers."""

    status_code: int
    reason_phrase: str = ""
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @classmethod
    def of_answer(cls, answer: bytes) -> Response:
        """Makes one of a head that the library has checked, and of the start of the content."""
        head, _, body = answer.partition(b"\r\n\r\n")
        line, headers = _lines(head)
        _, status, *phrase = line.split(" ", 2)
        return cls(int(status), "".join(phrase), headers, body)


def text_response(status: int, text: str) -> Response:
    """Makes an answer of plain text."""
    status = http.HTTPStatus(status)
    headers = Headers({"Content-Type": "text/plain; charset=utf-8"})
    return Response(status.value, status.phrase, headers, text.encode())


def _lines(head: bytes) -> tuple[str, Headers]:
    """The first line of a head, and its fields."""
    first, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return first, Headers((name, value.strip(" \t")) for name, _, value in pairs)
