"""Learners from a log: what they read of it, their losses by hand, and that they learn."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from offpolicy import LoggedDataset
from policies import build, collect, score_log
from policies.features import state_features
from policies.observation import items_of, observation_of, serving_of
from policies.rl.data.logged import (
    LogBatch,
    credit_of,
    log_batch,
    logged_transitions,
    returns_to_go,
)
from policies.rl.nets import ItemNet
from policies.rl.offline.losses import (
    METHODS,
    BCConfig,
    CQLConfig,
    OfflineConfig,
    ReinforceConfig,
    SNQNConfig,
    place_log_probs,
)
from policies.slates.distributions import PlackettLuce
from tests.factories import env_of

A, C, K, D, B = 12, 5, 2, 3, 30
CONFIGS: dict[type[OfflineConfig], OfflineConfig] = {
    BCConfig: BCConfig(),
    ReinforceConfig: ReinforceConfig(gamma=0.8, entropy=0.0, cap=2.0),
    CQLConfig: CQLConfig(gamma=0.8, strength=0.3),
    SNQNConfig: SNQNConfig(gamma=0.8, strength=0.3, cap=2.0),
}


make_env = env_of(num_envs=32, n_items=A, slate_size=K, n_candidates=C)


@pytest.fixture(scope="module")
def log() -> LoggedDataset:
    env = make_env()
    return collect(env, build("uniform", env), n_steps=12, seed=1)


def a_batch(seed: int = 0) -> LogBatch:
    rng = np.random.default_rng(seed)
    ids = torch.from_numpy(rng.random((2, B, A)).argsort(2)[:, :, :C])
    shown = torch.from_numpy(rng.random((B, C)).argsort(1)[:, :K])
    state = torch.from_numpy(rng.normal(size=(2, B, D)).astype(np.float32))
    chance = torch.from_numpy(rng.uniform(0.05, 0.4, (2, B)).astype(np.float32))
    paid = torch.from_numpy(rng.normal(size=(2, B)).astype(np.float32))
    place = torch.from_numpy(rng.integers(K + 1, size=B))
    alive = torch.from_numpy((rng.random(B) < 0.8).astype(np.float32))
    credit = torch.from_numpy(credit_of(shown.numpy(), place.numpy()))
    now = (state[0], ids[0], shown, place, credit, chance[0], chance[1], paid[0], paid[1])
    return LogBatch(*now, alive, state[1], ids[1])


def a_net(method: str, seed: int = 0) -> ItemNet:
    torch.manual_seed(seed)
    items = np.random.default_rng(seed).normal(size=(A, 4)).astype(np.float32)
    kind = METHODS[method]
    return ItemNet(D, items, 8, heads=kind.heads, extras=kind.extras)


def loss_of(method: str, net: ItemNet, target: ItemNet, batch: LogBatch) -> Tensor:
    kind = METHODS[method]
    return kind.loss(net, target, batch, CONFIGS[kind.config])


def test_returns_to_go_by_hand() -> None:
    reward = np.array([1, 2, 4, 8], np.float32)
    last = np.array([False, False, True, True])
    assert returns_to_go(reward, last, 0.5).tolist() == [3.0, 4.0, 4.0, 8.0]


def test_rows_of_a_log_follow_each_other(log: LoggedDataset) -> None:
    features = state_features(serving_of(make_env()), None)
    transitions = logged_transitions(log, features, gamma=0.9, reward_scale=2.0)
    assert set(np.flatnonzero(~transitions.whole)) == set(np.flatnonzero(log.truncated))
    assert (transitions.later[log.terminated | log.truncated] == -1).all()
    batch = log_batch(transitions, np.arange(len(log)))
    goes_on = np.flatnonzero(transitions.later >= 0)
    torch.testing.assert_close(batch.next_state[goes_on], batch.state[goes_on + 1])
    taken = torch.where(
        batch.place < K, batch.items.gather(1, batch.action()[:, None]).squeeze(1), -1
    )
    assert log.consumed is not None
    np.testing.assert_array_equal(taken.numpy(), log.consumed)
    assert log.candidate_propensity is not None
    np.testing.assert_allclose(batch.first.numpy(), 1 / C, rtol=1e-6)  # uniform slates


def test_probability_of_a_slate_is_plackett_luce() -> None:
    rng = np.random.default_rng(0)
    logit, shown = rng.normal(size=(B, C)), rng.random((B, C)).argsort(1)[:, :K]
    shown[3, 1] = -1  # an empty second place
    places = place_log_probs(torch.from_numpy(logit), torch.from_numpy(shown))
    ours = places.sum(1).exp().numpy()
    exact = PlackettLuce(logit, K).prefix(shown.astype(np.int32))
    np.testing.assert_allclose(np.delete(ours, 3), np.delete(exact[:, -1], 3), rtol=1e-9)
    assert ours[3] == pytest.approx(exact[3, 0])


@pytest.mark.parametrize("method", ["bc", "cql", "snqn", "sa2c"])
def test_gradients_are_those_of_the_loss(method: str) -> None:
    net, target, batch = a_net(method).double(), a_net(method, 1).double(), a_batch()
    batch = LogBatch(*(x.double() if x.is_floating_point() else x for x in batch))

    def of_bias(bias: Tensor) -> Tensor:
        called = _Called(net, target, method)
        loss: Tensor = torch.func.functional_call(called, {"net.item_bias": bias}, (batch,))
        return loss

    before = net.item_bias.detach().clone().requires_grad_()
    if method == "sa2c":  # the advantage is held fixed on purpose: move the predictions alone
        before = net.item_bias.detach().clone()
        value = before[1]
        predict = before[0].clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda b: of_bias(torch.stack([b, value])), (predict,))
    else:
        assert torch.autograd.gradcheck(of_bias, (before,))


class _Called(torch.nn.Module):
    def __init__(self, net: ItemNet, target: ItemNet, method: str) -> None:
        super().__init__()
        self.net, self.target, self.method = net, target, method

    def forward(self, batch: LogBatch) -> Tensor:
        return loss_of(self.method, self.net, self.target, batch)


def huber(x: float) -> float:
    return 0.5 * x * x if abs(x) < 1 else abs(x) - 0.5


def rows_of(net: ItemNet, target: ItemNet, batch: LogBatch) -> Any:
    """(scores (heads, B, C), extras, scores of the next state, the target network's) as numpy."""
    with torch.no_grad():
        now, extra = net(batch.state, batch.items)
        return (
            now.numpy(),
            extra.numpy(),
            net(batch.next_state, batch.next_items)[0].numpy(),
            target(batch.next_state, batch.next_items)[0].numpy(),
        )


def test_cql_by_hand() -> None:
    net, target, batch = a_net("cql"), a_net("cql", 1), a_batch()
    now, _, after, old = rows_of(net, target, batch)
    total = 0.0
    for i in range(B):
        place = int(batch.place[i])
        column = int(batch.shown[i, place if place < K else 0])
        goal = float(batch.reward[i])
        goal += 0.8 * float(batch.alive[i]) * old[0, i, after[0, i].argmax()]
        q, shown = now[0, i], batch.shown[i].numpy()
        total += huber(q[column] - goal)
        total += 0.3 / C * (math.log(np.exp(q).sum()) - q[shown].mean())
    got = loss_of("cql", net, target, batch).item()
    assert got == pytest.approx(total / B, rel=1e-5)


@pytest.mark.parametrize("method", ["snqn", "sa2c"])
def test_snqn_and_sa2c_by_hand(method: str) -> None:
    net, target, batch = a_net(method), a_net(method, 1), a_batch()
    now, _, after, old = rows_of(net, target, batch)
    total = 0.0
    for i in range(B):
        place = int(batch.place[i])
        column = int(batch.shown[i, place if place < K else 0])
        later = 0.8 * float(batch.alive[i]) * old[1, i, after[1, i].argmax()]
        log_p = now[0, i, column] - math.log(np.exp(now[0, i]).sum())
        q, others = now[1, i], [c for c in range(C) if c != column]
        advantage = q[column] - np.mean(q[others])
        weight = 1.0 if method == "snqn" else min(max(advantage, 0.0), 2.0)
        total -= weight * log_p
        total += 0.3 * huber(q[column] - later - float(batch.reward[i]))
        total += 0.3 * float(np.mean([huber(q[c] - later) for c in others]))
    got = loss_of(method, net, target, batch).item()
    assert got == pytest.approx(total / B, rel=1e-5)


@pytest.mark.parametrize("credit", ["taken", "slate", "top_k"])
def test_reinforce_moves_each_place_by_weight_and_gain(credit: Any) -> None:
    """The gradient of one row's logits, worked by hand from the corrected policy gradient."""
    method = "reinforce_top_k" if credit == "top_k" else "reinforce"
    net, batch = a_net(method), a_batch()
    now, value, _, _ = rows_of(net, net, batch)
    config = ReinforceConfig(entropy=0.0, cap=2.0, credit="slate" if credit == "slate" else "taken")
    loss = METHODS[method].loss(net, net, batch, config)
    loss.backward()  # type: ignore[no-untyped-call]
    expected = np.zeros(A)
    for i in range(B):
        gain = float(batch.to_go[i]) - value[i, 0]
        p = np.exp(now[0, i]) / np.exp(now[0, i]).sum()
        shown, place = batch.shown[i].numpy(), int(batch.place[i])
        if method == "reinforce":
            second = p.copy()
            second[shown[0]] = 0.0
            second /= second.sum()
            pi = p[shown[0]] * second[shown[1]]
            weight = min(pi / float(batch.propensity[i]), 2.0)
            slopes = np.eye(C)[shown] - np.stack([p, second])
            taken = np.arange(K) == place
            slope = slopes.sum(axis=0) if credit == "slate" else taken @ slopes
        else:
            column = shown[place] if place < K else 0
            pi = p[column]
            weight = min(pi / float(batch.first[i]), 2.0) * K * (1 - pi) ** (K - 1)
            slope = (np.eye(C)[column] - p) * float(place < K)
        np.add.at(expected, batch.items[i].numpy(), -weight * gain * slope / B)
    assert net.item_bias.grad is not None
    np.testing.assert_allclose(net.item_bias.grad[0].numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def paid() -> LoggedDataset:
    """Uniform slates, in which one item pays."""
    env = make_env(n_items=C, slate_size=1)
    log = collect(env, build("uniform", env), n_steps=60, seed=1)
    reward = (log.slate[:, 0] == 3).astype(np.float64)
    return replace(log, reward=reward, position_reward=reward[:, None])


@pytest.mark.parametrize("name", ["reinforce", "cql", "snqn"])
def test_what_pays_is_favoured(name: str, paid: LoggedDataset) -> None:
    env = make_env(n_items=C, slate_size=1)
    settings = {"strength": 0.1} if name == "cql" else {"advantage": True} if name == "snqn" else {}
    policy = build(name, env, epochs=30, gamma=0.0, **settings)
    policy.update(paid)
    seen = observation_of(env.reset(seed=9)[0])
    assert seen.candidates is not None
    rows = seen.rows(np.flatnonzero((seen.candidates == 3).any(axis=1)))
    favoured = items_of(rows, policy.distribution(rows).ranking(1))[:, 0]
    assert len(rows) > 5
    assert (favoured == 3).all()


def test_cloning_learns_the_logging_policy() -> None:
    """Held-out slates: most of the way from uniform to the logging policy's log-likelihood."""
    env = make_env()
    logging = build("popularity", env, temperature=0.3)
    logging.update(collect(env, build("uniform", env), n_steps=60, seed=1))
    cloned = build("bc", env, epochs=20)
    cloned.update(collect(env, logging, n_steps=60, seed=2))
    held_out = collect(env, logging, n_steps=20, seed=3)
    learnt = np.log(score_log(cloned, held_out).propensity).mean()
    uniform, best = math.log(1 / (C * (C - 1))), np.log(held_out.propensity).mean()
    assert uniform + 0.8 * (best - uniform) < learnt < best + 0.05
