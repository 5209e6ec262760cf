"""The pages of every configuration key and of every command, from the schemas and from `--help` itself."""

import re
import subprocess
import sys
from pathlib import Path

from study.markdown import fenced
from study.paths import default_output_dir, root
from study.reference import GROUPS, Entry, keys_beside, keys_of, keys_of_claims, prefix

CONFIGURATION, COMMANDS = Path("docs", "configuration.md"), Path("docs", "commands.md")

HEAD = """\
# Configuration

<!-- make reference writes this page -->

Every key of every choice: its default, the values that it takes, its meaning. `study show` prints the
configuration that a command gives, with the same words.

- A key is set by `KEY=VALUE`, a group by `GROUP=CHOICE`: `study data=mnist training.batch_size=256`.
- Several landscapes stand in a list, `landscape=[contour,line]`. Each is named after its kind:
  `landscape.contour.points=51`. `+landscape@landscape.wide=contour landscape.wide.alpha_range=[-5,5]` adds
  a second contour, which is named `wide`; `NAME` below is the name.
- `???` stands for what must be given.
- Values are separated by commas to make a sweep of them: `study -m seed=0,1,2`.
"""
MEANINGS = {
    "data": "What is learnt.",
    "model": "The network.",
    "optimizer": "The optimiser. `optimizer=sam optimizer@optimizer.base=CHOICE` takes another one into SAM.",
    "training": "How the network is trained: for a number of epochs, or of updates.",
    "training/schedule": "How the learning rate changes.",
    "training/averaging": "Which weights are averaged beside training: `checkpoint=RUN@averaged` shows them.",
    "landscape": "What is looked at.",
    "curvature": "What is found out about the second derivatives at the solution.",
    "measures": "How sharp or flat the minimum is, in numbers.",
    "executor": "Who computes the points of a landscape. No number depends on it.",
    "tracking": "Where runs are mirrored to. No number depends on it.",
}
TITLE = re.compile(r"^  study ([a-z]+) ", re.MULTILINE)  # of a subcommand, in `study --help`


def configuration() -> str:
    """The page of the configuration: by group, its choices, the keys that they share, and those of each."""
    lines = [HEAD]
    for group in GROUPS:
        lines += _group(group)
    lines += ["## Beside the groups", "", *_table("", keys_beside()), ""]
    lines += [
        "## A claim of a study",
        "",
        "What a file of `sweeps/` states: see [Sweeps, comparisons and claims](sweeps.md).",
        "",
    ]
    return "\n".join([*lines, *_table("claims.NAME.", keys_of_claims()), ""])


def commands() -> str:
    """The page of the command line: what `--help` prints, of the whole and of each subcommand."""
    whole = _help()
    lines = ["# Commands", "", "<!-- make reference writes this page -->", ""]
    lines += ["What `study --help` prints, and `study COMMAND --help`.", "", *_fenced("study", whole)]
    for name in TITLE.findall(whole):
        lines += _fenced(f"study {name}", _help(name))
    return "\n".join(lines)


def _group(group: str) -> list[str]:
    held = keys_of(group)
    shared = {
        name: entry
        for name, entry in next(iter(held.values())).items()
        if len(held) > 1 and all(keys.get(name) == entry for keys in held.values())
    }
    lines = [f"## {group}", "", f"{MEANINGS[group]} By default: {_default(group)}.", ""]
    lines += ["| choice | what it is |", "| --- | --- |"]
    lines += [f"| `{group}={choice}` | {_cell(_described(group, choice))} |" for choice in held]
    lines.append("")
    if shared:
        lines += [f"### {group}: every choice", "", *_table(prefix(group), shared), ""]
    for choice, keys in held.items():
        own = {name: entry for name, entry in keys.items() if name not in shared}
        if own:
            lines += [f"### {group}={choice}", "", *_table(prefix(group), own), ""]
    return lines


def _table(start: str, keys: dict[str, Entry]) -> list[str]:
    rows = [
        f"| `{start}{name}` | `{entry.default}` | {_cell(entry.values)} | {_cell(entry.meaning)} |"
        for name, entry in keys.items()
    ]
    return ["| key | default | values | meaning |", "| --- | --- | --- | --- |", *rows]


def _default(group: str) -> str:
    choices = re.findall(r"\w+", _default_choice(group))
    return ", ".join(f"`{choice}`" for choice in choices)


def _default_choice(group: str) -> str:
    """What the defaults choose of a group; of one within a group, those of its parent's choice."""
    parent, _, own = group.rpartition("/")
    file = Path(parent, f"{_default_choice(parent)}.yaml") if parent else Path("config.yaml")
    found = re.search(rf"^  - {own}: (.+)$", (root() / "conf" / file).read_text(), re.MULTILINE)
    assert found is not None, f"{file} has no default of {own}"
    return found[1]


def _described(group: str, choice: str) -> str:
    """What the file of a choice says of it, in its first comment."""
    said = []
    for line in (root() / "conf" / group / f"{choice}.yaml").read_text().splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("#"):
            break
        said.append(line.lstrip("# "))
    return " ".join(said)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")


def _help(*command: str) -> str:
    asked = [sys.executable, "-m", "study", *command, "--help"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.replace(str(default_output_dir()), "outputs")


def _fenced(title: str, text: str) -> list[str]:
    return [f"## {title}", "", *fenced(text, "text"), ""]


def main() -> None:
    """Write both pages."""
    for page, text in ((CONFIGURATION, configuration()), (COMMANDS, commands())):
        (root() / page).write_text(text)


if __name__ == "__main__":
    main()
