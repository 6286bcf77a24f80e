"""`longplay train-policy`: one policy in one world, to a checkpoint, its curve and a test."""

from __future__ import annotations

from experiments.common.run_folder import open_run
from experiments.common.show import Show
from experiments.logs.item_names import NAMES
from experiments.train.policy_settings import Settings

__all__ = ["Settings", "run"]


def run(settings: Settings) -> int:
    """Train, test, save; prints the result and where the run folder is."""
    from experiments.train.policy_report import write_report
    from experiments.train.stages import Training, check, make, test, train

    check(settings)  # before the run folder: bad settings leave nothing behind
    show = Show()
    training = Training(settings, open_run(settings.out, "train-policy", settings, settings.resume))
    run_folder = training.run
    show.note(f"run folder: {run_folder.path} (if stopped, go on with --resume {run_folder.path})")
    standing = train(training, show)
    names = make(settings, 1).unwrapped.catalogue.names
    if names is not None:  # beside the policies, so that logs of these items are read by their ids
        run_folder.write_text(NAMES, "\n".join(names) + "\n")
    print(write_report(run_folder, settings, standing, test(training, show)))
    print(f"written: {run_folder.path / 'report.html'}")
    return 0
