"""The kinds of values a configuration holds, as marshmallow fields that say what they allow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from marshmallow import ValidationError, fields

from profilemesh.config.document import Text, plain
from profilemesh.config.model import Thresholds, Window
from profilemesh.config.problems import ALLOWED, did_you_mean

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONG_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Value(fields.Field[Any]):
    """A value that names what it allows; the report around it adds what was found, and where."""

    allowed = "a value"

    def __init__(self, *, allowed: str | None = None, **options: Any) -> None:
        self.allowed = allowed or self.allowed
        words = ALLOWED + self.allowed
        super().__init__(error_messages={"required": words, "null": words}, **options)

    def refusal(self, hint: str = "") -> ValidationError:
        return ValidationError(f"{ALLOWED}{self.allowed}{hint}")


class Word(Value):
    """A text, as it is written: `0123`, `2024-01-01` and `yes` are texts here."""

    allowed = "a text"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        if not isinstance(value, Text) or not value.strip() or "\0" in value:
            raise self.refusal()
        return str(value)


class Secret(Word):
    """A text that may be empty and keeps its spaces."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        if not isinstance(value, Text) or "\0" in value:
            raise self.refusal()
        return str(value)


class OneOf(Word):
    def __init__(self, *choices: str, **options: Any) -> None:
        self.choices = choices
        super().__init__(allowed=", ".join(choices), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        word = super()._deserialize(value, attr, data, **options)
        if word not in self.choices:
            raise self.refusal(did_you_mean(word, self.choices))
        return word


class Flag(Value):
    allowed = "true or false"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> bool:
        word = value.casefold() if isinstance(value, Text) else ""
        if word not in (*_TRUE, *_FALSE):
            raise self.refusal()
        return word in _TRUE


class Real(Value):
    """A finite number, at least `least` (more than it where `open_below`), at most `most`."""

    def __init__(
        self, *, least: float | None = None, most: float | None = None, open_below: bool = False, **options: Any
    ) -> None:
        self.least, self.most, self.open_below = least, most, open_below
        super().__init__(allowed=options.pop("allowed", None) or self._range("a number"), **options)

    def _range(self, noun: str) -> str:
        words = [noun]
        if self.least is not None:
            words.append(f"{'above' if self.open_below else 'of at least'} {self.least:g}")
        if self.most is not None:
            words.append(f"{'and ' if self.least is not None else ''}at most {self.most:g}")
        return " ".join(words)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> float:
        number = _number(value)
        if number is None:
            raise self.refusal()
        too_small = self.least is not None and (number < self.least or (self.open_below and number == self.least))
        if too_small or (self.most is not None and number > self.most):
            raise self.refusal()
        return float(number)


class Whole(Real):
    """A whole number. `1e8` is one too."""

    def __init__(self, *, least: int = 1, most: int = 2**63 - 1, **options: Any) -> None:
        bounds = f"of at least {least}" if most == 2**63 - 1 else f"from {least} to {most}"
        super().__init__(least=least, most=most, allowed=f"a whole number {bounds}", **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> int:
        super()._deserialize(value, attr, data, **options)
        number = _number(value)
        if number is None or number != int(number):
            raise self.refusal()
        return int(number)


def _number(value: Any) -> int | float | None:
    # YAML reads 22:30 as 1350: in sixties.
    if not isinstance(value, Text) or ":" in value or isinstance(value.value, bool):
        return None
    number = value.value if isinstance(value.value, int | float) else _as_number(value)
    # Past a float's reach no bound holds it, and comparing would fail.
    return number if number is not None and abs(number) < 1e300 else None


def _as_number(text: str) -> int | float | None:
    for reading in (int, float):
        try:
            return reading(text)
        except ValueError:
            continue
    return None


class Part(fields.Nested):
    """A section of its own."""

    default_error_messages = {
        "type": f"{ALLOWED}a mapping of keys to values",
        "null": f"{ALLOWED}a mapping of keys to values",
    }


class ListOf(Value):
    """A list. With `lone`, a single value is a list of one."""

    def __init__(self, inner: fields.Field[Any], *, lone: bool = False, **options: Any) -> None:
        self.inner, self.lone = inner, lone
        noun = getattr(inner, "allowed", "mappings")
        super().__init__(allowed=f"a list of: {noun}" + (", or one alone" if lone else ""), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> tuple[Any, ...]:
        if self.lone and isinstance(value, Text):
            return (self.inner.deserialize(value),)
        if not isinstance(value, list):
            raise self.refusal()
        return tuple(_each(enumerate(value), self.inner).values())


class MapOf(Value):
    """A mapping from names to values of one kind."""

    def __init__(self, inner: fields.Field[Any], **options: Any) -> None:
        self.inner = inner
        super().__init__(allowed="a mapping of names to: " + getattr(inner, "allowed", "mappings"), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict) or not all(key.strip() for key in value):
            raise self.refusal()
        return MappingProxyType(_each(value.items(), self.inner))


def _each(items: Any, inner: fields.Field[Any]) -> dict[Any, Any]:
    good, bad = {}, {}
    for key, item in items:
        try:
            good[key] = inner.deserialize(item)
        except ValidationError as error:
            bad[key] = error.messages
    if bad:
        raise ValidationError(bad)
    return good


class Free(Value):
    """A mapping handed on as it is."""

    allowed = "a mapping of keys to values"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self.refusal()
        return MappingProxyType(plain(value))


class Anything(Value):
    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        return plain(value)


class Either(Value):
    """A short form (a text) or a long form (a mapping or a list)."""

    def __init__(self, short: fields.Field[Any], long: fields.Field[Any], *, long_type: type = dict, **options: Any):
        self.short, self.long, self.long_type = short, long, long_type
        super().__init__(**options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Any:
        return (self.long if isinstance(value, self.long_type) else self.short).deserialize(value)


class Hours(Value):
    """`HH:MM-HH:MM` as minutes of the day; may wrap midnight; 24:00 is its end."""

    allowed = 'hours in UTC as "HH:MM-HH:MM" with two different ends, such as "22:00-06:00"'

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> tuple[int, int]:
        ends = value.split("-") if isinstance(value, Text) else []
        start, end = (self._minute(text) for text in ends) if len(ends) == 2 else (0, 0)
        if start == end or start == 1440:
            raise self.refusal()
        return start, end

    def _minute(self, text: str) -> int:
        hour, _, minute = text.strip().partition(":")
        if not (hour.isascii() and hour.isdigit() and len(minute) == 2 and minute.isascii() and minute.isdigit()):
            raise self.refusal()
        total = int(hour) * 60 + int(minute)
        if int(minute) > 59 or total > 1440:
            raise self.refusal()
        return total


class HoursAlone(Hours):
    """A window given as its hours only: every day."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Window:  # type: ignore[override]
        return Window(*super()._deserialize(value, attr, data, **options))


class Day(Value):
    """A weekday's name as its number, 0 for Monday."""

    allowed = ", ".join(_DAYS)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> int:
        word = value.casefold() if isinstance(value, Text) else ""
        for names in (_DAYS, _LONG_DAYS):
            if word in names:
                return names.index(word)
        raise self.refusal(did_you_mean(word, _DAYS))


class Ladder(Value):
    """Three numbers that do not fall: from where on something is low, medium, high."""

    allowed = "three numbers of at least 0 that do not fall, such as [5, 15, 30]"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> Thresholds:
        numbers = [_number(each) for each in value] if isinstance(value, list) else []
        known = [float(number) for number in numbers if number is not None]
        if len(known) != 3 or len(numbers) != 3 or known[0] < 0 or sorted(known) != known:
            raise self.refusal()
        return Thresholds(*known)


class Moment(Value):
    """A day or a time in ISO 8601, UTC unless it says otherwise; a day as an end is all of it."""

    allowed = "a day such as 2026-11-27, or a time such as 2026-11-27T18:00"

    def __init__(self, *, is_end: bool = False, **options: Any) -> None:
        self.is_end = is_end
        super().__init__(**options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> datetime:
        try:
            found = datetime.fromisoformat(str(value).strip())
        except ValueError:
            raise self.refusal() from None
        aware = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        is_day = len(str(value).strip()) <= 10
        return aware + timedelta(days=1, microseconds=-1) if self.is_end and is_day else aware
