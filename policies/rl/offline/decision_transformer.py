"""Decision transformer over the first items of slates, learnt from a log. Chen et al. (2021).

A sequence is a user's consumed items with their responses, then the state, then a target return;
the network predicts which item logged decisions with that return led with. Rewards of the past are
not in an observation, so the target return is predicted from the state itself: a high quantile of
the returns that such states led to, as Lee et al. (2022) sample experts' returns. The attention
blocks are those of SASRec.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from offpolicy.log.dataset import LoggedDataset
from policies.configured import configured, part
from policies.encoders.base import Encoder
from policies.encoders.models.sasrec import SASRecBlock, SASRecConfig
from policies.encoders.nets.attention import CausalNet
from policies.encoders.nets.layers import Noise, item_table, seeded
from policies.encoders.nets.packed import Packed, pack
from policies.features import CLIP, Rescaling, StateFeatures, features_of, state_features
from policies.moments import Moments
from policies.observation import Observation, Serving, candidate_items, observation_of_log, offered
from policies.rl.data.logged import logged_transitions
from policies.rl.offline.losses import masked_logits
from policies.saved import (
    Saved,
    generator_array,
    generator_from_array,
    module_arrays,
    prefixed,
    set_module_arrays,
    under,
)
from policies.score_policy import Exploration, ScorePolicy, Scores
from policies.validation import COUNT, DISCOUNT, POSITIVE, Rule, whole

QUANTILE = Rule(lambda x: 0 < x < 1, "a quantile lies between 0 and 1")
EVEN = Rule(lambda x: x >= 2 and x % 2 == 0, "give an even number of at least 2")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionConfig(Exploration):
    """Sizes, and which return is the target."""

    temperature: float | None = 1.0
    quantile: float = 0.9  # of the returns to go that such states led to
    gamma: float = 1.0  # per decision, of the returns to go
    dim: int = 32
    blocks: int = 1
    epochs: int = 10
    batch_size: int = 512
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        Exploration.__post_init__(self)
        QUANTILE.check("quantile", self.quantile)
        DISCOUNT.check("gamma", self.gamma)
        EVEN.check("dim", self.dim)
        COUNT.check_all(self, "blocks", "epochs", "batch_size")
        POSITIVE.check("learning_rate", self.learning_rate)
        whole(0).check("seed", self.seed)


class Inputs(NamedTuple):
    """B users as tensors."""

    history: Tensor  # (B, H) item ids, oldest first, -1 padded on the left
    responses: Tensor  # (B, H, R)
    state: Tensor  # (B, D)
    items: Tensor  # (B, C) item ids on offer, -1 = not eligible; C = 0: the whole catalogue


class DecisionNet(nn.Module):
    """Tokens: consumed items, the state, a return. A token attends to none that stands after it."""

    def __init__(self, config: DecisionConfig, serving: Serving, state_size: int) -> None:
        super().__init__()
        sizes = SASRecConfig(
            dim=config.dim,
            blocks=config.blocks,
            length=serving.history_length + 2,
            dropout=0.0,
        )
        noise = Noise(0)  # nothing is dropped
        blocks = [SASRecBlock(sizes, noise) for _ in range(config.blocks)]
        self.body = CausalNet(item_table(serving.n_items, config.dim), blocks, None, 0.0, noise)
        self.respond = nn.Linear(len(serving.response_names), config.dim)
        self.state = nn.Linear(state_size, config.dim)
        self.ask = nn.Linear(1, config.dim)
        self.outlook = nn.Linear(config.dim, 1)
        self.query = nn.Linear(config.dim, config.dim)
        self.bias = nn.Parameter(torch.zeros(serving.n_items))

    def forward(self, inputs: Inputs, returns: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, C) of the first item given returns (B,), and their predicted quantile (B,)."""
        hidden, packed = self.tokens(inputs, returns)
        back = torch.from_numpy(np.argsort(packed.order))
        last = packed.last[back]  # of the return's token; the state's stands before it
        quantile = self.outlook(hidden[last - 1]).squeeze(1)
        return self.logits(self.query(hidden[last]), inputs.items), quantile

    def tokens(self, inputs: Inputs, returns: Tensor) -> tuple[Tensor, Packed]:
        """(N, dim): every token after the blocks."""
        items = self.body.embed(inputs.history.clamp(min=0))
        past = items + self.respond(inputs.responses)  # (B, H, dim)
        now = [self.state(inputs.state)[:, None], self.ask(returns[:, None])[:, None]]
        tokens = torch.cat([past, *now], dim=1)  # (B, H + 2, dim)
        users, width = tokens.shape[:2]
        stop = (np.arange(users) + 1) * width
        filled = (inputs.history >= 0).sum(1).numpy() + 2
        packed = pack(np.zeros(users * width, np.int32), stop - filled, stop)
        rows = tokens.flatten(0, 1)[torch.from_numpy(packed.rows)]
        return self.body.through(rows, packed), packed

    def logits(self, query: Tensor, items: Tensor) -> Tensor:
        """(B, dim) -> (B, C); -inf where an item was not eligible."""
        if items.shape[1] == 0:
            return query @ self.body.table.T + self.bias
        known = items.clamp(min=0)
        score = torch.einsum("bd,bcd->bc", query, self.body.table[known]) + self.bias[known]
        return masked_logits(score, items)


def loss(
    logits: Tensor, predicted: Tensor, first: Tensor, returns: Tensor, quantile: float
) -> Tensor:
    """Minus the mean log-probability of the logged first items, plus the quantile's loss.

    The second is least where a share `quantile` of returns lies below the predicted one. Koenker &
    Bassett (1978).
    """
    above = returns - predicted
    pinball = torch.maximum(quantile * above, (quantile - 1) * above).mean()
    return nn.functional.cross_entropy(logits, first) + pinball


@dataclass(slots=True, eq=False)
class DecisionTransformer:
    """A score model that every `update` trains for `epochs` over the log it is given.

    It goes on from what earlier logs taught, without seeing them again: the last log counts most.
    Scales of state and returns are those of all logs so far: the network is changed to fit them.
    """

    config: DecisionConfig
    state: StateFeatures
    rng: np.random.Generator
    centre: float = 0.0  # mean and deviation of the returns to go
    scale: float = 1.0
    net: DecisionNet | None = None
    returns: Moments = field(default_factory=lambda: Moments.none(1))  # to go, in all logs

    @property
    def serving(self) -> Serving:
        return self.state.serving

    @torch.no_grad()
    def scores(self, obs: Observation) -> Scores:
        if self.net is None:
            return np.zeros(candidate_items(obs, self.serving.n_items).shape)
        inputs = as_inputs(self.state, obs)
        _, target = self.net(inputs, torch.zeros(len(obs)))
        logits, _ = self.net(inputs, target)
        return np.asarray(logits.double().numpy())

    def update(self, log: LoggedDataset) -> dict[str, float]:
        obs, c = observation_of_log(log, self.serving), self.config
        if not (log.slate[:, 0] >= 0).any():
            raise ValueError(
                "every slate of the log is empty in its first place: there is no item to predict"
            )
        known = self.net is None or self.state.seen is not None  # or 0.1 kept only the scales
        state = self.state.fitted(obs) if known else self.state
        transitions = logged_transitions(log, state, gamma=c.gamma, reward_scale=1.0)
        if known:
            self._rescale(state, transitions.to_go)
        assert self.net is not None
        inputs = as_inputs(self.state, obs)
        returns = torch.from_numpy((transitions.to_go - self.centre) / self.scale)
        first = torch.from_numpy(transitions.shown[:, 0])
        rows = np.flatnonzero(transitions.shown[:, 0] >= 0)
        adam = torch.optim.Adam(self.net.parameters(), lr=c.learning_rate)
        total = torch.zeros(())
        for _ in range(c.epochs):
            order = torch.from_numpy(self.rng.permutation(rows))
            for some in torch.split(order, c.batch_size):
                batch = Inputs(*(column[some] for column in inputs))
                logits, predicted = self.net(batch, returns[some])
                total = loss(logits, predicted, first[some], returns[some], c.quantile)
                adam.zero_grad()
                total.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
                adam.step()
        return {"loss": total.item()}

    def _rescale(self, state: StateFeatures, to_go: NDArray[np.float32]) -> None:
        """Take the scales of a log's states and of its returns (N,) into account."""
        returns = self.returns.plus(Moments.of(to_go[:, None].astype(np.float64)))
        centre, scale = float(returns.mean[0]), float(returns.unit()[0])
        if self.net is not None:
            self.state.rescaled(state).into(self.net.state)
            Rescaling.of(self.returns, returns, most=CLIP).into(self.net.ask)
            with torch.no_grad():
                self.net.outlook.weight.mul_(self.scale / scale)
                self.net.outlook.bias.mul_(self.scale / scale).add_((self.centre - centre) / scale)
        self.state, self.returns, self.centre, self.scale = state, returns, centre, scale
        if self.net is None:
            self._build()

    def _build(self) -> None:
        with seeded(self.config.seed):
            self.net = DecisionNet(self.config, self.serving, self.state.size)

    def saved(self) -> Saved:
        config = asdict(self.config) | {"centre": self.centre, "scale": self.scale}
        arrays = self.state.to_arrays() | {"random_state": generator_array(self.rng)}
        if self.net is not None:
            arrays |= prefixed("net.", module_arrays(self.net))
            arrays |= prefixed("returns.", self.returns.to_arrays())
        return Saved(config=config, arrays=arrays, encoder=self.state.encoder)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        config = dict(saved.config)
        centre, scale = config.pop("centre"), config.pop("scale")
        state, rng = features_of(saved, serving), generator_from_array(saved.arrays["random_state"])
        learner = cls(DecisionConfig(**config), state, rng, centre, scale)
        if net := under("net.", saved.arrays):
            learner._build()
            assert learner.net is not None
            set_module_arrays(learner.net, net)
        if kept := under("returns.", saved.arrays):
            learner.returns = Moments(**kept)
        return learner


def as_inputs(features: StateFeatures, obs: Observation) -> Inputs:
    """An observation as tensors."""
    ids: NDArray[np.int32] | None = offered(obs)
    items = np.zeros((len(obs), 0), np.int64) if ids is None else ids.astype(np.int64)
    return Inputs(
        torch.from_numpy(obs.history_items.astype(np.int64)),
        torch.from_numpy(np.asarray(obs.history_responses, np.float32)),
        torch.from_numpy(features(obs)),
        torch.from_numpy(items),
    )


@configured(DecisionConfig)
def decision_transformer(
    serving: Serving, config: DecisionConfig, encoder: Encoder | None
) -> ScorePolicy:
    """What the log did where it went well; quantile: how well, among returns from such states. Each
    log is learnt after the others, not with them: the last one counts most."""
    state, rng = state_features(serving, encoder), np.random.default_rng(config.seed)
    exploration = part(config, Exploration)
    return ScorePolicy(DecisionTransformer(config, state, rng), exploration)
