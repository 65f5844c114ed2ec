"""One table per engine with every type, and rows no one expects, against values written down by hand."""

import resource
from decimal import Decimal
from typing import Any

import pytest

from tests.engines import HOSTILE, Engine

BIG = Decimal("9" * 38)
LONG = "-" + "1234567890" * 6

# Type: the values as SQL, and what must be told of them.
Cases = dict[str, tuple[list[str], dict[str, Any]]]


def few(*values: str) -> list[dict[str, Any]]:
    """Top values, each of them once, ranked by text."""
    return [{"value": value, "count": 1} for value in sorted(values)]


NUMBERS: Cases = {
    "SMALLINT": (["-32768", "0", "32767", "NULL"], {"min": -32768, "max": 32767, "zero_count": 1, "negative_count": 1}),
    "BIGINT": (
        ["-9223372036854775808", "9007199254740993", "9223372036854775807"],
        {"min": -(2**63), "max": 2**63 - 1, "distinct_count": 3, "median": 9007199254740993, "negative_count": 1},
    ),
}

DUCKDB: Cases = {
    **NUMBERS,
    "TINYINT": (["-128", "127"], {"min": -128, "max": 127, "mean": -0.5}),
    "UTINYINT": (["255", "0"], {"min": 0, "max": 255, "negative_count": 0}),
    "UBIGINT": (["18446744073709551615", "0"], {"min": 0, "max": 2**64 - 1, "median": 0}),
    "HUGEINT": (
        [str(-(2**127)), str(2**127 - 1), "0"],
        {"min": -(2**127), "max": 2**127 - 1, "median": 0, "top_values": few(str(-(2**127)), "0", str(2**127 - 1))},
    ),
    "UHUGEINT": ([str(2**128 - 1), "0"], {"min": 0, "max": 2**128 - 1, "zero_count": 1}),
    "BIGNUM": ([str(10**60), str(-(10**60))], {"min": -(10**60), "max": 10**60, "distinct_count": 2}),
    "DECIMAL(38,0)": (
        [f"{BIG}", f"-{BIG}", "0"],
        {"min": BIG.copy_negate(), "max": BIG, "negative_count": 1, "median": Decimal(0)},
    ),
    "DECIMAL(4,2)": (["1.50", "-0.25"], {"min": Decimal("-0.25"), "max": Decimal("1.50"), "mean": 0.625}),
    "DOUBLE": (
        ["'nan'", "'inf'", "'-inf'", "-0.0", "0.0", "5e-324", "1.7976931348623157e308", "NULL"],
        {
            "null_count": 1,
            "nan_count": 1,
            "infinite_count": 2,
            "zero_count": 2,
            "negative_count": 0,
            "min": 0.0,
            "max": 1.7976931348623157e308,
            "distinct_count": 6,
        },
    ),
    "FLOAT": (["'nan'", "0.5", "-1.5"], {"nan_count": 1, "min": -1.5, "max": 0.5, "mean": -0.5}),
    "BOOLEAN": (["true", "false", "true", "NULL"], {"true_count": 2, "null_count": 1, "distinct_count": 2}),
    "DATE": (
        ["'0044-03-15 (BC)'", "'2024-02-29'", "'infinity'", "'-infinity'", "'5877642-06-25 (BC)'"],
        {"min": "-5877641-06-25", "max": "2024-02-29", "infinite_count": 2, "null_count": 0},
    ),
    "TIME": (["'23:59:59.999999'", "'24:00:00'", "'00:00:00.5'"], {"min": "00:00:00.500000", "max": "24:00:00"}),
    "TIMETZ": (["'10:00:00+02'", "'09:00:00+00'"], {"min": "08:00:00", "max": "09:00:00", "distinct_count": 2}),
    "TIMESTAMP": (
        ["'1969-12-31 23:59:59.5'", "'9999-12-31 23:59:59.999999'", "'infinity'"],
        {"min": "1969-12-31 23:59:59.500000", "max": "9999-12-31 23:59:59.999999", "infinite_count": 1},
    ),
    "TIMESTAMPTZ": (["'2026-01-01 00:30:00+01'"], {"min": "2025-12-31 23:30:00+00:00"}),
    "TIMESTAMP_NS": (["'2026-01-01 00:00:00.123456789'"], {"min": "2026-01-01 00:00:00.123457"}),
    "TIMESTAMP_S": (["'2026-01-01 00:00:01'"], {"min": "2026-01-01 00:00:01"}),
    "TIMESTAMP_MS": (["'2026-01-01 00:00:01.5'"], {"min": "2026-01-01 00:00:01.500000"}),
    "INTERVAL": (["INTERVAL 1 DAY", "INTERVAL '-1 second'"], {"min": -1.0, "max": 86400.0, "negative_count": 1}),
    "BLOB": (["'\\x00\\xFF'", "''", "NULL"], {"min_length": 0, "max_length": 2, "distinct_count": 2, "null_count": 1}),
    "UUID": (
        ["'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'00000000-0000-0000-0000-000000000001'"],
        {"min": "00000000-0000-0000-0000-000000000001", "max": "ffffffff-ffff-ffff-ffff-ffffffffffff"},
    ),
    "JSON": (["'{\"a\": 1}'", "'null'"], {"distinct_count": 2, "min_length": 4, "max_length": 8}),
    "INTEGER[]": (["[1, 2, NULL]", "[]", "NULL"], {"min_length": 0, "max_length": 3, "null_count": 1}),
    "INTEGER[2]": (["[1, 2]"], {"min_length": 2, "distinct_count": 1}),
    "ENUM('sad', 'so so')": (["'so so'", "'sad'"], {"min": "sad", "max": "so so", "top_values": few("sad", "so so")}),
    "STRUCT(a INTEGER)": (["{'a': 1}", "NULL"], {"count": 2, "null_count": 1}),
    "MAP(VARCHAR, INTEGER)": (["MAP {'a': 1}", "NULL"], {"count": 2, "null_count": 1}),
    "UNION(a INTEGER, b VARCHAR)": (["1", "'x'"], {"count": 2, "null_count": 0}),
    "BIT": (["'101'", "NULL"], {"count": 2, "null_count": 1}),
    "VARIANT": (["1::VARIANT", "NULL"], {"count": 2, "null_count": 1}),
}

POSTGRES: Cases = {
    **NUMBERS,
    "oid": (["4294967295"], {"max": 4294967295}),
    "numeric": (
        [LONG, f"{LONG}.5", "'NaN'", "'Infinity'", "'-Infinity'", "1.50", "1.5", "0.00", "1e-60"],
        {
            "min": Decimal(f"{LONG}.5"),
            "max": Decimal("1.5"),
            "nan_count": 1,
            "infinite_count": 2,
            "zero_count": 1,
            "negative_count": 2,
            "distinct_count": 8,
        },
    ),
    "numeric(9)": (["1e400::numeric / 1e395", "'NaN'"], {"min": Decimal(100000), "nan_count": 1, "mean": 100000.0}),
    "numeric(500,0)": (["1e400", "-1"], {"min": Decimal(-1), "max": Decimal("1" + "0" * 400), "negative_count": 1}),
    "numeric(10,2)": (
        ["1.5", "-0.25", "0", "'NaN'"],
        {"min": Decimal("-0.25"), "max": Decimal("1.50"), "zero_count": 1, "nan_count": 1, "distinct_count": 4},
    ),
    "money": (["'12.34'", "'-1'"], {"min": Decimal("-1.00"), "max": Decimal("12.34")}),
    "double precision": DUCKDB["DOUBLE"],
    "real": (["'NaN'", "0.5", "-1.5"], {"nan_count": 1, "min": -1.5, "max": 0.5, "mean": -0.5}),
    "boolean": DUCKDB["BOOLEAN"],
    "date": (
        ["'0044-03-15 BC'", "'2024-02-29'", "'infinity'", "'-infinity'", "'5874897-12-31'"],
        {"min": "-0043-03-15", "max": "2024-02-29", "infinite_count": 3, "null_count": 0},
    ),
    "time": DUCKDB["TIME"],
    "timetz": (["'10:00+02'", "'09:00+00'"], {"min": "08:00:00", "max": "09:00:00"}),
    "timestamp": (
        ["'4713-01-01 BC'", "'9999-12-31 23:59:59.999999'", "'infinity'", "'294276-12-31'"],
        {"min": "-4712-01-01 00:00:00", "max": "9999-12-31 23:59:59.999999", "infinite_count": 2},
    ),
    "timestamptz": DUCKDB["TIMESTAMPTZ"],
    "interval": (["'1 day'", "'-1 second'", "'infinity'"], {"min": -1.0, "max": 86400.0, "infinite_count": 1}),
    "bytea": (["'\\x00ff'", "''", "NULL"], {"min_length": 0, "max_length": 2, "distinct_count": 2, "null_count": 1}),
    "uuid": DUCKDB["UUID"],
    "json": (["'{\"a\":  1}'", "'null'"], {"distinct_count": 2, "min_length": 4, "max_length": 9}),
    "jsonb": (["'{\"a\":  1}'", "'null'"], {"distinct_count": 2, "min_length": 4, "max_length": 8}),
    "integer[]": (["'{1,2,NULL}'", "'{}'", "NULL"], {"min_length": 0, "max_length": 3, "null_count": 1}),
    "mood": (["'so so'", "'sad'"], {"min": "sad", "max": "so so", "top_values": few("sad", "so so")}),
    "char(5)": (["'a'", "'bc'"], {"min": "a", "max": "bc"}),
    "inet": (["'10.0.0.1'", "NULL"], {"count": 2, "null_count": 1}),
    "int4range": (["'[1,3)'", "NULL"], {"count": 2, "null_count": 1}),
    "tsvector": (["'a b'", "NULL"], {"count": 2, "null_count": 1}),
    "pair": (["'(1,x)'", "NULL"], {"count": 2, "null_count": 1}),
}

SQLITE: Cases = {
    **NUMBERS,
    "INT": (["1", "2.5", "'three'", "x'04'", "NULL"], {"invalid_count": 3, "null_count": 1, "min": 1, "max": 1}),
    "REAL": (
        ["1", "0.5", "9e999", "-9e999", "-0.0", "'x'"],
        {"min": 0.0, "max": 1.0, "infinite_count": 2, "invalid_count": 1, "zero_count": 1, "negative_count": 0},
    ),
    "DECIMAL(10,2)": (
        ["1.50", "-0.25", "9223372036854775807", "1e300", "-9e999", "'n/a'"],
        {
            "min": Decimal("-0.25"),
            "max": Decimal("1" + "0" * 300),
            "infinite_count": 1,
            "invalid_count": 1,
            "negative_count": 1,
        },
    ),
    "BOOLEAN": (["1", "0", "2", "NULL"], {"true_count": 1, "invalid_count": 1, "null_count": 1, "distinct_count": 2}),
    "DATE": (["'2024-02-29'", "'0001-01-01'", "17", "'soon'"], {"min": "0001-01-01", "invalid_count": 2}),
    "TIME": (["'23:59:59.5'", "'00:00'", "'x'"], {"max": "23:59:59.500000", "min": "00:00:00", "invalid_count": 1}),
    "DATETIME": (
        ["'2026-01-01T00:30:00+01:00'", "'2026-01-02 00:00:00'", "1700000000"],
        {"min": "2025-12-31 23:30:00", "max": "2026-01-02 00:00:00", "invalid_count": 1},
    ),
    "BLOB": (["x'00ff'", "x''", "'text'", "5", "NULL"], {"min_length": 0, "max_length": 4, "invalid_count": 1}),
    "UUID": (["'0a'", "'ff'", "7"], {"min": "0a", "max": "ff", "distinct_count": 2, "invalid_count": 1}),
    "JSON": (["'{}'", "'[1, 2]'"], {"distinct_count": 2, "min_length": 2, "max_length": 6}),
    "WHATEVER": (["1", "'a'", "x'00'", "NULL"], {"count": 4, "null_count": 1}),
    "": (["1", "NULL"], {"count": 2, "null_count": 1}),
}


def wrong(engine: Engine, cases: Cases, *before: str) -> list[str]:
    """Put all cases in one table, a column and its own rows each; what is not told as it should be."""
    columns = ", ".join(f"c{n} {type_}" for n, type_ in enumerate(cases))
    rows = [
        f"INSERT INTO t (c{n}) VALUES ({value})" for n, (values, _) in enumerate(cases.values()) for value in values
    ]
    engine.write(*before, f"CREATE TABLE t ({columns})", *rows)
    found = engine.profiled()
    assert found.errors == {}
    assert found.profile.summary.rows == len(rows)
    return [
        f"{type_}: {metric} is {told.get(metric)!r}, not {value!r}"
        for n, (type_, (values, expected)) in enumerate(cases.items())
        for told in [found.metrics(f"c{n}")]
        for metric, value in _with_the_other_rows(expected, len(rows), len(values)).items()
        if told.get(metric) != value
    ]


def _with_the_other_rows(expected: dict[str, Any], rows: int, own: int) -> dict[str, Any]:
    """The other columns' rows are NULL in this one."""
    nulls = expected.get("null_count")
    return {**expected, "count": rows} | ({} if nulls is None else {"null_count": nulls + rows - own})


def test_every_type_of_duckdb(duck: Engine) -> None:
    assert wrong(duck, DUCKDB) == []


def test_every_type_of_postgres(postgres: Engine) -> None:
    types = ("CREATE TYPE mood AS ENUM ('sad', 'so so')", "CREATE TYPE pair AS (a int, b text)")
    assert wrong(postgres, POSTGRES, *types) == []


def test_every_type_of_sqlite(lite: Engine) -> None:
    assert wrong(lite, SQLITE) == []


TEXTS = ["", "   ", "\t\n", "a", "A", "é", "e\u0301", "żółć 🦆", "\U0010ffff", "\ue000", "' OR 1=1 --", "%s %% \\"]


def test_texts_of_any_unicode(engine: Engine) -> None:
    values = ", ".join(f"""('{text.replace("'", "''")}')""" for text in TEXTS)
    engine.write("CREATE TABLE t (c TEXT)", f"INSERT INTO t VALUES {values}, (NULL)")
    told = engine.profiled().metrics()
    assert {each["value"] for each in told["top_values"]} == set(TEXTS)
    assert (told["min"], told["max"], told["blank_count"]) == ("", "\U0010ffff", 3)
    assert (told["min_length"], told["max_length"]) == (0, 11)


@pytest.mark.parametrize("engine", ["duck", "lite"], indirect=True)
def test_texts_may_hold_a_nul(engine: Engine) -> None:
    nul = "chr(0)" if engine.type == "duckdb" else "char(0)"
    engine.write("CREATE TABLE t (c TEXT)", f"INSERT INTO t VALUES ('a' || {nul} || 'b'), ('a')")
    told = engine.profiled().metrics()
    assert [each["value"] for each in told["top_values"]] == ["a", "a\0b"]
    assert (told["max"], told["max_length"]) == ("a\0b", 3)


def test_bytes_that_are_no_text_are_shown_as_such(lite: Engine) -> None:
    lite.write("CREATE TABLE t (c TEXT)", "INSERT INTO t VALUES (CAST(x'eda080' AS TEXT)), (CAST(x'61ff' AS TEXT))")
    found = lite.profiled()
    assert [each["value"] for each in found.metrics()["top_values"]] == ["a\ufffd", "\ufffd" * 3]
    assert type(found.profile.summary).from_bytes(found.profile.summary.to_bytes()) == found.profile.summary


def test_cells_of_a_megabyte_are_told_apart(engine: Engine) -> None:
    repeated = "printf('%.*c', 1000000, 'x')" if engine.type == "sqlite" else "repeat('x', 1000000)"
    engine.write("CREATE TABLE t (c TEXT)", f"INSERT INTO t VALUES ({repeated} || '1'), ({repeated} || '2'), ('short')")
    found = engine.profiled()
    told = found.metrics()
    assert (told["distinct_count"], told["max_length"], told["min_length"]) == (3, 1_000_001, 5)
    assert told["avg_length"] == pytest.approx(2_000_007 / 3)
    assert told["max"] == "x" * 512
    assert "top_values" not in told
    assert len(found.profile.summary.to_bytes()) < 20_000


def test_an_empty_table_has_no_values(engine: Engine) -> None:
    engine.write("CREATE TABLE t (n INTEGER, f REAL, s TEXT, d DATE, b BOOLEAN)")
    found = engine.profiled()
    assert (found.profile.summary.rows, found.errors) == (0, {})
    for name in "nfsdb":
        told = found.metrics(name)
        assert (told["count"], told["null_count"], told["distinct_count"]) == (0, 0, 0)
        assert not {"null_percent", "min", "max", "mean", "stddev", "median", "histogram"} & told.keys()


THREE_OF_4, THREE_OF_40 = (", ".join([f"({', '.join(['NULL'] * columns)})"] * 3) for columns in (4, 40))


def test_columns_that_are_all_null(engine: Engine) -> None:
    many = ", ".join(f"c{number} INTEGER" for number in range(40))
    engine.write("CREATE TABLE t (n INTEGER, f REAL, s TEXT, d DATE)", f"CREATE TABLE wide ({many})")
    engine.write(*(f"INSERT INTO {table} VALUES {rows}" for table, rows in (("t", THREE_OF_4), ("wide", THREE_OF_40))))
    few, wide = engine.profiled(), engine.profiled("wide")
    for told in [few.metrics(name) for name in "nfsd"] + [wide.metrics(f"c{number}") for number in range(40)]:
        assert (told["null_count"], told["null_percent"], told["distinct_count"]) == (3, 100.0, 0)
        assert not {"distinct_percent", "min", "max", "mean"} & told.keys()


def test_values_after_a_long_run_of_nulls(engine: Engine) -> None:
    numbers = "generate_series(1, 70000) AS g(i)"
    if engine.type == "sqlite":
        numbers = "(WITH RECURSIVE g(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM g WHERE i < 70000) SELECT i FROM g)"
    engine.write(
        "CREATE TABLE t (i INTEGER, c REAL)", f"INSERT INTO t SELECT i, CASE WHEN i = 70000 THEN 0.5 END FROM {numbers}"
    )
    told = engine.profiled().metrics()
    assert (told["null_count"], told["min"], told["top_values"]) == (69_999, 0.5, few("0.5"))


def test_a_table_of_200_columns(engine: Engine) -> None:
    columns = ", ".join(f"c{n} {('INTEGER', 'REAL', 'TEXT', 'DATE')[n % 4]}" for n in range(200))
    values = ", ".join(str((n, n + 0.5, f"'{n}'", "'2026-01-01'")[n % 4]) for n in range(200))
    engine.write(f"CREATE TABLE t ({columns})", *[f"INSERT INTO t VALUES ({values})"] * 3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = engine.profiled()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000
    assert [found.metrics(f"c{n}")["min"] for n in (0, 1, 2, 3, 196, 197)] == [0, 1.5, "2", "2026-01-01", 196, 197.5]
    assert all(found.metrics(f"c{n}")["distinct_count"] == 1 for n in range(200))


def test_views_are_profiled_like_tables(engine: Engine) -> None:
    engine.write(
        "CREATE TABLE t (c INTEGER)",
        "INSERT INTO t VALUES (1), (2)",
        "CREATE VIEW v AS SELECT c AS d FROM t WHERE c > 1",
    )
    told = engine.profiled("v").metrics("d")
    assert (told["count"], told["max"]) == (1, 2)


NAMES = [HOSTILE, "select", "100%s %(x)s", "it's", "ü ö 🦆", "a.b", "CamelCase", "?", ":name", "x" * 60, " "]


def test_names_are_only_names(engine: Engine) -> None:
    for number, name in enumerate(NAMES):
        quoted = '"' + name.replace('"', '""') + '"'
        engine.write(
            f"CREATE TABLE {quoted} ({quoted} INTEGER, other TEXT)", f"INSERT INTO {quoted} VALUES ({number}, 'x')"
        )
    for number, name in enumerate(NAMES):
        found = engine.profiled(name)
        assert found.errors == {}
        assert (found.metrics(name)["max"], found.metrics("other")["max"]) == (number, "x")


@pytest.mark.parametrize("engine", ["duck", "postgres"], indirect=True)
def test_schemas_may_be_called_anything(engine: Engine) -> None:
    quoted = '"' + HOSTILE.replace('"', '""') + ' 100%"'
    engine.write(
        f"CREATE SCHEMA {quoted}",
        f"CREATE TABLE {quoted}.u (c INTEGER)",
        f"INSERT INTO {quoted}.u VALUES (7)",
    )
    assert engine.profiled("u").metrics()["max"] == 7
