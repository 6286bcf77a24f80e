"""Lines of a file that only grows, found from its end and by halving."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from serving.registry.durable import last_line_where


def test_halving_finds_what_reading_all_finds(tmp_path: Path) -> None:
    """Lines of all lengths, some longer than a block, with a piece of a line at the end."""
    rng, file = np.random.default_rng(0), tmp_path / "lines"
    for n in (0, 1, 2, 7, 40):
        lines = [
            b"%d %s" % (i, b"x" * int(rng.choice([0, 3, 500, 9_000, 70_000]))) for i in range(n)
        ]
        file.write_bytes(b"".join(line + b"\n" for line in lines) + b"1 torn")
        for upto in range(-1, n + 1):
            slow = [line for line in lines if int(line.split()[0]) <= upto]
            found = last_line_where(file, lambda line, upto=upto: int(line.split()[0]) <= upto)
            assert found == (slow[-1] if slow else None)
    assert last_line_where(tmp_path / "none", lambda line: True) is None
