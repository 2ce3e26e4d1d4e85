"""Run logs as files."""

from __future__ import annotations

from pathlib import Path

from capstan_training.adapters.run_logs import RunLogFiles
from capstan_training.domain.transcript import foreign


async def test_lines_are_redacted_and_read_whole(tmp_path: Path) -> None:
    logs = RunLogFiles(tmp_path / "runs", cap=10_000)
    assert await logs.read("r", 0) == ("", 0)
    logs.append("r", "Authorization: Bearer abcdefghijkl")
    logs.append("r", "zwei\u2028Züge")
    text, offset = await logs.read("r", 0)
    assert text == "Authorization: [redacted]\nzwei\u2028Züge\n"
    with (tmp_path / "runs" / "r.log").open("ab") as file:
        file.write(b"half a li")
    assert await logs.read("r", offset) == ("", offset)
    assert "".join([piece async for piece in logs.stream("r")]) == text


async def test_a_log_has_an_end(tmp_path: Path) -> None:
    logs = RunLogFiles(tmp_path, cap=1000)
    for index in range(200):
        logs.append("r", f"line {index}")
    text = "".join([piece async for piece in logs.stream("r")])
    assert text.count("the log ends here") == 1
    assert len(text) < 1200


async def test_a_mark_and_the_log_together_tell_how_far_a_source_was_read(tmp_path: Path) -> None:
    logs = RunLogFiles(tmp_path, cap=10_000)
    assert await logs.resume("r") == ("", 0)
    logs.append("r", "one")
    logs.mark("r", "pod 1")
    assert await logs.resume("r") == ("pod 1", 0)
    logs.append("r", "two")
    logs.append("r", "[capstan] attempt 2:\nstage pipeline starts again")
    logs.append("r", foreign("[capstan] said by the pipeline"))
    assert await logs.resume("r") == ("pod 1", 2)
    (tmp_path / "r.log").unlink()
    assert await logs.resume("r") == ("", 0)


async def test_a_log_is_put_back(tmp_path: Path) -> None:
    logs = RunLogFiles(tmp_path / "runs", cap=10_000)
    assert await logs.file("r") is None
    (tmp_path / "stored").write_text("all of it\n")
    await logs.restore("r", tmp_path / "stored")
    assert await logs.file("r") == tmp_path / "runs" / "r.log"
    assert await logs.read("r", 0) == ("all of it\n", 10)
