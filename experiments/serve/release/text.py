"""What `longplay release` prints for a person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from experiments.common.tables import text_table
from serving.registry.pointer import Change, Pointer
from serving.registry.versions import Version

MB = 1_000_000


def version_lines(versions: Sequence[Version], pointer: Pointer) -> str:
    """A table of versions."""
    if not versions:
        return "no version: longplay release add POLICY --registry DIR"
    marks = {pointer.previous: "previous", pointer.shadow: "shadow", pointer.live: "live"}
    if pointer.canary is not None:
        marks[pointer.canary] = f"canary {pointer.weight:.0%}"
    return text_table(
        [
            {
                "version": one.version,
                "": marks.get(one.version, ""),
                "added": moment(one.evidence.added),
                "by": one.evidence.by,
                "items": f"{one.contents.sizes.n_items:,}",
                "MB": f"{one.contents.bytes / MB:.1f}",
                "gate": verdicts(one),
                "policy": one.contents.policy,
                "note": one.evidence.note or "",
            }
            for one in versions
        ]
    )


def about_version(one: Version) -> str:
    """What is known of a version, a line each."""
    contents, evidence = one.contents, one.evidence
    sizes, log, memory = contents.sizes, evidence.log, evidence.load_bytes
    among = "all" if sizes.n_candidates is None else f"{sizes.n_candidates} candidates"
    retrieval = contents.retrieval
    lines = {
        "policy": contents.policy,
        "sha256": contents.sha256,
        "serves": f"{sizes.slate_size} of {among}, {sizes.n_items:,} items, history of "
        f"{sizes.history_length}, context of {sizes.user_size}",
        "responses": ", ".join(sizes.response_names) or "none",
        "retrieval": "none"
        if retrieval is None
        else f"the {retrieval['k']} nearest to the last {retrieval['recent']} items taken, by "
        f"vectors of {retrieval['vectors']}",
        "size": f"{contents.bytes / MB:.1f} MB on disk"
        + ("" if memory is None else f", {memory / MB:.1f} MB of memory while it is loaded"),
        "added": f"{moment(evidence.added)} by {evidence.by}",
        "note": evidence.note or "",
        "log": "" if log is None else f"{log.name}: {log.rows:,} decisions, {log.hash[:12]}",
        "gate": verdicts(one),
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {said}" for name, said in lines.items() if said)


def change_lines(changes: Sequence[Change]) -> str:
    """A table of changes, the last one first."""
    if not changes:
        return "it was never live"
    return text_table(
        [
            {
                "when": moment(one.time),
                "what": one.action,
                "from": one.before or "-",
                "to": one.after or "-",
                "by": one.by,
                "why": one.why or "",
            }
            for one in reversed(changes)
        ]
    )


def verdicts(one: Version) -> str:
    """The gate's, of each candidate."""
    known = one.evidence.verdicts or {}
    if len(known) == 1:
        return next(iter(known.values()))
    return ", ".join(f"{name} {verdict}" for name, verdict in known.items())


def moment(seconds: float) -> str:
    """In UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
