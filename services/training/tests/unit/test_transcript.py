"""Following a pipeline's output."""

from __future__ import annotations

from capstan_training.domain.transcript import LINE_LIMIT, Transcript, plain

OUTPUT = """\
09:24:47.428 - INFO - Running pipeline: \x1b[95m'tiny'\x1b[0m
--------------------------------------------------------------------------------
09:24:47.438 - INFO - Executing task \x1b[96m'fit'\x1b[0m
09:24:47.439 - INFO - Streamed logs:

    hello
    [KFP Executor 2026-11-21 09:24:47,527 INFO]: Wrote executor output file.

09:24:47.539 - INFO - Task \x1b[96m'fit'\x1b[0m finished with status \x1b[92mSUCCESS\x1b[0m
09:24:47.540 - INFO - Executing task \x1b[96m'score'\x1b[0m
    Traceback (most recent call last):
    ValueError: no
    boom here

09:24:47.641 - ERROR - Task \x1b[96m'score'\x1b[0m finished with status \x1b[91mFAILURE\x1b[0m
--------------------------------------------------------------------------------
09:24:48.000 - INFO - Executing task \x1b[96m'tidy'\x1b[0m
    tidied up
09:24:48.100 - INFO - Task \x1b[96m'tidy'\x1b[0m finished with status \x1b[92mSUCCESS\x1b[0m
"""


def test_the_failed_step_and_its_last_line() -> None:
    transcript = Transcript()
    turns = [line for line in OUTPUT.split("\n") if transcript.read(plain(line))]
    assert len(turns) == 6
    assert (transcript.failed, transcript.last, transcript.done) == ("score", "boom here", 2)


def test_the_running_step() -> None:
    transcript = Transcript()
    for line in OUTPUT.split("\n")[:6]:
        transcript.read(plain(line))
    assert (transcript.step, transcript.last, transcript.done, transcript.failed) == ("fit", "hello", 0, "")


def test_lines_are_plain() -> None:
    assert plain("\x1b[31mred\x1b[0m\x07\x00 ") == "red"
    assert plain("10%\r55%\r100%") == "100%"
    assert plain("windows\r") == "windows"
    assert plain("\x1b]0;title\x07text") == "text"
    long = plain("x" * 10_000)
    assert len(long) < LINE_LIMIT + 40
    assert long.endswith("(10000 characters)")
