from __future__ import annotations

from collections.abc import Iterator

import pytest

from profilemesh.alerts import delivery
from tests.engine.storage.conftest import migrated_postgres, migrated_url, storage
from tests.webhook import Receiver, receiving

__all__ = ["migrated_postgres", "migrated_url", "storage"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails may be tried again at once."""
    monkeypatch.setattr(delivery, "FIRST_PAUSE", delivery.FIRST_PAUSE * 0)
