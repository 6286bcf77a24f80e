// Where to look for a cause: arms, reasons, the log.

import { el, number } from "./format.js";
import { cell, note, table } from "./table.js";

export function showDebug(status, board, $) {
  $("arms").replaceChildren(armsOf(board.arms));
  $("why").replaceChildren(whyOf(board.arms));
  const facts = [
    ["Writer", board.log?.writer || "–", null],
    ["Last event", board.log?.number >= 0 ? number(board.log.number) : "–", "number of its writer"],
    ["Queue", number(board.log?.queue ?? null), "requests that wait"],
    ["Registry", status.error ?? "followed", null],
    ["Policy", status.policy, status.sha256 ? status.sha256.slice(0, 12) : null],
  ];
  $("log").replaceChildren(...facts.map(([name, value, more]) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, value, more ? el("small", {}, more) : null))));
}

function heads(arms) {
  return arms.map((one) => `${one.arm} · ${one.version}`);
}

function armsOf(arms) {
  if (!arms.length) return note("No decision within the last five minutes.");
  const rows = Object.entries(arms[0].slis).map(([name, sli]) =>
    el("tr", { "data-sli": name },
      el("th", { scope: "row", title: sli.help }, `${sli.measure} ${sli.title}`),
      ...arms.map((one) => cell(one.slis[name]))));
  return table("Indicators by arm and version", ["Indicator", ...heads(arms)], rows);
}

function whyOf(arms) {
  const reasons = [...new Set(arms.flatMap((one) => Object.keys(one.fallbacks)))].sort();
  if (!reasons.length) return note("No answer was the fallback's within the last five minutes.");
  const rows = reasons.map((reason) =>
    el("tr", {}, el("th", { scope: "row" }, reason),
      ...arms.map((one) => el("td", { class: "number" }, number(one.fallbacks[reason] ?? 0)))));
  return table("Fallbacks by reason", ["Reason", ...heads(arms)], rows);
}
