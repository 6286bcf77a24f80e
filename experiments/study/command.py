"""`longplay study`: which supervised sequence encoder pays under which agent, and where?

Every cell is an encoder (or none) under an agent in a world: the agent learns on the encoder's
frozen state, and is then served to users that it never met. Users and luck are the same for every
cell of a world and seed, so cells are compared on pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, groupby, product
from pathlib import Path

NONE = "none"
END_TO_END = "end to end"  # a recurrent encoder that learns with the agent, from reward alone
TUNED = "tuned "  # before an encoder's name: it goes on learning, at a tenth of the agent's rate
AGENTS = ("greedy_encoder", "greedy_reward", "linucb", "ppo", "slateq")
TRACKS = ("ppo",)  # agents that can train an encoder
RANKS = ("greedy_encoder",)  # agents that are nothing without one


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Encoders x agents x worlds x seeds."""

    worlds: tuple[str, ...] = ("Longplay", "Boredom", "InterestExploration")
    """Names of recsim_env's environments."""
    encoders: tuple[str, ...] = (
        NONE,
        "average",
        "markov",
        "gru4rec",
        "sasrec",
        "tuned gru4rec",
        END_TO_END,
    )
    """Of policies.ENCODERS; none = the agent sees no encoder, end to end = it trains its own,
    tuned NAME = the encoder goes on learning slowly with the agent."""
    agents: tuple[str, ...] = AGENTS
    """Of policies.POLICIES; those that act in a world learn there, the others from a log."""
    seeds: int = 5
    """Encoder, log and agent are made anew with each."""
    steps: int = 300_000
    """Decisions that every agent learns from, in the world or in uniform logs."""
    warm_sessions: int = 4000
    """Sessions of uniform slates that encoders learn from."""
    sessions: int = 1000
    """Sessions of other users that a cell's value is taken on."""
    max_steps: int | None = None
    """Decisions after which a session is cut; by default the world's own."""
    users: int = 128
    level: float = 0.95
    workers: int = 2
    """Processes, one thread each."""
    out: Path = Path("results")
    """Where run folders are made."""
    resume: Path | None = None
    """A run folder to go on with, under the same settings."""

    def __post_init__(self) -> None:
        if min(len(self.worlds), len(self.encoders), len(self.agents), self.workers) < 1:
            raise ValueError("at least one world, encoder, agent and worker")
        if self.seeds < 2 or min(self.sessions, self.warm_sessions) < 2:
            raise ValueError("at least 2 seeds and 2 sessions: fewer give no interval")


@dataclass(frozen=True, slots=True)
class Cell:
    """One encoder under one agent in one world, for one seed."""

    world: str
    encoder: str
    agent: str
    seed: int

    @property
    def stage(self) -> str:
        """Its file name in the run folder."""
        return f"{self.world}-{self.encoder}-{self.agent}-{self.seed}".replace(" ", "-")


def cells(settings: Settings) -> list[Cell]:
    """All cells that mean something, a world and seed at a time."""
    s = settings
    return [
        Cell(world, encoder, agent, seed)
        for seed, world, encoder, agent in product(range(s.seeds), s.worlds, s.encoders, s.agents)
        if sensible(encoder, agent)
    ]


def sensible(encoder: str, agent: str) -> bool:
    """Whether the agent can stand on that encoder."""
    if encoder == END_TO_END or encoder.startswith(TUNED):
        return agent in TRACKS
    return encoder != NONE or agent not in RANKS


def run(settings: Settings) -> int:
    """All cells, then the tables; a stopped run goes on with --resume FOLDER."""
    from experiments.common.run_folder import open_run
    from experiments.common.show import Show
    from experiments.study.cells import check
    from experiments.study.tables import tables

    check(settings)
    show, folder = Show(), open_run(settings.out, "study", settings, settings.resume)
    show.console.print(f"run folder: {folder.path}", markup=False)
    every = cells(settings)
    todo = [cell for cell in every if not folder.has(cell.stage)]
    with show.stage(f"{len(todo)} of {len(every)} cells") as update:
        for done in computed(settings, todo, folder.path):
            update(done / len(todo))
    results = {cell: folder.read_json(f"stages/{cell.stage}.json") for cell in every}
    text = tables(settings, results)
    folder.write_text("tables.md", text)
    print(text)
    print(f"written: {folder.path / 'tables.md'}")
    return 0


def computed(settings: Settings, todo: list[Cell], folder: Path) -> Iterator[int]:
    """Compute every cell into the folder, and tell how many are done.

    A process takes a column at a time: its agents share the encoder and the logs.
    """
    from concurrent.futures import as_completed

    from experiments.common.workers import pool
    from experiments.study.cells import compute_all

    alike = groupby(todo, key=lambda cell: (cell.seed, cell.world, cell.encoder))
    columns = [list(column) for _, column in alike]
    if settings.workers == 1:
        yield from accumulate(compute_all(settings, column, folder) for column in columns)
        return
    with pool(settings.workers) as processes:
        jobs = [processes.submit(compute_all, settings, column, folder) for column in columns]
        yield from accumulate(job.result() for job in as_completed(jobs))
