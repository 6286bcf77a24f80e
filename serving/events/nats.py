"""Events in NATS JetStream, one stream a writer, in files (extra `nats`).

A message is an event with its number, as a line of a segment is. What was appended is with the
operating system of the server: a killed server loses nothing, and a machine that fails what was not
synced, of up to two minutes unless the server is run with `sync_interval: always`. How long events
are kept is set on the stream, NAME-events-WRITER (`max_age`); one that is full refuses new ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from serving.events.kept import Kept, check_writer, entries
from serving.events.lines import line_of
from serving.events.log import Entry, EventLogError
from serving.events.nats_stream import NatsStream, Reader, last_number, names_of, sequence_of
from serving.links.nats import ERRORS, NatsLink

T = TypeVar("T")


class NatsLog:
    """The log on a server, for one writer at a time, of any number of threads.

    url: nats://[[user]:password@]host[:port][?name=NAME]; streams and subjects begin with NAME.
    timeout, pause: seconds to wait for acknowledgements; and after one that did not come, seconds
        in which appends fail at once.
    replicas: of the streams, where the servers are a cluster.

    An append that was not acknowledged may be in the stream: the next append, `flush` or `close`
    looks, and takes it out before anything else is kept, so that what was reported as not kept is
    not. Only if the process ends before that can it be there. A number is never given twice: each
    message says which one it follows, and the server refuses it elsewhere. What a server that came
    back has lost leaves a hole.

    A name is taken by the process that answers for it, and free when its connection is gone; of two
    that took it in the same moment, or after a failure, one can write no more.

    Raises ValueError for a URL or writer that is none, and EventLogError where the server does not
    answer or the name is taken.
    """

    def __init__(
        self,
        url: str,
        *,
        writer: str = "main",
        timeout: float = 0.5,
        pause: float = 0.5,
        replicas: int = 1,
    ) -> None:
        check_writer(writer)
        self.writer, self._url, self._timeout, self._pause = writer, url, timeout, pause
        self._one = threading.RLock()
        try:
            self._link: NatsLink | None = self._connect()
        except ERRORS as error:
            raise EventLogError(f"{type(error).__name__}: {error}") from error
        self._where = repr(self._link)
        self._stream = NatsStream(self._link, writer, replicas)
        try:
            self._done(self._link, self._stream.begin(), wait=8 * timeout)
        except BaseException:
            self._link.close()
            raise

    def __repr__(self) -> str:
        return f"NatsLog({self._where}, writer={self.writer!r})"

    def append(self, event: bytes) -> int:
        return self.append_many([event])[0]

    def append_many(self, events: Sequence[bytes]) -> list[int]:
        """All of them, sent at once, or none."""
        with self._one:
            if self._link is None:
                raise EventLogError(f"the log of {self.writer} at {self._where} is closed")
            for event in events:
                line_of(0, event)
            if not events:
                return []
            first = self._done(self._link, self._stream.append(events))
            return list(range(first, first + len(events)))

    def writers(self) -> list[str]:
        with self._reading() as link:
            return self._done(link, _writers(link))

    def read(self, writer: str, after: int = -1) -> Iterator[Entry]:
        return entries(writer, self._kept(writer, after))

    def last(self, writer: str) -> int:
        with self._reading() as link:
            return self._done(link, last_number(link, names_of(link, writer)))

    def erase(self, matches: Callable[[bytes], bool]) -> int:
        count = 0
        for writer in self.writers():
            gone = [sequence_of(one) for one in self._kept(writer, -1) if matches(one.event)]
            with self._reading() as link:
                stream = names_of(link, writer).stream
                for sequence in gone:
                    count += self._done(link, link.stream.delete_msg(stream, sequence))
        return count

    def flush(self) -> None:
        """Nothing of an append whose fate was not known is left; the disk is the server's."""
        with self._one:
            if self._link is not None and self._stream.unsure:
                self._done(self._link, self._stream.settle())

    def close(self) -> None:
        """Flush; the writer's name is free again, and one who wrote nothing leaves nothing."""
        with self._one:
            if self._link is None:
                return
            try:
                self.flush()
                if self._stream.sequence == 0:  # it was opened to be read
                    name = self._stream.names.stream
                    self._done(self._link, self._link.stream.delete_stream(name))
            finally:
                link, self._link = self._link, None
                link.close()

    def _kept(self, writer: str, after: int) -> Iterator[Kept]:
        with self._reading() as link:
            reader = Reader(link, names_of(link, writer), after)
            self._done(link, reader.begin())
            try:
                while reader.pending:
                    yield from self._done(link, reader.page())
            finally:
                self._done(link, reader.end())

    @contextmanager
    def _reading(self) -> Iterator[NatsLink]:
        """The connection; one of its own for a log that is closed."""
        if self._link is not None:
            yield self._link
            return
        link = self._connect()
        try:
            yield link
        finally:
            link.close()

    def _connect(self) -> NatsLink:
        return NatsLink(self._url, timeout=self._timeout, pause=self._pause)

    def _done(self, link: NatsLink, work: Coroutine[Any, Any, T], wait: float | None = None) -> T:
        try:
            return link.call(work, wait=wait)
        except EventLogError:
            raise
        except ERRORS as error:
            said = f"{self.writer} at {self._where}: {type(error).__name__}: {error}"
            raise EventLogError(said) from error


async def _writers(link: NatsLink) -> list[str]:
    start, found, offset = names_of(link, "").stream, list[str](), 0
    while page := await link.stream.streams_info(offset=offset):
        offset += len(page)
        names = [info.config.name or "" for info in page if info.state.last_seq]
        found += [n.removeprefix(start).replace("-", ".") for n in names if n.startswith(start)]
    return sorted(found)
