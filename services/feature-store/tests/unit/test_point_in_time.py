"""The join against a brute force over all pairs, written from the pinned semantics alone."""

from __future__ import annotations

import hashlib
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstan_feature_store.jobs import training_set
from capstan_servicekit.jobs.api import Job, JobRefused, fields_of

START = datetime(2013, 1, 1, tzinfo=UTC)
INSTANT = pa.timestamp("us", "UTC")
Row = dict[str, Any]


def at(step: int | None) -> datetime | None:
    """Instants on a coarse grid, so that ties and exact ttl boundaries are the rule."""
    return None if step is None else START + timedelta(seconds=10 * step)


def run_join(
    folder: Path,
    labels: list[list[Row]],
    rows: list[Row],
    *,
    ttl_s: int | None,
    as_known: bool,
    created: bool = True,
    memory_mb: int = 256,
) -> dict[str, Any]:
    """Write the data as files (labels may be several) and run the real job function; its result with the rows read."""
    files = []
    for index, part in enumerate(labels):
        schema = pa.schema([("a", pa.string()), ("b", pa.int64()), ("at", INSTANT), ("y", pa.float64())])
        files.append(str(folder / f"labels{index}"))
        pq.write_table(pa.Table.from_pylist(part, schema), files[-1])
    schema = pa.schema(
        [("a", pa.string()), ("b", pa.int64()), ("e", INSTANT), ("c", INSTANT), ("x", pa.float64()), ("s", pa.string())]
    )
    source = str(folder / "rows")
    pq.write_table(pa.Table.from_pylist(rows, schema), source)
    view = {
        "name": "v", "version": "0" * 64, "dataset": "rows", "sql": "SELECT * FROM rows",
        "keys": [["a", "string"], ["b", "int64"]], "columns": [["x", "float64"], ["s", "string"]],
        "event_time": "e", "created_time": "c" if created else None,
        "ttl_us": None if ttl_s is None else ttl_s * 1_000_000,
    }  # fmt: skip
    scratch = folder / "scratch"
    scratch.mkdir()
    result = training_set.run(
        Job(
            {
                "datasets": {"labels": files, "rows": [source]},
                "dataset": "labels",
                "files": [[f"p{i}.parquet", f"{i}" * 64] for i in range(len(files))],
                "label": "y",
                "service": {
                    "label_time": "at",
                    "request": [["a", "string"], ["b", "int64"], ["at", "timestamp"]],
                    "derived": [["hour", "at"]],
                    "lookups": {"v": {"a": "a", "b": "b"}},
                },
                "views": [view],
                "as_known": as_known,
                "memory_mb": memory_mb,
                "threads": 2,
            },
            scratch,
        )
    )
    return {**fields_of(result), "table": pq.read_table(result.path).to_pylist()}


def text_of(value: Any) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else repr(value)
    return f"{len(text.encode())}:{text}"


def content_hash(row: Row) -> str:
    return hashlib.sha256((text_of(row["x"]) + text_of(row["s"])).encode()).hexdigest()


def brute_force(label: Row, rows: list[Row], *, ttl_s: int | None, as_known: bool) -> Row | None:
    """The row that the pinned semantics choose, by looking at every row."""
    if label["at"] is None or label["a"] is None or label["b"] is None:
        return None
    fitting = [
        row
        for row in rows
        if (row["a"], row["b"]) == (label["a"], label["b"])
        and row["e"] is not None
        and row["e"] <= label["at"]
        and (ttl_s is None or label["at"] - row["e"] <= timedelta(seconds=ttl_s))
        and (not as_known or (row["c"] is not None and row["c"] <= label["at"]))
    ]
    oldest = datetime.min.replace(tzinfo=UTC)
    return max(fitting, key=lambda row: (row["e"], row["c"] or oldest, content_hash(row)), default=None)


STEP = st.one_of(st.none(), st.integers(0, 12))
KEY_A = st.sampled_from(["JFK", "LGA", None])
KEY_B = st.sampled_from([1, 2, None])
LABEL = st.fixed_dictionaries(
    {"a": st.one_of(KEY_A, st.just("unseen")), "b": KEY_B, "at": STEP.map(at), "y": st.sampled_from([None, 0.0, 1.0])}
)
FEATURE = st.fixed_dictionaries(
    {
        "a": KEY_A, "b": KEY_B, "e": STEP.map(at), "c": STEP.map(at),
        "x": st.sampled_from([None, 0.0, -1.5, 1e-7, 1e16, 0.1, 3.0]), "s": st.sampled_from([None, "", "1:a", "ü"]),
    }
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.lists(LABEL, max_size=12), min_size=1, max_size=3),
    rows=st.lists(FEATURE, max_size=40),
    ttl_s=st.sampled_from([None, 10, 30, 70]),
    as_known=st.booleans(),
)
def test_the_join_is_what_looking_at_every_pair_gives(
    labels: list[list[Row]], rows: list[Row], ttl_s: int | None, as_known: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        result = run_join(Path(folder), labels, rows, ttl_s=ttl_s, as_known=as_known)
    wanted = [
        (f"{str(i) * 12}:{n}", f"p{i}.parquet", n, label)
        for i, part in enumerate(labels)
        for n, label in enumerate(part)
        if label["y"] is not None
    ]
    assert [(row["item_id"], row["_file"], row["_row"]) for row in result["table"]] == [one[:3] for one in wanted]
    assert result["rows"] == len(wanted)
    assert result["unlabelled"] == sum(len(part) for part in labels) - len(wanted)
    for have, (*_, label) in zip(result["table"], wanted, strict=True):
        chosen = brute_force(label, rows, ttl_s=ttl_s, as_known=as_known)
        assert (have["label"], have["at"], have["a"], have["b"]) == (label["y"], label["at"], label["a"], label["b"])
        expected = (chosen["e"], chosen["x"], chosen["s"]) if chosen else (None, None, None)
        assert (have["v__event_ts"], have["v__x"], have["v__s"]) == expected
        hour = label["at"] and label["at"].replace(minute=0, second=0)
        assert have["hour"] == hour


def feature(e: int, c: int, x: float, a: str = "JFK") -> Row:
    return {"a": a, "b": 1, "e": at(e), "c": at(c), "x": x, "s": None}


def label(step: int | None, a: str | None = "JFK") -> Row:
    return {"a": a, "b": 1, "at": at(step), "y": 1.0}


def joined(tmp_path: Path, labels: list[Row], rows: list[Row], **how: Any) -> list[Any]:
    return [
        row["v__x"] for row in run_join(tmp_path, [labels], rows, **{"ttl_s": None, "as_known": True, **how})["table"]
    ]


def test_both_ends_of_the_ttl_are_inclusive(tmp_path: Path) -> None:
    assert joined(tmp_path, [label(4), label(5), label(8), label(9)], [feature(5, 5, 1.0)], ttl_s=30) == [
        None,
        1,
        1,
        None,
    ]


def test_a_row_created_after_the_label_does_not_hide_the_one_known_before(tmp_path: Path) -> None:
    rows = [feature(1, 1, 1.0), feature(3, 9, 3.0), feature(2, 2, 2.0)]
    assert joined(tmp_path, [label(4), label(8), label(9)], rows) == [2, 2, 3]
    (tmp_path / "plain").mkdir()
    assert joined(tmp_path / "plain", [label(4), label(8), label(9)], rows, as_known=False) == [3, 3, 3]


def test_a_late_row_of_an_older_event_does_not_replace_a_newer_event(tmp_path: Path) -> None:
    assert joined(tmp_path, [label(9)], [feature(5, 5, 5.0), feature(2, 8, 2.0)]) == [5]


def test_equal_event_times_are_decided_by_created_time_then_content(tmp_path: Path) -> None:
    rows = [feature(1, 3, 3.0), feature(1, 2, 2.0)]
    assert joined(tmp_path, [label(2), label(9)], rows) == [2, 3]
    (tmp_path / "content").mkdir()
    same = [feature(1, 1, 7.0), feature(1, 1, 8.0)]
    largest = max(same, key=content_hash)["x"]
    assert joined(tmp_path / "content", [label(9)], same) == [largest]


def test_null_and_unseen_keys_and_a_missing_label_time_keep_their_row(tmp_path: Path) -> None:
    assert joined(tmp_path, [label(5, None), label(5, "XXX"), label(None), label(5)], [feature(1, 1, 1.0)]) == [
        None, None, None, 1,
    ]  # fmt: skip


def test_a_view_without_created_time_knows_a_row_from_its_event_on(tmp_path: Path) -> None:
    rows = [feature(3, 9, 3.0)]
    assert joined(tmp_path, [label(2), label(3)], rows, created=False) == [None, 3]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_null(tmp_path: Path, bad: float) -> None:
    assert joined(tmp_path, [label(5)], [feature(1, 1, bad)]) == [None]


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    rows = [feature(i % 50, i % 60, i * 0.1) for i in range(5000)]
    labels = [label(i % 70) for i in range(3000)]
    digests = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        result = run_join(tmp_path / name, [labels, labels], rows, ttl_s=100, as_known=True)
        digests.add(hashlib.sha256(Path(result["path"]).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_data_that_needs_more_memory_is_refused_with_what_to_do(tmp_path: Path) -> None:
    rows = [feature(i % 50, i % 60, i * 0.1) for i in range(20_000)]
    with pytest.raises(JobRefused, match="JOIN_MEMORY_MB"):
        run_join(tmp_path, [[label(i % 70) for i in range(20_000)]], rows, ttl_s=100, as_known=True, memory_mb=3)
