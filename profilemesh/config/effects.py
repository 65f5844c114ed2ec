"""Keys of Phase 1 that are read without effect any more. A sentence each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from profilemesh.config.document import Document
from profilemesh.config.model import ChangeDetectionConfig
from profilemesh.config.problems import Place, dotted

_TRUE = ("true", "yes", "on", "1")


@dataclass(frozen=True)
class _Key:
    place: Place
    instead: str
    applies: Callable[[Any], bool] = lambda found: True


_STATE_TABLE = ChangeDetectionConfig.metadata_table
_WORKERS = "tables are started one by one as workers become free; set `execution.max_workers` instead"
_METRICS = "no port of its own serves metrics; ask `profilemesh status --json` or the JSON API instead"

_KEYS = (
    _Key(
        ("storage", "results_table"),
        "results are kept in profilemesh_results; rename a table of another name before `profilemesh db upgrade`",
    ),
    _Key(
        ("storage", "runs_table"),
        "runs are kept in profilemesh_runs; rename a table of another name before `profilemesh db upgrade`",
    ),
    _Key(("storage", "create_tables"), "run `profilemesh db upgrade` to make or update the tables"),
    _Key(
        ("drift_detection", "strategy"),
        "`ml_based` was never built and is treated as `statistical`; write `statistical` instead",
        lambda found: found == "ml_based",
    ),
    _Key(("drift_detection", "ml_based"), "it was never built; use `drift_detection.strategy: statistical` instead"),
    _Key(("drift_detection", "statistical"), "its settings stand in `drift_detection` itself: `thresholds`, `methods`"),
    _Key(("monitoring", "enable_metrics"), _METRICS, lambda found: str(found).casefold() in _TRUE),
    _Key(("monitoring", "port"), _METRICS),
    _Key(("monitoring", "keep_alive"), _METRICS),
    _Key(("execution", "batch_size"), _WORKERS),
    _Key(("execution", "queue_size"), _WORKERS),
    _Key(("incremental", "partial_profiling", "mergeable_metrics"), "every metric merges; remove it"),
    _Key(
        ("incremental", "change_detection", "metadata_table"),
        f"the state of tables is kept in {_STATE_TABLE}; rename another table before `profilemesh db upgrade`",
        lambda found: found != _STATE_TABLE,
    ),
)

_EVERY_PARTITION = "a profile is always the whole table's; with `partition.key` only what changed is read and merged"

_PER_TABLE = (
    _Key(("partition", "strategy"), _EVERY_PARTITION, lambda found: found != "all"),
    _Key(("sampling", "method"), "rows are always drawn at random", lambda found: found != "random"),
)
_PER_OVERRIDE = _Key(
    (), "write `query: SELECT ...` to replace the probe of a table", lambda found: "query" not in found
)


def warnings_of(document: Document) -> tuple[str, ...]:
    """The sentences for a document that has been found valid, in the order of its lines."""
    lost = [*_KEYS, *_nested(document)]
    past = [(place, f"has no effect any more: {instead}") for place, instead in _applying(lost, document)]
    past += [(place, f"has no effect any more: {_hook_sentence(kind)}") for place, kind in _lost_hooks(document.data)]
    if not _is_incremental(document):
        past += [(place, f"has no effect: {_NEEDS_PLANNING}") for place in _sampling(document)]
    sentences = sorted(past, key=lambda pair: document.line(pair[0]))
    return tuple(f"{document.path}:{document.line(place)}: {dotted(place)} {said}." for place, said in sentences)


def _applying(keys: Iterable[_Key], document: Document) -> Iterator[tuple[Place, str]]:
    for key in keys:
        value = look_up(document.data, key.place)
        if value is not None and key.applies(value):
            yield key.place, key.instead


def _nested(document: Document) -> Iterator[_Key]:
    """The keys of every table and every override."""
    tables = look_up(document.data, ("profiling", "tables")) or []
    for index in range(len(tables)):
        for key in _PER_TABLE:
            yield replace(key, place=("profiling", "tables", index, *key.place))
    overrides = ("incremental", "change_detection", "connector_overrides")
    for name in look_up(document.data, overrides) or {}:
        yield replace(_PER_OVERRIDE, place=(*overrides, name))


_NEEDS_PLANNING = "samples are planned, so set `incremental.enabled: true`"


def _is_incremental(document: Document) -> bool:
    return str(look_up(document.data, ("incremental", "enabled"))).casefold() in _TRUE


def _sampling(document: Document) -> Iterator[Place]:
    """The places that ask for samples."""
    ratio = look_up(document.data, ("profiling", "default_sample_ratio"))
    if ratio is not None and float(ratio) < 1:
        yield ("profiling", "default_sample_ratio")
    for index in range(len(look_up(document.data, ("profiling", "tables")) or [])):
        place: Place = ("profiling", "tables", index, "sampling", "enabled")
        if str(look_up(document.data, place)).casefold() in _TRUE:
            yield place


def look_up(data: Any, place: Place) -> Any:
    """What stands at a place, None where nothing does."""
    for part in place:
        if isinstance(data, dict):
            data = data.get(str(part))
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data


def _hook_sentence(kind: str) -> str:
    return f"hooks of type `{kind}` are not called; write `alerts.routes` for the findings it should hear of instead"


def _lost_hooks(data: Any) -> Iterator[tuple[Place, str]]:
    # Hooks of type logging and sql live on as the log and the events table.
    hooks: Any = data.get("hooks")
    place: Place = ("hooks",)
    if isinstance(hooks, dict):
        if not _is_on(hooks.get("enabled")):
            return
        hooks, place = hooks.get("hooks"), ("hooks", "hooks")
    for index, hook in enumerate(hooks or []):
        if hook["type"] not in ("logging", "sql") and _is_on(hook.get("enabled")):
            yield (*place, index), hook["type"]


def _is_on(found: str | None) -> bool:
    return found is None or found.casefold() in _TRUE
