"""A store whose wall clock jumps: a few lines of C are preloaded into it, built by the machine's compiler."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.valkey import PrivateValkey, free_port

SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """The store's clock."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump_to(0)

    def jump_to(self, seconds: int) -> None:
        """So far from the true time, at once."""
        self._file.write_text(str(seconds))


def compiler() -> str | None:
    return shutil.which("cc")


@contextmanager
def jumpy_valkey(folder: Path) -> Iterator[tuple[PrivateValkey, Clock]]:
    """A running store and its clock; needs a `compiler`."""
    library, file = folder / "clock.so", folder / "clock"
    subprocess.run([compiler() or "cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    clock = Clock(file)
    environment = {"LD_PRELOAD": str(library), "NB_CLOCK": str(file)}
    valkey = PrivateValkey(folder / "store", port=free_port(), environment=environment)
    try:
        valkey.start()
        yield valkey, clock
    finally:
        valkey.kill()
