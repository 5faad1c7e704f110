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
    addressof,
    byref,
    c_char,
    c_char_p,
    c_int,
    c_int32,
    c_size_t,
    c_ssize_t,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
    get_errno,
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


_LENT: Any = POINTER(c_char)
"""Where something is that the library lends: a slice of it is a bytes object of what is there."""


class wsframe_event(Structure):
    """The C record of that name. EVENT reads it, in a third of the time."""

    _fields_ = (
        ("connection", c_uint64),
        ("offset", c_uint64),
        ("len", c_uint64),
        ("close_code", c_uint16),
        ("kind", c_uint8),
        ("flags", c_uint8),
        ("error", c_int32),
    )


EVENT = Struct("=8xQQHBBi")
"""A wsframe_event without its connection, which is 0."""

HUB_EVENT = Struct("=QQQHBBi")
"""A wsframe_event of a hub, with its connection."""


class wsframe_batch(Structure):
    """The C record of that name."""

    _fields_ = (
        ("events", _LENT),
        ("count", c_size_t),
        ("data", _LENT),
        ("data_len", c_size_t),
        ("flags", c_uint32),
        ("reserved", c_uint32),
    )


class wsframe_output(Structure):
    """The C record of that name."""

    _fields_ = (
        ("data", _LENT),
        ("len", c_size_t),
        ("wait_ms", c_uint32),
        ("flags", c_uint32),
    )


class wsframe_field(Structure):
    """The C record of that name."""

    _fields_ = (
        ("name", _LENT),
        ("name_len", c_size_t),
        ("value", _LENT),
        ("value_len", c_size_t),
    )


class wsframe_part(Structure):
    """The C record of that name."""

    _fields_ = (
        ("data", _LENT),
        ("len", c_size_t),
    )


class wsframe_config(Structure):
    """The C record of that name. A list is given as bytes, which live as long as the record."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("flags", c_uint32),
        ("max_message_len", c_uint64),
        ("max_frame_len", c_uint64),
        ("max_inflated_len", c_uint64),
        ("high_water_len", c_uint64),
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
        ("subprotocol", c_char_p),
        ("subprotocol_len", c_size_t),
        ("target", c_char_p),
        ("target_len", c_size_t),
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


class wsframe_hub_config(Structure):
    """The C record of that name."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("max_connections", c_uint32),
        ("max_memory", c_uint64),
        ("max_per_address", c_uint32),
        ("reserved", c_uint32),
    )


HUB_CONFIG_SIZE = sizeof(wsframe_hub_config)
"""The same for a hub's."""


class wsframe_stats(Structure):
    """The C record of that name."""

    _fields_ = (
        ("connections", c_uint64),
        ("opening", c_uint64),
        ("closing", c_uint64),
        ("paused", c_uint64),
        ("waiting_len", c_uint64),
        ("accepted", c_uint64),
        ("refused", c_uint64),
        ("accept_pauses", c_uint64),
        ("messages_received", c_uint64),
        ("messages_sent", c_uint64),
        ("bytes_received", c_uint64),
        ("bytes_sent", c_uint64),
        ("dropped", c_uint64),
        ("read_pauses", c_uint64),
        ("polls", c_uint64),
        ("busy_us", c_uint64),
        ("application_us", c_uint64),
    )


STATS_SIZE = sizeof(wsframe_stats)

_IN = _OUT = c_void_p  # a bytes object is passed as the address of its bytes, without a copy
_HEADER = POINTER(wsframe_header)  # a record is passed as its address
_CONFIG = POINTER(wsframe_config)
_DEFLATE = POINTER(wsframe_deflate)
_BATCH = POINTER(wsframe_batch)
_OUTPUT = POINTER(wsframe_output)
_FIELD = POINTER(wsframe_field)
_PARTS = POINTER(wsframe_part)
_STATS = POINTER(wsframe_stats)
_CONNECTION = _MESSAGE = _HUB = c_void_p
_LENS = _IDS = c_void_p  # what lengths() and ids() make
_LENDS = POINTER(_LENT)
_ID = POINTER(c_uint64)

TABLE = (
    # name, what it returns, what it takes
    ("wsframe_version", c_uint32, ()),
    ("wsframe_strerror", c_char_p, (c_ssize_t,)),
    ("wsframe_why", c_char_p, ()),
    ("wsframe_close_code", c_uint16, (c_ssize_t,)),
    ("wsframe_header_parse", c_ssize_t, (_IN, c_size_t, _HEADER)),
    ("wsframe_header_build", c_ssize_t, (_HEADER, _OUT, c_size_t)),
    ("wsframe_frame_build", c_ssize_t, (c_uint32, _IN, c_size_t, _OUT, c_size_t)),
    ("wsframe_frames_build", c_ssize_t, (c_uint32, _IN, _LENS, c_size_t, _OUT, c_size_t)),
    ("wsframe_accept_key", c_ssize_t, (_IN, c_size_t, _OUT, c_size_t)),
    ("wsframe_unmask", c_ssize_t, (_IN, c_size_t, _IN, c_size_t, _OUT)),
    ("wsframe_utf8_check", c_ssize_t, (_IN, c_size_t)),
    ("wsframe_handshake_answer", c_ssize_t, (_IN, c_size_t, _CONFIG, _OUT, c_size_t)),
    ("wsframe_extensions_answer", c_ssize_t, (_IN, c_size_t, _CONFIG, _OUT, c_size_t)),
    ("wsframe_message_new", c_ssize_t, (c_uint32, _IN, c_size_t, _CONFIG, POINTER(_MESSAGE))),
    ("wsframe_message_free", None, (_MESSAGE,)),
    ("wsframe_connection_new", c_ssize_t, (c_uint32, _CONFIG, POINTER(_CONNECTION))),
    ("wsframe_connection_free", None, (_CONNECTION,)),
    ("wsframe_connection_state", c_ssize_t, (_CONNECTION,)),
    ("wsframe_connection_error", c_char_p, (_CONNECTION,)),
    ("wsframe_connection_subprotocol", c_ssize_t, (_CONNECTION, _LENDS)),
    ("wsframe_connection_deflate", c_ssize_t, (_CONNECTION, _DEFLATE)),
    ("wsframe_connection_request", c_ssize_t, (_CONNECTION, _IN, c_size_t, _IN, c_size_t)),
    ("wsframe_connection_add_field", c_ssize_t, (_CONNECTION, _IN, c_size_t, _IN, c_size_t)),
    ("wsframe_connection_accept", c_ssize_t, (_CONNECTION, _IN, c_size_t, c_uint32, _BATCH)),
    ("wsframe_connection_respond", c_ssize_t, (_CONNECTION, c_uint32, _IN, c_size_t)),
    ("wsframe_connection_target", c_ssize_t, (_CONNECTION, _LENDS)),
    ("wsframe_connection_field", c_ssize_t, (_CONNECTION, _IN, c_size_t, _LENDS)),
    ("wsframe_connection_field_at", c_ssize_t, (_CONNECTION, c_size_t, _FIELD)),
    ("wsframe_connection_output", c_ssize_t, (_CONNECTION, c_size_t, c_uint64, _OUTPUT)),
    ("wsframe_connection_parts", c_ssize_t, (_CONNECTION, _PARTS, c_size_t)),
    ("wsframe_connection_waiting", c_ssize_t, (_CONNECTION,)),
    ("wsframe_connection_receive", c_ssize_t, (_CONNECTION, _IN, c_size_t, _BATCH)),
    ("wsframe_connection_receive_in_place", c_ssize_t, (_CONNECTION, _OUT, c_size_t, _BATCH)),
    ("wsframe_connection_gone", c_ssize_t, (_CONNECTION, _BATCH)),
    ("wsframe_connection_send", c_ssize_t, (_CONNECTION, c_uint32, _IN, c_size_t)),
    ("wsframe_connection_send_many", c_ssize_t, (_CONNECTION, c_uint32, _IN, _LENS, c_size_t)),
    ("wsframe_connection_send_message", c_ssize_t, (_CONNECTION, _MESSAGE)),
    ("wsframe_connection_close", c_ssize_t, (_CONNECTION, c_uint32, _IN, c_size_t)),
    ("wsframe_hub_new", c_ssize_t, (POINTER(wsframe_hub_config), POINTER(_HUB))),
    ("wsframe_hub_free", None, (_HUB,)),
    ("wsframe_hub_listen", c_ssize_t, (_HUB, _IN, c_size_t, c_uint32, _CONFIG)),
    ("wsframe_hub_poll", c_ssize_t, (_HUB, c_uint32, _BATCH)),
    ("wsframe_hub_connection", c_ssize_t, (_HUB, c_uint64, POINTER(_CONNECTION))),
    ("wsframe_hub_send", c_ssize_t, (_HUB, c_uint64, c_uint32, _IN, c_size_t)),
    ("wsframe_hub_send_many", c_ssize_t, (_HUB, _IDS, c_uint32, _IN, _LENS, c_size_t)),
    ("wsframe_hub_subscribe", c_ssize_t, (_HUB, c_uint64, _IN, c_size_t)),
    ("wsframe_hub_unsubscribe", c_ssize_t, (_HUB, c_uint64, _IN, c_size_t)),
    ("wsframe_hub_subscribers", c_ssize_t, (_HUB, _IN, c_size_t)),
    ("wsframe_hub_publish", c_ssize_t, (_HUB, _IN, c_size_t, c_uint64, c_uint32, _IN, c_size_t)),
    ("wsframe_hub_pause", c_ssize_t, (_HUB, c_uint64, c_uint32)),
    ("wsframe_hub_fd", c_ssize_t, (_HUB,)),
    ("wsframe_hub_wake", c_ssize_t, (_HUB,)),
    ("wsframe_hub_stop", c_ssize_t, (_HUB, c_uint32)),
    ("wsframe_hub_stats", c_ssize_t, (_HUB, _STATS, c_size_t)),
    ("wsframe_hub_adopt", c_ssize_t, (_HUB, c_int, c_uint32, c_uint32, _CONFIG, _ID)),
    ("wsframe_hub_connect", c_ssize_t, (_HUB, _IN, c_size_t, _IN, c_size_t, _CONFIG, _ID)),
    ("wsframe_hub_set_certificate", c_ssize_t, (_HUB, c_uint16, _IN, c_size_t, _IN, c_size_t)),
    ("wsframe_hub_trust", c_ssize_t, (_HUB, _IN, c_size_t)),
    ("wsframe_hub_terminate", c_ssize_t, (_HUB, c_uint64)),
    ("wsframe_hub_address", c_ssize_t, (_HUB, c_uint64, _LENDS)),
    ("wsframe_hub_set_user", c_ssize_t, (_HUB, c_uint64, _IN)),
    ("wsframe_hub_user", c_void_p, (_HUB, c_uint64)),
    ("wsframe_hub_timer", c_ssize_t, (_HUB, c_uint64, c_uint32)),
    ("wsframe_hub_watch", c_ssize_t, (_HUB, c_int, c_uint32)),
)

# The header of the masked "Hello" in RFC 6455 section 5.7, and the record that the library must make of it.
_PROBE = b"\x81\x85\x37\xfa\x21\x3d"
_PROBE_RECORD = wsframe_header(5, 0x1, 0x81, 6, 0, (0x37, 0xFA, 0x21, 0x3D))

# A ping and a close frame with half a code, for a server that starts open (8), takes frames without a mask
# (256) and gives its peer 1234 ms after a failure; and what the library must make of them: events (length,
# close code, kind, flags, error), the first byte of data, the output (its bytes, the time to wait, flags).
_PROBE_FRAMES = b"\x89\x01x\x88\x01\x00"
_PROBE_CONFIG = wsframe_config(CONFIG_SIZE, 8 | 256, close_timeout_ms=1234)
_PROBE_ANSWERS = ([(1, 0, 9, 0, 0), (0, 1002, 19, 0, -33)], b"x", b"\x8a\x01x\x88\x02\x03\xea", 1234, 0)


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
    answers = _probe_connection(library)
    if answers != _PROBE_ANSWERS:
        raise ImportError(
            f"{path}: this library lays out the records of connections differently:"
            f" it made {answers} where {_PROBE_ANSWERS} is right"
        )
    return library


def _declare(library: CDLL, path: str) -> None:
    """Gives the functions of a library their types."""
    for name, returned, taken in TABLE:
        if not hasattr(library, name):
            raise ImportError(f"{path}: this is not libwsframe {text_of(VERSION)} or later, it has no {name}")
        function = getattr(library, name)
        function.restype, function.argtypes = returned, taken


def _probe_connection(library: CDLL) -> tuple[list[tuple[int, ...]], bytes, bytes, int, int]:
    """What a library makes of a config and two frames: see _PROBE_ANSWERS."""
    handle, batch, output = c_void_p(), wsframe_batch(), wsframe_output()
    library.wsframe_connection_new(0, _PROBE_CONFIG, handle)
    library.wsframe_connection_receive(handle, _PROBE_FRAMES, len(_PROBE_FRAMES), batch)
    records = batch.events[: batch.count * EVENT.size] if batch.events else b""
    data = batch.data[:1] if batch.data_len else b""
    library.wsframe_connection_output(handle, 0, 0, output)
    written = output.data[: output.len] if output.data else b""
    library.wsframe_connection_free(handle)
    return [record[1:] for record in EVENT.iter_unpack(records)], data, written, output.wait_ms, output.flags


def _undeclared(library: CDLL, name: str) -> Callable[..., Any]:
    """
    Returns a function of the library that does not check what it is given. That saves a third of the time.

    Of an integer the lower 32 bits arrive: a size has to be what size_of() returns. A record is given as
    bytes, or as what byref() returned once. That arrives, as bytes do, without another object for the way.
    """
    function: Any = library[name]
    function.restype = getattr(library, name).restype
    return function  # type: ignore[no-any-return]


lib = _load()
"""The library, for calls that may take long. During a call other threads of Python run."""

held = PyDLL(lib._name, handle=lib._handle)
"""
The library, for short calls. During a call other threads of Python wait.

The calls are short and many. To let others run would take time at each of them, and among busy threads a wait
of 5 ms (sys.getswitchinterval()) until they let this one run again.
"""
_declare(held, lib._name)

header_parse = _undeclared(held, "wsframe_header_parse")
header_build = _undeclared(held, "wsframe_header_build")
frame_build = _undeclared(held, "wsframe_frame_build")
accept_key = _undeclared(held, "wsframe_accept_key")
unmask = _undeclared(held, "wsframe_unmask")
utf8_check = _undeclared(held, "wsframe_utf8_check")

receive = _undeclared(held, "wsframe_connection_receive")
receive_long = _undeclared(lib, "wsframe_connection_receive")
output = _undeclared(held, "wsframe_connection_output")
send = _undeclared(held, "wsframe_connection_send")
send_long = _undeclared(lib, "wsframe_connection_send")
send_message = _undeclared(held, "wsframe_connection_send_message")

last_errno = get_errno
"""Returns what the system said to the last hub_listen() of this thread."""

hub_listen = PyDLL(lib._name, handle=lib._handle, use_errno=True).wsframe_hub_listen
hub_listen.restype, hub_listen.argtypes = held.wsframe_hub_listen.restype, held.wsframe_hub_listen.argtypes
hub_poll = _undeclared(held, "wsframe_hub_poll")
hub_poll_long = _undeclared(lib, "wsframe_hub_poll")
hub_send = _undeclared(held, "wsframe_hub_send")
hub_send_long = _undeclared(lib, "wsframe_hub_send")


class _Opaque(Structure):
    """What a handle points to, which is freed with the last reference to this object."""

    _fields_ = ()
    free: Callable[[int], None]

    def __del__(self, addressof: Callable[[Structure], int] = addressof) -> None:
        self.free(addressof(self))


class _Connection(_Opaque):
    free = held.wsframe_connection_free


class _Message(_Opaque):
    free = held.wsframe_message_free


class _Hub(_Opaque):
    free = held.wsframe_hub_free


class _HubConnection(Structure):
    """What a hub lends: a connection that is the hub's, which is not freed while this object refers to it."""

    _fields_ = ()
    hub: Any


def new_connection(role: int, config: wsframe_config) -> tuple[int, Any]:
    """
    Returns the result of wsframe_connection_new(), and the handle as an argument for the library.

    Each call holds a reference to the argument, so no call can have a handle that was freed.
    """
    handle = c_void_p()
    result: int = held.wsframe_connection_new(role, config, handle)
    return result, byref(_Connection.from_address(handle.value)) if handle.value else None


def new_message(opcode: int, payload: bytes, config: wsframe_config) -> tuple[int, Any]:
    """The same for wsframe_message_new()."""
    handle = c_void_p()
    result: int = lib.wsframe_message_new(opcode, payload, len(payload), config, handle)
    return result, byref(_Message.from_address(handle.value)) if handle.value else None


def new_hub(config: wsframe_hub_config) -> tuple[int, Any]:
    """The same for wsframe_hub_new()."""
    handle = c_void_p()
    result: int = held.wsframe_hub_new(config, handle)
    return result, byref(_Hub.from_address(handle.value)) if handle.value else None


def new_id() -> tuple[Any, Any]:
    """A number for the library to write an id to, and the argument with which it does so."""
    number = c_uint64()
    return number, byref(number)


def hub_connection(hub: Any, connection: int) -> tuple[int, Any]:
    """The same for wsframe_hub_connection()."""
    handle = c_void_p()
    result: int = held.wsframe_hub_connection(hub, connection, handle)
    if not handle.value:
        return result, None
    lent = _HubConnection.from_address(handle.value)
    lent.hub = hub
    return result, byref(lent)


class Lent:
    """
    What calls lend: a batch of events, or an output. Both are written by the calls that get their argument.

    events, data and output are pointers, of which a slice is a bytes object; flags, wait_ms, and more have a
    value. They are views into the two records. To have them made once saves most of the time to read a
    record.
    """

    __slots__ = (
        *("as_batch", "as_output", "data", "events", "flags", "more", "output", "wait_ms"),
        *("is_taken", "now_ms", "time"),
    )

    def __init__(self) -> None:
        batch, output = wsframe_batch(), wsframe_output()
        self.as_batch, self.as_output = byref(batch), byref(output)
        self.events = _LENT.from_buffer(batch, wsframe_batch.events.offset)
        self.data = _LENT.from_buffer(batch, wsframe_batch.data.offset)
        self.flags = c_uint32.from_buffer(batch, wsframe_batch.flags.offset)
        self.output = _LENT.from_buffer(output, wsframe_output.data.offset)
        self.wait_ms = c_uint32.from_buffer(output, wsframe_output.wait_ms.offset)
        self.more = c_uint32.from_buffer(output, wsframe_output.flags.offset)
        self.is_taken = False
        # The time that was told last, and as an argument: turns of many connections have the same.
        self.now_ms, self.time = 0, time_of(0)


size_of = lru_cache(maxsize=1024)(c_size_t.from_param)
"""Returns a size as an argument. That it is found instead of made saves half of the time for it."""

time_of = id_of = c_uint64.from_param
"""Returns a time, or the id of a connection, as an argument."""

SIZES = [*map(c_size_t.from_param, range(4096))]
"""The same for a short length, which is its index. To find one there takes half of the time again."""

ALL = size_of(2 ** (8 * sizeof(c_size_t)) - 1)
"""WSFRAME_ALL."""


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


def ids(connections: list[int]) -> bytes:
    """The ids of connections as C's uint64_t, one behind the other."""
    return pack(f"{len(connections)}Q", *connections)


new_bytes = PYFUNCTYPE(py_object, c_char_p, c_ssize_t)(("PyBytes_FromStringAndSize", pythonapi))
"""
Makes a bytes object for the library to fill: new_bytes(None, size).

C extensions make their results in this way. The object may be written to only because nobody else has seen it
yet, and must be full before anybody does. It saves a second buffer and a copy out of it, which for a large
payload take far longer than the unmasking.
"""
