"""The model server's process stays small, and speaks the codes of the platform."""

from __future__ import annotations

import re
import subprocess
import sys

from capstan_contracts.errors import Code
from capstan_contracts.ids import UUID_PATTERN, uuid7_millis
from capstan_inference.dataplane.ids import IdSource
from capstan_inference.dataplane.request_errors import KINDS


def test_it_imports_no_framework_and_nothing_else_of_the_service() -> None:
    code = (
        "import sys, capstan_inference.dataplane.server; "
        "own = [n for n in sys.modules if n.startswith('capstan_inference.') and '.dataplane' not in n]; "
        "print(own, sorted({'pydantic', 'fastapi', 'sqlalchemy', 'lightgbm', 'httpx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"


def test_its_codes_are_those_of_the_contracts() -> None:
    assert set(KINDS) <= set(Code)


def test_ids_are_uuid7_of_their_millisecond_and_do_not_repeat() -> None:
    source = IdSource()
    ranges = [source.new(1_700_000_000_123, 500) for _ in range(1200)]
    made = [one for ids in ranges for one in ids.texts()]
    assert len(set(made)) == 600_000
    assert all(re.fullmatch(UUID_PATTERN, one) for one in made[::97])
    assert {uuid7_millis(one) for one in made[::97]} == {1_700_000_000_123}
    # Where the rows begin is random: an id does not say which row of its request it is.
    assert len({ids.first & 0xFF for ids in ranges}) > 200
