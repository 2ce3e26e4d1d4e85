from __future__ import annotations

import json
import subprocess

import pytest

from capstan_ingestion.domain.vocabulary import ARGUMENTS, ELSEWHERE
from capstan_testkit.harness import job_pythons

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PROBE = """
import json
import great_expectations.expectations
from great_expectations.expectations.registry import get_expectation_impl, list_registered_expectation_implementations
frame = {"id", "meta", "notes", "description", "severity", "rendered_content", "windows", "batch_id",
         "catch_exceptions", "result_format", "library_metadata"}
found = {}
for name in list_registered_expectation_implementations():
    fields = {key: field.required for key, field in get_expectation_impl(name).__fields__.items() if key not in frame}
    found[name] = [sorted(k for k, r in fields.items() if r), sorted(k for k, r in fields.items() if not r)]
print(json.dumps(found))
"""


def test_the_table_of_expectations_is_that_of_the_installed_package() -> None:
    command = [job_pythons()["ingestion"], "-c", PROBE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    installed = json.loads(done.stdout.splitlines()[-1])
    assert set(installed) == {*ARGUMENTS, *ELSEWHERE}
    ours = {name: [sorted(required), sorted(optional)] for name, (required, optional) in ARGUMENTS.items()}
    assert ours == {name: arguments for name, arguments in installed.items() if name in ARGUMENTS}
