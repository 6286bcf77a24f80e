"""What `longplay train-policy` says: a line a round, and the page of a finished run."""

from __future__ import annotations

from typing import Any

from experiments.common import pictures
from experiments.common.run_folder import RunFolder
from experiments.train.learning import Row, Standing
from experiments.train.policy_settings import Settings
from offpolicy.page import html as page
from offpolicy.pictures import png


def write_report(
    run: RunFolder, settings: Settings, standing: Standing, tested: dict[str, Any]
) -> str:
    """report.html and report.json in the run folder; the sentence that sums them up."""
    s = settings
    curve = [{"policy": s.policy, **row} for row in standing.rows]
    value, gain = tested["value"], tested["gain"]
    summary = (
        f"{s.policy} in {s.world}: {interval(value)} a session over {s.test_sessions:,} sessions "
        f"of other users, {interval(gain, sign='+')} more than uniform slates on the same "
        f"users; best of {len(standing.rows)} points, after "
        f"{standing.rows[standing.best]['decisions']:,.0f} decisions; "
        f"{tested['coverage']:.0%} of the catalogue shown"
    )
    run.write_json("report.json", {"said": summary, "best": standing.best, "test": tested})
    parts = [
        page.section(
            "Learning curve",
            page.picture(
                png(pictures.learning_curves(curve)),
                f"Return of a session on the same {s.sessions:,} held-out users",
            ),
        ),
        page.section(
            "Along the session",
            page.picture(
                png(pictures.reward_by_step(tested["by_step"])),
                "Mean reward at each step of a session, users who left counted 0",
            ),
        ),
        page.section("Rounds", page.table([cells(row) for row in standing.rows])),
        page.fold("Settings", (run.path / "settings.json").read_text("utf-8")),
        page.paragraph(
            "best/ is the policy of the best point: policies.load reads it. The best of several "
            "points flatters itself on the held-out users; the test users chose nothing."
        ),
    ]
    run.write_text("report.html", page.page(f"{s.policy} in {s.world}", summary, parts))
    return summary


def interval(value: dict[str, float], sign: str = "") -> str:
    """A mean and its interval."""
    return f"{value['value']:{sign}.2f} [{value['low']:{sign}.2f}, {value['high']:{sign}.2f}]"


def line(row: Row, standing: Standing) -> str:
    """One round as a line of text."""
    star = " (best)" if standing.best == row["round"] else ""
    return (
        f"round {row['round']:>3.0f}, {row['decisions']:>11,.0f} decisions: "
        f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}], "
        f"{row['gain']:+.2f} [{row['gain_low']:+.2f}, {row['gain_high']:+.2f}] "
        f"against uniform{star}"
    )


def cells(row: Row) -> dict[str, str]:
    """One round as cells of a table."""
    return {name: f"{value:,.4g}" for name, value in row.items()}
