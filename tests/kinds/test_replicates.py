"""Lines and planes along several draws of their directions: what is refused, said and drawn."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from study.analysis.over_directions import replicated
from study.config import StudyConfig
from study.errors import ConfigError
from study.kinds import KINDS
from study.landscape.result import Landscape, Point, Status

Compose = Callable[..., StudyConfig]

AXES = {"alpha": np.linspace(-1.0, 1.0, 5), "beta": np.linspace(-1.0, 1.0, 4)}


def landscapes(kind: str, count: int, splits: tuple[str, ...] = ("train",)) -> Landscape:
    """Replicate k has the loss 1 + k + α² (+ β²) on the grid."""
    axes = {name: axis for name, axis in AXES.items() if kind == "contour" or name == "alpha"}
    bowl = sum(np.meshgrid(*(axis**2 for axis in axes.values()), indexing="ij"))
    names = [f"{split}/loss" for split in splits]
    return replicated([
        Landscape(
            axes=axes,
            values=dict.fromkeys(names, 1.0 + place + bowl),
            status=np.full(bowl.shape, Status.EVALUATED, dtype=np.int8),
            points={"solution": Point((0.0,) * len(axes), dict.fromkeys(names, 1.0))},
        )
        for place in range(count)
    ])


def draw(kind: str, *about: Any) -> dict[str, Any]:
    return dict(KINDS[kind].drawing.figures(landscapes(kind, *about), "A title", "A caption.", None))


def words(figure: Any) -> set[str]:
    return {" ".join(text.get_text().split()) for text in figure.texts}


def curves(figure: Any, name: str) -> list[np.ndarray]:
    return [line.get_ydata() for axes in figure.axes for line in axes.lines if line.get_gid() == name]


@pytest.mark.parametrize(
    ("kind", "directions", "count", "seed", "rule"),
    [
        ("line", "[gradient]", 2, 0, "must be 1 where no direction is gaussian"),
        ("contour", "[gradient,difference]", 3, 0, "must be 1 where no direction is gaussian"),
        ("line", "[gaussian]", 0, 0, "must be at least 1"),
        ("line", "[gaussian]", 3, 2**63 - 2, "must leave direction_seed + replicates − 1 at most"),
    ],
)
def test_what_cannot_be_drawn_anew_is_refused_by_key_rule_and_value(
    compose: Compose, kind: str, directions: str, count: int, seed: int, rule: str
):
    own = {"directions": directions, "replicates": count, "direction_seed": seed}
    with pytest.raises(ConfigError) as refused:
        compose(f"landscape=[{kind}]", *(f"landscape.{kind}.{key}={value}" for key, value in own.items()))
    assert str(refused.value).startswith(f"landscape.{kind}.replicates {rule}")
    assert str(refused.value).endswith(f", got {count}")


def test_replicate_k_is_the_landscape_of_the_kth_seed_from_the_direction_seed_on(compose: Compose):
    about = ["landscape=contour", "landscape.contour.directions=[gradient,gaussian]"]
    config = compose(*about, "landscape.contour.replicates=3", "landscape.contour.direction_seed=5")
    alone = [compose(*about, f"landscape.contour.direction_seed={seed}") for seed in (5, 6, 7)]
    assert config.landscape["contour"].draws == [own.landscape["contour"] for own in alone]
    assert KINDS["interpolation"].schema.draws.fget(config) == [
        config
    ]  # what has no directions stands for itself


def test_a_picture_of_lines_has_all_of_them_and_their_median():
    (figure,) = draw("line", 4).values()
    line = 1.0 + AXES["alpha"] ** 2
    for place in range(4):
        (drawn,) = curves(figure, f"replicate {place}")
        np.testing.assert_allclose(drawn[[0, 1, -1]], place + line[[0, 1, -1]])
    (middle,) = curves(figure, "median")
    np.testing.assert_allclose(middle[[0, 1, -1]], 1.5 + line[[0, 1, -1]])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["along each of 4 directions", "median"]


def test_a_spread_of_planes_stands_beside_the_first_and_says_of_how_many():
    drawn = draw("contour", 3, ("train", "test"))
    suffixes = ("", ".surface", ".spread")
    assert set(drawn) == {*suffixes, *(f".test{suffix}" for suffix in suffixes)}
    figure = drawn[".test.spread"]
    assert figure.axes[1].get_ylabel() == "test SD of loss\n(nats per example)"
    assert any("n = 3" in text for text in words(figure))
    assert "A caption. Shown: the first of 3." in words(drawn[".surface"])
    # losses that differ by 1 everywhere, of three the deviation is 1
    assert "constant: 1" in {text.get_text() for text in figure.legends[0].get_texts()}


@pytest.mark.parametrize("kind", ["line", "contour"])
def test_one_landscape_is_drawn_as_ever(kind: str):
    drawn = draw(kind, 1)
    assert set(drawn) == ({""} if kind == "line" else {"", ".surface"})
    assert all("A caption." in words(figure) for figure in drawn.values())


@pytest.mark.parametrize(("kind", "shown"), [("line", "the median"), ("contour", "the first")])
def test_runs_with_other_numbers_of_replicates_are_drawn_together(kind: str, shown: str):
    runs = {"a": landscapes(kind, 3), "b": landscapes(kind, 1)}
    groups = {"a": "a", "b": "b"}
    (figure,) = KINDS[kind].drawing.together(runs, groups, "A title", "A caption.").values()
    assert f"A caption. Of 3 draws of directions, {shown} is shown." in words(figure)
    if kind == "line":
        (drawn,) = curves(figure, "a")
        np.testing.assert_allclose(drawn[[0, -1]], 3.0)  # 1 + 1 + α² at ±1
    del runs["a"]
    (figure,) = KINDS[kind].drawing.together(runs, groups, "A title", "A caption.").values()
    assert "A caption." in words(figure)


@pytest.mark.parametrize("kind", ["line", "contour"])
def test_a_page_has_the_first_and_says_so(kind: str):
    drawing = KINDS[kind].drawing
    page = drawing.page(landscapes(kind, 3), "A title", "A caption.", None)
    assert "A caption. Shown: the first of 3." in page
    assert "replicate_1" not in page
    assert "Shown: the first" not in drawing.page(landscapes(kind, 1), "A title", "A caption.", None)
