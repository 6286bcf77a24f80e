"""`make acceptance`: the long runs, each recorded under experiments/results/ with its command."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
from pathlib import Path
from typing import NamedTuple, TextIO

from experiments.__main__ import main
from experiments.common.run_folder import RunFolder

RESULTS = Path(__file__).parent / "results"


class Run(NamedTuple):
    """A command whose output is recorded as `name`.md; `data`: it needs the public data sets."""

    name: str
    command: str
    data: bool = False


RUNS = (
    Run("compare", "compare"),
    Run("compare-ml-100k", "compare --data ml-100k", data=True),
    Run("coverage", "coverage"),
    Run("open-bandit-bts", "evaluate --data open-bandit --campaign all --target bts", data=True),
    Run("open-bandit-random", "evaluate --data open-bandit --campaign all --target random", True),
    Run("benchmark-collect", "benchmark collect"),
    Run("planning", "benchmark planning"),
    Run("calibrate-ml-100k", "calibrate --data ml-100k --positions", data=True),
    Run("benchmark-offpolicy", "benchmark offpolicy"),
    Run("faults", "benchmark faults"),
    Run("flips", "benchmark flips"),
    Run("kills", "benchmark kills"),
    Run("fuzz", "benchmark fuzz"),
    Run("referee", "benchmark referee"),
    Run("estimators", "benchmark estimators"),
    Run(
        "planners",
        "benchmark planners --worlds Longplay 'Longplay, whole' --rows behaviour greedy_reward "
        "linucb one_step fitted_q --workers 2",
    ),
    Run(
        "planners-worlds",
        "benchmark planners --worlds Boredom InterestEvolution Retention --rows behaviour "
        "greedy_reward 'greedy_reward @0.2' linucb one_step 'one_step @0.2' fitted_q "
        "'fitted_q @0.2' --seeds 3",
    ),
    Run(
        "planners-networks",
        "benchmark planners --worlds Longplay --rows behaviour bc snqn reinforce cql one_step "
        "--seeds 3 --workers 2",
    ),
    Run("climb", "climb --seeds 20 --workers 2"),
    Run("plans", "benchmark plans"),
    Run("serving", "benchmark serving --parts load plain kill"),
    Run("rollout", "benchmark rollout --parts rollouts"),
    Run("rollout-faults", "benchmark rollout --parts faults clean"),
    Run("hybrid", "benchmark hybrid"),
    Run("live", "live --scenario drift --seed 0 --no-baselines"),
    Run("fitted-world", "benchmark fitted-world"),
    Run("published-digits", "published digits"),
    Run("published-mips", "published mips"),
    Run("published-coverage", "published coverage"),
    Run("published-gate", "published gate"),
    Run("benchmark-bandits", "benchmark bandits"),
    Run("benchmark-env", "benchmark env"),
    Run("agents", "benchmark agents"),
    Run("training", "benchmark training"),
    Run("organic", "benchmark organic"),
    Run(
        "study-longplay",
        "study --worlds Longplay --encoders none gru4rec 'end to end' --agents greedy_encoder "
        "greedy_reward linucb ppo --steps 1500000 --warm-sessions 16000",
    ),
    Run(
        "study",
        "study --worlds Longplay Boredom InterestExploration --agents greedy_encoder greedy_reward "
        "linucb ppo slateq",
    ),
)


PICTURES = ("table.md", "estimates.png", "learning.png", "steps.png")
CHATTER = ("[", "  ", "run folder", "written")  # progress, and where the run folder is


def record(run: Run) -> int:
    """Run one command and keep what it prints, with the tables and pictures of its run folder.

    A failed run leaves the old record as it is.
    """
    out = io.StringIO()
    with contextlib.redirect_stdout(Tee(sys.stdout, out)):
        status = main(shlex.split(run.command))
    if status == 0:
        text = out.getvalue()
        output = "\n".join(x for x in text.splitlines() if not x.startswith(CHATTER)).strip()
        body = output if "|---" in output else f"```\n{output}\n```"
        RunFolder(RESULTS).write_text(f"{run.name}.md", f"`longplay {run.command}`\n\n{body}\n")
        for page in re.findall(r"^written: (.*report\.html)$", text, flags=re.MULTILINE):
            copy_pictures(Path(page).parent, RunFolder(RESULTS / run.name))
        for table in re.findall(r"^written: (.*\.csv)$", text, flags=re.MULTILINE):
            RunFolder(RESULTS).write_bytes(f"{run.name}.csv", Path(table).read_bytes())
        for picture in re.findall(r"^written: (.*\.png)$", text, flags=re.MULTILINE):
            RunFolder(RESULTS).write_bytes(f"{run.name}.png", Path(picture).read_bytes())
    return status


def copy_pictures(folder: Path, to: RunFolder) -> None:
    """The files of a run folder that a README shows."""
    for name in PICTURES:
        if (folder / name).exists():
            to.write_bytes(name, (folder / name).read_bytes())


class Tee(io.TextIOBase):
    """Writes to two streams."""

    def __init__(self, *streams: TextIO) -> None:
        self.streams = streams

    def write(self, text: str) -> int:
        for stream in self.streams:
            stream.write(text)
        return len(text)

    def flush(self) -> None:
        for stream in self.streams:
            stream.flush()


def run_all(names: list[str]) -> int:
    """The named runs, or all; those that need data sets are left out, saying so, without them."""
    unknown = set(names) - {r.name for r in RUNS}
    if unknown:
        print(f"no run {', '.join(sorted(unknown))}; there are {', '.join(r.name for r in RUNS)}")
        return 2
    failed = []
    for run in RUNS:
        if names and run.name not in names:
            continue
        if run.data and not os.environ.get("LONGPLAY_DATA"):
            print(f"left out: {run.name} (set LONGPLAY_DATA to the folder of the data sets)")
            continue
        if record(run) != 0:
            failed.append(run.name)
    print(f"failed: {', '.join(failed)}" if failed else f"recorded under {RESULTS}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(run_all(sys.argv[1:]))
