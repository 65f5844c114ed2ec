"""Any table has a name that Dagster allows, and no two the same."""

import re

import dagster as dg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from profilemesh.integrations.dagster.names import asset_key, op_name, plain, shown
from profilemesh.tables import TableRef

HOSTILE = [
    "",
    " ",
    "a b",
    "a.b",
    "a/b",
    "ä",
    "日本",
    "<script>",
    'a"b',
    "a'b",
    "x" * 2000,
    "a\u202eb",
    "-",
    "__",
    "\ud800",
]
names = st.one_of(st.sampled_from([*HOSTILE, "a_b", "a__b", "orders"]), st.text(max_size=80))
tables = st.builds(TableRef, names, names, names)


@given(tables, tables)
@example(TableRef("a__b", "c", "d"), TableRef("a", "b__c", "d"))
@example(TableRef("a", "b_", "c"), TableRef("a", "b", "_c"))
def test_no_two_tables_meet(one: TableRef, other: TableRef) -> None:
    keys = asset_key(one), asset_key(other)
    assert (keys[0] == keys[1]) == (one == other)
    assert (op_name(keys[0].path) == op_name(keys[1].path)) == (one == other)
    assert all(re.fullmatch(r"[A-Za-z0-9_]{1,64}", part) for key in keys for part in key.path)
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", op_name(key.path)) for key in keys)


@given(names)
def test_the_name_that_another_is_turned_into_is_itself_turned(name: str) -> None:
    """A table may be called as another's asset is."""
    turned = plain(name)
    assert turned == name or plain(turned) != turned


def test_plain_names_stay() -> None:
    assert asset_key(TableRef("shop", "main", "orders"), "pm") == dg.AssetKey(["pm", "shop", "main", "orders"])
    assert op_name(["pm", "shop", "main", "orders"]) == "pm__shop__main__orders"


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_shown_is_one_line_of_bounded_length(name: str) -> None:
    assert shown(name).isprintable()
    assert len(shown(name)) <= 203
