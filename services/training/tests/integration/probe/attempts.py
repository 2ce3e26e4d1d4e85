"""What a hostile recipe tries. `tried(facts)` says of each attempt whether it succeeded: all have to be false.

Standard library only. `facts` names what the platform has on this machine: files, ports, processes.
"""

# mypy: ignore-errors
# It is shipped as text into a box, and kept short.

import ctypes
import glob
import os
import platform
import resource
import signal
import site
import socket
import subprocess
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
SYSTEM_CALLS = {  # number on x86_64, number on aarch64, arguments that would do no harm
    "ptrace": (101, 117, (16, os.getppid(), 0, 0)),
    "process_vm_readv": (310, 270, (os.getppid(), 0, 0, 0, 0, 0)),
    "mount": (165, 40, (b"none", b"/tmp", b"tmpfs", 0, 0)),
    "umount": (166, 39, (b"/proc", 2)),
    "unshare_user": (272, 97, (0x10000000,)),
    "unshare_net": (272, 97, (0x40000000,)),
    "chroot": (161, 51, (b"/",)),
    "pivot_root": (155, 41, (b".", b".")),
    "open_tree": (428, 428, (-100, b"/", 1)),
    "fsopen": (430, 430, (b"tmpfs", 0)),
    "keyctl": (250, 219, (0, -3, 0)),
    "add_key": (248, 217, (b"user", b"x", b"x", 1, -3)),
    "io_uring": (425, 425, (8, ctypes.create_string_buffer(256))),
    "userfaultfd": (323, 282, (1,)),
    "perf_event_open": (
        298,
        241,
        (ctypes.create_string_buffer(b"\x01\x00\x00\x00\x70\x00\x00\x00", 128), 0, -1, -1, 0),
    ),
    "bpf": (321, 280, (0, ctypes.create_string_buffer(128), 128)),
    "memfd": (319, 279, (b"x", 0)),
    "memfd_secret": (447, 447, (0,)),
    "shmget": (29, 194, (0, 4096, 0o1600)),
    "msgget": (68, 186, (0, 0o1600)),
    "kcmp": (312, 272, (os.getpid(), os.getppid(), 0, 0, 0)),
    "open_by_handle": (304, 265, (-100, ctypes.create_string_buffer(128), 0)),
    "fanotify": (300, 262, (0x200, 0)),
    "settimeofday": (164, 170, (ctypes.create_string_buffer(16), 0)),
    "sethostname": (170, 161, (b"x", 1)),
    "clone3": (435, 435, (ctypes.create_string_buffer(88), 88)),
    "personality": (135, 92, (0x0040000,)),
    "syslog": (103, 116, (3, ctypes.create_string_buffer(64), 64)),
}


def call(name):
    x86, arm, arguments = SYSTEM_CALLS[name]
    padded = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = LIBC.syscall(ctypes.c_long(x86 if X86 else arm), *padded)
    if name == "clone3" and result == 0:
        os._exit(0)
    return result >= 0


def reads(path):
    with open(path, "rb") as file:
        return bool(file.read(1))


def writes(path):
    with open(path, "r+b") as file:
        file.write(b"x")
    return True


def makes(path):
    with open(path, "xb"):
        pass
    return True


def connects(family, kind, address):
    made = socket.socket(family, kind)
    made.settimeout(2)
    made.connect(address)
    if kind == socket.SOCK_DGRAM:
        made.send(b"x")
    return True


def opens(family, kind, protocol=0):
    socket.socket(family, kind, protocol)
    return True


def binds():
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen()
    return True


def others(facts):
    """Folders in /proc of processes outside of this box: the platform's, and the worker's own, which /proc shows."""
    found = [f"/proc/{pid}" for pid in facts["pids"]]
    for folder in glob.glob("/proc/[0-9]*"):
        try:
            with open(f"{folder}/cmdline", "rb") as file:
                if b"capstan_servicekit.jobs.host" in file.read().split(b"\0"):
                    found.append(folder)
        except OSError:
            continue
    assert len(found) > len(facts["pids"]), "the worker is to be seen"
    return found


def any_other(facts, name, mode="rb"):
    for folder in others(facts):
        try:
            with open(f"{folder}/{name}", mode, buffering=0) as file:
                if name == "mem":
                    with open(f"{folder}/maps") as maps:
                        file.seek(int(maps.readline().split("-")[0], 16))
                if file.write(b"0") if mode != "rb" else file.read(1):
                    return True
        except OSError:
            continue
    return False


def lists_handles(facts):
    return any(os.readlink(link) for pid in facts["pids"] for link in glob.glob(f"/proc/{pid}/fd/*"))


def through_root(facts):
    return any(reads(f"/proc/{pid}/root{facts['secrets'][0]}") for pid in (*facts["pids"], os.getppid(), 1))


def signals(facts):
    for pid in facts["pids"]:
        try:
            os.kill(pid, 0)
            return True
        except OSError:
            continue
    return False


def changed(path, change):
    before = os.stat(path)
    try:
        change(path)
    finally:
        after = os.stat(path)
        same = (before.st_mode, before.st_mtime_ns, before.st_size) == (after.st_mode, after.st_mtime_ns, after.st_size)
    return not same


def links(path):
    os.link(path, "stolen")
    return reads("stolen")


def symlinks(path):
    os.symlink(path, "led")
    return reads("led")


def opens_many():
    return bool([open(os.devnull) for _ in range(5000)])


def larger_file():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open("large", "wb") as file:
        file.truncate(1 << 40)
    return True


def reserves():
    return bool(bytearray(1 << 40))


def raises_limit(kind):
    _, hard = resource.getrlimit(kind)
    if hard == resource.RLIM_INFINITY:
        return True
    resource.setrlimit(kind, (hard, hard + 1))
    return True


def becomes(user):
    os.setuid(user)
    return os.geteuid() == user


def limits_other(facts):
    return any(resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in facts["pids"])


def slows_all():
    os.setpriority(os.PRIO_USER, 0, 19)
    return True


def set_namespace(facts):
    handle = os.open(f"/proc/{(facts['pids'] or [1])[0]}/ns/net", os.O_RDONLY)
    return LIBC.setns(handle, 0) == 0


def system_program():
    done = subprocess.run(["/bin/sh", "-c", "cat /etc/shadow"], capture_output=True, check=False)
    return done.returncode == 0


def attempts(facts):
    secret, packages = facts["secrets"][0], site.getsitepackages()[0]
    found = {f"read {path}": (reads, path) for path in facts["secrets"]}
    found |= {f"write {path}": (writes, path) for path in (*facts["secrets"], *facts["given"], *facts["program"])}
    found |= {f"list {path}": (lambda where: bool(os.listdir(where)), path) for path in facts["folders"]}
    found |= {f"make in {path}": (makes, f"{path}/planted.pth") for path in (*facts["folders"], packages, sys.prefix)}
    found |= {f"call {name}": (call, name) for name in SYSTEM_CALLS}
    found |= {
        "chmod": (changed, secret, lambda path: os.chmod(path, 0o666)),
        "utime": (changed, secret, lambda path: os.utime(path, (1, 1))),
        "truncate": (changed, secret, lambda path: os.truncate(path, 0)),
        "unlink": (os.unlink, secret),
        "rename": (os.rename, secret, "moved"),
        "link": (links, secret),
        "symlink": (symlinks, secret),
        "shadow": (reads, "/etc/shadow"),
        "shadow by a program": (system_program,),
        "environ of others": (any_other, facts, "environ"),
        "memory of others": (any_other, facts, "mem"),
        "maps of others": (any_other, facts, "maps"),
        "oom score of others": (any_other, facts, "oom_score_adj", "r+b"),
        "write memory of others": (any_other, facts, "mem", "r+b"),
        "handles of others": (lists_handles, facts),
        "root of others": (through_root, facts),
        "signal": (signals, facts),
        "limits of others": (limits_other, facts),
        "priority of all": (slows_all,),
        "setns": (set_namespace, facts),
        "kernel setting": (writes, "/proc/sys/kernel/core_pattern"),
        "physical memory": (reads, "/dev/mem"),
        "kernel log": (reads, "/dev/kmsg"),
        "disk": (reads, "/dev/vda"),
        "tcp own port": (connects, socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", facts["tcp"])),
        "tcp public": (connects, socket.AF_INET, socket.SOCK_STREAM, ("1.1.1.1", 53)),
        "tcp v6": (connects, socket.AF_INET6, socket.SOCK_STREAM, ("::1", facts["tcp"])),
        "tcp listen": (binds,),
        "udp own port": (connects, socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", facts["udp"])),
        "udp public": (connects, socket.AF_INET, socket.SOCK_DGRAM, ("1.1.1.1", 53)),
        "unix socket": (connects, socket.AF_UNIX, socket.SOCK_STREAM, facts["unix"]),
        "abstract socket": (connects, socket.AF_UNIX, socket.SOCK_STREAM, "\0" + facts["abstract"]),
        "raw socket": (opens, socket.AF_INET, socket.SOCK_RAW, 1),
        "packet socket": (opens, socket.AF_PACKET, socket.SOCK_RAW),
        "netlink": (opens, socket.AF_NETLINK, socket.SOCK_RAW),
        "become another user": (becomes, 65534),
        "become user 1": (becomes, 1),
        "5000 open files": (opens_many,),
        "a file of a terabyte": (larger_file,),
        "a terabyte of memory": (reserves,),
        "raise limit of memory": (raises_limit, resource.RLIMIT_DATA),
        "raise limit of files": (raises_limit, resource.RLIMIT_NOFILE),
    }
    return found


def attempt(function, *arguments):
    try:
        return function(*arguments) not in (False, None) or function in (os.unlink, os.rename)
    except (OSError, MemoryError, ValueError, OverflowError):
        return False


def tried(facts):
    """By the attempt's name, whether it succeeded."""
    return {name: attempt(*what) for name, what in attempts(facts).items()}


def leave(seconds=60):
    """A process of its own session, forked twice, that stays."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(seconds)
        os._exit(0)
