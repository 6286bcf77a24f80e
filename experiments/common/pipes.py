"""Output into a program that stops reading, as `head` does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from io import TextIOBase, TextIOWrapper
from typing import TextIO


class PatientOutput(TextIOBase):
    """A text stream that goes on, into nothing, once nobody reads it: a command finishes its work,
    writes its files and returns its own status."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As the stream's."""
        return self._stream.encoding

    def write(self, text: str) -> int:
        """Write, or not."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._stop()
            return len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        """Write each."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush, or not."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._stop()

    def fileno(self) -> int:
        """Of the stream."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Of the stream."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """It is."""
        return True

    def _stop(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


def patient_stdout() -> None:
    """Make stdout a `PatientOutput`, where it is a stream of the system.

    Letters that its encoding does not have are written as escapes, as stderr has them already.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.stdout is sys.__stdout__ and sys.__stdout__ is not None:
        sys.stdout = PatientOutput(sys.__stdout__)
