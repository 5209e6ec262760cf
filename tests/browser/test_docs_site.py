"""The documentation, built: links lead somewhere, nothing is asked of the network, pages fit their window."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import study
from study.paths import root

WITHOUT_NETWORK = """
import socket, sys
def refused(*_about): raise OSError("the network was asked")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refused
from mkdocs.__main__ import cli
cli(sys.argv[1:])
"""
LOADING = ("src", "srcset", "poster", "data", "action")  # attributes that fetch or send, besides href
LOOKED_AT = ("index", "first_hour", "reading", "gallery", "landscapes", "results", "sweeps", "formulas")
LOOKED_AT += ("configuration", "commands", "api", "studies/index", "studies/jiang_2019", "reliability")
LOOKED_AT += ("scaling", "security", "contributing", "changelog")


def built(config: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """What MkDocs says of a build in a process that reaches no other machine."""
    command = [sys.executable, "-c", WITHOUT_NETWORK, "build", "-f", str(config), "-d", str(folder)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        cwd=root(),
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a broken link or anchor, or a page that is nowhere listed, ends it."""
    folder = tmp_path_factory.mktemp("site")
    done = built(root() / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_about: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Loaded(HTMLParser):
    """Collects the addresses that a page loads by itself: those of hyperlinks are the reader's."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and (name in LOADING or (name == "href" and tag != "a")):
                self.found.append(value)


def loaded(page: str) -> list[str]:
    parser = Loaded()
    parser.feed(page)
    return parser.found


def elsewhere(address: str) -> bool:
    return re.match(r"\s*(?:[a-z]+:)?//", address) is not None


def test_the_pages_load_nothing_from_elsewhere(site: Path):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        assert not [own for own in loaded(page.read_text()) if elsewhere(own)], page
    for sheet in site.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheet.read_text()), sheet


def test_a_page_that_loads_from_elsewhere_would_be_found():
    page = (
        '<script src="//x.org/a.js"></script><link href="https://x.org/a.css"><a href="https://x.org">x</a>'
    )
    assert [own for own in loaded(page) if elsewhere(own)] == ["//x.org/a.js", "https://x.org/a.css"]


def test_a_broken_link_or_anchor_would_end_the_build(tmp_path: Path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# A\n\n[gone](gone.md) and [nowhere](#nowhere) and [code](../gone.py)\n")
    whole = (root() / "mkdocs.yml").read_text()
    start = whole.index("validation:")
    rules = whole[start : whole.index("nav:\n", start + 20)]
    (tmp_path / "mkdocs.yml").write_text(f"site_name: x\nstrict: true\n{rules}")
    done = built(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode != 0
    assert "Aborted with 3 warnings in strict mode" in done.stdout + done.stderr


def test_every_public_name_is_on_the_page_of_the_library(site: Path):
    page = (site / "api.html").read_text()
    missing = [name for name in study.__all__ if f'id="study.{name}"' not in page]
    assert not missing


def test_the_repositorys_own_pages_are_in_the_site_whole_and_with_links_that_hold(site: Path):
    for name, source in (("contributing", "CONTRIBUTING.md"), ("changelog", "CHANGELOG.md")):
        page = (site / f"{name}.html").read_text()
        headings = re.findall(r"^## (.+)$", (root() / source).read_text(), re.MULTILINE)
        assert headings
        shown = [re.sub(r"<[^>]+>", "", own) for own in re.findall(r"<h2[^>]*>(.*?)<a", page, re.DOTALL)]
        assert shown == [heading.replace("`", "") for heading in headings]
        for target in re.findall(r'(?:href|src)="([^"#]+)', page):
            assert ":" in target or (site / target).exists(), (name, target)


@pytest.mark.parametrize("width", [1280, 500])
def test_pages_fit_their_window_and_ask_for_nothing(address: str, watch, width: int):
    watched = watch(width, 900)
    for name in LOOKED_AT:
        watched.page.goto(f"{address}/{name}.html")
        watched.page.wait_for_load_state("networkidle")
        beyond = watched.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert beyond <= 0, f"{name} is {beyond} pixels too wide at {width}"
        broken = watched.page.evaluate(
            "[...document.images].filter(own => own.complete && !own.naturalWidth).map(own => own.src)"
        )
        assert not broken
    assert not watched.errors
    assert all(
        asked.startswith(address) or asked.startswith(("data:", "blob:")) for asked in watched.requests
    )


@pytest.mark.parametrize("from_disk", [False, True])
def test_the_search_works_without_a_network(site: Path, address: str, watch, from_disk: bool):
    watched = watch()
    home = site.as_uri() if from_disk else address
    watched.page.goto(f"{home}/index.html")
    query = watched.page.locator("input[name=query]")
    query.click()
    watched.page.get_by_text("Type to start searching").wait_for(timeout=20_000)
    query.press_sequentially("basin_width")
    found = watched.page.locator(".md-search-result__item a").first
    found.wait_for(timeout=20_000)
    assert ".html" in (found.get_attribute("href") or "")
    assert not watched.errors
    assert all(asked.startswith((home, "data:", "blob:")) for asked in watched.requests)
