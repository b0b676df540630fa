"""What all adapters share: loaded only when asked, an example that runs, a clear error."""

from __future__ import annotations

import importlib
import importlib.util
import sys

import pytest

from dualc.errors import DualcError, MissingLibrary

# The module of an adapter, the library that it needs, and the extra that brings it.
ADAPTERS = [
    ("sklearn", "sklearn", "sklearn"),
    ("tinygp", "tinygp", "tinygp"),
    ("gpjax", "gpjax", "gpjax"),
    ("equinox", "equinox", "equinox"),
    ("flax", "flax", "flax"),
    ("neural_tangents", "neural_tangents", "neural-tangents"),
]


@pytest.mark.parametrize(("adapter", "library", "extra"), ADAPTERS, ids=[a[0] for a in ADAPTERS])
def test_a_missing_library_is_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, adapter: str, library: str, extra: str
) -> None:
    monkeypatch.delitem(sys.modules, f"dualc.adapters.{adapter}", raising=False)
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingLibrary) as caught:
        importlib.import_module(f"dualc.adapters.{adapter}")
    assert isinstance(caught.value, DualcError)
    assert isinstance(caught.value, ImportError)
    name = str(caught.value.name)
    # Where other libraries of the extra are missing as well, the first of them is named.
    assert name == library or importlib.util.find_spec(name) is None
    assert str(caught.value) == f"{name} is not installed.  Run: pip install 'dualc[{extra}]'"


@pytest.mark.parametrize("adapter", [a[0] for a in ADAPTERS])
@pytest.mark.usefixtures("compiled_in_a_hurry")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the libraries among themselves
def test_the_example_in_the_docstring_runs(adapter: str) -> None:
    try:
        module = importlib.import_module(f"dualc.adapters.{adapter}")
    except MissingLibrary as error:
        pytest.skip(str(error))
    lines = (module.__doc__ or "").splitlines()
    code = "\n".join(line[4:] for line in lines if line.startswith("    ") or not line)
    assert code.count("\n") > 5  # there is one
    exec(compile(code, f"the example of {adapter}", "exec"), {})
