"""The model server's process stays small, and speaks the codes of the platform."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from capstan_contracts.ids import UUID_PATTERN, uuid7_millis
from capstan_inference.dataplane.ids import IdSource
from capstan_inference.dataplane.request_errors import RequestError
from capstan_servicekit.errors import (
    CapstanError,
    Forbidden,
    InvalidData,
    NotFound,
    NotReady,
    Overloaded,
    TooLarge,
    Unauthenticated,
    UnsupportedMedia,
    Upstream,
)


def test_it_imports_no_framework_and_nothing_else_of_the_service() -> None:
    code = (
        "import sys, capstan_inference.dataplane.server; "
        "own = [n for n in sys.modules if n.startswith('capstan_inference.') and '.dataplane' not in n]; "
        "print(own, sorted({'pydantic', 'fastapi', 'sqlalchemy', 'lightgbm', 'httpx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"


@pytest.mark.parametrize(
    "error",
    [Unauthenticated, Forbidden, NotFound, TooLarge, UnsupportedMedia, Overloaded, NotReady, InvalidData, Upstream],
)
def test_it_answers_an_error_as_the_services_do(error: type[CapstanError]) -> None:
    of_a_service = error("why").problem(instance="/v1").model_dump(mode="json")
    of_the_model_server = json.loads(RequestError(error.code, "why").body("/v1"))
    shared = ("type", "title", "status", "code", "detail", "instance")
    assert {name: of_the_model_server[name] for name in shared} == {name: of_a_service[name] for name in shared}


def test_ids_are_uuid7_of_their_millisecond_and_do_not_repeat() -> None:
    source = IdSource()
    ranges = [source.new(1_700_000_000_123, 500) for _ in range(1200)]
    made = [one for ids in ranges for one in ids.texts()]
    assert len(set(made)) == 600_000
    assert all(re.fullmatch(UUID_PATTERN, one) for one in made[::97])
    assert {uuid7_millis(one) for one in made[::97]} == {1_700_000_000_123}
    # Where the rows begin is random: an id does not say which row of its request it is.
    assert len({ids.first & 0xFF for ids in ranges}) > 200
