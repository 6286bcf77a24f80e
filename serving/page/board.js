// The board: alarms, arms, and the rollout, from /status.

import { showDebug } from "./debug.js";
import { showExecutive } from "./executive.js";
import { follow } from "./follow.js";
import { el } from "./format.js";
import { showLevels } from "./served.js";

const $ = (id) => document.getElementById(id);

function showView() {
  const view = document.querySelector('input[name="view"]:checked').value;
  for (const part of document.querySelectorAll("[data-view]")) part.hidden = part.dataset.view !== view;
}

function alarm(one) {
  const whose = [one.pipeline, one.version === "all" ? "all versions" : one.version, one.about];
  return el(
    "li",
    { class: `alarm ${one.severity}`, "data-alarm": one.name },
    el(
      "h3",
      {},
      el("span", { class: "badge" }, one.severity),
      `${one.measure} ${one.title}`,
      el("small", {}, whose.filter(Boolean).join(" · ")),
    ),
    el("p", {}, one.what_to_do),
    el("p", { class: "note" }, `${one.name}: ${one.said}. Runbook: ${one.runbook}.`),
  );
}

function showAlarms(alarms) {
  $("alarms").replaceChildren(
    ...(alarms.length ? alarms.map(alarm) : [el("li", { class: "calm" }, "No alarm fires.")]),
  );
  document.title = alarms.length ? `(${alarms.length}) Longplay – the board` : "Longplay – the board";
}

for (const radio of document.querySelectorAll('input[name="view"]')) {
  radio.addEventListener("change", () => { location.hash = radio.value; showView(); });
  if (location.hash === `#${radio.value}`) radio.checked = true;
}
showView();

follow((status) => {
  const board = status.board ?? { alarms: [], arms: [], versions: [], rollout: null };
  showAlarms(board.alarms);
  showLevels(status.slis ?? {}, $("tiles"), null);
  showExecutive(status, board, $);
  showDebug(status, board, $);
  $("seen").textContent = `Seen at ${new Date().toLocaleTimeString("en-GB")}`;
});
