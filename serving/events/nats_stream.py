"""A writer's stream of NATS JetStream, as coroutines: appends that are all kept or taken out."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

from serving.events.kept import BATCH, Kept, in_use
from serving.events.lines import LINE, line_of
from serving.events.log import EventLogError
from serving.links.nats import Msg, NatsLink, NoRespondersError, api, js_errors

EXPECTED, PROCESS = "Nats-Expected-Last-Sequence", "Longplay-Process"
WRONG_LAST = 10071  # the server's code for an expected sequence that is not the last one
TRIES = 3  # of an append that finds the stream elsewhere than it should be
READER_GONE = 30.0  # s after which the server forgets a reader that does not ask


class Names(NamedTuple):
    """What the server calls a writer's stream."""

    stream: str
    subject: str  # of its events
    owner: str  # where the process that writes answers


def names_of(link: NatsLink, writer: str) -> Names:
    """Streams and subjects have no dots of their own, and writers no hyphens."""
    name = writer.replace(".", "-")
    made = (f"{link.name}-events-{name}", f"{link.name}.events.{name}")
    return Names(*made, f"{link.name}.owner.{name}")


class NatsStream:
    """The stream of the process that writes."""

    def __init__(self, link: NatsLink, writer: str, replicas: int) -> None:
        self.link, self.writer, self.replicas = link, writer, replicas
        self.names = names_of(link, writer)
        self.process = secrets.token_hex(8)
        self.unsure = False  # whether the stream is where it should be
        self.sequence, self.next = 0, 0  # of the last message; number of the next event
        self.inbox = link.client.new_inbox()  # where acknowledgements come, by batch
        self.batch, self.waiting = 0, _Batch(0)

    async def begin(self) -> None:
        """Take the writer's name, and go on where the stream stops."""
        try:
            await self.link.client.request(self.names.owner, timeout=self.link.timeout)
        except NoRespondersError:
            pass  # nobody has the name
        else:
            raise EventLogError(in_use(self.writer, self.link))
        self.owner = await self.link.client.subscribe(self.names.owner, cb=_answer)
        await self.link.client.subscribe(f"{self.inbox}.*", cb=self._acknowledged)
        self.sequence = await self._last_sequence()
        self.next = 1 + await last_number(self.link, self.names)

    async def append(self, events: Sequence[bytes]) -> int:
        """The number of the first; each message says which one it follows."""
        for _ in range(TRIES):
            if self.unsure:
                await self.settle()
            lines = [line_of(number, event) for number, event in enumerate(events, self.next)]
            most, longest = self.link.client.max_payload, max(map(len, lines))
            if longest > most:
                raise EventLogError(f"an event has {longest} bytes; the server takes {most}")
            self.unsure = True
            failure = await self._published(lines)
            if failure is None:
                first, self.unsure = self.next, False
                self.next, self.sequence = first + len(lines), self.sequence + len(lines)
                return first
            if failure.get("err_code") != WRONG_LAST:
                await self.settle()
                raise EventLogError(f"{self.writer} at {self.link!r}: {failure['description']}")
        raise EventLogError(f"the stream of {self.writer} changed in {TRIES} tries")

    async def settle(self) -> None:
        """Take out what was not acknowledged as a whole, and learn what was lost."""
        last = await self._last_sequence()
        for sequence in range(self.sequence + 1, last + 1):
            try:
                message = await self.link.stream.get_msg(self.names.stream, sequence)
            except js_errors.NotFoundError:
                continue  # an earlier try took it out
            if (message.headers or {}).get(PROCESS) != self.process:
                raise EventLogError(in_use(self.writer, self.link))
            await self.link.stream.delete_msg(self.names.stream, sequence)
        self.next += max(0, last - self.sequence)
        self.sequence, self.unsure = last, False

    async def _published(self, lines: Sequence[bytes]) -> dict[str, Any] | None:
        """The first error that the server replied; raises TimeoutError where a reply did not come.
        The client's own `publish_async` never tells of an error."""
        self.batch += 1
        self.waiting = waiting = _Batch(len(lines))
        reply = f"{self.inbox}.{self.batch}"
        for sequence, line in enumerate(lines, self.sequence):
            headers = {EXPECTED: str(sequence), PROCESS: self.process}
            await self.link.client.publish(self.names.subject, line, reply, headers)
        await asyncio.wait_for(waiting.done.wait(), self.link.timeout)
        return waiting.failure

    async def _acknowledged(self, message: Msg) -> None:
        if int(message.subject.rpartition(".")[2]) != self.batch:
            return  # of a batch for which nobody waits any more
        if not message.data:
            error = {"description": "nobody keeps the stream: is JetStream on?"}
        elif b'"error"' in message.data:
            error = json.loads(message.data)["error"]
        else:
            error = None
        self.waiting.replied(error)

    async def _last_sequence(self) -> int:
        """Of the stream, which is made where it is not there: full, it refuses what is new."""
        try:
            info = await self.link.stream.stream_info(self.names.stream)
        except js_errors.NotFoundError:
            info = await self.link.stream.add_stream(
                api.StreamConfig(
                    name=self.names.stream,
                    subjects=[self.names.subject],
                    storage=api.StorageType.FILE,
                    discard=api.DiscardPolicy.NEW,
                    num_replicas=self.replicas,
                )
            )
        if info.config.storage != api.StorageType.FILE:
            raise EventLogError(f"stream {self.names.stream} is in memory; it must be in files")
        return info.state.last_seq


class Reader:
    """Goes through a stream from an event on."""

    def __init__(self, link: NatsLink, names: Names, after: int) -> None:
        self.link, self.names, self.after, self.pending = link, names, after, 0

    async def begin(self) -> None:
        last = await last_of(self.link, self.names)
        if last is None or last.number <= self.after:
            return
        self._subscription = await self.link.stream.pull_subscribe(
            self.names.subject,
            stream=self.names.stream,
            config=api.ConsumerConfig(
                deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=max(1, self.after + 2 - last.lost),
                ack_policy=api.AckPolicy.NONE,
                inactive_threshold=READER_GONE,
            ),
        )
        self.pending = await self._left()

    async def page(self) -> list[Kept]:
        """The next ones; `pending` says how many there are after them."""
        try:
            messages = await self._subscription.fetch(
                min(BATCH, self.pending), timeout=self.link.timeout
            )
        except TimeoutError:
            self.pending = await self._left()
            if self.pending:
                raise
            return []  # they were taken out meanwhile
        self.pending = messages[-1].metadata.num_pending or 0
        found = [kept_of(m.data, m.metadata.sequence.stream, self.names) for m in messages]
        return [one for one in found if one.number > self.after]

    async def end(self) -> None:
        if hasattr(self, "_subscription"):
            await self._subscription.unsubscribe()

    async def _left(self) -> int:
        return (await self._subscription.consumer_info()).num_pending or 0


class _Batch:
    """Replies to messages that were sent together."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.failure: dict[str, Any] | None = None
        self.done = asyncio.Event()

    def replied(self, error: dict[str, Any] | None) -> None:
        self.left -= 1
        self.failure = self.failure or error
        if self.left == 0:
            self.done.set()


async def last_number(link: NatsLink, names: Names) -> int:
    """Of the last event that was ever in the stream; -1 where there was none."""
    try:
        sequence = (await link.stream.stream_info(names.stream)).state.last_seq
    except js_errors.NotFoundError:
        return -1
    last = await last_of(link, names)
    if last is None:
        return sequence - 1
    return last.number + sequence - sequence_of(last)  # those after it were taken out


async def last_of(link: NatsLink, names: Names) -> Kept | None:
    """The last event that is there."""
    try:
        found = await link.stream.get_last_msg(names.stream, names.subject)
    except js_errors.NotFoundError:
        return None
    return kept_of(found.data or b"", found.seq or 0, names)


def kept_of(data: bytes, sequence: int, names: Names) -> Kept:
    """Raises EventLogError for what is no line of an event."""
    match = LINE.fullmatch(data)
    if match is None:
        raise EventLogError(
            f"message {sequence} of stream {names.stream} is no event: {data[:60]!r}"
        )
    number = int(match[1])
    return Kept(number, number + 1 - sequence, match[2])


def sequence_of(one: Kept) -> int:
    """Where an event stands in its stream."""
    return one.number + 1 - one.lost


async def _answer(message: Msg) -> None:
    await message.respond(b"taken")
