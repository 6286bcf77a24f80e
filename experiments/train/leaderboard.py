"""`longplay leaderboard`: every encoder on one data set, the learning-free ones first."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.common.run_folder import RunFolder, made_with, plain
from experiments.common.show import Show
from experiments.data.datasets import Interactions, SplitName, load
from experiments.train.encoder_settings import preset
from experiments.train.leaderboard_page import leaderboard_page
from experiments.train.train_encoder import Tested, describe, figures, fit
from offpolicy.tables import markdown
from policies.encoders import ENCODERS, Encoder
from policies.encoders.data.splits import Split
from policies.encoders.evaluate import gains, paired_difference, protocol
from policies.saving.checkpoint import load as load_checkpoint
from policies.saving.checkpoint import save

BASELINE = "skip-Markov"
WEEK = 7 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Rank encoders on one data set. What the run folder holds is not trained again."""

    data: str
    """ml-100k, ml-1m, amazon-beauty, coat, or a table (.csv, .parquet, .jsonl) of user, item,
    timestamp and, where there is one, reward; ids of any kind."""
    columns: tuple[str, ...] = ()
    """What the columns of a file are called, ours=theirs: item=track_id timestamp=played_at
    reward=completed; or a .yaml that longplay inspect wrote."""
    models: tuple[str, ...] = ("gru4rec", "sasrec", "esasrec", "bert4rec")
    """Networks below the rows that always stand: popularity, recent popularity, skip-Markov."""
    data_root: Path | None = None
    """Folder that holds the data sets; the variable LONGPLAY_DATA otherwise."""
    split: SplitName = "leave-one-out"
    """What is held out; development: the last training events, to choose settings on."""
    set: tuple[str, ...] = ()
    """Settings of all networks that differ from their presets: epochs=30 ..."""
    out: Path | None = None
    """Folder of this run; results/leaderboard-DATA by default."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: a title, an encoder's key and its settings."""

    title: str
    model: str
    settings: dict[str, Any]


def run(settings: Settings) -> int:
    """Train what is missing, test all, print and write the table."""
    data = load(settings.data, settings.data_root, settings.columns)
    split = data.split(settings.split)
    split.check()
    folder = RunFolder(settings.out or Path("results") / f"leaderboard-{data.name}")
    print("\n".join([*data.notes, f"{data.name}: {describe(split)}"]))
    tested = {}
    for entry in entries(data, settings):
        tested[entry.title] = figures(_trained(entry, data, split, folder.path), split)
        print(f"{entry.title}: {tested[entry.title].metrics[0]}", flush=True)
    rows = [row(title, one, tested[BASELINE]) for title, one in tested.items()]
    text = section(rows, data.name, split, verdict(rows))
    _write(folder, settings, data, split, rows, text, tested)
    print(f"\n{text}\nwritten: {folder.path / 'leaderboard.html'}")
    return 0


def entries(data: Interactions, settings: Settings) -> list[Entry]:
    """The rows that always stand, then the networks of the settings."""
    timed = data.sequences.times is not None
    recent = {"window": WEEK} if timed else {"tail": 5}
    of = "last 7 days" if timed else "last 5 of each user"
    fixed = [
        Entry("popularity", "popularity", {}),
        Entry(f"popularity, {of}", "popularity", recent),
        Entry(BASELINE, "markov", preset(data.name, "markov")),
    ]
    return fixed + [Entry(m, m, preset(data.name, m, settings.set)) for m in settings.models]


def row(title: str, one: Tested, baseline: Tested) -> dict[str, Any]:
    """A row of the table: figures with intervals, and the paired difference to skip-Markov."""
    cells: dict[str, Any] = {"encoder": title}
    for m in one.metrics:
        cells[m.name] = f"{m.value:.4f} [{m.low:.4f}, {m.high:.4f}]"
    gap = paired_difference(*(gains(x.rank, 10)["NDCG@10"] for x in (one, baseline)))
    same = one is baseline
    cells["over skip-Markov"] = (
        "" if same else f"{gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]"
    )
    beats = np.sign(gap.low) + np.sign(gap.high)
    cells["beats it"] = "" if same else {2: "yes", -2: "no"}.get(int(beats), "cannot tell")
    cells |= {name: f"{value:.3f}" for name, value in one.lists.items()}
    cells["epochs"] = one.epochs or ""
    cells["CPU-s"] = f"{one.fit_cpu_seconds:,.0f}" if one.epochs else ""
    return cells


def verdict(rows: list[dict[str, Any]]) -> str:
    """Whether any network passed the learning-free chain, in one sentence."""
    networks = [r for r in rows if r["epochs"]]
    winners = [r["encoder"] for r in networks if r["beats it"] == "yes"]
    if not networks:
        return "No network was in the settings."
    if winners:
        return (
            f"Above skip-Markov by NDCG@10, paired 95 % interval without 0: {', '.join(winners)}."
        )
    return "No network is above skip-Markov by NDCG@10 with a paired 95 % interval without 0."


def section(rows: list[dict[str, Any]], name: str, split: Split, word: str) -> str:
    """The table with its protocol and its verdict."""
    table = markdown(list(rows[0]), [list(r.values()) for r in rows])
    protocol = f"{describe(split)}. Intervals: 95 %, bootstrap over users."
    return "\n\n".join([f"## {name}", protocol, table, word]) + "\n"


def _trained(entry: Entry, data: Interactions, split: Split, folder: Path) -> Encoder:
    """The checkpoint of the same settings and split, or a newly trained encoder."""
    place = folder / entry.title.replace(", ", "-").replace(" ", "-")
    wanted = ENCODERS[entry.model].config(entry.settings)
    note = place / "split.json"
    if note.is_file() and json.loads(note.read_text()) == split.rule:
        saved = load_checkpoint(place / "checkpoint", catalogue=data.catalogue)
        if saved.config == wanted:
            return saved
    made = fit(entry.model, entry.settings, split, show=Show(), folder=place / "training")
    save(made, place / "checkpoint", catalogue=data.catalogue, items=data.items)
    RunFolder(place).write_json("split.json", split.rule)
    return made


def _write(
    folder: RunFolder,
    settings: Settings,
    data: Interactions,
    split: Split,
    rows: list[dict[str, Any]],
    text: str,
    tested: dict[str, Tested],
) -> None:
    made = plain({"settings": dataclasses.asdict(settings), "made": made_with()})
    folder.write_json("settings.json", made)
    folder.write_json(
        "leaderboard.json",
        {"data": data.name, "split": split.rule, "protocol": protocol(split.test), "rows": rows},
    )
    folder.write_text("leaderboard.md", text)
    folder.write_text(
        "leaderboard.html",
        leaderboard_page(data.name, rows, tested, BASELINE, describe(split), verdict(rows), made),
    )
