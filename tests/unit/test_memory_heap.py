"""Freed memory stays with the process (E9)."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
from nanobana_engine.memory.heap import keep_freed
if {keeps}:
    assert keep_freed()
def step():
    planes = [np.ones(1 << 20, np.float32) for _ in range(8)]
    return len(planes)
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_e9_a_step_reuses_the_pages_that_the_one_before_has_freed() -> None:
    kept, plain = (
        int(subprocess.run([sys.executable, "-c", SCRIPT.format(keeps=keeps)], check=True, capture_output=True).stdout)
        for keeps in (True, False)
    )
    assert kept < 500 < plain
