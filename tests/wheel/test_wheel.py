"""What the wheel carries: every package, the built web client, the pictures with their licences, the notices."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "server/nanobana_server/static/index.html"
PICTURES = ROOT / "engine/nanobana_engine/assets/data/nanobana.pack"

pytestmark = [
    pytest.mark.wheel,
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        not (PAGE.is_file() and PICTURES.is_file()), reason="the web client or the pictures are not built: make install"
    ),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True)
    (built,) = folder.glob("nanobana-*.whl")
    with zipfile.ZipFile(built) as opened:
        yield opened


def test_the_wheel_carries_all_three_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/", 1)[0] for name in wheel.namelist()}

    assert {top for top in tops if not top.endswith(".dist-info")} == {"nanobana", "nanobana_server", "nanobana_engine"}


def test_the_wheel_carries_the_web_client(wheel: zipfile.ZipFile) -> None:
    static = [name for name in wheel.namelist() if name.startswith("nanobana_server/static/")]

    assert "nanobana_server/static/index.html" in static
    assert any(name.endswith(".js") for name in static)


def test_the_wheel_carries_the_pictures_with_their_licences(wheel: zipfile.ZipFile) -> None:
    data = {Path(name).name for name in wheel.namelist() if name.startswith("nanobana_engine/assets/data/")}

    assert {"nanobana.pack", "NOTICE"} <= data
    assert any(name.startswith("LICENSE.") for name in data)


def test_the_wheel_carries_the_trained_model(wheel: zipfile.ZipFile) -> None:
    weights = [name for name in wheel.namelist() if name.endswith(".safetensors")]

    assert weights
    assert all(name.startswith("nanobana_engine/") for name in weights)


def test_the_wheel_carries_licence_and_notices(wheel: zipfile.ZipFile) -> None:
    licences = {name.rsplit("/", 1)[1] for name in wheel.namelist() if "/licenses/" in name}

    assert {"LICENSE", "NOTICE"} <= licences


def test_the_wheel_leaves_tests_and_node_modules_out(wheel: zipfile.ZipFile) -> None:
    strays = [name for name in wheel.namelist() if "node_modules" in name or "/tests/" in name or name.endswith(".pyc")]

    assert strays == []


def test_the_wheel_never_asks_for_a_cuda_build(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    needed = [line for line in wheel.read(name).decode().splitlines() if line.startswith("Requires-Dist:")]

    assert [line for line in needed if "nvidia" in line or "cuda" in line or "torchvision" in line] == []
