import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from study import record as record_module
from study.record import DamagedFileError, Record, State

HOLDER = """
import sys
from study.record import Record
with Record.at(sys.argv[1], "abc").lock() as held:
    print(held, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record.at(tmp_path, "abc")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the time that the record sees."""

    def set_to(milliseconds: int) -> None:
        monkeypatch.setattr(record_module, "now", lambda: milliseconds)

    return set_to


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def again(record: Record) -> Record:
    """The record as another process finds it."""
    return Record.at(record.path.parent.parent, record.config_hash)


def test_what_is_written_is_read_by_another_process(record: Record):
    record.write("sub/a.bin", b"\x00\x01")
    record.write("b.txt", "θ")
    assert again(record).read("sub/a.bin") == b"\x00\x01"
    assert again(record).read("b.txt").decode() == "θ"
    # sha256 of b"\x00\x01", by sha256sum
    assert again(record).files()["sub/a.bin"] == (
        "b413f47d13ee2fe6c845b2ee141af81de858df4ec549a58b7970bb96645bc8d2"
    )


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "empty"])
def test_damage_is_found(record: Record, damage: str):
    record.write("file", b"0123456789" * 100)
    file = record.path / "file"
    match damage:
        case "flip":
            flip_a_bit(file)
        case "truncate":
            file.write_bytes(file.read_bytes()[:-1])
        case "remove":
            file.unlink()
        case "empty":
            file.write_bytes(b"")
    assert not record.holds("file")
    with pytest.raises(DamagedFileError, match=str(file)):
        record.read("file")
    record.write("file", b"anew")
    assert record.holds("file")


def test_a_file_that_was_never_written_through_the_record_does_not_count(record: Record):
    record.path.mkdir(parents=True)
    (record.path / "file").write_bytes(b"half-done by a killed process")
    assert not record.holds("file")
    with pytest.raises(DamagedFileError):
        record.read("file")


@pytest.mark.parametrize("survived", range(5))  # both manifests, the file, both manifests
def test_a_kill_while_a_file_is_replaced_loses_nothing(
    record: Record, monkeypatch: pytest.MonkeyPatch, survived: int
):
    """Whichever of its writes a kill lets through, the file is whole: the old content or the new."""
    record.write("metrics.json", "old")
    write, done = record_module.write_atomically, [0]

    def killed_after(path: Path, data: bytes) -> None:
        if done[0] == survived:
            raise SystemExit
        done[0] += 1
        write(path, data)

    monkeypatch.setattr(record_module, "write_atomically", killed_after)
    with pytest.raises(SystemExit):
        record.write("metrics.json", "new")
    assert again(record).read("metrics.json") == (b"new" if survived > 2 else b"old")


@pytest.mark.parametrize("content", [None, b"", b'{"a": ', b"\xff\xfe", b"[1, 2]", b"null", "a name"])
def test_of_a_damaged_manifest_the_copy_counts(
    record: Record, content: bytes | str | None, caplog: pytest.LogCaptureFixture
):
    def damage(name: str) -> None:
        file = record.path / name
        if content is None:
            file.unlink()
        elif isinstance(content, str):
            file.write_bytes(file.read_bytes().replace(b"below/other", b"below/otter"))
        else:
            file.write_bytes(content)

    record.write("file", b"x")
    record.write("below/other", b"y")
    before = record.files()
    damage("manifest.json")
    damaged = again(record)
    assert ("manifest.json is damaged" in caplog.text) is (content is not None)
    assert damaged.files() == before
    assert damaged.read("file") == b"x"
    caplog.clear()
    assert again(record).files() == before  # and both are as they were
    assert caplog.text == ""
    damage("manifest.copy.json")
    assert again(record).files() == before
    with again(record).lock():
        damage("manifest.json")
        assert again(record).files() == before  # whoever holds the lock writes them
        assert not (record.path / "manifest.json").exists() or content is not None
    caplog.clear()
    assert again(record).files() == again(record).files() == before
    damage("manifest.json")
    damage("manifest.copy.json")
    lost = again(record)
    assert not lost.holds("file")
    assert lost.state is None
    lost.write("file", b"y")
    assert again(record).read("file") == b"y"


def test_the_manifest_of_an_earlier_version_is_taken_as_it_is(record: Record):
    record.write("file", b"x")
    (record.path / "manifest.json").write_text(json.dumps(record.files()))
    assert again(record).read("file") == b"x"


def test_lists_and_metrics_are_json_with_an_entry_a_line(record: Record):
    record.log({"train/loss": 0.5, "α": math.inf}, step=1)
    record.log({"train/loss": 0.25}, step=2)
    lines = record.read("metrics.json").decode().splitlines()
    assert [line.split(":")[0] for line in lines] == ["{", ' "train/loss"', ' "α"', "}"]
    written = (record.path / "manifest.json").read_text()
    assert written == json.dumps(
        json.loads(written), indent=1
    )  # as every version wrote it: so its checksum holds
    record.remove("metrics.json")
    assert again(record).files() == {}


def test_what_is_cut_short_leaves_no_file_that_no_manifest_has(
    record: Record, monkeypatch: pytest.MonkeyPatch
):
    def killed(*_rest: object) -> None:
        raise KeyboardInterrupt

    for name in ("a.txt", "b/c.txt"):
        record.write(name, name)
    with monkeypatch.context() as patch:
        patch.setattr(Record, "_write_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            record.remove("a.txt")
    again = Record.at(record.output_dir, record.config_hash)
    assert not again.holds("a.txt")
    again.remove("a.txt")
    assert again.files().keys() == {"b/c.txt"}
    with monkeypatch.context() as patch:
        patch.setattr(record_module.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            again.discard()
    left = Record.at(record.output_dir, record.config_hash)
    files = {file.name for file in left.path.rglob("*") if file.is_file()}
    assert files == {"manifest.json", "manifest.copy.json"}
    assert left.files().keys() == {"b/c.txt"}
    assert left.state is None


def test_discard_leaves_nothing_behind(record: Record):
    record.create({"name": "run"})
    record.write("sub/file", b"x")
    record.discard()
    assert not record.path.exists()
    assert record.files() == {}
    record.discard()  # of nothing is no mistake


def test_remove_takes_a_file_away_for_every_reader(record: Record):
    record.write("file", b"x")
    record.remove("file")
    assert not (record.path / "file").exists()
    assert "file" not in again(record).files()
    record.remove("file")


def test_all_lists_records_by_hash_and_nothing_else(tmp_path: Path):
    for name in ("bbb", "aaa"):
        Record.at(tmp_path, name).create({})
    (tmp_path / "runs" / "stray").mkdir()
    with Record.at(tmp_path, "ccc").lock():
        pass
    assert [record.config_hash for record in Record.all(tmp_path)] == ["aaa", "bbb"]
    assert Record.all(tmp_path / "nowhere") == []


def test_every_new_record_has_an_id_of_its_own(tmp_path: Path):
    ids = set()
    for name in ("a", "b"):
        record = Record.at(tmp_path, name)
        record.create({"name": name})
        ids.add(record.read_json("run.json")["record_id"])
    assert len(ids) == 2


def test_the_state_keeps_the_first_start(record: Record, clock: Callable[[int], None]):
    assert record.state is None
    clock(1000)
    record.set_state(State.RUNNING)
    clock(2000)
    record.set_state(State.FAILED, message="because")
    failed = record.read_json("state.json")
    assert failed == {"state": "failed", "started": 1000, "ended": 2000, "tags": {"message": "because"}}
    clock(3000)
    record.set_state(State.RUNNING)
    running = again(record).read_json("state.json")
    assert running == {"state": "running", "started": 1000, "ended": None, "tags": {}}
    assert again(record).state is State.RUNNING


def test_a_step_logged_twice_keeps_its_time_and_takes_the_new_value(
    record: Record, clock: Callable[[int], None]
):
    clock(1000)
    record.log({"train/loss": 2.0}, step=1)
    clock(2000)
    record.log({"train/loss": 1.0}, step=2)
    clock(3000)
    record.log({"train/loss": 2.5}, step=1)
    points = [(point.key, point.value, point.step, point.timestamp) for point in again(record).metrics()]
    assert points == [("train/loss", 2.5, 1, 1000), ("train/loss", 1.0, 2, 2000)]
    assert record.latest() == {"train/loss": 1.0}


def test_values_come_back_to_the_bit_finite_or_not(record: Record):
    values = {"a": 0.1 + 0.2, "b": 5e-324, "inf": math.inf, "minus": -math.inf, "nan": math.nan, "zero": -0.0}
    record.log(values)
    json.loads(record.read("metrics.json"), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    read = again(record).latest()
    assert math.isnan(read.pop("nan"))
    assert math.copysign(1, read["zero"]) == -1
    values.pop("nan")
    assert read == values


def test_what_a_store_has_got_is_written_only_when_it_changes(record: Record):
    record.set_mirrored("sqlite:///a", {"run_id": "1"})
    record.set_mirrored("http://b", {"run_id": "2"})
    before = (record.path / "mirror.json").stat().st_mtime_ns
    record.set_mirrored("http://b", {"run_id": "2"})
    assert (record.path / "mirror.json").stat().st_mtime_ns == before
    assert again(record).mirrored() == {"sqlite:///a": {"run_id": "1"}, "http://b": {"run_id": "2"}}
    assert record.mirrored_run_ids() == {"1", "2"}


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which holds the lock of `abc` until it reads a line, or is killed."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


@pytest.mark.process
def test_a_lock_excludes_other_processes_and_waits_for_them(record: Record, holder: subprocess.Popen[str]):
    with record.lock(wait=False) as held:
        assert held is False
    waited = []

    def let_go() -> None:
        waited.append(time.monotonic())
        assert holder.stdin is not None
        threading.Timer(0.3, lambda: (holder.stdin.write("\n"), holder.stdin.flush())).start()

    record.write("other", b"")  # stands for what the other process wrote meanwhile
    stale = Record(record.path)
    with stale.lock(waiting=let_go) as held:
        assert held is True
        assert time.monotonic() - waited[0] >= 0.3
        assert stale.holds("other")  # the manifest is read anew once the lock is there
    assert len(waited) == 1
    with record.lock(wait=False) as held:
        assert held is True


@pytest.mark.process
def test_the_lock_of_a_killed_process_is_free(record: Record, holder: subprocess.Popen[str]):
    holder.kill()
    holder.wait()
    with record.lock(wait=False) as held:
        assert held is True


def test_who_holds_a_record_may_ask_for_it_again(record: Record):
    with record.lock() as held, record.lock(wait=False) as again:
        assert held is again is True
    with Record(record.path).lock(wait=False) as held:  # the inner one has not kept it
        assert held is True


def test_records_do_not_lock_each_other(tmp_path: Path):
    with Record.at(tmp_path, "a").lock(), Record.at(tmp_path, "b").lock(wait=False) as held:
        assert held is True


def test_a_lock_is_given_back_after_an_error(record: Record):
    def fail() -> None:
        with record.lock():
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with record.lock(wait=False) as held:
        assert held is True
