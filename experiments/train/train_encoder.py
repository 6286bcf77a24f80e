"""`longplay train-encoder`: one encoder on one data set, to a checkpoint and its test figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from experiments.common.run_folder import RunFolder, made_with
from experiments.common.show import Show
from experiments.data.datasets import Interactions, SplitName, load
from experiments.train.encoder_settings import settings_for
from policies.encoders import ENCODERS, Encoder
from policies.encoders.data.splits import SeenRule, Split, repeat_notes, ruled, sampled
from policies.encoders.evaluate import Metric, beyond_accuracy, judge, metrics, protocol
from policies.encoders.models.mixture import Mixture
from policies.saving.checkpoint import save


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Train one encoder, test it, save it. Run again with the same --out to go on after a kill.

    Under torchrun the processes share each batch: torchrun --nproc-per-node 2 -m experiments
    train-encoder ...
    """

    data: str
    """ml-100k, ml-1m, amazon-beauty, coat, or a table (.csv, .parquet, .jsonl) of user, item,
    timestamp and, where there is one, reward; ids of any kind."""
    columns: tuple[str, ...] = ()
    """What the columns of a file are called, ours=theirs: item=track_id timestamp=played_at
    reward=completed; or a .yaml that longplay inspect wrote."""
    model: str = "mixture"
    """mixture (of filter and markov), popularity, markov, average, gru4rec, sasrec, esasrec,
    bert4rec or filter."""
    data_root: Path | None = None
    """Folder that holds the data sets; the variable LONGPLAY_DATA otherwise."""
    split: SplitName = "leave-one-out"
    """What is held out; development: the last training events, to choose settings on."""
    seen: SeenRule = "auto"
    """What becomes of items that a user had before: filter (they leave the ranking, a target among
    them is missed), keep, new (as filter, and only new targets are asked); auto: keep where anybody
    repeats an item, else filter."""
    set: tuple[str, ...] = ()
    """Settings of the encoder that differ from the recipe: epochs=30 lr=0.002 ...; of
    the parts of a mixture: first=gru4rec first.epochs=30 second.skip=10 pool=linear ..."""
    known_items: bool = False
    """Networks begin at what the data set says of its items (genres, brand and categories)."""
    tensorboard: bool = False
    """Also write the learning curve for TensorBoard (needs the package)."""
    out: Path | None = None
    """Folder of this run; results/encoder-DATA-MODEL by default."""


@dataclass(frozen=True, slots=True)
class Tested:
    """An encoder's figures on a test set, and what they cost."""

    metrics: list[Metric]
    lists: dict[str, float]  # see evaluate.beyond_accuracy
    rank: NDArray[np.float64]  # (Q,) for paired comparisons
    group: NDArray[np.int64] | None  # (Q,) whose query it is; what intervals resample
    fit_cpu_seconds: float
    epochs: int


def run(settings: Settings) -> int:
    """Train, test, save, print."""
    from policies.encoders.training.parallel import ProcessGroup

    world = ProcessGroup.join()
    data = load(settings.data, settings.data_root, settings.columns)
    split = ruled(data.split(settings.split), settings.seen)
    split.check()
    if settings.known_items:
        split = begun_at_topics(split, data)
    chosen = settings_for(settings.model, split, settings.set)
    folder = settings.out or Path("results") / f"encoder-{data.name}-{settings.model}"
    show = Show(Console(highlight=False, quiet=world.rank > 0))
    for said in (*data.notes, *repeat_notes(split.test), f"{data.name}: {describe(split)}"):
        show.note(said)
    board = folder / "tensorboard" if settings.tensorboard and world.rank == 0 else None
    encoder = fit(
        settings.model, chosen, split, show=show, folder=folder / "training", board=board,
        world=world,
    )  # fmt: skip
    if world.rank == 0:
        tested = figures(encoder, split)
        write(RunFolder(folder), settings, data, split, encoder, tested)
        print(table(tested))
        print(f"written: {folder / 'checkpoint'}")
    return 0


def begun_at_topics(split: Split, data: Interactions) -> Split:
    """The same split, its items described by their topics.

    Raises:
        ValueError: nothing is known of the data set's items.
    """
    if data.topics is None:
        raise ValueError(f"nothing is known of the items of {data.name}: leave out --known-items")
    described = replace(split.train, item_features=data.topics.astype(np.float32))
    return replace(split, train=described)


def fit(
    model: str,
    settings: dict[str, Any],
    split: Split,
    *,
    show: Show,
    folder: Path | None = None,
    board: Path | None = None,
    world: Any = None,
) -> Encoder:
    """Build and train; networks stop early on the validation queries, where there are any, and
    report every epoch.

    With `board`, the learning curve also goes to TensorBoard there.
    """
    encoder = ENCODERS[model](**settings)
    if isinstance(encoder, Mixture):
        return mix(encoder, split, show=show, folder=folder, board=board, world=world)
    if not hasattr(encoder, "curve"):
        return encoder.fit(split.train)
    epochs, learn, write = encoder.config.epochs, encoder.fit, _writer(board)
    valid = sampled(split.valid) if len(split.valid) else None
    if valid is None:
        show.note(f"no validation queries under {split.rule}: all {epochs} epochs are trained")
    with show.stage(f"{model}, at most {epochs} epochs") as update:

        def report(line: Any) -> None:
            update((line.epoch + 1) / epochs)
            write(line)
            score = "" if valid is None else f", validation NDCG@10 {line.score:.4f}"
            show.note(
                f"epoch {line.epoch + 1:>3} of {epochs}: loss {line.loss:.4f}{score}, "
                f"{line.targets / line.cpu_seconds:,.0f} targets per CPU-second"
            )

        learned: Any = learn
        trained: Encoder = learned(
            split.train, valid=valid, report=report, folder=folder, world=world
        )
    return trained


def mix(
    encoder: Mixture,
    split: Split,
    *,
    show: Show,
    folder: Path | None = None,
    board: Path | None = None,
    world: Any = None,
    parts: Sequence[Encoder] = (),
) -> Encoder:
    """A mixture of `parts`, which are trained where none are given; its share is chosen on the
    validation queries, where there are any."""
    config = encoder.config
    if not parts:
        parts = [
            fit(name, dict(own), split, show=show, folder=folder and folder / place, board=board,
                world=world)
            for place, name, own in (
                ("first", config.first, config.first_settings),
                ("second", config.second, config.second_settings),
            )
        ]  # fmt: skip
    encoder.join(*parts, valid=split.valid if len(split.valid) else None)
    names = f"{encoder.share:.2f} of {config.first} and {1 - encoder.share:.2f} of {config.second}"
    show.note(f"mixture: {names}")
    return encoder


def _writer(board: Path | None) -> Callable[[Any], None]:
    """A function that adds one epoch to TensorBoard's files; does nothing without a folder."""
    if board is None:
        return lambda line: None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "--tensorboard needs an extra: pip install 'longplay[tensorboard]'"
        ) from error
    writer: Any = SummaryWriter(str(board))

    def write(line: Any) -> None:
        writer.add_scalar("loss", line.loss, line.epoch)
        writer.add_scalar("validation NDCG@10", line.score, line.epoch)
        writer.flush()

    return write


def figures(encoder: Encoder, split: Split) -> Tested:
    """Figures on the test queries, with intervals over users."""
    judged = judge(encoder, split.test)
    parts = getattr(encoder, "parts", (encoder,))
    curve = [line for part in parts for line in getattr(part, "curve", [])]
    return Tested(
        metrics=metrics(judged.rank, group=split.test.history.users),
        lists=beyond_accuracy(judged, split.test, split.train.counts()),
        rank=judged.rank,
        group=split.test.history.users,
        fit_cpu_seconds=sum(line.cpu_seconds for line in curve),
        epochs=len(curve),
    )


def write(
    run_folder: RunFolder,
    settings: Settings,
    data: Interactions,
    split: Split,
    encoder: Encoder,
    tested: Tested,
) -> None:
    """checkpoint/, report.json and settings.json."""
    digest = save(
        encoder, run_folder.path / "checkpoint", catalogue=data.catalogue, items=data.items
    )
    run_folder.write_json(
        "settings.json", {"settings": dataclasses.asdict(settings), "made": made_with()}
    )
    run_folder.write_json(
        "report.json",
        {
            "data": data.name,
            "split": split.rule,
            "protocol": protocol(split.test),
            "queries": len(split.test),
            "encoder": encoder.name,
            "config": dataclasses.asdict(encoder.config),
            "checkpoint_sha256": digest,
            "metrics": [dataclasses.asdict(m) for m in tested.metrics],
            "lists": tested.lists,
            "epochs": tested.epochs,
            "fit_cpu_seconds": tested.fit_cpu_seconds,
        },
    )


def describe(split: Split) -> str:
    """Sizes and protocol in one line."""
    return (
        f"{len(split.train):,} users, {split.train.n_events:,} training events, "
        f"{split.train.n_items:,} items; {split.rule}; {len(split.test):,} test queries; "
        f"{protocol(split.test)}"
    )


def table(tested: Tested) -> str:
    """The figures as lines of text."""
    lines = [f"{m.name:<12} {m.value:.4f} [{m.low:.4f}, {m.high:.4f}]" for m in tested.metrics]
    lines += [f"{name:<16} {value:.3f}" for name, value in tested.lists.items()]
    return "\n".join(lines)
