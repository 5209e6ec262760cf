"""Tables of a web page that sort by a click on a header, and filter by a few words."""

import pandas as pd


def table_html(frame: pd.DataFrame, *, words: bool = False, filtered: bool = False) -> str:
    """A table within a page; `tables.js` makes it sort. All that it holds is taken literally.

    Args:
        frame: a row a row; numbers are shown to five digits, and what is missing as a blank.
        words: whether its columns are wrapped, as sentences are.
        filtered: whether a field above it filters its rows.
    """
    shown = frame.map(lambda value: number(value) if isinstance(value, float) else str(value))
    classes = ["sortable", *(["filtered"] if filtered else [])]
    table = shown.to_html(index=False, border=0, escape=True, classes=classes)
    return f'<div class="wide{" words" if words else ""}">{table}</div>'


def number(value: float) -> str:
    """A number in a table: five digits, and a blank for what is missing."""
    return "" if value != value else f"{value:.5g}"
