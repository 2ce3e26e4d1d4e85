"""Reads a pipeline's output as it comes: which step runs, how many are done, and what was said last."""

from __future__ import annotations

import re

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_EVENT = re.compile(r"^\d\d:\d\d:\d\d\.\d{3} - (?:INFO|ERROR) - (.*)$")
_STARTS = re.compile(r"^Executing task '([^']+)'")
_ENDS = re.compile(r"^Task '([^']+)' finished with status (\w+)")
_NOISE = re.compile(r"^(-{3,}|\[KFP Executor .*|\[pod\] .*|Streamed logs:)?$")
LINE_LIMIT = 4000
OWN = "[capstan]"
"""How a line of a run's log begins that the platform wrote; no line of the run itself does."""


def plain(line: str) -> str:
    """A line without colours, control characters and excess."""
    text = _CONTROL.sub("", _ANSI.sub("", line.rpartition("\r")[2] or line)).rstrip()
    return text if len(text) <= LINE_LIMIT else f"{text[:LINE_LIMIT]}… ({len(text)} characters)"


def foreign(line: str) -> str:
    """A line of the run itself, which never passes for one of the platform's."""
    return f" {line}" if line.startswith(OWN) else line


class Transcript:
    """Follows plain lines. `step` is the running step, `failed` the one that failed, `last` what a step said last."""

    def __init__(self) -> None:
        self.step = ""
        self.failed = ""
        self.done = 0
        self.last = ""

    def read(self, line: str) -> bool:
        """Take the next line; whether a step began or ended with it."""
        event = _EVENT.match(line)
        if event is None:
            text = line.strip()
            if self.step and not self.failed and not _NOISE.match(text):
                self.last = text
            return False
        if starts := _STARTS.match(event[1]):
            if not self.failed:  # an exit handler may still run; what was said last stays that of the failed step
                self.step, self.last = starts[1], ""
            return True
        if ends := _ENDS.match(event[1]):
            if ends[2] == "SUCCESS":
                self.done += 1
                self.step = ""
            else:
                self.failed = self.failed or ends[1]
            return True
        return False
