"""Models on the hub: found in its cache on this machine, or downloaded into it, resumably and with progress."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nanobana.protocol.errors import NanobanaError, NotAllowed, NotFound, StorageFull, Unavailable
from nanobana_engine.models.folder import INDEX, read_index

log = logging.getLogger(__name__)

Tell = Callable[[int, int], None]
"""Told about once a second how many bytes of a download are here, and how many there will be."""

LOOK_S = 1.0
SPARE_BYTES = 1 << 30
"""Left free on the disk by a download."""
SMALL_FILES = ("*.json", "*.txt", "*.model", "*.jinja")
NEVER = ("*non_ema*", "*openvino*", "*flax*", "*onnx*")


class Hub:
    """Reads and fills the hub's cache.

    Args:
        cache: its folder; None takes the one that every program on this machine shares (HF_HOME).
        endpoint: the hub's address; None for the public one (HF_ENDPOINT).
    """

    def __init__(self, cache: Path | None = None, endpoint: str | None = None) -> None:
        self._cache = cache
        self._endpoint = endpoint

    def cached(self, repo: str, patterns: Sequence[str], revision: str | None = None) -> Path | None:
        """The newest snapshot that is on this machine, whole as far as the hub's own books say; asks no network."""
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            return Path(
                snapshot_download(
                    repo,
                    revision=revision,
                    cache_dir=self._cache,
                    allow_patterns=list(patterns),
                    ignore_patterns=list(NEVER),
                    local_files_only=True,
                )
            )
        except (LocalEntryNotFoundError, HFValidationError):
            return None

    def index(self, repo: str, revision: str | None = None) -> dict[str, Any]:
        """A repository's `model_index.json`, downloaded if it is not here.

        Raises:
            NanobanaError: as `fetch`; NotFound ``unknown_model`` where there is none.
        """
        path = self.cached_file(repo, INDEX) or self.fetch(repo, [INDEX], revision) / INDEX
        if not path.is_file():
            raise NotFound(
                f"{repo} on the hub holds no model in diffusers format: it has no {INDEX}.", code="unknown_model"
            )
        return read_index(path.parent)

    def fetch(self, repo: str, patterns: Sequence[str], revision: str | None = None, tell: Tell | None = None) -> Path:
        """Download what is missing; what an earlier try left is gone on with.

        Raises:
            Unavailable: ``offline``, ``download_failed``.
            NotAllowed: ``gated_model``.
            NotFound: ``unknown_model``.
            StorageFull: ``disk_full``.
        """
        from huggingface_hub import snapshot_download

        asked: dict[str, Any] = {
            "revision": revision,
            "cache_dir": self._cache,
            "endpoint": self._endpoint,
            "allow_patterns": list(patterns),
            "ignore_patterns": list(NEVER),
        }
        with self._explained(repo):
            files = snapshot_download(repo, dry_run=True, **asked)
            missing = sum(file.file_size or 0 for file in files if file.will_download)
            self._check_space(repo, missing)
            with self._watched(repo, missing, tell):
                return Path(snapshot_download(repo, **asked))

    def file(self, repo: str, name: str, tell: Tell | None = None) -> Path:
        """One file of a repository; raises as `fetch`."""
        return self.cached_file(repo, name) or self.fetch(repo, [name], None, tell) / name

    def cached_file(self, repo: str, name: str) -> Path | None:
        """One file of a repository if it is on this machine."""
        found = self.cached(repo, [name])
        return found / name if found and (found / name).is_file() else None

    @property
    def folder(self) -> Path:
        """Of the cache."""
        from huggingface_hub import constants

        return self._cache or Path(constants.HF_HUB_CACHE)

    def _blobs(self, repo: str) -> Path:
        return self.folder / f"models--{repo.replace('/', '--')}" / "blobs"

    def _check_space(self, repo: str, missing: int) -> None:
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if missing + SPARE_BYTES > free:
            raise StorageFull(
                f"{repo} needs {missing / 1e9:.1f} GB, and {folder} has {free / 1e9:.1f} GB free. Make room, or set "
                "HF_HOME to a folder on a larger disk.",
                code="disk_full",
            )

    @contextmanager
    def _watched(self, repo: str, missing: int, tell: Tell | None) -> Iterator[None]:
        """Tells how far a download is by what lies in the cache: the same for every way in which it travels."""
        if tell is None or missing == 0:
            yield
            return
        blobs, done = self._blobs(repo), threading.Event()
        before = _bytes_in(blobs)

        def watch() -> None:
            while not done.wait(LOOK_S):
                tell(min(missing, max(0, _bytes_in(blobs) - before)), missing)

        tell(0, missing)
        watcher = threading.Thread(target=watch, name="download", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
        tell(missing, missing)

    @contextmanager
    def _explained(self, repo: str) -> Iterator[None]:
        """The hub's many errors as ours, with what to do."""
        try:
            yield
        except NanobanaError:
            raise
        except Exception as error:
            log.debug("the hub's own error for %s", repo, exc_info=True)
            raise _ours(repo, error) from error


def _ours(repo: str, error: Exception) -> NanobanaError:
    from huggingface_hub import errors

    if isinstance(error, errors.DryRunError):  # it only says that it could not ask; what happened is behind it
        error = error.__cause__ if isinstance(error.__cause__, Exception) else errors.OfflineModeIsEnabled()
    if isinstance(error, errors.GatedRepoError):
        return NotAllowed(
            f"{repo} is given only to those who agreed to its licence: agree on its page of the hub, then set HF_TOKEN "
            "to a token of that account.",
            code="gated_model",
        )
    if isinstance(error, (errors.RepositoryNotFoundError, errors.RevisionNotFoundError)):
        return NotFound(
            f"The hub has no model {repo}, or shows it to nobody without a token (HF_TOKEN).", code="unknown_model"
        )
    if isinstance(error, errors.HFValidationError):
        return NotFound(f"{repo!r} is no name of a model on the hub: {error}", code="unknown_model")
    if isinstance(error, (errors.LocalEntryNotFoundError, ConnectionError)) or _is_connection(error):
        return Unavailable(
            f"{repo} is not on this machine and the hub cannot be reached. Connect this machine, or download it on "
            f"another one (hf download {repo} --local-dir FOLDER), copy the folder here and name it: --model FOLDER.",
            code="offline",
        )
    return Unavailable(
        f"Downloading {repo} failed ({type(error).__name__}: {error}). What is here is kept: start again to go on with "
        "it.",
        code="download_failed",
    )


def _is_connection(error: Exception) -> bool:
    """Of the client that the hub's package uses: there is nobody at the other end."""
    return any(kind.__name__ in ("ConnectError", "ConnectTimeout", "ProxyError") for kind in type(error).__mro__)


def patterns_of(components: Sequence[str], variant: str | None) -> list[str]:
    """Which files of a repository in diffusers format are needed."""
    weights = (f"*.{variant}.safetensors", f"*.{variant}-*.safetensors") if variant else ("*.safetensors",)
    return [INDEX, *(f"{name}/{kind}" for name in components for kind in (*SMALL_FILES, *weights))]


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.glob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue  # just renamed
    return total
