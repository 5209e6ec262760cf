"""The frame of a self-contained web page: it asks nothing of any network."""

from html import escape

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
