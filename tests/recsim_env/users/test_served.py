"""The served user against one user at a time in plain Python, written from the equations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.recsim_env.calibration.factories import ITEMS, planted
from tests.recsim_env.factories import Stream


@pytest.mark.parametrize("binary", [0, 1])
def test_a_served_user_matches_one_user_at_a_time(binary: int) -> None:
    world = planted(
        persons=30, follow=0.3, pay_taste=0.2, pay_follow=0.1, pay_dull=0.15, idle_pay=-0.1,
        leave_paid=0.05, leave_total=0.02, leave_worn=0.1, leave_step=0.1, pay_binary=binary,
    )  # fmt: skip
    traits = dict(world.population.traits)
    rng = np.random.default_rng(7)
    for name in ("level", "purse", "patience"):
        traits[name][:] = 0.5 * rng.normal(size=30)
    traits["spread"][2] = 0.1
    c, items, taste = world.config, world.catalogue.columns, world.population.interests
    x, topics = world.catalogue.vectors.astype(float), world.catalogue.topics
    env = world.make_vec(25, max_steps=30)
    env.reset(seed=8)
    people, keys = env.live.users["person"].copy(), env.live.users["key"].copy()
    worn, recent = np.zeros((25, 4)), np.zeros((25, x.shape[1]))
    strain, total, going = np.zeros(25), np.zeros(25), np.ones(25, bool)
    taken = left_before_cut = 0
    for t in range(30):
        slates = np.argsort(rng.random((25, ITEMS)), axis=1)[:, :3]
        _, reward, left, cut, infos = env.step(slates)
        for i in np.flatnonzero(going):
            stream, u = Stream(int(keys[i]), t), people[i]
            match = x @ taste[u]
            utility = [
                items["appeal"][j] + traits["position"][k] + match[j]
                + c.follow * (recent[i] @ x[j]) - c.dull * worn[i, topics[j]]
                for k, j in enumerate(slates[i])
            ]  # fmt: skip
            mass = [math.exp(v) for v in utility]
            edge, draw, place = 0.0, stream.uniform(), -1
            whole = sum(mass) + math.exp(c.no_choice - traits["level"][u])
            for k, m in enumerate(mass):
                edge += m / whole
                if draw < edge:
                    place = k
                    break
            item = int(slates[i][place]) if place >= 0 else -1
            assert infos["consumed"][i] == item
            strain[i] *= c.strain_keep
            paid = c.idle_pay
            if item >= 0:
                taken += 1
                mean = items["pay"][item] + traits["purse"][u] + c.pay_taste * match[item]
                mean += c.pay_follow * (recent[i] @ x[item]) - c.pay_dull * worn[i, topics[item]]
                mean = min(max(mean, c.pay_low), c.pay_high)
                if binary:
                    share = (mean - c.pay_low) / (c.pay_high - c.pay_low)
                    paid = c.pay_high if stream.uniform() < share else c.pay_low
                else:
                    paid = min(max(mean + c.pay_spread * stream.normal(), c.pay_low), c.pay_high)
                for r in range(3):
                    seen = items["response"][item, r]
                    seen += traits["slope"][r] * (paid - items["pay"][item])
                    seen += traits["spread"][r] * stream.normal()
                    seen = min(max(seen, traits["low"][r]), traits["high"][r])
                    assert infos["responses"][i, r] == pytest.approx(seen, abs=1e-4)
                strain[i] += items["departure"][item]
                strain[i] += c.leave_paid * (paid - items["pay"][item])
            else:
                strain[i] += c.leave_idle
            assert reward[i] == pytest.approx(paid, abs=1e-4)
            total[i] += paid
            worn[i] *= c.keep
            recent[i] *= c.keep
            if item >= 0:
                worn[i, topics[item]] += 1
                recent[i] += x[item]
            logit = c.leave_base + traits["patience"][u] + strain[i] + c.leave_worn * worn[i].max()
            logit += c.leave_total * total[i] + c.leave_step * math.log(1 + t)
            assert left[i] == (stream.uniform() < 1 / (1 + math.exp(-logit)))
            left_before_cut += left[i]
        going &= ~(left | cut)
    assert taken > 80
    assert left_before_cut > 15
