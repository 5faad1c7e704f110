"""How a connection ends: close codes, and what a close frame says."""

from __future__ import annotations

import enum
from typing import NamedTuple


class CloseCode(enum.IntEnum):
    """The close codes of RFC 6455 section 7.4.1, and those that were registered since."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


class Close(NamedTuple):
    """What a close frame says."""

    code: int
    """The close code; 1005 if the frame had none."""
    reason: str

    def __str__(self) -> str:
        return f"{self.code} ({_NAMES.get(self.code, 'private use')}) {self.reason}".rstrip()


_NAMES = {code.value: code.name.replace("_", " ").lower() for code in CloseCode}
_NAMES[CloseCode.NORMAL_CLOSURE] = "OK"
