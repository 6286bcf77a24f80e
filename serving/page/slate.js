// An explanation: the slate in order, what its scores are made of, what moved it, what was left out.

import { bar, chance, el, number, percent, plural, points, score, signed } from "./format.js";

const SHOWN = 10; // items of a list before the rest has to be asked for

export function showSlate(explanation, $) {
  const main = largest(explanation.components);
  $("slate").replaceChildren(...slate(explanation, main));
  $("parts-note").textContent = howDrawn(explanation, main);
  const notes = [...explanation.notes];
  if (explanation.fallback) notes.unshift(`The fallback decided: ${explanation.fallback}`);
  $("notes").replaceChildren(...notes.map((note) => el("li", {}, sentence(note))));
  showMoved(explanation, $("moved"), $("moved-note"));
  showLeft(explanation, main, $("left"), $("left-note"));
}

/** One sentence that says what is shown. */
export function summary(explanation) {
  const places = plural(explanation.slate.length, "item");
  const past = explanation.history.length
    ? `a history of ${plural(explanation.history.length, "item")}`
    : "a user without a history";
  const whole = explanation.logged_propensity ?? explanation.propensity;
  const shown = explanation.decision_id ? `Decision ${explanation.decision_id}` : "The likeliest slate";
  return `${shown}: ${places} for ${past}, by policy ${explanation.policy}. Chance of this slate in this order: ${percent(whole)}.`;
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

function largest(components) {
  let best = 0;
  components.forEach((one, i) => { if (one.weight > components[best].weight) best = i; });
  return best;
}

function slate(explanation, main) {
  const byItem = new Map(explanation.candidates.map((one) => [one.item, one]));
  return explanation.slate.map((place) => {
    const candidate = byItem.get(place.item);
    return el(
      "li",
      {},
      el("span", { class: "place" }, String(place.place)),
      el("span", { class: "name" }, place.item),
      el(
        "span",
        { class: "chance" },
        bar(place.propensity),
        el("span", { title: "chance of this item at this place, given those above" }, chance(place.propensity)),
      ),
      candidate ? made(candidate, main, place.adjustment) : el("span"),
    );
  });
}

/** What a score is made of. */
function made(candidate, main, adjustment) {
  const parts = Object.entries(candidate.parts[main] ?? {});
  const logit = candidate.logits[main];
  const terms = parts.map(([name, value]) => term(name, signed(value)));
  if (adjustment) terms.push(term("at this place", signed(adjustment)));
  const sum = logit === null || logit === undefined ? null : logit + (adjustment || 0);
  if (sum !== null && terms.length !== 1) terms.push(term("score", score(sum), "sum"));
  terms.push(term("chance to stand first", chance(candidate.propensity)));
  return el("dl", { class: "made" }, ...terms);
}

function term(name, value, kind = null) {
  return el("div", { class: kind }, el("dt", {}, `${name} `), el("dd", {}, value));
}

function howDrawn(explanation, main) {
  const component = explanation.components[main];
  if (!component) return "";
  const said = ["The bar is the chance of the item at its place, given those above it."];
  if (component.temperature !== null) said.push(`Scores were divided by a temperature of ${number(component.temperature)}.`);
  explanation.components.forEach((one, i) => {
    if (i !== main) said.push(`With a chance of ${percent(one.weight)}, the slate is drawn by ${one.name} instead.`);
  });
  return said.join(" ");
}

function showMoved(explanation, list, note) {
  const past = explanation.influence;
  if (past === null || past.length === 0) {
    list.replaceChildren();
    note.textContent = past === null ? "It cannot be told for this policy or decision." : "There is no history.";
    return;
  }
  note.textContent = "Each item of the history left out in turn: the mean change of the slate's scores. Open one to see which items it moved.";
  const most = Math.max(...past.map((one) => Math.abs(one.moved)), 1e-12);
  list.replaceChildren(...past.slice(0, 20).map((one) => movedItem(one, most)));
}

function movedItem(one, most) {
  const ago = one.ago === 1 ? "last taken" : `${one.ago} ago`;
  const rows = one.items.map((moved) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, moved.item),
      el("td", { class: `number ${moved.score < 0 ? "minus" : "plus"}` }, signed(moved.score)),
      el("td", { class: "number" }, points(moved.propensity)),
    ),
  );
  return el(
    "li",
    {},
    el(
      "details",
      {},
      el(
        "summary",
        {},
        el("span", { class: "name" }, one.item, " ", el("small", {}, ago)),
        bar(Math.abs(one.moved) / most),
        el("span", { class: "size" }, score(one.moved)),
      ),
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, ...["Of the slate", "Score", "First place"].map((name, i) =>
          el("th", { scope: "col", class: i ? "number" : null }, name)))),
        el("tbody", {}, ...rows),
      ),
    ),
  );
}

function showLeft(explanation, main, box, note) {
  const out = explanation.candidates.filter((one) => one.place === null);
  const open = out.filter((one) => !one.closed);
  const reasons = new Map(); // the same words for many items are said once
  for (const one of out) {
    if (!one.closed) continue;
    const { rule, why, place } = one.closed;
    const key = JSON.stringify([rule, why, place]);
    if (!reasons.has(key)) reasons.set(key, { rule, why, place, items: [] });
    reasons.get(key).items.push(one);
  }
  note.textContent = out.length
    ? `${plural(out.length - open.length, "candidate")} closed by rules, ${open.length.toLocaleString("en")} ranked below the slate.`
    : "Every candidate is in the slate.";
  const closed = [...reasons.values()].sort((a, b) => (a.place ?? 0) - (b.place ?? 0));
  box.replaceChildren(...closed.map(closedBy), ...(open.length ? [rankedBelow(open, main)] : []));
}

function closedBy({ rule, why, place, items }) {
  const from = place === null ? "" : ` From place ${place} down.`;
  return reason(rule, `${sentence(why)}${from}`, items, el("ul", { class: "tags" }), (one) => el("li", {}, one.item));
}

function rankedBelow(items, main) {
  const line = (one) => el(
    "li",
    {},
    el("b", {}, one.item),
    el("span", {}, score(one.logits[main])),
    el("span", {}, chance(one.propensity)),
  );
  return reason("Ranked below", "Score, and chance to stand first.", items, el("ol", { class: "ranked" }), line);
}

function reason(name, why, items, list, line) {
  list.append(...items.slice(0, SHOWN).map(line));
  const made = el(
    "section",
    { class: "reason", "aria-label": name },
    el("h4", {}, name, el("span", {}, plural(items.length, "item"))),
    el("p", { class: "note" }, why),
    list,
  );
  if (items.length > SHOWN) made.append(moreButton(items, list, line));
  return made;
}

/** Lists can hold thousands: a hundred at a time. */
function moreButton(items, list, line) {
  let shown = SHOWN;
  const button = el("button", { type: "button", class: "quiet" });
  const say = () => { button.textContent = `Show ${Math.min(100, items.length - shown)} more`; };
  button.addEventListener("click", () => {
    list.append(...items.slice(shown, shown + 100).map(line));
    list.children[shown].tabIndex = -1;
    list.children[shown].focus();
    shown += 100;
    if (shown >= items.length) button.remove();
    else say();
  });
  say();
  return button;
}
