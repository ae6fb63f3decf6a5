"""What every benchmark shares: the product on a private folder, the hardware's name, and the last line."""

import contextlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from support.product import running_product


def hardware() -> dict[str, Any]:
    """The machine, as printed beside each figure."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cores": os.cpu_count(), "python": platform.python_version(), "load_1m": os.getloadavg()[0]}


def report(**figures: Any) -> None:
    """One JSON object on the last line."""
    print(json.dumps({**figures, "hardware": hardware()}))


def median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@contextlib.contextmanager
def product() -> Iterator[str]:
    """`nanobana serve` on a fresh data folder; yields its origin once page and engine are ready."""
    with tempfile.TemporaryDirectory(prefix="nb-bench-") as folder, running_product(Path(folder, "data")) as running:
        yield running.origin
