"""The first start of a new system: a trial that ends in a restart when the system does not prove well. Pure.

Nobody sits before most machines. Until a commit, every way that a new system can fail must lead to a restart, as the
firmware then starts the old one: grub that finds no kernel, a kernel that panics, an initrd that finds no root, a
system that never comes to its commit. The peer leaves these to people.

The stub of the slot on the ESP says that it is a trial, by a variable that grub.cfg of the root passes on to the
kernel. The commit takes it out of the stub. `trident-trial.timer` looks for the argument and restarts a system
that is not committed in time. Kernels that systemd-boot starts get the same arguments by an entry for their trial
(`ukis.trial_text`), whose name the timer looks for as well.
"""

from __future__ import annotations

VARIABLE = "trident_trial"
"""grub's variable with the arguments of a trial; outside of one it is not set, and stands for nothing."""

ARGUMENT = "trident.trial"
"""What is on the kernel command line of a trial."""

# panic: kernel-parameters.txt, and the initrd of Debian; rd.…: dracut.cmdline(7).
ARGUMENTS = f"{ARGUMENT} panic=10 rd.shell=0 rd.emergency=reboot"
"""What a kernel on trial is given: whatever it, its initrd or its root lacks leads to a restart."""
GUARD = f'if [ "$?" != 0 -a -n "${VARIABLE}" ]; then reboot; fi'
"""Stands behind the line that loads a kernel."""

_BEGIN, _END = "# The first start of this system is a trial.", "# Nothing could be started."


def on_trial(stub: str) -> str:
    """The stub of a slot whose first start is a trial."""
    head = f'{_BEGIN}\nset {VARIABLE}="{ARGUMENTS}"\nexport {VARIABLE}\n'
    body = off_trial(stub)
    return f"{head}{body}{'' if body.endswith(chr(10)) else chr(10)}{_END}\nsleep 5\nreboot\n"


def off_trial(stub: str) -> str:
    """The stub of a slot that has proved well."""
    lines = stub.splitlines(keepends=True)
    plain = [line.rstrip("\r\n") for line in lines]
    if _BEGIN in plain:
        first = plain.index(_BEGIN)
        del lines[first : first + 3], plain[first : first + 3]
    if _END in plain:
        del lines[plain.index(_END) :]
    return "".join(lines)


def is_trial(kernel_command_line: str) -> bool:
    """Whether the running system is on trial."""
    return ARGUMENT in kernel_command_line.split()
