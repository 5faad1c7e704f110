"""What the library reports as a number below 0, as exceptions."""

from __future__ import annotations

import enum

from wsframe._ffi import lib


class ErrorCode(enum.IntEnum):
    """
    What UsageError.code, ProtocolError.code and Event.error say.

    About the call: ARGUMENT, it cannot be right; STATE, the connection cannot do this now; SPACE, more output
    waits than high_water_len; MEMORY, there is none; INTERNAL, a defect of the library; IO, the operating
    system refused. About the peer: HANDSHAKE, its opening handshake is none; PROTOCOL, it broke a rule of
    framing; UTF8, its text is not UTF-8; TOO_BIG, it sent more than the limits allow; POLICY, it did what is
    not wanted here; TIMEOUT, it had its time.
    """

    ARGUMENT = -1
    STATE = -2
    SPACE = -3
    MEMORY = -4
    INTERNAL = -5
    IO = -6
    HANDSHAKE = -32
    PROTOCOL = -33
    UTF8 = -34
    TOO_BIG = -35
    POLICY = -36
    TIMEOUT = -37


class ProtocolError(Exception):
    """
    The peer broke a rule: end the connection with it, and no other.

    str() of it is a sentence for the log that says which.

    code is an ErrorCode: HANDSHAKE, PROTOCOL, UTF8, TOO_BIG or POLICY.

    close_code is what to put into the close frame for the peer (RFC 6455 section 7.4.1): 1002, 1007, 1008 or
    1009. It is 0 where no close frame is due: a bad opening handshake is answered with HTTP status 400.
    """

    def __init__(self, sentence: str, code: ErrorCode, close_code: int) -> None:
        super().__init__(sentence, code, close_code)
        self.code = code
        self.close_code = close_code

    def __str__(self) -> str:
        return str(self.args[0])


class UsageError(Exception):
    """
    The call was wrong, whatever the peer did: mend the program.

    str() of it says what was wrong. code is an ErrorCode: ARGUMENT for nearly all of them, STATE if a
    connection cannot do this now, SPACE if too much output waits, and rarely MEMORY, INTERNAL or IO.

    An argument of a wrong type is a TypeError, as everywhere in Python.
    """

    def __init__(self, sentence: str, code: ErrorCode = ErrorCode.ARGUMENT) -> None:
        super().__init__(sentence)
        self.code = code


def checked(result: int) -> int:
    """
    Returns the count that a function of the library has returned, or raises what its error means.

    It has to be the last that this thread has called.
    """
    if result >= 0:
        return result
    why = lib.wsframe_why() or lib.wsframe_strerror(result)
    code = ErrorCode(result)
    if code <= ErrorCode.HANDSHAKE:
        raise ProtocolError(why.decode(), code, lib.wsframe_close_code(result))
    raise UsageError(why.decode(), code)
