"""What pictures of landscapes are called: by their splits, and by what lies at a place of all of them."""

from collections.abc import Iterable

from study.landscape.result import Landscape


def names_at(place: tuple[float, ...], landscapes: Iterable[Landscape]) -> str:
    """What lies at a place of several landscapes, in words."""
    names = dict.fromkeys(
        name
        for landscape in landscapes
        for name, point in landscape.points.items()
        if point.coordinates == place
    )
    return " or ".join(names) if len(names) < 3 else "the weights looked at"


def by_split(landscape: Landscape, title: str) -> list[tuple[str, str, str]]:
    """(suffix of the file, split, title) of each split."""
    several = len(landscape.splits) > 1
    return [
        (f".{split}" if place else "", split, f"{title}: {split} split" if several else title)
        for place, split in enumerate(landscape.splits)
    ]
