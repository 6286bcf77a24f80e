// The page: reads /status, asks /explain.

import { call } from "./api.js";
import { el } from "./format.js";
import { follow, NEEDED } from "./follow.js";
import { showLevels, showServed } from "./served.js";
import { showSlate, summary } from "./slate.js";

const $ = (id) => document.getElementById(id);
const history = [];
let contextSize = 0;

// What is served

function setContext(size) {
  if (size === contextSize && $("context-note").textContent) return;
  contextSize = size;
  $("context-field").hidden = size === 0;
  $("context-note").textContent = `${size} numbers, with commas; left empty: zeros.`;
}

follow((status) => {
  showServed(status, $("facts"));
  showLevels(status.slis ?? {}, $("tiles"), $("rows"));
  setContext(status.context ?? 0);
});

// The history

function add(text) {
  const names = text.split("\n").map((name) => name.trim()).filter(Boolean);
  history.push(...names.map((name) => ({ name, unknown: false })));
  $("item").value = "";
  showHistory();
}

function showHistory() {
  $("history").replaceChildren(...history.map((one, i) => {
    const remove = el("button", { type: "button", "aria-label": `Remove ${one.name}` }, "×");
    remove.addEventListener("click", () => {
      history.splice(i, 1);
      showHistory();
      ($("history").querySelectorAll("button")[i] ?? $("item")).focus();
    });
    return el("li", { class: one.unknown ? "unknown" : null }, el("span", {}, one.name), remove);
  }));
}

$("add").addEventListener("click", () => { add($("item").value); $("item").focus(); });
$("item").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && $("item").value.trim()) {
    event.preventDefault();
    add($("item").value);
  } else if (event.key === "Backspace" && !$("item").value && history.length) {
    $("item").value = history.pop().name;
    showHistory();
    event.preventDefault();
  }
});
$("item").addEventListener("paste", (event) => {
  const text = event.clipboardData.getData("text");
  if (text.includes("\n")) {
    event.preventDefault();
    add(text);
  }
});

let typed = 0;
$("item").addEventListener("input", () => {
  const turn = ++typed;
  setTimeout(async () => {
    if (turn !== typed || !$("item").value) return;
    try {
      const { items } = await call("/items", { like: $("item").value });
      if (turn === typed) $("names").replaceChildren(...items.map((value) => el("option", { value })));
    } catch {
      $("names").replaceChildren(); // names can still be typed in full
    }
  }, 150);
});

// The question

function about() {
  return document.querySelector('input[name="about"]:checked').value;
}

function showFields() {
  for (const part of document.querySelectorAll("[data-about]")) {
    part.hidden = !part.dataset.about.split(" ").includes(about());
  }
}

function question() {
  const kind = about();
  if (kind === "decision_id") return { decision_id: $("decision_id").value.trim() };
  const asked = kind === "user"
    ? { user: $("user").value.trim() }
    : { history: history.map((one) => one.name) };
  const candidates = $("candidates").value.split("\n").map((name) => name.trim()).filter(Boolean);
  if (candidates.length) asked.candidates = candidates;
  if (contextSize) asked.context = numbers($("context").value);
  return asked;
}

function numbers(text) {
  const given = text.split(/[\s,;]+/).filter(Boolean);
  if (given.length === 0) return Array(contextSize).fill(0);
  const found = given.map(Number);
  const bad = found.findIndex((x) => !Number.isFinite(x));
  if (bad >= 0) throw Object.assign(new Error(`context has “${given[bad]}”, which is no number`), { field: "context" });
  return found;
}

function clearErrors() {
  for (const box of document.querySelectorAll("[data-error], #ask-error")) box.hidden = true;
  for (const input of document.querySelectorAll('#ask [aria-invalid="true"]')) input.removeAttribute("aria-invalid");
  history.forEach((one) => { one.unknown = false; });
  showHistory();
}

function showError(error) {
  const field = (error.field ?? error.message).split(/[\s[.]/)[0]; // messages begin with it, too
  const box = document.querySelector(`[data-error="${CSS.escape(field)}"]`);
  if (!box || box.closest("[hidden]:not([data-error])")) {
    if (error.status === 401) $("token-form").hidden = false;
    $("ask-error").textContent = error.status === 401
      ? NEEDED
      : error.message;
    $("ask-error").hidden = false;
    return;
  }
  box.textContent = error.message;
  box.hidden = false;
  box.closest("details")?.setAttribute("open", "");
  const input = $(field === "history" ? "item" : field);
  input.setAttribute("aria-invalid", "true");
  if (field === "history") {
    history.forEach((one) => { one.unknown = error.message.includes(`'${one.name}'`); });
    showHistory();
  }
  input.focus();
}

$("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (about() === "history" && $("item").value.trim()) add($("item").value);
  clearErrors();
  $("go").setAttribute("aria-busy", "true");
  try {
    const explanation = await call("/explain", question());
    showSlate(explanation, $);
    $("result").hidden = false;
    $("said").textContent = summary(explanation);
    if (matchMedia("(max-width: 62rem)").matches) $("slate-title").scrollIntoView();
  } catch (error) {
    showError(error);
  } finally {
    $("go").removeAttribute("aria-busy");
  }
});

for (const radio of document.querySelectorAll('input[name="about"]')) {
  radio.addEventListener("change", showFields);
}

showFields();
