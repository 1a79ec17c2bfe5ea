"""Errors of servicing, with the names and categories that scripts of the peer look for (servicing spec, section 19)."""

from __future__ import annotations

from typing import Any

from twinroot.errors import TwinrootError

STAGING_BEGAN = "staging-was-interrupted"
"""The error in the status from before the first byte of a new system is written until it is complete."""

CATEGORIES: dict[str, str] = {
    "check-root-privileges": "execution-environment-misconfiguration",
    "prism-chroot-environment": "execution-environment-misconfiguration",
    "ab-update-health-check-commit-check": "health-checks",
    "health-checks-failed": "health-checks",
    "container-configuration": "initialization",
    "load-host-status": "initialization",
    "parse-host-status": "initialization",
    "unexpected-servicing-state": "internal",
    "clean-install-on-provisioned-host": "invalid-input",
    "host-not-provisioned": "invalid-input",
    "image-bad-agent-configuration": "invalid-input",
    "invalid-lazy-partition": "invalid-input",
    "invalid-rollback-expectation": "invalid-input",
    "missing-os-image": "invalid-input",
    "parse-prism-history": "invalid-input",
    "read-input-file": "invalid-input",
    "write-output-file": "invalid-input",
    "ab-update-reboot-check": "servicing",
    "clean-install-reboot-check": "servicing",
    "manual-rollback-reboot-check": "servicing",
    "storage-configuration-changed": "invalid-input",
    "datastore": "servicing",
    "create-boot-entry": "servicing",
    "deploy-esp-images": "servicing",
    "enumerate-ukis": "servicing",
    "find-staged-file": "servicing",
    "invalid-host-configuration-dynamic": "invalid-input",
    "list-and-parse-boot-entries": "servicing",
    "derive-host-configuration": "invalid-input",
    "no-available-install-index": "unsupported-configuration",
    "no-suitable-disk": "unsupported-configuration",
    "unsupported-hash-kind": "invalid-input",
    "read-efi-variable": "servicing",
    "set-efi-variable": "servicing",
    "run-post-configure-script": "servicing",
    "run-post-provision-script": "servicing",
    "run-pre-servicing-script": "servicing",
    "set-up-uefi-fallback": "servicing",
    "apply-netplan-config": "servicing",
    "cleanup-verity": "servicing",
    "copy-machine-id": "servicing",
    "create-machine-id": "servicing",
    "create-verity": "servicing",
    "disable-cloud-init-networking": "servicing",
    "generate-netplan-config": "servicing",
    "get-selinux-type": "servicing",
    "regenerate-initrd": "servicing",
    "remove-netplan-config": "servicing",
    "run-os-modifier": "servicing",
    "selinux-enabled-but-not-found": "invalid-input",
    "set-up-users": "servicing",
    "start-network": "servicing",
    "update-grub-configs": "servicing",
    "write-additional-file": "servicing",
    "write-netplan-config": "servicing",
    "update-uki": "servicing",
    "clean-install-safety-check": "initialization",
    "multiboot-without-adopted-partitions": "invalid-input",
    "unused-os-image-filesystem": "invalid-input",
    "missing-os-image-filesystem": "invalid-input",
    "duplicate-fs-uuid": "invalid-input",
    "duplicate-fs-uuid-ab-update": "invalid-input",
    "verity-mismatch": "invalid-input",
    "esp-mount-point-mismatch": "invalid-input",
    "unexpected-verity-on-esp": "invalid-input",
    "unsupported-boot-file-system-type": "invalid-input",
    "filesystem-size-exceeds-block-device": "invalid-input",
    "create-partitions": "servicing",
    "deploy-images": "servicing",
    "mount-newroot": "servicing",
    "mount-overlay": "servicing",
    "partitions-removed": "unsupported-configuration",
    "boot-entry-check": "servicing",
    "command-failed": "servicing",
    "copy-trident-binary": "servicing",
    "corrupt-os-image": "invalid-input",
    "create-configuration-file": "servicing",
    "generate-fstab": "servicing",
    "history-file-not-found": "invalid-input",
    "internal": "internal",
    "invalid-host-configuration-static": "invalid-input",
    "invalid-internal-parameter": "invalid-input",
    "invalid-rollback-state": "invalid-input",
    "load-cosi": "invalid-input",
    "manual-rollback": "servicing",
    "mismatched-architecture": "invalid-input",
    "mismatched-os-release": "invalid-input",
    "panic": "internal",
    "parse-host-configuration-file": "invalid-input",
    "old-style-configuration": "invalid-input",
    "allowed-operations-in-host-configuration": "invalid-input",
    "missing-binary": "execution-environment-misconfiguration",
    "reboot": "servicing",
    "reboot-timeout": "servicing",
    "root-device-path-ab-active-volume-mismatch": "servicing",
    "servicing-active": "servicing",
    STAGING_BEGAN: "servicing",
    "unexpected-servicing-type": "internal",
}
"""The category of each error that this version can end with."""


def tells_of_staging(error: Any) -> bool:
    """Whether an error of a status says that a half of the machine is about to be written, or was not to its end."""
    return isinstance(error, dict) and error.get("error") == STAGING_BEGAN


class ServicingError(TwinrootError):
    """An error with the peer's name. `inner` is the name within a group of errors, such as `open-datastore`."""

    def __init__(self, name: str, message: str, *, hint: str | None = None, inner: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.name = name
        self.inner = inner
        self.category = CATEGORIES[name]

    def record(self) -> dict[str, Any]:
        """The error as the status and the files of `--error` have it."""
        error: Any = self.name if self.inner is None else {self.name: {"inner": self.inner}}
        return {"message": self.message, "error": error, "category": self.category, "location": None, "cause": None}
