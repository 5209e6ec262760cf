"""What MkDocs is told beside mkdocs.yml: pages that lie elsewhere in the repository, and links there."""

import os.path
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
DOCS = "docs"
ELSEWHERE = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
"""Pages of the site that are the repository's own files."""

MARK = re.compile(r"^<!--[^\n]*-->$", re.MULTILINE)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
SOURCE = re.compile(r'(<img src=")([^"]+)')


def on_config(config: Any) -> None:
    """List the pages of the studies, so that a new one needs no line in mkdocs.yml."""
    pages = sorted(page.stem for page in (ROOT / DOCS / "studies").glob("*.md"))
    (studies,) = (entry for entry in config.nav if "Studies" in entry)
    own = [{name: f"studies/{name}.md"} for name in pages if name != "index"]
    studies["Studies"] = ["studies/index.md", *own]


def on_files(files: Files, config: Any) -> None:
    """Add the pages that lie elsewhere in the repository, without copies of them in docs/."""
    for uri, name in ELSEWHERE.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / name)))


def on_page_markdown(markdown: str, page: Any, **_rest: Any) -> str:
    """Have links lead within the site."""
    uri = page.file.src_uri
    folder = Path(ELSEWHERE.get(uri, f"{DOCS}/{uri}")).parent.as_posix()
    markdown = MARK.sub(r"\n\g<0>\n", markdown)  # else what follows is part of the comment's block
    markdown = LINK.sub(lambda found: _link(found, folder, uri), markdown)
    return SOURCE.sub(lambda found: found[1] + (_within(found[2], folder, uri) or found[2]), markdown)


def _link(found: re.Match[str], folder: str, uri: str) -> str:
    """A link as the site has it: to a page of it; where it leads to code that is there, its words alone."""
    mark, words, target = found.groups()
    path, hash_mark, anchor = target.partition("#")
    if not path or "://" in target or target.startswith("mailto:"):
        return found[0]
    inside = _within(path, folder, uri)
    if inside is not None:
        return f"{mark}[{words}]({inside}{hash_mark}{anchor})"
    exists = (ROOT / folder / unquote(path)).exists()
    return words if exists else found[0]


def _within(target: str, folder: str, uri: str) -> str | None:
    """Where a target of the repository lies, seen from a page of the site; None if it is not in the site."""
    if "://" in target:
        return None
    aimed = os.path.normpath(f"{folder}/{target}")
    named = {name: own for own, name in ELSEWHERE.items()}
    if aimed not in named and not aimed.startswith(f"{DOCS}/"):
        return None
    inside = named.get(aimed, aimed.removeprefix(f"{DOCS}/"))
    return os.path.relpath(inside, os.path.dirname(uri) or ".")
