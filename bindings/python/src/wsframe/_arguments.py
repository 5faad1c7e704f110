"""
What a function is given, made fit for the library.

ctypes takes an int or a str for an address and cuts an integer to the width of its C type. So everything goes
through one of these first.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import index
from typing import Union

from wsframe.errors import UsageError

Buffer = Union[bytes, bytearray, memoryview]


def octets(data: Buffer) -> bytes:
    """Returns data itself if it is bytes, and otherwise a copy that is."""
    return data if type(data) is bytes else bytes(memoryview(data))


def all_octets(pieces: Iterable[Buffer]) -> list[bytes]:
    """Returns a list of what octets() makes of each."""
    pieces = list(pieces)
    # The list is new, so that nobody can put anything else in it: of bytes len() is how many there are.
    return pieces if set(map(type, pieces)) <= {bytes} else [*map(octets, pieces)]  # type: ignore[return-value]


def integer(name: str, value: int, most: int) -> int:
    """Returns value as an integer from 0 to most."""
    value = index(value)
    if not 0 <= value <= most:
        raise UsageError(f"{name} is {value}, but must be 0 to {most}")
    return value


def text(name: str, value: str) -> bytes:
    """
    Returns value in UTF-8.

    Lone surrogates that came from bytes that are not UTF-8 become these bytes again, as in file names, and
    the library judges them. Others are a UsageError.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise UsageError(f"{name} has a lone surrogate, which UTF-8 cannot express") from error
