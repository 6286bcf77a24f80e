"""A saved world asks for memory in proportion to its file."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from recsim_env.calibration.files import ARRAYS, DENSEST, ROOM, read_files, write_files

SAID = {"model": "x"}


def test_a_small_file_that_asks_for_much_memory_is_refused_before_it_gets_any(
    tmp_path: Path,
) -> None:
    write_files(tmp_path, SAID, {"a": np.zeros(3)})
    held = io.BytesIO()
    np.savez_compressed(held, a=np.zeros(2**23))  # 64 MiB of zeros, in 64 KiB
    (tmp_path / ARRAYS).write_bytes(held.getvalue())
    assert DENSEST * len(held.getvalue()) + ROOM < 2**26
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"arrays\.npz is damaged .* bytes say that they hold"):
        read_files(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_what_is_written_can_be_read_whatever_is_in_it(tmp_path: Path) -> None:
    arrays = {"zeros": np.zeros(2**22), "some": np.arange(5, dtype=np.int32)}  # 32 MiB
    write_files(tmp_path, SAID, arrays)
    said, read = read_files(tmp_path)
    assert said == SAID
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
