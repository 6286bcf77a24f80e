"""Settings of `longplay study`, and the cells that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from experiments.common.building import parameters
from experiments.common.seeds import seeds_of
from experiments.common.workers import Parallel

NONE = "none"
END_TO_END = "end to end"  # a recurrent encoder that learns with the agent, from reward alone
TUNED = "tuned "  # before an encoder's name: it goes on learning, at a tenth of the agent's rate
RIVALS = ("top_rated", "item_return", "searched_rule")  # what any agent has to beat
AGENTS = ("greedy_encoder", "greedy_reward", "linucb", "one_step", *RIVALS, "ppo", "slateq")
OVER = " over "  # between an agent and the planner that it starts as, both of policies.POLICIES
FILE_NAME = str.maketrans(" /\\:", "----")  # a world may be a folder's path
RANKS = ("greedy_encoder",)  # agents that have nothing to rank by without an encoder


@dataclass(frozen=True, kw_only=True)
class Settings(Parallel):
    """Encoders x agents x worlds x seeds."""

    worlds: tuple[str, ...] = ("LongplayPersonal", "Boredom", "InterestExploration")
    """Names of recsim_env's environments, or folders of fitted worlds. In LongplayPersonal a plan
    that looks at the user earns a third more than the best ranking that does not."""
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
    """Of policies.POLICIES; those that act in a world learn there, the others from a log. With
    "ppo over one_step" the planner is fitted to the encoders' log, and the agent starts as it."""
    seed: int = 0
    """Of the random numbers; the first of several seeds."""
    seeds: int = 5
    """How many seeds, from --seed on; everything random is made anew with each."""
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
        return f"{self.world}-{self.encoder}-{self.agent}-{self.seed}".translate(FILE_NAME)


def cells(settings: Settings) -> list[Cell]:
    """All cells whose agent can use the encoder, a world and seed at a time."""
    s = settings
    return [
        Cell(world, encoder, agent, seed)
        for seed, world, encoder, agent in product(seeds_of(s), s.worlds, s.encoders, s.agents)
        if sensible(encoder, agent)
    ]


def sensible(encoder: str, agent: str) -> bool:
    """Whether the agent can stand on that encoder."""
    agent, _, _ = agent.partition(OVER)
    if encoder == END_TO_END:
        return "end_to_end" in parameters(agent)
    if encoder.startswith(TUNED):
        return "fine_tune" in parameters(agent)
    return encoder != NONE or agent not in RANKS
