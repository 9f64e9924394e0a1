"""Compiled kernels are loaded without numba's compiler, and made with it."""

import os
import subprocess
import sys

import pytest

RESAMPLE = """
import sys
import numpy as np
from numba.core.runtime import rtsys
from sofia_engine.numerics.resampling import _kernel
from sofia_engine.numerics.resampling import LocalRegression, Resampler

x, y = np.random.default_rng(1).uniform(0, 10, (2, 500))
made = Resampler([x, y], x + 2 * y, 0.1, LocalRegression(window=2.0, order=1))(np.arange(2.0, 9), np.arange(3.0, 8))
assert abs(made.values[0, 0] - 8.0) < 1e-6, made.values[0, 0]
print(type(_kernel.regress._cache).__name__, len(_kernel.regress.stats.cache_hits))
print("scipy.linalg" in sys.modules, rtsys._init)
"""


def resample(environment: dict[str, str]) -> list[str]:
    """Words printed: kind of cache, functions found in it, whether compiler and run time of numba are there."""
    done = subprocess.run(
        [sys.executable, "-c", RESAMPLE], env=environment, capture_output=True, text=True, timeout=300, check=True
    )
    return done.stdout.split()


@pytest.mark.slow
def test_that_code_is_made_where_there_is_none_and_then_loaded_without_the_compiler(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = resample(environment), resample(environment)
    assert first == ["KernelCache", "0", "True", "True"]
    assert second == ["KernelCache", "1", "False", "False"]
    (stored,) = tmp_path.rglob("*.nbc")
    assert stored.stat().st_size < 600_000  # machine code without the form that numba keeps for other functions
    for code in tmp_path.rglob("*.nbc"):
        code.write_bytes(b"damaged")
    assert resample(environment)[0] == "KernelCache"


def test_that_functions_without_a_cache_are_left_as_they_are():
    from sofia_engine.numerics.resampling.kernel_cache import KernelCache

    class Uncached:
        _cache = None

    KernelCache.attach(Uncached)
    assert Uncached._cache is None
