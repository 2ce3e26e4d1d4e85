"""`capstan trace`: from a prediction to its rows, also where the way is broken somewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

PREDICTION = "01920000-0000-7000-8000-0000000000ff"
RUN = "01920000-0000-7000-8000-00000000000a"
DIGEST = "3f9a1c0b2d4e" + "0" * 52
AT = "2013-02-01T00:00:00Z"


@pytest.fixture
def traced(platform: Any) -> Any:
    """A prediction that read one view and missed another."""
    platform.answer(f"GET inference /predictions/{PREDICTION}", {
        "prediction_id": PREDICTION, "deployment": "delay", "model_version": 4, "package": DIGEST, "run": RUN,
        "event_time": AT, "answered_at": AT, "entity": {"weather": {"origin": "JFK"}}, "inputs": {"note": "[/b] JFK"},
        "features": {"weather__temp": 3.5, "plane__seats": None}, "feature_times": {"weather": AT, "plane": None},
        "feature_status": {"weather": "present", "plane": "missing"}, "view_versions": {"weather": DIGEST},
        "outputs": {"prediction": 0.25}, "segment": DIGEST,
    })  # fmt: skip
    version = {
        "model": "delay", "version": 4, "package": DIGEST, "run": RUN, "dataset": "flights",
        "dataset_version": DIGEST, "created_at": AT,
    }  # fmt: skip
    platform.answer("GET registry /models/delay/versions/4", version)
    entry = {
        "sequence": 11, "model": "delay", "version": 4, "previous_version": None, "decision": "approved", "by": "ada",
        "at": AT, "package": DIGEST, "gates": [], "previous_hash": DIGEST, "hash": DIGEST,
    }  # fmt: skip
    platform.answer("GET registry /ledger", {"items": [{**entry, "sequence": 12, "decision": "refused"}, entry]})
    platform.answer(f"GET training /runs/{RUN}", {
        "id": RUN, "loop": "delay", "state": "succeeded", "reason": "drift", "requested_by": "ada",
        "dataset": "flights", "dataset_version": DIGEST, "code": DIGEST, "seed": 7, "created_at": AT,
    })  # fmt: skip
    file = {
        "partition": "2013-01", "batch": DIGEST, "path": "2013-01.parquet", "md5": "abc", "sha256": DIGEST, "bytes": 1,
        "rows": 27004, "source": "january.parquet",
    }  # fmt: skip
    platform.answer(f"GET ingestion /datasets/flights/versions/{DIGEST}", {
        "dataset": "flights", "version": DIGEST, "sequence": 1, "keys": ["id"], "event_time": "at", "columns": {},
        "files": [file], "rows": 27004, "dvc_md5": "abc.dir", "created_at": AT,
    })  # fmt: skip
    row = {
        "dataset": "weather", "dataset_version": DIGEST, "file": "weather.parquet", "batch": DIGEST, "event_time": AT,
        "values": {},
    }  # fmt: skip
    platform.answer("POST feature-store /views/weather/explain", {
        "view": "weather", "view_version": DIGEST, "keys": {"origin": "JFK"}, "event_time": AT, "values": {},
        "rows": [{**row, "row": number} for number in (1000, 2000, 3000, 4000)], "total": 5,
    })  # fmt: skip
    return platform


def test_a_prediction_leads_to_its_rows(traced: Any) -> None:
    done = traced.run("trace", PREDICTION.upper())
    assert done.exit_code == 0, done.output
    lines = [line.strip("│├└─ ") for line in done.stdout.splitlines()]
    assert lines[:4] == [
        f"prediction {PREDICTION} = 0.2500, asked for 2013-02-01 UTC",
        "inputs {'note': '[/b] JFK'}",
        "model delay version 4, package 3f9a1c0b2d4e (ledger entry 11, by ada)",
        f"run {RUN} (drift), seed 7, code 3f9a1c0b2d4e",
    ]
    assert "january.parquet -> 2013-01.parquet: 27,004 rows, batch 3f9a1c0b2d4e, md5 abc" in lines
    assert "weather@3f9a1c0b2d4e weather.parquet row 1,000 (batch 3f9a1c0b2d4e)" in lines
    assert "and 2 more rows" in lines, "three of the five are shown"
    assert lines[lines.index("plane@ missing as of -") + 2] == "no row was read"


def test_only_the_keys_of_the_view_are_asked_about(traced: Any) -> None:
    traced.run("trace", PREDICTION)
    (asked,) = [one for one in traced.seen if one.url.path.endswith("/explain")]
    assert json.loads(asked.content)["keys"] == {"origin": "JFK"}


def test_a_view_that_is_gone_does_not_hide_the_rest(traced: Any) -> None:
    traced.answer("POST feature-store /views/weather/explain", traced.refusal(404, "not-found", "no view weather"))
    done = traced.run("trace", PREDICTION)
    assert done.exit_code == 0
    assert "No: no view weather" in done.stdout and "model delay version 4" in done.stdout


def test_a_version_without_a_decision_says_so(traced: Any) -> None:
    traced.answer("GET registry /ledger", {"items": []})
    assert "(not in the ledger)" in traced.run("trace", PREDICTION).stdout


def test_json_has_every_urn(traced: Any) -> None:
    found = json.loads(traced.run("trace", PREDICTION, "--json").stdout)
    assert found["urns"] == [
        f"capstan:default:prediction/{PREDICTION}", "capstan:default:deployment/delay",
        "capstan:default:model/delay@4", f"capstan:default:run/{RUN}", "capstan:default:dataset/flights@3f9a1c0b2d4e",
        "capstan:default:view/plane", "capstan:default:view/weather@3f9a1c0b2d4e",
    ]  # fmt: skip
