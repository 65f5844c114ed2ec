"""A warehouse that this version cannot open as it is configured: all it answers is why, and the others go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NoReturn

from profilemesh.config.model import Strategy
from profilemesh.planning.snapshots import Snapshot
from profilemesh.tables import TableRef
from profilemesh.warehouses.base import CheckResult, Misconfigured, Scan, Warehouse


@dataclass
class UnbuiltWarehouse(Warehouse):
    """`why` is the rest of a sentence about it."""

    why: str = ""

    type: ClassVar[str] = "unbuilt"
    default_strategy: ClassVar[Strategy] = "pushdown"

    def _refuse(self) -> NoReturn:
        raise Misconfigured(f"warehouse {self.name}: {self.why}")

    def catalogue(self) -> tuple[Snapshot, ...]:
        self._refuse()

    def open_scan(self, table: TableRef) -> Scan:
        self._refuse()

    def check(self) -> Iterator[CheckResult]:
        yield CheckResult(self.name, False, f"warehouse {self.name}: {self.why}")
