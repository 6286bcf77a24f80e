"""The page in a real browser: wide and narrow, light and dark, with a token and with errors."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from serving.http.running import running
from tests.serving.page.factories import NAMES, chromium, shop
from tests.serving.page.looking import CONTRAST, OVERFLOW, opened

TOKEN = "a-token-of-some-length"
WIDTHS, SCHEMES = (400, 1400), ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running(shop()) as one:
        yield one


def type_history(page: Any, *names: str) -> None:
    for name in names:
        page.fill("#item", name)
        page.press("#item", "Enter")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_history_is_typed_and_a_slate_and_its_reasons_are_seen(
    browser: Any, url: str, width: int, scheme: str
) -> None:
    with opened(browser, url, width=width, scheme=scheme) as page:
        page.wait_for_selector(".tile")
        assert page.locator("#facts dd").all_inner_texts()[0] == "likes@7"
        assert page.locator('[data-sli="violations"] .state').inner_text() == "on target"
        assert page.locator('[data-sli="success"] .state').inner_text() == "cannot tell yet"
        type_history(page, "Blue Harbour", "Blue Letters")
        page.click("#go")
        page.wait_for_selector("#slate li")
        slate = page.locator("#slate .name").all_inner_texts()
        assert len(slate) == 5
        assert {*slate} < {*NAMES}
        assert "encoder +" in page.locator("#slate .made").first.inner_text()
        assert "a history of 2 items" in page.locator("#said").inner_text()
        page.locator("#moved summary").first.click()
        assert page.locator("#moved details[open] tbody tr").count() == 5
        reasons = page.locator('.reason[aria-label="already taken"]').inner_text()
        assert "took it" in reasons
        assert "Blue Letters" in reasons
        page.locator(".reason button").first.click()
        page.locator("#more summary").click()
        page.locator("#options summary").click()
        assert page.evaluate(OVERFLOW) == 0
        seen, bad = page.evaluate(CONTRAST)
        assert seen > 100
        assert bad == []
        page.evaluate("document.documentElement.style.setProperty('--soft', 'var(--line)')")
        assert page.evaluate(CONTRAST)[1] != []  # a fault is seen


def test_a_slate_by_keyboard_alone(browser: Any, url: str) -> None:
    with opened(browser, url) as page:
        page.wait_for_selector(".tile")
        page.focus("#item")
        for key in ("Amber Tides", "\n", "Amber Rooms", "\n"):
            page.keyboard.press("Enter") if key == "\n" else page.keyboard.type(key)
        assert page.locator("#history li").count() == 2
        page.keyboard.press("Backspace")  # takes the last one back into the field
        assert page.input_value("#item") == "Amber Rooms"
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")  # an empty field: ask
        page.wait_for_selector("#slate li")
        assert "Amber Rooms" in page.locator('.reason[aria-label="already taken"]').inner_text()


def test_an_unknown_item_is_named_where_it_stands(browser: Any, url: str) -> None:
    with opened(browser, url, width=400) as page:
        type_history(page, "Blue Tides", "<b>Nobody</b> knows it")
        page.click("#go")
        page.wait_for_selector("#history-error:not([hidden])")
        assert "<b>Nobody</b> knows it" in page.locator("#history-error").inner_text()
        assert page.locator("#history li.unknown span").inner_text() == "<b>Nobody</b> knows it"
        assert page.locator("#history b").count() == 0  # text is no markup
        assert page.evaluate("document.activeElement.id") == "item"
        assert page.get_attribute("#item", "aria-invalid") == "true"
        page.click('button[aria-label^="Remove <b>"]')
        page.click("#go")
        page.wait_for_selector("#slate li")
        assert page.locator("#history-error").is_hidden()


def test_names_are_completed(browser: Any, url: str) -> None:
    with opened(browser, url) as page:
        page.fill("#item", "quiet s")
        page.wait_for_selector("#names option", state="attached")
        values = page.eval_on_selector_all("#names option", "all => all.map(one => one.value)")
        assert values == ["Quiet Signals", "Quiet Summer"]


def test_users_and_decisions_are_explained(browser: Any, url: str) -> None:
    with opened(browser, url) as page:
        page.check('input[value="user"]', force=True)
        page.fill("#user", "user 3")
        page.click("#go")
        page.wait_for_selector("#slate li")
        page.check('input[value="decision_id"]', force=True)
        page.fill("#decision_id", "r30")
        page.click("#go")
        page.get_by_text("Decision r30").wait_for()
        page.fill("#decision_id", "nothing")
        page.click("#go")
        page.wait_for_selector("#decision_id-error:not([hidden])")


def test_a_token_is_asked_for_and_kept_in_memory_alone(browser: Any) -> None:
    with running(shop(token=TOKEN)) as url, opened(browser, url) as page:
        page.wait_for_selector("#status-error:not([hidden])")
        assert "access token" in page.locator("#status-error").inner_text()
        assert page.locator(".tile").count() == 0
        page.fill("#token", "a wrong one")
        page.press("#token", "Enter")
        page.wait_for_selector("#token-note:not(:empty)")
        assert page.locator("#token-note").inner_text() == "Not accepted."
        page.fill("#token", TOKEN)
        page.press("#token", "Enter")
        page.wait_for_selector(".tile")
        type_history(page, "Blue Tides")
        page.click("#go")
        page.wait_for_selector("#slate li")
        assert page.evaluate("localStorage.length + sessionStorage.length") == 0
        assert page.context.cookies() == []
        page.reload()
        page.wait_for_selector("#status-error:not([hidden])")


def test_what_is_needed_is_labelled(browser: Any, url: str) -> None:
    """Every field has a name, headings go down by one, ids are unique, and one part is the main."""
    with opened(browser, url) as page:
        page.wait_for_selector(".tile")
        type_history(page, "Blue Tides")
        page.click("#go")
        page.wait_for_selector("#slate li")
        unnamed = """all => all.filter(e => !(e.labels?.length || e.getAttribute("aria-label")
            || e.textContent.trim())).map(e => e.outerHTML)"""
        assert page.eval_on_selector_all("input, textarea, button", unnamed) == []
        levels = page.eval_on_selector_all(
            "h1, h2, h3, h4", "all => all.map(e => Number(e.tagName[1]))"
        )
        assert levels[0] == 1
        assert all(b - a <= 1 for a, b in pairwise(levels))
        ids = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
        assert len({*ids}) == len(ids)
        assert page.locator("main").count() == 1
        assert page.get_attribute("html", "lang") == "en"
        assert page.get_attribute("#said", "role") == "status"
