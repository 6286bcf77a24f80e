"""`longplay compare`: train policies in a world, judge them from a log, and check the judge.

A logging policy with known propensities serves users and writes two logs: one to learn from, one
to evaluate with. Every candidate is valued from the second log alone, and then run in the world on
the same users (common random numbers), so that each estimate, interval and verdict meets the truth.
"""

from __future__ import annotations

from experiments.compare.settings import Settings

__all__ = ["Settings", "run"]


def run(settings: Settings) -> int:
    """The whole comparison; prints the table and writes the run folder."""
    from experiments.common.building import is_saved_encoder, named_policy, policy_of
    from experiments.common.run_folder import open_run
    from experiments.common.show import Show
    from experiments.compare.candidates import pick_candidates
    from experiments.compare.report import print_table, write_report
    from experiments.compare.stages import Job, prepare, run_candidates, world_of
    from policies import ENCODERS

    if settings.encoder not in ENCODERS and not is_saved_encoder(settings.encoder):
        raise ValueError(
            f"no encoder {settings.encoder!r}; there are {', '.join(sorted(ENCODERS))}, and "
            "folders that longplay train-encoder wrote"
        )
    chosen = pick_candidates(settings.temperature, settings.policies)
    show = Show()
    world = world_of(settings)  # before the run folder: bad data leaves nothing behind
    for one in chosen:
        if one.saved:  # of another world: an error now, and not after the others
            policy_of(named_policy(one.policy), world.make(1), {})
    job = Job(settings, open_run(settings.out, "compare", settings, settings.resume), world)
    show.console.print(f"run folder: {job.run.path}", markup=False)
    base = prepare(job, show)
    results = run_candidates(job, [c.name for c in chosen], show)
    write_report(job.run, job.world.name, settings.level, base, results)
    print_table([r["row"] for r in results], base, settings.level)
    show.console.print(f"written: {job.run.path / 'report.html'}", markup=False)
    return 0
