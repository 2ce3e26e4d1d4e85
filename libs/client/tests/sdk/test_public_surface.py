"""What the SDK exports is small, sorted, documented, and changes only on purpose."""

from __future__ import annotations

import inspect
import subprocess
import sys

from capstan_client import sdk


def test_the_names_are_these() -> None:
    assert sdk.__all__ == [
        "Capstan", "CapstanProblem", "FeatureOrigin", "Lineage", "SdkError", "UnexpectedAnswer", "Unreachable",
        "poll", "resolve", "trace",
    ]  # fmt: skip


def test_each_name_is_there_and_says_what_it_is() -> None:
    for name in sdk.__all__:
        found = getattr(sdk, name)
        assert inspect.getdoc(found), name


def test_one_except_catches_whatever_a_call_raises() -> None:
    assert {sdk.CapstanProblem, sdk.UnexpectedAnswer, sdk.Unreachable} <= set(sdk.SdkError.__subclasses__())


def test_a_script_that_uses_the_sdk_imports_neither_the_command_line_nor_a_server() -> None:
    code = (
        "import sys, capstan_client.sdk; "
        "print(sorted({'typer', 'sqlalchemy', 'uvicorn', 'capstan_client.cli'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
