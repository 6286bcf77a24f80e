"""Pages of the worlds: what their modules, configs and the records say."""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from dataclasses import MISSING, Field, fields
from typing import Any

from pages.comments import comment_of
from pages.links import ROOT
from recsim_env import USERS, model
from recsim_env.model import UserModel, load_model

PLANNING = "experiments/results/planning.md"
FITTED = {"Calibrated": "calibrated", "Served": "served"}  # of data, made by `calibrate`
NO_GAP = (
    "None is recorded. `longplay benchmark planning` measures that of a registered world; that of "
    "a fitted one depends on its data."
)
FUNCTIONS = (
    "sample", "score", "none", "worth", "respond", "advance", "leaves", "observe", "plan",
)  # fmt: skip
WHAT = {
    "sample": "who the user is when a session begins",
    "score": "how much an item attracts now",
    "none": "how much taking nothing attracts",
    "worth": "expected reward of an item once it is taken",
    "respond": "what is taken of a slate, observed, and paid",
    "advance": "what that does to the user",
    "leaves": "whether the session ends",
    "observe": "what the policy may see of the user",
    "plan": "the look ahead of the planning oracle",
}
HEAD = """# Worlds

You need this page when you choose where to train or to compare policies. A world is a model of
users who change while they are served; `gymnasium.make("recsim_env/NAME-v0")` is one user of it,
`gymnasium.make_vec` many.

The gap says how much more a session earns under a planner than under the policy that shows what
pays most at this moment: 1,000 users, 95 % intervals, from [the record](../results/planning.md).
Where it is about 0, planning cannot gain anything, however long one trains.

{table}

Two more worlds are fitted to data of your own by [`longplay calibrate`](../commands/calibrate.md):
[Calibrated](Calibrated.md) to interactions, and [Served](Served.md) to a log of served slates.
A world of your own is [one file](../howto/own-world.md).
"""


def planning_rows() -> list[list[str]]:
    """The record's table: world, random, greedy, planning, planner and gap of each row."""
    lines = (ROOT / PLANNING).read_text(encoding="utf-8").splitlines()
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in lines if line[:2] == "| "]
    return [row for row in rows if row[0] != "world"]


def _docs(model_name: str) -> tuple[str, str]:
    """Title and text of a module's docstring, lines joined, indented blocks as code."""
    text = inspect.getdoc(sys.modules[model_name]) or ""
    title, _, rest = text.partition("\n\n")
    parts = [_paragraph(part) for part in re.split(r"\n\n", rest) if part.strip()]
    return " ".join(title.split()), "\n\n".join(parts)


def _paragraph(part: str) -> str:
    if part.startswith("    "):  # equations, as narrow as a small screen
        part = re.sub(r"(?<=\S) {2,}(?=[+-]?= )", " ", textwrap.dedent(part))
        return "```text\n" + re.sub(r"^ {5,}", "    ", part, flags=re.MULTILINE) + "\n```"
    return " ".join(part.split())


def _settings(config: type) -> str:
    """A table of the fields of a config, with the comments of their lines."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for found in fields(config):
        meaning = (_comment(config, found.name) or "").replace("|", "\\|")
        rows.append(f"| `{found.name}` | `{_default(found)}` | {meaning} |")
    return "\n".join(rows)


def _default(found: Field[Any]) -> str:
    if found.default is not MISSING:
        return repr(found.default)
    return "required" if found.default_factory is MISSING else repr(found.default_factory())


def _comment(config: type, name: str) -> str | None:
    for owner in config.__mro__:
        if name in getattr(owner, "__annotations__", {}):
            lines = inspect.getsource(owner).splitlines()
            at = next(i for i, line in enumerate(lines) if line.startswith(f"    {name}:"))
            return comment_of(lines, at + 1)
    return None


def _sizes(user_model: UserModel) -> str:
    """What the world serves with, and what is seen of users and of what they take."""
    config = user_model.config()
    sizes = ", ".join(f"`{k}={v}`" for k, v in user_model.defaults.items())
    seen = user_model.user(config, user_model.catalogue(config)).names
    shown = ", ".join(f"`{n}`" for n in seen[:12]) + (", …" if len(seen) > 12 else "")
    responses = ", ".join(f"`{name}`" for name in user_model.responses.names)
    choice = user_model.choice.replace("_", " ")
    return (
        f"* Choice: {choice}.\n* Sizes unless you give others: {sizes}.\n"
        f"* Observed of the user: {shown or 'nothing but the history'}.\n"
        f"* Observed of what is taken: {responses}."
    )


def _code(user_model: UserModel) -> str:
    """The compiled functions that say who users are, in the order of a session, each folded."""
    parts = []
    for name in FUNCTIONS:
        function = getattr(user_model, name)
        plain = getattr(function, "py_func", function)
        if plain is None or plain.__module__ == model.__name__:
            continue
        code = textwrap.indent(inspect.getsource(plain).rstrip(), "    ")
        parts.append(f'??? note "{name}: {WHAT[name]}"\n\n    ```python\n{code}\n    ```')
    return "\n\n".join(parts)


def _gap(name: str) -> str:
    rows = [row for row in planning_rows() if row[0].split(",")[0] == name]
    if not rows:
        return NO_GAP
    table = [
        "| world | random | greedy oracle | planning oracle | planner | gap |",
        "|---|---:|---:|---:|---|---:|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    about = "Reward of a session under each policy, from [the record](../results/planning.md)."
    return "\n".join(table) + f"\n\n{about}"


def world_page(name: str, module: str) -> str:
    """Everything that is known of one world."""
    user_model = load_model(module)
    title, text = _docs(module)
    say, _, what = title.partition(": ")
    start = f"# {name}\n\n{what[:1].upper()}{what[1:]}" if what else f"# {name}\n\n{say}"
    data = name in FITTED
    sizes = "" if data else f"## What is served and seen\n\n{_sizes(user_model)}\n\n"
    call = (
        "You need this page before you rely on a world that "
        "[`longplay calibrate`](../commands/calibrate.md) fitted."
        if data
        else f'You need this page before you use `gymnasium.make_vec("recsim_env/{name}-v0", '
        "num_envs=256)`, or read results from it."
    )
    return (
        f"{start}\n\n{call}\n\n{text}\n\n## Planning gap\n\n{_gap(name)}\n\n{sizes}"
        f"## Settings\n\nFields of `{user_model.config.__name__}`, which an environment takes as "
        f"`config=`.\n\n{_settings(user_model.config)}\n\n"
        f"## Equations, as they run\n\nFunctions about one user, which the kernel compiles.\n\n"
        f"{_code(user_model)}\n"
    )


def world_pages() -> dict[str, str]:
    """The index and a page for each registered world, by the path inside docs/."""
    gaps = {row[0]: row for row in planning_rows()}
    rows = ["| world | users | greedy | planner | gap |", "|---|---|---:|---:|---:|"]
    pages = {}
    fitted = {n: f"recsim_env.users.{m}" for n, m in FITTED.items()}
    for name, module in (USERS | fitted).items():
        pages[f"worlds/{name}.md"] = world_page(name, module)
        if name in USERS:
            what = _docs(module)[0].partition(": ")[2].rstrip(".")
            row = gaps.get(name, ["-"] * 6)
            rows.append(f"| [{name}]({name}.md) | {what} | {row[2]} | {row[3]} | {row[5]} |")
    return {"worlds/index.md": HEAD.format(table="\n".join(rows))} | pages
