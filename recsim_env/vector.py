"""RecVectorEnv: N users at once behind Gymnasium's vector interface; nothing of their nature."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from recsim_env.catalogue import Catalogue, Population
from recsim_env.kernel.actions import OnInvalid, refusal, whole_slates
from recsim_env.kernel.alone import Alone
from recsim_env.kernel.engine import Engine
from recsim_env.kernel.sizes import autoreset_of, check_fits, check_room, check_sizes
from recsim_env.kernel.state import Advance, Offer, View, first_histories, idle_users, offer_cdf
from recsim_env.kernel.streams import name_sessions, named_sessions, reset_mask, seed_users
from recsim_env.model import check_config, load_model, user_dtype
from recsim_env.observations import (
    Observation,
    StepInfos,
    final_info,
    final_observations,
    info_dict,
    observation_dict,
)
from recsim_env.random import members
from recsim_env.spaces import SESSION, action_space, observation_space


class RecVectorEnv(VectorEnv[Observation, NDArray[Any], NDArray[Any]]):
    """N independent users of one model, stepped by one compiled loop.

    Slot i's j-th session draws from the stream of (seed, i, j), which depends neither on
    `num_envs` nor on anything the other slots are served, so two policies under one seed meet the
    same users. Every array returned is fresh.

    Parameters
    ----------
    num_envs: number of users N served side by side.
    model: module with a `MODEL: UserModel` (a short name stands for one of recsim_env.users).
    config: the model's config; or give its fields by name as further keywords.
    catalogue: the items; by default the model makes its own from the config.
    population: users to draw sessions from, with first histories; by default the model draws them.
    slate_size: K items shown at once.
    n_candidates: C items offered each step; None offers the whole catalogue (actions are item ids).
    history_length: H items remembered in the observation.
    max_steps: sessions are truncated after so many decisions; None lets users end them.
    offer: candidates drawn "uniform", or in proportion to "popularity".
    on_invalid: what becomes of a slate that repeats an item or holds an unavailable one. "fix"
        (default): from the top, each such position gets the first choice that is neither, and
        infos["invalid"] marks the row. "penalise": the same at the price of `penalty` off the
        reward, shared by the positions. "raise": ValueError. An index outside 0..C-1 raises always.
    session_ticks: ticks of the catalogue's calendar from the start of a slot's session to the start
        of its next; a decision takes one. Availability goes by it, not by how long sessions last.
    candidate_features: whether observations hold them (N, C, F) beside the candidates' ids; without
        them, which `item_features` has by id, a step takes as little as half as long.
    threads: threads that share the users of a step; results are the same for every number of them.
    autoreset_mode: SAME_STEP (default), NEXT_STEP or DISABLED, or its name as Gymnasium has it.

    Raises ValueError on sizes that contradict each other.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        model: str,
        config: Any = None,
        catalogue: Catalogue | None = None,
        population: Population | None = None,
        slate_size: int | None = None,
        n_candidates: int | Literal["model"] | None = "model",
        history_length: int = 20,
        max_steps: int | Literal["model"] | None = "model",
        offer: Literal["uniform", "popularity"] = "uniform",
        on_invalid: OnInvalid = "fix",
        penalty: float = 1.0,
        session_ticks: int = 20,
        candidate_features: bool = True,
        threads: int = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        render_mode: None = None,
        **settings: Any,
    ) -> None:
        if render_mode is not None:
            raise ValueError(f"render_mode = {render_mode!r}: only one user can be looked at")
        self.model_name, self.offer = model, offer  # what it takes to make the same world again
        self.model = load_model(model)
        if config is not None and settings:
            raise ValueError(f"give config= or its fields {sorted(settings)}, not both")
        self.config = self.model.config(**settings) if config is None else config
        check_config(self.config, self.model.config)
        self.catalogue = self.model.catalogue(self.config) if catalogue is None else catalogue
        self.num_envs, self.population = num_envs, population
        usual = self.model.defaults.get
        self.slate_size = (usual("slate_size") or 1) if slate_size is None else slate_size
        self.n_candidates = usual("n_candidates") if n_candidates == "model" else n_candidates
        self.max_steps = usual("max_steps") if max_steps == "model" else max_steps
        self.history_length, self.session_ticks = history_length, session_ticks
        self.on_invalid, self.penalty, self.threads = on_invalid, penalty, threads
        self.n_items = len(self.catalogue)
        self.response_names = self.model.responses.names
        check_sizes(
            num_envs=num_envs, slate_size=self.slate_size, n_candidates=self.n_candidates,
            history_length=history_length, max_steps=self.max_steps, session_ticks=session_ticks,
            threads=threads, on_invalid=on_invalid, penalty=penalty, offer=offer,
            candidate_features=candidate_features, catalogue=self.catalogue,
        )  # fmt: skip
        self.item_features = check_fits(self.model, self.catalogue, population)
        self.autoreset_mode = autoreset_of(autoreset_mode)
        self.metadata = {"render_modes": [], "autoreset_mode": self.autoreset_mode}
        self.render_mode = render_mode
        self._build_spaces(bool(candidate_features))
        self._build_state(offer, bool(candidate_features))

    def _build_spaces(self, described: bool) -> None:
        span = self.model.user(self.config, self.catalogue)
        self.user_names = (*span.names, *SESSION.names)
        self.n_choices = self.n_items if self.n_candidates is None else self.n_candidates
        check_room(
            num_envs=self.num_envs, slate_size=self.slate_size, history_length=self.history_length,
            n_candidates=self.n_candidates or 0, features=self.item_features,
            widths=(len(self.user_names), len(self.response_names)),
            record=user_dtype(self.model, self.config, self.catalogue).itemsize,
        )  # fmt: skip
        self.single_action_space = action_space(
            self.slate_size, self.n_choices, distinct=self.on_invalid == "raise"
        )
        self.single_observation_space = observation_space(
            catalogue=self.catalogue, features=self.item_features, user=span,
            history_length=self.history_length, n_candidates=self.n_candidates,
            responses=self.model.responses, described=described,
        )  # fmt: skip
        if self.catalogue.ruled:
            self.single_observation_space["action_mask"] = Box(0, 1, (self.n_choices,), np.int8)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def _build_state(self, offer: str, described: bool) -> None:
        n, h, r = self.num_envs, self.history_length, len(self.response_names)
        dtype = user_dtype(self.model, self.config, self.catalogue)
        self.engine = Engine(
            self.model,
            live=idle_users(n, dtype, history=h, responses=r, candidates=self.n_candidates or 0),
            offer=Offer(
                self.item_features, offer_cdf(self.catalogue, offer), *self.catalogue.windows,
                *self.catalogue.rules, int(self.session_ticks),
                *first_histories(self.population, h, r),
            ),
            world=self.model.world(self.config, self.catalogue, self.population),
            widths=(len(self.user_names), r), history_length=h, slate_size=self.slate_size,
            max_steps=self.max_steps, threads=self.threads, described=described,
            autoreset=self.autoreset_mode is AutoresetMode.SAME_STEP,
        )  # fmt: skip
        self.live, self.world = self.engine.live, self.engine.world
        self._ended = np.zeros(n, np.bool_)
        self._seeded, self.alone = False, Alone()

    def __getstate__(self) -> dict[str, Any]:
        """All but the model, which has a name: a copy goes on as this environment would."""
        return {k: v for k, v in self.__dict__.items() if k not in ("model", "world")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        self.model = load_model(self.model_name)
        self.engine.start(self.model)
        self.world = self.engine.world

    def __copy__(self) -> RecVectorEnv:
        return copy.deepcopy(self)  # two that share their users would disturb one another

    def live_choices(self) -> NDArray[np.int32]:
        """Item ids (N, C) that the actions of the coming step stand for; C = A when not drawn."""
        if self.n_candidates is not None:
            return self.live.candidates.copy()
        return np.tile(np.arange(self.n_items, dtype=np.int32), (self.num_envs, 1))

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Start a session in every slot; a seed starts again at session 0.

        `seed`: an int for all slots, or one per slot (slot i then is the single environment under
        its own seed). `options["reset_mask"]`: (N,) bool, reset only these slots.
        `options["sessions"]`, with an int seed: (N, 2) ints, row i plays the session of that number
        in the slot of that number, as under this seed any environment of this world would.
        """
        mask = reset_mask(self.num_envs, options)
        sessions = named_sessions(self.num_envs, self.session_ticks, options)
        with self.alone:
            if seed is not None or not self._seeded:
                known = seed_users(self.live.users, seed, every=not self._seeded)
                if known is not None:
                    self._np_random, self._np_random_seed = known
                self._seeded = True
            if sessions is not None:
                name_sessions(self.live.users, sessions, self._np_random_seed)
            view = self.engine.view()
            self.engine.begin(mask, view)
            self._ended[mask] = False
            obs = self.observed(view)
            return obs, self._masks(obs)

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[Observation, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Serve one slate (N, K) of candidate indices (item ids without candidates) to every user.

        Raises ValueError for an unknown index, under on_invalid="raise" also for a slate that
        repeats an item or holds an unavailable one; the state is left as it was.
        """
        with self.alone:
            view, outcome, invalid, counts, _ = self.advance(actions)
            infos = info_dict(outcome, None if self.on_invalid == "raise" else invalid)
            if any(counts):
                ended = outcome.terminated | outcome.truncated
                infos["final_info"], infos["_final_info"] = final_info(infos, ended), ended
                infos = StepInfos(infos | {"_final_obs": ended}, self._last(ended, counts))
            obs = self.observed(view)
            infos |= self._masks(obs)
            return obs, outcome.reward, outcome.terminated, outcome.truncated, infos

    def advance(self, actions: NDArray[Any]) -> Advance:
        """The step itself, as arrays, for whoever has entered `alone`."""
        if not self._seeded:
            raise RuntimeError("call reset() before step()")
        chosen = whole_slates(actions, self.num_envs, self.slate_size)
        fix = self.on_invalid != "raise"
        slates, invalid, bad = self.engine.resolve(chosen, self.n_choices, fix)
        if bad >= 0:
            raise refusal(chosen[bad], bad, self.n_choices, self.on_invalid)
        mode = self.autoreset_mode
        if mode is AutoresetMode.DISABLED and self._ended.any():
            raise RuntimeError(
                f"session in slot {int(np.argmax(self._ended))} has ended: reset it with "
                "reset(options={'reset_mask': mask}), or use AutoresetMode.SAME_STEP"
            )
        view, outcome = self.engine.view(), self.engine.outcome()
        counts = self.engine.step(slates, self._ended.view(np.uint8), outcome, view)
        if self.on_invalid == "penalise":
            outcome.reward[invalid] -= self.penalty
            outcome.position_reward[invalid] -= self.penalty / self.slate_size
        if mode is not AutoresetMode.SAME_STEP:
            np.logical_or(outcome.terminated, outcome.truncated, out=self._ended)
        return Advance(view, outcome, invalid, counts, slates)

    def without_features(self) -> AbstractContextManager[None]:
        """Within it observations lack `candidate_features`, whatever the space says: for callers
        that do not read them. A subclass, whose own methods may, stays as it is."""
        return self.engine.undescribed() if type(self) is RecVectorEnv else nullcontext()

    def close_extras(self, **kwargs: Any) -> None:
        """Stop the helping threads, which a world whose making failed does not have."""
        if "engine" in self.__dict__:
            self.engine.close()

    def action_masks(self) -> NDArray[np.bool_]:
        """Which choices (N, C) may be served now; drawn candidates always may."""
        return self._open_at(self.live.users["clock"], self.live.users["group"])

    def _masks(self, obs: Observation) -> dict[str, Any]:
        """For infos: which choices may be served now (N, C), where items come and go."""
        if "action_mask" not in obs:
            return {}
        mask, every = obs["action_mask"].copy(), np.ones(self.num_envs, np.bool_)
        return {"action_mask": mask, "_action_mask": every}

    def _open_at(self, ticks: NDArray[np.int64], groups: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which choices (n, C) may be served at these ticks (n,) to these groups (n,)."""
        if self.n_candidates is not None:
            return np.ones((len(ticks), self.n_choices), np.bool_)
        return self.catalogue.open_to(groups, ticks)

    def _last(self, ended: NDArray[np.bool_], counts: list[int]) -> partial[NDArray[np.object_]]:
        """Gives the last observation of each session that ended, with the mask of its last tick."""
        rows = np.flatnonzero(ended)
        last = observation_dict(self.engine.final(counts), len(self.response_names))
        if self.catalogue.ruled:
            before, streams = self.live.users["session"][rows] - 1, self.live.users["stream"][rows]
            ticks = before * self.session_ticks + last["user"][:, -3].astype(np.int64)
            groups = members(streams, before, self.catalogue.rules[1])
            last["action_mask"] = self._open_at(ticks, groups).astype(np.int8)
        return partial(final_observations, rows, last, self.num_envs)

    def observed(self, view: View) -> Observation:
        """An observation by name, with the mask of what is available where items come and go."""
        obs = observation_dict(view, len(self.response_names))
        if self.catalogue.ruled:
            obs["action_mask"] = self.action_masks().astype(np.int8)
        return obs
