"""The decision transformer: asked for more it does better, and its parts are what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from offpolicy import LoggedDataset
from policies import POLICIES, Observation
from policies.rl.offline.decision_transformer import DecisionConfig, DecisionNet, Inputs, loss
from tests.factories import make_observation, make_serving

A, H = 4, 3
SERVING = make_serving(A, slate_size=1, history_length=H, user_size=2)
BEST = np.array([3, 1])  # by kind of user


def bandit_log(n: int) -> LoggedDataset:
    """One decision a session, served uniformly: .9 for the item of the user's kind, else .1."""
    rng = np.random.default_rng(0)
    kind, item = rng.integers(2, size=n), rng.integers(A, size=n)
    paid = (rng.random(n) < np.where(item == BEST[kind], 0.9, 0.1)).astype(float)
    return LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n, int), slate=item[:, None],
        propensity=np.full(n, 1 / A), reward=paid, terminated=np.ones(n, bool), n_items=A,
        consumed=np.where(paid > 0, item, -1), responses=paid[:, None], context=np.eye(2)[kind],
    )  # fmt: skip


def both_kinds() -> Observation:
    return make_observation(np.full((2, H), -1), user=np.eye(2))


def share_of_best(quantile: float) -> Any:
    made: Any = POLICIES["decision_transformer"].load()
    policy = made(SERVING, quantile=quantile, dim=16, epochs=40, learning_rate=5e-3)
    policy.update(bandit_log(3000))
    return policy.distribution(both_kinds()).first_place()[np.arange(2), BEST]


def test_a_high_return_asks_for_the_better_arm() -> None:
    """P(best | paid) = .9 / (.9 + 3 x .1) = .75 by Bayes; P(best | not paid) = .1 / 2.8 = .036.

    Rewards are paid 30 times in 100, so the quantile .9 is 1 and the quantile .1 is 0.
    """
    np.testing.assert_allclose(share_of_best(0.9), 0.75, atol=0.08)
    np.testing.assert_allclose(share_of_best(0.1), 0.036, atol=0.05)


def test_the_loss_worked_by_hand() -> None:
    logits = torch.log(torch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    first, returns = torch.tensor([1, 0]), torch.tensor([2.0, 1.0])
    predicted = torch.tensor([1.0, 3.0])
    expected = -(np.log(0.75) + np.log(0.5)) / 2 + (0.9 * 1 + 0.1 * 2) / 2
    assert loss(logits, predicted, first, returns, 0.9).item() == pytest.approx(expected, rel=1e-6)


def net_and_users() -> tuple[DecisionNet, Inputs]:
    torch.manual_seed(0)
    net = DecisionNet(DecisionConfig(dim=8, blocks=2), SERVING, 5).double()
    history = torch.tensor([[-1, -1, -1], [-1, 0, 3], [2, 2, 1]])
    return net, Inputs(
        history,
        torch.randn(3, H, 1, dtype=torch.float64),
        torch.randn(3, 5, dtype=torch.float64),
        torch.zeros((3, 0), dtype=torch.int64),
    )


def test_users_do_not_hear_each_other_nor_empty_places() -> None:
    net, inputs = net_and_users()
    returns = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    logits, predicted = net(inputs, returns)
    for b in range(3):
        one = Inputs(*(column[b : b + 1] for column in inputs))
        alone, view = net(one, returns[b : b + 1])
        torch.testing.assert_close(alone[0], logits[b])
        torch.testing.assert_close(view[0], predicted[b])
    noisy = inputs._replace(responses=inputs.responses + 9.0 * (inputs.history < 0)[..., None])
    torch.testing.assert_close(net(noisy, returns)[0], logits)


def test_the_predicted_return_ignores_the_target_and_the_action_does_not() -> None:
    net, inputs = net_and_users()
    low, high = torch.full((3,), -1.0).double(), torch.full((3,), 1.0).double()
    one, two = net(inputs, low), net(inputs, high)
    torch.testing.assert_close(one[1], two[1], rtol=0, atol=0)
    assert (one[0] - two[0]).abs().min() > 0


def test_the_gradient_is_the_derivative() -> None:
    net, inputs = net_and_users()
    first, returns = torch.tensor([1, 0, 3]), torch.tensor([0.5, -1.0, 2.0]).double()

    def at(state: torch.Tensor) -> torch.Tensor:
        logits, predicted = net(inputs._replace(state=state), returns)
        return loss(logits, predicted, first, returns, 0.9)

    assert torch.autograd.gradcheck(at, (inputs.state.requires_grad_(),))


@pytest.mark.parametrize(("name", "value"), [("quantile", 1.0), ("gamma", 1.1), ("dim", 3)])
def test_impossible_settings_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        POLICIES["decision_transformer"].load()(SERVING, **{name: value})
