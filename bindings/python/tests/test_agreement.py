"""The binding says the same as include/wsframe.h and Cargo.toml."""

import ctypes
import pydoc
import re
from pathlib import Path

import pytest

import wsframe
from wsframe import (
    Config,
    Connection,
    DataFlag,
    Deflate,
    ErrorCode,
    EventKind,
    Opcode,
    ProtocolError,
    State,
    Stats,
    UsageError,
    WatchFlag,
    _ffi,
    connection,
    errors,
    frame,
    hub,
)

ROOT = Path(__file__).resolve().parents[3]
HEADER = (ROOT / "include" / "wsframe.h").read_text()
DECLARATIONS = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.DOTALL)
CONSTANTS = {name: int(number, 0) for name, number in re.findall(r"\bWSFRAME_(\w+) = (-?\w+)", DECLARATIONS)}

C_TYPES = {
    "int": ctypes.c_int,
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
    "struct wsframe_hub *": ctypes.c_void_p,
    "const struct wsframe_hub *": ctypes.c_void_p,
    "struct wsframe_hub **": ctypes.POINTER(ctypes.c_void_p),
    "const struct wsframe_hub_config *": ctypes.POINTER(_ffi.wsframe_hub_config),
    "uint64_t *": ctypes.POINTER(ctypes.c_uint64),
    # Packed into a bytes object.
    "const size_t *": ctypes.c_void_p,
    "const uint64_t *": ctypes.c_void_p,
    # What the library lends: a slice of it is a bytes object.
    "const void **": ctypes.POINTER(ctypes.POINTER(ctypes.c_char)),
    **{
        f"struct {record.__name__} *": ctypes.POINTER(record)
        for record in (
            _ffi.wsframe_batch,
            _ffi.wsframe_output,
            _ffi.wsframe_field,
            _ffi.wsframe_part,
            _ffi.wsframe_stats,
        )
    },
    "void": None,
}


FIELD_TYPES = {
    "uint8_t": ctypes.c_uint8,
    "uint16_t": ctypes.c_uint16,
    "int32_t": ctypes.c_int32,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t,
    "const struct wsframe_event *": ctypes.POINTER(ctypes.c_char),
}


def field_type(record, kind: str):
    """What a field is declared as. A bytes object has to live as long as a config that points to it."""
    if kind == "const void *":
        return ctypes.c_char_p if record is _ffi.wsframe_config else ctypes.POINTER(ctypes.c_char)
    return FIELD_TYPES[kind]


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
        (_ffi.wsframe_batch, 40),
        (_ffi.wsframe_output, 24),
        (_ffi.wsframe_field, 32),
        (_ffi.wsframe_part, 16),
        (_ffi.wsframe_config, None),
        (_ffi.wsframe_deflate, 4),
        (_ffi.wsframe_hub_config, 24),
        (_ffi.wsframe_stats, 136),
    ],
)
def test_the_records_have_the_fields_of_the_header(record, size):
    declared = re.search(rf"typedef struct {record.__name__} \{{(.*?)\}}", DECLARATIONS, re.DOTALL).group(1)
    fields = re.findall(r"([\w ]+?(?: \*| ))(\w+)(?:\[(\d+)\])?;", declared)
    assert [(name, field_type(record, kind.strip()), int(count or 1)) for kind, name, count in fields] == [
        (
            name,
            getattr(kind, "_type_", kind) if isinstance(kind, type(ctypes.c_uint8 * 4)) else kind,
            getattr(kind, "_length_", 1),
        )
        for name, kind in record._fields_
    ]
    if size and ctypes.sizeof(ctypes.c_void_p) == 8:
        assert ctypes.sizeof(record) == size


def test_events_are_read_as_their_record_says():
    event = _ffi.wsframe_event(1, 2**64 - 2, 2**64 - 3, 2**16 - 4, 250, 249, -5)
    assert _ffi.EVENT.unpack(bytes(event)) == (2**64 - 2, 2**64 - 3, 2**16 - 4, 250, 249, -5)
    assert _ffi.HUB_EVENT.unpack(bytes(event)) == (1, *_ffi.EVENT.unpack(bytes(event)))
    assert _ffi.EVENT.size == _ffi.HUB_EVENT.size == ctypes.sizeof(event) == 32


def test_what_calls_lend_is_in_their_records():
    lent, held = _ffi.Lent(), ctypes.create_string_buffer(b"abcdef")
    batch, output = lent.as_batch._obj, lent.as_output._obj
    at = ctypes.POINTER(ctypes.c_char)
    batch.events, batch.data, batch.flags = ctypes.cast(held, at), ctypes.cast(ctypes.byref(held, 1), at), 5
    output.data, output.wait_ms, output.flags = ctypes.cast(ctypes.byref(held, 2), at), 6, 7
    assert (lent.events[:2], lent.data[:2], lent.output[:2]) == (b"ab", b"bc", b"cd")
    assert (lent.flags.value, lent.wait_ms.value, lent.more.value) == (5, 6, 7)


def test_undeclared_functions_return_what_declared_ones_do():
    table = {name: returned for name, returned, _ in _ffi.TABLE}
    for name in ("receive", "receive_long", "output", "send", "send_long", "send_message"):
        function = getattr(_ffi, name)
        assert function.restype is table["wsframe_connection_" + name.removesuffix("_long")]
        assert function.argtypes is None
    for name in ("hub_poll", "hub_poll_long", "hub_send", "hub_send_long"):
        function = getattr(_ffi, name)
        assert function.restype is table["wsframe_" + name.removesuffix("_long")]
        assert function.argtypes is None


def test_sizes_and_times_arrive_whole():
    text = b"a" * 5000
    for size in (0, 1, 4095, 4096, 5000):
        assert _ffi.utf8_check(text, _ffi.size_of(size)) == size
    for size in (0, 1, 4095):
        assert _ffi.utf8_check(text, _ffi.SIZES[size]) == size
    assert _ffi.utf8_check(text, _ffi.size_of(2**64 - 1)) == errors.ErrorCode.ARGUMENT
    server = Connection.server(start_open=True)
    assert (server.take(2**64 - 2**33), server.wait_ms) == (b"", 30_000)
    assert (server.take(2**64 - 2**33 + 1000), server.wait_ms) == (b"", 29_000)


def test_lengths_and_ids_are_as_c_has_them():
    lens = (ctypes.c_size_t * 3).from_buffer_copy(_ffi.lengths([b"", bytes(5), bytes(70_000)]))
    assert list(lens) == [0, 5, 70_000]
    ids = (ctypes.c_uint64 * 2).from_buffer_copy(_ffi.ids([1, 2**64 - 1]))
    assert list(ids) == [1, 2**64 - 1]


def test_the_ids_that_are_kept_are_so_many_at_most():
    for number in range(1, 2 * hub._IDS_KEPT):
        assert hub._id_kept(number) is hub._ids[number]
    assert 0 < len(hub._ids) <= hub._IDS_KEPT


def constants(prefix: str) -> dict:
    return {
        name.removeprefix(prefix): number for name, number in CONSTANTS.items() if name.startswith(prefix)
    }


def test_opcodes_have_the_numbers_of_the_header():
    assert {opcode.name: opcode.value for opcode in Opcode} == constants("OPCODE_")
    assert constants("HEADER_") == {"MASK": frame._MASK}
    for name in ("FIN", "RSV1", "RSV2", "RSV3"):
        assert getattr(frame, "_" + name) == Opcode[name]
    for name in ("MORE", "PLAIN", "COMPRESSED"):
        assert getattr(connection, "_" + name) == Opcode[name]


def test_states_and_kinds_of_events_have_the_numbers_of_the_header():
    assert {state.name: state.value for state in State} == constants("STATE_")
    assert {kind.name: kind.value for kind in EventKind} == constants("EVENT_")
    assert {**{flag.name: flag.value for flag in DataFlag}, "IN_PLACE": 128} == constants("DATA_")
    assert constants("ROLE_") == {"SERVER": connection._SERVER, "CLIENT": connection._CLIENT}
    assert constants("ACCEPT_") == {"WITHOUT_DEFLATE": connection._WITHOUT_DEFLATE}
    assert constants("BATCH_") == {"MORE": 1, "STOPPED": 2}
    assert constants("BATCH_")["STOPPED"] == hub._STOPPED
    assert constants("OUTPUT_") == {"MORE": 1}
    assert constants("LISTEN_") == {
        "REUSE_PORT": hub._REUSE_PORT,
        "PROXY": hub._PROXY,
        "DROP_SLOW": hub._DROP_SLOW,
    }
    assert {flag.name: flag.value for flag in WatchFlag} == constants("WATCH_")
    for name in ("TEXT", "BINARY", "CLOSE", "PING", "PONG"):
        assert EventKind[name] == Opcode[name]
    assert "#define WSFRAME_ALL SIZE_MAX\n" in HEADER
    assert "#define WSFRAME_NEVER UINT32_MAX\n" in HEADER
    assert wsframe.NEVER == 2**32 - 1


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
    assert Stats._fields == tuple(name for name, _ in _ffi.wsframe_stats._fields_)
    assert Deflate._fields == tuple(name for name, _ in _ffi.wsframe_deflate._fields_)


def defaults_of(prose: str) -> list[str]:
    """What 0 stands for in a sentence, in order."""
    return re.findall(r"0 stands for (\d[\d,]*(?: (?:[KM]iB|seconds))?)", " ".join(prose.split()))


def test_the_docs_of_a_config_have_the_defaults_of_the_header():
    struct = re.search(r"typedef struct wsframe_config \{(.*?)\n\} wsframe_config;", HEADER, re.DOTALL).group(
        1
    )
    documented = re.findall(r"/\*\*(.*?)\*/\s*[\w ]+?[ *](\w+);", struct, re.DOTALL)
    theirs = {name: defaults_of(prose.replace("\n     *", "\n")) for prose, name in documented}
    theirs = {name: found for name, found in theirs.items() if found}
    assert sum(map(len, theirs.values())) == len(re.findall(r"\b0[\s*]+stands[\s*]+for", HEADER)) > 10
    entries = re.split(r"^    (?=[a-z_0-9, ]+: )", Config.__doc__, flags=re.MULTILINE)
    ours = {
        name: defaults_of(prose)
        for entry in entries
        for names, _, prose in [entry.partition(": ")]
        for name in names.split(", ")
        if defaults_of(prose)
    }
    assert ours == theirs


def test_help_of_the_config_is_short():
    assert len(pydoc.render_doc(Config).splitlines()) < 120


def test_every_error_of_the_header_is_the_right_exception():
    assert {code.name: code.value for code in ErrorCode} == constants("ERROR_")
    close_codes = {
        "HANDSHAKE": 0,
        "PROTOCOL": 1002,
        "UTF8": 1007,
        "TOO_BIG": 1009,
        "POLICY": 1008,
        "TIMEOUT": 0,
    }
    for code in ErrorCode:
        with pytest.raises((ProtocolError, UsageError)) as caught:
            errors.checked(code.value)
        error = caught.value
        assert error.code is code
        if isinstance(error, ProtocolError):
            assert error.close_code == close_codes.pop(code.name)
    assert not close_codes, "each of these is the peer's fault"


def test_an_error_has_the_exact_sentence():
    server = Connection.server()
    for call, words in (
        (lambda: server.send("a"), "open"),
        (lambda: server.respond(200), "request"),
        (lambda: Connection.server(deflate_level=10), "level"),
        (lambda: Connection.client().request("a b", "/"), "host"),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert str(caught.value) == _ffi.lib.wsframe_why().decode()
        assert words in str(caught.value).lower()


def test_there_is_one_version():
    cargo = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE).group(1)
    number = CONSTANTS["VERSION"]
    assert (number >> 16, number >> 8 & 0xFF, number & 0xFF) == _ffi.VERSION
    assert ".".join(map(str, _ffi.VERSION)) == cargo == wsframe.__version__


def test_everything_public_says_what_it_does():
    for name in wsframe.__all__:
        public = getattr(wsframe, name)
        assert public.__doc__, name
        for member, value in vars(public).items() if isinstance(public, type) else ():
            if callable(value) and not member.startswith("_"):
                assert value.__doc__, f"{name}.{member}"
