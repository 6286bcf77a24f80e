// Tables of indicators.

import { el, inUnit } from "./format.js";
import { interval } from "./served.js";

/** A table that scrolls by itself where it is too wide. */
export function table(label, heads, rows) {
  const head = heads.map((text, i) => el("th", { scope: "col", class: i ? "number" : null }, text));
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)),
  );
}

/** A value with its interval below it. */
export function cell(sli) {
  if (!sli || sli.value === null) return el("td", { class: "number" }, "–");
  const range = interval(sli);
  return el(
    "td",
    { class: `number ${sli.verdict ?? ""}` },
    inUnit(sli.value, sli.unit),
    range ? el("small", {}, range) : null,
  );
}

export function note(text) {
  return el("p", { class: "calm" }, text);
}
