"""Which views of an embedded file depend on nothing but that file."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Deterministic in SQLite and in DuckDB, whatever the session. What is not here is not trusted.
_TRUSTED_CALLS = frozenset(
    """
    abs add all and any array as asc avg between by case cast ceil ceiling char coalesce concat count cume_dist
    date_part date_trunc day decimal dense_rank desc distinct div else end except exists filter first_value floor
    from glob group group_concat having ifnull iif in inner instr intersect is join lag last_value lead left length
    like ln log lower lpad ltrim max min mod month nth_value not ntile null nullif numeric on or order over partition
    percent_rank power quote rank replace right round row_number rpad rtrim select sign sqrt string_agg strlen substr
    substring subtract sum then total trim typeof union unicode upper using values varchar when where with year
    divide multiply add count_star
    """.split()
)
_UNTRUSTED_WORDS = re.compile(
    r"\b(current_\w+|localtime\w*|now|today|tomorrow|yesterday|random|sample|tablesample|limit|user|session_user"
    r"|pragma_\w+|sqlite_\w+|dbstat|duckdb_\w+|pg_\w+|information_schema)\b"
)
_CALL = re.compile(r"([a-z_]\w*)\"?\s*\(")
# DuckDB reads a file named in the place of a table, and prints its name in either kind of quotes.
_FILE_SOURCE = re.compile(r"\b(from|join)\s*\(?\s*'|,\s*'[^']*'\s+as\b|\"[^\"]*[./:][^\"]*\"")


def self_contained(views: Iterable[tuple[str, str]], doubtful: Iterable[str] = ()) -> set[str]:
    """The names of those views, given as (name, CREATE VIEW text), that equal files always answer equally.

    A view passes if it calls trusted functions only, reads no file and no clock, and mentions neither a `doubtful`
    table nor a view that fails. The test errs towards failing; of views with one name all must pass.
    """
    bodies = [(name, _body(sql)) for name, sql in views]
    failed = {name for name, body in bodies if not _is_plain(body)}
    suspects = {name.lower() for name in {*doubtful, *failed}}
    while True:
        caught = {name for name, body in bodies if name not in failed and any(word in body for word in suspects)}
        if not caught:
            return {name for name, _ in bodies} - failed
        failed |= caught
        suspects |= {name.lower() for name in caught}


def _is_plain(body: str) -> bool:
    if _UNTRUSTED_WORDS.search(body) or _FILE_SOURCE.search(body):
        return False
    return all(name in _TRUSTED_CALLS for name in _CALL.findall(body))


def _body(sql: str) -> str:
    """The text behind the view's own name and column list, in lower case; all of it where that is unclear."""
    text = sql.lower()
    start = re.search(r"\bas\s+(\(*\s*select|with|from|values)\b", text)
    return text[start.start() :] if start else text
