"""What this machine can do for a box."""

from __future__ import annotations

from dataclasses import dataclass

from capstan_servicekit.jobs.box import landlock, namespaces, seccomp


@dataclass(frozen=True)
class Abilities:
    """`landlock`: the version of its interface, 0 for none. `namespaces`: for this user, unprivileged."""

    landlock: int
    seccomp: bool
    namespaces: bool

    @property
    def hold(self) -> bool:
        """Whether code in a box is kept from files of others, from other processes and from the network."""
        return self.landlock > 0 and self.seccomp

    def missing(self) -> list[str]:
        """A sentence for each thing that is not there, the gravest first; empty when all is."""
        sentences = []
        if not self.landlock:
            sentences.append("this kernel has no Landlock (Linux 5.13 or later): files are not closed to recipes")
        if not self.seccomp:
            sentences.append("there is no seccomp for this machine: system calls are not closed to recipes")
        if self.hold and not self.namespaces:
            sentences.append(
                "user namespaces are not allowed: recipes see names and sizes of files, not what is in them"
            )
        return sentences


def boxes_hold() -> bool:
    """`Abilities.hold`, without a trial of namespaces: may be called anywhere."""
    return Abilities(landlock.abi(), seccomp.available(), namespaces=False).hold


def abilities(above: str) -> Abilities:
    """Looked at now. `above`: an existing folder, over which a trial root is mounted where only the trial sees it.

    The trial forks: call it in a single-threaded process.
    """
    holds = bool(landlock.abi()) and seccomp.available()
    return Abilities(landlock.abi(), seccomp.available(), holds and namespaces.possible(above))
