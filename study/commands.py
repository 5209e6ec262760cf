"""The subcommands of the command line. Each imports what it needs when it is called."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from study.errors import FAILED, in_one_line, refuse
from study.garbage import loading

SHOW_HELP = """\
study show [SECTION ...] [KEY=VALUE ...]: the resolved configuration, each key with its value and meaning

  study show                             all of it
  study show training landscape.contour  these sections alone, or keys, as training.batch_size
  study show model model=resnet          what the keys of another choice are
"""
UI_HELP = """\
study ui [--port N] [--host H] [output_dir=FOLDER]: the MLflow UI on the store of output_dir

  --port N   port to listen on (default 5000)
  --host H   address to listen on (default 127.0.0.1, this machine alone)
"""
REPRODUCE_HELP = """\
study reproduce NAME [KEY=VALUE ...]: run the study sweeps/NAME.yaml, with overrides if there are any
study reproduce NAME scale=paper: the same in the setting of its paper, which needs a GPU
study reproduce --list: name, question, source and cost of each
"""
COMPARE_HELP = """\
study compare RUN RUN ... [KEY=VALUE ...]: the aligned comparison of finished runs, by hash or MLflow id

  --sweep ID         also the runs of a sweep, by its hash or the MLflow id of its parent run
  --filter SEARCH    also the runs that MLflow finds, as --filter "params.data.name = 'mnist'"
  comparison.points=51 output_dir=FOLDER   as for a sweep
"""
SYNC_HELP = """\
study sync [KEY=VALUE ...]: upload every record of output_dir that MLflow has not got, or not whole

  output_dir=FOLDER, tracking=server tracking.uri=http://host:port   where from, and where to
"""
EXPORT_HELP = """\
study export RUN --to vtk|csv|netcdf|numpy DIR: the landscapes of a run as files for other programs

  --to vtk           ParaView: surfaces (.vts), lines, paths and special points (.vtp), a file a split
  --to csv           a tidy table (.csv) a landscape, with its provenance beside it (.json)
  --to netcdf        xarray: coordinates, units, special points, losses of examples (.nc)
  --to numpy         arrays by name (.npz), read with allow_pickle=False
  --landscape NAME   one landscape; all of them otherwise
  --force            replace files in DIR that have other content
  output_dir=FOLDER  where the run is

RUN is a run's hash, the first characters of it, or its MLflow id. Every file holds the run, its
settings, directions, seeds and examples, and reads back to the same numbers, bit for bit
(a table in pandas before 4 by read_csv(..., float_precision="round_trip")).
"""
FIGURES_HELP = """\
study figures RUN [NAME ...] DIR: the figures of a run or a sweep for a paper, drawn anew from its record

  --width W          single (3.25 in, the default), double (6.75 in), or a length as 5.5in or 140mm
  --font-size N      points of the labels of axes in print (default 8); everything else is one point smaller
  --formats LIST     of pdf, svg, png (default all three): embedded TrueType, outlines, 300 dpi
  --force            replace files in DIR that have other content
  output_dir=FOLDER  where the run is

RUN is the hash of a run, a sweep or a comparison, the first characters of it, or its MLflow id; NAME is a
figure as its file is called there: contour, contour.surface, interpolation, curvature; all without one.
No picture has a title or a caption: NAME.txt has both, to be put below it. Nothing is evaluated.
"""


def reproduce(arguments: Sequence[str]) -> None:
    """`study reproduce`: a ready-made study, by name."""
    if _asks_help(arguments):
        print(REPRODUCE_HELP, end="")
        return
    with loading():
        from study.refusals import refusing
        from study.studies import SMALL, at_paper_scale, find_study, studies

    if list(arguments) == ["--list"]:
        for study in studies():
            print(f"{study.name}\n    {study.question}\n    source: {study.source}\n    cost: {study.cost}")
            if (paper := at_paper_scale(study)) is not None:
                print(f"    scale=paper: {paper.setting} {paper.cost}")
        return
    if not arguments or arguments[0].startswith("-"):
        refuse(
            f"study reproduce takes the NAME of a study, or --list, got {' '.join(arguments) or 'nothing'}"
        )
    name, *rest = arguments
    scales = [word.removeprefix("scale=") for word in rest if word.startswith("scale=")]
    overrides = [word for word in rest if not word.startswith("scale=")]
    with refusing(overrides):
        found = find_study(name, (scales or [SMALL])[-1])
        status = run_sweep([found.override, *_overrides("reproduce NAME", overrides)])
    sys.exit(status)


def compare(arguments: Sequence[str]) -> None:
    """`study compare`: an aligned comparison of runs that are finished."""
    if _asks_help(arguments):
        print(COMPARE_HELP, end="")
        return
    with loading():
        from study.closing import print_compared
        from study.compare_runs import compare_runs
        from study.job import find_own_code
        from study.refusals import refusing

    flags: dict[str, str | None] = {"--sweep": None, "--filter": None}
    remaining = _flagged(arguments, flags)
    overrides = [word for word in remaining if "=" in word]
    runs = [word for word in remaining if word not in overrides]
    find_own_code()
    config = _resolved(overrides)
    with refusing(overrides):
        print_compared(compare_runs(config, runs, flags["--sweep"], flags["--filter"]))


def export(arguments: Sequence[str]) -> None:
    """`study export`: the landscapes of a run for other programs."""
    if _asks_help(arguments):
        print(EXPORT_HELP, end="")
        return
    from study.refusals import refusing

    flags: dict[str, str | None] = {"--to": None, "--landscape": None}
    words, output_dir = _in_output_dir(_flagged([word for word in arguments if word != "--force"], flags))
    if len(words) != 2 or flags["--to"] is None:
        refuse(f"study export takes RUN --to FORMAT DIR, got {' '.join(arguments) or 'nothing'}")
    with loading():
        from study import export as exports

    run, folder = words
    with refusing(()):
        files = exports.export(
            run,
            str(flags["--to"]),
            folder,
            output_dir,
            landscape=flags["--landscape"],
            force="--force" in arguments,
        )
    print("\n".join(map(str, files)))


def figures(arguments: Sequence[str]) -> None:
    """`study figures`: the figures of a run or a sweep for a paper."""
    if _asks_help(arguments):
        print(FIGURES_HELP, end="")
        return
    flags: dict[str, str | None] = {"--width": "single", "--font-size": "8", "--formats": "pdf,svg,png"}
    words, output_dir = _in_output_dir(_flagged([word for word in arguments if word != "--force"], flags))
    if len(words) < 2:
        refuse(f"study figures takes RUN [NAME ...] DIR, got {' '.join(arguments) or 'nothing'}")
    with loading():
        from study.paper_figures import paper_figures
        from study.refusals import refusing

    run, *names, folder = words
    with refusing(()):
        files = paper_figures(
            run,
            folder,
            output_dir,
            names=names,
            width=str(flags["--width"]),
            font_size=str(flags["--font-size"]),
            formats=str(flags["--formats"]),
            force="--force" in arguments,
        )
    print("\n".join(map(str, files)))


def run_sweep(overrides: Sequence[str]) -> int:
    """Run every combination, and compare them. Returns the exit status."""
    with loading():
        from study.closing import print_sweep
        from study.job import find_own_code
        from study.sweep import sweep

    find_own_code()
    outcome = sweep(overrides)
    print_sweep(outcome)
    return FAILED if outcome.failed else 0


def show(arguments: Sequence[str]) -> None:
    """`study show`."""
    if _asks_help(arguments):
        print(SHOW_HELP, end="")
        return
    with loading():
        from study.show import describe

    asked = [word for word in arguments if "=" not in word and word[:1] not in "-~"]
    overrides = [word for word in arguments if word not in asked]
    if wrong := [word for word in overrides if word.startswith("-")]:
        refuse(f"{wrong[0]!r} must be KEY=VALUE, or a section or key: study show takes nothing else")
    config = _resolved(overrides)
    try:
        print(describe(config, asked), end="")
    except ValueError as error:
        refuse(in_one_line(error))


def ui(arguments: Sequence[str]) -> None:
    """`study ui`: become the MLflow UI on the right store."""
    if _asks_help(arguments):
        print(UI_HELP, end="")
        return
    flags: dict[str, str | None] = {"--port": "5000", "--host": "127.0.0.1"}
    overrides = _flagged(arguments, flags)
    if wrong := [word for word in overrides if not word.startswith("output_dir=")]:
        refuse(f"study ui takes --port, --host and output_dir=, got {wrong[0]!r}")
    port, host = str(flags["--port"]), str(flags["--host"])
    if not port.isdecimal() or not 0 < int(port) < 65536:
        refuse(f"--port must be a number from 1 to 65535, got {port!r}")
    output_dir = Path(_resolved(overrides).output_dir)
    if not (output_dir / "mlflow.db").is_file():
        refuse(f"output_dir must hold mlflow.db (run `study` first), got {str(output_dir)!r}")
    from study.tracking.mlflow_tracker import store_uri, tables

    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", store_uri(output_dir)]
    command += ["--host", host, "--port", port, "--workers", "1"]
    address = f"http://{host}:{port}"
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # eight processes that outlive it
    print(f"MLflow UI of {output_dir} on {address} (Ctrl-C ends it)", flush=True)
    for experiment, page in tables(output_dir).items():
        print(f"  runs of {experiment}: {address}/{page}", flush=True)
    os.execv(sys.executable, command)


def sync(arguments: Sequence[str]) -> None:
    """`study sync`: mirror every record; one whose process was killed is marked so."""
    if _asks_help(arguments):
        print(SYNC_HELP, end="")
        return
    from study.record import COMPARISONS, SWEEPS, Record, State
    from study.run import make_tracker

    config = _resolved(_overrides("sync", arguments))
    tracker = make_tracker(config.tracking, config.output_dir)
    if tracker.address() is None:
        refuse("tracking must be local or server to upload to, got 'none'")
    records = Record.all(config.output_dir)
    if not records:
        refuse(f"output_dir must hold records of runs, got {config.output_dir!r}")
    sweeps = Record.all(config.output_dir, SWEEPS)
    mirrored, busy, failures = 0, 0, []
    for record in [*records, *sweeps, *Record.all(config.output_dir, COMPARISONS)]:
        with record.lock(wait=False) as held:
            if not held:
                busy += 1
                continue
            if record.state is State.RUNNING:
                record.set_state(State.KILLED)
            try:
                mirrored += tracker.mirror(record)
            except Exception as error:  # whatever a store, a network or a client library may throw
                failures.append(f"{record.config_hash} was not uploaded: {in_one_line(error, 300)}")
    if not failures:
        for sweep in (own for own in sweeps if own.holds("run.json")):
            members = [Record.at(config.output_dir, name) for name in sweep.read_json("run.json")["members"]]
            tracker.link(sweep, [member for member in members if member.mirrored()])
    print(f"{mirrored} runs mirrored to {tracker.address()}, {busy} still running")
    if failures:
        refuse(f"{len(failures)} failed; the first: {failures[0]}")


def _overrides(command: str, arguments: Sequence[str]) -> Sequence[str]:
    """The arguments of a subcommand that takes overrides alone, or a refusal."""
    for word in arguments:
        if word.startswith("-") or ("=" not in word and not word.startswith("~")):
            refuse(f"{word!r} must be KEY=VALUE: study {command} takes nothing else")
    return arguments


def _flagged(arguments: Sequence[str], flags: dict[str, str | None]) -> list[str]:
    """Take flags with their values out of arguments; the rest is returned."""
    rest, remaining = [], list(arguments)
    while remaining:
        word = remaining.pop(0)
        name, equals, value = word.partition("=")
        if name not in flags:
            if word.startswith("-"):
                refuse(f"{word!r} is no flag here: must be one of {', '.join(flags)}")
            rest.append(word)
            continue
        if not equals and not remaining:
            refuse(f"{word} must be followed by a value, got nothing")
        flags[name] = value if equals else remaining.pop(0)
    return rest


def _in_output_dir(arguments: Sequence[str]) -> tuple[list[str], str]:
    """The words among arguments, and the output_dir that the others name."""
    overrides = [word for word in arguments if word.startswith("output_dir=")]
    return [word for word in arguments if word not in overrides], str(_resolved(overrides).output_dir)


def _resolved(overrides: Sequence[str]) -> Any:
    """The configuration that overrides give, or a refusal in one line."""
    os.environ["HYDRA_FULL_ERROR"] = "1"
    with loading():
        from study.refusals import refusing
        from study.resolve import composed, typed

    with refusing(overrides):
        return typed(composed(overrides), overrides)


def _asks_help(arguments: Sequence[str]) -> bool:
    return any(flag in arguments for flag in ("--help", "-h"))


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "reproduce": reproduce,
    "compare": compare,
    "export": export,
    "figures": figures,
    "show": show,
    "ui": ui,
    "sync": sync,
}
