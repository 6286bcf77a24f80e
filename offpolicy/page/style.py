"""The stylesheet of all pages: light and dark, wide and 400 pixels; of `.longplay` alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from offpolicy.page.colours import DARK, LIGHT

INK = {  # name -> light, dark
    "bg": ("#ffffff", "#14181d"), "panel": ("#f4f6f8", "#1e242b"), "ink": ("#1d2733", "#e6eaee"),
    "soft": ("#4c5a68", "#a9b4bf"), "line": ("#dfe5ea", "#333c46"), "edge": ("#b9c3cc", "#55616d"),
    "pass": ("#17713f", "#63d39a"), "fail": ("#a32244", "#ff8fa9"), "open": ("#5d6974", "#b3bdc7"),
    "wrong": ("#fbe3e8", "#5a1a2b"), "warn": ("#fff4d6", "#42370f"), "grey": ("#8b96a1", "#7d8893"),
}  # fmt: skip

RULES = """
.longplay { color-scheme: light dark; background: var(--bg); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
.longplay a { color: inherit; }
.longplay h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .3rem; }
.longplay h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
.longplay h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
.longplay p { max-width: 48rem; }
.longplay p.lead, .longplay p.facts { color: var(--soft); margin: 0 0 1rem; }
.longplay .answer { background: var(--panel); border-left: .4rem solid var(--open);
  padding: .8rem 1rem; margin: 1rem 0; border-radius: .2rem; }
.longplay .answer p { margin: .3rem 0; }
.longplay .answer p.first { font-size: 1.15rem; font-weight: 600; margin-top: 0; }
.longplay .answer.pass { border-color: var(--pass); }
.longplay .answer.fail { border-color: var(--fail); }
.longplay .warning { background: var(--warn); padding: .6rem 1rem; border-radius: .2rem; }
.longplay .scroll { overflow-x: auto; max-width: 100%; }
.longplay table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: .88rem; margin: .6rem 0; background: var(--bg); }
.longplay th, .longplay td { padding: .32rem .6rem; border-bottom: 1px solid var(--line);
  text-align: right; white-space: nowrap; background: var(--bg); color: inherit; }
.longplay th:first-child, .longplay td:first-child { text-align: left; position: sticky; left: 0;
  max-width: 16rem; white-space: normal; overflow-wrap: break-word; }
.longplay th { color: var(--soft); font-weight: 600; border-bottom: 2px solid var(--edge);
  vertical-align: bottom; white-space: normal; }
.longplay tr.grey td { color: var(--grey); }
.longplay td.left { text-align: left; white-space: normal; min-width: 14rem; }
.longplay .badge { font-weight: 700; white-space: nowrap; }
.longplay .badge.pass { color: var(--pass); } .longplay .badge.fail { color: var(--fail); }
.longplay .badge.unknown { color: var(--open); }
.longplay .badge.wrong { background: var(--wrong); color: var(--fail); padding: 0 .3rem; }
.longplay .swatch { display: inline-block; width: .8em; height: .8em; border-radius: .15em;
  margin-right: .4em; vertical-align: -.05em; }
.longplay abbr { text-decoration: underline dotted var(--edge); cursor: help; }
.longplay figure { margin: .8rem 0 1.2rem; max-width: 46rem; }
.longplay figcaption { color: var(--soft); font-size: .88rem; max-width: 46rem; }
.longplay figure img { max-width: 100%; background: #fff; border-radius: .2rem; }
.longplay svg { display: block; width: 100%; height: auto; }
.longplay svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
.longplay svg text.name { fill: var(--ink); }
.longplay svg .axis { stroke: var(--line); stroke-width: 1; }
.longplay svg .zero { stroke: var(--edge); stroke-width: 1.2; stroke-dasharray: 3 3; }
.longplay .narrow { display: none; }
.longplay ul.legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; list-style: none;
  padding: 0; margin: .2rem 0 .3rem; font-size: .85rem; }
.longplay details { margin: .7rem 0; }
.longplay summary { cursor: pointer; font-weight: 600; }
.longplay pre { background: var(--panel); padding: .8rem; overflow-x: auto; font-size: .8rem; }
.longplay dl { font-size: .9rem; } .longplay dt { font-weight: 600; }
.longplay dd { margin: 0 0 .4rem 1rem; color: var(--soft); }
.longplay ol.session { list-style: none; margin: 0; padding: 0; min-width: 13rem; }
.longplay .beside { display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); }
.longplay .beside table { width: 100%; }
.longplay .taken { font-weight: 700; border-bottom: 2px solid currentColor; }
.longplay .again { color: var(--grey); font-style: italic; }
@media (max-width: 620px) {
  .longplay .wide { display: none; } .longplay .narrow { display: block; }
  .longplay th, .longplay td { padding: .3rem .4rem; }
  .longplay th:first-child, .longplay td:first-child { max-width: 8.2rem; min-width: 6.4rem; }
}
""".strip()

PAGE = """
html { background: var(--bg); } body { margin: 0; }
main.longplay { max-width: 78rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
""".strip()


def variables(places: Mapping[str, tuple[str, str]], nth: int) -> str:
    """The variables of one scheme."""
    return " ".join(f"--{name}: {pair[nth]};" for name, pair in places.items())


def style(scope: str) -> str:
    """The whole stylesheet; `scope` is the element that holds the variables."""
    both = INK | {f"p{i}": pair for i, pair in enumerate(zip(LIGHT, DARK, strict=True))}
    light, dark = (variables(both, nth) for nth in (0, 1))
    return "\n".join(_sheet(scope, light, dark))


def _sheet(scope: str, light: str, dark: str) -> Iterable[str]:
    yield f"{scope} {{ {light} }}"
    yield f"@media (prefers-color-scheme: dark) {{ {scope} {{ {dark} }} }}"
    yield RULES
