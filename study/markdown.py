"""Words within Markdown, whatever is in them."""

import re


def literal(text: str) -> str:
    """The words in one line as they are: no tag, link, code, emphasis or cell of a table is made of them."""
    return re.sub(r"([\\`*\[\]<>|&$])", r"\\\1", " ".join(text.split()))


def fenced(text: str, language: str) -> list[str]:
    """The lines of a block of code, whose fence is longer than any within it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", text.rstrip(), fence]
