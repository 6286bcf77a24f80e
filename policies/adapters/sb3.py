"""A stock Stable-Baselines3 agent, trained in an environment of one user, as a policy."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.adapters.inputs import environment_arrays
from policies.adapters.trust import require_trust
from policies.observation import Observation, Serving
from policies.one_user import recommend
from policies.saved import Saved
from policies.slates.distributions import SlateDistribution, softmax
from policies.slates.fixed import FixedChoices

F64 = NDArray[np.float64]
ALGORITHMS = ("PPO", "A2C", "DQN")


@dataclass(slots=True)
class StockAgent:
    """What the agent plays in the environment, slates fixed as the environment fixes them."""

    serving: Serving
    model: Any  # of stable_baselines3

    recommend = recommend

    def distribution(self, obs: Observation) -> SlateDistribution:
        """Exact: a softmax at each position, and what becomes of repeats."""
        given = environment_arrays(obs, self.serving)
        wanted = self.model.observation_space.spaces
        seen = {name: given[name].astype(space.dtype) for name, space in wanted.items()}
        return FixedChoices(self._chances(seen, len(obs)), obs.eligible)

    def _chances(self, seen: dict[str, NDArray[Any]], users: int) -> F64:
        """(B, K, C), by position; DQN shows its best item surely."""
        import torch

        policy, k, c = self.model.policy, self.serving.slate_size, self.serving.columns
        policy.set_training_mode(False)
        tensor, _ = policy.obs_to_tensor(seen)
        with torch.no_grad():
            if hasattr(policy, "get_distribution"):
                inner = policy.get_distribution(tensor).distribution
                parts = inner if isinstance(inner, list) else [inner]
                logits = torch.stack([part.logits for part in parts], dim=1).numpy()
                flat = softmax(logits.astype(np.float64).reshape(users * k, c))
                return flat.reshape(users, k, c)
            best = self.model.q_net(tensor).numpy().argmax(axis=1)
        return np.asarray(np.eye(c)[best][:, None])

    def update(self, log: LoggedDataset) -> dict[str, float]:
        """Nothing: the agent learns in an environment, by its own `learn`."""
        return {}

    def saved(self) -> Saved:
        held = io.BytesIO()
        self.model.save(held)
        content = np.frombuffer(held.getvalue(), np.uint8)
        return Saved(config={"algorithm": type(self.model).__name__}, arrays={"zip": content})

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        require_trust("a Stable-Baselines3 zip")
        held = io.BytesIO(saved.arrays["zip"].tobytes())
        return cls(serving, _load(held, saved.config["algorithm"]))


def from_sb3(
    model: Any, serving: Serving, *, trust: bool = False, algorithm: str = "PPO"
) -> StockAgent:
    """The policy of a Stable-Baselines3 model, or of the zip that its `save` wrote.

    trust: needed for a zip, which holds pickled code. algorithm: of the zip: PPO, A2C or DQN.

    Raises ValueError for a zip untrusted, an unknown algorithm, and an agent that was not trained
    in an environment of these sizes.
    """
    if isinstance(model, str | Path):
        file = Path(model)
        if not trust:
            raise ValueError(
                f"{file} is a Stable-Baselines3 zip: it holds pickled code that runs when it is "
                "read. If you made it yourself, load it with trust=True."
            )
        model = _load(file, algorithm)
    if type(model).__name__ not in ALGORITHMS:
        raise ValueError(
            f"a {type(model).__name__} says no probabilities of slates: there are adapters for "
            f"{', '.join(ALGORITHMS)}"
        )
    agent = StockAgent(serving, model)
    _check(agent)
    return agent


def _check(agent: StockAgent) -> None:
    """Raise ValueError for an agent of other spaces than the environment's."""
    s, action = agent.serving, agent.model.action_space
    choices = getattr(action, "nvec", np.array([getattr(action, "n", 0)]))
    if choices.tolist() != [s.columns] * s.slate_size:
        raise ValueError(
            f"the agent acts in {action}, and slates are {s.slate_size} of {s.columns} items: "
            "train it in the environment that it is to serve"
        )
    parts = getattr(agent.model.observation_space, "spaces", None)
    if parts is None or "user" not in parts:
        raise ValueError(
            f"the agent observes {agent.model.observation_space}: train it on the environment's "
            'own observation, with "MultiInputPolicy"'
        )
    wide = {
        "history_items": s.history_length,
        "history_responses": s.history_length * len(s.response_names),
        "user": s.user_size,
        "candidates": s.columns,
        "candidate_features": s.columns * s.item_features.shape[1],
        "action_mask": s.columns,
    }
    other = [name for name, box in parts.items() if box.shape != (wide.get(name, -1),)]
    if other:
        raise ValueError(
            f"the agent observes {', '.join(other)} of another size than the environment shows: "
            "train it in the environment that it is to serve"
        )


def _load(file: Any, algorithm: str) -> Any:
    if algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm = {algorithm!r}: there are {', '.join(ALGORITHMS)}")
    import stable_baselines3

    if isinstance(file, Path) and not file.exists():
        raise FileNotFoundError(f"{file} is not there: write it with an agent's model.save(...)")
    return getattr(stable_baselines3, algorithm).load(file, device="cpu")
