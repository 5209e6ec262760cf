"""Names from outside never become a path outside `output_dir` that is written or removed."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from study import compare_runs as compare_runs_module
from study import run as run_module
from study.compare_runs import compare_runs
from study.errors import ConfigError
from study.prepare import prepare
from study.record import COMPARISONS, MANIFEST, RUNS, SWEEPS, DamagedFileError, Record, State
from study.source import find_record, load_source
from study.studies import find_study
from study.tracking.tracker import NullTracker
from study.train import TRAINING_STATE, _kept_state

OUT = ("../victim.txt", "../../../victim.txt", "landscapes/../../../../victim.txt", "..", "", "a/..")
FOLDERS = ("../..", "..", ".", "", "../../outside", "a/b", "/etc")


@pytest.fixture(autouse=True)
def outside(tmp_path: Path, output_dir: Path) -> Iterator[Path]:
    """What lies around `output_dir`; at the end it is as it was, and nothing lies beside it."""
    victim = tmp_path / "victim.txt"
    victim.write_text("whole")
    (tmp_path / "outside" / "landscapes").mkdir(parents=True)
    (tmp_path / "outside" / "run.json").write_text('{"tags": {}}')
    before = around(tmp_path)
    yield victim
    assert around(tmp_path) == before


def around(folder: Path) -> dict[Path, str | None]:
    """Every file and folder but what is in `outputs`."""
    return {
        path: path.read_text() if path.is_file() else None
        for path in folder.rglob("*")
        if "outputs" not in path.relative_to(folder).parts
    }


def record_of(output_dir: Path, name: str = "abc", folder: str = RUNS, **about: object) -> Record:
    record = Record.at(output_dir, name, folder)
    record.create({"name": name, "note": "", "tags": {}, "params": {}, "data": [], "landscapes": [], **about})
    record.set_state(State.FINISHED)
    return record


def tampered(record: Record, name: str, content: bytes) -> Record:
    """The record with a manifest that lists another name, with the right checksum of what lies there."""
    listed = record.files() | {name: hashlib.sha256(content).hexdigest()}
    (record.path / MANIFEST).write_text(json.dumps(listed))
    return Record.at(record.output_dir, record.config_hash, record.path.parent.name)


@pytest.mark.parametrize("name", [*OUT, "/victim.txt"])
def test_a_record_has_no_file_that_lies_elsewhere(name, output_dir, outside):
    name = str(outside) if name.startswith("/") else name
    record = record_of(output_dir)
    for action in (record.read, record.remove, lambda own: record.write(own, b"changed")):
        with pytest.raises(DamagedFileError):
            action(name)
    assert not record.holds(name)


@pytest.mark.parametrize("name", [own for own in OUT if own.endswith("txt")])
def test_what_a_manifest_lists_elsewhere_is_none_of_the_records_files(name, output_dir, outside):
    """So it is not removed with an old comparison, taken over by another record, nor uploaded."""
    record = tampered(record_of(output_dir), name, outside.read_bytes())
    assert name not in record.files()
    assert not record.holds(name)
    with pytest.raises(DamagedFileError):
        Record.at(output_dir, "other").take(record, [name])
    record.discard()


def test_a_training_goes_on_from_no_file_elsewhere(output_dir, outside):
    record = record_of(output_dir)
    record.write_json(TRAINING_STATE, {"tensors": "../../../victim.txt", "format": 1})
    assert _kept_state(tampered(record, "../../../victim.txt", outside.read_bytes())) is None


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("folder", [RUNS, SWEEPS, COMPARISONS])
def test_a_record_is_one_folder(name, folder, output_dir):
    with pytest.raises(ConfigError, match="must be named by one folder"):
        Record.at(output_dir, name, folder)


@pytest.mark.parametrize("name", [*FOLDERS, "*", "?bc", "[a]bc", "abc/../abc"])
def test_a_run_is_found_by_its_name_and_by_no_path_to_it(name, output_dir):
    record_of(output_dir)
    assert find_record("ab", output_dir, "must be one").config_hash == "abc"
    with pytest.raises(ConfigError, match="0 match"):
        find_record(name, output_dir, "must be one")
    with pytest.raises(ConfigError):
        load_source(name or "@", output_dir)


@pytest.mark.parametrize("member", ["../../outside", "..", "/etc"])
def test_the_members_that_a_sweep_lists_are_runs_of_its_own_folder(member, tiny, output_dir):
    record_of(output_dir)
    record_of(output_dir, "def", SWEEPS, members=["abc", member])
    with pytest.raises(ConfigError, match="must be named by one folder"):
        compare_runs(tiny(), [], sweep="def")
    assert not (output_dir / COMPARISONS).exists()


def test_the_runs_that_a_server_finds_are_runs_of_the_own_folder(tiny, output_dir, monkeypatch):
    class Foreign(NullTracker):
        def search(self, words: str) -> list[str]:
            return ["abc", "../../outside"]

    record_of(output_dir)
    monkeypatch.setattr(compare_runs_module, "make_tracker", lambda *_config: Foreign())
    with pytest.raises(ConfigError, match="must be named by one folder"):
        compare_runs(tiny(), [], search="all")


@pytest.mark.parametrize("name", ["../x", "a.b", "a/b", "..", "", "x y", "<b>", "train", "a\nb"])
def test_a_landscape_has_the_name_of_a_file(name, tiny):
    config = tiny()
    config.landscape = {name: config.landscape["line"]}
    with pytest.raises(ConfigError, match="names must"):
        config.check("")


@pytest.mark.parametrize("name", ["../../x", "../sweeps/batch_size", "/etc/passwd", "batch_size/", "", "."])
def test_a_study_is_one_of_those_there_are(name):
    with pytest.raises(ConfigError, match="NAME must be one of"):
        find_study(name)


@pytest.mark.parametrize(
    "override",
    ["data=../../x", "model=../../outside/net", "+sweeps=../../outside/x", "checkpoint=../../outside"],
)
def test_a_choice_of_another_place_writes_nothing(override, tiny, output_dir):
    with pytest.raises(Exception, match=r"x|net|outside"):
        load_source(str(tiny(override).checkpoint), output_dir)


def test_a_whole_run_writes_into_its_folder_alone(tiny, local_store, output_dir, plain_pictures, monkeypatch):
    """Whatever its experiment is called, and where a file of its record is a link to one elsewhere."""
    config = tiny("tracking.experiment='../../../outside'", tracking="local")
    prepared = prepare(config, {})
    link = prepared.record.path / "report.md"
    link.parent.mkdir(parents=True)
    link.symlink_to(output_dir.parent / "victim.txt")
    outcome = run_module.run(prepared)
    assert outcome.state is State.FINISHED
    assert outcome.tracking is not None
    assert not link.is_symlink()


def test_a_record_that_is_a_link_is_not_emptied(output_dir):
    (output_dir / RUNS).mkdir(parents=True)
    (output_dir / RUNS / "abc").symlink_to(output_dir.parent / "outside")
    with pytest.raises(OSError, match="symbolic link"):
        Record.at(output_dir, "abc").discard()
