"""The script for GPU machines runs whole on a tiny network, and says what is missing where there is no GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"


def told(*options: str) -> dict[str, Any]:
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, str(SCRIPT), *options], check=True, capture_output=True, text=True, env=env)
    last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return last


@pytest.mark.timeout(120)
def test_the_gpu_script_measures_dense_steps_lists_and_the_vae_on_any_device() -> None:
    figures = told("--device", "cpu", "--tiny")
    assert {"dense_8_ms", "list_1_of_40_ms", "list_5_of_12_ms", "list_25_of_4_ms", "encode_ms", "decode_ms"} <= set(
        figures
    )
    assert {"product_tflops", "copy_gbs", "record_mib", "weights_mib"} <= set(figures)
    assert figures["list_error"] < 0.02
    assert figures["is_tiny"]


@pytest.mark.timeout(120)
def test_without_a_gpu_the_gpu_script_says_so() -> None:
    figures = told()
    assert figures["skipped"] == "no_gpu"
    assert "--device cpu --tiny" in figures["message"]
