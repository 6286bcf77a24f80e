"""The report of a world fitted to served slates: numbers, pictures and files."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.calibrate.pictures import FAKE, REAL, labelled
from experiments.calibrate.served import Judged
from experiments.common.pictures import one_panel
from experiments.common.run_folder import RunFolder
from experiments.common.tables import markdown_table, text_table
from experiments.common.truth import mean
from offpolicy.page import html as page
from offpolicy.pictures import png
from recsim_env.calibration.served.replay import Sessions
from recsim_env.calibration.spread import warning

Lines = list[dict[str, str]]
NOTE = (
    "Fitted to four fifths of the sessions and judged by the others; a constant is fitted to the "
    "same sessions as the part beside it; [ ] is 95 % over sessions. Simulated users are shown "
    "slates drawn from those of the log at the same step: what a logging policy that looks at its "
    "users owes to that is lost."
)


def score_lines(judged: Judged) -> Lines:
    """Each part beside a constant."""
    return [
        {
            "part": row.part,
            "fitted": f"{row.fitted:.4f}",
            "constant": f"{row.constant:.4f}",
            "gain": f"{row.gain:.4f} [{row.low:.4f}, {row.high:.4f}]",
            "gains": {True: "yes", False: "NO", None: "cannot tell"}[row.gains],
            "held-out measure": f"{row.measure}, {row.better} is better",
        }
        for row in judged.scores
    ]


def session_lines(judged: Judged) -> Lines:
    """Sessions of the log beside simulated ones, and of each logger."""
    pairs = [("held-out sessions", judged.held, judged.simulated)]
    pairs += [(f"logger {x.name}", x.logged, x.simulated) for x in judged.loggers]
    return [
        {
            "sessions": name,
            "reward, logged": with_interval(real.returns),
            "reward, simulated": with_interval(fake.returns),
            "decisions, logged": f"{real.steps.mean():.2f}",
            "simulated": f"{fake.steps.mean():.2f}",
            "taken, logged": f"{real.take_rate:.3f}",
            "taken, simulated": f"{fake.take_rate:.3f}",
        }
        for name, real, fake in pairs
    ]


def with_interval(values: Any) -> str:
    """A mean with its 95 % interval."""
    m = mean(values)
    return f"{m.value:.2f} [{m.low:.2f}, {m.high:.2f}]"


def sentences(judged: Judged) -> list[str]:
    """What else is known of the world, in words."""
    s, rank = judged.spread, judged.rank_correlation
    out = [
        f"Chances of leaving are off by {judged.calibration.error:.4f} on average, in ten bins of "
        "held-out decisions.",
        f"Uniform slates earn {s.uniform:.2f} a session here, the greedy oracle {s.greedy:.2f} and "
        f"look-ahead {s.ahead:.2f}.",
    ]
    if rank is not None:
        out.append(f"The world ranks the loggers as the log does by {rank:.2f} (Spearman).")
    if judged.world.config.leave_base <= -50:
        out.append("The log does not tell when users leave (`terminated`): they stay here.")
    said = warning(s)
    return out if said is None else [*out, f"WARNING: {said}"]


def pictures_of(judged: Judged) -> dict[str, Figure]:
    """The report's pictures by their captions."""
    return {
        "Reward by step, users who left counted 0": by_step(judged.held, judged.simulated),
        "Share of sessions with at least so many decisions": lengths(judged.held, judged.simulated),
        "Chance of leaving after a decision, in ten bins": leaving(judged),
    }


def by_step(real: Sessions, fake: Sessions) -> Figure:
    """Mean reward at each step."""
    figure, axes = one_panel(6.0, 3.6)
    for one, colour, name in ((real, REAL, "logged"), (fake, FAKE, "simulated")):
        axes.plot(np.arange(len(one.by_step)), one.by_step, color=colour, label=name, lw=1.6)
    return labelled(figure, axes, "step", "reward")


def lengths(real: Sessions, fake: Sessions) -> Figure:
    """Share of sessions that last so long."""
    figure, axes = one_panel(6.0, 3.6)
    for one, colour, name in ((real, REAL, "logged"), (fake, FAKE, "simulated")):
        steps = np.sort(one.steps)
        axes.step(steps, 1 - np.arange(len(steps)) / len(steps), color=colour, label=name, lw=1.6)
    return labelled(figure, axes, "decisions", "share of sessions with as many or more")


def leaving(judged: Judged) -> Figure:
    """Predicted against observed."""
    figure, axes = one_panel(4.5, 3.6)
    c = judged.calibration
    top = float(max(c.predicted.max(), c.observed.max(), 1e-9))
    axes.plot([0, top], [0, top], color=REAL, lw=0.8)
    axes.plot(c.predicted, c.observed, "o", color=FAKE, ms=5)
    return labelled(figure, axes, "predicted", "observed")


def write(folder: RunFolder, name: str, judged: Judged) -> None:
    """Print the report; write scores.json, scores.md and report.html beside the world."""
    parts, sessions, words = score_lines(judged), session_lines(judged), sentences(judged)
    title = f"A world fitted to the served log {name}"
    print(f"\n{title}\n\n{text_table(parts)}\n\n{text_table(sessions)}\n")
    print("\n".join(words))
    record = {
        "scores": [row._asdict() | {"gains": row.gains} for row in judged.scores],
        "leaving": judged.calibration._asdict(),
        "sessions": sessions,
        "rank_correlation": judged.rank_correlation,
        "spread": judged.spread._asdict() | {"tells": judged.spread.tells},
        "coefficients": asdict(judged.world.config),
    }
    folder.write_json("scores.json", record)
    text = markdown_table(parts) + "\n" + markdown_table(sessions) + "\n" + "\n\n".join(words)
    folder.write_text("scores.md", text + "\n")
    shown = [page.picture(png(figure), caption) for caption, figure in pictures_of(judged).items()]
    sections = [
        page.section("Parts", page.table(parts), page.paragraph(NOTE)),
        page.section("Sessions", page.table(sessions), page.bullets(words)),
        page.section("Pictures", *shown),
    ]
    folder.write_text("report.html", page.page(title, words[-1], sections))
