"""What all sections of the file have in common."""

from __future__ import annotations

from dataclasses import fields as dataclass_fields
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, ValidationError, post_load, pre_load, validates_schema

from profilemesh.config.problems import ALLOWED, did_you_mean


class Section(Schema):
    """Refuses unknown keys, takes null for absent, and makes a dataclass of the rest."""

    class Meta:
        unknown = EXCLUDE

    error_messages = {"type": f"{ALLOWED}a mapping of keys to values"}
    makes: ClassVar[type[Any] | None] = None

    @pre_load
    def without_nulls(self, data: Any, **options: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def knows_every_key(self, data: Any, original: Any, **options: Any) -> None:
        known = [field.data_key or name for name, field in self.fields.items()]
        unknown = [key for key in original if key not in known] if isinstance(original, dict) else []
        if unknown:
            words = f"unknown key; {ALLOWED}" + ", ".join(known)
            raise ValidationError({key: [words + did_you_mean(key, known)] for key in unknown})

    @post_load
    def made(self, data: dict[str, Any], **options: Any) -> Any:
        if self.makes is None:
            return data
        names = {field.name for field in dataclass_fields(self.makes)}
        return self.makes(**{name: value for name, value in data.items() if name in names})
