// What it is worth, what serves, and how far a rollout is.

import { duration, el, number, percent } from "./format.js";
import { cell, note, table } from "./table.js";

const PHASES = {
  shadow: "asked beside the live version; nobody sees it",
  canary: "serves its share of users",
  held: "held: a person decides how it goes on",
  paused: "paused: the event log is silent",
  done: "serves all users",
  rolled_back: "taken back",
};

export function showExecutive(status, board, $) {
  $("rollout").replaceChildren(...rolloutOf(board.rollout));
  $("value").replaceChildren(valueOf(board.rollout));
  $("versions").replaceChildren(versionsOf(board, status));
}

function rolloutOf(rollout) {
  if (!rollout) return [note("No rollout has begun in this registry.")];
  if (rollout.error) return [note(`The rollout cannot be read: ${rollout.error}`)];
  const ago = (time) => (time ? `${duration(Date.now() / 1000 - time)} ago` : "–");
  const facts = [
    ["Version", rollout.version, `instead of ${rollout.live}`],
    ["Phase", rollout.phase.replaceAll("_", " "), PHASES[rollout.phase]],
    ["Share of users", percent(rollout.weight), `stage since ${ago(rollout.since)}`],
    ["Last look", ago(rollout.looked), `${number(rollout.steps)} steps`],
  ];
  const stages = rollout.stages.map((share, i) => {
    const now = i === rollout.stage && !rollout.ended;
    const done = i < rollout.stage || rollout.phase === "done";
    return el("li", { class: done ? "done" : null, "aria-current": now ? "step" : null }, percent(share));
  });
  return [
    el("dl", { class: "facts" }, ...facts.map(([name, value, more]) =>
      el("div", {}, el("dt", {}, name), el("dd", {}, value, more ? el("small", {}, more) : null)))),
    el("ol", { class: "stages", "aria-label": "Stages" }, ...stages),
    el("p", { class: "note" }, rollout.ended ?? rollout.reason),
  ];
}

function valueOf(rollout) {
  const slis = Object.entries(rollout?.slis ?? {}).filter(([name, sli]) =>
    sli.value !== null && /^(session_reward|uplift|returns|session_length)/.test(name));
  if (!slis.length) return note("No value has been read yet: a rollout's first look gives it.");
  const rows = slis.map(([name, sli]) => {
    const about = name.split("/")[1];
    const said = { ok: "better", missed: "worse", unsure: "cannot tell yet" }[sli.verdict] ?? "–";
    const title = about ? `${sli.title}: ${about}` : sli.title;
    return el("tr", {}, el("th", { scope: "row" }, title), cell(sli),
      el("td", { class: "number" }, number(sli.n)), el("td", { class: "number" }, said));
  });
  return table("Value and uplift", ["Indicator", "Value", "Users, both arms", "Verdict"], rows);
}

function versionsOf(board, status) {
  const share = (one) => {
    const weight = board.rollout && !board.rollout.ended ? board.rollout.weight : 0;
    if (one.roles.includes("canary")) return percent(weight ?? 0);
    if (one.roles.includes("live")) return percent(1 - (weight ?? 0));
    return "–";
  };
  const known = board.versions.length ? board.versions : [{ version: status.policy, roles: ["live"] }];
  const rows = known.map((one) =>
    el("tr", {}, el("th", { scope: "row" }, one.version),
      el("td", { class: "number" }, ...one.roles.map((role) => el("span", { class: "badge role" }, role))),
      el("td", { class: "number" }, share(one))));
  return table("Versions", ["Version", "Role", "Users"], rows);
}
