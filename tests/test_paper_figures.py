"""`study figures`: figures for a paper, drawn from records alone, with their captions beside them."""

import re
from html import unescape

import pytest

from study.analysis.over_directions import replicates
from study.commands import figures as command
from study.compare_runs import compare_runs
from study.errors import ConfigError
from study.landscape.result import Landscape
from study.paper_figures import inches, paper_figures, points
from study.prepare import prepare
from study.run import run
from study.subject import Subject

SWA = ("training/averaging=swa", "training.averaging.start_epoch=1")
MINIMA = ("landscape=[minima]", "landscape.minima.end=seed+5", "landscape.minima.points=3")


def in_words(page: str) -> str:
    """The text of a web page, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_a_run_has_pdf_svg_png_and_a_caption_of_each_figure(start, output_dir, tmp_path):
    record = start("landscape.contour.split=both", looks=("line", "contour")).record
    files = paper_figures(record.config_hash[:8], tmp_path / "there", output_dir)
    names = ["line", "contour", "contour.surface", "contour.test", "contour.test.surface"]
    assert {file.name for file in files} == {
        f"{name}.{format}" for name in names for format in ("pdf", "svg", "png", "txt")
    }
    assert all(file.is_file() for file in files)
    said = (tmp_path / "there" / "contour.test.txt").read_text()
    assert said.startswith("On a plane about the solution: test split. mlp (")
    assert said.endswith(f"seed 0; run {record.config_hash}.\n")
    assert said.count("\n") == 1
    own = said.removeprefix("On a plane about the solution: test split. ").strip()
    assert own in in_words(
        record.read("landscapes/contour.html").decode()
    )  # the caption of the run's own page


def test_names_width_size_and_formats_are_chosen(start, output_dir, tmp_path, capsys):
    record = start(looks=("line", "contour")).record
    there = tmp_path / "there"
    settings = ["--width", "140mm", "--font-size=10", "--formats", "png", f"output_dir={output_dir}"]
    command([record.config_hash, "contour", str(there), *settings])
    assert capsys.readouterr().out.split() == [str(there / "contour.png"), str(there / "contour.txt")]
    picture = (there / "contour.png").read_bytes()
    assert int.from_bytes(picture[16:20], "big") == int(140 / 25.4 * 300)


def test_files_that_would_be_lost_are_kept(start, output_dir, tmp_path):
    record = start().record
    (drawn, said) = paper_figures(record.config_hash, tmp_path / "there", output_dir, formats="svg")
    before = drawn.read_bytes()
    assert paper_figures(record.config_hash, tmp_path / "there", output_dir, formats="svg") == [drawn, said]
    drawn.write_text("by hand")
    with pytest.raises(ConfigError, match="--force"):
        paper_figures(record.config_hash, tmp_path / "there", output_dir, formats="svg")
    assert drawn.read_text() == "by hand"
    paper_figures(record.config_hash, tmp_path / "there", output_dir, formats="svg", force=True)
    assert drawn.read_bytes() == before


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("seed=3", "training.init_seed=4"),
        ("rescale=10",),
        MINIMA,
        SWA,
    ],
)
def test_the_record_alone_says_what_the_run_said(tiny, plain_pictures, overrides):
    prepared = prepare(tiny(*overrides, looks=() if overrides == MINIMA else ("line",)), {})
    record = run(prepared).record
    assert Subject.read(record) == Subject.of(prepared)


def test_the_record_alone_knows_which_weights_are_looked_at(start, tiny, plain_pictures):
    trained = start(*SWA).record
    for words, named in (("", None), ("@4", "update 4"), ("@6", None), ("@averaged", "averaged weights")):
        prepared = prepare(tiny(f"checkpoint={trained.config_hash}{words}", *SWA), {})
        found = Subject.read(run(prepared).record)
        assert found == Subject.of(prepared)
        assert ("θ* is" in found.whose) == (named is not None)
        assert named is None or f"the solution θ* is {named}" in found.whose
    file = next(trained.path.glob("checkpoints/update_0000006.safetensors"))
    alone = file.rename(trained.output_dir / "alone.safetensors").resolve()
    prepared = prepare(tiny(f"checkpoint={alone}", *SWA), {})
    assert Subject.read(run(prepared).record) == Subject.of(prepared)


def test_replicates_and_curvature_are_drawn_too(start, output_dir, tmp_path):
    record = start(
        "landscape.contour.replicates=2", "curvature=top", "curvature.examples=16", looks=("contour",)
    ).record
    assert len(replicates(Landscape.from_bytes(record.read("landscapes/contour.npz")))) == 2
    files = paper_figures(record.config_hash, tmp_path / "there", output_dir, formats="pdf")
    assert [file.stem for file in files if file.suffix == ".pdf"] == [
        "contour", "contour.surface", "contour.spread", "curvature",
    ]  # fmt: skip
    assert "Largest eigenvalues at the solution. mlp (" in (tmp_path / "there" / "curvature.txt").read_text()


def test_a_comparison_is_drawn_without_evaluating_anything(
    start, tiny, output_dir, tmp_path, monkeypatch, plain_pictures
):
    runs = [
        start(f"training.batch_size={size}", f"seed={seed}").record for size in (8, 32) for seed in (0, 1)
    ]
    config = tiny()
    config.comparison.points = 3
    compared = compare_runs(config, [own.config_hash for own in runs])
    kept = {
        name.removeprefix("comparison/").removesuffix(".png")
        for name in compared.record.files()
        if name.endswith(".png")
    }
    assert {"between", "line", "training", "measures"} <= kept

    def refuse(*_about, **_settings):
        raise AssertionError("something was evaluated")

    for module in ("study.between.join", "study.between.evaluate", "study.build.data_set"):
        monkeypatch.setattr(module, refuse)
    name = compared.record.config_hash
    files = paper_figures(name, tmp_path / "there", output_dir, width="double", formats="png")
    assert {file.stem for file in files if file.suffix == ".png"} == kept
    assert "mlp on digits" in (tmp_path / "there" / "between.txt").read_text()


@pytest.mark.parametrize(
    ("width", "found"), [("single", 3.25), ("double", 6.75), ("5.5in", 5.5), ("127mm", 5.0), ("12.7cm", 5.0)]
)
def test_widths(width, found):
    assert inches(width) == pytest.approx(found, rel=1e-12)


@pytest.mark.parametrize("width", ["5.5", "in", "1in", "nanin", "infin", "21in", "100pt", ""])
def test_a_width_that_is_none_is_refused(width):
    with pytest.raises(ConfigError, match=r"--width must be single, double or a length from 2.5in to 20in"):
        inches(width)


@pytest.mark.parametrize("size", ["0", "4", "nan", "13", "small"])
def test_a_font_size_that_cannot_be_read_is_refused(size):
    with pytest.raises(ConfigError, match="--font-size must be a number of points from 5 to 12"):
        points(size)


def test_wrong_arguments_are_answered_in_one_line(start, output_dir, tmp_path, command_line):
    record = start(looks=("line",)).record
    there = f"output_dir={output_dir}"
    name, folder = record.config_hash, str(tmp_path / "there")
    (tmp_path / "file").touch()
    for arguments, line in (
        (["dead", folder], "RUN must name one run, sweep or comparison in output_dir"),
        ([name, "contour", folder], "NAME must be one of line, got 'contour'"),
        (
            [name, folder, "--formats", "jpg"],
            "--formats must be of png, pdf, svg, with commas between, got 'jpg'",
        ),
        ([name, str(tmp_path / "file")], "DIR must be a folder, got"),
        ([name], "study figures takes RUN [NAME ...] DIR, got"),
        ([name, folder, "--dpi", "3"], "'--dpi' is no flag here"),
    ):
        status, _out, err = command_line("figures", *arguments, there)
        assert status == 2, arguments
        assert err.startswith(f"study: {line}"), arguments
        assert err.count("\n") == 1
    assert not (tmp_path / "there").exists()


def test_a_run_without_figures_is_refused(start, output_dir, tmp_path):
    record = start("landscape=[]", looks=()).record
    with pytest.raises(ConfigError, match="RUN must name what has figures"):
        paper_figures(record.config_hash, tmp_path, output_dir)
