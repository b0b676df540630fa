"""Strict everywhere: 64 bits on, no silent promotion of dtypes or ranks, warnings are errors."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

# Before JAX starts: two CPU devices, so that whatever shards is tested sharded.
if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count=2".strip()

import jax
import pytest
from hypothesis import settings

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Examples are drawn from the name of the test: two runs are alike, and nothing is left on disk.
settings.register_profile("dualc", derandomize=True, database=None, deadline=None)
settings.load_profile("dualc")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def _elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests run in an empty folder, so that a relative path never touches the checkout."""
    before, path = Path.cwd(), os.environ.get("PYTHONPATH")
    os.chdir(tmp_path_factory.mktemp("cwd"))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), path)))  # subprocesses
    yield
    os.chdir(before)


@pytest.fixture(scope="module", autouse=True)
def _out_of_sight_of_the_collector() -> Iterator[None]:
    """What a module's tests leave in JAX's caches is not searched for garbage by all later ones."""
    yield
    gc.freeze()


@pytest.fixture(scope="module")
def compiled_in_a_hurry() -> Iterator[None]:
    """For modules of many programs that run once: optimising them would take most of the time."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def root() -> Path:
    """The checkout."""
    return ROOT


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what needs a GPU on a machine without one."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and jax.default_backend() != "gpu":
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no GPU here"))
