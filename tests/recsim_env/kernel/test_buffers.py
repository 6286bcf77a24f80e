"""Buffers hand out no memory that anybody can still see."""

from __future__ import annotations

from recsim_env.kernel.buffers import Buffers


def test_an_array_is_reused_only_when_nobody_holds_it() -> None:
    buffers = Buffers()
    first = buffers.take("a", (5,), float)
    second = buffers.take("a", (5,), float)
    assert second is not first
    address = first.ctypes.data
    del first
    assert buffers.take("a", (5,), float).ctypes.data == address


def test_a_view_keeps_its_memory() -> None:
    buffers = Buffers()
    view = buffers.take("a", (4, 6), float)[1:3].reshape(-1)
    view[:] = 7.0
    for _ in range(3):
        buffers.take("a", (4, 6), float)[:] = 0.0
    assert (view == 7.0).all()


def test_another_shape_is_another_array() -> None:
    buffers = Buffers()
    buffers.take("a", (5,), float)
    assert buffers.take("a", (6,), float).shape == (6,)


def test_many_in_flight_are_all_different() -> None:
    buffers = Buffers()
    held = [buffers.take("a", (3,), int) for _ in range(20)]
    assert len({a.ctypes.data for a in held}) == 20
