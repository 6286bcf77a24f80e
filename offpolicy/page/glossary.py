"""Words of the reports as hover texts; the same sentences as in docs/glossary.md."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

TERMS: dict[str, str] = {
    "logging policy": "the policy that served the rows of the log",
    "target policy": "the policy that is to be valued",
    "propensity": "probability of the whole ordered slate under the logging policy",
    "estimand, horizon": "which value is meant: one_step, per_decision, trajectory, marginal or "
    "slate",
    "estimator": "a formula from Terms to a value; one record in one dict",
    "uplift": "value of the target less that of the logging policy, paired on the same rows",
    "effective sample size": "how many rows or sessions the weights leave: (sum w)^2 / sum w^2",
    "overlap": "whether the logging policy served what the target would serve",
    "log doctor": "tests whether propensities, candidates and rows of a log can be right",
    "gate": "the verdict on a rollout: pass, fail or cannot tell",
    "plan": 'what to do after "cannot tell": the furthest step, a better log, a bounded trial',
    "guardrail": "a measure that must not fall when the reward rises",
    "interval": "estimate with confidence bounds; paired differences",
    "common random numbers": "two policies meet the same users and the same chance",
    "greedy, planning oracle": "the best slate now; the best for the session, by search or "
    "look-ahead",
    "encoder": "a sequence model that turns a history into a state and item scores",
    "slate": "the ordered items shown at once, (B, K)",
    "terminated, truncated": "the user left; the log ends before the session does",
}
SPELLED = {  # as it stands on a page -> its entry
    "ESS": "effective sample size", "effective sample": "effective sample size",
    "effective sessions": "effective sample size", "estimand": "estimand, horizon",
    "planning oracle": "greedy, planning oracle", "log doctor": "log doctor",
    "Log doctor": "log doctor",
}  # fmt: skip
_WORDS = sorted({w for w in TERMS if "," not in w} | set(SPELLED), key=len, reverse=True)
_PATTERN = re.compile(r"\b(" + "|".join(map(re.escape, _WORDS)) + r")(s?)\b")


def marked(text: str) -> str:
    """Plain text as HTML, `code` as such; the first time that each word of the glossary stands in
    it, it has its meaning as hover text."""
    seen, parts, end = set[str](), list[str](), 0
    for match in _PATTERN.finditer(text):
        entry = SPELLED.get(match[1], match[1])
        if entry in seen:
            continue
        seen.add(entry)
        meaning = escape(TERMS[entry], quote=True)
        parts += [escape(text[end : match.start()]), f'<abbr title="{meaning}">{match[0]}</abbr>']
        end = match.end()
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", "".join([*parts, escape(text[end:])]))


def used(texts: Iterable[str]) -> dict[str, str]:
    """The entries whose words stand in the texts, in the glossary's order."""
    entries = {SPELLED.get(m[1], m[1]) for text in texts for m in _PATTERN.finditer(text)}
    return {name: meaning for name, meaning in TERMS.items() if name in entries}
