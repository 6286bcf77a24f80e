"""Fields of messages: what each may hold, an error that names it, and JSON there and back."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, field, fields
from functools import cache
from operator import attrgetter
from typing import Any, ClassVar, Protocol, TypeVar

SCHEMA = 1  # of messages and events; another one is not read
LONGEST = 256  # characters of an id

Parse = Callable[[str, Any], Any]  # (name of the field, value) -> the value, checked
T = TypeVar("T", bound="Message")


class ContractError(ValueError):
    """A message breaks its contract; the text names the field and the fix.

    field: the same name alone; None where it is the whole message.
    limit: the number that was exceeded, if one was.
    """

    def __init__(
        self, message: str, *, field: str | None = None, limit: float | None = None
    ) -> None:
        super().__init__(message)
        self.field, self.limit = field, limit

    def within(self, what: str) -> ContractError:
        """The same error, of one of several messages."""
        return ContractError(f"{what}: {self}", field=self.field, limit=self.limit)


class Message(Protocol):
    """A frozen dataclass whose fields carry their checks."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


def of(parse: Parse, default: Any = MISSING, about: str = "") -> Any:
    """A dataclass field whose values are checked by `parse`; `about` is for the schema."""
    return field(default=default, metadata={"parse": parse, "about": about})


def text(name: str, value: Any) -> str:
    """An id: 1 to 256 characters."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST:
        found = f"{len(value)} characters" if isinstance(value, str) else _kind(value)
        raise ContractError(
            f"{name} is {found}; it must be a string of 1 to {LONGEST} characters",
            field=name,
            limit=LONGEST if isinstance(value, str) else None,
        )
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ContractError(f"{name} is no text that UTF-8 can hold", field=name) from None
    return value


def label(name: str, value: Any) -> str:
    """An id, or the empty string where there is none."""
    return "" if value == "" else text(name, value)


def number(name: str, value: Any) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ContractError(f"{name} is {_kind(value)}; it must be a number", field=name)
    try:
        real = float(value)
    except OverflowError:
        real = math.inf
    if not math.isfinite(real):
        raise ContractError(
            f"{name} is not finite; it must be a number that float64 can hold", field=name
        )
    return real


def positive(name: str, value: Any) -> float:
    """A finite number above 0."""
    real = number(name, value)
    if real <= 0:
        raise ContractError(f"{name} is {real:g}; it must be above 0", field=name, limit=0)
    return real


def whole(name: str, value: Any) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ContractError(f"{name} is {_kind(value)}; it must be a whole number", field=name)
    return value


SCHEMAS: dict[Parse, dict[str, Any]] = {  # JSON Schema of what a parser lets through
    text: {"type": "string", "minLength": 1, "maxLength": LONGEST},
    label: {"type": "string", "maxLength": LONGEST},
    number: {"type": "number"},
    positive: {"type": "number", "exclusiveMinimum": 0},
    whole: {"type": "integer"},
}


def _all_floats(values: Sequence[Any]) -> bool:
    return set(map(type, values)) <= {float} and all(map(math.isfinite, values))


def _all_whole(values: Sequence[Any]) -> bool:
    return set(map(type, values)) <= {int}


def _all_texts(values: Sequence[Any]) -> bool:
    return (
        set(map(type, values)) <= {str}
        and all(values)
        and max(map(len, values), default=0) <= LONGEST
        and "".join(values).isascii()
    )


QUICK: dict[Parse, Callable[[Sequence[Any]], bool]] = {  # whether a list passes as it is
    text: _all_texts,
    number: _all_floats,
    whole: _all_whole,
}


def many(parse: Parse) -> Parse:
    """A list of such values, as a tuple; an error names the place."""
    passes = QUICK.get(parse)

    def read(name: str, value: Any) -> tuple[Any, ...]:
        if isinstance(value, str | bytes) or not isinstance(value, list | tuple):
            raise ContractError(f"{name} is {_kind(value)}; it must be a list", field=name)
        if passes is not None and passes(value):
            return tuple(value)
        try:
            return tuple([parse(name, each) for each in value])
        except ContractError:  # once more, slower, to say where
            return tuple(parse(f"{name}[{i}]", each) for i, each in enumerate(value))

    SCHEMAS[read] = {"type": "array", "items": SCHEMAS[parse]}
    return read


def named(parse: Parse) -> Parse:
    """An object of such values by name."""

    def read(name: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise ContractError(f"{name} is {_kind(value)}; it must be an object", field=name)
        return {text(f"a key of {name}", k): parse(f"{name}.{k}", v) for k, v in value.items()}

    names = {"minLength": 1, "maxLength": LONGEST}
    SCHEMAS[read] = {
        "type": "object", "additionalProperties": SCHEMAS[parse], "propertyNames": names,
    }  # fmt: skip
    return read


def maybe(parse: Parse) -> Parse:
    """Such a value or none."""

    def read(name: str, value: Any) -> Any:
        return None if value is None else parse(name, value)

    SCHEMAS[read] = {"anyOf": [SCHEMAS[parse], {"type": "null"}]}
    return read


def check(message: Message) -> None:
    """Check every field of a message in its `__post_init__`; lists become tuples.

    Raises ContractError, which names the field.
    """
    for name, parse in _parsers(type(message)).items():
        object.__setattr__(message, name, parse(name, getattr(message, name)))


def to_json(message: Message, kind: str) -> bytes:
    """One line of JSON without the line's end; floats come back as they were."""
    names = _parsers(type(message))
    values = _values(type(message))(message)
    return _encode()({"schema": SCHEMA, "type": kind, **dict(zip(names, values, strict=True))})


def from_json(cls: type[T], body: bytes | str | Mapping[str, Any], kind: str) -> T:
    """The message that `to_json` wrote, or that a caller did; `schema` and `type` may be left out.

    Raises ContractError, which names the field.
    """
    given = dict(body) if isinstance(body, Mapping) else parse_json(body)
    for name, known in (("schema", SCHEMA), ("type", kind)):
        if given.pop(name, known) != known:
            raise ContractError(
                f"{name} is not {known!r}, which is what this version reads", field=name
            )
    parsers = _parsers(cls)
    unknown = [name for name in given if name not in parsers]
    if unknown:
        known, first = ", ".join(parsers), str(unknown[0])[:LONGEST]
        raise ContractError(f"{first!r} is no field of a {kind}; it has {known}", field=first)
    missing = [name for name in _required(cls) if name not in given]
    if missing:
        raise ContractError(f"{missing[0]} is missing: a {kind} must have it", field=missing[0])
    return cls(**{name: parsers[name](name, value) for name, value in given.items()})


def parse_json(body: bytes | str) -> dict[str, Any]:
    """One JSON object in UTF-8, no name twice in it; ContractError for anything else."""
    given = read_json(body)
    if not isinstance(given, dict):
        raise ContractError(f"the body is {_kind(given)}; it must be an object")
    return given


def read_json(body: bytes | str) -> Any:
    """Any JSON in UTF-8, no name twice in an object; ContractError for anything else."""
    if not isinstance(body, str | bytes | bytearray):
        raise ContractError(f"the body is {type(body).__name__}; it must be text or bytes of JSON")
    try:
        said = body if isinstance(body, str) else body.decode()
        return _DECODER.decode(said)
    except RecursionError:
        raise ContractError("the body is nested too deeply") from None
    except ContractError:
        raise
    except ValueError as error:  # also bytes that are no UTF-8
        raise ContractError(f"the body is no JSON: {error}") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    given = dict(pairs)
    if len(given) < len(pairs):
        often = Counter(name for name, _ in pairs)  # linear: a body may hold 30,000 names
        twice = next(name for name, _ in pairs if often[name] > 1)[:LONGEST]
        raise ContractError(f"{twice!r} stands twice in one object", field=twice)
    return given


def _no_number(literal: str) -> None:
    raise ValueError(f"{literal} is no number")


_DECODER = json.JSONDecoder(parse_constant=_no_number, object_pairs_hook=_each_once)


def _kind(value: Any) -> str:
    kinds = {"NoneType": "null", "dict": "an object", "str": "a string", "bool": "true or false"}
    found = type(value).__name__
    return kinds.get(found, f"of type {found}")


@cache
def _encode() -> Callable[[Any], bytes]:
    """msgspec where the extra `serve` is installed: it writes 200 floats in a tenth of the time."""
    try:
        from msgspec.json import Encoder
    except ImportError:
        plain = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_inner)
        return lambda body: plain.encode(body).encode()
    return Encoder().encode


def _inner(message: Message) -> dict[str, Any]:
    return dict(zip(_parsers(type(message)), _values(type(message))(message), strict=True))


@cache
def _parsers(cls: type[Message]) -> dict[str, Parse]:
    return {f.name: f.metadata["parse"] for f in fields(cls)}


@cache
def _values(cls: type[Message]) -> Callable[[Any], tuple[Any, ...]]:
    return attrgetter(*_parsers(cls))


@cache
def _required(cls: type[Message]) -> list[str]:
    return [f.name for f in fields(cls) if f.default is f.default_factory is MISSING]
