"""The page in a real browser: wide and narrow, light and dark, with a token and with errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from serving.http.running import running
from tests.serving.page.factories import NAMES, chromium, shop

TOKEN = "a-token-of-some-length"
WIDTHS, SCHEMES = (400, 1400), ("light", "dark")
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
CONTRAST = """() => {
  // Text whose contrast to what is behind it is below WCAG's AA.
  const channel = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const read = (s) => s.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) =>
    0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = read(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const bad = [];
  let seen = 0;
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !e.checkVisibility()) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(read(style.color)), light(behind(e))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    seen += 1;
    if ((a + 0.05) / (b + 0.05) < (large ? 3 : 4.5)) bad.push(e.className + ": " + e.textContent);
  }
  return [seen, bad];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running(shop()) as one:
        yield one


@contextmanager
def opened(browser: Any, url: str, *, width: int = 1400, scheme: str = "light") -> Iterator[Any]:
    """The page, of which nothing may stand on the console."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, said = context.new_page(), list[str]()
    page.set_default_timeout(20_000)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(url)
    yield page
    context.close()
    assert [text for text in said if "status of 4" not in text] == []  # the browser's own, on 4xx


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
