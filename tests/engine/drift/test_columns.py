"""Changes of columns: told once each, renames suggested and never assumed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profilemesh.config.model import DriftRule
from profilemesh.drift import columns as c
from profilemesh.tables import Column, Kind
from tests.engine.drift.made import COLUMNS, column, facts, found, numbers, profile, rows, rules, summary_of

OLD = (column("id", "BIGINT", Kind.INTEGER, False), column("name"), column("paid", "DOUBLE", Kind.FLOAT))


def told(after: tuple[Column, ...]) -> list[tuple[str, str, str]]:
    return [(change.column, change.what, change.severity) for change in c.changes(OLD, after)]


def test_an_identical_schema_is_no_change() -> None:
    assert told(OLD) == []
    assert c.changes((), ()) == []


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (OLD[:2], [("paid", "removed", "high")]),
        ((*OLD, column("city")), [("city", "added", "low")]),
        ((*OLD[:2], replace(OLD[2], type="REAL")), [("paid", "retyped", "low")]),
        ((*OLD[:2], column("paid")), [("paid", "retyped", "high")]),
        ((replace(OLD[0], nullable=True), *OLD[1:]), [("id", "nullable", "medium")]),
        ((OLD[0], replace(OLD[1], nullable=False), OLD[2]), [("name", "nullable", "low")]),
        ((OLD[0], replace(OLD[1], nullable=None), OLD[2]), []),
        ((OLD[0], OLD[2], OLD[1]), [("paid", "reordered", "low")]),
        ((column("city"), *OLD), [("city", "added", "low")]),
        ((OLD[0], column("title"), OLD[2]), [("name", "removed", "high"), ("title", "added", "low")]),
    ],
)
def test_each_change_is_told_once(after: tuple[Column, ...], expected: list[tuple[str, str, str]]) -> None:
    assert told(after) == expected


@given(st.permutations(OLD), st.sets(st.sampled_from(range(3))))
def test_what_was_dropped_and_nothing_else_is_removed(after: list[Column], dropped: set[int]) -> None:
    kept = tuple(each for place, each in enumerate(after) if place not in dropped)
    removed = {name for name, what, _ in told(kept) if what == "removed"}
    assert removed == {each.name for each in OLD} - {each.name for each in kept}
    assert not any(what in ("added", "retyped", "nullable") for _, what, _ in told(kept))


def renamed(now: str, seed: int = 0) -> list[c.Change]:
    """The column `email` is gone and another of its type is there, with the values of another seed's column."""
    before, others = summary_of(rows()), summary_of(rows(seed))
    names = [now if name == "email" else name for name in before.columns]
    after = replace(before, columns=dict(zip(names, others.columns.values(), strict=True)))
    new = tuple(replace(each, name=now) if each.name == "email" else each for each in COLUMNS)
    return c.changes(COLUMNS, new, before, after)


def test_a_rename_is_suggested_where_the_values_are_the_same() -> None:
    removed, added = renamed("mail")
    assert (removed.column, removed.renamed) == ("email", "mail")
    assert (added.column, added.renamed) == ("mail", "email")
    assert removed.sentence == "was removed (it was text); perhaps it is now mail"


def test_no_rename_is_suggested_for_other_values() -> None:
    assert [change.renamed for change in renamed("mail", seed=9)] == [None, None]


def test_without_summaries_no_rename_is_suggested() -> None:
    new = tuple(replace(each, name="mail") if each.name == "email" else each for each in COLUMNS)
    assert [change.renamed for change in c.changes(COLUMNS, new)] == [None, None]


def test_each_name_is_suggested_once() -> None:
    before = summary_of(rows())
    twins = replace(
        before, columns={**before.columns, "mail": before.columns["email"], "post": before.columns["email"]}
    )
    gone, come = [column("email")], [column("mail"), column("post")]
    assert len(c.renames(gone, come, before, twins)) == 1


def test_a_schema_finding_is_a_finding_of_its_column() -> None:
    after = (*COLUMNS[:-1], replace(COLUMNS[-1], type="VARCHAR", kind=Kind.TEXT))
    (finding,) = found(numbers(1, columns=after), numbers(0, columns=COLUMNS))
    assert (finding.kind, finding.column, finding.metric) == ("schema", "flag", "retyped")
    assert finding.sentence == "column flag of orders turned from boolean to VARCHAR"
    assert finding.baseline_runs == ("run-0",)
    assert finding.details["was"] == "boolean"


def test_the_columns_are_those_of_the_last_good_run_of_any_scope() -> None:
    less = COLUMNS[:-1]
    history = [
        numbers(0, columns=COLUMNS),
        numbers(1, columns=less, scope="sample"),
        numbers(2, columns=COLUMNS, status="failed"),
        numbers(4, columns=COLUMNS),
    ]
    assert found(numbers(3, columns=less), *history) == []
    assert facts(found(numbers(3, columns=COLUMNS), *history)) == [("flag", "added")]


def test_a_suggested_rename_is_one_finding() -> None:
    summary = summary_of(rows())
    names = {name: "mail" if name == "email" else name for name in summary.columns}
    after = replace(summary, columns={names[name]: each for name, each in summary.columns.items()})
    new = tuple(replace(each, name=names[each.name]) for each in COLUMNS)
    (finding,) = found(profile(after, 1, columns=new), profile(summary))
    assert (finding.column, finding.metric) == ("email", "removed")
    assert facts(list(finding.explains)) == [("mail", "added")]


def test_a_rule_silences_a_kind_of_change() -> None:

    by = rules(DriftRule(metric="reordered", enabled=False))
    assert found(numbers(1, columns=COLUMNS[::-1]), numbers(0, columns=COLUMNS), by=by) == []
