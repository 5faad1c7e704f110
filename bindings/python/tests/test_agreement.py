"""The binding says the same as include/wsframe.h and Cargo.toml."""

import ctypes
import re
from pathlib import Path

import pytest

import wsframe
from wsframe import Frame, Opcode, ProtocolError, UsageError, _ffi, errors, frame

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


def test_the_record_has_the_fields_of_the_header():
    record = re.search(r"typedef struct wsframe_header \{(.*?)\}", DECLARATIONS, re.DOTALL).group(1)
    fields = re.findall(r"uint(\d+)_t (\w+)(?:\[(\d+)\])?;", record)
    assert [(name, int(bits) // 8 * int(count or 1)) for bits, name, count in fields] == [
        (name, ctypes.sizeof(kind)) for name, kind in _ffi.wsframe_header._fields_
    ]
    assert ctypes.sizeof(_ffi.wsframe_header) == 16


def constants(prefix: str) -> dict:
    return {
        name.removeprefix(prefix): number for name, number in CONSTANTS.items() if name.startswith(prefix)
    }


def test_opcodes_and_flags_have_the_numbers_of_the_header():
    assert {opcode.name: opcode.value for opcode in Opcode} == constants("OPCODE_")
    flags = {name: getattr(Frame, name) for name in ("FIN", "RSV1", "RSV2", "RSV3")}
    assert {**flags, "MASK": frame._MASK} == constants("HEADER_")


def test_every_error_of_the_header_is_the_right_exception():
    numbers = constants("ERROR_")
    assert (numbers["ARGUMENT"], numbers["HANDSHAKE"]) == (errors.ARGUMENT, errors.HANDSHAKE)
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


def test_the_example_of_the_readme_runs():
    readme = (ROOT / "bindings" / "python" / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert "assert" in example
    exec(example, {})
