import hashlib
import json
from pathlib import Path

import pytest
import torch

from study.errors import ConfigError
from study.record import SWEEPS, Record
from study.source import checkpoint_name, find_record, load_source, source_record
from study.training.checkpoints import encode_weights

RULE = "must name one run"


def trained(output_dir: Path, config_hash: str, updates: tuple[int, ...] = (0, 8, 10)) -> Record:
    """A record with checkpoints whose one weight is the number of updates."""
    record = Record.at(output_dir, config_hash)
    record.create({"name": config_hash})
    for update in updates:
        state = {"weight": torch.full((2,), float(update))}
        record.write(checkpoint_name(update), encode_weights(state, update=update, epoch=update / 2))
    record.write_json("training.json", {"diverged": False, "checkpoints": list(updates)})
    return record


@pytest.mark.parametrize("name", ["aa11", "aa1", "bb"])
def test_a_run_is_found_by_its_hash_or_the_start_of_it(tmp_path: Path, name: str):
    for config_hash in ("aa11", "aa22", "bb33"):
        trained(tmp_path, config_hash)
    assert find_record(name, tmp_path, RULE).config_hash.startswith(name)


def test_a_run_is_found_by_its_mlflow_id(tmp_path: Path):
    for config_hash in ("aa11", "aa22"):
        trained(tmp_path, config_hash).set_mirrored("sqlite:///x", {"run_id": f"id-of-{config_hash}"})
    assert find_record("id-of-aa22", tmp_path, RULE).config_hash == "aa22"
    with pytest.raises(ConfigError):
        find_record("id-of", tmp_path, RULE)  # the start of an id is none


@pytest.mark.parametrize(("name", "count"), [("aa", 2), ("zz", 0)])
def test_a_name_must_mean_one_run(tmp_path: Path, name: str, count: int):
    for config_hash in ("aa11", "aa22", "bb33"):
        trained(tmp_path, config_hash)
    with pytest.raises(ConfigError, match=rf"^checkpoint must name one run \({count} match\), got '{name}'$"):
        find_record(name, tmp_path, RULE)


def test_a_record_is_looked_for_in_its_own_folder(tmp_path: Path):
    trained(tmp_path, "aa11")
    Record.at(tmp_path, "aa22", SWEEPS).create({"name": "a sweep"})
    found = find_record("aa", tmp_path, "must name one sweep", SWEEPS, "--sweep")
    assert found.path == tmp_path / SWEEPS / "aa22"
    with pytest.raises(ConfigError, match=r"^--sweep must name one sweep \(0 match\), got 'aa11'$"):
        find_record("aa11", tmp_path, "must name one sweep", SWEEPS, "--sweep")


@pytest.mark.parametrize(("checkpoint", "count"), [("aa", 2), ("aa@8", 2), ("zz", 0)])
def test_a_checkpoint_must_mean_one_run(tmp_path: Path, checkpoint: str, count: int):
    for config_hash in ("aa11", "aa22"):
        trained(tmp_path, config_hash)
    with pytest.raises(
        ConfigError, match=rf"^checkpoint must name one run in output_dir.*\({count} match\), got"
    ):
        source_record(checkpoint, tmp_path)


def test_no_name_means_no_run(tmp_path: Path):
    trained(tmp_path, "aa11")
    for name in ("", "@8"):
        with pytest.raises(ConfigError, match="must name one run"):
            load_source(name, tmp_path)


def test_no_run_at_all_is_refused_too(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"\(0 match\)"):
        find_record("aa", tmp_path / "nowhere", RULE)


def test_a_run_means_its_last_checkpoint(tmp_path: Path):
    record = trained(tmp_path, "aa11")
    source = load_source("aa11", tmp_path)
    assert source.solution["weight"].tolist() == [10, 10]
    assert source.initialisation is not None
    assert source.initialisation["weight"].tolist() == [0, 0]
    assert (source.update, source.final, source.label) == (10, True, "run aa11, update 10")
    both = record.read(checkpoint_name(0)) + record.read(checkpoint_name(10))
    assert source.digest == hashlib.sha256(both).hexdigest()


def test_an_update_means_its_checkpoint(tmp_path: Path):
    trained(tmp_path, "aa11")
    source = load_source("aa11@8", tmp_path)
    assert source.solution["weight"].tolist() == [8, 8]
    assert (source.update, source.final) == (8, False)
    assert load_source("aa11@10", tmp_path).digest == load_source("aa11", tmp_path).digest
    assert load_source("aa11@10", tmp_path).final
    assert source.digest != load_source("aa11", tmp_path).digest


@pytest.mark.parametrize("update", ["9", "-8", "last", "8.0", "²"])
def test_an_update_without_a_checkpoint_is_refused_with_those_that_have_one(tmp_path: Path, update: str):
    trained(tmp_path, "aa11")
    with pytest.raises(ConfigError, match=r"^checkpoint must name .* \(0, 8, 10\), got 'aa11@"):
        load_source(f"aa11@{update}", tmp_path)


@pytest.mark.parametrize("parent", ["runs", "archive"])
def test_a_file_inside_a_record_knows_its_run(tmp_path: Path, parent: str):
    record = trained(tmp_path, "aa11")
    (tmp_path / parent).mkdir(exist_ok=True)
    folder = record.path.rename(tmp_path / parent / "copy")  # a record may be moved, and renamed
    source = load_source(str(folder / checkpoint_name(8)), tmp_path / "elsewhere")
    assert source.update == 8
    assert source.initialisation is not None
    assert source.record is not None
    assert source.record.path == folder


def test_a_lone_file_has_no_initialisation(tmp_path: Path):
    record = trained(tmp_path, "aa11")
    lone = tmp_path / "mine.safetensors"
    lone.write_bytes(record.read(checkpoint_name(8)))
    assert source_record(str(lone), tmp_path) is None
    source = load_source(str(lone), tmp_path)
    assert source.solution["weight"].tolist() == [8, 8]
    assert (source.initialisation, source.update, source.record, source.final) == (None, None, None, True)
    assert source.digest == hashlib.sha256(lone.read_bytes()).hexdigest()
    assert source.label == "mine.safetensors"


def test_a_file_that_lies_beside_checkpoints_but_is_none_is_a_lone_file(tmp_path: Path):
    record = trained(tmp_path, "aa11")
    stray = record.path / "checkpoints" / "averaged.safetensors"
    stray.write_bytes(record.read(checkpoint_name(10)))
    source = load_source(str(stray), tmp_path)
    assert source.record is None
    assert source.solution["weight"].tolist() == [10, 10]


def test_a_missing_or_unreadable_file_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="must be a file that exists"):
        load_source(str(tmp_path / "no.safetensors"), tmp_path)
    broken = tmp_path / "broken.safetensors"
    for content in (
        b"",
        b"no safetensors at all",
        encode_weights({"w": torch.zeros(9)}, update=0, epoch=0)[:-1],
    ):
        broken.write_bytes(content)
        with pytest.raises(ConfigError, match=r"^checkpoint must be readable"):
            load_source(str(broken), tmp_path)


@pytest.mark.parametrize("update", [0, 10])
def test_a_damaged_checkpoint_is_never_looked_at(tmp_path: Path, update: int):
    file = trained(tmp_path, "aa11").path / checkpoint_name(update)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"must be whole: .*{file.name}"):
        load_source("aa11", tmp_path)
    if update == 0:
        with pytest.raises(ConfigError, match="must be whole"):
            load_source("aa11@8", tmp_path)


def test_a_run_without_checkpoints_is_refused(tmp_path: Path):
    trained(tmp_path, "aa11", updates=())
    with pytest.raises(ConfigError, match="must name a run that has checkpoints"):
        load_source("aa11", tmp_path)


def test_checkpoints_are_ordered_by_update_and_not_by_name(tmp_path: Path):
    """Above 9,999,999 updates the names no longer sort as the numbers do."""
    trained(tmp_path, "aa11", updates=(0, 9_999_999, 10_000_000))
    assert load_source("aa11", tmp_path).update == 10_000_000
    assert json.loads(Record.at(tmp_path, "aa11").read("run.json"))["name"] == "aa11"


@pytest.mark.parametrize("ended", [None, {"diverged": True}])
def test_a_training_that_did_not_end_well_has_no_solution(tmp_path: Path, ended: dict[str, bool] | None):
    record = trained(tmp_path, "aa11")
    record.remove("training.json")
    if ended is not None:
        record.write_json("training.json", ended)
    with pytest.raises(ConfigError, match=r"training that ended well, or one of its updates.*\(0, 8, 10\)"):
        load_source("aa11", tmp_path)
    source = load_source("aa11@10", tmp_path)
    assert (source.update, source.final) == (10, False)
