"""The cellar: a folder or bucket, by fsspec, for bytes that only history or a sleeping canvas needs (C8, C12)."""

import os
import secrets
from collections.abc import Callable
from typing import Any, TypeVar

import structlog

from nanobana.protocol.errors import Unavailable
from nanobana.raster.codec import blob_name
from nanobana_server.store.pool import Pool

THREADS = 4
"""Files read or written at once: their own pool, so that a slow disk never holds up pixels."""

EXTRAS = {"s3": "s3", "s3a": "s3"}
"""By the scheme of a URL: our extra that installs what it needs."""

_T = TypeVar("_T")

_log = structlog.get_logger("nanobana.cellar")


class Cellar:
    """Immutable bytes of many canvases by content name; every server of a store must be given the same one.

    Args:
        url: a path, or what fsspec understands: ``file:///…``, ``s3://bucket/prefix`` (extra ``s3``), ``memory://…``.

    Raises:
        ValueError: nothing that is installed understands this URL; names the extra that would.
    """

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs  # heavy, and only servers with a cellar need it
        from fsspec.implementations.local import LocalFileSystem

        try:
            self._fs: Any
            self._fs, self._root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            extra = EXTRAS.get(url.partition("://")[0]) if isinstance(error, ImportError) else None
            why = f"it needs pip install 'nanobana[{extra}]'" if extra else error
            raise ValueError(f"{url!r} cannot be used for history: {why}") from error
        self._url = url
        self._is_local = isinstance(self._fs, LocalFileSystem)
        self._pool = Pool(THREADS)

    def prove(self) -> None:
        """Write a few bytes and read them back, before anybody relies on the place. Blocks.

        Raises:
            ValueError: it refuses: there is no such bucket, or these credentials may not write to it.
            Unavailable: it cannot be reached now, and may be later.
        """
        path, data = f"{self._root}/nanobana-cellar", b"Bytes of nanobana's canvases lie here.\n"
        try:
            self._reached(self._write, path, data)
            same = self._reached(self._fs.cat_file, path) == data
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            raise ValueError(f"{self._url!r} cannot be used for history: {error}") from error
        except OSError as error:
            raise _away(error) from error
        if not same:
            raise ValueError(f"{self._url!r} cannot be used for history: it does not give back what was written")

    async def put(self, canvas: str, data: bytes, name: str | None = None) -> str:
        """Keep bytes, whole or not at all, and on the disk when this returns; idempotent.

        Args:
            name: their `blob_name`, where the caller has it.

        Raises:
            Unavailable: ``cellar_unavailable``.
        """
        return await self._pool.run(self._put, canvas, data, name)

    async def get(self, canvas: str, name: str) -> bytes | None:
        """The bytes of that name, None where there are none or they are damaged. Raises Unavailable."""
        return await self._pool.run(self._get, canvas, name)

    async def forget(self, canvas: str) -> None:
        """Delete everything of a canvas (C12)."""
        await self._pool.run(self._forget, canvas)

    def _path(self, canvas: str, name: str) -> str:
        return f"{self._root}/{canvas}/{name[:2]}/{name}"

    def _put(self, canvas: str, data: bytes, name: str | None) -> str:
        name = name or blob_name(data)
        path = self._path(canvas, name)
        try:
            if not self._reached(self._fs.exists, path):
                self._reached(self._write, path, data)
        except OSError as error:
            raise _away(error) from error
        return name

    def _reached(self, act: Callable[..., _T], *args: Any, **more: Any) -> _T:
        """Raises OSError alone: the libraries behind fsspec have trees of their own, and none is imported here."""
        try:
            return act(*args, **more)
        except OSError:
            raise
        except Exception as error:
            raise ConnectionError(str(error)) from error

    def _write(self, path: str, data: bytes) -> None:
        self._write_local(path, data) if self._is_local else self._fs.pipe_file(path, data)

    def _write_local(self, path: str, data: bytes) -> None:
        """Beside its place, synced, then moved there: a kill or a power cut leaves no half file under the name."""
        folder = os.path.dirname(path)  # noqa: PTH120 - fsspec's paths are text
        self._fs.makedirs(folder, exist_ok=True)
        beside = f"{path}.{secrets.token_hex(4)}"
        with open(beside, "wb") as file:  # noqa: PTH123
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)  # noqa: PTH105
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _get(self, canvas: str, name: str) -> bytes | None:
        try:
            data: bytes = self._reached(self._fs.cat_file, self._path(canvas, name))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _away(error) from error
        if blob_name(data) != name:
            _log.error("bytes in the cellar are damaged", canvas=canvas, blob=name)
            return None
        return data

    def _forget(self, canvas: str) -> None:
        self._fs.invalidate_cache()  # another server may have put something there since it was listed
        try:
            self._reached(self._fs.rm, f"{self._root}/{canvas}", recursive=True)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _away(error) from error


def _away(error: Exception) -> Unavailable:
    text = f"Where history is kept cannot be reached at the moment ({error}). What was saved is safe; try again."
    return Unavailable(text, code="cellar_unavailable", retry_ms=2000)
