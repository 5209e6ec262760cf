"""The pages and pictures of a run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from study import curvature, flatness
from study.analysis.curvature import Curvature
from study.config import StudyConfig
from study.config_measures import FlatnessConfig
from study.figures.export import render
from study.kinds import KINDS, LandscapeConfig
from study.landscape.result import Landscape
from study.markdown import fenced, literal
from study.members import BY_TRAINING
from study.partner import undrawn
from study.record import Record
from study.self_checks import broken_checks
from study.span import span_words
from study.subject import Subject


def caption(
    config: LandscapeConfig, landscape: Landscape, subject: Subject, share: float | None = None
) -> str:
    """What a figure shows: model, data, examples read, normalization, seeds, run.

    Args:
        config: of the landscape.
        landscape: what is drawn.
        subject: what it is of.
        share: of ‖θ*−θ₀‖² along it, where it is known.
    """
    about = landscape.provenance
    read = ", ".join(
        f"{name} split, {_examples(size['examples'], size['population'])}"
        for name, size in about["splits"].items()
    )
    parts = [
        f"{subject.network}: {read}",
        *KINDS[config.kind].caption(config, about),
        *span_words(about, share),
    ]
    parts += [
        f"the {entry} is the solution of seed {subject.partners[words]}"
        for entry, words in config.weights_named.items()
        if words in subject.partners
    ]
    if about["batch_statistics"] != "none kept":
        parts.append(f"batch statistics {about['batch_statistics']}")
    errors = _stated_errors([own.provenance for own in (landscape, *landscape.companions.values())])
    return "; ".join([*parts, *_subset_error(landscape), *errors, subject.whose]) + "."


def curvature_caption(found: Curvature, subject: Subject) -> str:
    """What the figure of the curvature shows: model, data, examples read, how it was computed, seed, run."""
    read = _examples(found.provenance["examples"], found.provenance["population"])
    return (
        "; ".join([f"{subject.network}: train split, {read}", curvature.stated(found), subject.whose]) + "."
    )


def warning(broken: Sequence[str]) -> str | None:
    """What stands above the pictures of a landscape whose self-checks failed; None where they hold."""
    return f"Not to be trusted: {', '.join(broken)} failed" if broken else None


def pictures(
    name: str, config: LandscapeConfig, landscape: Landscape, text: str, warning: str | None = None
) -> dict[str, bytes]:
    """Every picture, animation, frame of one and page of a landscape, by its file's name in the record.

    Args:
        name: of the landscape.
        config: of the landscape.
        landscape: what is drawn.
        text: the caption.
        warning: why the landscape is not to be trusted; conspicuous above each picture.
    """
    kind = KINDS[config.kind]
    files: dict[str, bytes] = {}
    for suffix, figure in kind.drawing.figures(landscape, kind.title, text, warning).items():
        for format in ("png", "pdf"):
            files[f"landscapes/{name}{suffix}.{format}"] = render(figure, format)
    for suffix, film in kind.drawing.films(landscape, kind.title, text, warning).items():
        files[f"landscapes/{name}{suffix}.gif"] = film.gif
        if not suffix:  # the series of the main split
            for update, still in film.stills.items():
                files[f"landscapes/{name}.frames/{update:06d}.png"] = still
    page = kind.drawing.page(landscape, kind.title, text, warning)
    return {**files, f"landscapes/{name}.html": page.encode()}


def run_page(record: Record, config: StudyConfig, tags: Mapping[str, str]) -> str:
    """The report of a run, Markdown: what it reached, what its landscapes measure, whether checks hold."""
    about, values = record.read_json("run.json"), record.latest()
    lines = [
        f"# {literal(about['name'])}",
        "",
        f"Run `{record.config_hash}`, {about['parameters']:,} parameters.",
        "",
    ]
    if "trained_by" in tags:
        lines += [f"The network was trained by run `{tags['trained_by']}`.", ""]
    if "diverged" in tags:
        lines += [f"**The training diverged**: {literal(tags['diverged'])}. No landscape is drawn of it.", ""]
    if "checkpoint" in about["tags"]:
        lines += [f"The weights are those of {literal(about['tags']['checkpoint'])}.", ""]
    if "partners" in about["tags"]:
        lines += [f"Other solutions that its landscapes are between: {about['tags']['partners']}.", ""]
    if names := undrawn(tags):
        said = f"no landscape {', '.join(names)} is drawn"
        lines += [f"**The training of another solution diverged**: {said}.", ""]
    final = [(key, values[key]) for key in BY_TRAINING if key in values]
    if final:
        lines += ["## Training", "", *_table(["after training", "value"], final), ""]
    for name in config.landscape:
        measures = [(key, value) for key, value in values.items() if key.startswith(f"{name}/")]
        if not measures:
            continue
        lines += [f"## {name}", "", f"![{name}]({_picture(name)})", ""]
        if (film := f"landscapes/{name}.gif") in record.files():
            lines += [f"![{name}, checkpoint by checkpoint]({film})", ""]
        lines += [*_table(["measure", "value"], measures), ""]
        failed = broken_checks(name, values)
        lines += [
            "Self-checks hold: the solution on the landscape is the checkpoint's own loss, to the bit by the "
            "same engine and to 1e-6 by the training loop's; points that were evaluated again gave the same "
            "bits; the network came back as it went in."
            if not failed
            else f"**Self-checks failed: {', '.join(failed)}. Do not trust this landscape.**",
            "",
        ]
    found = [(key, value) for key, value in values.items() if key.startswith(f"{curvature.STEM}/")]
    if found:
        drawn = f"{curvature.STEM}.png"
        picture = [f"![curvature]({drawn})", ""] if drawn in record.files() else []
        lines += ["## curvature", "", *picture, *_table(["measure", "value"], found), ""]
    file = f"{flatness.STEM}.json"
    if isinstance(config.measures, FlatnessConfig) and record.holds(file):
        rows = flatness.rows(record.read_json(file), config.measures.names)
        lines += ["## measures", "", *_definitions_table(rows, config.measures), ""]
    lines += ["## Configuration", "", *fenced(record.read("config.yaml").decode(), "yaml"), ""]
    return "\n".join(lines)


def _subset_error(landscape: Landscape) -> list[str]:
    """In words, the standard errors over a plane that was read on a subset; in lines they are drawn."""
    errors = [own for name, own in landscape.values.items() if name.endswith("loss_standard_error")]
    known = np.concatenate([own[np.isfinite(own) & (own > 0)] for own in errors]) if errors else np.empty(0)
    if len(landscape.axes) < 2 or not known.size:
        return []
    return [f"standard error of the loss {known.min():.2g} to {known.max():.2g} {landscape.loss_unit}"]


def _stated_errors(abouts: Sequence[Mapping[str, Any]]) -> list[str]:
    """In words, how far losses may be from the exact ones; nothing where they are exact.

    Args:
        abouts: the provenance of a landscape and of its companions: of those the largest errors count.
    """
    words = []
    if found := [own["interpolation"] for own in abouts if "interpolation" in own]:
        count, others = (sum(own[of] for own in found) for of in ("evaluated", "interpolated"))
        words.append(f"{count:,} of {count + others:,} cells evaluated")
        if others:
            largest = max(error["largest"] for own in found for error in own["errors"].values())
            words[-1] += (
                f", the others interpolated: within {100 * largest:.2g}% on "
                f"{sum(own['drawn'] for own in found)} of them drawn at random, so in 95% of all at 95% "
                "confidence"
            )
    if found := [own["precision_error"] for own in abouts if "precision_error" in own]:
        largest = max(error.get("largest", 0.0) for own in found for error in own["relative"].values())
        points = sum(own["points"] for own in found)
        words.append(f"in bfloat16: within {100 * largest:.2g}% of float32 on {points} points")
    return words


def _examples(count: int, population: int) -> str:
    return f"all {count:,} examples" if count == population else f"{count:,} of {population:,} examples"


def _picture(name: str) -> str:
    return f"landscapes/{name}.png"


def _definitions_table(rows: Sequence[flatness.Row], config: FlatnessConfig) -> list[str]:
    """What sharpness and flatness were found, and what each number is."""
    read = "all examples" if config.examples is None else f"a fixed subset of {config.examples:,} examples"
    lines = [
        f"At the solution, over {read} of the train split. A lower bound is what a search for a maximum "
        "found. *Rescaling* says whether a rescaling of the layers of a ReLU network, which leaves its "
        "function as it is, changes the measure (Dinh et al. 2017).",
        "",
        "| measure | value | standard error | kind | rescaling | source | note |",
        "| --- | ---: | ---: | --- | --- | --- | --- |",
    ]
    for row in rows:
        numbers = ["" if own is None else f"{own:.4g}" for own in (row.value, row.standard_error)]
        own = row.definition
        said = [own.value, "changes it" if own.changed else "does not", own.source, row.note]
        cells = [f"`{row.measure}`", *numbers, *(words.replace("|", "\\|") for words in said)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _table(header: list[str], rows: list[tuple[str, Any]]) -> list[str]:
    body = [f"| `{key}` | {value:.6g} |" for key, value in rows]
    return [f"| {header[0]} | {header[1]} |", "| --- | ---: |", *body]
