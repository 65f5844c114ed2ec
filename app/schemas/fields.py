"""Parameters that refuse what they do not understand, instead of replacing it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

from app.queries.lists import Cursor, Shape

WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


class Whole(fields.Integer):
    """An integer from `low` to `high` in plain digits: not 1.5, not 1_000, not empty."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        allowed = validate.Range(low, high, error=f"Must be a whole number from {low} to {high}.")
        super().__init__(validate=allowed, **kwargs)

    def _validated(self, value: Any) -> int:
        if not (isinstance(value, str) and WHOLE.fullmatch(value)):
            raise ValidationError(self.validate.error)  # type: ignore[union-attr]
        return int(value)


class Text(fields.String):
    """A text to filter by; empty is no filter (None)."""

    def __init__(self, description: str, **kwargs: Any) -> None:
        if not kwargs.get("required"):
            kwargs["load_default"] = None
        super().__init__(metadata={"description": description}, **kwargs)

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super().deserialize(value, *args, **kwargs)
        if text is not None and "\0" in text:
            raise ValidationError("Must not hold a NUL byte.")
        return text or None


class Choice(Text):
    """One of a few texts; empty is no filter, or the `default`."""

    def __init__(self, options: Iterable[str], description: str, default: str | None = None) -> None:
        known = list(options)
        allowed = validate.OneOf(known, error=f"Must be one of {', '.join(known)}.")
        super().__init__(description, validate=allowed)
        self.load_default = default
        if default is not None:
            self.metadata = {**self.metadata, "default": default}

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return self.load_default if value == "" else super().deserialize(value, *args, **kwargs)


class Flag(Choice):
    """true or false; without it, no filter."""

    def __init__(self, description: str) -> None:
        super().__init__(("true", "false"), description)

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return {"true": True, "false": False, None: None}[super().deserialize(value, *args, **kwargs)]


class CursorField(fields.String):
    """Where a part of a list begins, as the part before it told in `X-Next-Cursor`; empty is the beginning.

    `shape` may depend on the other parameters.
    """

    def __init__(self, shape: Shape | Callable[[Mapping[str, Any]], Shape]) -> None:
        self.shape = shape
        told = "Where to go on: the `X-Next-Cursor` of the part before, with the same filters. Goes before `offset`."
        super().__init__(load_default=None, metadata={"description": told})

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Any:
        text = super().deserialize(value, attr, data, **kwargs)
        if not text:
            return None
        try:
            return Cursor.from_text(text, self.shape(data or {}) if callable(self.shape) else self.shape)
        except ValueError as error:
            raise ValidationError(str(error)) from None
