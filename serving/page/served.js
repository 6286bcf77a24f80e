// What is served, and how well.

import { duration, el, inUnit, number } from "./format.js";

const STATES = { ok: "on target", missed: "missed", unsure: "cannot tell yet", none: "no data yet" };
const SHORT = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
const OPS = { "<=": "≤", ">=": "≥", "=": "=" };

export function showServed(status, facts) {
  const since = status.since ? new Date(1000 * status.since) : null;
  const ago = since ? `${duration((Date.now() - since.getTime()) / 1000)} ago` : null;
  const rows = [
    ["Policy", status.policy, status.versions?.length > 1 ? `of ${status.versions.length} versions` : null],
    ["SHA-256", status.sha256 ? status.sha256.slice(0, 12) : "not given", null, status.sha256],
    ["Since", since ? since.toLocaleString("en-GB", SHORT) : "–", ago],
    ["Items", number(status.items), null],
    ["Slate", `${status.slate_size} places`, null],
    ["Rules", String(status.rules?.length ?? "–"), status.rules?.join(", ")],
  ];
  facts.replaceChildren(
    ...rows.map(([name, value, more, title]) =>
      el("div", {}, el("dt", {}, name), el("dd", { title }, value, more ? el("small", {}, more) : null)),
    ),
  );
}

export function showLevels(slis, tiles, rows) {
  const every = Object.entries(slis);
  tiles.replaceChildren(...every.filter(([, sli]) => sli.target !== null).map(tile));
  rows?.replaceChildren(...every.map(row));
}

function tile([name, sli]) {
  const state = sli.value === null ? "none" : sli.verdict ?? "none";
  return el(
    "li",
    { class: "tile", "data-sli": name },
    el("h3", { title: sli.help }, sli.title ?? name.replaceAll("_", " ")),
    el("p", { class: "value" }, ...valueOf(sli)),
    el("p", { class: "note" }, sli.value === null ? "–" : interval(sli) ?? `of ${number(sli.n)}`),
    el("p", { class: "note" }, target(sli)),
    el("p", { class: `state ${state}` }, STATES[state]),
  );
}

function valueOf(sli) {
  const shown = inUnit(sli.value, sli.unit);
  const [, value, unit] = /^([^\u00a0]+)(?:\u00a0(.*))?$/.exec(shown) ?? [null, shown, null];
  return unit && unit !== "slates" ? [value, "\u00a0", el("small", {}, unit)] : [value];
}

function row([name, sli]) {
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, sli.title ?? name.replaceAll("_", " ")),
    el("td", { class: "number" }, inUnit(sli.value, sli.unit)),
    el("td", { class: "number" }, interval(sli) ?? "–"),
    el("td", { class: "number" }, number(sli.n ?? null)),
    el("td", {}, sli.help ?? ""),
  );
}

function target(sli) {
  if (sli.op === "<=" && sli.target === 0) return "Target: none";
  return `Target ${OPS[sli.op ?? "<="]}\u00a0${inUnit(sli.target, sli.unit)}`;
}

/** Null for a count, which has none. */
export function interval(sli) {
  const { low = null, high = null } = sli;
  if (sli.value === null || (low === null && high === null)) return null;
  if (low === high) return null;
  const unit = sli.unit;
  if (high === null) return `${inUnit(low, unit)} or more`;
  if (low === null) return `up to ${inUnit(high, unit)}`;
  const [from, to] = [inUnit(low, unit), inUnit(high, unit)];
  const [of, its] = [from, to].map((shown) => shown.split("\u00a0")[1]);
  return `${of === its ? from.split("\u00a0")[0] : from} to ${to}`;
}
