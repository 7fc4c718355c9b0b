"""The same cases on a disk whose every flush takes two milliseconds longer, for the library and by hand alike.

A small library is put before the system's own fsync and fdatasync, in a process of its own. It takes a C compiler.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.rounds import Measured, Settings

__all__ = ["with_slow_flushes"]

_MICROSECONDS = 2000
_ROUNDS = 5

_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>
static int slowly(const char *name, int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int done = real(file);
    usleep(%d);
    return done;
}
int fsync(int file) { return slowly("fsync", file); }
int fdatasync(int file) { return slowly("fdatasync", file); }
"""


def with_slow_flushes(settings: Settings, *cases: str) -> list[Measured]:
    """Run cases with slow flushes; none where there is no compiler, which is said."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        print("slow flushes are left out: they take Linux and a C compiler", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # A server may run as somebody else, who has to read it.
        source, library = folder / "slowly.c", folder / "slowly.so"
        source.write_text(_SOURCE % _MICROSECONDS, "utf-8")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)  # noqa: S603  # Our own.
        return _measured(settings, cases, library)


def _measured(settings: Settings, cases: tuple[str, ...], library: Path) -> list[Measured]:
    command = [sys.executable, "-m", "benchmarks", *cases, "--json", "-", "--flushes-are-slow"]
    command += ["--folder", settings.folder]
    command += ["--rounds", str(min(settings.rounds, _ROUNDS)), "--operations", str(settings.operations)]
    done = subprocess.run(  # noqa: S603  # This program itself.
        command, check=True, capture_output=True, text=True, env={**os.environ, "LD_PRELOAD": str(library)}
    )
    found = []
    for row in json.loads(done.stdout):
        row.pop("met")
        found.append(Measured(**row))
    return found
