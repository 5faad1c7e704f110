"""The binding says the same as include/wsframe.h and Cargo.toml."""

import ctypes
import re
import socket
import threading
from pathlib import Path

import pytest

import wsframe
from wsframe import (
    Config,
    Deflate,
    EventKind,
    Frame,
    Opcode,
    ProtocolError,
    State,
    UsageError,
    _ffi,
    connection,
    errors,
    frame,
)

ROOT = Path(__file__).resolve().parents[3]
HEADER = (ROOT / "include" / "wsframe.h").read_text()
DECLARATIONS = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.DOTALL)
CONSTANTS = {name: int(number, 0) for name, number in re.findall(r"\bWSFRAME_(\w+) = (-?\w+)", DECLARATIONS)}

C_TYPES = {
    "uint16_t": ctypes.c_uint16,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t,
    "ptrdiff_t": ctypes.c_ssize_t,
    "const char *": ctypes.c_char_p,
    "void *": ctypes.c_void_p,
    "const void *": ctypes.c_void_p,
    "struct wsframe_header *": ctypes.POINTER(_ffi.wsframe_header),
    "const struct wsframe_header *": ctypes.POINTER(_ffi.wsframe_header),
    "const struct wsframe_config *": ctypes.POINTER(_ffi.wsframe_config),
    "struct wsframe_connection *": ctypes.c_void_p,
    "const struct wsframe_connection *": ctypes.c_void_p,
    "struct wsframe_connection **": ctypes.POINTER(ctypes.c_void_p),
    "struct wsframe_deflate *": ctypes.POINTER(_ffi.wsframe_deflate),
    "struct wsframe_message *": ctypes.c_void_p,
    "const struct wsframe_message *": ctypes.c_void_p,
    "struct wsframe_message **": ctypes.POINTER(ctypes.c_void_p),
    # Packed into a bytes object.
    "const size_t *": ctypes.c_void_p,
    # What the library lends: a slice of these is a bytes object.
    "const void **": ctypes.POINTER(ctypes.POINTER(ctypes.c_char)),
    "const struct wsframe_event *": ctypes.POINTER(ctypes.c_char),
    "void": None,
}


FIELD_TYPES = {
    "uint8_t": ctypes.c_uint8,
    "uint16_t": ctypes.c_uint16,
    "int32_t": ctypes.c_int32,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t,
    # In a config, where a bytes object has to live as long as the record.
    "const void *": ctypes.c_char_p,
}


def test_the_table_declares_what_the_header_declares():
    functions = re.findall(r"^(\w[\w ]*?[ *])(wsframe_\w+)\((.*?)\);", DECLARATIONS, re.MULTILINE | re.DOTALL)
    declared = {
        name: (
            C_TYPES[returned.strip()],
            tuple(
                C_TYPES[re.sub(r"\w+$", "", " ".join(parameter.split())).strip()]
                for parameter in parameters.split(",")
                if parameter != "void"
            ),
        )
        for returned, name, parameters in functions
    }
    assert {name: (returned, taken) for name, returned, taken in _ffi.TABLE} == declared


@pytest.mark.parametrize(
    ("record", "size"),
    [
        (_ffi.wsframe_header, 16),
        (_ffi.wsframe_event, 32),
        (_ffi.wsframe_config, None),
        (_ffi.wsframe_deflate, 4),
    ],
)
def test_the_records_have_the_fields_of_the_header(record, size):
    declared = re.search(rf"typedef struct {record.__name__} \{{(.*?)\}}", DECLARATIONS, re.DOTALL).group(1)
    fields = re.findall(r"([\w ]+?(?: \*| ))(\w+)(?:\[(\d+)\])?;", declared)
    assert [(name, FIELD_TYPES[kind.strip()], int(count or 1)) for kind, name, count in fields] == [
        (
            name,
            getattr(kind, "_type_", kind) if isinstance(kind, type(ctypes.c_uint8 * 4)) else kind,
            getattr(kind, "_length_", 1),
        )
        for name, kind in record._fields_
    ]
    if size:
        assert ctypes.sizeof(record) == size


def test_events_are_read_as_their_record_says():
    event = _ffi.wsframe_event(1, 2**64 - 2, 2**64 - 3, 2**16 - 4, 250, 249, -5)
    assert _ffi.EVENT.unpack(bytes(event)) == (2**64 - 2, 2**64 - 3, 2**16 - 4, 250, 249, -5)
    assert _ffi.EVENT.size == ctypes.sizeof(event) == 32


def test_undeclared_functions_return_what_declared_ones_do():
    table = {name: returned for name, returned, _ in _ffi.TABLE}
    for name in ("receive", "events", "data", "output", "sent", "send", "send_message", "tick", "state"):
        function = getattr(_ffi, name)
        assert function.restype is table["wsframe_connection_" + name]
        assert function.argtypes is None


def test_lengths_are_as_c_has_them():
    lens = (ctypes.c_size_t * 3).from_buffer_copy(_ffi.lengths([b"", bytes(5), bytes(70_000)]))
    assert list(lens) == [0, 5, 70_000]


def constants(prefix: str) -> dict:
    return {
        name.removeprefix(prefix): number for name, number in CONSTANTS.items() if name.startswith(prefix)
    }


def test_opcodes_and_flags_have_the_numbers_of_the_header():
    assert {opcode.name: opcode.value for opcode in Opcode} == constants("OPCODE_")
    flags = {name: getattr(Frame, name) for name in ("FIN", "RSV1", "RSV2", "RSV3")}
    assert {**flags, "MASK": frame._MASK} == constants("HEADER_")


def test_states_and_kinds_of_events_have_the_numbers_of_the_header():
    assert {state.name: state.value for state in State} == constants("STATE_")
    flags = {"FIRST": connection._FIRST, "LAST": connection._LAST, "IN_PLACE": 4}
    flags["COMPRESSED"] = connection._COMPRESSED
    assert {**{kind.name: kind.value for kind in EventKind}, **flags} == constants("EVENT_")
    assert constants("ROLE_") == {"SERVER": connection._SERVER, "CLIENT": connection._CLIENT}
    assert constants("SEND_") == {
        "PLAIN": connection._SEND_PLAIN,
        "COMPRESSED": connection._SEND_COMPRESSED,
    }
    assert (connection._TEXT, connection._BINARY) == (Opcode.TEXT, Opcode.BINARY)


def test_a_config_has_what_the_header_has():
    flags = {name.lower(): number for name, number in constants("CONFIG_").items()}
    assert flags == connection._FLAGS
    fields = {name for name, _ in _ffi.wsframe_config._fields_}
    pointers = {name for name in fields if name + "_len" in fields}
    assert pointers == {*connection._LISTS, *connection._TEXTS}
    numbers = fields - pointers - {name + "_len" for name in pointers} - {"struct_size", "flags"}
    assert set(Config.__annotations__) == set(flags) | pointers | numbers


def test_the_answer_of_the_extensions_has_room():
    sentences = " ".join(HEADER.replace("\n * ", " ").split())
    (enough,) = re.findall(r"is no list of extensions\..*? too small; (\d+) always is enough", sentences)
    assert int(enough) == connection._EXTENSIONS_LEN_MAX
    assert Deflate._fields == tuple(name for name, _ in _ffi.wsframe_deflate._fields_)


def test_every_error_of_the_header_is_the_right_exception():
    numbers = constants("ERROR_")
    assert (numbers["ARGUMENT"], numbers["STATE"], numbers["HANDSHAKE"]) == (
        errors.ARGUMENT,
        errors.STATE,
        errors.HANDSHAKE,
    )
    close_codes = {"HANDSHAKE": 0, "PROTOCOL": 1002, "UTF8": 1007, "TOO_BIG": 1009, "POLICY": 1008}
    for name, number in numbers.items():
        with pytest.raises((ProtocolError, UsageError)) as caught:
            errors.checked(number)
        error = caught.value
        assert error.code == number
        assert str(error) == _ffi.lib.wsframe_strerror(number).decode() != ""
        if isinstance(error, ProtocolError):
            assert error.close_code == close_codes.pop(name)
    assert not close_codes, "each of these is the peer's fault"


def test_there_is_one_version():
    cargo = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE).group(1)
    number = CONSTANTS["VERSION"]
    assert (number >> 16, number >> 8 & 0xFF, number & 0xFF) == _ffi.VERSION
    assert ".".join(map(str, _ffi.VERSION)) == cargo


def test_everything_public_says_what_it_does():
    for name in wsframe.__all__:
        public = getattr(wsframe, name)
        assert public.__doc__, name
        for member, value in vars(public).items() if isinstance(public, type) else ():
            if callable(value) and not member.startswith("_"):
                assert value.__doc__, f"{name}.{member}"


README = (ROOT / "bindings" / "python" / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_frames_of_the_readme():
    (example,) = (example for example in EXAMPLES if "Frame" in example)
    assert "assert" in example
    exec(example, {})


def test_the_messages_of_the_readme():
    (example,) = (example for example in EXAMPLES if "Message" in example)
    names = {}
    exec(example, names)
    connections = [
        wsframe.Connection.server(start_open=True, deflate=True, extensions=extensions)
        for extensions in ("permessage-deflate; server_max_window_bits=12", None)
    ]
    names["tell_all"](connections, "a" * 1000)
    assert [connection.output()[0] for connection in connections] == [0xC1, 0x81]
    assert names["catch_up"](connections[0], ["a", "b"]) == 2
    assert connections[0].output().endswith(b"\x81\x01a\x81\x01b")


def test_the_loop_of_the_readme():
    (example,) = (example for example in EXAMPLES if "def serve" in example)
    names = {}
    exec(example, names)
    here, there = socket.socketpair()
    serving = threading.Thread(target=names["serve"], args=(there,))
    serving.start()
    here.settimeout(10)
    with here, wsframe.Connection.client() as client:
        client.request("localhost", "/")
        received = []
        while client.state is not State.CLOSED:
            output = client.output()
            here.sendall(output)
            client.sent(len(output))
            for event in client.receive(here.recv(65_536)):
                received.append(event)
                if event.kind is EventKind.OPEN:
                    client.send("héllo")
                    client.send(b"\xff")
                elif event.kind is EventKind.BINARY:
                    client.close(1000)
        assert here.recv(1) == b"", "the server closes TCP first"
    serving.join(10)
    assert not serving.is_alive()
    assert [(event.kind, event.close_code, event.data) for event in received[1:]] == [
        (EventKind.TEXT, 0, "héllo".encode()),
        (EventKind.BINARY, 0, b"\xff"),
        (EventKind.CLOSE, 1000, b""),
    ]
