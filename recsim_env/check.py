"""check_vector_env: the promises of a vectorised simulator that nobody else checks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

Make = Callable[..., Any]  # (num_envs, autoreset_mode=...) -> VectorEnv
Played = list[tuple[Any, ...]]


def check_vector_env(
    env: VectorEnv[Any, Any, Any], *, make: Make | None = None, steps: int = 25, seed: int = 0
) -> None:
    """Raise AssertionError, naming slot and step, at the first promise that `env` breaks.

    Spaces and dtypes; seeds; each autoreset mode; slot i the same for every `num_envs`; one user
    alone the same as slot 0; nothing returned is live; no action reaches another user. `make`
    builds siblings of `env`; by default they come from its spec, so make `env` by make_vec.
    """
    if make is None:
        if env.spec is None:
            raise ValueError("env has no spec to build siblings from: pass make=(num_envs) -> env")
        make = _maker(env.spec)
    n = max(env.num_envs, 4)
    actions = _actions(make(n), steps, seed)
    check_spaces(make(n), actions, seed)
    check_seeds(make, actions, seed)
    check_slots(make, actions, seed)
    check_aliasing(make, actions, seed)
    check_autoreset(make, actions, seed)
    if env.spec is not None:
        check_single(make, gymnasium.make(env.spec.id, **_kwargs(env.spec)), actions, seed)


def _kwargs(spec: Any) -> dict[str, Any]:
    """A spec's keywords without what belongs to vectors alone."""
    drop = {"num_envs", "autoreset_mode", "vectorization_mode", "vector_kwargs"}
    return {k: v for k, v in spec.kwargs.items() if k not in drop}


def _maker(spec: Any) -> Make:
    def make(num_envs: int, **more: Any) -> Any:
        return gymnasium.make_vec(spec.id, num_envs=num_envs, **_kwargs(spec), **more)

    return make


def _actions(env: Any, steps: int, seed: int) -> Any:
    env.action_space.seed(seed)
    return np.array([env.action_space.sample() for _ in range(steps)])


def _play(env: Any, actions: Any, seed: int) -> Played:
    return [copy.deepcopy(env.reset(seed=seed))] + [copy.deepcopy(env.step(a)) for a in actions]


def _difference(a: Any, b: Any, slots: slice) -> str | None:
    """Where two observations differ in these slots."""
    for key in a:
        if a[key][slots].tobytes() != b[key][slots].tobytes():
            row = np.flatnonzero(
                [
                    x.tobytes() != y.tobytes()
                    for x, y in zip(a[key][slots], b[key][slots], strict=True)
                ]
            )[0]
            return f"{key} of slot {range(len(a[key]))[slots][row]}"
    return None


def _compare(one: Played, other: Played, slots: slice, promise: str) -> None:
    for t, (a, b) in enumerate(zip(one, other, strict=True)):
        where = _difference(a[0], b[0], slots)
        assert where is None, f"{promise}: {where} differs after step {t}"
        for name, i in (("reward", 1), ("terminated", 2), ("truncated", 3)):
            if len(a) > 2:
                assert np.array_equal(a[i][slots], b[i][slots]), f"{promise}: {name} at step {t}"


def check_spaces(env: Any, actions: Any, seed: int) -> None:
    """Observations inside the declared space with its dtypes; rewards finite float64 (N,)."""
    for t, out in enumerate(_play(env, actions, seed)):
        for key, space in env.observation_space.spaces.items():
            array = out[0][key]
            assert array.dtype == space.dtype, f"{key} is {array.dtype}, declared {space.dtype}"
            assert space.contains(array), f"{key} leaves its declared space at step {t}"
        if len(out) > 2:
            assert out[1].dtype == np.float64, f"reward is {out[1].dtype}, not float64"
            assert np.isfinite(out[1]).all(), f"a reward is not finite at step {t}"
            assert out[2].dtype == out[3].dtype == np.bool_, "ends are not bool"


def check_seeds(make: Make, actions: Any, seed: int) -> None:
    """The same seed gives the same bytes, on one instance and on two; another seed does not."""
    env, n = make(actions.shape[1]), slice(None)
    first = _play(env, actions, seed)
    _compare(first, _play(env, actions, seed), n, "same seed, same instance")
    _compare(first, _play(make(actions.shape[1]), actions, seed), n, "same seed, new instance")
    other = _play(env, actions, seed + 1)
    differs = any(_difference(a[0], b[0], n) for a, b in zip(first, other, strict=True))
    assert differs, f"seeds {seed} and {seed + 1} give the same run: the seed does nothing"


def check_slots(make: Make, actions: Any, seed: int) -> None:
    """Slot i is the same for every num_envs, whatever the others are served."""
    n = actions.shape[1]
    full = _play(make(n), actions, seed)
    for fewer in (1, n // 2):
        part = _play(make(fewer), actions[:, :fewer], seed)
        cut = [({k: v[:fewer] for k, v in out[0].items()}, *(_cut(x, fewer) for x in out[1:]))
               for out in full]  # fmt: skip
        _compare(cut, part, slice(0, fewer), f"num_envs {n} and {fewer}")
    others = np.roll(actions, 1, axis=0)
    others[:, 0] = actions[:, 0]
    _compare(full, _play(make(n), others, seed), slice(0, 1), "another user's action")


def _cut(x: Any, n: int) -> Any:
    return x[:n] if isinstance(x, np.ndarray) else x


def check_aliasing(make: Make, actions: Any, seed: int) -> None:
    """Writing into what was returned, or into the action given, changes nothing later."""
    clean = _play(make(actions.shape[1]), actions, seed)
    env = make(actions.shape[1])
    spoilt: Played = []
    for action in [None, *actions]:
        given = None if action is None else action.copy()
        out = env.reset(seed=seed) if given is None else env.step(given)
        spoilt.append(copy.deepcopy(out))
        for array in [*out[0].values(), *(x for x in out[1:] if isinstance(x, np.ndarray))]:
            array[...] = 0
        if given is not None:
            given[...] = 0
    _compare(clean, spoilt, slice(None), "writing into returned arrays")


def check_autoreset(make: Make, actions: Any, seed: int) -> None:
    """Each autoreset mode does what Gymnasium says of it."""
    n = actions.shape[1]
    env = make(n, autoreset_mode=AutoresetMode.SAME_STEP)
    for out in _play(env, actions, seed)[1:]:
        ended = out[2] | out[3]
        final = out[4].get("final_obs", np.full(n, None))
        has = np.array([f is not None for f in final])
        assert np.array_equal(has, ended), (
            "SAME_STEP: final_obs must stand exactly where rows ended"
        )
    env = make(n, autoreset_mode=AutoresetMode.NEXT_STEP)
    ended = np.zeros(n, np.bool_)
    for out in _play(env, actions, seed)[1:]:
        assert (out[1][ended] == 0).all(), "NEXT_STEP: the resetting step must pay 0"
        assert not (out[2] | out[3])[ended].any(), "NEXT_STEP: a resetting row cannot end"
        ended = out[2] | out[3]
    env = make(n, autoreset_mode=AutoresetMode.DISABLED)
    obs, _ = env.reset(seed=seed)
    for action in actions:
        obs, _, terminated, truncated, _ = env.step(action)
        ended = terminated | truncated
        if ended.any():
            after, _ = env.reset(options={"reset_mask": ended})
            for key in obs:
                same = np.array_equal(after[key][~ended], obs[key][~ended])
                assert same, f"DISABLED: a masked reset changed {key} of a row outside the mask"


def check_single(make: Make, single: Any, actions: Any, seed: int) -> None:
    """One user alone is slot 0, session by session."""
    rows = _play(make(2), actions[:, :2], seed)
    obs, _ = single.reset(seed=seed)
    for t, action in enumerate(actions):
        where = _difference({k: v[None] for k, v in obs.items()}, rows[t][0], slice(0, 1))
        assert where is None, f"one user alone differs from slot 0 in {where} at step {t}"
        obs, reward, terminated, truncated, _ = single.step(action[0])
        assert reward == rows[t + 1][1][0], f"one user alone is paid otherwise at step {t}"
        if terminated or truncated:
            obs, _ = single.reset()
