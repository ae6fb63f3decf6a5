"""Zip files: those from anybody read no further than their limits (R10), and ours written off the event loop."""

import struct
import zipfile
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO

import anyio

from nanobana_server.store.pool import Pool

DIRECTORY_BYTES = 32 << 20
"""Of the list of parts, 46 bytes each and their names: Python makes an object of half a kilobyte of every one."""

_END, _END_BYTES, _SIZE_AT = b"PK\5\6", 22, 12
_LOCATOR, _LOCATOR_BYTES = b"PK\6\7", 20
_END64_BYTES, _SIZE64_AT = 56, 40
_COMMENT_BYTES = 1 << 16
_IN_64 = 0xFFFFFFFF
"""Stands for a number that only the 64-bit record has room for."""


class BadZip(Exception):
    """It cannot be unpacked, or would be too much; the text says why."""


class NoPart(BadZip):
    """The file has no such part."""


@asynccontextmanager
async def writing(pool: Pool, out: BinaryIO) -> AsyncIterator[zipfile.ZipFile]:
    """A new file, whose directory is written at the end; its parts are to be written in the pool too."""
    file = zipfile.ZipFile(out, "w", zipfile.ZIP_STORED)
    try:
        yield file
    finally:
        with anyio.CancelScope(shield=True):
            await pool.run(file.close)


def open_zip(source: BinaryIO) -> zipfile.ZipFile:
    """Open a file for reading; call it off the event loop.

    Raises:
        BadZip: it is no zip file, is damaged, or has a directory above `DIRECTORY_BYTES`.
    """
    try:
        if _directory_bytes(source) > DIRECTORY_BYTES:
            raise BadZip("it has too many parts")
        return zipfile.ZipFile(source)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OSError) as error:
        raise BadZip(f"it cannot be unpacked ({error})") from error


def read_part(file: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """One part, whole; not more of it is unpacked than the directory says, and that is within the limit.

    Raises:
        NoPart: there is none.
        BadZip: it is longer than `limit`, damaged, or packed or encrypted in a way that is not known here.
    """
    try:
        info = file.getinfo(name)
    except KeyError as error:
        raise NoPart(f"{name} is missing") from error
    if info.file_size > limit:
        raise BadZip(f"{name} would be {info.file_size >> 20} MiB long")
    try:
        return file.read(info)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise BadZip(f"it cannot be unpacked ({error})") from error


def _directory_bytes(source: BinaryIO) -> int:
    """Bytes of the directory: the most that any record which zipfile may go by says; 0 where there is none."""
    size = source.seek(0, 2)
    source.seek(max(0, size - _COMMENT_BYTES - _END_BYTES - _LOCATOR_BYTES - _END64_BYTES))
    tail = source.read()
    return max(_told(tail, len(tail) - _END_BYTES), _told(tail, tail.rfind(_END)))


def _told(tail: bytes, at: int) -> int:
    if at < 0 or not tail.startswith(_END, at) or at + _END_BYTES > len(tail):
        return 0
    told: int = struct.unpack_from("<L", tail, at + _SIZE_AT)[0]
    told64, locator = 0, at - _LOCATOR_BYTES
    if locator >= _END64_BYTES and tail.startswith(_LOCATOR, locator):
        told64 = struct.unpack_from("<Q", tail, locator - _END64_BYTES + _SIZE64_AT)[0]
    return max(told if told < _IN_64 else 0, told64)
