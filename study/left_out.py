"""What a comparison does not show."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LeftOut:
    """What a figure does not show.

    Attributes:
        figure: its name.
        run: label of the run, or of the two.
        reason: why it would mislead there.
    """

    figure: str
    run: str
    reason: str
