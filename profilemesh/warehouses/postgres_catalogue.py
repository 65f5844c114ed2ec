"""PostgreSQL's catalogue in three statements, and the change token made of it.

The statements touch no user table and take no lock on one, so a table under ALTER does not hold up the look. They run
in one transaction of their own, the token's parts before the columns, and it ends before any scan begins: what changes
later makes the next token differ. Expressions are fingerprinted as stored trees, since printing them takes locks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

from profilemesh.planning.snapshots import Confidence, Manifest, Snapshot
from profilemesh.tables import Column, TableRef
from profilemesh.warehouses.postgres_partitions import Division, Leaf, digest
from profilemesh.warehouses.postgres_readings import kind_of

# Counters of a busy session are flushed at the latest when its transaction ends, of an idle one within a minute.
FLUSH_LAG = timedelta(seconds=60)

# pg_stat_wal is PostgreSQL 14's; its reset time moves on every crash, when counters are silently zeroed.
FACTS = """
SELECT s.system_identifier::text, c.timeline_id, current_setting('server_version_num')::int,
  (SELECT stats_reset::text FROM pg_stat_wal),
  (SELECT stats_reset::text FROM pg_stat_database WHERE datname = current_database()),
  current_user::text, pg_is_in_recovery(), current_setting('track_counts') = 'on',
  (SELECT string_agg(setting, ', ') FROM pg_db_role_setting, unnest(setconfig) AS setting
    WHERE setting LIKE 'track\\_counts=%' AND setting NOT IN ('track_counts=on', 'track_counts=true')
      AND (setdatabase = 0 OR setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))),
  pg_has_role('pg_read_all_stats', 'USAGE'), clock_timestamp(),
  (SELECT min(xact_start) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()
    AND backend_type NOT IN ('autovacuum worker', 'walsender')),
  md5(coalesce((SELECT string_agg(json_build_array(enumtypid, enumsortorder, enumlabel)::text, ';'
    ORDER BY enumtypid, enumsortorder) FROM pg_enum), '')
    || coalesce((SELECT string_agg(json_build_array(attrelid, attnum, attname, atttypid, atttypmod, attisdropped)::text,
    ';' ORDER BY attrelid, attnum) FROM pg_attribute JOIN pg_class AS k ON k.oid = attrelid AND k.relkind = 'c'), ''))
FROM pg_control_system() AS s, pg_control_checkpoint() AS c
"""

# Of all tables, or of one by schema and name.
_TABLES = """
WITH RECURSIVE roots AS (
  SELECT c.oid, n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
    AND has_schema_privilege(n.oid, 'USAGE')
    AND (%(schema)s IS NULL OR (n.nspname = %(schema)s AND c.relname = %(name)s))
)"""

# A row for each root and each table below it, old-style children included. Left out is what a reading of the root
# passes over too: other sessions' temporary children, and partitions that are being detached.
LEAVES = (
    _TABLES
    + """, tree AS (
  SELECT oid AS root, oid, 0::oid AS parent FROM roots
  UNION SELECT t.root, i.inhrelid, i.inhparent FROM tree AS t
  JOIN pg_inherits AS i ON i.inhparent = t.oid AND NOT i.inhdetachpending
), members AS (
  SELECT root, oid, array_agg(parent::bigint ORDER BY parent) AS parents FROM tree GROUP BY root, oid
)
SELECT t.root, t.oid, c.relkind::text, n.nspname, c.relname,
  coalesce(am.amname = 'heap', true), p.partrelid IS NOT NULL,
  has_schema_privilege(n.oid, 'USAGE'), has_table_privilege(c.oid, 'SELECT'), row_security_active(c.oid),
  c.reltuples, pg_stat_get_live_tuples(c.oid), c.relpages::bigint * current_setting('block_size')::int,
  t.parents, pg_relation_filenode(c.oid), md5(c.relpartbound::text), c.relrowsecurity, c.relforcerowsecurity,
  (SELECT md5(string_agg(json_build_array(a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation,
      a.attgenerated, a.attmissingval::text, md5(d.adbin::text))::text, ';' ORDER BY a.attnum))
    FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  (SELECT md5(string_agg(json_build_array(polname, polcmd, polpermissive, polroles, polqual::text)::text, ';'
    ORDER BY oid)) FROM pg_policy WHERE polrelid = c.oid),
  pg_stat_get_tuples_inserted(c.oid), pg_stat_get_tuples_updated(c.oid), pg_stat_get_tuples_deleted(c.oid)
FROM members AS t JOIN pg_class AS c ON c.oid = t.oid JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_am AS am ON am.oid = c.relam LEFT JOIN pg_partitioned_table AS p ON p.partdefid = c.oid
WHERE c.relpersistence <> 't'
ORDER BY t.root, t.oid
"""
)

# What the role may see of each root, and its columns with domains resolved to their base types.
COLUMNS = (
    _TABLES
    + """, described AS MATERIALIZED (
  SELECT oid, nspname, relname, row_security_active(oid) AS rows_hidden,
    has_table_privilege(oid, 'SELECT') OR has_any_column_privilege(oid, 'SELECT') AS readable,
    EXISTS (SELECT FROM pg_policy WHERE polrelid = roots.oid AND polqual::text ~ '\\{(FUNCEXPR|SUBLINK)') AS vary
  FROM roots
), domains AS (
  SELECT oid, typbasetype AS base FROM pg_type WHERE typtype = 'd'
  UNION ALL SELECT d.oid, t.typbasetype FROM domains AS d JOIN pg_type AS t ON t.oid = d.base AND t.typtype = 'd'
), bases AS (
  SELECT d.oid, d.base FROM domains AS d JOIN pg_type AS t ON t.oid = d.base AND t.typtype <> 'd'
)
SELECT r.oid, r.nspname, r.relname, r.readable, r.rows_hidden, r.vary,
  a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, t.typname, t.typtype::text,
  t.typnamespace = 'pg_catalog'::regnamespace, a.atttypid::bigint
FROM described AS r
LEFT JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN bases AS b ON b.oid = a.atttypid LEFT JOIN pg_type AS t ON t.oid = coalesce(b.base, a.atttypid)
ORDER BY r.oid, a.attnum
"""
)

_FIRST_USER_OID = 16384


@dataclass(frozen=True)
class Facts:
    """What holds for the whole server, database and role at the moment of the look."""

    system: str
    timeline: int
    version: int
    wal_reset: str | None
    database_reset: str | None
    role: str
    is_standby: bool
    counts_on: bool
    counts_off_elsewhere: str | None
    sees_sessions: bool
    now: datetime
    oldest_transaction: datetime | None
    user_types: str

    @property
    def verified_as_of(self) -> datetime:
        """All that was committed before this moment has reached the counters, as far as this role can see."""
        settled = self.now - FLUSH_LAG
        return min(settled, self.oldest_transaction) if self.oldest_transaction else settled

    def doubt(self) -> str | None:
        """Why no token of this server proves anything, or None."""
        if self.is_standby:
            return "the server is a standby, whose counters never move"
        if not self.counts_on:
            return "track_counts is off, so changes are not counted"
        if self.counts_off_elsewhere:
            return f"some role or database has {self.counts_off_elsewhere}, so its changes are not counted"
        return None

    def parts(self) -> list[object]:
        return [self.system, self.timeline, self.version, self.wal_reset, self.database_reset, self.role]


@dataclass(frozen=True)
class Root:
    """One table or view as a user sees it, with everything about it but its leaves."""

    oid: int
    table: TableRef
    readable: bool
    rows_hidden: bool
    policies_vary: bool
    columns: tuple[Column, ...]
    has_user_types: bool


def leaves_by_root(rows: Iterable[Sequence[Any]]) -> Mapping[int, list[Leaf]]:
    leaves: dict[int, list[Leaf]] = {}
    for row in rows:
        leaves.setdefault(row[0], []).append(_leaf(*row))
    return leaves


def _leaf(
    root: int,
    oid: int,
    kind: str,
    schema: str,
    name: str,
    is_heap: bool,
    is_default: bool,
    is_in_reach: bool | None,
    is_granted: bool | None,
    is_policed: bool | None,
    analysed: float,
    live: int,
    size: int,
    *told: Any,
) -> Leaf:
    # Without ANALYZE the counters tell, unless they have never counted or have lost it in a crash.
    rows = int(analysed) if analysed >= 0 else live if live or any(told[-3:]) else None
    may = bool(is_in_reach), bool(is_granted), bool(is_policed)
    return Leaf(root, oid, kind, schema, name, is_heap, is_default, *may, rows, size, (oid, kind, *told))


def roots(warehouse: str, rows: Iterable[Sequence[Any]]) -> list[Root]:
    """By name. `rows` come by table; of thousands of tables, most columns are like some other."""
    known: dict[Sequence[Any], Column] = {}
    found = [_root(warehouse, list(own), known) for _, own in groupby(rows, key=itemgetter(0))]
    return sorted(found, key=lambda root: root.table)


def _root(warehouse: str, rows: list[Sequence[Any]], known: dict[Sequence[Any], Column]) -> Root:
    oid, schema, name, readable, rows_hidden, policies_vary, *_ = rows[0]
    described = [row for row in rows if row[6] is not None]
    return Root(
        oid,
        TableRef(warehouse, schema, name),
        bool(readable),
        bool(rows_hidden),
        policies_vary,
        tuple(_column(row[6:12], known) for row in described),
        has_user_types=any(row[-1] >= _FIRST_USER_OID for row in described),
    )


def _column(told: Sequence[Any], known: dict[Sequence[Any], Column]) -> Column:
    column = known.get(told)
    if column is None:
        name, type_name, nullable, base, type_class, built_in = told
        column = known[told] = Column(name, type_name, kind_of(base, type_class, built_in), nullable)
    return column


def snapshot(facts: Facts, root: Root, leaves: Sequence[Leaf]) -> Snapshot:
    doubt = facts.doubt() or _doubt(facts, root, leaves)
    token, manifest = (None, None) if doubt else _tokens(facts, root, leaves)
    return Snapshot(
        table=root.table,
        columns=root.columns,
        token=token,
        confidence=Confidence.NONE if doubt else Confidence.EXACT,
        doubt=doubt,
        rows_estimate=_rows_estimate(leaves),
        bytes_estimate=sum(leaf.bytes for leaf in leaves) or None,
        is_view=any(leaf.kind == "v" for leaf in leaves[:1]),
        verified_as_of=None if doubt else facts.verified_as_of,
        manifest=manifest,
        is_sampleable=bool(leaves) and all(leaf.kind in ("r", "p", "m") and leaf.is_heap for leaf in leaves),
    )


def _doubt(facts: Facts, root: Root, leaves: Sequence[Leaf]) -> str | None:
    kinds = {leaf.kind for leaf in leaves}
    if not leaves:
        return "it appeared or vanished during the look"
    if not root.readable:
        return f"role {facts.role} may not read it; GRANT SELECT ON it TO that role, or exclude it"
    if "v" in kinds:
        return "a view: the tables behind it may change without a trace in its own metadata"
    if "f" in kinds:
        return "a foreign table: its data lies outside this server"
    if not all(leaf.is_heap for leaf in leaves):
        return "its storage is an extension's, whose changes the counters may miss"
    if root.rows_hidden and root.policies_vary:
        return "its row-security policies call functions or read other tables, so visible rows may change by themselves"
    return None


def _tokens(facts: Facts, root: Root, leaves: Sequence[Leaf]) -> tuple[str, Manifest | None]:
    """The table's token, equal if and only if its frame and all its partitions are; and these, if there are several."""
    types = facts.user_types if root.has_user_types else None
    frame = digest([facts.parts(), root.rows_hidden, types, [leaf.token for leaf in leaves if not leaf.holds_rows]])
    divided = division(root, leaves)
    if len(divided.leaves) < 2:
        return digest([frame, [leaf.token for leaf in divided.leaves]]), None
    tokens = [[key, part.token] for key, part in divided.parts.items()]
    return digest([frame, tokens]), divided.manifest(frame)


def division(root: Root, leaves: Sequence[Leaf]) -> Division:
    return Division(root.table, tuple(leaf for leaf in leaves if leaf.holds_rows), root.rows_hidden)


def _rows_estimate(leaves: Sequence[Leaf]) -> int | None:
    """An untouched partition beside others is empty; a table of which nothing was ever counted is unknown."""
    counted = [leaf.rows for leaf in leaves if leaf.holds_rows and leaf.rows is not None]
    return sum(counted) if counted else None
