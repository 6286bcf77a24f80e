"""Lines at the end of a file, however long the lines and the file are."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.registry import durable
from serving.registry.durable import append_line, last_line


@pytest.mark.parametrize("block", [1, 3, 7, 1 << 16])
def test_the_last_line_is_read_from_the_end(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "BLOCK", block)
    file = tmp_path / "lines"
    assert last_line(file) is None
    for line in (b"one", b"", b"a longer one", b"x" * 20):
        append_line(file, line)
        assert last_line(file) == line
        with file.open("ab") as end:
            end.write(b"a piece")
        assert last_line(file) == line
    append_line(file, b"last")
    assert file.read_bytes() == b"one\n\na longer one\n" + b"x" * 20 + b"\nlast\n"
