"""Progress that a person can follow: a bar on a terminal, one line a stage in a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Update = Callable[[float], None]
QUIET = 15.0  # seconds between lines


@dataclass(slots=True)
class Show:
    """Stages of a long job, each with its time."""

    console: Console = field(default_factory=lambda: Console(highlight=False))
    start: float = field(default_factory=time.monotonic)

    @contextmanager
    def stage(self, title: str) -> Iterator[Update]:
        """A piece of work; call what it yields with the share that is done, 0..1."""
        began = time.monotonic()
        if self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            with Progress(*columns, console=self.console, transient=True) as bar:
                task = bar.add_task(title, total=1.0)
                yield lambda share: bar.update(task, completed=share)
        else:
            self.note(f"[{began - self.start:6.1f} s] {title} ...")
            yield self._lines(title)
        took = time.monotonic() - began
        self.note(f"[{time.monotonic() - self.start:6.1f} s] {title}: {took:.1f} s")

    def _lines(self, title: str) -> Update:
        """Where there is no terminal: how far it is, a line every QUIET seconds."""
        last = time.monotonic()

        def update(share: float) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= QUIET:
                last = now
                self.note(f"[{now - self.start:6.1f} s] {title}: {share:.0%}")

        return update

    def note(self, text: str) -> None:
        """A line between stages."""
        self.console.print(text, markup=False, soft_wrap=True)  # whole lines in a file
