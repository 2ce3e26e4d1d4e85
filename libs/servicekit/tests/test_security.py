"""Paths stay below their root, tokens open what their principal may, and no secret is written anywhere."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capstan_contracts.errors import Code
from capstan_contracts.roles import Role
from capstan_servicekit.errors import Invalid
from capstan_servicekit.security import principals as principals_module
from capstan_servicekit.security.paths import under
from capstan_servicekit.security.principals import Principal, Principals, new_token, token_digest, write_secret
from capstan_servicekit.security.redact import redact, redact_text

# -- paths


@given(st.text(st.sampled_from("ab./\\%\0~ -é\n"), max_size=12))
def test_a_path_is_below_its_root_or_refused(text: str) -> None:
    root = Path("/srv/files")
    try:
        found = under(root, text)
    except Invalid as refused:
        assert refused.problem_code is Code.INVALID_NAME and refused.status == 422
        assert [error.place for error in refused.errors] == ["path"]
    else:
        assert found == root or root in found.parents
        assert ".." not in found.parts


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "..", "a/../../b", "a/..", "a\\b", "a%2fb", "a//b", "a\0b", "//server/share"]
)
def test_a_path_that_could_be_read_in_two_ways_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(Invalid, match="The path is not allowed") as refused:
        under(tmp_path, path)
    assert refused.value.errors[0].rule == "relative, of plain names, no '..', '\\' or '%'"


def test_a_link_is_followed_as_far_as_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "kept").mkdir(parents=True)
    (tmp_path / "root-of-another").mkdir()
    (root / "inside").symlink_to(root / "kept")
    (root / "outside").symlink_to(tmp_path)
    (root / "beside").symlink_to(tmp_path / "root-of-another")
    assert under(root, "inside/a") == (root / "kept" / "a").resolve()
    for link in ("outside", "outside/secret", "beside/a"):
        with pytest.raises(Invalid, match="leaves its folder"):
            under(root, link)


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert under(tmp_path / "link", "a") == (tmp_path / "real" / "a").resolve()


# -- principals


def principal(**roles: str) -> Principal:
    return Principal("ann", "user", {name: Role(role) for name, role in roles.items()})


def test_a_role_holds_in_its_project_and_includes_the_lesser_ones() -> None:
    ann = principal(mine="operator")
    assert ann.may(Role.VIEWER, "mine") and ann.may(Role.OPERATOR, "mine") and not ann.may(Role.ADMIN, "mine")
    assert not ann.may(Role.VIEWER, "elsewhere") and ann.role_in("elsewhere") is None
    assert not principal(mine="admin").may(Role.SERVICE, "mine")


def test_a_role_in_a_project_stands_before_the_role_in_every_project() -> None:
    ann = Principal("ann", "user", {"*": Role.ADMIN, "guarded": Role.VIEWER})
    assert ann.may(Role.ADMIN, "any") and not ann.may(Role.OPERATOR, "guarded")


def entry(token: str, name: str = "ann", **roles: str) -> dict[str, Any]:
    return {"id": name, "kind": "user", "roles": roles, "token_sha256": token_digest(token)}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes the principals file, each time under another modification time."""
    times = iter(range(1_000_000, 2_000_000))

    def written(*entries: dict[str, Any]) -> Path:
        file = tmp_path / "principals.json"
        write_secret(file, json.dumps({"principals": entries}))
        os.utime(file, (moment := next(times), moment))
        return file

    return written


def test_a_token_is_known_as_long_as_the_file_has_it(write: Callable[..., Path]) -> None:
    old, new = new_token(), new_token()
    known = Principals(write(entry(old, mine="viewer")))
    assert (found := known.authenticate(old)) is not None and found.roles == {"mine": Role.VIEWER}
    assert known.authenticate(new) is None and known.authenticate("") is None
    assert known.authenticate(token_digest(old)) is None  # what the file holds opens nothing
    file = write(entry(new, mine="viewer"))  # of the same length: only its time tells
    assert known.authenticate(old) is None and known.authenticate(new) is not None
    file.unlink()
    assert known.authenticate(new) is None
    write(entry(new, mine="viewer"))
    assert known.authenticate(new) is not None


def test_a_file_that_everybody_can_read_is_not_used(write: Callable[..., Path]) -> None:
    token = new_token()
    file = write(entry(token, mine="admin"))
    file.chmod(0o604)
    known = Principals(file)
    assert known.authenticate(token) is None and not known.loaded
    assert known.look() == f"{file} can be read by everybody; make it mode 0600"
    file.chmod(0o600)
    assert known.authenticate(token) is not None and known.look() is None


@pytest.mark.parametrize(
    "text",
    [
        "", '{"principals": [{"id": "ann", ', "[]", "{}", '{"principals": [{"id": "ann"}]}', '{"principals": {"a": 1}}',
        '{"principals": [{"id": "a", "kind": "user", "roles": {"p": "king"}, "token_sha256": "x"}]}', "\udcff",
    ],
)  # fmt: skip
def test_a_half_written_file_keeps_the_last_good_one(
    write: Callable[..., Path], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    token = new_token()
    file = write(entry(token, mine="viewer"))
    known = Principals(file)
    assert known.authenticate(token) is not None
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    for _ in range(2):
        assert known.authenticate(token) is not None
    assert (said := known.look()) is not None and "holds on" in said and str(file) in said
    assert len(caplog.records) == 1  # told once, not with each request
    write(entry(new_token(), mine="viewer"))
    assert known.authenticate(token) is None and known.look() is None
    file.unlink()
    file.write_text(text if text.isprintable() else "")
    assert not Principals(file).loaded and Principals(file).authenticate(token) is None


def test_a_secret_is_its_owners_and_replaces_the_old_one_whole(tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "token"
    write_secret(file, "first, and longer")
    write_secret(file, "second")
    assert file.read_text() == "second"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["token"]


class Watch:
    """A monotonic clock that stands."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    made = Watch()
    monkeypatch.setattr(principals_module, "time", made)
    return made


def test_a_link_opens_one_session_for_reading_whatever_its_maker_may(write: Callable[..., Path], watch: Watch) -> None:
    known = Principals(write({**entry("t"), "roles": {"*": "admin", "mine": "operator"}}))
    code = known.new_link("ann", "/docs")
    assert (opened := known.redeem(code)) is not None
    cookie, path = opened
    assert path == "/docs" and cookie != code
    assert known.redeem(code) is None
    assert (reader := known.session(cookie)) is not None
    assert dict(reader.roles) == {"*": Role.VIEWER, "mine": Role.VIEWER}
    assert known.session(code) is None


def test_a_link_and_a_session_end_with_their_time(write: Callable[..., Path], watch: Watch) -> None:
    known = Principals(write(entry("t", mine="viewer")))
    late, in_time = (known.new_link("ann", "/", seconds=60) for _ in range(2))
    watch.now += 60
    assert (opened := known.redeem(in_time, seconds=30)) is not None
    watch.now += 30
    assert known.session(opened[0]) is not None
    watch.now += 0.5
    assert known.session(opened[0]) is None and known.redeem(late) is None


def test_a_session_may_what_its_person_may_now_and_ends_with_the_person(write: Callable[..., Path]) -> None:
    known = Principals(write(entry("t", mine="admin", other="viewer"), entry("u", "bob", mine="viewer")))
    opened = known.redeem(known.new_link("ann", "/"))
    assert opened is not None
    write(entry("t", mine="admin"), entry("u", "bob", mine="viewer"))
    assert (reader := known.session(opened[0])) is not None and dict(reader.roles) == {"mine": Role.VIEWER}
    write(entry("u", "bob", mine="viewer"))
    assert known.session(opened[0]) is None
    write(entry("t", mine="admin"))
    assert known.session(opened[0]) is None  # it has ended; whoever comes back opens another one


def test_who_has_several_tokens_reads_what_each_of_them_may(write: Callable[..., Path]) -> None:
    known = Principals(write(entry("t", mine="admin", other="viewer"), entry("u", mine="viewer", third="viewer")))
    opened = known.redeem(known.new_link("ann", "/"))
    assert opened is not None and (reader := known.session(opened[0])) is not None
    assert dict(reader.roles) == {"mine": Role.VIEWER}


# -- redaction

_SECRETS = st.text("abcXYZ0189", min_size=20, max_size=30)
_NESTED = st.recursive(
    st.integers() | st.text("xyz ", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=6,
)


@given(_SECRETS, _NESTED, st.sampled_from(["S3_SECRET_ACCESS_KEY", "api-key", "Authorization", "Set-Cookie", "tokens"]))
def test_a_value_under_a_telling_key_goes_whatever_its_form(secret: str, beside: Any, key: str) -> None:
    for value in (secret, [secret], {"deeper": [beside, secret]}, (secret, beside)):
        assert secret not in json.dumps(redact({"outer": [{key: value, "other": beside}]}))
    assert redact({"other": beside}) == {"other": beside}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("asked with Bearer abcdefgh.ijkl-mnop= twice", "asked with [redacted] twice"),
        ("authorization: BASIC dXNlcjpwYXNz", "authorization: [redacted]"),
        ("postgresql+asyncpg://ann:pass:word@db:5432/x", "postgresql+asyncpg://[redacted]@db:5432/x"),
        ("redis://:word@cache:6379/0", "redis://[redacted]@cache:6379/0"),
        ("from https://a:b@one/x to nats://c:d@two", "from https://[redacted]@one/x to nats://[redacted]@two"),
        (f"the token cap_{'a-_9' * 8}.", "the token [redacted]."),
        # passwords as people write them, and hosts one after the other
        ("redis://:p@ss@cache:6379/0", "redis://[redacted]@cache:6379/0"),
        ("postgresql://ann:p/a:s@s@db:5432/x", "postgresql://[redacted]@db:5432/x"),
        ("postgresql://ann@corp:word@db/x", "postgresql://[redacted]@db/x"),
        ("nats://a:b@one,c:d@two:4222", "nats://[redacted]@two:4222"),
        ("nats://a:b@one,nats://c:d@two, then more", "nats://[redacted]@two, then more"),
        ("nats://one:4222,nats://c:d@two", "nats://[redacted]@two"),
        ('{"a":"redis://:x\\"y@h/0","b":"c@d"}', '{"a":"redis://[redacted]@h/0","b":"c@d"}'),
        # what only looks a little like one stays readable
        ("http://127.0.0.1:7101 and ann@corp", "http://127.0.0.1:7101 and ann@corp"),
        ("http://127.0.0.1:7101/a@b", "http://127.0.0.1:7101/a@b"),
        ("basic checks passed", "basic checks passed"),
        ("cap_short", "cap_short"),
        ("", ""),
    ],
)
def test_what_looks_like_a_secret_is_masked_inside_of_a_text(text: str, left: str) -> None:
    assert redact_text(text) == left


def test_a_long_line_of_beginnings_is_looked_at_once() -> None:
    started = time.perf_counter()
    assert redact_text("x://:" * 100_000) == "x://:" * 100_000
    assert redact_text("x://:" * 100_000 + "@h") == "x://[redacted]@h"
    assert time.perf_counter() - started < 2


@given(st.text("ab \n.:/@", max_size=20), st.text("ab \n.:/@", max_size=20))
def test_a_new_token_never_survives_and_masking_again_changes_nothing(before: str, after: str) -> None:
    token = new_token()
    masked = redact_text(f"{before} {token} {after}")
    assert token not in masked and redact_text(masked) == masked
