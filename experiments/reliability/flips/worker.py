"""A process of limited memory that reads damaged folders and says what became of each.

It reads lines of JSON `[column, number]` and writes `[outcome, what was done, what was said]`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

from experiments.reliability.flips.damage import COLUMNS, damage
from experiments.reliability.flips.kinds import KINDS, Kind
from serving.events.log import EventLogError

MEMORY = 2 << 30  # bytes
REFUSED, EQUAL, OTHER, FOREIGN = "refused", "equal", "other", "foreign"
NAMELESS = (json.JSONDecodeError, UnicodeDecodeError)  # they name no file


def limit_memory() -> None:
    """No more than `MEMORY` of this process's own, where the system can limit it."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def outcome(kind: Kind, folder: Path, expected: str) -> tuple[str, str]:
    """Read and use a folder: what became of it, and what was said of it."""
    try:
        found = kind.contents(folder)
    except (ValueError, EventLogError, FileNotFoundError) as error:
        said = f"{type(error).__name__}: {error}"
        if type(error) in NAMELESS or not str(error):
            return FOREIGN, said
        return REFUSED, said
    except Exception as error:  # noqa: BLE001  (it is what is counted)
        return FOREIGN, f"{type(error).__name__}: {error}"
    return (EQUAL if found == expected else OTHER), ""


def main(name: str, folder: str, other: str, to: str, seed: str) -> None:
    """Answer jobs until there are no more."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever libraries print
    limit_memory()
    kind, expected = KINDS[name], KINDS[name].contents(Path(folder))
    print(json.dumps(["ready", expected, ""]), file=answers, flush=True)
    for line in sys.stdin:
        column, nth = json.loads(line)
        rng = np.random.default_rng(
            [int(seed), [*KINDS].index(name), COLUMNS.index(column), int(nth)]
        )
        done = damage(column, nth, Path(folder), Path(other), Path(to), rng)
        became, said = outcome(kind, Path(to), expected)
        print(json.dumps([became, done, said[:400]]), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
