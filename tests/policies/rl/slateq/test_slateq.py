"""SlateQ: its losses by hand, its slates against its own numbers, and that it learns."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import recsim_env  # noqa: F401
from policies import act, build, collect, observation_of
from policies.features import state_features
from policies.observation import Observation, serving_of
from policies.rl.data.collector import encode
from policies.rl.data.replay import Batch
from policies.rl.nets import ItemNet
from policies.rl.slateq.net import SlateQConfig, SlateQNet, bootstrap, losses
from policies.rl.slateq.policy import SlateQ

D, A, C, K, B = 3, 9, 5, 2, 40


def a_batch(seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)

    def slates(n: int) -> torch.Tensor:
        return torch.from_numpy(rng.random((B, A)).argsort(1)[:, :n])

    state = torch.from_numpy(rng.normal(size=(2, B, D)).astype(np.float32))
    place = torch.from_numpy(rng.integers(K + 1, size=B))
    reward = torch.from_numpy(rng.random(B).astype(np.float32))
    return Batch(state[0], slates(K), place, reward, torch.ones(B), state[1], slates(C))


def a_net(seed: int = 0) -> SlateQNet:
    torch.manual_seed(seed)
    items = np.random.default_rng(seed).normal(size=(A, 4)).astype(np.float32)
    return SlateQNet(D, items, SlateQConfig(hidden=8))


@pytest.mark.parametrize("learned", [0, 3])
def test_the_network_gives_an_item_one_number_however_it_is_asked(learned: int) -> None:
    net = ItemNet(D, np.eye(A, dtype=np.float32), 8, heads=2, extras=1, learned=learned)
    torch.nn.init.normal_(net.item_bias)
    state, ids = torch.randn(B, D), a_batch().next_items
    whole, extra = net(state, torch.zeros((B, 0), dtype=torch.int64))
    some, again = net(state, ids)
    assert whole.shape == (2, B, A)
    torch.testing.assert_close(whole.gather(2, ids.expand(2, B, C)), some, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(extra, again)
    slopes = [
        torch.autograd.grad(x.square().sum(), list(net.parameters()), allow_unused=True)
        for x in (whole.gather(2, ids.expand(2, B, C)), some)
    ]
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_next_slate_is_chosen_by_one_network_and_valued_by_the_other() -> None:
    net, target, batch = a_net(0), a_net(1), a_batch()
    with torch.no_grad():
        value = bootstrap(net, target, batch, K, "ratio")
    for row in range(B):
        state, ids = batch.next_state[row : row + 1], batch.next_items[row : row + 1]
        with torch.no_grad():
            ours, theirs = net(state, ids), target(state, ids)
        best, worth = -np.inf, np.nan
        for i in range(C):
            for j in range(i):
                w = ours.weight[0, [i, j]]
                reached = float((ours.none[0] + (w * ours.value[0, [i, j]]).sum()) / (1 + w.sum()))
                if reached > best:
                    best = reached
                    old = theirs.none[0] + (w * theirs.value[0, [i, j]]).sum()
                    worth = float(old / (1 + w.sum()))
        assert value[row].item() == pytest.approx(worth, abs=1e-5)


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"decay_steps": 0}])
def test_sizes_that_teach_nothing_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SlateQConfig(**wrong)  # type: ignore[arg-type]


def test_losses_are_of_what_was_picked() -> None:
    net, batch = a_net(), a_batch()
    goal = torch.linspace(-1, 1, B)
    difference, cross_entropy = losses(net, batch, goal)
    with torch.no_grad():
        values = net(batch.state, batch.slate)
    by_hand, log_p = 0.0, 0.0
    for row in range(B):
        place = int(batch.place[row])
        picked = values.none[row] if place == K else values.value[row, place]
        by_hand += torch.nn.functional.smooth_l1_loss(picked, goal[row]).item() / B
        mass = 1 + values.weight[row].sum()
        log_p += torch.log((1.0 if place == K else values.weight[row, place]) / mass).item() / B
    assert difference.item() == pytest.approx(by_hand, rel=1e-5)
    assert cross_entropy.item() == pytest.approx(-log_p, rel=1e-5)


def test_gradients_are_those_of_the_losses() -> None:
    net = a_net().double()
    state, slate = a_batch().state.double(), a_batch().slate
    batch = a_batch()._replace(state=state, slate=slate)
    goal = torch.linspace(-3, 3, B, dtype=torch.float64)

    def of_weights(out: torch.Tensor, pick: torch.Tensor) -> torch.Tensor:
        parameters = {"value.out.weight": out, "pick.out.weight": pick}
        both = torch.func.functional_call(
            _Losses(net), {f"net.{k}": v for k, v in parameters.items()}, (batch, goal)
        )
        return both[0] + both[1]

    given = [net.value.out.weight.detach().clone(), net.pick.out.weight.detach().clone()]
    assert torch.autograd.gradcheck(of_weights, [x.requires_grad_() for x in given])


class _Losses(torch.nn.Module):
    def __init__(self, net: SlateQNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: Batch, goal: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return losses(self.net, batch, goal)


def clicks(env: Any, agent: SlateQ, seed: int) -> float:
    """Mean clicks in the first 100 steps of every user."""
    obs, _ = env.reset(seed=seed)
    rng, total = np.random.default_rng(0), 0.0
    for _ in range(100):
        obs, reward, *_ = env.step(act(agent, observation_of(obs), rng).action[:, 0])
        total += float(np.mean(reward))
    return total


def test_it_learns_what_users_click() -> None:
    env = gymnasium.make_vec("recsim_env/Boredom-v0", num_envs=64, n_items=200, observe="latent")
    config = SlateQConfig(
        gamma=0.9, hidden=32, batch_size=128, warm=500, tau=0.05, learning_rate=5e-3
    )
    agent = SlateQ(config, state_features(serving_of(env), None), None)
    before = clicks(env, agent, seed=5)  # uniform: about 8.6 of 100
    agent.learn(env, total_steps=25_600, seed=1)
    assert clicks(env, agent, seed=5) > 2 * before


def test_learning_twice_by_halves_goes_on_and_the_same_seed_learns_the_same() -> None:
    def learnt(seed: int) -> SlateQ:
        env = gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=32, n_items=40)
        state = state_features(serving_of(env), None)
        agent = SlateQ(SlateQConfig(warm=64, batch_size=64), state, None)
        agent.learn(env, total_steps=320, seed=seed)
        agent.learn(env, total_steps=320, seed=seed)
        assert agent.steps == 640
        return agent

    env = gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=32, n_items=40)
    seen = observation_of(env.reset(seed=3)[0])

    def score(agent: SlateQ, obs: Observation) -> torch.Tensor:
        assert agent.networks is not None
        return agent.networks.scores(encode(agent.state, obs))

    first, again, other = learnt(1), learnt(1), learnt(2)
    assert torch.equal(score(first, seen), score(again, seen))
    assert not torch.equal(score(first, seen), score(other, seen))


def test_before_it_has_learnt_slates_are_uniform_and_after_a_log_it_can_serve() -> None:
    env = gymnasium.make_vec(
        "recsim_env/Longplay-v0", num_envs=8, n_items=40, slate_size=2, n_candidates=4
    )
    agent = build("slateq", env)
    seen = observation_of(env.reset(seed=3)[0])
    np.testing.assert_allclose(agent.distribution(seen).first_place(), 0.25)
    agent.update(collect(env, build("uniform", env), n_steps=5, seed=0))
    assert (agent.distribution(seen).first_place().max(axis=1) == 1).all()


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="gamma"):
        SlateQConfig(gamma=1.5)
    with pytest.raises(ValueError, match="ratio, top_k or one_by_one"):
        SlateQConfig(slates="best")  # type: ignore[arg-type]
