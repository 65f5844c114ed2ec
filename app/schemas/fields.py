"""Parameters that refuse what they do not understand, instead of replacing it."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import ValidationError, fields, validate

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
        super().__init__(load_default=None, metadata={"description": description}, **kwargs)

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super().deserialize(value, *args, **kwargs)
        if text is not None and "\0" in text:
            raise ValidationError("Must not hold a NUL byte.")
        return text or None
