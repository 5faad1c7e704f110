"""`pip install ./bindings/python` makes a package that works everywhere on this platform."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from wsframe import _ffi

PROJECT = Path(__file__).resolve().parents[1]
VERSION = _ffi.text_of(_ffi.VERSION)


def run(*command, cwd=None, **environment):
    """Runs a command without the variables that would let it find a library or a package of the checkout."""
    environment = {**os.environ, **environment}
    for name in ("WSFRAME_LIBRARY", "PYTHONPATH"):
        environment.pop(name, None)
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def pip_wheel(into: Path, **environment):
    # With the setuptools of requirements-dev.txt, so that the test needs no network.
    flags = ("--no-deps", "--no-index", "--no-build-isolation", "--check-build-dependencies")
    return run(sys.executable, "-m", "pip", "wheel", *flags, "-w", into, PROJECT, **environment)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    done = pip_wheel(folder)
    assert done.returncode == 0, done.stdout
    (file,) = folder.iterdir()
    return file


def test_the_wheel_is_for_every_python_on_this_platform(wheel):
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert wheel.name == f"wsframe-{VERSION}-py3-none-{platform}.whl"


def test_the_wheel_holds_the_package_and_the_library(wheel):
    with zipfile.ZipFile(wheel) as archive:
        files = set(archive.namelist())
        licence = archive.read(f"wsframe-{VERSION}.dist-info/licenses/LICENSE")
        metadata = archive.read(f"wsframe-{VERSION}.dist-info/METADATA").decode()
    assert {file for file in files if ".dist-info/" not in file} == {
        "wsframe/__init__.py",
        "wsframe/_application.py",
        "wsframe/_arguments.py",
        "wsframe/_ffi.py",
        "wsframe/asyncio/__init__.py",
        "wsframe/asyncio/_handshake.py",
        "wsframe/asyncio/_listening.py",
        "wsframe/asyncio/_options.py",
        "wsframe/asyncio/_reactor.py",
        "wsframe/asyncio/client.py",
        "wsframe/asyncio/connection.py",
        "wsframe/asyncio/datastructures.py",
        "wsframe/asyncio/exceptions.py",
        "wsframe/asyncio/frames.py",
        "wsframe/asyncio/http11.py",
        "wsframe/asyncio/router.py",
        "wsframe/asyncio/server.py",
        "wsframe/client.py",
        "wsframe/connection.py",
        "wsframe/errors.py",
        "wsframe/frame.py",
        "wsframe/hub.py",
        "wsframe/peer.py",
        "wsframe/server.py",
        "wsframe/libwsframe.so",
        "wsframe/py.typed",
    }
    assert licence == (PROJECT.parents[1] / "LICENSE").read_bytes()
    assert "\nLicense-Expression: MIT\n" in metadata


def test_the_installed_package_works_outside_the_checkout(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    done = run(python, "-m", "pip", "install", "--no-index", wheel)
    assert done.returncode == 0, done.stdout
    code = (
        "import wsframe; print(wsframe.version(), wsframe._ffi.lib._name, wsframe.Frame.build(0x81, b'Hi'))"
    )
    done = run(python, "-c", code, cwd=tmp_path)
    version, library, frame = done.stdout.split(maxsplit=2)
    assert version == VERSION
    assert tmp_path / "venv" in Path(library).parents
    assert frame == r"b'\x81\x02Hi'" + "\n"


def test_the_build_leaves_nothing_that_git_sees(wheel):
    done = run("git", "status", "--porcelain", "--untracked-files=all", ".", cwd=PROJECT)
    assert done.returncode == 0, done.stdout
    for leftover in ("build/", "egg-info", "libwsframe"):
        assert leftover not in done.stdout


def test_a_missing_cargo_is_named(tmp_path):
    done = pip_wheel(tmp_path, PATH=str(tmp_path))
    assert done.returncode != 0
    assert "wsframe is built with cargo, which is not installed" in done.stdout


def test_a_source_distribution_is_refused():
    done = run(sys.executable, "setup.py", "-q", "sdist", cwd=PROJECT)
    assert done.returncode != 0
    assert "wsframe has no source distribution" in done.stdout
