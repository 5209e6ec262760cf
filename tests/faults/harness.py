"""The cases of a run of the harness: planned, tried, counted, and kept as JSON."""

import argparse
import json
import os
import random
import tempfile
import time
from collections import Counter
from itertools import islice
from pathlib import Path

from tests.faults import cold
from tests.faults.cases import Case, Result, attempts
from tests.faults.cutting import kills, kills_in_time, kills_while_a_store_is_made
from tests.faults.damaging import damages
from tests.faults.erring import bad_disks
from tests.faults.sharing import sharings
from tests.faults.starts import cheap_drawing
from tests.faults.undisturbed import Undisturbed

DESCRIPTION = "Kill a sweep, let its disk fail, damage its files, and see what it leaves."

# Of the cases asked for.
SHARES = {"kills": 0.6, "fresh": 0.08, "in_time": 0.12, "disks": 0.12, "damages": 0.08}


def run() -> int:
    """Try the cases; what was found is printed as it comes, and kept as JSON if asked.

    Returns:
        The exit status: 1 if anything was not as it must be.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=DESCRIPTION)
    parser.add_argument("--cases", type=int, default=220, help="in forked processes")
    parser.add_argument("--at-once", type=int, default=8, help="of several sweeps at once")
    parser.add_argument("--cold", type=int, default=10, help="of whole processes")
    parser.add_argument("--seed", type=int, default=0, help="that draws the cases")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of the cases to try")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, help="where the result goes")
    parser.add_argument("--keep", type=Path, help="where folders of cases that go wrong are kept")
    asked = parser.parse_args()
    cheap_drawing()
    began = time.monotonic()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="study-faults-") as made:
        folder = asked.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        forked = Undisturbed.of(folder)
        print(f"undisturbed: {len(forked.points)} changes of {len(forked.kinds)} kinds", flush=True)
        plan = _plan(forked, asked.cases, asked.at_once, random.Random(asked.seed))
        wholes = list(islice(cold.cold_kills(random.Random(asked.seed)), asked.cold))
        rounds = [(forked, plan)]
        if wholes:
            rounds.append((cold.undisturbed(folder), list(enumerate(wholes, start=len(plan)))))
        for undisturbed, cases in rounds:
            chosen = [own for own in cases if not asked.only or own[0] in asked.only]
            for result in attempts(chosen, undisturbed, folder, asked.workers):
                results.append(result)
                outcome = "; ".join(result.wrong) or "as undisturbed"
                print(f"{result.number}: {result.kind}: {result.at}: {outcome}", flush=True)
    wrong = [result for result in results if result.wrong]
    tried = Counter(result.kind for result in results)
    found = {
        "seed": asked.seed,
        "changes": len(forked.points),
        "kinds_of_change": len(forked.kinds),
        "cases": dict(sorted(tried.items())),
        "wrong": dict(sorted(Counter(result.kind for result in wrong).items())),
        "seconds": round(time.monotonic() - began),
    }
    expected = len(asked.only) if asked.only else asked.cases + asked.at_once + asked.cold
    print(f"{len(results)} cases of {expected}, {len(wrong)} wrong, in {found['seconds']} s")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if wrong or len(results) < expected else 0


def _plan(forked: Undisturbed, count: int, at_once: int, draw: random.Random) -> list[tuple[int, Case]]:
    """Numbered cases: of each kind its share, kills taking what is left."""
    own = {name: max(1, int(share * count)) for name, share in SHARES.items()}
    own["kills"] += count - sum(own.values())
    cases: list[Case] = [
        *islice(kills(forked, draw), own["kills"]),
        *islice(kills_while_a_store_is_made(forked, draw), own["fresh"]),
        *islice(kills_in_time(draw), own["in_time"]),
        *islice(bad_disks(forked, draw), own["disks"]),
        *islice(damages(draw), own["damages"]),
        *islice(sharings(draw), at_once),
    ]
    return list(enumerate(cases))
