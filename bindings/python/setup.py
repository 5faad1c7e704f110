"""
What pyproject.toml cannot say.

The version is that of Cargo.toml, cargo builds the library that goes into the wheel, and the wheel fits every
Python 3 on its platform.
"""

import json
import shutil
import subprocess
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

CARGO_TOML = Path(__file__).resolve().parents[2] / "Cargo.toml"


def cargo(command, *arguments):
    """Runs cargo on the Rust crate and returns the JSON records that it prints."""
    if not CARGO_TOML.is_file():
        raise SystemExit(f"wsframe can only be built in a checkout of libwsframe: there is no {CARGO_TOML}")
    try:
        done = subprocess.run(
            ["cargo", command, *arguments], check=True, stdout=subprocess.PIPE, cwd=CARGO_TOML.parent
        )
    except FileNotFoundError:
        raise SystemExit("wsframe is built with cargo, which is not installed: it comes with Rust") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"wsframe cannot be built: cargo {command} failed, as it says above") from error
    return [json.loads(line) for line in done.stdout.splitlines()]


def built_library():
    """Builds the shared library and returns its path, which only cargo knows for certain."""
    records = cargo("library", "--message-format=json-render-diagnostics")
    return next(
        Path(file)
        for record in records
        if record["reason"] == "compiler-artifact" and record["target"]["name"] == "wsframe"
        for file in record["filenames"]
        if file.endswith((".so", ".dylib", ".dll"))
    )


class BuildWithLibrary(build_py):
    """Puts the library beside the package: into the wheel, or into src/ for an editable install."""

    def run(self):
        super().run()
        library = built_library()
        folder = self.get_package_dir("wsframe") if self.editable_mode else Path(self.build_lib, "wsframe")
        shutil.copy(library, Path(folder, library.name))


class WheelForEveryPython(bdist_wheel):
    """Tags the wheel for its platform only: ctypes does not care about the version of Python."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


class NoSdist(sdist):
    """Says why there is no source distribution."""

    def run(self):
        raise SystemExit(
            "wsframe has no source distribution, because the Rust source lies above this folder."
            " Build a wheel, or install with pip from a checkout of libwsframe."
        )


class PlatformDistribution(Distribution):
    """Has a library in it, although no extension module."""

    def has_ext_modules(self):
        return True


setup(
    version=cargo("metadata", "--no-deps", "--format-version=1")[0]["packages"][0]["version"],
    cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": WheelForEveryPython, "sdist": NoSdist},
    distclass=PlatformDistribution,
)
