"""A real S3-compatible server (SeaweedFS, from its wheel) in a process of its own, and buckets in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from support.valkey import free_port

PORTS = tuple(f"{part}.{kind}" for part in ("master", "volume", "filer", "s3") for kind in ("port", "port.grpc"))
READY_S = 60.0
BUCKET = "canvases"


def weed() -> Path | None:
    """SeaweedFS's program, None where it or s3fs is not installed: `make soak` installs both."""
    found = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    return Path(found) if found and find_spec("s3fs") else None


class Bucket:
    """One server with one bucket; can be killed and started again on the same folder and ports."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {name: free_port() for name in PORTS}
        self._process: subprocess.Popen[bytes] | None = None
        who = {"name": "nanobana", "credentials": [{"accessKey": "key", "secretKey": "secret"}], "actions": ["Admin"]}
        (folder / "data").mkdir()
        (folder / "s3.json").write_text(json.dumps({"identities": [who]}))

    @property
    def environment(self) -> Mapping[str, str]:
        """What an operator sets for botocore to find it."""
        return {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self._ports['s3.port']}",
        }

    @property
    def files(self) -> Any:
        """It as s3fs sees it, with nothing remembered from before."""
        from s3fs import S3FileSystem

        return S3FileSystem(skip_instance_cache=True, use_listings_cache=False)

    def start(self) -> None:
        """Start it and wait until something can be written; raises RuntimeError with its log."""
        program, folder = weed(), self._folder
        assert program is not None
        words = [f"-{name}={port}" for name, port in self._ports.items()]
        words += [f"-dir={folder / 'data'}", f"-s3.config={folder / 's3.json'}", "-s3.autoCreateBucket=false"]
        words += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3", "-filer"]
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-logtostderr", "server", "-volume.max=8", "-master.volumeSizeLimitMB=64", *words],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + READY_S
        while not self._takes_files():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"SeaweedFS did not start:\n{(folder / 'log').read_text()[-3000:]}")
            time.sleep(0.2)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _takes_files(self) -> bool:
        files = self.files
        try:
            if not files.exists(BUCKET):
                files.mkdir(BUCKET)
            files.pipe_file(f"{BUCKET}/ready", b"yes")
        except Exception:  # noqa: BLE001 - botocore's tree, and whatever a server says that is not ready
            return False
        return True


@contextmanager
def running_bucket(folder: Path) -> Iterator[Bucket]:
    """Ready; set its `environment` before."""
    bucket = Bucket(folder)
    try:
        yield bucket
    finally:
        bucket.kill()
