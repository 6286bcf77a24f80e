"""Digits as a bandit: ten classes are ten actions, the reward says whether the class was right.

Logging: the predictions of a logistic regression with weight .4, else uniform; target: those of a
shallow random forest with weight .9. The reward model is a slow gradient boosting on pixels and the
action, cross-fitted in 3 folds; settings by SLOPE. Dudik et al. (2011), Saito et al. (2021).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offpolicy import Terms, estimate
from offpolicy.selection.choosing import choose_setting

F64 = NDArray[np.float64]
PRINTED = {
    "dm": 0.436, "ips": 0.030, "snips": 0.023, "dr": 0.016, "sndr": 0.022, "switch_dr": 0.035,
    "dros": 0.016,
}  # fmt: skip
LOGGING, TARGET, ACTIONS, EVALUATED = 0.4, 0.9, 10, 0.7
GRID = (10.0, 50.0, 100.0, 500.0, 1000.0, 5000.0, 10000.0, np.inf)
MODEL_SEED = 12345


def mixed(predicted: NDArray[np.int64], share: float) -> F64:
    """(N, 10) the predicted class with probability `share`, uniform otherwise."""
    p = np.full((len(predicted), ACTIONS), (1 - share) / ACTIONS)
    p[np.arange(len(predicted)), predicted] += share
    return p


def one_run(seed: int) -> tuple[Terms, float]:
    """Terms of one split, and the target's true value on it."""
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split

    pixels, digit = load_digits(return_X_y=True)
    x_train, x, y_train, y = train_test_split(pixels, digit, test_size=EVALUATED, random_state=seed)
    logger = LogisticRegression(C=100, max_iter=10_000).fit(x_train, y_train)
    forest = RandomForestClassifier(
        n_estimators=30, max_depth=5, min_samples_leaf=10, random_state=MODEL_SEED
    ).fit(x_train, y_train)
    p, e = mixed(logger.predict(x), LOGGING), mixed(forest.predict(x), TARGET)
    rng = np.random.RandomState(seed)  # the published actions were drawn by this generator
    action = np.array([rng.choice(ACTIONS, p=row) for row in p])
    every = np.arange(len(x))
    reward = (action == y).astype(np.float64)
    q = _predicted(x, action, reward)
    t = Terms(e[every, action] / p[every, action], reward, q[every, action], (e * q).sum(1), every)
    return t, float(e[every, y].mean())


def _predicted(x: F64, action: NDArray[np.int64], reward: F64) -> F64:
    """(N, 10) out-of-fold probability of a reward for every action."""
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.model_selection import KFold

    one_hot = np.eye(ACTIONS)
    q = np.zeros((len(x), ACTIONS))
    for seen, held in KFold(3, shuffle=True, random_state=MODEL_SEED).split(x):
        model = GradientBoostingClassifier(
            n_estimators=30,
            learning_rate=0.01,
            max_depth=5,
            min_samples_leaf=10,
            random_state=MODEL_SEED,
        ).fit(np.concatenate([x[seen], one_hot[action[seen]]], axis=1), reward[seen])
        for k in range(ACTIONS):
            acted = np.concatenate([x[held], np.tile(one_hot[k], (len(held), 1))], axis=1)
            q[held, k] = model.predict_proba(acted)[:, 1]
    return q


def relative_errors(runs: int = 30) -> dict[str, F64]:
    """Relative errors (runs,) of each estimator."""
    errors: dict[str, list[float]] = {name: [] for name in PRINTED}
    for seed in range(runs):
        t, truth = one_run(seed)
        chosen = {
            name: {setting: choose_setting(t, name, setting, GRID, level=0.9)}
            for name, setting in (("switch_dr", "threshold"), ("dros", "shrinkage"))
        }
        for name in PRINTED:
            value = estimate(t, name, **chosen.get(name, {})).value
            errors[name].append(abs(value - truth) / truth)
    return {name: np.array(x) for name, x in errors.items()}
