from __future__ import annotations

from datetime import date

from profilemesh.storage import Storage, savings
from profilemesh.storage.savings import Spared
from tests.engine.storage.kept import kept_savings

MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)


def test_what_is_added_adds_up_by_day_warehouse_and_action(storage: Storage) -> None:
    one = Spared(MONDAY, "shop", "skip", 1, 2, 3, 4, 5, 6, 7, 2**40)
    for _ in range(2):
        with storage.begin() as session:
            savings.add(session, [one, Spared(TUESDAY, "lake", "skip", 1), one, Spared(MONDAY, "lake", "full", 1)])
    with storage.read() as session:
        assert kept_savings(session) == [
            Spared(TUESDAY, "lake", "skip", 2),
            Spared(MONDAY, "lake", "full", 2),
            Spared(MONDAY, "shop", "skip", 4, 8, 12, 16, 20, 24, 28, 2**42),
        ]


def test_nothing_to_add_is_nothing(storage: Storage) -> None:
    with storage.begin() as session:
        savings.add(session, [])
        assert kept_savings(session) == []
