"""The command line: what is written where, exit codes, and one line for every mistake."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dualc import cli
from dualc.cli import catalog as catalog_module
from dualc.cli import compile as compile_module
from dualc.cli.verify import check_files, exceeding
from dualc.ir import Certificate, Measurement
from dualc.paths import project
from dualc.record import read_record, text_of
from dualc.runtime.kernel import load

# Kernels that nobody measured are loaded here on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::dualc.errors.UncertifiedBackend")

ENTRY = 'name = "{name}"\nexpression = "{expression}"\nsummary = "a test"\nsources = ["nobody"]\n'


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and an empty packaged catalog elsewhere."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    packaged = project(tmp_path / "packaged")
    packaged.entries.mkdir(parents=True)
    for module in (catalog_module, compile_module):
        monkeypatch.setattr(module, "PACKAGED", packaged)
    return folder


def files(folder: Path) -> dict[str, str]:
    found = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): p.read_text() for p in found}


def one_line(captured: pytest.CaptureResult[str]) -> str:
    assert captured.out == ""
    assert captured.err.endswith("\n")
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


def compiled(*arguments: str) -> None:
    assert cli.run(["compile", *arguments, "--no-verify"]) == 0


# ---- compile ----


def test_an_expression_is_compiled_into_the_working_folder(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--expr", "x*erf(x)", "--name", "serf_like", "--order", "5"]
    assert cli.run(["compile", *arguments]) == 0
    assert sorted(files(work)) == [
        "catalog/derived/serf_like.json",
        "catalog/serf_like.toml",
        "generated/_support.py",
        "generated/serf_like.py",
    ]
    out = capsys.readouterr().out
    for word in ("x*erf(x)", "closed", "Hermite coefficients", "order 5", "tail", "certificate",
                 "f32 generic", "f64 edge", "dual_dot", "generated/serf_like.py"):  # fmt: skip
        assert word in out
    k = load(work / "generated" / "serf_like.py")
    assert (k.name, k.order) == ("serf_like", 5)
    record = read_record(project(work).record("serf_like"))
    assert [c.backend for c in record.certificates] == ["cpu"]


def test_out_gives_the_flat_layout(work: Path) -> None:
    compiled("--expr", "x", "--name", "line", "--out", "kernels/new")
    names = ["_support.py", "derived/line.json", "line.py", "line.toml"]
    assert sorted(files(work)) == [f"kernels/new/{name}" for name in names]
    assert load("kernels/new/line.py").name == "line"


def test_a_toml_file_is_compiled_and_stays_as_it_is(work: Path) -> None:
    entry = ENTRY.format(name="mine", expression="x**2")
    (work / "mine.toml").write_text(entry)
    compiled("./mine.toml")
    assert files(work)["mine.toml"] == entry
    assert "generated/mine.py" in files(work)
    assert "catalog/mine.toml" not in files(work)


def test_a_name_is_looked_up_here_then_in_the_package_then_among_aliases(work: Path) -> None:
    packaged = compile_module.PACKAGED.entries
    (packaged / "one.toml").write_text(
        ENTRY.format(name="one", expression="x") + 'aliases = ["uno"]\n'
    )
    (work / "catalog").mkdir()
    (work / "catalog" / "two.toml").write_text(ENTRY.format(name="two", expression="x**2"))
    for target, name in (("one", "one"), ("two", "two"), ("uno", "one")):
        compiled(target)
        assert (work / "generated" / f"{name}.py").is_file()


def test_a_parameter_makes_another_activation_with_a_name_of_its_own(work: Path) -> None:
    entry = ENTRY.format(name="leaky", expression="max(x, 0) + a*min(x, 0)")
    (work / "leaky.toml").write_text(entry + '[parameters.a]\ndefault = "1/100"\n')
    compiled("./leaky.toml", "--param", "a=1/5", "--name", "leaky02")
    k = load(work / "generated" / "leaky02.py")
    assert dict(k.parameters) == {"a": 0.2}
    assert (work / "catalog" / "leaky02.toml").is_file()
    compiled("leaky02")  # the entry that was written reads back


def test_standalone_needs_no_support_file(work: Path) -> None:
    compiled("--expr", "max(x, 0)", "--name", "ramp", "--standalone")
    assert "generated/_support.py" not in files(work)
    assert load("generated/ramp.py").name == "ramp"
    check_files(read_record(project(work).record("ramp")), project(work))


def test_compiling_again_gives_the_same_bytes(work: Path) -> None:
    compiled("--expr", "sin(x)", "--name", "wave")
    before = files(work)
    compiled("wave")
    assert files(work) == before


def test_json_is_the_record_and_the_files(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compiled("--expr", "x", "--name", "line", "--json")
    data = json.loads(capsys.readouterr().out)
    record = read_record(project(work).record("line"))
    assert data["record"] == json.loads(text_of(record))
    assert [Path(path).name for path in data["files"]] == [
        "line.py",
        "_support.py",
        "line.json",
        "line.toml",
    ]


def test_unchanged_code_keeps_its_certificate_and_changed_code_loses_it(stocked: Path) -> None:
    place = project(stocked)
    compiled("ramp")
    assert read_record(place.record("ramp")).certificate("cpu") is not None
    compiled("ramp", "--order", "3")
    assert read_record(place.record("ramp")).certificate("cpu") is None


def test_a_hand_written_entry_is_not_overwritten_and_an_own_one_is(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "catalog").mkdir()
    (work / "catalog" / "mine.toml").write_text(
        "# by hand\n" + ENTRY.format(name="mine", expression="x")
    )
    before = files(work)
    assert cli.run(["compile", "--expr", "x**2", "--name", "mine"]) == 2
    assert "somebody wrote" in one_line(capsys.readouterr())
    assert files(work) == before
    compiled("--expr", "x", "--name", "own")
    compiled("--expr", "x**2", "--name", "own")
    assert "x**2" in files(work)["catalog/own.toml"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--expr", "tahn(x)", "--name", "n"], r"column 1.*'tahn'.*'tanh'"),
        (["--expr", "x.real", "--name", "n"], "column"),
        (["--expr", "open(x)", "--name", "n"], "column"),
        (["--expr", "(" * 101 + "x" + ")" * 101, "--name", "n"], ""),
        (["--expr", "10**10**10*x", "--name", "n"], ""),
        (["--expr", "x+" * 6000 + "x", "--name", "n"], ""),
        (["--expr", "a*x", "--name", "n"], "'a'"),
        (["--expr", "x", "--name", "n", "--order", "-1"], "order -1 is outside"),
        (["--expr", "x", "--name", "n", "--order", "1001"], "order 1001 is outside"),
        (["--expr", "x", "--name", "n", "--order", "ten"], "'ten'.*dualc compile --help"),
        (["--expr", "x", "--name", "../up"], "up"),
        (["--expr", "x", "--name", "a b"], "a b"),
        (["--expr", "x", "--name", "class"], "class"),
        (["--expr", "x"], "--name"),
        (["--expr", "exp(x**2)", "--name", "n"], "1/4"),
        (["--expr", "x", "--name", "n", "--param", "a"], "KEY=VALUE"),
        (["--expr", "a*x", "--name", "n", "--param", "a=1", "--param", "a=2"], "twice"),
        (["--expr", "x", "--name", "n", "one"], "one of them"),
        ([], "one of them"),
        (["nothing_like_this"], "no entry is called"),
        (["./nowhere.toml"], "no such file"),
        (["./broken.toml"], "broken.toml"),
        (["./binary.toml"], "binary.toml"),
        (["--all", "one"], "--all takes no"),
        (["--unknown"], "--unknown.*dualc compile --help"),
        (["--expr", "x", "--name", "n", "--out", "file"], "file.*cannot be written"),
        (["--expr", "x", "--name", "n", "--out", "file/deep"], "file.*cannot be written"),
    ],
)
def test_bad_input_is_one_line_exit_2_and_no_file(
    work: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    (work / "broken.toml").write_text('name = "broken\n')
    (work / "binary.toml").write_bytes(b"\xff\xfe")
    (work / "file").write_text("in the way")
    before = sorted(work.rglob("*"))
    assert cli.run(["compile", *arguments, *([] if "--all" in arguments else ["--no-verify"])]) == 2
    line = one_line(capsys.readouterr())
    assert re.search(complaint, line), line
    assert "Traceback" not in line
    assert sorted(work.rglob("*")) == before


def test_a_failed_compilation_leaves_the_old_files(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compiled("--expr", "x", "--name", "line")
    before = files(work)
    assert cli.run(["compile", "--expr", "exp(x**2)", "--name", "line"]) == 2
    assert files(work) == before


def test_all_compiles_what_changed_and_goes_on_after_a_bad_entry(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "catalog").mkdir()
    for name, expression in (("one", "x"), ("two", "x**2"), ("bad", "tahn(x)")):
        text = ENTRY.format(name=name, expression=expression)
        (work / "catalog" / f"{name}.toml").write_text(text)
    assert cli.run(["compile", "--all", "--no-verify", "--json"]) == 2
    captured = capsys.readouterr()
    states = {row["name"]: row["state"] for row in json.loads(captured.out)}
    assert states == {"one": "compiled", "two": "compiled"}
    assert captured.err.count("\n") == 1
    assert "bad.toml" in captured.err
    (work / "catalog" / "bad.toml").unlink()
    before = files(work)
    assert cli.run(["compile", "--all", "--no-verify", "--json"]) == 0
    assert {row["state"] for row in json.loads(capsys.readouterr().out)} == {"unchanged"}
    (work / "catalog" / "two.toml").write_text(ENTRY.format(name="two", expression="x**3"))
    assert cli.run(["compile", "--all", "--no-verify", "--json"]) == 0
    states = {row["name"]: row["state"] for row in json.loads(capsys.readouterr().out)}
    assert states == {"one": "unchanged", "two": "compiled"}
    assert {name for name, text in files(work).items() if text != before[name]} == {
        "catalog/two.toml",
        "catalog/derived/two.json",
        "generated/two.py",
    }


_TWO_AT_ONCE = "from dualc.cli import run; raise SystemExit(run({arguments!r}))"


def test_two_compilations_of_one_name_leave_one_whole_result(work: Path) -> None:
    processes = []
    for expression in ("x", "x**2"):
        arguments = ["compile", "--expr", expression, "--name", "same", "--no-verify"]
        code = _TWO_AT_ONCE.format(arguments=arguments)
        processes.append(subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL))
    assert [process.wait() for process in processes] == [0, 0]
    record = read_record(project(work).record("same"))
    assert load("generated/same.py").expression == record.activation.expression
    assert record.activation.typed in files(work)["catalog/same.toml"]
    assert sorted(p.name for p in work.rglob("*") if p.name.endswith(".tmp")) == []


def test_ctrl_c_is_one_line_and_leaves_nothing(work: Path) -> None:
    # A shell's background jobs have the signal ignored: the command is to hear it.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code = heard + "from dualc.cli import main; print('go', flush=True); main()"
    arguments = ["compile", "--expr", "x*erf(x)", "--name", "slow"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.strip() == "interrupted; nothing was half written"
    assert files(work) == {}


# ---- catalog ----


@pytest.fixture
def stocked(work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with one certified kernel, compiled once for all tests that look at it."""
    global _stock
    if _stock is None:
        assert cli.run(["compile", "--expr", "max(x, 0)", "--name", "ramp"]) == 0
        _stock = files(work)
    for name, text in _stock.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)
    return work


_stock: dict[str, str] | None = None


def test_the_catalog_lists_what_is_compiled(
    stocked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert cli.run(["catalog"]) == 0
    out = capsys.readouterr().out
    assert "ramp" in out
    assert "closed" in out
    assert "max(x, 0)" in out
    assert cli.run(["catalog", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["tier"], row["order"]) == ("ramp", "closed", 12)
    assert set(row["units"]["cpu"]) == {"float32", "float64"}


def test_one_entry_is_shown_in_full(stocked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.run(["catalog", "ramp"]) == 0
    shown = capsys.readouterr().out
    for word in ("max(x, 0)", "closed", "Hermite", "certificate", "cpu"):
        assert word in shown
    assert cli.run(["catalog", "ramp", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["activation"]["name"] == "ramp"
    assert cli.run(["catalog", "ramp", "--latex"]) == 0
    assert r"\phi(x) &= \max\left(x, 0\right)" in capsys.readouterr().out


def test_a_damaged_record_is_named_and_the_rest_is_shown(
    stocked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (stocked / "catalog" / "derived" / "torn.json").write_text('{"activation":')
    capsys.readouterr()
    assert cli.run(["catalog"]) == 2
    captured = capsys.readouterr()
    assert "ramp" in captured.out
    assert "torn.json, line 1: not JSON" in captured.err
    assert captured.err.endswith("Run: dualc compile torn\n")
    assert cli.run(["catalog", "torn"]) == 2
    assert "torn.json" in one_line(capsys.readouterr())


def test_a_record_is_found_by_path_in_both_layouts(
    stocked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("_support.py", "ramp.py"):
        target = stocked / "flat" / name
        target.parent.mkdir(exist_ok=True)
        target.write_text((stocked / "generated" / name).read_text())
    (stocked / "flat" / "derived").mkdir()
    record = (stocked / "catalog" / "derived" / "ramp.json").read_text()
    (stocked / "flat" / "derived" / "ramp.json").write_text(record)
    for path in ("generated/ramp.py", "catalog/derived/ramp.json", "flat/ramp.py",
                 str(stocked / "flat" / "derived" / "ramp.json")):  # fmt: skip
        assert cli.run(["catalog", path]) == 0
        place, record = catalog_module.find_record(path)
        check_files(read_record(record), place)
    capsys.readouterr()
    assert cli.run(["catalog", "flat/none.py"]) == 2
    assert "no record, or no module" in one_line(capsys.readouterr())


def test_an_unknown_entry_names_the_nearest(
    stocked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert cli.run(["catalog", "rampe"]) == 2
    assert "Did you mean 'ramp'?" in one_line(capsys.readouterr())


def test_an_empty_catalog_is_no_error(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["catalog"]) == 0
    assert cli.run(["verify"]) == 2
    assert "dualc compile --all" in capsys.readouterr().err


# ---- verify ----


def test_verify_passes_on_what_was_just_compiled(
    stocked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    before = files(stocked)
    assert cli.run(["verify", "ramp", "--json"]) == 0
    (verdict,) = json.loads(capsys.readouterr().out)
    assert verdict["passed"]
    assert files(stocked) == before


def test_verify_refuses_an_edited_module_and_an_edited_support_file(
    stocked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ramp.py", "_support.py"):
        path = stocked / "generated" / name
        text = path.read_text()
        path.write_text(text + "# edited\n")
        capsys.readouterr()
        assert cli.run(["verify", "ramp"]) == 1
        out = capsys.readouterr().out
        assert "is not what dualc emits" in out
        assert "dualc compile ramp" in out
        path.write_text(text)


def test_verify_answers_no_when_the_certificate_promises_more(
    stocked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stocked / "catalog" / "derived" / "ramp.json"
    data = json.loads(path.read_text())
    for measurement in data["certificates"][0]["worst"]:
        measurement["units"] = -1.0
    path.write_text(json.dumps(data))
    capsys.readouterr()
    assert cli.run(["verify", "ramp"]) == 1
    assert "recorded -1" in capsys.readouterr().out


def test_verify_stores_a_first_certificate_when_asked(
    stocked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stocked / "catalog" / "derived" / "ramp.json"
    data = json.loads(path.read_text())
    data["certificates"] = []
    path.write_text(json.dumps(data))
    capsys.readouterr()
    keep = ["--oracle", "true"]
    assert cli.run(["verify", "ramp", *keep]) == 1
    assert "no certificate for cpu" in capsys.readouterr().out
    assert (stocked / "true" / "ramp.json").is_file()
    assert cli.run(["verify", "ramp", "--record", *keep]) == 0
    assert cli.run(["verify", "ramp", *keep]) == 0


def test_a_measurement_must_be_recorded_and_not_exceeded() -> None:
    def certificate(**units: float) -> Certificate:
        worst = (Measurement(f, "float32", "edge", u, (1.0, 1.0, 1.0)) for f, u in units.items())
        return Certificate("cpu", "hard", 24, tuple(worst))

    recorded = certificate(dual=4.0, dual_dot=float("inf"))
    assert exceeding(recorded, certificate(dual=4.0, dual_dot=8.0)) == ()
    assert len(exceeding(recorded, certificate(dual=8.0))) == 1
    assert len(exceeding(recorded, certificate(dual=float("nan")))) == 1
    assert len(exceeding(recorded, certificate(hermite=1.0))) == 1


# ---- the rest ----


def test_the_command_and_the_module_are_one(root: Path) -> None:
    for arguments, code in ((["--version"], 0), (["catalog", "--wrong"], 2), (["wrong"], 2)):
        command = [sys.executable, "-m", "dualc", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code
        assert done.stderr.count("\n") == (1 if code else 0)


def test_a_reader_that_leaves_early_gets_no_traceback(root: Path) -> None:
    command = f"{sys.executable} -m dualc --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a file that is always full")
@pytest.mark.parametrize("arguments", [["catalog"], ["catalog", "relu"], ["catalog", "--json"]])
def test_an_output_that_is_full_is_one_line(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dualc", *arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "the output: cannot be written (No space left on device)\n"
