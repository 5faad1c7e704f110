"""The border to libwsframe: one table of its functions, the loader, and the checks made when it loads.

No other file imports ctypes. What each function does is said in include/wsframe.h.
"""

from __future__ import annotations

import os
import sys
from ctypes import (
    CDLL,
    POINTER,
    PYFUNCTYPE,
    PyDLL,
    Structure,
    byref,
    c_char,
    c_char_p,
    c_int32,
    c_size_t,
    c_ssize_t,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
    py_object,
    pythonapi,
    sizeof,
)
from functools import lru_cache
from struct import Struct, pack
from typing import Any, Callable

Version = tuple[int, int, int]

VERSION: Version = (0, 1, 0)
"""The version of include/wsframe.h that this file was written for."""


class wsframe_header(Structure):
    """The C record of that name. HEADER packs and unpacks it."""

    _fields_ = (
        ("payload_len", c_uint64),
        ("opcode", c_uint8),
        ("flags", c_uint8),
        ("header_len", c_uint8),
        ("reserved", c_uint8),
        ("mask_key", c_uint8 * 4),
    )


HEADER = Struct("=QBBBx4s")
"""
A wsframe_header in 16 bytes, in a quarter of the time. What is in a bytes object of CPython is aligned for C.
"""


class wsframe_event(Structure):
    """The C record of that name. EVENT reads it, in a third of the time."""

    _fields_ = (
        ("connection", c_uint64),
        ("offset", c_uint64),
        ("length", c_uint64),
        ("close_code", c_uint16),
        ("kind", c_uint8),
        ("flags", c_uint8),
        ("error", c_int32),
    )


EVENT = Struct("=8xQQHBBi")
"""A wsframe_event without its connection, which is 0 here."""


class wsframe_config(Structure):
    """The C record of that name. A list is given as bytes, which live as long as the record."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("max_message_len", c_uint64),
        ("max_frame_len", c_uint64),
        ("max_output_len", c_uint64),
        ("max_fragments", c_uint32),
        ("max_head_len", c_uint32),
        ("max_head_fields", c_uint32),
        ("handshake_timeout_ms", c_uint32),
        ("close_timeout_ms", c_uint32),
        ("ping_interval_ms", c_uint32),
        ("subprotocols", c_char_p),
        ("subprotocols_len", c_size_t),
        ("origins", c_char_p),
        ("origins_len", c_size_t),
        ("deflate_min_len", c_uint32),
        ("deflate_level", c_uint32),
        ("server_max_window_bits", c_uint32),
        ("client_max_window_bits", c_uint32),
        ("extensions", c_char_p),
        ("extensions_len", c_size_t),
    )


CONFIG_SIZE = sizeof(wsframe_config)
"""What struct_size of a config is."""


class wsframe_deflate(Structure):
    """The C record of that name."""

    _fields_ = (
        ("server_no_context_takeover", c_uint8),
        ("client_no_context_takeover", c_uint8),
        ("server_max_window_bits", c_uint8),
        ("client_max_window_bits", c_uint8),
    )


_IN = _OUT = c_void_p  # a bytes object is passed as the address of its bytes, without a copy
_HEADER = POINTER(wsframe_header)  # a record is passed as its address
_CONFIG = POINTER(wsframe_config)
_DEFLATE = POINTER(wsframe_deflate)
_CONNECTION = _MESSAGE = c_void_p
_LENS = c_void_p  # what lengths() makes
_LENT = POINTER(c_char)  # a slice of it is a bytes object of what is there
_LENDS = POINTER(_LENT)

TABLE = (
    # name, what it returns, what it takes
    ("wsframe_version", c_uint32, ()),
    ("wsframe_strerror", c_char_p, (c_ssize_t,)),
    ("wsframe_close_code", c_uint16, (c_ssize_t,)),
    ("wsframe_header_parse", c_ssize_t, (_IN, c_size_t, _HEADER)),
    ("wsframe_header_build", c_ssize_t, (_HEADER, _OUT, c_size_t)),
    ("wsframe_frame_size", c_ssize_t, (c_uint64,)),
    ("wsframe_frame_build", c_ssize_t, (c_uint32, _IN, c_size_t, _OUT, c_size_t)),
    ("wsframe_frames_build", c_ssize_t, (c_uint32, _IN, _LENS, c_size_t, _OUT, c_size_t)),
    ("wsframe_accept_key", c_ssize_t, (_IN, c_size_t, _OUT, c_size_t)),
    ("wsframe_unmask", c_ssize_t, (_OUT, c_size_t, _IN, c_size_t)),
    ("wsframe_unmask_copy", c_ssize_t, (_IN, c_size_t, _IN, c_size_t, _OUT)),
    ("wsframe_utf8_check", c_ssize_t, (_IN, c_size_t)),
    ("wsframe_handshake_answer", c_ssize_t, (_IN, c_size_t, _CONFIG, _OUT, c_size_t)),
    ("wsframe_extensions_answer", c_ssize_t, (_IN, c_size_t, _CONFIG, _OUT, c_size_t)),
    ("wsframe_message_new", c_ssize_t, (c_uint32, _IN, c_size_t, _CONFIG, POINTER(_MESSAGE))),
    ("wsframe_message_free", None, (_MESSAGE,)),
    ("wsframe_connection_new", c_ssize_t, (c_uint32, _CONFIG, POINTER(_CONNECTION))),
    ("wsframe_connection_free", None, (_CONNECTION,)),
    ("wsframe_connection_receive", c_ssize_t, (_CONNECTION, _IN, c_size_t)),
    ("wsframe_connection_receive_in_place", c_ssize_t, (_CONNECTION, _OUT, c_size_t)),
    ("wsframe_connection_events", _LENT, (_CONNECTION,)),
    ("wsframe_connection_data", c_ssize_t, (_CONNECTION, _LENDS)),
    ("wsframe_connection_output", c_ssize_t, (_CONNECTION, _LENDS)),
    ("wsframe_connection_sent", c_ssize_t, (_CONNECTION, c_size_t)),
    ("wsframe_connection_send", c_ssize_t, (_CONNECTION, c_uint32, _IN, c_size_t)),
    ("wsframe_connection_send_many", c_ssize_t, (_CONNECTION, c_uint32, _IN, _LENS, c_size_t)),
    ("wsframe_connection_send_message", c_ssize_t, (_CONNECTION, _MESSAGE)),
    ("wsframe_connection_send_piece", c_ssize_t, (_CONNECTION, c_uint32, _IN, c_size_t, c_uint32)),
    ("wsframe_connection_ping", c_ssize_t, (_CONNECTION, _IN, c_size_t)),
    ("wsframe_connection_pong", c_ssize_t, (_CONNECTION, _IN, c_size_t)),
    ("wsframe_connection_close", c_ssize_t, (_CONNECTION, c_uint32, _IN, c_size_t)),
    ("wsframe_connection_request", c_ssize_t, (_CONNECTION, _IN, c_size_t, _IN, c_size_t)),
    ("wsframe_connection_add_field", c_ssize_t, (_CONNECTION, _IN, c_size_t, _IN, c_size_t)),
    ("wsframe_connection_accept", c_ssize_t, (_CONNECTION, _IN, c_size_t)),
    ("wsframe_connection_refuse", c_ssize_t, (_CONNECTION, c_uint32, _IN, c_size_t)),
    ("wsframe_connection_decline_deflate", c_ssize_t, (_CONNECTION,)),
    ("wsframe_connection_target", c_ssize_t, (_CONNECTION, _LENDS)),
    ("wsframe_connection_field", c_ssize_t, (_CONNECTION, _IN, c_size_t, _LENDS)),
    ("wsframe_connection_subprotocol", c_ssize_t, (_CONNECTION, _LENDS)),
    ("wsframe_connection_deflate", c_ssize_t, (_CONNECTION, _DEFLATE)),
    ("wsframe_connection_state", c_ssize_t, (_CONNECTION,)),
    ("wsframe_connection_error", c_char_p, (_CONNECTION,)),
    ("wsframe_connection_tick", c_ssize_t, (_CONNECTION, c_uint64)),
)

# The header of the masked "Hello" in RFC 6455 section 5.7, and the record that the library must make of it.
_PROBE = b"\x81\x85\x37\xfa\x21\x3d"
_PROBE_RECORD = wsframe_header(5, 0x1, 0x81, 6, 0, (0x37, 0xFA, 0x21, 0x3D))

# A ping and a close frame with half a code, for a server that starts open (8), takes frames without a mask
# (256) and gives its peer 1234 ms after a failure; and the events that the library must make of them: length,
# close code, kind, flags, error.
_PROBE_FRAMES = b"\x89\x01x\x88\x01\x00"
_PROBE_CONFIG = wsframe_config(CONFIG_SIZE, 8 | 256, close_timeout_ms=1234)
_PROBE_EVENTS = [(1, 0, 6, 0, 0), (0, 1002, 9, 0, -33)]


def version_of(library: CDLL) -> Version:
    """The version that a library says it has."""
    number = library.wsframe_version()
    return number >> 16, number >> 8 & 0xFF, number & 0xFF


def text_of(version: Version) -> str:
    """A version as people write it, such as 0.1.0."""
    return ".".join(map(str, version))


def _load() -> CDLL:
    named = os.environ.get("WSFRAME_LIBRARY")
    if named:  # Whoever names one library wants no other: nothing else is tried.
        places = {"named by WSFRAME_LIBRARY": named}
    else:
        file, soname = _names(VERSION[0])
        beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), file)
        places = {"beside the package": beside, "where the system looks": soname}
    failures = []
    for place, path in places.items():
        try:
            return _open(path)
        except (OSError, ImportError) as error:
            failures.append(f"\n  {place}: {error}")
    raise ImportError("libwsframe cannot be used." + "".join(failures))


def _names(major: int) -> tuple[str, str]:
    """The name of the library's file, and the system's name for it, whose number is the major version."""
    if sys.platform == "win32":
        return "wsframe.dll", "wsframe.dll"
    if sys.platform == "darwin":
        return "libwsframe.dylib", f"libwsframe.{major}.dylib"
    return "libwsframe.so", f"libwsframe.so.{major}"


def _open(path: str) -> CDLL:
    """Loads the library at path and makes sure that it is what the table and the record describe."""
    library = CDLL(path)
    _declare(library, path)
    found = version_of(library)
    if found[0] != VERSION[0] or found < VERSION:
        raise ImportError(
            f"{path}: this is libwsframe {text_of(found)}, but the package needs"
            f" {text_of(VERSION)} or later, below {VERSION[0] + 1}.0.0"
        )

    record = wsframe_header()
    library.wsframe_header_parse(_PROBE, len(_PROBE), record)
    if sizeof(record) != 16 or bytes(record) != bytes(_PROBE_RECORD):
        raise ImportError(
            f"{path}: this library lays out the record wsframe_header differently:"
            f" it wrote {bytes(record).hex()} where {bytes(_PROBE_RECORD).hex()} is right"
        )
    wait_ms, events = _probe_connection(library)
    if wait_ms != 1234 or events != _PROBE_EVENTS:
        raise ImportError(
            f"{path}: this library lays out the records wsframe_config or wsframe_event differently:"
            f" it waits {wait_ms} ms where 1234 is right,"
            f" and has the events {events} where {_PROBE_EVENTS} are right"
        )
    return library


def _declare(library: CDLL, path: str) -> None:
    """Gives the functions of a library their types."""
    for name, returned, taken in TABLE:
        if not hasattr(library, name):
            raise ImportError(f"{path}: this is not libwsframe {text_of(VERSION)} or later, it has no {name}")
        function = getattr(library, name)
        function.restype, function.argtypes = returned, taken


def _probe_connection(library: CDLL) -> tuple[int, list[tuple[int, ...]]]:
    """What a library makes of a config and two frames: a time to wait, and the events without offsets."""
    handle = c_void_p()
    library.wsframe_connection_new(0, _PROBE_CONFIG, handle)
    count = library.wsframe_connection_receive(handle, _PROBE_FRAMES, len(_PROBE_FRAMES))
    records = library.wsframe_connection_events(handle)[: count * EVENT.size] if count > 0 else b""
    wait_ms: int = library.wsframe_connection_tick(handle, 0)
    library.wsframe_connection_free(handle)
    return wait_ms, [record[1:] for record in EVENT.iter_unpack(records)]


def _undeclared(name: str) -> Callable[..., Any]:
    """
    Returns a function of the library that does not check what it is given. That saves up to half the time.

    Of an integer the lower 32 bits arrive: a size has to be a Size. A record would be copied: it is given as
    bytes. Bytes and handles are taken as ever.
    """
    function: Any = held[name]
    function.restype = getattr(held, name).restype
    return function  # type: ignore[no-any-return]


lib = _load()
"""The library, for calls without a handle that may take long. During a call other threads of Python run."""

held = PyDLL(lib._name, handle=lib._handle)
"""
The library, for connections and short calls. During a call other threads of Python wait.

The calls are short and many. To let others run would take time at each of them, and among busy threads a wait
of 5 ms (sys.getswitchinterval()) until they let this one run again.
"""
_declare(held, lib._name)

header_parse = _undeclared("wsframe_header_parse")
header_build = _undeclared("wsframe_header_build")
frame_build = _undeclared("wsframe_frame_build")
accept_key = _undeclared("wsframe_accept_key")
unmask_copy = _undeclared("wsframe_unmask_copy")
utf8_check = _undeclared("wsframe_utf8_check")

receive = _undeclared("wsframe_connection_receive")
events = _undeclared("wsframe_connection_events")
data = _undeclared("wsframe_connection_data")
output = _undeclared("wsframe_connection_output")
sent = _undeclared("wsframe_connection_sent")
send = _undeclared("wsframe_connection_send")
send_message = _undeclared("wsframe_connection_send_message")
tick = _undeclared("wsframe_connection_tick")
state = _undeclared("wsframe_connection_state")


class Handle(c_void_p):
    """
    The handle of a connection, which is freed with the last reference to this object.

    Each call holds one, so no call can have a handle that was freed.
    """

    __slots__ = ()

    def __del__(self, free: Callable[[c_void_p], None] = held.wsframe_connection_free) -> None:
        free(self)


class MessageHandle(c_void_p):
    """The same for a prepared message."""

    __slots__ = ()

    def __del__(self, free: Callable[[c_void_p], None] = held.wsframe_message_free) -> None:
        free(self)


Size, Time = c_size_t, c_uint64
"""Arguments that a connection keeps for the undeclared functions, and sets before each call."""


size_of = lru_cache(maxsize=1024)(Size)
"""
Returns a Size for one call. Nobody may change it: other calls get the same one, in any thread.

It stands where no handle keeps one. That it is found instead of made saves half of the time for it.
"""


def lent() -> tuple[Any, Any]:
    """
    A pointer for the library to set to what it lends, and the argument with which it does so.

    A slice of the pointer is a bytes object of what is there.
    """
    pointer = _LENT()
    return pointer, byref(pointer)


def lengths(pieces: list[bytes]) -> bytes:
    """The lengths of pieces as C's size_t, one behind the other."""
    return pack(f"{len(pieces)}N", *map(len, pieces))


new_bytes = PYFUNCTYPE(py_object, c_char_p, c_ssize_t)(("PyBytes_FromStringAndSize", pythonapi))
"""
Makes a bytes object for the library to fill: new_bytes(None, size).

C extensions make their results in this way. The object may be written to only because nobody else has seen it
yet, and must be full before anybody does. It saves a second buffer and a copy out of it, which for a large
payload take far longer than the unmasking.
"""
