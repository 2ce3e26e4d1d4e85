"""The parts of a box that can be looked at without entering one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from capstan_servicekit.jobs.box import landlock, places, quota, seccomp, syscalls
from capstan_servicekit.jobs.box.abilities import Abilities
from capstan_servicekit.jobs.box.seccomp import Outside
from capstan_servicekit.jobs.box.spec import Limits
from capstan_servicekit.jobs.made import made_file
from capstan_servicekit.jobs.worker import JobFailed

ALLOW, EPERM, ENOSYS, KILL, DONE = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000, 0x00050000
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
WHOLE, WEAK = Outside(True, True, True), Outside(False, False, False)


def verdict(machine: str, outside: Outside, number: int, argument: int = 0, arch: int | None = None) -> int:
    """Run the filter as the kernel does."""
    lines = seccomp.program(outside, machine)
    words = {0: number, 4: ARCH[machine] if arch is None else arch, 16: argument}
    at, held = 0, 0
    while True:
        code, if_true, if_false, value = lines[at]
        at += 1
        if code == 0x20:
            held = words[value]
        elif code == 0x06:
            return value
        else:
            true = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
            at += if_true if true else if_false


@pytest.mark.parametrize("machine", sorted(syscalls.NUMBERS))
@pytest.mark.parametrize("outside", [WHOLE, WEAK])
def test_every_refused_call_is_refused_and_others_are_not(machine: str, outside: Outside) -> None:
    numbers = syscalls.NUMBERS[machine]
    refused = {numbers[name] for name in syscalls.FOR_NOBODY if name in numbers}
    assert {verdict(machine, outside, number) for number in refused} == {EPERM}
    assert verdict(machine, outside, numbers["clone3"]) == ENOSYS
    assert {verdict(machine, outside, number) for number in range(470) if number not in numbers.values()} == {ALLOW}


@pytest.mark.parametrize("machine", sorted(syscalls.NUMBERS))
def test_what_depends_on_an_argument(machine: str) -> None:
    numbers = syscalls.NUMBERS[machine]
    plain, new_user, unix, internet, own, other = 0x11, 0x10000011, 1, 2, 0, 77
    assert verdict(machine, WHOLE, numbers["clone"], plain) == ALLOW
    assert verdict(machine, WHOLE, numbers["clone"], new_user) == EPERM
    assert [verdict(machine, WHOLE, numbers["socket"], family) for family in (unix, internet)] == [ALLOW, EPERM]
    assert verdict(machine, WEAK, numbers["socket"], unix) == EPERM
    assert [verdict(machine, WEAK, numbers["prlimit64"], pid) for pid in (own, other)] == [ALLOW, EPERM]
    assert verdict(machine, WHOLE, numbers["prlimit64"], other) == ALLOW


@pytest.mark.parametrize("machine", sorted(syscalls.NUMBERS))
def test_without_its_own_processes_and_files_more_is_refused(machine: str) -> None:
    numbers = syscalls.NUMBERS[machine]
    assert verdict(machine, WHOLE, numbers["kill"]) == ALLOW
    assert verdict(machine, WEAK, numbers["kill"]) == EPERM
    assert verdict(machine, Outside(False, True, False), numbers["kill"]) == ALLOW
    assert [verdict(machine, outside, numbers["fchmodat"]) for outside in (WHOLE, WEAK)] == [ALLOW, DONE]


def test_numbers_of_another_machine_end_the_process() -> None:
    assert verdict("x86_64", WHOLE, 0, arch=0x40000003) == KILL
    assert verdict("x86_64", WHOLE, 0x40000000 | 1) == ENOSYS


@pytest.mark.parametrize("machine", sorted(syscalls.NUMBERS))
def test_no_number_stands_for_two_calls(machine: str) -> None:
    numbers = syscalls.NUMBERS[machine]
    assert len(set(numbers.values())) == len(numbers)
    named = {*syscalls.FOR_NOBODY, *syscalls.OF_OTHERS, *syscalls.OF_A_PROCESS, *syscalls.METADATA}
    assert named <= set().union(*syscalls.NUMBERS.values())


def test_rights_grow_with_the_interface() -> None:
    counts = [landlock.handled(version).bit_count() for version in range(1, 8)]
    assert counts == [13, 14, 15, 15, 16, 16, 16]
    assert not landlock.write_rights(7) & (landlock.MAKE_BLOCK | landlock.MAKE_CHAR | landlock.IOCTL_DEV)


def test_the_interpreter_is_readable_and_nothing_of_a_home() -> None:
    paths = [Path(path) for path in places.readable()]
    assert any(Path(os.__file__).is_relative_to(path) for path in paths)
    assert not {Path("/"), Path("/etc"), Path("/home"), Path("/root"), Path("/tmp"), Path("/var")} & set(paths)


def test_the_kernel_is_asked_for_more_than_what_is_measured() -> None:
    limits = Limits.of_job(1000, 10, 5 << 20)
    assert limits.memory_bytes == (2000 << 20) + (1 << 30)
    assert (limits.file_bytes, limits.cpu_s >= 11) == (5 << 20, True)


def test_what_is_missing_is_a_sentence() -> None:
    assert Abilities(7, True, True).missing() == []
    assert "user namespaces" in Abilities(7, True, False).missing()[0]
    assert not Abilities(0, True, True).hold and "Landlock" in Abilities(0, True, True).missing()[0]
    assert not Abilities(7, False, True).hold


def test_a_folder_is_as_large_as_what_lies_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(os.urandom(1 << 20))
    (tmp_path / "link").symlink_to("/usr")
    assert 1 << 20 <= quota.used(str(tmp_path)) < 2 << 20
    monkeypatch.setattr(quota, "MOST_FILES", 3)
    assert quota.used(str(tmp_path)) > 1 << 40


@pytest.mark.parametrize("name", ["link", "folder", "folder-link/file", "../outside", "missing"])
def test_only_a_plain_file_in_scratch_is_taken(tmp_path: Path, name: str) -> None:
    scratch = tmp_path / "scratch"
    (scratch / "folder").mkdir(parents=True)
    (scratch / "folder" / "file").write_text("x")
    (scratch / "folder-link").symlink_to("folder")
    (tmp_path / "outside").write_text("secret")
    (scratch / "link").symlink_to(tmp_path / "outside")
    assert made_file(scratch, "folder/file") == made_file(scratch, str(scratch / "folder" / "file"))
    for told in (name, str(scratch / name)):
        with pytest.raises(JobFailed):
            made_file(scratch, told)
    with pytest.raises(JobFailed):
        made_file(scratch, str(tmp_path / "outside"))
