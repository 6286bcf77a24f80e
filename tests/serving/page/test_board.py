"""The board in a real browser: three views, wide and narrow, with and without a rollout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.http.running import running
from tests.serving.page.boards import board_shop
from tests.serving.page.factories import chromium, shop
from tests.serving.page.looking import CONTRAST, OVERFLOW, opened

VIEWS = ("executive", "on-call", "debug")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("registry")
    with running(board_shop(folder)) as one:
        yield one


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_view_fits_and_can_be_read(browser: Any, url: str, width: int, scheme: str) -> None:
    for view in VIEWS:
        with opened(browser, f"{url}/board#{view}", width=width, scheme=scheme) as page:
            page.wait_for_selector("#seen:not(:empty)")
            parts = page.locator("[data-view]:visible")
            assert {part.get_attribute("data-view") for part in parts.all()} == {view}
            assert page.evaluate(OVERFLOW) == 0, view
            seen, bad = page.evaluate(CONTRAST)
            assert seen > 20
            assert bad == [], view


def test_what_the_views_say(browser: Any, url: str) -> None:
    """The canary falls back in a quarter of its answers, control's log is silent, and the uplift
    in decisions is below 0 with its whole interval; the views are changed by keyboard."""
    with opened(browser, f"{url}/board") as page:
        page.wait_for_selector(".alarm")
        fallback = page.locator('[data-alarm="LongplayFallbackBurnsFast"]')
        assert "likes@8" in fallback.inner_text()
        assert "likes@7" in page.locator('[data-alarm="LongplayLogSilence"]').inner_text()
        kinds = [each.get_attribute("class") for each in page.locator(".alarm").all()]
        assert kinds == sorted(kinds)  # pages before tickets
        assert page.title().startswith(f"({len(kinds)})")
        assert page.locator('[data-sli="fallback"] .state').inner_text() == "missed"
        page.focus('input[value="on-call"]')
        page.keyboard.press("ArrowRight")
        assert page.locator("#why").inner_text().split()[-1] == "63"
        wrong = page.locator('[data-sli="fallback"] td').nth(2)
        assert "25.2" in wrong.inner_text()
        page.check('input[value="executive"]', force=True)
        assert page.locator('#rollout [aria-current="step"]').inner_text().startswith("5")
        said = page.locator("#value tbody tr").all_inner_texts()
        assert any("reward" in one and "cannot tell yet" in one for one in said)
        assert any("decisions" in one and "worse" in one for one in said)
        roles = page.locator("#versions tbody tr").all_inner_texts()
        assert [one.split()[1] for one in roles] == ["previous", "live", "canary"]


def test_a_server_without_a_registry_has_a_board_too(browser: Any) -> None:
    with running(shop()) as url, opened(browser, f"{url}/board#executive") as page:
        page.wait_for_selector("#seen:not(:empty)")
        assert "No rollout" in page.locator("#rollout").inner_text()
        assert "likes@7" in page.locator("#versions").inner_text()
