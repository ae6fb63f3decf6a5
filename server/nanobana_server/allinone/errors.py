"""What can keep `nanobana serve` from running, each with the sentence that a person reads.

ServeError
├── BadSetting     an environment variable or option cannot be understood
├── PortTaken      somebody listens on the address already
├── DataInUse      another nanobana holds the data folder
├── DataUnusable   the data folder cannot be made or written
├── PartMissing    an optional part of the distribution is not installed
├── PartRefused    a part was told something that cannot be
└── PartFailed     a part died again and again before it was ever ready
"""

from __future__ import annotations

from pathlib import Path


class ServeError(Exception):
    """Base of the reasons not to run; `exit_code` is the process's."""

    exit_code = 1


class BadSetting(ServeError):
    exit_code = 64

    def __init__(self, name: str, value: str, wanted: str) -> None:
        super().__init__(f"{name} is {value!r}, and should be {wanted}.")
        self.name = name


class PortTaken(ServeError):
    exit_code = 98

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"Cannot listen on {host}:{port}: {reason}. "
            f"Choose another port, for example: PORT={port + 1} make run (or nanobana serve --port {port + 1})."
        )
        self.host = host
        self.port = port


class DataInUse(ServeError):
    exit_code = 75

    def __init__(self, folder: Path, pid: int | None, address: str | None) -> None:
        holder = f"nanobana with process ID {pid}" if pid else "another nanobana"
        where = f", which serves {address}" if address else ""
        super().__init__(
            f"The data folder {folder} is in use by {holder}{where}. "
            "Open that address, stop that process, or choose another folder with NANOBANA_DATA."
        )
        self.folder = folder
        self.pid = pid
        self.address = address


class DataUnusable(ServeError):
    exit_code = 73

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"The data folder {folder} cannot be used: {reason}. Choose another one with NANOBANA_DATA.")
        self.folder = folder


class PartMissing(ServeError):
    exit_code = 69

    def __init__(self, part: str, extra: str, reason: str) -> None:
        super().__init__(f"{part} is not installed ({reason}). Install it with: pip install 'nanobana[{extra}]'")
        self.part = part
        self.extra = extra


class PartRefused(ServeError):
    exit_code = 78

    def __init__(self, part: str, tail: str) -> None:
        said = tail.rpartition("\n")[2].removeprefix(f"nanobana {part}: ")
        super().__init__(said or f"The {part} refused what it was told; it says above why.")
        self.part = part


class PartFailed(ServeError):
    exit_code = 70

    def __init__(self, part: str, times: int, how: str, log: Path | None, tail: str) -> None:
        kept = f" Its log is {log}." if log else ""
        last = f" It said last:\n{tail}" if tail else ""
        super().__init__(f"The {part} {how}, {times} times in a row before it was ready.{kept}{last}")
        self.part = part
        self.log = log
