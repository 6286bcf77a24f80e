"""Fields of records explained by the comment that stands behind them in the code."""

from __future__ import annotations

import re
from collections.abc import Sequence

try:  # what a site is built with is an extra
    from griffe import Attribute, Docstring, Extension
except ImportError:
    Attribute = Docstring = Extension = object  # type: ignore[assignment, misc]

FIELD = re.compile(r"^    \w+: [^#]*?# (.*)$")
BELOW = re.compile(r"^    # (.*)$")


def comment_of(lines: Sequence[str], number: int) -> str | None:
    """What the comment on line `number` (from 1) says, and the comment lines below that go on."""
    found = FIELD.match(lines[number - 1])
    if found is None:
        return None
    said = [found[1]]
    for line in lines[number:]:
        more = BELOW.match(line)
        if more is None or (len(said) == 1 and more[1][:1].isupper()):  # a sentence of its own
            break
        said.append(more[1])
    return re.sub(r"\s{2,}", " ", " ".join(said)).strip()


class FieldComments(Extension):
    """Give attributes of classes that have no docstring the comment of their line as one."""

    def on_attribute(self, *, attr: Attribute, **_: object) -> None:
        """Called by griffe for each attribute that it finds."""
        if attr.docstring is not None or attr.lineno is None or not attr.parent.is_class:
            return
        said = comment_of(attr.lines_collection[attr.filepath], attr.lineno)
        if said:
            attr.docstring = Docstring(said, lineno=attr.lineno, parent=attr)
