"""The frame of a self-contained web page: it asks nothing of any network."""

import json
from html import escape
from pathlib import Path
from typing import Any

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{
  font-family: "DejaVu Sans", Verdana, sans-serif;
  margin: 1em auto; max-width: {width}em; padding: 0 1em;
}}
{style}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def web_page(title: str, body: str, *, style: str, width: int) -> str:
    """A web page in one string.

    Args:
        title: of the window, taken literally.
        body: HTML, with all that it shows within.
        style: CSS rules, besides that of the body.
        width: at most, in em.
    """
    return _PAGE.format(title=escape(title), body=body, style=style, width=width)


def asset(name: str) -> str:
    """The text of a script or a style sheet of ours, from the folder `web` beside this module."""
    return (Path(__file__).with_name("web") / name).read_text(encoding="utf-8")


def script(code: str) -> str:
    """Code of ours, or of a library, within a page."""
    return f"<script>\n{code}\n</script>\n"


def json_block(name: str, content: Any) -> str:
    """JSON within a page, under an id, where no word of it ends the block that it stands in."""
    words = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    words = words.replace("<", "\\u003c")
    return f'<script type="application/json" id="{escape(name)}">{words}</script>'
