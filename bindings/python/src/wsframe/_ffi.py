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
    Structure,
    c_char_p,
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

Version = tuple[int, int, int]

VERSION: Version = (0, 1, 0)
"""The version of include/wsframe.h that this file was written for."""


class wsframe_header(Structure):
    """The C record of that name."""

    _fields_ = (
        ("payload_len", c_uint64),
        ("opcode", c_uint8),
        ("flags", c_uint8),
        ("header_len", c_uint8),
        ("reserved", c_uint8),
        ("mask_key", c_uint8 * 4),
    )


_IN = _OUT = c_void_p  # a bytes object is passed as the address of its bytes, without a copy
_HEADER = POINTER(wsframe_header)  # a record is passed as its address

TABLE = (
    # name, what it returns, what it takes
    ("wsframe_version", c_uint32, ()),
    ("wsframe_strerror", c_char_p, (c_ssize_t,)),
    ("wsframe_close_code", c_uint16, (c_ssize_t,)),
    ("wsframe_header_parse", c_ssize_t, (_IN, c_size_t, _HEADER)),
    ("wsframe_header_build", c_ssize_t, (_HEADER, _OUT, c_size_t)),
    ("wsframe_frame_size", c_ssize_t, (c_uint64,)),
    ("wsframe_frame_build", c_ssize_t, (c_uint32, _IN, c_size_t, _OUT, c_size_t)),
    ("wsframe_accept_key", c_ssize_t, (_IN, c_size_t, _OUT, c_size_t)),
    ("wsframe_unmask", c_ssize_t, (_OUT, c_size_t, _IN, c_size_t)),
    ("wsframe_unmask_copy", c_ssize_t, (_IN, c_size_t, _IN, c_size_t, _OUT)),
    ("wsframe_utf8_check", c_ssize_t, (_IN, c_size_t)),
)

# The header of the masked "Hello" in RFC 6455 section 5.7, and the record that the library must make of it.
_PROBE = b"\x81\x85\x37\xfa\x21\x3d"
_PROBE_RECORD = wsframe_header(5, 0x1, 0x81, 6, 0, (0x37, 0xFA, 0x21, 0x3D))


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
    for name, returned, taken in TABLE:
        if not hasattr(library, name):
            raise ImportError(f"{path}: this is not libwsframe {text_of(VERSION)} or later, it has no {name}")
        function = getattr(library, name)
        function.restype, function.argtypes = returned, taken

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
    return library


lib = _load()

new_bytes = PYFUNCTYPE(py_object, c_char_p, c_ssize_t)(("PyBytes_FromStringAndSize", pythonapi))
"""
Makes a bytes object for the library to fill: new_bytes(None, size).

C extensions make their results in this way. The object may be written to only because nobody else has seen it
yet, and must be full before anybody does. It saves a second buffer and a copy out of it, which for a large
payload take far longer than the unmasking.
"""
