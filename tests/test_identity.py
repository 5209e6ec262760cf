import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from study import identity
from study.config import StudyConfig
from study.identity import Identity, digest, identify, seeds
from study.keys import walk
from study.prepare import prepare

Compose = Callable[..., StudyConfig]

EVERYTHING = ("model=mlp", "landscape=[interpolation,line,contour,evolution,scaling]")
KEYS_OF_TRAINING = ("data", "model", "optimizer", "training")

# The same numbers, whatever these say.
NOT_HASHED = [
    "output_dir=/elsewhere",
    "tracking=none",
    "tracking.experiment=other",
    "tracking.upload_checkpoints=all",
    "reuse=false",
    "evaluation.threads=1",
    "comparison.alpha_range=[0,1]",
    "comparison.points=7",
    "comparison.examples=9",
    "comparison.pairs=1",
    "executor=joblib",
    "executor=ray",
    "curvature=off",
    "training.init_seed=0",
    "training.order_seed=0",
    "landscape=[scaling,evolution,contour,line,interpolation]",
]


def identified(config: StudyConfig, **changes: Any) -> Identity:
    about: dict[str, Any] = {
        "data_digest": "d",
        "code_digests": {"a:b": "1"},
        "model_files": {},
        "checkpoint": None,
        "named": {},
        "trained_here": True,
        "versions": {"torch": "2"},
    }
    return identify(config, **(about | changes))


def other_value(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case None:
            return 7
        case list():
            return [*value, 7]
        case dict():
            return {**value, "seven": 7}
    raise AssertionError(value)


def changed(config: Any, path: list[str]) -> Any:
    """A copy of a configuration with the key at `path` changed."""
    name, *rest = path
    if isinstance(config, dict):
        return {**config, name: changed(config[name], rest)}
    old = getattr(config, name)
    return replace(config, **{name: changed(old, rest) if rest else other_value(old)})


@pytest.mark.parametrize("override", NOT_HASHED)
def test_what_changes_no_number_changes_no_hash(compose: Compose, override: str):
    one, other = identified(compose(*EVERYTHING)), identified(compose(*EVERYTHING, override))
    assert one.config_hash == other.config_hash
    assert one.training_hash == other.training_hash


def test_where_data_lie_is_not_hashed(compose: Compose):
    one = compose(*EVERYTHING, "data=mnist")
    other = compose(*EVERYTHING, "data=mnist", "data.root=/elsewhere", "data.download=false")
    assert identified(one).config_hash == identified(other).config_hash


def test_a_seed_is_the_two_seeds_that_it_sets(compose: Compose):
    by_seed = compose(*EVERYTHING, "seed=5")
    by_both = compose(*EVERYTHING, "seed=3", "training.init_seed=5", "training.order_seed=5")
    assert seeds(by_seed) == seeds(by_both) == (5, 5)
    assert identified(by_seed) == identified(by_both)
    for one in ("init_seed", "order_seed"):
        half = compose(*EVERYTHING, "seed=5", f"training.{one}=6")
        assert identified(half).training_hash != identified(by_seed).training_hash
    swapped = [
        compose(*EVERYTHING, f"training.init_seed={a}", f"training.order_seed={b}")
        for a, b in ((1, 2), (2, 1))
    ]
    assert len({identified(config).config_hash for config in swapped}) == 2


def test_a_branch_with_the_seed_that_it_has_anyway_is_the_same_training(compose: Compose):
    def hashed_as(*overrides: str) -> str:
        return identified(compose(*EVERYTHING, "training.order_seed=4", *overrides)).training_hash

    branched = [f"training.branch_at={at}" for at in (50, 60)]
    assert hashed_as(branched[0]) == hashed_as(branched[0], "training.branch_seed=4")
    hashes = [hashed_as(), *map(hashed_as, branched)]
    hashes += [hashed_as(at, f"training.branch_seed={seed}") for at in branched for seed in (1, 2)]
    assert len(set(hashes)) == 7


@pytest.mark.parametrize(
    "choices",
    [
        (),
        ("data=mnist", "model=cnn", "optimizer=sgd", "training/schedule=step"),
        ("data=custom", "data.path=a:b", "optimizer=rmsprop", "training/schedule=cosine"),
        ("model=custom", "model.path=a:b", "optimizer=adagrad", "training/schedule=milestones"),
        ("training=steps",),
        ("curvature=spectrum",),
    ],
    ids=" ".join,
)
def test_every_other_key_changes_the_hashes_that_it_should(compose: Compose, choices: tuple[str, ...]):
    config = compose(*EVERYTHING, *choices)
    before = identified(config)
    unhashed = {"output_dir", "reuse", "evaluation.threads", "data.root", "data.download"}
    seen = 0
    for name, _own, value in walk(config):
        section = name.partition(".")[0]
        skipped = name in unhashed or section in (
            "tracking",
            "comparison",
            "executor",
            "checkpoint",
            "claims",
        )
        if skipped or is_dataclass(value) or name == "landscape":
            continue
        after = identified(changed(config, name.split(".")))
        assert after.config_hash != before.config_hash, name
        trains = section in (*KEYS_OF_TRAINING, "seed")
        assert (after.training_hash != before.training_hash) == trains, name
        seen += 1
    assert seen > 40


def test_the_name_of_a_landscape_is_part_of_the_run(compose: Compose):
    config = compose(*EVERYTHING)
    renamed = replace(config, landscape={**config.landscape, "wide": config.landscape["contour"]})
    assert identified(renamed).config_hash != identified(config).config_hash
    assert identified(renamed).training_hash == identified(config).training_hash


@pytest.mark.parametrize(
    ("change", "trains"),
    [
        ({"data_digest": "e"}, True),
        ({"code_digests": {"a:b": "2"}}, True),
        ({"versions": {"torch": "2.1"}}, True),
        ({"checkpoint": "c"}, False),
    ],
    ids=str,
)
def test_what_lies_outside_the_configuration_counts(compose: Compose, change: dict, trains: bool):
    config = compose(*EVERYTHING)
    before, after = identified(config), identified(config, **change)
    assert after.config_hash != before.config_hash
    assert (after.training_hash != before.training_hash) == trains


def test_no_curvature_is_no_part_of_a_run(compose: Compose):
    """A run without it has the identity that it had before there was any."""
    assert "curvature" not in identified(compose(*EVERYTHING)).content
    assert "curvature" in identified(compose(*EVERYTHING, "curvature=top")).content


def test_a_fix_that_changes_numbers_changes_every_hash(compose: Compose, monkeypatch: pytest.MonkeyPatch):
    config = compose(*EVERYTHING)
    before = identified(config)
    monkeypatch.setattr(identity, "NUMERICS_VERSION", identity.NUMERICS_VERSION + 1)
    after = identified(config)
    assert after.config_hash != before.config_hash
    assert after.training_hash != before.training_hash


def test_identifying_leaves_the_configuration_as_it_is(compose: Compose):
    config = compose(*EVERYTHING)
    identified(config)
    assert config == compose(*EVERYTHING)
    assert config.training.init_seed is None


def test_a_digest_is_sha256_of_compact_json_with_sorted_keys():
    # printf '{"a":[1,"\\u03b8"],"b":null}' | sha256sum
    expected = "96209cf338624bd7"
    assert digest({"b": None, "a": [1, "θ"]}) == expected
    assert digest({"a": [1, "θ"], "b": None}) == expected


def test_a_digest_refuses_what_json_cannot_say():
    with pytest.raises(ValueError, match="JSON"):
        digest({"a": float("nan")})


@pytest.mark.process
def test_processes_agree(compose: Compose, output_dir: Path):
    code = (
        "import json, sys\n"
        "from study.resolve import composed, typed\n"
        "from study.identity import identify\n"
        "config = typed(composed(sys.argv[1:]))\n"
        "own = identify(config, data_digest='d', code_digests={'a:b': '1'}, model_files={},"
        " checkpoint=None, named={},"
        " trained_here=True,"
        " versions={'torch': '2'})\n"
        "print(json.dumps([own.config_hash, own.training_hash]))"
    )
    hashes = set()
    for hash_seed, overrides in (("1", EVERYTHING), ("2", EVERYTHING[::-1])):
        done = subprocess.run(
            [sys.executable, "-c", code, *overrides],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        hashes.add(tuple(json.loads(done.stdout)))
    own = identified(compose(*EVERYTHING))
    assert hashes == {(own.config_hash, own.training_hash)}
    assert len(own.config_hash) == len(own.training_hash) == 16


def test_preparing_takes_data_code_and_torch_into_the_hashes(
    compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source = tmp_path / "own_network_for_identity.py"
    text = "from torch import nn\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    source.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    small = ("data.train_examples=64", "data.test_examples=32", "data.image_size=8")
    own = compose(*small, "model=custom", "model.path=own_network_for_identity:net")

    def hashes() -> tuple[str, str]:
        found = prepare(own, {}).identity
        return found.config_hash, found.training_hash

    seen = {hashes()}
    assert hashes() in seen
    source.write_text(text + "# another comment\n")
    seen.add(hashes())
    assert len(seen) == 2
    monkeypatch.setattr(torch, "__version__", "0.0.1")
    seen.add(hashes())
    assert len(seen) == 3
    assert len({training_hash for _config_hash, training_hash in seen}) == 3


def test_the_keys_left_out_of_the_hashes_are_these(compose: Compose):
    """A key that is not hashed is a promise that it changes no number: each is made on purpose."""
    found = set()
    for overrides in (EVERYTHING, (*EVERYTHING, "data=mnist")):
        for name, own, _value in walk(compose(*overrides)):
            if own is not None and not own.metadata["hashed"]:
                found.add(name)
    assert found == {
        "output_dir",
        "reuse",
        "tracking",
        "comparison",
        "executor",
        "claims",
        "evaluation.threads",
        "data.root",
        "data.download",
    }
    assert {field.name for field in fields(StudyConfig)} >= {"output_dir", "reuse", "tracking"}


def test_the_weights_of_a_lone_file_are_not_of_this_training(compose) -> None:
    config = compose()
    here = identified(config)
    lone, other = (
        identified(config, checkpoint=digest, trained_here=False).training_hash for digest in ("a", "b")
    )
    assert len({here.training_hash, lone, other}) == 3
    assert identified(config, checkpoint="a").training_hash == here.training_hash


def test_the_commit_is_that_of_the_checkout_and_says_where_files_differ(tmp_path, monkeypatch):
    from study import about

    monkeypatch.setattr(about, "root", lambda: tmp_path)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "file").write_text("one")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    assert about._git_commit() == ""  # no checkout of this project: a wheel, in somebody's repository
    (tmp_path / "pyproject.toml").touch()
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert about._git_commit() == commit.stdout.strip()
    (tmp_path / "file").write_text("two")
    assert about._git_commit() == f"{commit.stdout.strip()}-dirty"
