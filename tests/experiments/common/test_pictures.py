"""Pictures write the names that users gave as they are."""

from __future__ import annotations

from io import BytesIO

from experiments.common.pictures import reward_by_step


def test_names_are_no_formulas() -> None:
    figure = reward_by_step({"logging policy": [1.0, 2.0], r"$\frac$": [1.0, 1.0], "_own": [2, 1]})
    figure.savefig(BytesIO(), format="png")  # a formula that is none stops here
    legend = figure.axes[0].get_legend()
    assert legend is not None
    shown = [text.get_text().replace(r"\$", "$").strip() for text in legend.get_texts()]
    assert shown == ["logging policy", r"$\frac$", "_own"]
