"""Error codes: each has a status and a title, and clients may rely on them."""

from __future__ import annotations

import subprocess
import sys

from capstan_contracts.codes import STATUS_AND_SUMMARY, Code


def test_each_code_has_a_client_or_server_error_status_and_a_title() -> None:
    assert set(STATUS_AND_SUMMARY) == set(Code)
    assert all(400 <= code.status < 600 for code in Code)


def test_titles_are_statements_and_tell_codes_apart() -> None:
    titles = [code.summary for code in Code]
    assert len(set(titles)) == len(titles)
    assert [title for title in titles if title[0].islower() or title.endswith((".", "?", "!")) or len(title) > 60] == []
    assert Code.UNAUTHENTICATED.summary == "Authentication required"


def test_published_codes_stay() -> None:
    """Clients match on these texts: one may be added, none renamed."""
    assert {code.value for code in Code} >= {
        "unauthenticated", "forbidden", "not-found", "route-not-found", "method-not-allowed", "bad-request",
        "malformed-json", "invalid-body", "body-too-large", "unsupported-media", "invalid-name", "invalid-data",
        "invalid-spec", "not-built-yet", "conflict", "idempotency-mismatch", "gates-refused", "protected",
        "egress-refused", "overloaded", "deadline-exceeded", "not-ready", "upstream-unavailable", "internal",
    }  # fmt: skip


def test_the_codes_need_no_pydantic() -> None:
    code = "import sys, capstan_contracts.codes; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
