"""Loading: names and paths, packages that do not mix, and refusals that say what to do."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dualc.errors import DualcError, StaleModule, UncertifiedBackend
from dualc.ir import INTERFACE, fingerprint
from dualc.runtime import kernel
from dualc.runtime.kernel import Kernel, load, load_text

SUPPORT = "import jax.numpy as jnp\nSCALE = 1.0\n"
MODULE = '''"""phi(x) = x."""
import jax.numpy as jnp

from . import _support as s

NAME = "line"
EXPRESSION = "x"
TIER = "closed"
ORDER = 1
DOMAIN = (0.0, 1e4)
INTERFACE = 1
FINGERPRINT = "@"
PARAMETERS = ()
JUMPS = ()
HERMITE = (0.0, 1.0)
TAIL = 0.0

def phi(x):
    return x * jnp.asarray(s.SCALE, x.dtype)

def phi_dot(x):
    return jnp.ones_like(x)

def dual(q12, q11, q22):
    return q12

def dual_dot(q12, q11, q22):
    return jnp.ones_like(q12)

def deficit(q11, q22, delta):
    return delta

def dual_diag(q):
    return q

def dual_dot_diag(q):
    return jnp.ones_like(q)

def hermite(q):
    return jnp.stack([jnp.zeros_like(q), jnp.sqrt(q)], axis=-1)
'''


def install(
    folder: Path, *, support: str = SUPPORT, backends: tuple[str, ...] | None = None
) -> Path:
    """A compiled module in the flat layout, with a record if backends are given."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {"order": 1, "certificates": [{"backend": backend} for backend in backends or ()]}
    text = MODULE.replace("@", fingerprint(record, support))
    (folder / "line.py").write_text(text)
    (folder / "_support.py").write_text(support)
    if backends is not None:
        (folder / "derived").mkdir(exist_ok=True)
        (folder / "derived" / "line.json").write_text(json.dumps(record))
    return folder / "line.py"


def test_a_kernel_offers_what_its_module_offers(tmp_path: Path) -> None:
    k = load(install(tmp_path, backends=("cpu",)))
    assert isinstance(k, Kernel)
    assert (k.name, k.expression, k.tier, k.order) == ("line", "x", "closed", 1)
    assert (k.domain, k.parameters, k.coefficients, k.tail) == ((0.0, 1e4), (), (0.0, 1.0), 0.0)
    q = jnp.asarray([1.0, 4.0])
    assert k.phi is not None
    np.testing.assert_array_equal(k.phi(q), q)
    np.testing.assert_array_equal(k.dual(q, q, q), q)
    np.testing.assert_array_equal(k.hermite(q), [[0.0, 1.0], [0.0, 2.0]])


def test_a_path_may_be_text_and_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert load("line.py") == load("./line.py") == load(tmp_path / "line.py")


def test_the_same_text_is_loaded_once_and_changed_text_anew(tmp_path: Path) -> None:
    path = install(tmp_path)
    first = load(path)
    assert load(path).module is first.module
    path.write_text(path.read_text().replace('EXPRESSION = "x"', 'EXPRESSION = "x + 0"'))
    assert load(path).expression == "x + 0"
    assert first.expression == "x"


def test_folders_with_different_support_files_do_not_mix(tmp_path: Path) -> None:
    one = load(install(tmp_path / "one"))
    two = load(install(tmp_path / "two", support=SUPPORT.replace("1.0", "2.0")))
    assert one.phi is not None
    assert two.phi is not None
    assert float(one.phi(jnp.ones(()))) == 1.0
    assert float(two.phi(jnp.ones(()))) == 2.0


def test_threads_that_load_at_once_get_one_module(tmp_path: Path) -> None:
    path = install(tmp_path, support=SUPPORT + "import time; time.sleep(0.05)\n")
    modules: list[object] = []
    threads = [threading.Thread(target=lambda: modules.append(load(path).module)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(modules) == 4
    assert len(set(map(id, modules))) == 1


def test_a_packaged_name_is_loaded_from_the_packaged_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path)
    monkeypatch.setattr(kernel, "GENERATED", tmp_path)
    assert load("line").name == "line"


def test_an_unknown_name_names_the_nearest_and_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path)
    monkeypatch.setattr(kernel, "GENERATED", tmp_path)
    for name in ("lime", "LINE"):
        with pytest.raises(DualcError, match=rf"'{name}'\. Did you mean 'line'.*dualc catalog"):
            load(name)
    for name in ("_support", "..", "", "line.toml"):
        with pytest.raises(DualcError):
            load(name)


def test_an_alias_is_loaded_as_what_it_stands_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path)
    monkeypatch.setattr(kernel, "GENERATED", tmp_path)
    monkeypatch.setattr(kernel, "CATALOG", tmp_path)
    (tmp_path / "line.toml").write_text('aliases = ["identity", "linear"]')
    (tmp_path / "damaged.toml").write_text("aliases = [")
    (tmp_path / "bare.toml").write_text('aliases = ["nothing_compiled"]')
    assert load("linear").name == "line"
    with pytest.raises(DualcError, match=r"Did you mean 'linear'"):
        load("lineer")
    with pytest.raises(DualcError, match="no compiled kernel is called"):
        load("nothing_compiled")


def test_a_path_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(DualcError, match="no such file"):
        load(tmp_path / "nowhere.py")
    with pytest.raises(DualcError, match="no such file"):
        load("./nowhere/line")


def test_a_record_that_changed_after_emission_is_refused(tmp_path: Path) -> None:
    path = install(tmp_path, backends=("cpu",))
    record = tmp_path / "derived" / "line.json"
    record.write_text(record.read_text().replace('"order": 1', '"order": 2'))
    with pytest.raises(StaleModule, match=r"not what dualc emits.*Run: dualc compile line"):
        load(path)


def test_a_support_file_that_changed_after_emission_is_refused(tmp_path: Path) -> None:
    path = install(tmp_path, backends=("cpu",))
    (tmp_path / "_support.py").write_text(SUPPORT + "# edited\n")
    with pytest.raises(StaleModule, match="not what dualc emits"):
        load(path)


def test_the_record_of_the_project_layout_is_found_too(tmp_path: Path) -> None:
    path = install(tmp_path / "generated")
    (tmp_path / "catalog" / "derived").mkdir(parents=True)
    (tmp_path / "catalog" / "derived" / "line.json").write_text('{"certificates": [], "order": 3}')
    with pytest.raises(StaleModule):
        load(path)


def test_a_damaged_record_is_refused_with_the_command(tmp_path: Path) -> None:
    path = install(tmp_path, backends=("cpu",))
    for text in ("{", "[]", "{}", '{"certificates": [1]}'):
        (tmp_path / "derived" / "line.json").write_text(text)
        with pytest.raises(StaleModule, match=r"line\.json is damaged.*dualc compile line"):
            load(path)


def test_another_interface_is_refused_before_anything_runs(tmp_path: Path) -> None:
    path = install(tmp_path)
    text = path.read_text().replace("INTERFACE = 1", f"INTERFACE = {INTERFACE + 1}")
    path.write_text(text + "raise SystemError\n")
    with pytest.raises(StaleModule, match=rf"interface {INTERFACE + 1}.*dualc compile line"):
        load(path)


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda text: text[:100] + "(", "damaged"),
        (lambda text: text.replace("def dual_dot(", "def other("), "lacks dual_dot"),
        (lambda text: text.replace("_support as s", "_nothing as s"), "Run: dualc compile line"),
        (lambda text: text.replace("TAIL = 0.0", ""), "lacks TAIL"),
        (lambda text: text + "s.not_in_this_support_file\n", "does not run .*not_in_this"),
    ],
)
def test_what_is_no_whole_module_is_refused(tmp_path: Path, edit: object, complaint: str) -> None:
    path = install(tmp_path)
    path.write_text(edit(path.read_text()))  # type: ignore[operator]
    with pytest.raises(StaleModule, match=complaint):
        load(path)


def test_a_failed_load_leaves_nothing_behind(tmp_path: Path) -> None:
    path = install(tmp_path, support="import nothing_of_that_name\n")
    before = {name for name in sys.modules if name.startswith("_dualc_loaded")}
    with pytest.raises(StaleModule, match="nothing_of_that_name"):
        load(path)
    assert {name for name in sys.modules if name.startswith("_dualc_loaded")} == before


def test_an_uncertified_backend_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "_said", set())
    path = install(tmp_path, backends=("nothing",))
    with pytest.warns(UncertifiedBackend, match="line has no certificate for .*verify line"):
        load(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(path)


def test_a_module_in_memory_shows_its_lines_in_tracebacks() -> None:
    text = MODULE.replace("    return q12\n", "    raise ZeroDivisionError\n")
    k = load_text(text, SUPPORT, "line")
    with pytest.raises(ZeroDivisionError) as caught:
        k.dual(1, 1, 1)
    assert "raise ZeroDivisionError" in str(caught.traceback[-1].statement)


def test_a_module_without_support_needs_none() -> None:
    text = MODULE.replace("from . import _support as s\n", "").replace("s.SCALE", "3.0")
    k = load_text(text, None, "line")
    assert k.phi is not None
    assert float(k.phi(jnp.ones(()))) == 3.0


def test_loading_needs_no_computer_algebra(tmp_path: Path) -> None:
    path = install(tmp_path, backends=("cpu",))
    code = (
        "import sys\n"
        "for name in ('sympy', 'mpmath', 'flint', 'dualc.record'): sys.modules[name] = None\n"
        f"import dualc; print(dualc.load({str(path)!r}).name)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert out.stdout == "line\n", out.stderr


@pytest.mark.parametrize(
    "name",
    ["squared_relu", *(pytest.param(n, marks=pytest.mark.slow) for n in ("celu", "laplacian"))],
)
def test_gradients_of_dual_dot_are_finite_where_one_variance_is_0(name: str) -> None:
    k = load(name)
    rates = jax.grad(k.dual_dot, (0, 1, 2))(0.0, 0.0, 1.0)
    assert not any(math.isnan(rate) for rate in rates)


def test_a_dual_whose_parts_overflow_is_what_it_is_in_float64() -> None:
    k = load("quick_gelu")
    for q12 in (-1e4, 1e4):
        single = k.dual(*(np.float32(x) for x in (q12, 1e4, 1e4)))
        double = k.dual(*(np.float64(x) for x in (q12, 1e4, 1e4)))
        np.testing.assert_allclose(np.float64(single), double, rtol=1e-5)
