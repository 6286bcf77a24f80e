"""The report of a fitted world: numbers, pictures and files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from experiments.calibrate import pictures as draw
from experiments.calibrate.fidelity import Comparison, Lists, Marginal
from experiments.common.run_folder import RunFolder
from experiments.common.tables import markdown_table, text_table
from offpolicy.page import html as page
from offpolicy.pictures import png
from recsim_env.calibration.world import FittedWorld

Attention = tuple[NDArray[np.float64], NDArray[np.float64]]  # by place, and its standard errors
NOTE = (
    "Fitted to one half of the users and compared with the other half. The column real halves "
    "compares the two halves with each other: what no simulator can beat."
)
TELLS = "AUC of each feature alone, .5 = tells nothing:"


def pictures_of(
    real: Lists,
    fake: Lists,
    world: FittedWorld,
    seen: Attention | None,
) -> dict[str, Figure]:
    """The report's pictures by their captions."""
    catalogue = world.catalogue
    pictures = {
        "Share of all consumption by rank of the item": draw.popularity_curve(
            real, fake, len(catalogue)
        ),
        "Share of users with at least so many items": draw.session_lengths(real, fake),
        "From topic to next topic, the twelve most frequent": draw.topic_pairs(
            real, fake, catalogue.topics
        ),
    }
    if seen is not None:
        caption = "Attention by place with 95 % intervals (Open Bandit, uniform policy)"
        pictures[caption] = draw.attention(*seen)
    return pictures


def write(
    folder: RunFolder,
    name: str,
    title: str,
    compared: Comparison,
    pictures: dict[str, Figure],
) -> None:
    """Print the comparison; write fidelity.json, fidelity.md and report.html."""
    lines = table(compared.rows, compared.floor)
    coefficients, tells = said(compared.coefficients), said(compared.tells, TELLS)
    print(f"\n{title}\n\n{text_table(lines)}\n\n{coefficients}\n{tells}")
    record = {
        "fidelity": [row._asdict() for row in compared.rows],
        "floor": [row._asdict() for row in compared.floor],
        "coefficients": compared.coefficients,
        "tells": compared.tells,
    }
    folder.write_json("fidelity.json", record)
    folder.write_text("fidelity.md", markdown_table(lines))
    parts = [
        page.section("Real and simulated", page.table(lines), page.paragraph(NOTE)),
        page.section("Pictures", *(page.picture(png(f), c) for c, f in pictures.items())),
        page.section("Fitted", page.paragraph(coefficients), page.paragraph(tells)),
    ]
    folder.write_text("report.html", page.page(f"A world fitted to {name}", title, parts))


def table(rows: Sequence[Marginal], floor: Sequence[Marginal]) -> list[dict[str, str]]:
    """Lines of the report."""
    return [
        {
            "marginal": row.name,
            "real": f"{row.real:.3f}",
            "simulated": f"{row.simulated:.3f}",
            "distance": f"{row.distance:.3f}",
            "real halves": f"{least.distance:.3f}",
            "measured as": row.measure,
        }
        for row, least in zip(rows, floor, strict=True)
    ]


def said(values: dict[str, float], before: str = "coefficients:") -> str:
    """Names and numbers in one sentence."""
    return f"{before} " + ", ".join(f"{name} {value:.3g}" for name, value in values.items())
