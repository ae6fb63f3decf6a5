"""A place for history that cannot be used is refused with what to do, and one that is away is away (C8)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from nanobana.protocol.errors import Unavailable
from nanobana_server.store.cellar import Cellar
from support.server_process import ServerProcess

WITHOUT_S3FS = """
import sys
sys.modules["s3fs"] = None
from nanobana_server.store.cellar import Cellar
try:
    Cellar("s3://bucket/prefix")
except ValueError as error:
    print(error)
"""


def test_a_bucket_without_its_extra_says_what_to_install() -> None:
    said = subprocess.run([sys.executable, "-c", WITHOUT_S3FS], capture_output=True, text=True, check=True).stdout
    assert said == "'s3://bucket/prefix' cannot be used for history: it needs pip install 'nanobana[s3]'\n"


def test_a_folder_is_proven_by_writing_to_it(tmp_path: Path) -> None:
    Cellar(str(tmp_path / "cellar")).prove()
    (tmp_path / "file").write_bytes(b"no folder")
    with pytest.raises(ValueError, match="file/cellar' cannot be used for history"):
        Cellar(str(tmp_path / "file" / "cellar")).prove()


def test_a_server_whose_history_cannot_be_kept_ends_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"no folder")
    settings = {"NANOBANA_CELLAR": str(tmp_path / "file" / "cellar")}
    server = ServerProcess("redis://127.0.0.1:1/0", tmp_path / "log", settings)
    assert server.run_to_its_end() == 78
    assert "NANOBANA_CELLAR: " in server.log.read_text("utf-8")


class Strange(Exception):
    """As the libraries behind fsspec have them: no OSError."""


class Away(MemoryFileSystem):  # type: ignore[misc] # fsspec has no types
    """A bucket that nobody can reach."""

    protocol = "away"

    def exists(self, path: str, **more: Any) -> bool:
        raise Strange("Could not connect to the endpoint")

    pipe_file = cat_file = exists


async def test_c12_whatever_a_filesystem_raises_means_that_the_cellar_is_away() -> None:
    fsspec.register_implementation("away", Away, clobber=True)
    cellar = Cellar("away://bucket")
    with pytest.raises(Unavailable) as away:
        await cellar.put("c", b"bytes")
    assert (away.value.code, "Could not connect" in str(away.value)) == ("cellar_unavailable", True)
    with pytest.raises(Unavailable):
        await cellar.get("c", "0" * 32)
    with pytest.raises(Unavailable):
        cellar.prove()
