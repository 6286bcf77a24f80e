"""LongplayPersonal: Longplay where it matters who the user is and what happened so far.

In Longplay a ranking of the items that is the same for all users at all times earns 85 % of what
the planning oracle does, and quality is observed without noise, so that one consumption tells it
for ever. This variant has the same equations (see `longplay`) and other constants. Preferences and
boredom weigh more in what is taken and in how long it is watched (personal taste; satiation:
SARDINE, Deffayet et al., 2024). The quality observed after a consumption is q + .3 e, e ~ N(0, 1),
so that items are rated by averaging. Interests also move by chance, u <- unit(u + .02 e) with e ~
N(0, I) at each step (preferences as a random walk, as in RecoGym: Rohde et al., 2018), so that
tastes are tracked, not learnt once.

By `longplay benchmark planning` (1,000 users) the best static ranking that was found earns 46.9 ±
2.2 minutes a session and the planning oracle 64.3 ± 2.5: what is personal and depends on the state
pays 37 % ± 5 %. It is the flagship world of `longplay study`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from recsim_env.users import longplay
from recsim_env.users.longplay_world import LongplayConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class LongplayPersonalConfig(LongplayConfig):
    """Longplay's constants but for these."""

    taste: float = 7.0
    dull: float = 6.0
    no_choice: float = 3.0
    watch_taste: float = 6.0
    watch_dull: float = 5.0
    leave_boredom: float = 1.5
    quality_noise: float = 0.3
    wander: float = 0.02
    plan_quality: float = 10.0
    plan_bait: float = 10.0
    plan_dull: float = 10.0


MODEL = replace(longplay.MODEL, config=LongplayPersonalConfig)
