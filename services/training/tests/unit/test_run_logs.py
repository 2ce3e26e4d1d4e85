"""Run logs as files."""

from __future__ import annotations

from pathlib import Path

from capstan_training.adapters.run_logs import RunLogFiles


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
