"""What is allowed in an image configuration and probably not meant. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from twinroot.config.checks import Rule
from twinroot.config.image.config import ImageConfig
from twinroot.config.image.packages import PackageList
from twinroot.config.problems import Finding
from twinroot.config.repeats import repeated_services, repeats

_ONCE = "remove one of them"


def accounts(config: ImageConfig) -> Iterator[Finding]:
    """The second entry for a user changes what the first one made, in which a uid and a home directory are errors."""
    if config.os:
        names = [user.name for user in config.os.users]
        yield from repeats(("os", "users"), names, "user", "put everything into one entry", key=("name",))
        names = [group.name for group in config.os.groups]
        yield from repeats(("os", "groups"), names, "group", _ONCE, key=("name",))


def services(config: ImageConfig) -> Iterator[Finding]:
    """Units that are listed twice."""
    return repeated_services(("os", "services"), config.os.services) if config.os else iter(())


def packages(config: ImageConfig) -> Iterator[Finding]:
    """Packages that are listed twice. To remove one and to install it is no mistake: it comes anew."""
    if config.os:
        found = config.os.packages
        for key, names in (("install", found.install), ("remove", found.remove), ("update", found.update)):
            yield from repeats(("os", "packages", key), names, "package", _ONCE)


def listed_packages(listed: PackageList) -> Iterator[Finding]:
    """The same of a list file."""
    return repeats(("packages",), listed.packages, "package", _ONCE)


IMAGE_WARNINGS: tuple[Rule[ImageConfig], ...] = (accounts, services, packages)
LIST_WARNINGS: tuple[Rule[PackageList], ...] = (listed_packages,)
