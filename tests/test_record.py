"""Records read back as they were written, are strict, and files are whole or untouched."""

from __future__ import annotations

import contextlib
import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualc.errors import EntryError, OutputError
from dualc.ir import (
    Activation,
    Ball,
    Bound,
    Certificate,
    DualForm,
    HermiteSeries,
    KernelPlan,
    Measurement,
    Parameter,
    Record,
    SeriesTable,
    fingerprint,
)
from dualc.record import convert, data_of, parse_record, read_record, text_of, write_files


def make_record(**changes: object) -> Record:
    table = SeriesTable(1, 2, (0, 1), (("1.0", "2.0"), ("3.0", "4.0")), (
        Bound("dual", "0", "1", "1", "1e-7"), Bound("dual_dot", "0", "1", "1", None, "phi jumps"),
    ))  # fmt: skip
    record = Record(
        activation=Activation(
            "mine", "max(x, 0)*a", None, "relu(x)*a", (Parameter("a", "1/100"),), sources=("Mü",)
        ),
        order=1,
        form=DualForm("series", gave_up="no link"),
        hermite=HermiteSeries(1, (Ball("0.5", "1e-30"), Ball("0.25", "1e-30")), Ball("0.1", "0")),
        table=table,
        plan=KernelPlan((), "10000"),
        certificates=(
            Certificate("cpu", "hard", 24, (
                Measurement("dual", "float32", "edge", 4.0, (1.0, -0.0, 1e-300)),
                Measurement("dual", "float64", "edge", math.inf, (0.1, 1.0, 3.0), "overflow"),
            )),
        ),
    )  # fmt: skip
    return replace(record, **changes)


def test_a_record_reads_back_as_it_was_written() -> None:
    for record in (make_record(), make_record(table=None, certificates=())):
        again = parse_record(text_of(record), "mine.json", "mine")
        assert again == record
        assert text_of(again) == text_of(record)
        assert hash(again) == hash(record)  # tuples all the way down


def test_the_text_of_a_record_is_canonical() -> None:
    text = text_of(make_record())
    assert text.endswith("}\n")
    assert not text.endswith("\n\n")
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    assert "Mü" in text


def test_the_fingerprint_ignores_certificates_and_sees_everything_else() -> None:
    record = make_record()
    one = fingerprint(data_of(record), "support")
    assert one == fingerprint(data_of(replace(record, certificates=())), "support")
    assert one == fingerprint(asdict(record), "support")
    assert one != fingerprint(data_of(record), "another support")
    assert one != fingerprint(data_of(record), "support", interface=2)
    assert one != fingerprint(data_of(replace(record, order=2)), "support")


def test_a_certificate_replaces_the_one_of_its_own_backend_only() -> None:
    record = make_record()
    cuda = Certificate("cuda", "full", 9, ())
    cpu = Certificate("cpu", "full", 9, ())
    both = record.certified(cuda).certified(cpu)
    assert both.certificates == (cpu, cuda)
    assert both.certificate("cuda") == cuda
    assert record.certificate("cuda") is None


def edited(change: object) -> str:
    data = data_of(make_record())
    change(data)  # type: ignore[operator]
    return json.dumps(data)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1: not JSON"),
        ('{"order": 1', "not JSON"),
        ("[]", "expected an object"),
        ("{}", "activation: missing"),
        (edited(lambda d: d.pop("plan")), "plan: missing"),
        (edited(lambda d: d.update(extra=1)), "extra: unknown key"),
        (edited(lambda d: d["form"].update(tear="x")), "form.tear: unknown key"),
        (edited(lambda d: d.update(order="12")), 'order: expected int, found "12"'),
        (edited(lambda d: d.update(order=True)), "order: expected int, found true"),
        (edited(lambda d: d["hermite"].update(coefficients={})), "hermite.coefficients: expected"),
        (edited(lambda d: d["table"]["rows"][1].append(1.0)), "table.rows[1][2]: expected str"),
        (edited(lambda d: d["certificates"][0]["worst"][0].update(point=[1.0])), "an array of 3"),
        (edited(lambda d: d["certificates"][0]["worst"][0].update(units="4")), "a number"),
        (edited(lambda d: d["activation"].update(name="other")), "holds the record of 'other'"),
        ("[" * 100_000, "mine.json"),
    ],
)  # fmt: skip
def test_a_damaged_record_names_the_place_and_the_mending_command(
    text: str, complaint: str
) -> None:
    with pytest.raises(EntryError) as caught:
        parse_record(text, "mine.json", "mine")
    message = str(caught.value)
    assert message.startswith("mine.json")
    assert complaint in message
    assert message.endswith("Run: dualc compile mine")
    assert "\n" not in message


def test_a_missing_or_binary_record_is_an_entry_error(tmp_path: Path) -> None:
    with pytest.raises(EntryError, match=r"nowhere\.json: cannot be read.*dualc compile nowhere"):
        read_record(tmp_path / "nowhere.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EntryError, match="not UTF-8"):
        read_record(tmp_path / "binary.json")


ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(ATOMS, lambda c: st.lists(c) | st.dictionaries(st.text(), c), max_leaves=8)


@given(JSON)
def test_any_json_is_converted_or_refused_with_a_value_error(data: object) -> None:
    for kind in (Record, tuple[str, ...], tuple[float, int], float | None, Ball):
        with contextlib.suppress(ValueError):
            hash(convert(data, kind))  # what comes back is a value: tuples, no lists


def test_only_types_with_a_json_form_are_converted() -> None:
    with pytest.raises(TypeError):
        convert([], list[int])
    with pytest.raises(TypeError):
        convert("", str | int)  # which of the two it was could not be told


# ---- writing ----


def contents(folder: Path) -> dict[str, str]:
    files = (p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_text() for p in files}


def test_files_are_written_together_and_folders_made(tmp_path: Path) -> None:
    files = {tmp_path / "a" / "x.py": "x = 1\n", tmp_path / "a" / "b" / "x.json": "{}\n"}
    assert write_files(files) == tuple(files)
    assert contents(tmp_path) == {"a/x.py": "x = 1\n", "a/b/x.json": "{}\n"}


def test_a_file_that_already_holds_its_text_is_left_alone(tmp_path: Path) -> None:
    path, other = tmp_path / "x.py", tmp_path / "y.py"
    write_files({path: "same\n", other: "old\n"})
    before = path.stat().st_mtime_ns, path.stat().st_ino
    assert write_files({path: "same\n", other: "new\n"}) == (other,)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_the_permissions_follow_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        write_files({tmp_path / "x.py": ""})
    finally:
        os.umask(old)
    assert (tmp_path / "x.py").stat().st_mode & 0o777 == 0o644


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"every file is as it was.*--out"):
        write_files({tmp_path / "new" / "y.py": "y\n", tmp_path / "file" / "x.py": "x\n"})
    assert contents(tmp_path) == {"file": "in the way"}
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_an_output_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="Permission denied"):
            write_files({tmp_path / "x.py": "x\n"})
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_leaves_every_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    write_files({one: "old one\n", two: "old two\n"})
    calls = []
    real = os.fsync

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr("dualc.record.os.fsync", full)
    with pytest.raises(OutputError, match=r"two\.py: cannot be written \(No space left"):
        write_files({one: "new one\n", two: "new two\n"})
    assert contents(tmp_path) == {"one.py": "old one\n", "two.py": "old two\n"}


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_failure_between_two_renames_brings_the_first_file_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    old, new, last = tmp_path / "old.py", tmp_path / "new.py", tmp_path / "last.py"
    write_files({old: "old\n", last: "old\n"})
    real = Path.replace

    def fails_on_the_last(self: Path, target: Path) -> Path:
        if target == last:
            raise error
        return real(self, target)

    monkeypatch.setattr(Path, "replace", fails_on_the_last)
    with pytest.raises(type(error) if isinstance(error, KeyboardInterrupt) else OutputError):
        write_files({old: "changed\n", new: "changed\n", last: "changed\n"})
    assert contents(tmp_path) == {"old.py": "old\n", "last.py": "old\n"}


def test_a_target_that_is_a_folder_changes_nothing(tmp_path: Path) -> None:
    write_files({tmp_path / "x.py": "old\n"})
    (tmp_path / "y.py").mkdir()
    with pytest.raises(OutputError):
        write_files({tmp_path / "x.py": "new\n", tmp_path / "y.py": "new\n"})
    assert contents(tmp_path) == {"x.py": "old\n"}


def test_what_a_killed_writer_left_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / ".x.py.0123456789ab.tmp").write_text("half")
    (tmp_path / ".y.py.0123456789ab.tmp").write_text("somebody else's")
    write_files({tmp_path / "x.py": "whole\n"})
    assert contents(tmp_path) == {
        "x.py": "whole\n",
        ".y.py.0123456789ab.tmp": "somebody else's",
    }


_WRITER = """
import signal
import sys
from pathlib import Path
from dualc.record import write_files
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background jobs
folder, word = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
n = 0
while True:
    text = f"{word} {n} " * 20_000
    write_files({folder / "x.py": text, folder / "derived" / "x.json": text})
    n += 1
"""


def writer(folder: Path, word: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WRITER, str(folder), word]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def is_whole(text: str) -> bool:
    words = text.split()
    return len(words) == 40_000 and len(set(words[::2])) == 1 and len(set(words[1::2])) == 1


def test_a_kill_at_any_moment_leaves_whole_files(tmp_path: Path) -> None:
    for delay in (0.05, 0.11, 0.17):
        process = writer(tmp_path, "text")
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for path in (tmp_path / "x.py", tmp_path / "derived" / "x.json"):
            if path.exists():
                assert is_whole(path.read_text())


def test_two_writers_at_once_leave_one_whole_result(tmp_path: Path) -> None:
    processes = [writer(tmp_path, word) for word in ("left", "right")]
    time.sleep(0.4)
    for process in processes:
        process.send_signal(signal.SIGINT)  # Ctrl-C comes before a writing or after it
    for process in processes:
        process.communicate()
    both = contents(tmp_path)
    assert set(both) == {"x.py", "derived/x.json"}
    assert both["x.py"] == both["derived/x.json"]
    assert is_whole(both["x.py"])


def test_one_lock_order_for_every_writer(tmp_path: Path) -> None:
    a, b = tmp_path / "a" / "x", tmp_path / "b" / "x"
    write_files({a: "0", b: "0"})
    context = multiprocessing.get_context("spawn")
    jobs = [context.Process(target=_rewrite, args=(pair,)) for pair in ((a, b), (b, a))]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
        assert job.exitcode == 0


def _rewrite(pair: tuple[Path, Path]) -> None:
    for n in range(20):
        write_files(dict.fromkeys(pair, str(n)))
