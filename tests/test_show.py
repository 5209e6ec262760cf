"""The configuration as `study show` prints it: every key, by section, within the terminal."""

import re
from collections.abc import Callable

import pytest

from study.config import StudyConfig
from study.errors import ConfigError
from study.keys import walk
from study.show import describe, written

Compose = Callable[..., StudyConfig]


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set the width of the terminal."""
    return lambda width: monkeypatch.setenv("COLUMNS", str(width))


def table(shown: str) -> dict[str, tuple[str, str]]:
    """Value and meaning by whole name, read back from what is printed."""
    found: dict[str, tuple[str, str]] = {}
    for block in shown.strip().split("\n\n"):
        heading, *lines = block.splitlines()
        section = "" if heading == "top level" else re.match(r"[\w.]+", heading)[0] + "."
        name = ""
        for line in lines:
            if begun := re.match(r"  (\w+) +(\S+)(?:  +(.*))?$", line):
                name = section + begun[1]
                found[name] = (begun[2], begun[3] or "")
            else:
                value, meaning = found[name]
                found[name] = (value, f"{meaning} {line.strip()}".strip())
    return found


@pytest.mark.parametrize("width", [80, 200])
def test_every_key_is_there_once_with_value_meaning_and_rule(compose: Compose, columns, width: int):
    columns(width)
    config = compose("training.checkpoint_every=7", "model=mlp", "model.widths=[8]")
    found = table(describe(config))
    keys = {
        name: (own, value)
        for name, own, value in walk(config)
        if own is not None
        and not hasattr(value, "__dataclass_fields__")
        and name not in {"landscape", "claims"}
        and not name.endswith((".name", ".kind"))
    }
    assert found.keys() == keys.keys()
    for name, (own, value) in keys.items():
        assert found[name][0] == written(value)
        assert found[name][1].startswith(" ".join(own.metadata["meaning"].split()))
    assert found["training.checkpoint_every"] == (
        "7",
        "updates between checkpoints; null keeps one an epoch (at least 1)",
    )
    assert found["landscape.contour.split"][1].endswith("(one of train, test, both)")
    assert found["seed"][1].endswith("(at least 0)")


@pytest.mark.parametrize(("width", "most"), [(40, 60), (80, 80), (300, 110)])
def test_lines_fit_the_terminal(compose: Compose, columns, width: int, most: int):
    columns(width)
    lines = describe(compose("output_dir=/tmp/x", "landscape=[line]")).splitlines()
    assert most - 12 < max(map(len, lines)) <= most


def test_a_heading_says_which_choice_a_section_is(compose: Compose):
    headings = [block.splitlines()[0] for block in describe(compose("optimizer=sgd")).split("\n\n")]
    assert headings[:3] == [
        "top level",
        "data (digits): what is learnt",
        "data.augmentation: random changes of the training images",
    ]
    assert "optimizer (sgd): the optimiser" in headings
    assert "landscape.contour (contour)" in headings
    assert "curvature (off): what is known of the second derivatives at the solution" in headings


@pytest.mark.parametrize(
    ("asked", "sections", "keys"),
    [
        (["training"], {"training", "training.schedule", "training.averaging"}, None),
        (["training.batch_size", "seed"], {"top level", "training"}, {"training.batch_size", "seed"}),
        (["landscape"], {"landscape.interpolation", "landscape.contour"}, None),
        (["curvature"], {"curvature"}, set()),
    ],
)
def test_sections_and_keys_can_be_shown_alone(compose: Compose, asked, sections, keys):
    shown = describe(compose(), asked)
    assert {re.match(r"top level|[\w.]+", block)[0] for block in shown.split("\n\n")} == sections
    found = set(table(shown))
    if keys is not None:
        assert found == keys
    assert all(any(f"{name}.".startswith(f"{word}.") for word in asked) for name in found)


def test_what_is_no_section_is_refused(compose: Compose):
    with pytest.raises(
        ConfigError, match=r"did you mean 'training.batch_size'\?\), got 'training.batchsize'"
    ):
        describe(compose(), ["training.batchsize"])


def test_values_are_written_as_the_command_line_takes_them(compose: Compose):
    config = compose(
        "landscape.contour.alpha_range=[-2,0.5]",
        "model=custom",
        "model.path=a:b",
        "+model.arguments.deep.width=3",
    )
    found = table(describe(config))
    value = found["landscape.contour.alpha_range"][0]
    assert compose(f"landscape.contour.alpha_range={value}").landscape["contour"].alpha_range == [-2.0, 0.5]
    assert found["model.arguments"][0] == "{deep:{width:3}}"
    assert (
        compose("model=custom", "model.path=a:b", f"+model.arguments={found['model.arguments'][0]}").model
        == config.model
    )
    assert found["checkpoint"][0] == "null"
    assert found["reuse"][0] == "true"
