"""RecVectorEnv: N users at once behind Gymnasium's vector interface; nothing of their nature."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from recsim_env.buffers import Buffers
from recsim_env.catalogue import Catalogue, Population
from recsim_env.kernel import Live, Offer, Outcome, View, compiled, resolve
from recsim_env.model import UserModel, user_dtype
from recsim_env.random import stream_keys
from recsim_env.spaces import SESSION, action_space, observation_space

Observation = dict[str, NDArray[Any]]
FOREVER = 2**62


class RecVectorEnv(VectorEnv[Observation, NDArray[Any], NDArray[Any]]):
    """N independent users of one model, stepped by one compiled loop.

    Slot i's j-th session has luck of its own, keyed by (seed, i, j): it depends neither on
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
    on_invalid: a slate that repeats an item or holds an unavailable one is refused ("raise"), or
        mended with the first choices that are neither, at the price of `penalty` off the reward and
        a mark in infos["invalid"] ("penalise").
    autoreset_mode: SAME_STEP (default), NEXT_STEP or DISABLED.

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
        on_invalid: Literal["raise", "penalise"] = "raise",
        penalty: float = 1.0,
        autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP,
        render_mode: None = None,
        **settings: Any,
    ) -> None:
        self.model_name, self.offer = model, offer  # what it takes to make the same world again
        self.model = load_model(model)
        if config is not None and settings:
            raise ValueError(f"give config= or its fields {sorted(settings)}, not both")
        self.config = self.model.config(**settings) if config is None else config
        self.catalogue = catalogue or self.model.catalogue(self.config)
        self.population = population
        self.num_envs = num_envs
        self.slate_size = int(slate_size or self.model.defaults.get("slate_size") or 1)
        self.n_candidates = self._default("n_candidates", n_candidates)
        self.max_steps = self._default("max_steps", max_steps)
        self.history_length = history_length
        self.on_invalid, self.penalty = on_invalid, penalty
        self.n_items = len(self.catalogue)
        self.item_features = self.model.features(self.catalogue)
        self.response_names = self.model.responses.names
        self._check_sizes()
        self.metadata = {"render_modes": [], "autoreset_mode": autoreset_mode}
        self.render_mode = render_mode
        self._build_spaces()
        self._build_state(offer)

    def _default(self, name: str, given: int | Literal["model"] | None) -> int | None:
        return self.model.defaults.get(name) if given == "model" else given

    def _check_sizes(self) -> None:
        if self.num_envs < 1:
            raise ValueError(f"num_envs = {self.num_envs}: at least one user")
        if self.history_length < 0:
            raise ValueError(f"history_length = {self.history_length} must not be negative")
        if self.max_steps is not None and self.max_steps < 1:
            raise ValueError(f"max_steps = {self.max_steps}: at least one decision, or None")
        if self.on_invalid not in ("raise", "penalise"):
            raise ValueError(f"on_invalid = {self.on_invalid!r}: choose 'raise' or 'penalise'")
        needed, fewest = self.n_candidates or self.slate_size, self.catalogue.fewest_open()
        if fewest < needed <= self.n_items:
            raise ValueError(
                f"at some tick only {fewest} items are available and {needed} are needed; widen "
                "the windows since..until of the catalogue"
            )
        if self.n_candidates is not None and not 1 <= self.n_candidates <= self.n_items:
            raise ValueError(
                f"n_candidates = {self.n_candidates} of a catalogue of {self.n_items} items: "
                "offer between one and all of them, or None for the whole catalogue"
            )

    def _build_spaces(self) -> None:
        span = self.model.user(self.config, self.catalogue)
        self.user_names = (*span.names, *SESSION.names)
        self.n_choices = self.n_items if self.n_candidates is None else self.n_candidates
        self.single_action_space = action_space(self.slate_size, self.n_choices)
        self.single_observation_space = observation_space(
            catalogue=self.catalogue,
            features=self.item_features,
            history_length=self.history_length,
            n_candidates=self.n_candidates,
            responses=self.model.responses,
            user=span,
        )
        if self.catalogue.since is not None:
            mask = Box(0, 1, (self.n_choices,), np.int8)
            self.single_observation_space["action_mask"] = mask
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def _build_state(self, offer: str) -> None:
        n, h, r = self.num_envs, self.history_length, len(self.response_names)
        self.world = self.model.world(self.config, self.catalogue, self.population)
        self.kernel = compiled(self.model)
        self.live = Live(
            users=np.zeros(n, user_dtype(self.model, self.config, self.catalogue)),
            items=np.full((n, h), -1, np.int32),
            responses=np.zeros((n, h * r), np.float32),
            candidates=np.zeros((n, self.n_candidates or 0), np.int32),
        )
        cdf = np.zeros(0)
        if offer == "popularity":
            cdf = np.cumsum(self.catalogue.popularity, dtype=np.float64)
            cdf /= cdf[-1]
        elif offer != "uniform":
            raise ValueError(
                f"offer = {offer!r}: candidates are drawn 'uniform' or by 'popularity'"
            )
        past: tuple[NDArray[Any], NDArray[Any]] = (np.zeros((0, h), np.int32), np.zeros((0, h * r)))
        if self.population is not None:
            past = self.population.first_histories(h, r)
        past_responses = past[1].astype(np.float32).reshape(len(past[0]), h * r)
        windows = self.catalogue.windows
        self._offer = Offer(self.item_features, cdf, *windows, past[0], past_responses)
        self._buffers = Buffers()
        self._ended = np.zeros(n, np.bool_)
        self._seeded = False

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
        """
        self._seed(seed)
        rows = np.arange(self.num_envs)
        mask = (options or {}).get("reset_mask")
        view = self._fresh_view()
        if mask is not None:
            if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
                raise ValueError(
                    f"reset_mask must be ({self.num_envs},) bool with a True, got {mask.dtype} "
                    f"{mask.shape}"
                )
            self.kernel.begin(rows[~mask], False, self.live, self._offer, self.world, view)
            rows = rows[mask]
        self._begin(rows, view)
        return self._observation(view), {}

    def _seed(self, seed: int | list[int | None] | None) -> None:
        if seed is None and self._seeded:
            return
        users = self.live.users
        if isinstance(seed, list):
            if len(seed) != self.num_envs:
                raise ValueError(f"{len(seed)} seeds for {self.num_envs} slots: give one each")
            for i, one in enumerate(seed):
                if one is not None or not self._seeded:
                    _, known = seeding.np_random(one)
                    users["stream"][i] = stream_keys(known, 1)[0]
                    users["session"][i] = -1
                    users["clock"][i] = 0
        else:
            self._np_random, self._np_random_seed = seeding.np_random(seed)
            users["stream"] = stream_keys(self._np_random_seed, self.num_envs)
            users["session"] = -1
            users["clock"] = 0
        self._seeded = True

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[Observation, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Serve one slate (N, K) of candidate indices (item ids without candidates) to every user.

        Raises ValueError when a slate holds an unknown index or repeats one, and leaves the state
        as it was.
        """
        if not self._seeded:
            raise RuntimeError("call reset() before step()")
        slates, invalid = self._slates(actions)
        mode = self.metadata["autoreset_mode"]
        if mode is AutoresetMode.DISABLED and self._ended.any():
            raise RuntimeError(
                f"session in slot {int(np.argmax(self._ended))} has ended: reset it with "
                "reset(options={'reset_mask': mask}), or use AutoresetMode.SAME_STEP"
            )
        waiting = np.flatnonzero(self._ended) if mode is AutoresetMode.NEXT_STEP else None
        view, outcome = self._fresh_view(), self._fresh_outcome()
        self.kernel.step(
            0,
            self.num_envs,
            self._ended,
            self.live,
            self._offer,
            self.world,
            slates,
            FOREVER if self.max_steps is None else self.max_steps,
            outcome,
            view,
        )
        if waiting is not None and waiting.size:
            self._begin(waiting, view)
        ended = outcome.terminated | outcome.truncated
        infos = self._infos(outcome)
        if self.on_invalid == "penalise":
            outcome.reward[invalid] -= self.penalty
            infos["invalid"], infos["_invalid"] = invalid, np.ones(self.num_envs, np.bool_)
        if mode is not AutoresetMode.SAME_STEP:
            self._ended = ended
        elif ended.any():
            rows = np.flatnonzero(ended)
            infos["final_obs"], infos["_final_obs"] = self._final(rows, view), ended
            self._begin(rows, view)
        if self.catalogue.since is not None:
            infos["action_mask"] = self.action_masks()
            infos["_action_mask"] = np.ones(self.num_envs, np.bool_)
        return self._observation(view), outcome.reward, outcome.terminated, outcome.truncated, infos

    def action_masks(self) -> NDArray[np.bool_]:
        """Which choices (N, C) may be served now; drawn candidates always may."""
        since, until = self.catalogue.windows
        if since.size == 0 or self.n_candidates is not None:
            return np.ones((self.num_envs, self.n_choices), np.bool_)
        clock = self.live.users["clock"][:, None]
        return np.asarray((since <= clock) & (clock < until))

    def _slates(self, actions: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        given = np.asarray(actions)
        shape = (self.num_envs, self.slate_size)
        if given.shape != shape and not (self.slate_size == 1 and given.shape == shape[:1]):
            raise ValueError(f"actions have shape {given.shape}, slates of this world {shape}")
        if given.dtype.kind not in "iu":
            raise ValueError(f"actions are {given.dtype}: give integer candidate indices")
        chosen = np.ascontiguousarray(given, dtype=np.int64).reshape(shape)
        slates = np.empty(shape, np.int32)
        invalid = np.zeros(self.num_envs, np.bool_)
        mend = self.on_invalid == "penalise"
        bad = resolve(chosen, self.live, self._offer, self.n_choices, mend, slates, invalid)
        if bad >= 0:
            raise ValueError(
                f"slate {chosen[bad].tolist()} of slot {bad}: places must hold {self.slate_size} "
                f"different available indices in 0..{self.n_choices - 1}; draw slates without "
                "replacement from the choices that action_masks() allows"
            )
        return slates, invalid

    def _begin(self, rows: NDArray[np.int64], view: View) -> None:
        self.kernel.begin(rows, True, self.live, self._offer, self.world, view)
        self._ended[rows] = False

    def _fresh_view(self) -> View:
        n, c, take = self.num_envs, self.n_candidates or 0, self._buffers.take
        h, r = self.history_length, len(self.response_names)
        return View(
            take("history_items", (n, h), np.int32),
            take("history_responses", (n, h * r), np.float32),
            take("user", (n, len(self.user_names)), np.float32),
            take("candidates", (n, c), np.int32),
            take("candidate_features", (n, c, self.item_features.shape[1]), np.float32),
        )

    def _fresh_outcome(self) -> Outcome:
        n, take = self.num_envs, self._buffers.take
        return Outcome(
            take("reward", (n,), np.float64),
            take("terminated", (n,), np.bool_),
            take("truncated", (n,), np.bool_),
            take("consumed", (n,), np.int32),
            take("responses", (n, len(self.response_names)), np.float32),
            take("position_reward", (n, self.slate_size), np.float64),
        )

    def _observation(self, view: View) -> Observation:
        shape = (self.num_envs, self.history_length, len(self.response_names))
        obs: Observation = {
            "history_items": view.history_items,
            "history_responses": view.history_responses.reshape(shape),
            "user": view.user,
        }
        if self.n_candidates is not None:
            obs["candidates"] = view.candidates
            obs["candidate_features"] = view.candidate_features
        if self.catalogue.since is not None:
            obs["action_mask"] = self.action_masks().astype(np.int8)
        return obs

    def _infos(self, outcome: Outcome) -> dict[str, Any]:
        infos: dict[str, Any] = {
            "consumed": outcome.consumed,
            "responses": outcome.responses,
            "position_reward": outcome.position_reward,
        }
        masks = np.ones((3, self.num_envs), np.bool_)
        infos["_consumed"], infos["_responses"], infos["_position_reward"] = masks
        return infos

    def _final(self, rows: NDArray[np.int64], view: View) -> NDArray[np.object_]:
        last = {name: array[rows] for name, array in self._observation(view).items()}
        final = np.full(self.num_envs, None, dtype=object)
        for n, row in enumerate(rows):
            final[row] = {name: array[n] for name, array in last.items()}
        return final


def load_model(name: str) -> UserModel:
    """The `MODEL` of a module; a name without a dot is one of recsim_env.users."""
    path = name if "." in name else f"recsim_env.users.{name}"
    model = import_module(path).MODEL
    if not isinstance(model, UserModel):
        raise TypeError(f"{path}.MODEL is a {type(model).__name__}, not a UserModel")
    return model
