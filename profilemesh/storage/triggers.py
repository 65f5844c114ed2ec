"""What the database itself keeps right, whoever writes to it: this version, an older one beside it, a hand.

- `profilemesh_run_counts` and `profilemesh_drift_counts` are the sums of runs and drift events by hour and day;
- every table with a run has a row in `profilemesh_table_state`, with the type of its warehouse, and an empty one goes
  with the last run;
- a run for which drift is stored has `has_drift`;
- a name that an older writer leaves NULL is empty, and its events belong to the warehouse and schema of their run;
- every event knows the environment of its run, whichever of the two comes first;
- on SQLite, which keeps times as texts, all are written alike.

On PostgreSQL a statement's changes are summed up once and added as rows of the transaction's own, so that writers do
not wait for each other; now and then a statement folds what is committed into the rows of part 0. SQLite has
one writer at a time, which adds to those rows directly.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.engine import Connection

RUN_KEY = ("warehouse", "warehouse_type", "environment", "status", "scope")
RUN_SUMS = ("runs", "rows_scanned", "rows_sum", "rows_counted")
DRIFT_KEY = ("warehouse", "environment", "severity")
IS_DRIFT = "event_type IN ('DataDriftDetected', 'SchemaChangeDetected')"
NAMED = ("profilemesh_runs", "profilemesh_results", "profilemesh_events")
TABLE_OF_RUN = "warehouse, schema_name, dataset_name"
OPERATIONS = {"INSERT": {"NEW": 1}, "DELETE": {"OLD": -1}, "UPDATE": {"NEW": 1, "OLD": -1}}


def install(connection: Connection) -> None:
    """Make the triggers, or make them anew."""
    statements = postgres() if connection.dialect.name == "postgresql" else sqlite()
    for statement in statements:
        connection.exec_driver_sql(statement)


def recount(connection: Connection) -> None:
    """Sum up all runs and drift events from nothing."""
    cut = _cut_postgres if connection.dialect.name == "postgresql" else _cut_sqlite
    for table, key, sums, source in COUNTED:
        connection.exec_driver_sql(f"DELETE FROM {table}")
        for span in ("hour", "day"):
            connection.exec_driver_sql(
                f"INSERT INTO {table} (span, at, {', '.join(key)}, part, {', '.join(sums)}) "
                f"SELECT '{span}', {cut(span, 'r.at')}, {', '.join(key)}, 0, {_summed(sums)} "
                f"FROM ({source.format(sign=1, rows=_source_table(table))}) r GROUP BY 2, {', '.join(key)}"
            )


# The changes that a statement made, or one row of them, as what is summed up.
_RUNS = (
    "SELECT {sign} AS sign, profiled_at AS at, warehouse, warehouse_type, environment, status, "
    "coalesce(scope, '') AS scope, {sign} AS runs, {sign} * coalesce(rows_scanned, 0.0) AS rows_scanned, "
    "{sign} * coalesce(row_count, 0.0) AS rows_sum, "
    "CASE WHEN row_count IS NULL THEN 0 ELSE {sign} END AS rows_counted FROM {rows}"
)
SEVERITY = "CASE WHEN lower(drift_severity) IN ('low', 'medium', 'high') THEN lower(drift_severity) ELSE 'low' END"
_DRIFT = (
    "SELECT {sign} AS sign, timestamp AS at, warehouse, coalesce(environment, '') AS environment, "
    + SEVERITY
    + " AS severity, {sign} AS events FROM {rows} WHERE "
    + IS_DRIFT
)
COUNTED = (
    ("profilemesh_run_counts", RUN_KEY, RUN_SUMS, _RUNS),
    ("profilemesh_drift_counts", DRIFT_KEY, ("events",), _DRIFT),
)


def _source_table(counts: str) -> str:
    return "profilemesh_runs" if counts == "profilemesh_run_counts" else "profilemesh_events"


def _summed(sums: tuple[str, ...]) -> str:
    return ", ".join(f"sum({name})" for name in sums)


def _added(table: str, sums: tuple[str, ...]) -> str:
    return ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in sums)


def _cut_postgres(span: str, time: str) -> str:
    return f"date_trunc('{span}', {time} AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"


def _cut_sqlite(span: str, time: str) -> str:
    shape = "%Y-%m-%d %H:00:00.000000" if span == "hour" else "%Y-%m-%d 00:00:00.000000"
    # Of a time that nobody can read the readers make this day.
    return f"coalesce(strftime('{shape}', {time}), '1970-01-01 00:00:00.000000')"


def postgres() -> Iterator[str]:
    yield _postgres_function("fold", _fold(), returns="void")
    for counts, key, sums, source in COUNTED:
        table = _source_table(counts)
        for operation, images in OPERATIONS.items():
            name = f"{counts.removeprefix('profilemesh_')}_{operation.lower()}"
            changes = " UNION ALL ".join(
                source.format(sign=sign, rows=f"{image.lower()}_rows") for image, sign in images.items()
            )
            body = _postgres_count(counts, key, sums, changes)
            body += "".join(_POSTGRES_ASIDE.get((table, image), "") for image in images)
            declared = "DECLARE added bigint;"
            yield _postgres_function(name, f"{declared} BEGIN {body} {_FOLD_SOMETIMES} RETURN NULL; END")
            referencing = " ".join(f"{image} TABLE AS {image.lower()}_rows" for image in images)
            yield _postgres_trigger(name, table, f"AFTER {operation}", f"REFERENCING {referencing} FOR EACH STATEMENT")
    yield _postgres_function("name_schema", "BEGIN NEW.schema_name := ''; RETURN NEW; END")
    for table in NAMED:
        when = "FOR EACH ROW WHEN (NEW.schema_name IS NULL)"
        yield _postgres_trigger("a_name_schema", table, "BEFORE INSERT", when, function="name_schema")
    yield _postgres_function("place_event", f"BEGIN {_POSTGRES_PLACE} RETURN NEW; END")
    when = f"FOR EACH ROW WHEN ({_UNPLACED})"
    yield _postgres_trigger("b_place_event", "profilemesh_events", "BEFORE INSERT", when, function="place_event")
    of_run = f"SELECT r.environment INTO NEW.environment FROM {_RUN_OF_EVENT} LIMIT 1; RETURN NEW;"
    yield _postgres_function("give_environment", f"BEGIN {of_run} END")
    when = f"FOR EACH ROW WHEN ({_OF_SOME_RUN})"
    yield _postgres_trigger("c_environment", "profilemesh_events", "BEFORE INSERT", when, function="give_environment")


def _postgres_function(name: str, body: str, returns: str = "trigger") -> str:
    return (
        f"CREATE OR REPLACE FUNCTION profilemesh_{name}() RETURNS {returns} LANGUAGE plpgsql "
        f"SET search_path FROM CURRENT AS $$ {body} $$"
    )


def _postgres_trigger(name: str, table: str, when: str, how: str, function: str | None = None) -> str:
    call = f"EXECUTE FUNCTION profilemesh_{function or name}()"
    return f"CREATE OR REPLACE TRIGGER profilemesh_{name} {when} ON {table} {how} {call}"


def _postgres_count(counts: str, key: tuple[str, ...], sums: tuple[str, ...], changes: str) -> str:
    named = ", ".join(key)
    moved = " OR ".join(f"sum({name}) <> 0" for name in sums)
    at = _cut_postgres("{span}", "r.at").replace("'{span}'", "s.span")
    return (
        f"INSERT INTO {counts} AS c (span, at, {named}, part, {', '.join(sums)}) "
        f"SELECT s.span, {at}, {named}, txid_current(), {_summed(sums)} FROM ({changes}) r "
        f"CROSS JOIN (VALUES ('hour'), ('day')) AS s(span) GROUP BY s.span, 2, {named} HAVING {moved} "
        f"ON CONFLICT (span, at, {named}, part) DO UPDATE SET {_added('c', sums)}; "
        "GET DIAGNOSTICS added = ROW_COUNT;"
    )


def _fold() -> str:
    # One at a time; a second one has nothing to do.
    folded = ["BEGIN IF NOT pg_try_advisory_xact_lock(1347243844) THEN RETURN; END IF;"]
    for counts, key, sums, _ in COUNTED:
        named = ", ".join(("span", "at", *key))
        folded.append(
            f"WITH gone AS (DELETE FROM {counts} WHERE part > 0 RETURNING *) "
            f"INSERT INTO {counts} AS c ({named}, part, {', '.join(sums)}) SELECT {named}, 0, {_summed(sums)} "
            f"FROM gone GROUP BY {named} ON CONFLICT ({named}, part) DO UPDATE SET {_added('c', sums)};"
            f"DELETE FROM {counts} WHERE part = 0 AND {sums[0]} = 0;"
        )
    return " ".join([*folded, "END"])


# The more a statement adds, the likelier, so that there are never many thousands of rows to fold. Under a stricter
# isolation a row folded by another transaction would fail the writer.
_FOLD_SOMETIMES = (
    "IF random() < added / 500.0 AND current_setting('transaction_isolation') = 'read committed' "
    "THEN PERFORM profilemesh_fold(); END IF;"
)


# Only what is new: a conflict would lock the state of a table that is being planned.
_POSTGRES_REGISTER = (
    f" INSERT INTO profilemesh_table_state AS t (warehouse, schema_name, table_name, warehouse_type) "
    f"SELECT DISTINCT ON ({TABLE_OF_RUN}) {TABLE_OF_RUN}, warehouse_type FROM new_rows n WHERE NOT EXISTS "
    "(SELECT 1 FROM profilemesh_table_state s WHERE s.warehouse = n.warehouse AND s.schema_name = n.schema_name "
    "AND s.table_name = n.dataset_name AND s.warehouse_type = n.warehouse_type) "
    f"ORDER BY {TABLE_OF_RUN}, profiled_at DESC "
    "ON CONFLICT (warehouse, schema_name, table_name) DO UPDATE SET warehouse_type = excluded.warehouse_type;"
)


# What nothing is remembered of, once its last run is gone.
_STATE = "profilemesh_table_state"
_EMPTY = (
    "decided_at IS NULL AND last_run_id IS NULL AND claimed_by IS NULL AND paused_at IS NULL AND NOT EXISTS (SELECT 1 "
    f"FROM profilemesh_runs r WHERE r.warehouse = {_STATE}.warehouse AND r.schema_name = {_STATE}.schema_name "
    f"AND r.dataset_name = {_STATE}.table_name)"
)
_POSTGRES_FORGET = (
    f" DELETE FROM {_STATE} USING (SELECT DISTINCT {TABLE_OF_RUN} FROM old_rows) o WHERE {_STATE}.warehouse = "
    f"o.warehouse AND {_STATE}.schema_name = o.schema_name AND {_STATE}.table_name = o.dataset_name AND {_EMPTY};"
)
_SQLITE_FORGET = (
    f"DELETE FROM {_STATE} WHERE warehouse = OLD.warehouse AND schema_name = OLD.schema_name "
    f"AND table_name = OLD.dataset_name AND {_EMPTY};"
)


_POSTGRES_MARK = (
    " UPDATE profilemesh_runs r SET has_drift = true FROM new_rows n WHERE n."
    + IS_DRIFT
    + " AND r.run_id = n.run_id AND r.dataset_name = n.table_name AND NOT r.has_drift;"
)


_UNSETTLED = "e.run_id = n.run_id AND e.table_name = n.dataset_name AND e.environment IS DISTINCT FROM n.environment"
# Asked first: an update of no rows has triggers too, which would come back here for ever.
_POSTGRES_SETTLE = (
    f" IF EXISTS (SELECT 1 FROM profilemesh_events e, new_rows n WHERE {_UNSETTLED}) THEN UPDATE profilemesh_events e "
    f"SET environment = n.environment FROM new_rows n WHERE {_UNSETTLED}; END IF;"
)
_SQLITE_SETTLE = (
    "UPDATE profilemesh_events SET environment = NEW.environment WHERE run_id = NEW.run_id "
    "AND table_name = NEW.dataset_name AND environment IS NOT NEW.environment;"
)


_OF_SOME_RUN = "NEW.run_id IS NOT NULL AND NEW.environment IS NULL"
_UNPLACED = "NEW.warehouse = 'unknown' AND NEW.schema_name = '' AND NEW.run_id IS NOT NULL"
_RUN_OF_EVENT = "profilemesh_runs r WHERE r.run_id = NEW.run_id AND r.dataset_name = NEW.table_name"
_POSTGRES_PLACE = (
    "SELECT r.warehouse, r.schema_name INTO NEW.warehouse, NEW.schema_name FROM "
    + _RUN_OF_EVENT
    + " LIMIT 1; NEW.warehouse := coalesce(NEW.warehouse, 'unknown'); "
    "NEW.schema_name := coalesce(NEW.schema_name, '');"
)


def sqlite() -> Iterator[str]:
    for counts, key, sums, source in COUNTED:
        table = _source_table(counts)
        for operation, images in OPERATIONS.items():
            body = "".join(_sqlite_count(counts, key, sums, source, image, sign) for image, sign in images.items())
            body += "".join(_SQLITE_ASIDE.get((table, image), "") for image in images)
            name = f"{counts.removeprefix('profilemesh_')}_{operation.lower()}"
            yield from _sqlite_trigger(name, f"AFTER {operation} ON {table}", body)
    for written, time, same in (
        ("profilemesh_runs", "profiled_at", "run_id = NEW.run_id AND dataset_name = NEW.dataset_name"),
        ("profilemesh_events", "timestamp", "event_id = NEW.event_id"),
    ):
        body = f"UPDATE {written} SET {time} = {_written(f'NEW.{time}')} WHERE {same};"
        name = f"{written.removeprefix('profilemesh_')}_time"
        yield from _sqlite_trigger(name, f"AFTER INSERT ON {written} WHEN NEW.{time} NOT GLOB '{_TIME}'", body)
    place = (
        f"UPDATE profilemesh_events SET (warehouse, schema_name) = (SELECT r.warehouse, r.schema_name FROM "
        f"{_RUN_OF_EVENT} LIMIT 1) WHERE event_id = NEW.event_id AND EXISTS (SELECT 1 FROM {_RUN_OF_EVENT});"
    )
    yield from _sqlite_trigger("place_event", f"AFTER INSERT ON profilemesh_events WHEN {_UNPLACED}", place)
    settle = (
        f"UPDATE profilemesh_events SET environment = (SELECT r.environment FROM {_RUN_OF_EVENT} LIMIT 1) "
        f"WHERE event_id = NEW.event_id AND EXISTS (SELECT 1 FROM {_RUN_OF_EVENT});"
    )
    yield from _sqlite_trigger("environment", f"AFTER INSERT ON profilemesh_events WHEN {_OF_SOME_RUN}", settle)
    # Not with every change of a run: that is changed in turn where drift is counted, and there SQLite would not count
    # what is changed inside of it.
    is_other = "WHEN OLD.environment IS NOT NEW.environment"
    yield from _sqlite_trigger("settle_insert", "AFTER INSERT ON profilemesh_runs", _SQLITE_SETTLE)
    yield from _sqlite_trigger("settle_update", f"AFTER UPDATE ON profilemesh_runs {is_other}", _SQLITE_SETTLE)


# Times are compared as texts, so that all must be written alike: another writer may leave out the fraction, or write a
# T or an offset. Where only that differs all digits are kept.
_TIME = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]"


def _written(time: str) -> str:
    spaced = f"replace({time}, 'T', ' ')"
    return (
        f"CASE WHEN {spaced} GLOB '{_TIME}' THEN {spaced} WHEN {spaced} || '.000000' GLOB '{_TIME}' "
        f"THEN {spaced} || '.000000' ELSE coalesce(strftime('%Y-%m-%d %H:%M:%f000', {time}), "
        "'1970-01-01 00:00:00.000000') END"
    )


def _sqlite_trigger(name: str, when: str, body: str) -> Iterator[str]:
    yield f"DROP TRIGGER IF EXISTS profilemesh_{name}"
    yield f"CREATE TRIGGER profilemesh_{name} {when} BEGIN {body} END"


def _sqlite_count(counts: str, key: tuple[str, ...], sums: tuple[str, ...], source: str, image: str, sign: int) -> str:
    named = ", ".join(key)
    table = _source_table(counts)
    # The row as it was cannot be selected from its table any more: its values stand for it.
    columns = sorted({"profiled_at", "rows_scanned", "row_count", *RUN_KEY} if table == "profilemesh_runs" else _EVENT)
    row = f"(SELECT {', '.join(f'{image}.{name} AS {name}' for name in columns)})"
    changes = source.format(sign=sign, rows=row)
    added = ""
    for span in ("hour", "day"):
        added += (
            f"INSERT INTO {counts} (span, at, {named}, part, {', '.join(sums)}) "
            f"SELECT '{span}', {_cut_sqlite(span, 'at')}, {named}, 0, {', '.join(sums)} FROM ({changes}) WHERE true "
            f"ON CONFLICT (span, at, {named}, part) DO UPDATE SET {_added(counts, sums)};"
        )
        if image == "OLD":
            at = _cut_sqlite(span, _OLD_TIME[table])
            added += f"DELETE FROM {counts} WHERE span = '{span}' AND at = {at} AND {sums[0]} = 0 AND part = 0;"
    return added


_EVENT = {"timestamp", "warehouse", "environment", "drift_severity", "event_type"}
_OLD_TIME = {"profilemesh_runs": "OLD.profiled_at", "profilemesh_events": "OLD.timestamp"}


_SQLITE_REGISTER = (
    "INSERT INTO profilemesh_table_state (warehouse, schema_name, table_name, warehouse_type) "
    "VALUES (NEW.warehouse, NEW.schema_name, NEW.dataset_name, NEW.warehouse_type) "
    "ON CONFLICT (warehouse, schema_name, table_name) DO UPDATE SET warehouse_type = excluded.warehouse_type "
    "WHERE warehouse_type IS NOT excluded.warehouse_type;"
)
_SQLITE_MARK = (
    "UPDATE profilemesh_runs SET has_drift = 1 WHERE NEW."
    + IS_DRIFT
    + " AND run_id = NEW.run_id AND dataset_name = NEW.table_name AND NOT has_drift;"
)

# What else follows from a new row, and from one that is gone; an update is both.
_POSTGRES_ASIDE = {
    ("profilemesh_runs", "NEW"): _POSTGRES_REGISTER + _POSTGRES_SETTLE,
    ("profilemesh_runs", "OLD"): _POSTGRES_FORGET,
    ("profilemesh_events", "NEW"): _POSTGRES_MARK,
}
_SQLITE_ASIDE = {
    ("profilemesh_runs", "NEW"): _SQLITE_REGISTER,
    ("profilemesh_runs", "OLD"): _SQLITE_FORGET,
    ("profilemesh_events", "NEW"): _SQLITE_MARK,
}
