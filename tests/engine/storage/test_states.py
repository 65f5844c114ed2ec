from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from profilemesh.errors import StorageError
from profilemesh.planning.decisions import State
from profilemesh.planning.snapshots import Confidence, KeptManifest, KeptPart, Probed, Snapshot
from profilemesh.storage import Storage, runs, states, summaries
from profilemesh.storage.models import Run, Summary, TableState
from profilemesh.tables import Column, Kind, TableRef

TABLE = TableRef("shop", "main", "orders")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
HOLDER = "other-host:1:1:9d1ce8a2-6f5d-4a51-8f3a-0ad4a4f3b001"


def snapshot(token: str | None = "token 1", probe: str | None = None) -> Snapshot:
    probed = Probed("count", probe) if probe else None
    return Snapshot(TABLE, (Column("id", "BIGINT", Kind.INTEGER),), token, Confidence.EXACT, probed=probed)


def start(storage: Storage, run_id: str, at: datetime) -> Run:
    run = Run(run_id=run_id, dataset_name=TABLE.name, schema_name=TABLE.schema, warehouse=TABLE.warehouse)
    run.profiled_at, run.row_count, run.bytes_scanned = at, 7, 70
    with storage.begin() as session:
        assert states.claim(session, TABLE, HOLDER, at, timedelta(minutes=1))
        runs.start_run(session, run)
    return run


def profile(
    storage: Storage,
    run_id: str,
    token: str | None,
    at: datetime,
    holder: str = HOLDER,
    probe: str | None = None,
    **kept: Any,
) -> None:
    """Claim as HOLDER, and store a profile in the name of `holder`."""
    run = start(storage, run_id, at)
    with storage.begin() as session:
        runs.finish_run(session, run)
        summaries.save(session, run_id, "", at, run_id.encode())
        states.advance(session, TABLE, holder, snapshot(token, probe), run, profile_key="key 1", **kept)


def alter(storage: Storage, **values: Any) -> None:
    with storage.begin() as session:
        session.execute(sa.update(TableState).values(values))


def kept(storage: Storage) -> TableState:
    with storage.read() as session:
        return session.scalars(sa.select(TableState)).one()


def test_advance_remembers_the_snapshot_and_frees_the_claim(storage: Storage) -> None:
    profile(storage, "r1", "token 1", NOW)
    with storage.read() as session:
        assert states.latest_states(session) == {
            TABLE: State(TABLE, "token 1", (("id", "BIGINT"),), "key 1", NOW, NOW, 7, 70, last_full_at=NOW)
        }
    state = kept(storage)
    assert (state.claimed_by, state.claimed_until, state.last_run_id) == (None, None, "r1")


def test_last_changed_moves_only_where_two_known_tokens_differ(storage: Storage) -> None:
    seen = []
    for number, token in enumerate(["a", "a", "b", "b", None, "c"]):
        profile(storage, f"r{number}", token, NOW + timedelta(hours=number))
        seen.append(kept(storage).last_changed_at)
    change = NOW + timedelta(hours=2)
    assert seen == [None, None, change, change, change, change]


def test_a_lost_claim_rolls_the_whole_run_back(storage: Storage) -> None:
    profile(storage, "r1", "token 1", NOW)
    with pytest.raises(StorageError, match="claim lost: another process took shop.main.orders over"):
        profile(storage, "r2", "token 2", LATER, holder="someone:1:1:else")
    with storage.read() as session:
        assert session.execute(sa.select(Run.run_id, Run.status).order_by(Run.run_id)).all() == [
            ("r1", "success"),
            ("r2", "running"),
        ]
        assert session.scalars(sa.select(Summary.run_id)).all() == ["r1"]
    assert (kept(storage).change_token, kept(storage).claimed_by) == ("token 1", HOLDER)


def test_the_summary_of_the_last_profile_is_found(storage: Storage) -> None:
    with storage.read() as session:
        assert summaries.latest(session, TABLE) is None
    profile(storage, "r2", "a", NOW)
    profile(storage, "r1", "b", LATER)
    with storage.read() as session:
        assert summaries.latest(session, TABLE) == b"r1"


def test_a_state_without_a_confidence_is_exact_and_another_is_kept(storage: Storage) -> None:
    profile(storage, "r1", "token 1", NOW, probe="probe 1", confidence=Confidence.HEURISTIC)
    with storage.read() as session:
        state = states.latest_states(session)[TABLE]
    assert (state.confidence, state.probe_token) == (Confidence.HEURISTIC, "probe 1")
    alter(storage, confidence=None)
    with storage.read() as session:
        assert states.latest_states(session)[TABLE].confidence is Confidence.EXACT


def test_partitions_are_given_for_the_tables_asked_for(storage: Storage) -> None:
    manifest = KeptManifest("frame", {'["\0"]': KeptPart("t", "p 1", NOW, 5, "r1")}, "r0")
    profile(storage, "r1", "token 1", NOW, manifest=manifest)
    other = TableRef("shop", "main", "items")
    with storage.begin() as session:
        states.claim(session, other, "x:1:1:1", NOW, timedelta(minutes=1))
        known = states.latest_states(session)
        assert known[TABLE].manifest is None
        assert states.with_manifests(session, known, [other]) == known
        filled = states.with_manifests(session, known, [TABLE, other, TableRef("shop", "main", "unknown")])
    assert filled.keys() == {TABLE, other}
    kept_parts = filled[TABLE].manifest
    assert kept_parts is not None and list(kept_parts.parts.values()) == list(manifest.parts.values())


def test_a_table_that_no_plan_has_looked_at_is_not_remembered(storage: Storage) -> None:
    with storage.begin() as session:
        states.ensure(session, TABLE)
        assert states.latest_states(session) == {}


def test_many_partitioned_tables_take_few_statements(storage: Storage) -> None:
    tables = [TableRef("shop", "main", str(n)) for n in range(401)]
    manifest = KeptManifest("frame", {}).to_json()
    rows = [states.key_of(table) | {"manifest": manifest} for table in tables]
    with storage.begin() as session:
        session.execute(sa.insert(TableState), rows)
        filled = states.with_manifests(session, states.latest_states(session), tables)
    assert {state.manifest for state in filled.values() if state.manifest is None} == set()
    assert len(filled) == 401


def test_the_usual_time_between_changes_follows_what_readings_found(storage: Storage) -> None:
    seen = []
    for hour, token in ((0, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "c"), (6, None)):
        profile(storage, f"r{hour}", token, NOW + timedelta(hours=hour))
        seen.append(kept(storage).change_gap_minutes)
    # Since the first profile: 2 and 3 hours without a change, then the mean of 3 and 4, then of that and 1.
    assert seen == [None, 120, 180, 210, 135, 135]


def test_equal_probes_say_unchanged_whatever_the_file_says(storage: Storage) -> None:
    for hour, (token, probe) in enumerate([("a", "p"), ("b", "p"), ("b", "q"), ("b", None), ("b", "r")]):
        profile(storage, f"r{hour}", token, NOW + timedelta(hours=hour), probe=probe)
    assert kept(storage).last_changed_at == NOW + timedelta(hours=2)


def test_a_partial_profile_is_no_reading_of_the_whole(storage: Storage) -> None:
    profile(storage, "r1", "a", NOW)
    alter(storage, bytes_scanned=7000)
    profile(storage, "r2", "b", LATER, is_whole=False)
    state = kept(storage)
    assert (state.last_full_at, state.last_profiled_at, state.bytes_scanned) == (NOW, LATER, 7000)


def test_a_profile_ends_what_waited_for_it(storage: Storage) -> None:
    profile(storage, "r1", "a", NOW)
    run = start(storage, "r2", LATER)
    alter(storage, deferred_since=NOW, cancel_requested_at=NOW, due_at=NOW, paused_at=NOW)
    with storage.begin() as session:
        states.advance(session, TABLE, HOLDER, snapshot("b"), run)
    state = kept(storage)
    assert (state.deferred_since, state.cancel_requested_at, state.due_at, state.manifest) == (None,) * 4
    assert state.paused_at == NOW


def test_the_history_of_a_table_that_was_gone_starts_afresh(storage: Storage) -> None:
    profile(storage, "r1", "a", NOW)
    profile(storage, "r2", "b", LATER)
    alter(storage, vanished_at=LATER)
    profile(storage, "r3", "c", LATER + timedelta(hours=1))
    state = kept(storage)
    assert (state.last_changed_at, state.change_gap_minutes, state.vanished_at) == (None, None, None)
    assert state.first_profiled_at == LATER + timedelta(hours=1)


MEMORY = [column.key for column in sa.inspect(TableState).columns]


def test_a_sample_moves_nothing_that_is_remembered_of_the_profile(storage: Storage) -> None:
    profile(storage, "r1", "a", NOW, manifest=KeptManifest("frame", {}), probe="p")
    alter(storage, deferred_since=NOW, due_at=LATER)
    before, run = kept(storage), start(storage, "r2", LATER)
    with storage.begin() as session:
        states.sampled(session, TABLE, HOLDER, "b", run)
    after = kept(storage)
    moved = {name for name in MEMORY if getattr(before, name) != getattr(after, name)}
    assert moved == {"sampled_token", "sampled_at", "deferred_since"}
    assert (after.sampled_token, after.sampled_at, after.deferred_since) == ("b", LATER, None)


def test_a_sample_without_its_claim_is_refused(storage: Storage) -> None:
    run = start(storage, "r1", NOW)
    with pytest.raises(StorageError, match="claim lost: another process took shop.main.orders over"):
        with storage.begin() as session:
            states.sampled(session, TABLE, "someone:1:1:else", "b", run)
