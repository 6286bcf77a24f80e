"""A scikit-learn classifier of "would this user take this item?", as a policy."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from offpolicy.log.dataset import LoggedDataset
from policies.adapters.inputs import item_rows
from policies.adapters.trust import require_trust
from policies.consumption import consumed_items
from policies.observation import Observation, Serving, observation_of_log
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores

LEAST = 1e-12  # probability of an item, so that every slate has one


@dataclass(slots=True)
class ClassifierScores:
    """Logarithm of `predict_proba` of the last class, for every candidate's row."""

    serving: Serving
    model: Any  # of scikit-learn, fitted or not

    def scores(self, obs: Observation) -> Scores:
        """Raises ValueError before it is fitted, and for a model of one class."""
        rows = item_rows(obs, self.serving)
        if not hasattr(self.model, "classes_"):
            raise ValueError(
                f"the {type(self.model).__name__} is not fitted: call update(log), or fit it to "
                "rows of user and item yourself"
            )
        p = np.asarray(self.model.predict_proba(rows.reshape(-1, rows.shape[2])), np.float64)
        if p.shape[1] < 2:
            raise ValueError(
                f"the classifier knows the class {self.model.classes_.tolist()} alone: fit it to "
                "items that were taken and items that were not"
            )
        return np.log(np.maximum(p[:, -1], LEAST)).reshape(rows.shape[:2])

    def update(self, log: LoggedDataset) -> dict[str, float]:
        """Fit it anew: of every item shown, whether it was taken."""
        seen = observation_of_log(log, self.serving)
        shown, taken = log.slate >= 0, log.slate == consumed_items(log)[:, None]
        users = np.repeat(seen.user, shown.sum(axis=1), axis=0)
        rows = np.concatenate([users, self.serving.item_features[log.slate[shown]]], axis=1)
        self.model.fit(rows.astype(np.float32), taken[shown].astype(np.int64))
        return {"items_shown": float(shown.sum()), "items_taken": float(taken[shown].sum())}

    def saved(self) -> Saved:
        return Saved(arrays={"pickle": np.frombuffer(pickle.dumps(self.model), np.uint8)})

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        require_trust("a pickled scikit-learn model")
        return cls(serving, pickle.loads(saved.arrays["pickle"].tobytes()))


def from_classifier(
    model: Any, serving: Serving, *, temperature: float | None = 1.0, epsilon: float = 0.0
) -> ScorePolicy:
    """The policy that shows items in proportion to `predict_proba` (to the power 1 / temperature).

    model: fitted to rows (U + F,), the user's vector and the item's features, or not yet:
    `update(log)` fits it to what was shown and taken. temperature None: the likeliest items surely.
    """
    rule = Exploration(temperature=temperature, epsilon=epsilon)
    return ScorePolicy(ClassifierScores(serving, model), rule)
