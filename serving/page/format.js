// Numbers and elements as people read them.

const MINUS = "\u2212";
const GAP = "\u00a0"; // keeps a number and its unit on one line

/** An element with attributes and children; text is never read as HTML. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Three significant digits, without exponents where they are not needed. */
export function number(x, digits = 3) {
  if (x === null || x === undefined) return "–";
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size < 1e-4 || size >= 1e9) return x.toExponential(1).replace("-", MINUS);
  const shown = size >= 1000 ? Math.round(x).toLocaleString("en") : String(+x.toPrecision(digits));
  return shown.replace("-", MINUS);
}

/** A score, of two decimals, so that columns of them line up. */
export function score(x) {
  if (x === null || x === undefined) return "–";
  const size = Math.abs(x);
  if ((x !== 0 && size < 0.005) || size >= 1e6) return number(x, 2);
  return x.toFixed(2).replace("-", MINUS);
}

/** A part of a score, or a change of it. */
export function signed(x) {
  return x > 0 ? `+${score(x)}` : score(x);
}

/** A chance in per cent, of one decimal. */
export function chance(x) {
  const p = 100 * x;
  if (p > 0 && p < 0.05) return percent(x);
  return `${p > 99.9 && p < 100 ? "99.9" : p.toFixed(1)}${GAP}%`;
}

/** A share in per cent; one that is not quite 100 % is never rounded to it. */
export function percent(x) {
  if (x === null || x === undefined) return "–";
  const p = 100 * x;
  if (p === 0 || p === 100) return `${p}${GAP}%`;
  if (p > 99) return `${Math.min(99.999, +p.toFixed(3))}${GAP}%`;
  if (p < 0.01) return `<${GAP}0.01${GAP}%`;
  return `${+p.toPrecision(p < 1 ? 2 : 3)}${GAP}%`;
}

/** A change of a share, in percentage points. */
export function points(x) {
  const p = 100 * x;
  return Math.abs(p) < 0.005 ? `0${GAP}pts` : `${signed(p)}${GAP}pts`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) return `${number(seconds / size, 2)}${GAP}${unit}`;
  }
  return `${number(seconds, 2)}${GAP}s`;
}

/** A value of an indicator in its unit. */
export function inUnit(x, unit) {
  if (x === null || x === undefined) return "–";
  if (unit === "share") return percent(x);
  if (unit === "s") return duration(x);
  return unit ? `${number(x)}${GAP}${unit}` : number(x);
}

export function bar(share) {
  const fill = el("i");
  fill.style.setProperty("--share", Math.max(0, Math.min(1, share || 0)));
  return el("span", { class: "bar", "aria-hidden": "true" }, fill);
}

export function plural(n, one, many = `${one}s`) {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}
