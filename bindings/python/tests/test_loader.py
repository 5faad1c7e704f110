"""Which library is loaded, and what is said of one that does not fit."""

import ctypes.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import wsframe
from wsframe import _ffi

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = Path(wsframe.__file__).parent

VERSION = _ffi.text_of(_ffi.VERSION)
VERSION_NUMBER = int.from_bytes(_ffi.VERSION, "big")

# What a library does while it is loaded. Of the other functions only the names count.
STUB = """
#include "wsframe.h"
uint32_t wsframe_version(void) { return STUB_VERSION; }
ptrdiff_t wsframe_header_parse(const void *in, size_t in_len, wsframe_header *header) {
    *header = (wsframe_header)STUB_RECORD;
    return 6;
}
ptrdiff_t wsframe_connection_new(uint32_t role, const wsframe_config *config, wsframe_connection **made) {
    *made = (wsframe_connection *)(uintptr_t)config->STUB_FIELD;
    return 0;
}
static const wsframe_event events[] = {{0, 0, 1, 0, STUB_KIND, 0, 0}, {0, 0, 0, 1002, 19, 0, -33}};
ptrdiff_t wsframe_connection_receive(wsframe_connection *c, const void *in, size_t len, wsframe_batch *out) {
    *out = (wsframe_batch){events, STUB_EVENTS, "x", 1, 0, 0};
    return STUB_EVENTS;
}
ptrdiff_t wsframe_connection_output(wsframe_connection *c, size_t sent, uint64_t now, wsframe_output *out) {
    *out = (wsframe_output){"\\x8a\\x01x\\x88\\x02\\x03\\xea", 7, (uint32_t)(uintptr_t)c, STUB_MORE};
    return 7;
}
"""
DEFINED = (
    "version",
    "header_parse",
    *("connection_" + verb for verb in ("new", "receive", "output")),
)
RIGHT_RECORD = "{5, 1, 0x81, 6, 0, {0x37, 0xfa, 0x21, 0x3d}}"
SWAPPED_RECORD = "{5, 0x81, 1, 6, 0, {0x37, 0xfa, 0x21, 0x3d}}"


def imported(library=None, package=PACKAGE, **environment):
    """Imports the package in another process; returns whether that went well, and what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(Path(package).parent), **environment}
    environment.pop("WSFRAME_LIBRARY", None)
    if library is not None:
        environment["WSFRAME_LIBRARY"] = str(library)
    code = "import wsframe, wsframe._ffi; print(wsframe.version(), wsframe._ffi.lib._name)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def compiled(tmp_path):
    """Returns a function that compiles a library to load."""

    def compile_stub(name="stub.so", version=VERSION_NUMBER, without=(), **changed):
        missing = {"wsframe_" + function for function in DEFINED} | set(without)
        others = (
            f"int {function}(void) {{ return 0; }}\n"
            for function, *_ in _ffi.TABLE
            if function not in missing
        )
        (tmp_path / "others.c").write_text("".join(others))
        (tmp_path / "stub.c").write_text(STUB)
        library = tmp_path / name
        stub = {"record": RIGHT_RECORD, "field": "close_timeout_ms", "kind": 9, "events": 2, "more": 0}
        stub |= {"version": version, **changed}
        defined = [f"-DSTUB_{key.upper()}={value}" for key, value in stub.items()]
        sources = (tmp_path / "stub.c", tmp_path / "others.c")
        subprocess.run(
            ["cc", "-shared", "-fPIC", f"-I{ROOT / 'include'}", *defined, *sources, "-o", library], check=True
        )
        return library

    return compile_stub


@pytest.fixture
def package(tmp_path):
    """A copy of the package with no library beside it."""
    return shutil.copytree(PACKAGE, tmp_path / "copy" / "wsframe", ignore=shutil.ignore_patterns("*.so"))


def test_a_library_that_fits_is_loaded(compiled):
    library = compiled()
    good, said = imported(library)
    assert good, said
    assert said.split() == [VERSION, str(library)]


def test_a_later_library_of_the_same_major_version_is_loaded(compiled):
    good, said = imported(compiled(version=VERSION_NUMBER + 1))
    assert good, said


@pytest.mark.parametrize("version", [VERSION_NUMBER - 1, VERSION_NUMBER + 0x10000, 0xFFFF0000])
def test_an_older_library_and_another_major_version_are_refused(compiled, version):
    library = compiled(version=version)
    good, said = imported(library)
    assert not good
    found = f"{version >> 16}.{version >> 8 & 0xFF}.{version & 0xFF}"
    bound = f"{_ffi.VERSION[0] + 1}.0.0"
    assert (
        f"{library}: this is libwsframe {found}, but the package needs {VERSION} or later, below {bound}"
        in said
    )


def test_a_library_with_another_record_is_refused(compiled):
    library = compiled(record=SWAPPED_RECORD)
    good, said = imported(library)
    assert not good
    assert f"{library}: this library lays out the record wsframe_header differently" in said


@pytest.mark.parametrize("changed", [{"field": "ping_interval_ms"}, {"kind": 5}, {"events": 0}, {"more": 1}])
def test_a_library_with_another_config_event_batch_or_output_is_refused(compiled, changed):
    library = compiled(**changed)
    good, said = imported(library)
    assert not good
    assert f"{library}: this library lays out the records of connections differently" in said


def test_a_library_that_lacks_a_function_is_refused(compiled):
    library = compiled(without=["wsframe_utf8_check"])
    good, said = imported(library)
    assert not good
    assert f"{library}: this is not libwsframe {VERSION} or later, it has no wsframe_utf8_check" in said


def test_another_library_is_refused():
    libc = ctypes.util.find_library("c")
    good, said = imported(libc)
    assert not good
    assert f"named by WSFRAME_LIBRARY: {libc}: this is not libwsframe {VERSION} or later" in said


def test_what_is_no_library_is_refused(tmp_path):
    (tmp_path / "text.so").write_text("This is not a library.")
    good, said = imported(tmp_path / "text.so")
    assert not good
    assert "ImportError" in said
    assert f"named by WSFRAME_LIBRARY: {tmp_path / 'text.so'}: " in said


def test_nothing_else_is_tried_if_a_library_is_named(package, compiled):
    compiled(name="libwsframe.so").rename(package / "libwsframe.so")
    assert imported(package=package)[0], "the library beside the package would do"
    good, said = imported("/nowhere/libwsframe.so", package)
    assert not good
    assert "named by WSFRAME_LIBRARY: /nowhere/libwsframe.so: " in said
    assert "beside the package" not in said


def test_an_empty_name_is_none(package, compiled):
    beside = compiled(name="libwsframe.so").rename(package / "libwsframe.so")
    good, said = imported("", package)
    assert good, said
    assert str(beside) in said


def test_the_library_beside_the_package_comes_before_that_of_the_system(package, compiled, tmp_path):
    compiled(name="libwsframe.so.0")
    beside = compiled(name="libwsframe.so").rename(package / "libwsframe.so")
    good, said = imported(package=package, LD_LIBRARY_PATH=str(tmp_path))
    assert good, said
    assert str(beside) in said


def test_the_system_finds_the_library_by_its_soname(package, compiled, tmp_path):
    compiled(name="libwsframe.so.0")
    good, said = imported(package=package, LD_LIBRARY_PATH=str(tmp_path))
    assert good, said
    assert said.split()[1] == "libwsframe.so.0"


def test_every_place_that_was_tried_is_named(package, compiled, tmp_path):
    compiled(name="libwsframe.so.0", version=0)
    good, said = imported(package=package, LD_LIBRARY_PATH=str(tmp_path))
    assert not good
    assert "ImportError: libwsframe cannot be used." in said
    assert f"\n  beside the package: {package / 'libwsframe.so'}: " in said
    assert "\n  where the system looks: libwsframe.so.0: this is libwsframe 0.0.0" in said
