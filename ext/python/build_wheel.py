#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a wheel of the package and the built extension.  It needs nothing but Python, and downloads nothing.

    python3 ext/python/build_wheel.py [--library build/seqdb.so] [--out FOLDER]

It prints the wheel's path.  The extension is that of --library, of the environment variable SEQDB_LIBRARY, or
build/seqdb.so of this checkout.  pip uses this file too (pyproject.toml): `pip wheel --no-index ext/python`.

The wheel is for the machine that the extension was built for.  Its tag is manylinux_2_28 if the extension needs no
newer C library (GLIBC_2.28), which `objdump -T` says, and plain linux otherwise: then build where the C library is as
old as the oldest one that is to load it.
"""

import argparse
import base64
import hashlib
import os
import re
import subprocess
import sys
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MACHINES = {3: "i686", 22: "s390x", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
MANYLINUX = (2, 28)

METADATA = """\
Metadata-Version: 2.1
Name: seqdb
Version: %s
Summary: Named, growing regions of bytes beside an SQLite file, in one transaction with its rows
License: MIT
Requires-Python: >=3.9
Classifier: License :: OSI Approved :: MIT License
Classifier: Operating System :: POSIX :: Linux
Classifier: Programming Language :: Python :: 3
Classifier: Typing :: Typed
Provides-Extra: numpy
Requires-Dist: numpy; extra == "numpy"
Description-Content-Type: text/markdown

"""
WHEEL = "Wheel-Version: 1.0\nGenerator: seqdb build_wheel\nRoot-Is-Purelib: false\nTag: py3-none-%s\n"


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def fail(message):
    raise SystemExit("build_wheel: " + message)


def find_library(named=None):
    path = named or os.environ.get("SEQDB_LIBRARY") or os.path.join(ROOT, "build", "seqdb.so")
    if not os.path.isfile(path):
        fail("there is no %s: build it (ninja -C build), or name it with --library" % path)
    return path


def platform_tag(path):
    """linux_x86_64 or the like, by the head of the file and the versions of its symbols."""
    head = read(path)[:20]
    if head[:4] != b"\x7fELF":
        fail("%s is no library of Linux: only these are put into wheels" % path)
    number = int.from_bytes(head[18:20], "big" if head[5] == 2 else "little")
    machine = MACHINES.get(number) or fail("%s is for machine %d, whose name is not known here" % (path, number))
    try:
        symbols = subprocess.run(["objdump", "-T", path], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "linux_" + machine  # cannot tell: promise nothing
    versions = [tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_([0-9.]+)", symbols)]
    if versions and max(versions) <= MANYLINUX:
        return "manylinux_%d_%d_%s" % (MANYLINUX + (machine,))
    return "linux_" + machine


def version():
    """The one of the project."""
    return re.search(r"^  version: '([^']+)'", read(ROOT, "meson.build").decode(), re.MULTILINE).group(1)


def contents(library, tag):
    """{name in the wheel: bytes}"""
    info = "seqdb-%s.dist-info/" % version()
    package = os.path.join(HERE, "seqdb")
    files = {"seqdb/" + name: read(package, name) for name in os.listdir(package) if name.endswith((".py", ".typed"))}
    files["seqdb/seqdb.so"] = read(library)
    files[info + "licenses/LICENSE"] = read(ROOT, "LICENSE")
    files[info + "METADATA"] = (METADATA % version()).encode() + read(HERE, "README.md")
    files[info + "WHEEL"] = (WHEEL % tag).encode()
    record = []
    for name in sorted(files):
        digest = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=").decode()
        record.append("%s,sha256=%s,%d\n" % (name, digest, len(files[name])))
    files[info + "RECORD"] = ("".join(record) + info + "RECORD,,\n").encode()
    return files


def write_wheel(folder, library):
    tag = platform_tag(library)
    name = "seqdb-%s-py3-none-%s.whl" % (version(), tag)
    os.makedirs(folder, exist_ok=True)
    with zipfile.ZipFile(os.path.join(folder, name), "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, data in sorted(contents(library, tag).items(), key=lambda item: (".dist-info/" in item[0], item[0])):
            entry = zipfile.ZipInfo(path)  # of 1980: the same files make the same wheel
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if path.endswith(".so") else 0o100644) << 16
            wheel.writestr(entry, data)
    return name


# What pip calls (PEP 517).


def get_requires_for_build_wheel(config_settings=None):
    return []


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return write_wheel(wheel_directory, find_library())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library")
    parser.add_argument("--out", default="dist")
    arguments = parser.parse_args()
    print(os.path.join(arguments.out, write_wheel(arguments.out, find_library(arguments.library))))


if __name__ == "__main__":
    sys.exit(main())
