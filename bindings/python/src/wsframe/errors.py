"""What the library reports as a number below 0, as exceptions."""

from __future__ import annotations

from wsframe._ffi import lib

# WSFRAME_ERROR_ARGUMENT, _STATE, and _HANDSHAKE: from there down the peer is to blame.
ARGUMENT = -1
STATE = -2
HANDSHAKE = -32


class ProtocolError(Exception):
    """
    The peer broke a rule: end the connection with it, and no other.

    str() of it is a sentence for the log that names the section of RFC 6455.

    code is the WSFRAME_ERROR_* number: -32 HANDSHAKE, -33 PROTOCOL, -34 UTF8, -35 TOO_BIG, -36 POLICY.

    close_code is what to put into the close frame for the peer (RFC 6455 section 7.4.1): 1002, 1007, 1008 or
    1009. It is 0 where no close frame is due: a bad opening handshake is answered with HTTP status 400.
    """

    def __init__(self, sentence: str, code: int, close_code: int) -> None:
        super().__init__(sentence, code, close_code)
        self.code = code
        self.close_code = close_code

    def __str__(self) -> str:
        return str(self.args[0])


class UsageError(Exception):
    """
    The call was wrong, whatever the peer did: mend the program.

    str() of it says what was wrong. code is the WSFRAME_ERROR_* number: -1 ARGUMENT for nearly all of them,
    -2 STATE if a connection cannot do this now, -3 SPACE if too much output waits, and rarely -4 MEMORY, -5
    INTERNAL, -6 IO.

    An argument of a wrong type is a TypeError, as everywhere in Python.
    """

    def __init__(self, sentence: str, code: int = ARGUMENT) -> None:
        super().__init__(sentence)
        self.code = code


def checked(result: int) -> int:
    """Returns the count that a function of the library returned, or raises what its error means."""
    if result >= 0:
        return result
    sentence = lib.wsframe_strerror(result).decode()
    if result <= HANDSHAKE:
        raise ProtocolError(sentence, result, lib.wsframe_close_code(result))
    raise UsageError(sentence, result)
