from __future__ import annotations

from datetime import date

from profilemesh.storage import Storage, savings
from profilemesh.storage.savings import Spared

MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)


def test_what_is_added_adds_up_by_day_warehouse_and_action(storage: Storage) -> None:
    one = Spared(MONDAY, "shop", "skip", 1, 2, 3, 4, 5, 6, 7, 2**40)
    for _ in range(2):
        with storage.begin() as session:
            savings.add(session, [one, Spared(TUESDAY, "lake", "skip", 1), one, Spared(MONDAY, "lake", "full", 1)])
    with storage.read() as session:
        assert savings.by_day(session, MONDAY) == [
            Spared(TUESDAY, "lake", "skip", 2),
            Spared(MONDAY, "lake", "full", 2),
            Spared(MONDAY, "shop", "skip", 4, 8, 12, 16, 20, 24, 28, 2**42),
        ]
        assert [day.warehouse for day in savings.by_day(session, MONDAY, "shop")] == ["shop"]
        assert [day.day for day in savings.by_day(session, TUESDAY)] == [TUESDAY]


def test_measured_and_estimated_add_up_to_what_was_spared() -> None:
    spared = Spared(MONDAY, "shop", "skip", 1, 0, 2, 3, 20, 30)
    assert (spared.rows_spared, spared.bytes_spared) == (5, 50)


def test_nothing_to_add_is_nothing(storage: Storage) -> None:
    with storage.begin() as session:
        savings.add(session, [])
        assert savings.by_day(session, MONDAY) == []
