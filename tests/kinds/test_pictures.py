"""What each kind says in its pictures: what a step is, which split, what is drawn, whether to trust it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from study import report
from study.config import StudyConfig
from study.kinds import KINDS
from study.landscape.result import Landscape, Point, Status
from study.prepare import prepare
from study.run import run
from study.subject import Subject

OWN = """
import torch

def net(width=3):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, width), torch.nn.Linear(width, 2))

def data():
    inputs = torch.randn(48, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    labels = inputs[:, 0, 0, 0].gt(0).long()
    return (inputs[:32], labels[:32]), (inputs[32:], labels[32:])
"""


def looked(kind: str, splits: tuple[str, ...] = ("",)) -> Landscape:
    """A landscape of `kind`, its grid not square."""
    axes = {"alpha": np.linspace(-1.0, 1.0, 5)}
    points = (
        {"initialisation": (0.0,), "solution": (1.0,)} if kind == "interpolation" else {"solution": (0.0,)}
    )
    if kind in ("contour", "scaling"):
        axes["beta"] = np.linspace(-1.0, 1.0, 4)
        points = {"solution": (0.0, 0.0) if kind == "contour" else (1.0, 0.0)}
    shape = tuple(map(len, axes.values()))
    names = [f"{split}/loss" if split else "loss" for split in splits]
    return Landscape(
        axes=axes,
        values={name: 1.0 + np.arange(np.prod(shape), dtype=float).reshape(shape) for name in names},
        status=np.full(shape, Status.EVALUATED, dtype=np.int8),
        points={name: Point(at, dict.fromkeys(names, 2.0)) for name, at in points.items()},
    )


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("line", ["α (steps along the direction δ; 0 = solution)"]),
        ("interpolation", ["α (0 = initialisation, 1 = solution)"]),
        ("contour", ["α (steps along δ)", "β (steps along η)"]),
        ("scaling", ["α (θ = α (1 + β) θ*)", "β"]),
    ],
)
def test_axes_say_what_one_step_is(kind: str, labels: list[str]) -> None:
    assert list(KINDS[kind].drawing.labels(looked(kind)).values()) == labels
    for figure in KINDS[kind].drawing.figures(looked(kind), "title", "caption", None).values():
        axes = figure.axes[0]
        assert [axes.get_xlabel(), axes.get_ylabel()][: len(labels)] == labels


@pytest.mark.parametrize(
    ("kind", "words"), [("line", "0 = {})"), ("interpolation", "0 = initialisation, 1 = {})")]
)
def test_axes_of_lines_call_what_is_looked_at_by_its_name(kind: str, words: str) -> None:
    drawing = KINDS[kind].drawing
    others = [looked(kind), looked(kind), looked(kind)]
    for name, landscape in zip(("averaged weights", "update 4"), others, strict=False):
        landscape.points[name] = landscape.points.pop("solution")
    (figure,) = drawing.figures(others[0], "title", "caption", None).values()
    assert figure.axes[0].get_xlabel().endswith(words.format("averaged weights"))
    assert words.format("averaged weights") in drawing.page(others[0], "title", "caption", None)
    for count, said in ((2, "averaged weights or update 4"), (3, "the weights looked at")):
        together = dict(zip("abc", others[:count], strict=False))
        (figure,) = drawing.together(together, {name: name for name in together}, "title", "caption").values()
        assert " ".join(figure.axes[-1].get_xlabel().split()).endswith(words.format(said))


def test_a_plane_of_two_splits_names_the_split_in_title_and_colour_bar() -> None:
    drawn = KINDS["contour"].drawing.figures(
        looked("contour", ("train", "test")), "On a plane", "caption", None
    )
    assert list(drawn) == ["", ".surface", ".test", ".test.surface"]
    for suffix, split in (("", "train"), (".test", "test")):
        assert f"On a plane: {split} split" in {text.get_text() for text in drawn[suffix].texts}
        assert drawn[suffix].axes[1].get_ylabel() == f"{split} loss (nats per example)"
        assert drawn[f"{suffix}.surface"].axes[0].get_zlabel() == f"{split} loss (nats per example)"  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["line", "interpolation", "contour", "scaling"])
def test_a_warning_stands_in_every_picture_and_page(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    landscape, seen = looked(kind), []

    def render(figure: Any, format: str) -> bytes:
        seen.append({" ".join(text.get_text().split()) for text in figure.texts})
        return format.encode()

    monkeypatch.setattr(report, "render", render)

    class Config:
        """All that the pictures ask of a configuration."""

        def __init__(self) -> None:
            self.kind = kind

    files = report.pictures("look", Config(), landscape, "caption", "Self-check failed.")  # type: ignore[arg-type]
    assert all("Self-check failed." in words for words in seen)
    assert len(seen) == len(files) - 1
    assert b'<p class="warning">Self-check failed.</p>' in files["landscapes/look.html"]
    seen.clear()
    files = report.pictures("look", Config(), landscape, "caption")  # type: ignore[arg-type]
    assert not any("Self-check failed." in words for words in seen)
    assert b"Self-check failed." not in files["landscapes/look.html"]


def test_the_caption_calls_own_model_and_data_by_their_paths(
    compose: Callable[..., StudyConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_for_captions.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    model = ("model=custom", "model.path=own_for_captions:net")
    data = ("data=custom", "data.path=own_for_captions:data")
    small = ("landscape=[line]", "tracking=none", "training.batch_size=8", "training.threads=1")
    config = compose(*model, *data, *small)
    landscape = looked("line")
    landscape.provenance.update(
        splits={"train": {"examples": 32, "population": 32}},
        directions=[{"relative_norm": 1.0}],
        batch_statistics="none kept",
    )
    words = report.caption(config.landscape["line"], landscape, Subject.of(prepare(config, {})))
    assert words.startswith(
        "own_for_captions:net (47 parameters) on own_for_captions:data: train split, all 32"
    )
    assert "custom" not in words


def test_the_caption_of_a_plane_states_the_standard_errors_of_a_subset(
    tiny: Callable[..., StudyConfig], plain_pictures: None
) -> None:
    """In lines they are drawn; where all examples are read there are none."""
    subset = [f"landscape.{name}.examples=32" for name in ("line", "contour")]
    prepared = prepare(tiny("training.epochs=1", *subset, looks=("line", "contour")), {})
    record = run(prepared).record
    seen = {
        name: Landscape.from_bytes(record.read(f"landscapes/{name}.npz"))
        for name in prepared.config.landscape
    }
    errors = seen["contour"].values["train/loss_standard_error"]
    assert 0 < errors.min() < errors.max()
    words = f"; standard error of the loss {errors.min():.2g} to {errors.max():.2g} nats; "
    looks = prepared.config.landscape
    assert words in report.caption(looks["contour"], seen["contour"], Subject.of(prepared))
    assert "standard error" not in report.caption(looks["line"], seen["line"], Subject.of(prepared))
    errors[:] = 0.0
    assert "standard error" not in report.caption(looks["contour"], seen["contour"], Subject.of(prepared))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("line", "filter normalization, direction seed 0, ‖direction‖/‖θ*‖ = "),
        ("contour", "cosine of the axes "),
        ("interpolation", "‖θ*−θ₀‖ = "),
        ("scaling", "‖θ*‖ = "),
    ],
)
def test_the_caption_of_each_kind_says_what_its_geometry_depends_on(
    kind: str, words: str, tiny: Callable[..., StudyConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    captions = []

    def pictures(_name: str, _config: Any, _landscape: Landscape, text: str, _warning: str | None) -> dict:
        captions.append(text)
        return {}

    monkeypatch.setattr(report, "pictures", pictures)
    config = tiny(f"+landscape@landscape.own={kind}", "landscape.own.points=2", looks=())
    run(prepare(config, {}))
    (said,) = captions
    assert said.startswith("mlp (")
    assert words in said
    assert ("normalization" in said) == (kind in ("line", "contour"))
