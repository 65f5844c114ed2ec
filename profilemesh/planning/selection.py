"""Which tables are profiled, by which rule, and which of their columns: patterns and precedence. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from operator import itemgetter

from profilemesh.config.model import ColumnRule, Config, OwnerRule, TableRule, Window, is_glob
from profilemesh.planning.snapshots import Snapshot
from profilemesh.tables import Column, TableRef

_EVERY_TABLE = TableRule()
_MOST_HINTS = 20


@dataclass(frozen=True, slots=True)
class TableSettings:
    """What holds for one table. `columns` are those profiled, `sensitive` the names among them.

    `partition_key` is the rule's, but none where one of its columns is sensitive: a partition's name is its values.
    """

    rule: TableRule
    columns: tuple[Column, ...]
    sensitive: frozenset[str]
    paused: bool
    window: Window | None
    owner: str | None
    tags: tuple[str, ...]
    sample_ratio: float = 1.0
    partition_key: tuple[str, ...] = ()


def settings_for(config: Config, snapshot: Snapshot) -> TableSettings | None:
    """The settings of a table, None if it is not selected.

    Without rules every table is selected. Else the most specific rule that matches decides alone: an exact name beats
    a glob, compared by table, then schema, then warehouse; among equals the first of the file. Only `sensitive` adds
    up over all rules that match: what one of them protects, no other lays open.
    """
    rules = _matching_rules(config, snapshot.table)
    rule = max(rules, key=lambda each: _exactness(each, snapshot.table), default=None)
    if rule is None:
        return None
    columns = _profiled(rule.columns, snapshot.columns)
    protected = [pattern for each in rules for pattern in each.columns.sensitive]
    sensitive = frozenset(column.name for column in columns if protected and _matches_any(column.name, protected))
    key = rule.partition.key if rule.partition else ()
    if any(_matches_any(name, protected) for name in key):
        key = ()
    ratio, owner = config.profiling.default_sample_ratio, owner_of(config, snapshot.table)
    return TableSettings(rule, columns, sensitive, rule.paused, rule.window, owner, rule.tags, ratio, key)


def owner_of(config: Config, table: TableRef) -> str | None:
    """Who owns the table: the owner of the entry of `profiling.tables` that decides on it, else the first of `owners`
    whose globs match the table's names, and whose tag, where it has one, matches a tag of that entry."""
    rule = max(_matching_rules(config, table), key=lambda each: _exactness(each, table), default=_EVERY_TABLE)
    if rule.owner is not None:
        return rule.owner
    return next((each.owner for each in config.owners if _is_owned(each, table, rule.tags)), None)


def _is_owned(rule: OwnerRule, table: TableRef, tags: tuple[str, ...]) -> bool:
    is_tagged = rule.tag is None or any(_is_match(tag, rule.tag) for tag in tags)
    return is_tagged and _matches(rule, table)


def missing_tables(
    config: Config, catalogue_refs: Collection[TableRef], warehouses: Collection[str]
) -> list[tuple[str, str | None]]:
    """Tables configured by an exact name that are not in the catalogue, each with the one that was probably meant.

    `warehouses` are those that answered: of the others nothing is known, and nothing is said.
    """
    missing: list[tuple[str, str | None]] = []
    by_name: dict[str, list[TableRef]] = {}
    for ref in catalogue_refs:
        by_name.setdefault(ref.name, []).append(ref)
    for rule in config.profiling.tables:
        if is_glob(rule.table) or any(_matches(rule, ref) for ref in by_name.get(rule.table, ())):
            continue
        if _may_be_elsewhere(rule, config, warehouses):
            continue
        covered = [ref for ref in catalogue_refs if _is_match(ref.warehouse, rule.warehouse)]
        # Where a whole schema is gone, the first few names are hint enough.
        instead = _nearest(rule, covered or catalogue_refs) if len(missing) < _MOST_HINTS else None
        missing.append((_told(rule), instead))
    return missing


@dataclass(frozen=True)
class Unmatched:
    """A pattern for columns that fits none of its tables' columns; `instead` is the name that was probably meant."""

    rule: str
    key: str
    pattern: str
    instead: str | None


def unmatched_columns(config: Config, snapshots: Collection[Snapshot]) -> list[Unmatched]:
    """Entries of `include`, `exclude` and `sensitive` without effect on any table of their rule.

    A misspelt `sensitive` lays values open, so it must not pass in silence. Rules without any table are not judged.
    """
    found: list[Unmatched] = []
    for rule in config.profiling.tables:
        if not (rule.columns.include or rule.columns.exclude or rule.columns.sensitive):
            continue
        covered = [snapshot for snapshot in snapshots if _matches(rule, snapshot.table)]
        names = {column.name for snapshot in covered for column in snapshot.columns}
        for key in ("include", "exclude", "sensitive") if covered else ():
            for pattern in getattr(rule.columns, key):
                if not any(_is_match(name, pattern) for name in names):
                    found.append(Unmatched(_told(rule), key, pattern, _similar(pattern, names)))
    return found


def _similar(pattern: str, names: Collection[str]) -> str | None:
    """The column whose letters and digits are most like the pattern's."""
    plain = {"".join(filter(str.isalnum, name)).casefold(): name for name in sorted(names)}
    near = difflib.get_close_matches("".join(filter(str.isalnum, pattern)).casefold(), plain, n=1)
    return plain[near[0]] if near else None


def _matching_rules(config: Config, table: TableRef) -> list[TableRule]:
    """In the order of the file, which `max` keeps among equals."""
    if not config.profiling.tables:
        return [_EVERY_TABLE]
    rules = config.profiling.rules_by_name
    candidates = sorted([*rules.get(table.name, ()), *rules.get(None, ())], key=itemgetter(0))
    return [rule for _, rule in candidates if _matches(rule, table)]


def _exactness(rule: TableRule, table: TableRef) -> tuple[bool, bool, bool]:
    return rule.table == table.name, rule.schema == table.schema, rule.warehouse == table.warehouse


def _matches(rule: TableRule | OwnerRule, table: TableRef) -> bool:
    return (
        _is_match(table.name, rule.table)
        and _is_match(table.schema, rule.schema)
        and _is_match(table.warehouse, rule.warehouse)
    )


def _is_match(name: str, pattern: str) -> bool:
    # A table may be called `sales[2024]`: the name itself counts before the glob it could be read as.
    if pattern == "*" or name == pattern:
        return True
    glob = _glob(pattern)
    return glob is not None and glob.match(name) is not None


@lru_cache(maxsize=10_000)
def _glob(pattern: str) -> re.Pattern[str] | None:
    # The library's own memory of compiled patterns is too small for a file that lists hundreds of tables.
    return re.compile(translate(pattern)) if is_glob(pattern) else None


def _matches_any(name: str, patterns: Iterable[str]) -> bool:
    return any(_is_match(name, pattern) for pattern in patterns)


def _profiled(rule: ColumnRule, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    if not (rule.include or rule.exclude):
        return columns
    return tuple(column for column in columns if _is_profiled(rule, column.name))


def _is_profiled(rule: ColumnRule, name: str) -> bool:
    return (not rule.include or _matches_any(name, rule.include)) and not _matches_any(name, rule.exclude)


def _may_be_elsewhere(rule: TableRule, config: Config, warehouses: Collection[str]) -> bool:
    """Whether a warehouse that the rule covers did not answer."""
    return any(_is_match(name, rule.warehouse) for name in config.warehouses if name not in warehouses)


def _told(rule: TableRule) -> str:
    parts = [rule.warehouse, rule.schema, rule.table]
    while parts[0] == "*" and len(parts) > 1:
        parts.pop(0)
    return ".".join(parts)


def _nearest(rule: TableRule, refs: Collection[TableRef]) -> str | None:
    """The table that was probably meant: of the same name in another case or place, else of a similar one."""
    same_name = sorted(str(ref) for ref in refs if ref.name.casefold() == rule.table.casefold())
    if same_name:
        return same_name[0]
    near = difflib.get_close_matches(rule.table, {ref.name for ref in refs}, n=1)
    return next((str(ref) for ref in sorted(refs) if ref.name == near[0]), None) if near else None
