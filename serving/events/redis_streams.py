"""Events in Redis Streams, one stream a writer (extra `redis`).

The id of event n is `<n + 1>-<events that the server had lost before>`, so that a hole says whether
an event was taken out or lost. What was appended outlives what the server's own settings let it:
with `appendonly yes` and `appendfsync always` a killed server loses nothing, nor does a machine
that fails. With `appendfsync everysec` the server answers before it writes while its disk is busy,
so that either may lose the last two seconds; without a file, everything since the last snapshot.
Streams are in the server's memory: `XTRIM NAME:events:WRITER MINID <n + 1>` takes away
the events before number n, once they are joined.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from serving.events.kept import BATCH, Kept, check_writer, entries, in_use
from serving.events.lines import line_of
from serving.events.log import Entry, EventLogError
from serving.links.redis import ERRORS, RedisLink, ResponseError, Script, Word

TRIES = 3  # of an append that finds the stream elsewhere than it should be
SYNC = 5.0  # s that `flush` waits for the server's disk

# The meta hash of a stream: token = the process that may write, last = number of the last event,
# lost = events that the server has lost in all.
SETTLE = Script("""
local mine, token, expected = ARGV[1], ARGV[2], tonumber(ARGV[3])
local meta = redis.call('HMGET', KEYS[2], 'token', 'last', 'lost')
if meta[1] and string.sub(meta[1], 1, #mine) ~= mine then return {} end
local last, lost = tonumber(meta[2] or -1), tonumber(meta[3] or 0)
if expected then
  for n = expected + 1, last do
    redis.call('XDEL', KEYS[1], string.format('%d-%d', n + 1, lost))
  end
  if last < expected then
    lost, last = lost + expected - last, expected
  end
end
if last >= 0 then redis.call('SADD', KEYS[3], ARGV[4]) end
redis.call('HSET', KEYS[2], 'token', token, 'last', string.format('%d', last),
  'lost', string.format('%d', lost))
return {last, lost}
""")
APPEND = Script("""
local meta = redis.call('HMGET', KEYS[2], 'token', 'last')
if meta[1] ~= ARGV[1] or meta[2] ~= ARGV[2] then return 0 end
local last = tonumber(ARGV[2])
redis.call('HSET', KEYS[2], 'last', string.format('%d', last + #ARGV - 4))
if last < 0 then redis.call('SADD', KEYS[3], ARGV[4]) end
for nth = 5, #ARGV do
  redis.call('XADD', KEYS[1], string.format('%d-%s', last + nth - 3, ARGV[3]), 'e', ARGV[nth])
end
return 1
""")
LEAVE = Script("""
local meta = redis.call('HMGET', KEYS[1], 'token', 'last')
if meta[1] == ARGV[1] and tonumber(meta[2]) < 0 then return redis.call('DEL', KEYS[1]) end
return 0
""")


class RedisLog:
    """The log on a server, for one writer at a time, of any number of threads.

    url: redis://[[user]:password@]host[:port][/database][?name=NAME]; all keys begin with NAME.
    timeout, pause: seconds to wait for a reply; and after one that did not come, seconds in which
        appends fail at once.

    An append whose reply did not come may be in the stream: the next append, `flush` or `close`
    looks, and takes it out before anything else is kept, so that what was reported as not kept is
    not. Only if the process ends before that can it be there. A number is never given twice: the
    script that appends looks at the last one. What a server that came back has lost leaves a hole.

    A name is taken by the process whose connection is subscribed to it, and free when that is
    gone; a process that lost its name, as by a long stop, can write no more.

    Raises ValueError for a URL or writer that is none, and EventLogError where the server does not
    answer, would evict events, or the name is taken.
    """

    def __init__(
        self, url: str, *, writer: str = "main", timeout: float = 0.5, pause: float = 0.5
    ) -> None:
        check_writer(writer)
        self.writer, self._closed = writer, False
        self._link = RedisLink(url, timeout=timeout, pause=pause)
        self._prefix = f"{self._link.name}:events"
        self._keys = self._stream(writer), f"{self._stream(writer)}:meta", f"{self._prefix}:writers"
        self._process, self._epoch = secrets.token_hex(8), 0
        self._last, self._lost = -1, 0
        self._unsure = False  # whether the stream is where it should be
        self._one = threading.RLock()
        self._owner = self._link.another()  # its subscription says that the name is taken
        self._claimed = 0  # which of the link's connections stood when it was made
        try:
            self._check_eviction()
            self._claim(alone=True)
            self._settle(new=True)
        except ERRORS as error:
            self._owner.disconnect()
            self._link.close()
            if isinstance(error, EventLogError):
                raise
            raise EventLogError(f"{self._link!r}: {error}") from error

    def __repr__(self) -> str:
        return f"RedisLog({self._link!r}, writer={self.writer!r})"

    def append(self, event: bytes) -> int:
        return self.append_many([event])[0]

    def append_many(self, events: Sequence[bytes]) -> list[int]:
        """All of them in one script, or none."""
        with self._one:
            if self._closed:
                raise EventLogError(f"the log of {self.writer} at {self._link!r} is closed")
            for nth, event in enumerate(events, self._last + 1):
                line_of(nth, event)
            kept: list[int] = self._guarded(lambda: self._appended(events))
            return kept

    def writers(self) -> list[str]:
        found = self._command("SMEMBERS", self._keys[2])
        return sorted(writer.decode() for writer in found)

    def read(self, writer: str, after: int = -1) -> Iterator[Entry]:
        return entries(writer, self._kept(writer, after))

    def last(self, writer: str) -> int:
        found = self._command("HGET", f"{self._stream(writer)}:meta", "last")
        return -1 if found is None else int(found)

    def erase(self, matches: Callable[[bytes], bool]) -> int:
        """The server's append-only file holds them until it is rewritten next (BGREWRITEAOF)."""
        count = 0
        for writer in self.writers():
            gone = [
                f"{one.number + 1}-{one.lost}"
                for one in self._kept(writer, -1)
                if matches(one.event)
            ]
            for at in range(0, len(gone), BATCH):
                ids = gone[at : at + BATCH]
                count += self._command("XDEL", self._stream(writer), *ids)
        return count

    def flush(self) -> None:
        """Wait for the server's disk; before Redis 7.2, or without an append-only file, a server
        cannot be asked."""
        with self._one:
            if not self._closed:
                self._guarded(self._flushed)

    def close(self) -> None:
        """Flush; the writer's name is free again, and one who wrote nothing leaves nothing."""
        with self._one:
            if self._closed:
                return
            try:
                self.flush()
                if self._last < 0:  # it was opened to be read
                    self._guarded(lambda: self._link.run(LEAVE, self._keys[1:2], [self._token]))
            finally:
                self._closed = True
                self._owner.disconnect()
                self._link.close()

    def _appended(self, events: Sequence[bytes]) -> list[int]:
        for _ in range(TRIES):
            if self._unsure or self._claimed != self._link.connections:
                self._settle()
            values: list[Word] = [self._token, self._last, self._lost, self.writer, *events]
            self._unsure = True
            kept = self._link.run(APPEND, self._keys, values)
            if kept:
                first, self._last = self._last + 1, self._last + len(events)
                self._unsure = False
                return list(range(first, self._last + 1))
        raise EventLogError(f"the stream of {self.writer} changed in {TRIES} tries")

    @property
    def _token(self) -> str:
        return f"{self._process}:{self._epoch}"

    def _settle(self, new: bool = False) -> None:
        """Take out what was not acknowledged, learn what was lost, and let nothing that is still
        under way be kept; subscribe to the name again where that was lost. `new` = take the stream
        over as it is."""
        self._epoch += 1
        mine, expected = ("", "") if new else (self._process, str(self._last))
        found = self._link.run(SETTLE, self._keys, (mine, self._token, expected, self.writer))
        if not found:
            raise EventLogError(in_use(self.writer, self._link))
        self._last, self._lost = found
        if self._claimed != self._link.connections:
            self._claim()
        self._unsure = False

    def _claim(self, alone: bool = False) -> None:
        """Subscribe to the name; where that must be `alone`, somebody else there is an error."""
        channel = f"{self._keys[0]}:owner"
        self._owner.disconnect()
        self._owner.send_command("SUBSCRIBE", channel)
        self._owner.read_response()
        until = time.monotonic() + 1.0  # of a process that has just ended the server hears soon
        while alone and self._link.command("PUBSUB", "NUMSUB", channel)[1] > 1:
            if time.monotonic() > until:
                raise EventLogError(in_use(self.writer, self._link))
            time.sleep(0.02)
        self._claimed = self._link.connections

    def _check_eviction(self) -> None:
        said = self._link.command("INFO", "memory").decode()
        memory = dict(line.split(":", 1) for line in said.splitlines() if ":" in line)
        policy = memory.get("maxmemory_policy", "noeviction")
        if memory.get("maxmemory", "0") != "0" and policy.startswith("allkeys"):
            raise EventLogError(
                f"{self._link!r} evicts any key when its memory is full (maxmemory-policy "
                f"{policy}), events too: set it to noeviction or to a volatile-* policy"
            )

    def _flushed(self) -> None:
        if self._unsure:
            self._settle()
        wait = max(1, int(500 * self._link.timeout))  # ms, within the reply's time
        until = time.monotonic() + SYNC
        try:
            while self._link.command("WAITAOF", 1, 0, wait)[0] < 1:
                if time.monotonic() > until:
                    raise EventLogError(f"{self._link!r} did not sync its disk within {SYNC} s")
        except ResponseError as error:
            if "unknown command" not in str(error) and "appendonly" not in str(error):
                raise

    def _kept(self, writer: str, after: int) -> Iterator[Kept]:
        key, start = self._stream(writer), f"{after + 2}-0"
        while page := self._command("XRANGE", key, start, "+", "COUNT", BATCH):
            for entry, (_, event) in page:
                place, lost = entry.split(b"-")
                yield Kept(int(place) - 1, int(lost), event)
            start = f"({page[-1][0].decode()}"

    def _stream(self, writer: str) -> str:
        return f"{self._prefix}:{writer}"

    def _command(self, *words: Word) -> Any:
        return self._guarded(lambda: self._link.command(*words))

    def _guarded(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except EventLogError:
            raise
        except ERRORS as error:
            raise EventLogError(f"{self.writer} at {self._link!r}: {error}") from error
