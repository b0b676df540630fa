"""Loading generated modules: `load("gelu")`, a path, or text compiled in memory, to a `Kernel`.

Loading runs code, so only a packaged name or an explicit path is accepted. Every module becomes a
member of a synthetic package that holds the support text it was written against: `from . import
_support` resolves without anything on `sys.path`, and two folders with different support files
never mix. Modules are pure functions of their text, so they are cached by it: a file compiled anew
is loaded anew.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import linecache
import sys
import threading
import tomllib
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dualc.errors import DualcError, StaleModule, UncertifiedBackend, did_you_mean
from dualc.ir import INTERFACE, fingerprint
from dualc.paths import CATALOG, GENERATED, records_beside

if TYPE_CHECKING:
    from jax import Array

_BACKEND = {"gpu": "cuda"}  # JAX's word to the certificate's; the others are the same
_CONSTANTS = (
    "NAME", "EXPRESSION", "TIER", "ORDER", "DOMAIN", "PARAMETERS", "JUMPS", "HERMITE", "TAIL"
)  # fmt: skip
_FUNCTIONS = (
    "phi", "phi_dot", "dual", "dual_dot", "deficit", "dual_diag", "dual_dot_diag", "hermite"
)  # fmt: skip
_lock = (
    threading.RLock()
)  # imports happen in threads too; the second one takes the first one's module
_said: set[tuple[str, str]] = set()


@dataclass(frozen=True)
class Kernel:
    """A compiled activation: dual(q12, q11, q22) = E[phi(u) phi(v)], and what belongs to it.

    The functions are elementwise, broadcast, are jitted and differentiable, and keep the dtype of
    their first arguments; parameters are keyword-only. Outside `domain` they return NaN. `dual` and
    `dual_dot` take delta = 1 - rho by keyword: near-identical inputs, of which q12 says little.
    """

    name: str
    expression: str
    tier: str  # "closed" | "mixture" | "series"
    order: int
    domain: tuple[float, float]  # of every variance
    parameters: tuple[tuple[str, float], ...]  # with their defaults
    jumps: tuple[str, ...]  # where phi itself does: an NNGP kernel only
    coefficients: tuple[float, ...]  # a_0..a_order at variance 1 and the default parameters
    tail: float  # E[phi(Z)^2] - sum of their squares
    phi: Callable[..., Array] | None  # None: the entry was given by its dual
    phi_dot: Callable[..., Array] | None
    dual: Callable[..., Array]
    dual_dot: Callable[..., Array]
    deficit: Callable[..., Array]  # 1 - k12/sqrt(k11 k22) at (q11, q22, delta), delta = 1 - rho
    dual_diag: Callable[..., Array]
    dual_dot_diag: Callable[..., Array]
    hermite: Callable[..., Array]
    module: types.ModuleType


def load(name_or_path: str | Path) -> Kernel:
    """The kernel of a packaged name or alias, or of the generated module at a path (NAME.py).

    Warns UncertifiedBackend, once, where no certificate covers JAX's default backend.
    Raises DualcError if there is no such module and StaleModule if it does not fit its record, its
    support file or this version of dualc.
    """
    path = _locate(name_or_path)
    name = path.stem
    support_path = path.with_name("_support.py")
    text, support = _read(path), _read(support_path) if support_path.is_file() else None
    certified = _check_record(path, text, support)
    kernel = load_text(text, support, name, origin=str(path))
    _say_uncertified(name, certified)
    return kernel


def load_text(text: str, support: str | None, name: str, *, origin: str | None = None) -> Kernel:
    """The kernel of a module's text; `support` is the text of its `_support`, if it needs one.

    Raises StaleModule if the text is not a generated module of this INTERFACE.
    """
    where = origin or f"<dualc {name}>"
    tree, constants = _constants(text, where, name)
    if constants.get("INTERFACE") != INTERFACE:
        raise StaleModule(
            f"{where} offers interface {constants.get('INTERFACE')}, this dualc reads {INTERFACE}."
            f"  Run: dualc compile {name}"
        )
    with _lock:
        package = _package(support, f"{Path(where).parent}/_support.py" if origin else None, name)
        key = f"{package.__name__}.{name}_{_digest(text)}"
        module = sys.modules.get(key)
        if module is None:
            module = _execute(types.ModuleType(key), tree, text, where, package.__name__, name)
    return _kernel(module, where, name)


# ---- finding and checking ----


def _locate(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if isinstance(name_or_path, Path) or path.suffix == ".py" or len(path.parts) > 1:
        if path.is_file():
            return path.resolve()
        raise DualcError(f"{path}: no such file.  Run: dualc compile {path.stem} --out DIR")
    known = sorted(p.stem for p in GENERATED.glob("*.py") if not p.stem.startswith("_"))
    aliases = {} if name_or_path in known else _aliases()
    name = aliases.get(name_or_path, name_or_path)
    if name in known:
        return GENERATED / f"{name}.py"
    raise DualcError(
        f"no compiled kernel is called {name_or_path!r}."
        f"{did_you_mean(name_or_path, [*known, *aliases])}  "
        "Run: dualc catalog  (a module of your own is loaded by its path)"
    )


def _aliases() -> dict[str, str]:
    """The name that an alias in the packaged catalog stands for."""
    found: dict[str, str] = {}
    for entry in sorted(CATALOG.glob("*.toml")):
        with contextlib.suppress(OSError, ValueError):  # an entry that compiling it will name
            data = tomllib.loads(entry.read_text(encoding="utf-8"))
            found |= dict.fromkeys(data.get("aliases", ()), entry.stem)
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StaleModule(f"{path}: cannot be read ({error}).  Run: dualc compile") from None


def _check_record(path: Path, text: str, support: str | None) -> frozenset[str] | None:
    """The backends its record certifies, None without a record; StaleModule on a mismatch."""
    found = next((p for p in records_beside(path) if p.is_file()), None)
    if found is None:
        return None
    name = path.stem
    try:
        record = json.loads(found.read_text(encoding="utf-8"))
        backends = frozenset(certificate["backend"] for certificate in record["certificates"])
    except (OSError, ValueError, KeyError, TypeError):
        raise StaleModule(f"{found} is damaged.  Run: dualc compile {name}") from None
    _, constants = _constants(text, str(path), name)
    if support is not None and constants.get("FINGERPRINT") != fingerprint(record, support):
        raise StaleModule(
            f"{path} is not what dualc emits from {found} and {path.with_name('_support.py')}.  "
            f"Run: dualc compile {name}"
        )
    return backends


def _say_uncertified(name: str, certified: frozenset[str] | None) -> None:
    import jax

    backend = _BACKEND.get(jax.default_backend(), jax.default_backend())
    if certified is None or backend in certified or (name, backend) in _said:
        return  # a module that travels without its record has nothing to say about itself
    _said.add((name, backend))
    message = f"{name} has no certificate for {backend}.  Run: dualc verify {name} --record"
    warnings.warn(message, UncertifiedBackend, stacklevel=3)


# ---- modules from text ----


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=8)  # a load reads the module twice: against its record, then to run it
def _constants(text: str, where: str, name: str) -> tuple[ast.Module, dict[str, Any]]:
    """The syntax tree and the literals assigned at top level, read without running anything."""
    try:
        tree = ast.parse(text, where)
    except (SyntaxError, ValueError) as error:
        message = f"{where} is damaged ({error}).  Run: dualc compile {name}"
        raise StaleModule(message) from None
    literals = {
        statement.targets[0].id: statement.value.value
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and isinstance(statement.value, ast.Constant)
    }
    return tree, literals


def _package(support: str | None, origin: str | None, name: str) -> types.ModuleType:
    """The synthetic package whose `_support` has that text."""
    key = f"_dualc_loaded_{_digest(support) if support is not None else 'standalone'}"
    if key in sys.modules:
        return sys.modules[key]
    package = types.ModuleType(key)
    package.__path__ = []
    sys.modules[key] = package
    if support is None:
        return package
    where = origin or f"<dualc _support {key}>"
    try:
        tree, _ = _constants(support, where, name)
        module = types.ModuleType(f"{key}._support")
        package._support = _execute(module, tree, support, where, key, name)  # type: ignore[attr-defined]
    except BaseException:
        del sys.modules[key]
        raise
    return package


def _execute(
    module: types.ModuleType, tree: ast.Module, text: str, where: str, package: str, name: str
) -> types.ModuleType:
    """Runs a module's code inside its package and enters it in sys.modules."""
    module.__package__, module.__file__ = package, where
    if where.startswith("<"):  # so that tracebacks show the lines of text that is in no file
        linecache.cache[where] = (len(text), None, text.splitlines(keepends=True), where)
    sys.modules[module.__name__] = module
    try:
        exec(compile(tree, where, "exec"), module.__dict__)
    except BaseException as error:
        del sys.modules[module.__name__]
        if not isinstance(error, Exception):
            raise
        # a support file that lacks what the module asks for, or text that was cut or edited
        message = f"{where} does not run ({type(error).__name__}: {error})."
        raise StaleModule(f"{message}  Run: dualc compile {name}") from error
    return module


def _kernel(module: types.ModuleType, where: str, name: str) -> Kernel:
    missing = [word for word in _CONSTANTS + _FUNCTIONS if not hasattr(module, word)]
    if missing:
        raise StaleModule(f"{where} lacks {', '.join(missing)}.  Run: dualc compile {name}")
    values = {word: getattr(module, word) for word in _CONSTANTS + _FUNCTIONS}
    constants = {word.lower(): values[word] for word in _CONSTANTS[:7]}
    functions = {word: values[word] for word in _FUNCTIONS}
    return Kernel(
        **constants,
        coefficients=values["HERMITE"],
        tail=values["TAIL"],
        **functions,
        module=module,
    )
