"""What is printed is text: no name becomes a tag, a script, a link, a formula of TeX or a cell of its own."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from study import report
from study.analysis.verdicts import Outcome, Verdict
from study.claims import Judged
from study.comparison_report import page
from study.config_claims import ClaimConfig
from study.figures.contour import contour_figure
from study.figures.interactive import interactive_page
from study.figures.interactive_curves import line_chart
from study.figures.interactive_surfaces import surface_chart
from study.figures.line import line_figure
from study.figures.measures import measures_figure
from study.figures.surface import surface_figure
from study.figures.training import training_figure
from study.figures.verdicts import verdicts_figure
from study.figures.web_page import web_page
from study.landscape.result import Landscape, Point, Status
from study.left_out import LeftOut
from study.markdown import fenced, literal
from study.record import Record
from study.study_pages import summary

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><b>",
    "$x^2$ $\\frac{$",
    "a | b ` c ``` d",
    "](javascript:alert(1))",
    "=1+1",
)


@pytest.fixture(params=HOSTILE)
def words(request) -> str:
    return request.param


class Reader(HTMLParser):
    """The tags of a page, and the words outside of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _value in attrs]

    def handle_data(self, data) -> None:
        self.words.append(data)


def assert_as_plain(hostile: str, plain: str) -> Reader:
    """A page has the same tags and attributes, whatever is named in it."""
    found, wanted = Reader(hostile), Reader(plain)
    assert found.tags == wanted.tags
    assert sorted(found.attributes) == sorted(wanted.attributes)
    assert not [name for name in found.attributes if name.startswith("on")]
    return found


def landscape(words: str, dimensions: int) -> Landscape:
    shape = (3, 4)[:dimensions]
    values = 1 + np.arange(float(np.prod(shape))).reshape(shape)
    return Landscape(
        axes={name: np.linspace(-1, 1, size) for name, size in zip(("alpha", "beta"), shape, strict=False)},
        values={f"{words}/loss": values, f"{words}/accuracy": values / 20},
        status=np.full(shape, Status.EVALUATED, np.int8),
        points={
            words: Point((0.0,) * dimensions, {f"{words}/loss": 2.0, f"{words}/accuracy": 0.1}),
            f"{words} too": Point((0.5,) * dimensions, {f"{words}/loss": 3.0, f"{words}/accuracy": 0.1}),
        },
        provenance={"loss_unit": words},
    )


def assert_literal(figure: Figure, words: str) -> None:
    """Every word of a figure with a dollar sign is taken as it stands, and the figure can be drawn."""
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if words[:4] in text.get_text() or "$" in text.get_text()]
    assert texts
    for text in texts:
        if words[:4] in text.get_text():
            assert not text.get_parse_math() or "$" not in text.get_text(), text.get_text()


@pytest.mark.parametrize("dimensions", [1, 2])
def test_pages_to_turn_and_zoom(words, dimensions):
    def drawn(name: str) -> str:
        return interactive_page(
            landscape(name, dimensions), title=name, caption=name, warning=name,
            axis_labels={"alpha": name, "beta": name},
        )  # fmt: skip

    reader = assert_as_plain(drawn(words), drawn("plain"))
    assert words in reader.words  # the title, once the page is read


@pytest.mark.parametrize("words", ["$x^2$ $\\frac{$", "$a", "<script>alert(1)</script>"])
def test_figures_take_words_literally(words):
    labels = {"alpha": words, "beta": words}
    line, plane = landscape(words, 1), landscape(words, 2)
    about = {"title": words, "caption": words}
    assert_literal(line_figure(line, parameter_label=words, warning=words, **about), words)
    assert_literal(contour_figure(plane, split=words, axis_labels=labels, warning=words, **about), words)
    assert_literal(surface_figure(plane, split=words, axis_labels=labels, **about), words)
    table = pd.DataFrame({words: [f"{words} 1", f"{words} 2"], "other": [words, "b"], "m/x": [1.0, 2.0]})
    table["configuration"] = table[words]
    assert_literal(measures_figure(table, ["m/x"], [words, "other"], loss_unit=words, **about), words)
    curve = pd.DataFrame({
        "epoch": [1.0, 2.0],
        "update": [1, 2],
        "train/loss": [2.0, 1.0],
        "test/loss": [2.0, 1.0],
    })
    assert_literal(training_figure({words: curve}, {words: words}, loss_unit=words, **about), words)
    assert_literal(verdicts_figure(pd.DataFrame([judged(words).row()]), **about), words)


def judged(words: str) -> Judged:
    claim = ClaimConfig(
        says=words, paper=words, measure=words, runs={words: words}, against={words: 1}, direction="above",
        smallest=0.1, compared_as="difference",
    )  # fmt: skip
    verdict = Verdict(Outcome.REPRODUCED, reason=words, p=0.01, p_opposite=1.0)
    return Judged(words, claim, verdict, 2.0, 1.0, 1.0, 0.5, 1.5, "5", words)


def comparison(words: str) -> SimpleNamespace:
    table = pd.DataFrame({"run": ["abc"], words: [words], "label": [words], "m": [1.0]})
    groups = pd.DataFrame({
        "configuration": [words],
        "runs": [2],
        f"{words} mean": [1.0],
        f"{words} std": [0.1],
    })
    members = SimpleNamespace(keys=(words,), seeds=(words,), runs=[1])
    left_out = [LeftOut(words, words, words)]
    curves = line_chart({words: landscape(words, 1)}, {words: [words]}, parameter_label=words)
    surfaces = surface_chart({words: landscape(words, 2)}, axis_labels={"alpha": words, "beta": words})
    charts = {f"{words} 1": replace(curves, caption=words, pictures=(words,)), f"{words} 2": surfaces}
    return SimpleNamespace(
        members=members, runs=table, groups=groups, between=table, left_out=left_out, charts=charts
    )


def test_the_page_of_a_comparison(words):
    def of(name: str) -> str:
        return page(
            comparison(name), [judged(name)], {"verdicts": b"", name: b""}, title=name, about={name: name},
            failed={name: name},
        )  # fmt: skip

    reader = assert_as_plain(of(words), of("plain"))
    assert reader.words.count(words) > 8


def test_the_frame_of_a_page(words):
    assert_as_plain(web_page(words, "", style="", width=1), web_page("plain", "", style="", width=1))


def test_the_report_of_a_run(words, tmp_path, tiny):
    record = Record.at(tmp_path, "abc")
    about = {"name": words, "parameters": 1, "tags": {"checkpoint": words}}
    record.write_json("run.json", about)
    record.write("config.yaml", f"note: |\n  {words}\n  ```\n  <script>\n")
    text = report.run_page(record, tiny(), {"diverged": words})
    prose, _fence, code = text.partition("## Configuration\n\n")
    assert prose.startswith(f"# {literal(words)}\n")
    assert f"those of {literal(words)}." in prose
    assert f"diverged**: {literal(words)}." in prose
    opening, *lines, closing, end = code.split("\n")
    assert (opening, end) == (f"{closing}yaml", "")
    assert "\n".join(lines) == record.read("config.yaml").decode().rstrip()
    assert all(closing not in line for line in lines)


def test_markdown_shows_words_as_they_are(words):
    shown = literal(f"{words}\n# x")
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)[`\[\]<>|$]", re.sub(r"\\\\", "", shown))
    assert re.sub(r"\\(.)", r"\1", shown) == f"{words} # x"
    assert fenced("a", "yaml") == ["```yaml", "a", "```"]


def test_the_tables_of_studies(words):
    def of(name: str) -> list[str]:
        return summary({"a": pd.DataFrame([judged(name).row()])}).splitlines()

    hostile, plain = of(words), of("plain")
    assert len(hostile) == len(plain)
    for one, other in zip(hostile, plain, strict=True):
        assert len(re.findall(r"(?<!\\)\|", one)) == len(re.findall(r"(?<!\\)\|", other))
        assert "<" not in one
        assert "](javascript" not in one


def test_tables_as_files_hold_what_was_said(words):
    """A cell is not altered for spreadsheets, which may read `=` as a formula: programs read it."""
    table = landscape(words, 1).to_frame()
    again = pd.read_csv(io.StringIO(table.to_csv(index=False)), keep_default_na=False)
    assert list(again["point"]) == ["", "", "", words, f"{words} too"]
    assert list(again) == list(table)
