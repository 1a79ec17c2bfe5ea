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
_SHIFTED = "".join(f'  elif [ "$default" = {number} ]; then set default={number + 1}\n' for number in range(1, 10))
# grub before 2.12 knows fallbacks by their numbers only, and how many entries follow nobody can say.
_FALLBACK = f"""\
if [ -n "${VARIABLE}" ]; then
  menuentry "Restart, as this system cannot be started" {{ reboot }}
  set fallback=0
fi
"""
_BEHIND_FALLBACK = f"""\
if [ -n "${VARIABLE}" ]; then
  if [ -z "$default" -o "$default" = 0 ]; then set default=1
{_SHIFTED}  fi
fi
"""

_BEGIN, _END = "# The first start of this system is a trial.", "# Nothing could be started."


def with_fallback(config: str) -> str:
    """A grub.cfg that restarts from a trial when its default entry fails: entry files have no room for the guard."""
    if config.startswith(_FALLBACK):
        return config
    return f"{_FALLBACK}{config}{'' if config.endswith(chr(10)) else chr(10)}{_BEHIND_FALLBACK}"


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
