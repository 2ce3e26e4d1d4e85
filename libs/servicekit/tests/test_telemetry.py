"""Trace context, log entries and metrics."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from capstan_servicekit.telemetry.logs import configure_logging
from capstan_servicekit.telemetry.metrics import Metrics
from capstan_servicekit.telemetry.trace import child_of, request_id, span, trace_id, traceparent

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_child_keeps_the_trace_and_has_a_span_of_its_own() -> None:
    one, two = child_of(PARENT), child_of(PARENT)
    assert one[3:35] == two[3:35] == PARENT[3:35]
    assert len({PARENT[36:52], one[36:52], two[36:52]}) == 3


@pytest.mark.parametrize(
    "parent",
    [
        None, "", "x", PARENT.upper(), PARENT[:-1], f"{PARENT}-extra", f" {PARENT}",
        "ff" + PARENT[2:], f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-{'a' * 32}-{'0' * 16}-01",
    ],
)  # fmt: skip
def test_a_malformed_parent_begins_a_new_trace(parent: str | None) -> None:
    """W3C Trace Context, 3.2.2: ids of zeros only are as invalid as a wrong form."""
    one, two = child_of(parent), child_of(parent)
    assert one[3:35] != two[3:35] and "0" * 32 not in one
    assert child_of(one)[3:35] == one[3:35]


@given(st.text(max_size=60))
def test_whatever_comes_as_a_parent_a_wellformed_one_goes_on(parent: str) -> None:
    made = child_of(parent)
    assert made.isascii() and len(made) == 55 and child_of(made)[3:35] == made[3:35]


def test_spans_nest_and_end_also_with_an_error() -> None:
    assert traceparent() is None and trace_id() == ""
    with span(PARENT, request="r1") as outer:
        with pytest.raises(LookupError), span(traceparent()) as inner:
            assert traceparent() == inner != outer and trace_id() == PARENT[3:35]
            assert request_id() == "r1"
            raise LookupError
        assert traceparent() == outer
    assert traceparent() is None and request_id() == ""


async def test_tasks_side_by_side_have_spans_of_their_own() -> None:
    both = asyncio.Barrier(2)

    async def story(number: int) -> tuple[str, str]:
        with span(None, request=str(number)):
            before = trace_id()
            await both.wait()
            assert request_id() == str(number)
            return before, trace_id()

    one, two = await asyncio.gather(story(1), story(2))
    assert one[0] == one[1] != two[0] == two[1]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the process logs as JSON at INFO; everything is put back afterwards."""
    stream, root = io.StringIO(), logging.getLogger()
    before, level = list(root.handlers), root.level
    monkeypatch.setattr("sys.stderr", stream)
    configure_logging(service="toy", json=True)
    yield stream
    root.handlers[:], root.level = before, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_log_entry_has_its_ids_and_no_secret_whoever_wrote_it(written: io.StringIO) -> None:
    with span(PARENT, request="r1"):
        structlog.get_logger("ours").warning("called", url="redis://:word@cache", headers={"Authorization": "x" * 9})
        logging.getLogger("theirs").error("cannot reach %s", "nats://a:b@broker")
        try:
            raise ValueError("token cap_" + "a" * 20)
        except ValueError:
            structlog.get_logger("ours").exception("broke")
    ours, theirs, broke = (json.loads(line) for line in written.getvalue().splitlines())
    assert ours["url"] == "redis://[redacted]@cache" and ours["headers"] == {"Authorization": "[redacted]"}
    assert (ours["service"], ours["level"], ours["trace_id"], ours["request_id"]) == (
        "toy", "warning", PARENT[3:35], "r1",
    )  # fmt: skip
    assert theirs["event"] == "cannot reach nats://[redacted]@broker" and theirs["trace_id"] == PARENT[3:35]
    assert "ValueError" in broke["exception"] and "a" * 20 not in written.getvalue()


def test_outside_of_a_story_there_are_no_ids_and_noise_is_left_out(written: io.StringIO) -> None:
    logging.getLogger("httpx").info("GET /")
    logging.getLogger("ours").debug("detail")
    logging.getLogger("ours").info("told")
    (line,) = written.getvalue().splitlines()
    assert json.loads(line)["event"] == "told" and not {"trace_id", "request_id"} & json.loads(line).keys()


def test_two_services_of_one_process_count_apart() -> None:
    one, two = Metrics("feature-store"), Metrics("feature-store")
    one.work.labels("check", "failed").inc()
    assert b'capstan_feature_store_work_items_total{kind="check",outcome="failed"} 1.0' in generate_latest(one.registry)
    assert b"outcome=" not in generate_latest(two.registry)
