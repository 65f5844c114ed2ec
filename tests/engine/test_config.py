"""The configuration: what loads, what is refused and in which words, and where things are then."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from profilemesh.config import (
    Config,
    DriftConfig,
    DriftRule,
    Ladders,
    Thresholds,
    Window,
    find_config,
    load_config,
    normalised_url,
)
from profilemesh.config.model import ProbeOverride
from profilemesh.errors import ConfigError

PHASE1 = Path(__file__).parent / "config"
ROOT = Path(__file__).parents[2]
SOURCE = "source: {type: duckdb, filepath: a.duckdb}\n"

Load = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def loaded(text: str, **environ: str) -> Config:
        path = tmp_path / "profilemesh.yml"
        path.write_text(text, encoding="utf-8")
        return load_config(path, environ)

    return loaded


@pytest.fixture
def refusal(load: Load, tmp_path: Path) -> Callable[..., list[str]]:
    """The lines of the error, without the file's folder."""

    def refused(text: str, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, **environ)
        return str(caught.value).replace(f"{tmp_path}{os.sep}", "").splitlines()

    return refused


def test_the_smallest_file_has_every_default(load: Load, tmp_path: Path) -> None:
    config = load(SOURCE)
    assert config.environment == "development"
    assert config.warehouses["duckdb"].filepath == tmp_path / "a.duckdb"
    assert config.storage.url == f"sqlite:///{tmp_path}/profilemesh.db"
    assert not config.incremental.enabled
    assert config.warnings == ()


def test_the_demo_configuration_loads_without_a_warning() -> None:
    config = load_config(ROOT / "profilemesh.yml", {})
    assert config.warnings == ()
    assert {name: warehouse.type for name, warehouse in config.warehouses.items()} == {
        "shop": "duckdb",
        "support": "sqlite",
    }
    assert config.storage.url == f"sqlite:///{ROOT}/profilemesh.db"
    assert config.profiling.tables[0].columns.sensitive == ("email",)


def test_the_block_of_the_incremental_planner_loads_as_it_stands(load: Load) -> None:
    block = """
incremental:
  enabled: true
  change_detection:
    metadata_table: profilemesh_table_state
  partial_profiling:
    allow_partition_pruning: true
    max_partitions_per_run: 64
  cost_controls:
    enabled: true
    max_rows_scanned: 100000000
    fallback_strategy: sample  # sample | defer | full
    sample_fraction: 0.05
"""
    config = load(SOURCE + block)
    assert config.incremental.cost_controls.max_rows_scanned == 100_000_000
    assert config.incremental.cost_controls.sample_fraction == 0.05
    assert config.incremental.partial_profiling.max_partitions_per_run == 64
    assert config.warnings == ()


# Phase 1


def test_a_complete_phase_1_file_loads() -> None:
    config = load_config(PHASE1 / "phase1_postgres.yml", {"PGPASSWORD": "0123"})
    source = config.warehouses["postgres"]
    assert (source.host, source.port, source.password, source.schema) == ("localhost", 5433, "0123", "public")
    assert source.extra_params == {"sslmode": "require", "connect_timeout": 10}
    assert config.storage.url == "postgresql+psycopg2://profilemesh:profilemesh@localhost:5433/profilemesh"
    orders, regions = config.profiling.tables[1], config.profiling.tables[3]
    assert orders.partition and (orders.partition.key, orders.partition.strategy) == (("order_date",), "latest")
    assert (orders.sampling.method, orders.sampling.max_rows) == ("stratified", 1_000_000)
    assert regions.partition and regions.partition.values == ("EU", "2024-01-01", "7")


def test_phase_1_keys_without_effect_are_named_each_in_a_warning() -> None:
    postgres = load_config(PHASE1 / "phase1_postgres.yml", {"PGPASSWORD": "x"}).warnings
    postgres = tuple(warning for warning in postgres if "any more" in warning and "profiling.tables" not in warning)
    named = [warning.split(": ")[1].split(" has")[0] for warning in postgres]
    assert named == ["storage.results_table", "storage.runs_table", "storage.create_tables", "hooks[2]", "hooks[3]"]
    assert "profilemesh db upgrade" in postgres[2]
    assert "alerts.routes" in postgres[3]
    assert not any("secret" in warning or "hook-token" in warning for warning in postgres)


def test_sampling_without_planning_is_said_to_have_no_effect(load: Load) -> None:
    block = "profiling:\n  default_sample_ratio: 0.5\n  tables: [{table: a, sampling: {enabled: true}}]\n"
    warnings = load(SOURCE + block).warnings
    assert [warning.split(": ")[1].split(" has")[0] for warning in warnings] == [
        "profiling.default_sample_ratio",
        "profiling.tables[0].sampling.enabled",
    ]
    assert load(SOURCE + block + "incremental: {enabled: true}\n").warnings == ()


def test_keys_of_a_table_that_shaped_its_profile_once_are_named(load: Load) -> None:
    tables = (
        "incremental: {enabled: true}\n"
        "profiling:\n  tables:\n"
        "    - {table: a, sampling: {enabled: true, method: topk}, partition: {key: d, strategy: latest}}\n"
    )
    warnings = load(SOURCE + tables).warnings
    assert len(warnings) == 2
    words = "\n".join(warnings)
    assert "profiling.tables[0].sampling.method has no effect any more" in words
    assert "profiling.tables[0].partition.strategy has no effect any more" in words


def test_an_override_is_a_query_and_what_phase_1_kept_there_is_named(load: Load) -> None:
    block = """
incremental:
  change_detection:
    connector_overrides:
      "main.orders": {query: SELECT max(id) FROM orders, exact: true}
      snowflake: {use_streams: true}
"""
    config = load(SOURCE + block)
    overrides = config.incremental.change_detection.connector_overrides
    assert overrides == {"main.orders": ProbeOverride("SELECT max(id) FROM orders", exact=True)}
    [warning] = config.warnings
    assert "connector_overrides.snowflake has no effect any more" in warning


def test_a_phase_1_sqlite_file_loads() -> None:
    config = load_config(PHASE1 / "phase1_sqlite.yml", {})
    assert config.warehouses["sqlite"].filepath == PHASE1 / "data" / "shop.db"
    assert config.storage.url == f"sqlite:///{PHASE1}/profiles.db"
    assert config.drift_detection.strategy == "statistical"
    assert (config.retry.retries, config.retry.backoff_strategy) == (5, "fixed")
    assert config.execution.warehouse_limits == {"snowflake": 3, "postgres": 2}
    words = "\n".join(config.warnings)
    for key in (
        "monitoring.enable_metrics",
        "monitoring.port",
        "monitoring.keep_alive",
        "execution.batch_size",
        "execution.queue_size",
        "drift_detection.strategy",
        "drift_detection.ml_based",
    ):
        assert f"{key} has no effect" in words


def test_a_phase_1_snowflake_file_loads() -> None:
    config = load_config(PHASE1 / "phase1_snowflake.yml", {})
    source = config.warehouses["snowflake"]
    assert (source.account, source.warehouse, source.role) == ("ab12345.eu-central-1", "COMPUTE_WH", "PROFILER")
    assert config.incremental.adaptive_scheduling.priority_overrides == {"PUBLIC.ORDERS": 60}
    assert config.incremental.cost_controls.max_rows_scanned == 100_000_000
    assert config.drift_detection.standard_deviation == Thresholds(1, 2, 3)
    assert all("has no effect" in warning for warning in config.warnings)


@pytest.mark.parametrize("kind", ["postgres", "postgresql", "snowflake", "mysql", "bigquery", "redshift", "trino"])
def test_every_type_of_server_is_accepted(load: Load, kind: str) -> None:
    config = load(f"source: {{type: {kind}, name: main, host: h}}")
    assert config.warehouses["main"].type == kind.removesuffix("ql" if kind == "postgresql" else "")


def drift(load: Load, text: str) -> DriftConfig:
    return load(SOURCE + "drift_detection:\n" + text).drift_detection


def test_drift_is_told_by_statistics_unless_a_phase_1_file_says_otherwise(load: Load) -> None:
    assert load(SOURCE).drift_detection.strategy == "statistical"
    assert drift(load, "  baseline: median").strategy == "statistical"
    assert drift(load, "  absolute_threshold: {low_threshold: 1}").strategy == "absolute_threshold"
    assert drift(load, "  standard_deviation: {high_threshold: 4}").strategy == "absolute_threshold"
    assert drift(load, "  strategy: standard_deviation").strategy == "standard_deviation"


def test_drift_rules_and_expected_times_are_read(load: Load) -> None:
    found = drift(
        load,
        """
  thresholds: {means: [0.2, 0.5, 1]}
  rules:
    - {table: orders, column: email, metric: null_percent, thresholds: [0, 2, 4], direction: up, methods: ks}
  expected:
    - {since: 2026-11-27, until: 2026-11-30, table: orders, note: Black Friday}
    - {since: "2026-12-24T18:00+01:00", until: 2026-12-24T18:30}
""",
    )
    assert found.thresholds == Ladders(means=Thresholds(0.2, 0.5, 1))
    assert found.rules[0] == DriftRule(
        table="orders",
        column="email",
        metric="null_percent",
        thresholds=Thresholds(0, 2, 4),
        direction="up",
        methods=("ks",),
    )
    assert found.expected[0].until == datetime(2026, 11, 30, 23, 59, 59, 999999, tzinfo=UTC)
    assert found.expected[1].since == datetime(2026, 12, 24, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("  thresholds: {means: [1, 0.5, 2]}", "three numbers of at least 0 that do not fall"),
        ("  thresholds: {means: 5}", "three numbers"),
        ("  thresholds: {means: [1, 2]}", "three numbers"),
        ("  methods: [kss]", "did you mean 'ks'"),
        ("  false_discovery_rate: 0", "above 0"),
        ("  expected: [{since: 2026-13-01, until: 2026-12-02}]", "a day such as"),
        ("  expected: [{since: 2026-12-03, until: 2026-12-02}]", "not before `since`"),
        ("  expected: [{since: 2026-12-03}]", "until: found nothing"),
    ],
)
def test_drift_settings_that_cannot_be_meant_are_refused(
    refusal: Callable[..., list[str]], text: str, told: str
) -> None:
    assert told in refusal(SOURCE + "drift_detection:\n" + text)[0]


def test_hooks_may_stand_under_a_switch(load: Load) -> None:
    hooks = "hooks: {enabled: %s, hooks: [{type: custom, module: m, class_name: C}]}\n"
    assert "hooks.hooks[0]" in load(SOURCE + hooks % "true").warnings[0]
    assert load(SOURCE + hooks % "false").warnings == ()


# What is refused, and in which words


def test_all_problems_are_told_at_once_in_the_order_of_the_file(refusal: Callable[..., list[str]]) -> None:
    text = """\
source:
  type: duckdb
  filepath: a.duckdb
profiling:
  tables:
    - table: a
    - table: b
      partition:
        strategy: lates
  histogram_bins: 0
drift_detection:
  absolute_threshold: {low_threshold: 20}
incremntal:
  enabled: true
"""
    assert refusal(text) == [
        "profilemesh.yml:9: profiling.tables[1].partition.strategy: found 'lates'; allowed: "
        "latest, recent_n, sample, all, specific_values (did you mean 'latest'?)",
        "profilemesh.yml:10: profiling.histogram_bins: found '0'; allowed: a whole number of at least 1",
        "profilemesh.yml:12: drift_detection.absolute_threshold.low_threshold: found '20'; allowed: "
        "low <= medium <= high, here 20, 15, 30",
        "profilemesh.yml:13: incremntal: unknown key; allowed: environment, source, warehouses, storage, profiling, "
        "drift_detection, hooks, monitoring, retry, execution, incremental, owners, alerts (did you mean "
        "'incremental'?)",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("environment: x", "1: no warehouse; allowed: either `source` or `warehouses`"),
        (SOURCE + "warehouses: {b: {type: trino}}", "2: warehouses: found beside `source`"),
        ("source: {}", "1: source.type: found nothing; allowed: postgres"),
        ("source: {type: oracle}", "1: source.type: found 'oracle'; allowed: postgres, postgresql, duckdb"),
        ("source: {type: sqlite}", "1: source.filepath: found nothing; allowed: the path of the sqlite file"),
        ("source: duckdb", "1: source: found 'duckdb'; allowed: a mapping of keys to values"),
        (
            "source: {type: trino, port: 70000}",
            "1: source.port: found '70000'; allowed: a whole number from 1 to 65535",
        ),
        ("source: {type: trino, port: 22:30}", "1: source.port: found '22:30'"),
        ("warehouses: {a: {type: trino, name: b}}", "1: warehouses.a.name: found 'b'; allowed: no `name` here"),
        ("warehouses: [a]", "1: warehouses: found a list; allowed: a mapping of names"),
        ("warehouses: {}", "1: no warehouse"),
        ('source: {type: sqlite, filepath: "a\\0b"}', "1: source.filepath: found 'a\\x00b'; allowed: a text"),
        (SOURCE + "environment: [a]", "2: environment: found a list; allowed: a text"),
        (SOURCE + "profiling: {tables: {table: a}}", "2: profiling.tables: found a mapping; allowed: a list of"),
        (SOURCE + "profiling: {tables: [null]}", "2: profiling.tables[0]: found nothing; allowed: a mapping"),
        (SOURCE + "profiling: {default_sample_ratio: 0}", "found '0'; allowed: a number above 0 and at most 1"),
        (SOURCE + "profiling: {default_sample_ratio: .nan}", "found '.nan'; allowed: a number above 0"),
        (SOURCE + f"profiling: {{histogram_bins: 1{'0' * 400}}}", "allowed: a whole number of at least 1"),
        (SOURCE + "retry: {max_backoff: .inf}", "found '.inf'; allowed: a number of at least 0"),
        (SOURCE + "profiling: {compute_histograms: maybe}", "found 'maybe'; allowed: true or false"),
        (SOURCE + "profiling: {histogram_bins: 2.5}", "found '2.5'; allowed: a whole number"),
        (SOURCE + "profiling: {histogram_bins: true}", "found 'true'; allowed: a whole number"),
        (SOURCE + "profiling: {tables: [{partition: {strategy: recent_n}}]}", "partition.recent_n: found nothing"),
        (SOURCE + "profiling: {tables: [{partition: {strategy: specific_values}}]}", "partition.values: found nothing"),
        (SOURCE + "profiling: {tables: [{window: 25:00-26:00}]}", "window: found '25:00-26:00'"),
        (SOURCE + "profiling: {tables: [{window: {hours: 06:00}}]}", "window.hours: found '06:00'"),
        (SOURCE + "profiling: {tables: [{window: {hours: 06:00-06:00}}]}", "window.hours: found '06:00-06:00'"),
        (SOURCE + "profiling: {tables: [{window: {days: [mon, tus]}}]}", "window.days[1]: found 'tus'"),
        (SOURCE + "retry: {min_backoff: 9}", "retry.min_backoff: found '9'; allowed: min_backoff <= max_backoff"),
        (SOURCE + "execution: {warehouse_limits: {a: 0}}", "execution.warehouse_limits.a: found '0'"),
        (SOURCE + "incremental: {adaptive_scheduling: {min_interval_minutes: 99999}}", "here 99999 and 10080"),
        (SOURCE + "storage: {connection: mysql://u:pw@h/d}", "2: storage.connection: found a value that is not shown"),
        (SOURCE + "storage: {connection: {type: mysql}}", "2: storage.connection.type: found 'mysql'; allowed: sqlite"),
        (SOURCE + "environment: ${MISSING}", "2: environment: found ${MISSING}, but the environment variable MISSING"),
        (SOURCE + "environment: ${MISSING", "2: environment: found '${' without a variable"),
        (SOURCE + "environment: a\nenvironment: b", "3: environment: found a second time, after line 2"),
        (SOURCE + "environment: !secret a", "2: environment: found a YAML tag"),
    ],
)
def test_a_problem_names_line_key_found_and_allowed(refusal: Callable[..., list[str]], text: str, told: str) -> None:
    (line,) = refusal(text)
    assert told in line
    assert line.startswith("profilemesh.yml:")
    assert "allowed: " in line


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b"# only a comment\n", "the file is empty"),
        (b"source:duckdb\n", ":1: found a text; allowed: keys with values"),
        (b"- a\n", ":1: found a list; allowed: keys with values"),
        (b"source:\n\ttype: duckdb\n", ":2: not valid YAML: .*TAB"),
        (b"source: [a\nb: c", ":2: not valid YAML"),
        (b"environment: \xff\n", ":1: found the byte 0xFF; allowed: text in UTF-8"),
        (b"environment: \x00\n", ":1: not valid YAML: the character U\\+0000"),
        (b"environment: a\n---\nenvironment: b\n", ":2: not valid YAML: .*another document"),
        (b"a: " + b"[" * 5000, "deeply nested"),
        (b"a: &a [*a]\n", ":1: too many or too deeply nested"),
        (b"a: &a {<<: *a}\n", "too many or too deeply nested"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "profilemesh.yml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=told):
        load_config(path, {})


def test_a_missing_file_and_a_directory_say_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "none.yml", {})
    with pytest.raises(ConfigError, match="directory"):
        load_config(tmp_path, {})


def test_a_billion_laughs_are_refused(load: Load) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(ConfigError, match="too many"):
        load("\n".join(lines))


@pytest.mark.parametrize(
    "text",
    [
        "source: {type: trino, password: [hunter2]}",
        "source: {type: trino, port: 'trino://u:hunter2@h'}",
        "source: {type: trino, extra_params: hunter2}",
        "source: {type: trino, pasword: hunter2}",
        "source: {type: trino, password:hunter2}",
        "source: {type: trino, port: '${SECRET}'}",
        "source: {type: trino, password: *hunter2}",
        "source: {type: trino, password: !hunter2 x}",
        SOURCE + "storage: {connection: 'postgresql://u:hunter2@h:99999999/x'}\nenvironment: []",
        SOURCE + "storage: {connection: 'oracle://u:hunter2@h/x'}",
        SOURCE + "storage: {connection: 'postgresql://u:x@hunter2@h:hunter2/x'}",
        SOURCE + "storage: {connection: hunter2}",
        SOURCE + "storage: {connection: {type: postgres, password: {a: hunter2}}}",
        SOURCE + "hooks: [{type: custom, params: hunter2}]",
    ],
)
def test_no_secret_appears_in_an_error(refusal: Callable[..., list[str]], text: str) -> None:
    assert "hunter2" not in "\n".join(refusal(text, SECRET="hunter2"))


def test_no_secret_appears_in_the_shown_configuration(load: Load) -> None:
    source = "source: {type: postgres, password: hunter2, extra_params: {token: hunter2}}\n"
    config = load(source + "storage: {connection: 'postgresql://u:hunter2@h/x'}")
    assert "hunter2" not in repr(config)
    assert config.warehouses["postgres"].password == "hunter2"


# The environment


def test_variables_are_expanded_in_any_text(load: Load) -> None:
    text = """
source:
  type: trino
  host: ${A}-${B:-b}
  port: ${PORT}
  password: "${A}"
  schema: ${NONE:-}
  role: $${A}
"""
    source = load(text, A="012", PORT="99").warehouses["trino"]
    assert (source.host, source.port, source.password) == ("012-b", 99, "012")
    assert source.schema is None
    assert source.role == "${A}"


def test_an_empty_variable_gives_way_to_the_default(load: Load) -> None:
    assert load(SOURCE + "environment: ${NAME:-staging}", NAME="").environment == "staging"


def test_a_byte_order_mark_is_no_part_of_the_text(load: Load) -> None:
    assert load("\ufeffenvironment: a\r\n" + SOURCE).environment == "a"


def test_texts_stay_as_they_are_written(load: Load) -> None:
    source = load("source: {type: trino, password: 0123, role: yes, schema: 1e5}").warehouses["trino"]
    assert (source.password, source.role, source.schema) == ("0123", "yes", "1e5")


def test_merge_keys_and_anchors_work(load: Load) -> None:
    text = """
warehouses:
  a: &base {type: trino, host: one, port: 1}
  b: {<<: *base, port: 2}
"""
    warehouse = load(text).warehouses["b"]
    assert (warehouse.host, warehouse.port) == ("one", 2)


def test_a_null_is_an_absent_key(load: Load) -> None:
    assert load(SOURCE + "profiling:\nenvironment: ~\nexecution: {max_workers: null}") == load(SOURCE)


@pytest.mark.parametrize("days", ["[mon, Tuesday]", "[tue, mon, mon]"])
def test_windows_are_minutes_and_weekdays(load: Load, days: str) -> None:
    text = "profiling: {tables: [{window: {hours: 22:00-06:00, days: %s}}, {window: '00:00-24:00'}]}"
    first, second = load(SOURCE + text % days).profiling.tables
    assert first.window == Window(22 * 60, 6 * 60, (0, 1))
    assert second.window == Window()


@pytest.mark.parametrize(
    ("day", "hour", "inside"),
    [(2, 21, False), (2, 22, True), (3, 5, True), (3, 6, False), (3, 23, False), (2, 3, False)],
)
def test_a_window_over_midnight_belongs_to_the_day_it_begins(day: int, hour: int, inside: bool) -> None:
    # 2 March 2026 is a Monday.
    moment = datetime(2026, 3, day, hour, tzinfo=UTC).astimezone(timezone(timedelta(hours=9)))
    assert Window(22 * 60, 6 * 60, (0,)).contains(moment) is inside


def test_a_window_within_a_day_excludes_its_end() -> None:
    window = Window(60, 120)
    assert window.contains(datetime(2026, 3, 2, 1, 0, tzinfo=UTC))
    assert not window.contains(datetime(2026, 3, 2, 2, 0, tzinfo=UTC))
    assert str(window) == "01:00-02:00 UTC, every day"


# Where things are


def test_the_file_is_the_one_named_then_the_environments_then_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="-c FILE or PROFILEMESH_CONFIG"):
        find_config(None, {})
    (tmp_path / "profilemesh.yml").write_text(SOURCE)
    assert find_config(None, {}) == Path("profilemesh.yml")
    assert find_config(None, {"PROFILEMESH_CONFIG": "b.yml"}) == Path("b.yml")
    assert find_config("a.yml", {"PROFILEMESH_CONFIG": "b.yml"}) == Path("a.yml")


def test_paths_are_relative_to_the_file_not_to_where_one_stands(load: Load, tmp_path: Path) -> None:
    config = load("source: {type: sqlite, database: ../x/./y.db}\nstorage: {connection: 'sqlite:///sub/z.db'}\n")
    assert config.warehouses["sqlite"].filepath == tmp_path.parent / "x" / "y.db"
    assert config.storage.url == f"sqlite:///{tmp_path}/sub/z.db"


def test_the_environment_decides_where_profiles_are_kept(load: Load, tmp_path: Path) -> None:
    text = SOURCE + "storage: {connection: 'sqlite:///a.db'}"
    assert load(text, PROFILEMESH_DB_URL="postgres://u@h/d").storage.url == "postgresql+psycopg2://u@h/d"
    assert load(text, PROFILEMESH_DB_URL="sqlite:///b.db").storage.url == f"sqlite:///{tmp_path}/b.db"
    assert load(text, PROFILEMESH_DB_URL="").storage.url == f"sqlite:///{tmp_path}/a.db"


def test_a_bad_url_in_the_environment_names_the_variable_and_hides_the_value(
    refusal: Callable[..., list[str]],
) -> None:
    (line,) = refusal(SOURCE, PROFILEMESH_DB_URL="hunter2")
    assert line.startswith("environment variable PROFILEMESH_DB_URL: found a value that is not shown; allowed:")
    assert "hunter2" not in line


def test_a_storage_mapping_becomes_a_url_with_everything_escaped(load: Load) -> None:
    connection = "{type: postgres, host: h, port: 1, database: d, username: u, password: 'p@:/ ', schema: team}"
    url = load(SOURCE + f"storage: {{connection: {connection}}}").storage.url
    assert url == "postgresql+psycopg2://u:p%40%3A%2F @h:1/d?options=-csearch_path%3Dteam"


@pytest.mark.parametrize(
    ("given", "normalised"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg2://u:p@h/d"),
        ("postgresql://h/d", "postgresql+psycopg2://h/d"),
        ("postgresql+psycopg2://h/d", "postgresql+psycopg2://h/d"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_postgresql_urls_name_their_driver(given: str, normalised: str) -> None:
    assert normalised_url(given) == normalised


@pytest.mark.parametrize("name", ["~nobody-of-that-name/a.db", "x" * 5000])
def test_a_path_that_leads_nowhere_still_loads(load: Load, name: str) -> None:
    assert load(f"source: {{type: sqlite, filepath: '{name}'}}").warehouses["sqlite"].filepath


@pytest.mark.parametrize("link", [False, True])
def test_the_storage_itself_is_no_warehouse(refusal: Callable[..., list[str]], tmp_path: Path, link: bool) -> None:
    (tmp_path / "profilemesh.db").touch()
    if link:
        os.link(tmp_path / "profilemesh.db", tmp_path / "other.db")
    name = "other.db" if link else "./profilemesh.db"
    (line,) = refusal(f"warehouses:\n  a:\n    type: sqlite\n    filepath: {name}\n")
    assert line.startswith("profilemesh.yml:4: warehouses.a.filepath: found ")
    assert "own storage" in line


def test_addresses_are_checked_beside_everything_else(refusal: Callable[..., list[str]]) -> None:
    lines = refusal("source: {type: sqlite, filepath: x.db}\nstorage: {connection: 'oracle://h/x'}\nretry: 3\n")
    assert [line.split(": ")[1] for line in lines] == ["storage.connection", "retry"]
