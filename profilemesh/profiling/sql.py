"""What a summary needs of an engine beyond plain SQL, as SQLAlchemy constructs, compiled per dialect.

An engine without a construct has no `@compiles` for it: the statement that asks fails to compile with the
construct's name, and the metric is absent there.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from duckdb_engine import Dialect as DuckDBDialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from profilemesh.profiling.sketches import BUCKET_OFFSET, LOG_RATIO, RANK_BITS, REGISTERS


class hash64(GenericFunction[int]):
    """An unsigned 64-bit hash of a value; never NULL only where the value is not."""

    type = sa.BigInteger()
    inherit_cache = True


class register(GenericFunction[int]):
    """The HyperLogLog register of a hash: its upper 12 bits."""

    type = sa.BigInteger()
    inherit_cache = True


class remainder(GenericFunction[int]):
    """What a hash holds below its register: its lower 52 bits."""

    type = sa.BigInteger()
    inherit_cache = True


class register_bits(GenericFunction[bytes]):
    """Aggregate of registers and their lowest remainders: the bits `register * 64 + rank`, as bytes.

    NULL where there are none; `HyperLogLog.from_bits` reads them."""

    type = sa.LargeBinary()
    inherit_cache = True


class log_bucket(GenericFunction[int]):
    """The key of a finite double in a `LogHistogram`; NULL of NULL."""

    type = sa.BigInteger()
    inherit_cache = True


class finite(GenericFunction[bool]):
    """Whether a double, date or timestamp is neither infinite nor NaN."""

    type = sa.Boolean()
    inherit_cache = True


class not_a_number(GenericFunction[bool]):
    """Whether a double is NaN."""

    type = sa.Boolean()
    inherit_cache = True


class as_double(GenericFunction[float]):
    """A number, or the text of one, as a double; NULL where it cannot be one."""

    type = sa.Double()
    inherit_cache = True


class as_decimal(GenericFunction[Any]):
    """The text of a number as a decimal of so many digits and decimals; NULL where it cannot be one."""

    inherit_cache = True


class as_timestamp(GenericFunction[Any]):
    """ISO text as a timestamp in UTC; NULL where it cannot be one."""

    type = sa.DateTime()
    inherit_cache = True


class as_time(GenericFunction[Any]):
    """ISO text as a time of day; NULL where it cannot be one."""

    type = sa.Time()
    inherit_cache = True


class utc_time(GenericFunction[Any]):
    """A time of day with an offset (without one it is in UTC already) as a time of day in UTC."""

    type = sa.Time()
    inherit_cache = True


class day_number(GenericFunction[int]):
    """Days from 1970-01-01 to the UTC day of a finite date or timestamp."""

    type = sa.BigInteger()
    inherit_cache = True


class microseconds(GenericFunction[int]):
    """Microseconds from 1970-01-01 UTC to a finite timestamp, or since midnight of a time."""

    type = sa.BigInteger()
    inherit_cache = True


class seconds(GenericFunction[float]):
    """The length of an interval in seconds, a month being 30 days."""

    type = sa.Double()
    inherit_cache = True


class characters(GenericFunction[int]):
    """How many code points a text has."""

    type = sa.BigInteger()
    inherit_cache = True


class octets(GenericFunction[int]):
    """How many bytes a blob has."""

    type = sa.BigInteger()
    inherit_cache = True


class elements(GenericFunction[int]):
    """How many elements an array has."""

    type = sa.BigInteger()
    inherit_cache = True


class is_blank(GenericFunction[bool]):
    """Whether a text is empty or only white space (ASCII)."""

    type = sa.Boolean()
    inherit_cache = True


class middle_of(GenericFunction[float]):
    """The median of a handful of doubles."""

    type = sa.Double()
    inherit_cache = True


class digits_key(GenericFunction[Any]):
    """Orders the texts of positive decimals as their values: by the length of the integer part, then as text."""

    inherit_cache = True


class digits_of(GenericFunction[str]):
    """The text that a `digits_key` was made of."""

    type = sa.Text()
    inherit_cache = True


def _one(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(next(iter(element.clauses)), **kw)


def _duckdb(construct: type[GenericFunction[Any]], template: str) -> None:
    def compile_it(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
        return template.format(x=_one(element, compiler, **kw))

    compiles(construct, "duckdb")(compile_it)


_duckdb(hash64, "hash({x})")
_duckdb(register, f"({{x}} >> {RANK_BITS})")
_duckdb(remainder, f"({{x}} & {(1 << RANK_BITS) - 1})")
_duckdb(
    log_bucket,
    "CASE WHEN {x} > 0 THEN "
    f"floor(ln({{x}}) / {LOG_RATIO!r}::DOUBLE)::INTEGER + {BUCKET_OFFSET} "
    f"WHEN {{x}} < 0 THEN -(floor(ln(-({{x}})) / {LOG_RATIO!r}::DOUBLE)::INTEGER + {BUCKET_OFFSET}) "
    "WHEN {x} = 0 THEN 0 END",
)


@compiles(as_decimal, "duckdb")
def _as_decimal_duckdb(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    text, precision, scale = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"TRY_CAST({text} AS DECIMAL({precision}, {scale}))"


@compiles(register_bits, "duckdb")
def _register_bits_duckdb(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    place, low = (compiler.process(clause, **kw) for clause in element.clauses)
    rank = f"CASE WHEN {low} = 0 THEN {RANK_BITS + 1} ELSE {RANK_BITS + 1} - length(bin({low})) END"
    return f"bitstring_agg(({place} * 64 + {rank})::INTEGER, 0, {REGISTERS * 64 - 1})"


_duckdb(finite, "isfinite({x})")
_duckdb(not_a_number, "isnan({x})")
_duckdb(as_double, "TRY_CAST({x} AS DOUBLE)")
# A plain cast takes no notice of an offset, and a cast that does costs four times as much.
_duckdb(
    as_timestamp,
    "CASE WHEN {x} LIKE '%+%' OR {x} LIKE '%-%-%-%' THEN TRY_CAST({x} AS TIMESTAMPTZ)::TIMESTAMP "
    "ELSE TRY_CAST({x} AS TIMESTAMP) END",
)
_duckdb(utc_time, "CAST(timezone('UTC', CAST({x} AS TIMETZ)) AS TIME)")
_duckdb(as_time, "TRY_CAST({x} AS TIME)")
_duckdb(day_number, "(({x})::DATE - DATE '1970-01-01')")
_duckdb(microseconds, "epoch_us({x})")
_duckdb(seconds, "epoch({x})")
_duckdb(characters, "length({x})")
_duckdb(octets, "octet_length({x})")
_duckdb(elements, "len({x})")
# Only a text that starts with white space, or is empty, sorts before '!': the rest is spared the trimming.
_duckdb(is_blank, "CASE WHEN {x} < '!' THEN ltrim({x}, e' \\t\\n\\r\\f\\v') = '' ELSE false END")
_duckdb(middle_of, "median({x})")
_duckdb(digits_of, "({x}).t")
_duckdb(digits_key, "struct_pack(n := length(split_part({x}, '.', 1)), t := {x})")


def rendered(statement: sa.ClauseElement, dialect: sa.Dialect) -> str:
    """The statement's text with its literals inline, as it is sent and shown."""
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


DUCKDB = DuckDBDialect(paramstyle="qmark")
"""DuckDB as its own driver takes it: with this style a percent sign is only a percent sign."""
