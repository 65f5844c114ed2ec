"""From when to when each table has runs, and how long it went without: kept by triggers, whoever writes.

`profilemesh_run_spans` answers "which tables had a run in this period" with a row per table instead of a look at all
runs: the first and the last run of a table are known, and in between no two neighbours are further apart than
`longest_gap` seconds, so that a period longer than that which begins and ends between them must hold one. The gap may
be told too long, never too short: who reads looks at the runs themselves where it does not settle the question.

`last_failed_at` and `last_good_at` are the last run that failed and the last that ended otherwise. Few tables have the
former after the latter, and those that fail now are among them.

As with the counts, each transaction on PostgreSQL adds rows of its own (`part`), which are folded now and then; rows of
one table are joined by whoever reads. A run that is gone or moved makes its table's rows anew, one transaction at a
time.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.engine import Connection

SPANS = "profilemesh_run_spans"
KEY = ("warehouse", "schema_name", "table_name", "warehouse_type", "environment")
OF_RUN = ("warehouse", "schema_name", "dataset_name", "warehouse_type", "environment")
_NAMED, _FROM_RUN = ", ".join(KEY), ", ".join(OF_RUN)
_LOCK = 1347243845
FAILED, GOOD = "status = 'failed'", "status NOT IN ('failed', 'running')"
MAY_FAIL = "last_failed_at IS NOT NULL AND (last_good_at IS NULL OR last_good_at <= last_failed_at)"
"""As the index of spans has it."""
_TOLD = "first_at, last_at, longest_gap, last_failed_at, last_good_at"


def install(connection: Connection) -> None:
    """Make the triggers, or make them anew."""
    is_postgres = connection.dialect.name == "postgresql"
    for statement in postgres() if is_postgres else sqlite():
        connection.exec_driver_sql(statement)


def respan(connection: Connection) -> None:
    """Tell the spans of all tables from nothing."""
    connection.exec_driver_sql(f"DELETE FROM {SPANS}")
    lasting = _lasting if connection.dialect.name == "postgresql" else _sqlite_lasting
    connection.exec_driver_sql(_spanning("profilemesh_runs", lasting, "0"))


def _lasting(until: str, since: str) -> str:
    return f"extract(epoch FROM {until} - {since})"


def _sqlite_lasting(until: str, since: str) -> str:
    # Of a time that nobody can read nothing is known: as if the pause had no end.
    return f"coalesce((julianday({until}) - julianday({since})) * 86400, 1e12)"


def _spanning(runs: str, lasting: object, part: str, where: str = "true") -> str:
    """INSERT the spans of these runs."""
    neighbours = f"PARTITION BY {_FROM_RUN} ORDER BY profiled_at"
    before = "lag(profiled_at) OVER pair"
    gap = lasting("profiled_at", before)  # type: ignore[operator]
    return (
        f"INSERT INTO {SPANS} AS s ({_NAMED}, part, {_TOLD}) "
        f"SELECT {_FROM_RUN}, {part}, min(profiled_at), max(profiled_at), coalesce(max(gap), 0), "
        f"max(CASE WHEN {FAILED} THEN profiled_at END), max(CASE WHEN {GOOD} THEN profiled_at END) FROM ("
        f"SELECT {_FROM_RUN}, profiled_at, status, CASE WHEN {before} IS NULL THEN 0 ELSE {gap} END AS gap "
        f"FROM {runs} r WHERE {where} WINDOW pair AS ({neighbours})) spanned GROUP BY {_FROM_RUN}"
    )


_ADDED = (
    f" ON CONFLICT ({_NAMED}, part) DO UPDATE SET first_at = least(s.first_at, excluded.first_at), "
    "last_at = greatest(s.last_at, excluded.last_at), longest_gap = greatest(s.longest_gap, excluded.longest_gap, "
    f"{_lasting('excluded.first_at', 's.last_at')}, {_lasting('s.first_at', 'excluded.last_at')}), "
    "last_failed_at = greatest(s.last_failed_at, excluded.last_failed_at), "
    "last_good_at = greatest(s.last_good_at, excluded.last_good_at)"
)


def postgres() -> Iterator[str]:
    yield _function("fold_spans", _fold(), returns="void")
    count = "GET DIAGNOSTICS added = ROW_COUNT;"
    sometimes = (
        "IF random() < added / 500.0 AND current_setting('transaction_isolation') = 'read committed' "
        "THEN PERFORM profilemesh_fold_spans(); END IF; RETURN NULL; END"
    )
    add = f"DECLARE added bigint; BEGIN {{before}} {_spanning('{came}', _lasting, 'txid_current()')}{_ADDED}; {count}"
    came, gone = _without("new_rows", "old_rows"), _gone("old_rows", "new_rows")
    yield _function("run_spans_insert", f"{add.format(before='', came='new_rows')} {sometimes}")
    yield _function("run_spans_update", f"{add.format(before=_renewed(gone), came=came)} {sometimes}")
    yield _function("run_spans_delete", f"BEGIN {_renewed('old_rows')} RETURN NULL; END")
    for operation, images in (("insert", ("new",)), ("update", ("new", "old")), ("delete", ("old",))):
        referencing = " ".join(f"{image.upper()} TABLE AS {image}_rows" for image in images)
        name = f"profilemesh_run_spans_{operation}"
        yield (
            f"CREATE OR REPLACE TRIGGER {name} AFTER {operation.upper()} ON profilemesh_runs "
            f"REFERENCING {referencing} FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )


def _function(name: str, body: str, returns: str = "trigger") -> str:
    return (
        f"CREATE OR REPLACE FUNCTION profilemesh_{name}() RETURNS {returns} LANGUAGE plpgsql "
        f"SET search_path FROM CURRENT AS $$ {body} $$"
    )


def _without(some: str, others: str) -> str:
    """Of an update, what another run does not go on telling."""
    told = f"{_FROM_RUN}, profiled_at, status"
    return f"(SELECT {told} FROM {some} EXCEPT SELECT {told} FROM {others})"


def _gone(old: str, new: str) -> str:
    """What made a span what it is and is no more; a run that was running and ended has only come."""
    place = f"{_FROM_RUN}, profiled_at"
    still = f"({place}) IN (SELECT {place} FROM {new})"
    return f"(SELECT * FROM {_without(old, new)} r WHERE status <> 'running' OR NOT {still})"


def _renewed(gone: str) -> str:
    """The spans of the tables that have lost a run, from what they have left. What a transaction that has not ended
    adds has rows of its own, and stays."""
    same = " AND ".join(f"s.{name} = g.{of_run}" for name, of_run in zip(KEY, OF_RUN, strict=True))
    left = f"({_FROM_RUN}) IN (SELECT {_FROM_RUN} FROM {gone} g)"
    return (
        f"IF EXISTS (SELECT 1 FROM {gone} g) THEN PERFORM pg_advisory_xact_lock({_LOCK}); "
        f"DELETE FROM {SPANS} s USING {gone} g WHERE {same}; "
        f"{_spanning('profilemesh_runs', _lasting, '0', left)}{_ADDED}; END IF;"
    )


def _fold() -> str:
    # One at a time, and never beside one that makes spans anew.
    swept = (
        f"SELECT *, max(last_at) OVER (PARTITION BY {_NAMED} ORDER BY first_at ROWS BETWEEN UNBOUNDED PRECEDING "
        "AND 1 PRECEDING) AS reached FROM gone"
    )
    return (
        f"BEGIN IF NOT pg_try_advisory_xact_lock({_LOCK}) THEN RETURN; END IF; "
        f"WITH gone AS (DELETE FROM {SPANS} WHERE part > 0 RETURNING *), swept AS ({swept}) "
        f"INSERT INTO {SPANS} AS s ({_NAMED}, part, {_TOLD}) SELECT {_NAMED}, 0, min(first_at), max(last_at), "
        f"greatest(max(longest_gap), max({_lasting('first_at', 'reached')})), max(last_failed_at), max(last_good_at) "
        f"FROM swept GROUP BY {_NAMED}{_ADDED}; END"
    )


def sqlite() -> Iterator[str]:
    add, lose = _sqlite_add(), _sqlite_lose()
    is_moved = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in (*OF_RUN, "profiled_at"))
    is_other, has_ended = "OLD.status IS NOT NEW.status", "OLD.status = 'running'"
    update = "AFTER UPDATE ON profilemesh_runs WHEN"
    for name, when, body in (
        ("insert", "AFTER INSERT ON profilemesh_runs", add),
        ("update", f"{update} {is_moved} OR ({is_other} AND NOT {has_ended})", lose + add),
        ("end", f"{update} {is_other} AND {has_ended} AND NOT ({is_moved})", add),
        ("delete", "AFTER DELETE ON profilemesh_runs", lose),
    ):
        yield f"DROP TRIGGER IF EXISTS profilemesh_run_spans_{name}"
        yield f"CREATE TRIGGER profilemesh_run_spans_{name} {when} BEGIN {body} END"


def _sqlite_add() -> str:
    values = ", ".join(f"NEW.{name}" for name in OF_RUN)
    after, before = (
        _sqlite_lasting("excluded.first_at", f"{SPANS}.last_at"),
        _sqlite_lasting(f"{SPANS}.first_at", "excluded.last_at"),
    )
    ends = (f"CASE WHEN NEW.{outcome} THEN NEW.profiled_at END" for outcome in (FAILED, GOOD))
    return (
        f"INSERT INTO {SPANS} ({_NAMED}, part, {_TOLD}) "
        f"VALUES ({values}, 0, NEW.profiled_at, NEW.profiled_at, 0, {', '.join(ends)}) "
        f"ON CONFLICT ({_NAMED}, part) DO UPDATE SET "
        f"first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at), "
        f"longest_gap = max(longest_gap, {after}, {before}), "
        f"{', '.join(f'{name} = {_sqlite_later(name)}' for name in ('last_failed_at', 'last_good_at'))};"
    )


def _sqlite_later(name: str) -> str:
    """SQLite's max() of something and NULL is NULL."""
    old, new = f"{SPANS}.{name}", f"excluded.{name}"
    return f"max(coalesce({old}, {new}), coalesce({new}, {old}))"


def _sqlite_lose() -> str:
    run = "FROM profilemesh_runs r WHERE " + " AND ".join(f"r.{name} = OLD.{name}" for name in OF_RUN)
    span = " AND ".join(f"{name} = OLD.{of_run}" for name, of_run in zip(KEY, OF_RUN, strict=True))

    def nearest(where: str, order: str) -> str:
        return f"(SELECT r.profiled_at {run}{where} ORDER BY r.profiled_at {order} LIMIT 1)"

    before, after = (
        nearest(" AND r.profiled_at <= OLD.profiled_at", "DESC"),
        nearest(" AND r.profiled_at >= OLD.profiled_at", "ASC"),
    )
    pause = f"CASE WHEN {before} IS NULL OR {after} IS NULL THEN 0 ELSE {_sqlite_lasting(after, before)} END"
    return (
        f"DELETE FROM {SPANS} WHERE {span} AND NOT EXISTS (SELECT 1 {run});"
        f"UPDATE {SPANS} SET first_at = {nearest('', 'ASC')}, last_at = {nearest('', 'DESC')}, "
        f"longest_gap = max(longest_gap, {pause}), last_failed_at = {nearest(f' AND r.{FAILED}', 'DESC')}, "
        f"last_good_at = {nearest(f' AND r.{GOOD}', 'DESC')} WHERE {span};"
    )
