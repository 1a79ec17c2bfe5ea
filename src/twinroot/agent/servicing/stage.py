"""Staging: writing a complete system onto the half that does not run, without starting it (servicing spec, 6.1, 7.1).

    checks ─▶ pre-servicing scripts ─▶ materials ─▶ room on the ESP ─▶ (intent) ─▶ withdraw ─▶ images ─▶ boot files
    ─▶ configure

Nothing is written before everything that can be known was checked. Before the first byte, the slot is withdrawn from
the firmware and from the ESP, and the datastore says that staging began: whenever power fails from then on, nothing
starts or goes back to a half-written system.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

from twinroot.agent.boot import slots
from twinroot.agent.errors import ServicingError
from twinroot.agent.osconfig import selinux
from twinroot.agent.scripts import environment_of, failure, load, run_on_host
from twinroot.agent.servicing import boot, machine, sealed
from twinroot.agent.servicing.configure import configure
from twinroot.agent.servicing.initrd_needs import without_effect
from twinroot.agent.servicing.job import Job, Materials
from twinroot.agent.storage import verity
from twinroot.agent.storage.added import with_added
from twinroot.agent.storage.deploy import deploy
from twinroot.agent.storage.deploy_plan import Deployment, plan_deployment, plan_mounts
from twinroot.agent.storage.etc_overlay import overlaid_etc
from twinroot.agent.storage.image_checks import image_problems, shared_boot, wanted_filesystems
from twinroot.agent.storage.new_root import mounted_root, place_for_new_root, unmount_leftovers
from twinroot.config.host.internal_params import is_set
from twinroot.config.host.storage_rules import root_verity
from twinroot.errors import CommandError, MissingToolError, TwinrootError
from twinroot.events import phase
from twinroot.formats.cosi.model import Metadata
from twinroot.tools.blkid import probe
from twinroot.tools.block_devices import settle
from twinroot.tools.run import require

log = logging.getLogger(__name__)

_TOOLS = ("blkid", "mount", "umount")


def check_image(job: Job) -> None:
    """ServicingError unless the image is for this machine and this configuration."""
    check_architecture(job.image)
    _check_verity(job)
    _check_boot(job)
    if not job.installs:
        _check_distribution(job)
    for setting in without_effect(job.config, sealed=job.sealed) if job.uki else ():
        log.warning("The image starts by a unified kernel: %s will have no effect", setting)
    relaxed = is_set(job.config.internal_params, "relaxedCosiValidation")
    for problem in image_problems(job.devices, job.image, job.kind, {} if job.installs else _active_uuids(job)):
        if not (relaxed or _is_allowed(problem, job.config.internal_params)):
            raise problem
        log.warning("%s", problem)


def check_architecture(image: Metadata) -> None:
    """ServicingError for an image that this machine cannot run."""
    if image.os_arch != machine.architecture():
        message = f"the image is for {image.os_arch}, this machine is {machine.architecture()}"
        raise ServicingError("mismatched-architecture", message)


def check_tools(job: Job, deployment: Deployment) -> None:
    """MissingToolError, before anything is touched, when a program is missing that staging will need.

    ServicingError when the kernel lacks something.
    """
    needed = [*_TOOLS]
    needed += ["e2fsck", "resize2fs"] if any(each.grow for each in deployment.images) else []
    needed += [f"mkfs.{each.type}" for each in deployment.filesystems]
    needed += ["wipefs"] if deployment.filesystems or deployment.swaps or job.installs else []
    needed += ["mkswap"] if deployment.swaps else []
    needed += ["partx"] if job.installs else []
    needed += ["veritysetup"] if deployment.verity else []
    require(needed)
    if deployment.verity:
        verity.check_kernel()


def _close_leftovers(place: Path) -> None:
    """What an interrupted run left of a new system, mounted or open, keeps nobody from writing that anew."""
    unmount_leftovers(place)
    verity.close_leftovers()


def run_pre_servicing(job: Job) -> None:
    """Run the scripts of `preServicing` in the running system; ServicingError for the first that fails."""
    for loaded in load(job.config.scripts.pre_servicing, "scripts.preServicing", job.kind):
        try:
            run_on_host(loaded, environment_of(loaded.script, job.kind, "/"))
        except (CommandError, MissingToolError) as error:
            raise failure("run-pre-servicing-script", loaded, error) from error


def write_system(job: Job, materials: Materials, begin: Callable[[], None], *, esp_size: int | None = None) -> None:
    """Write the system of a job onto its devices. `begin` is called before the first byte.

    `esp_size`, bytes, is that of an ESP that `begin` makes. After an error the half that was to be written holds a
    mixture, and nothing starts it.
    """
    deployment = plan_deployment(job.devices, job.image, job.kind)
    if not job.installs:
        deployment = with_added(deployment, job.devices, lambda path: probe(path).type)
    check_tools(job, deployment)
    _close_leftovers(place_for_new_root())
    boot.RUN.mkdir(parents=True, exist_ok=True)
    with boot.esp_content(job.cosi, boot.RUN) as content:
        image = slots.ImageBoot(
            content, job.uki, any_grub=is_set(job.config.internal_params, "disableGrubNoprefixCheck")
        )
        if esp_size is not None:
            slots.check_new_esp(image, job.image.os_arch, esp_size, two=bool(job.config.storage.ab_update))
        sealed.check_kernel(job, content)
        _begin(job, image, begin)
        _write_images(job, deployment)
        sealed.check_devices(job, content)
        _prepare(job, deployment, image, materials)


def _prepare(job: Job, deployment: Deployment, image: slots.ImageBoot, materials: Materials) -> None:
    """Make what was written a system that can start."""
    mounts = plan_mounts(job.devices, job.image)
    overlaid = root_verity(job.config.storage) and not job.sealed
    with (
        verity.opened_verity(deployment.verity),
        mounted_root(mounts, place_for_new_root()) as root,
        overlaid_etc(root) if overlaid else nullcontext(),
    ):
        slots.place(_side(job, esp_below(job, root)), image, job.target)
        _run_post_provision(job, materials, root)
        if job.sealed:
            sealed.check_root(job, root)
            sealed.fill(job, root, materials)
        else:
            configure(job, root, mounts, materials)


def _begin(job: Job, image: slots.ImageBoot, begin: Callable[[], None]) -> None:
    """Say that staging begins; in an update nothing starts the half that is written any more, once there is room."""
    if job.installs:
        begin()
        return
    with boot.mounted_esp(boot.esp_device(job.devices, job.config)) as esp:
        side = _side(job, esp)
        slots.check(side, image, job.target, job.active)
        begin()
        slots.withdraw(side, job.target, job.active)
        slots.make_room(side, image)


def esp_below(job: Job, root: Path) -> Path:
    """Where the ESP is mounted below the new root."""
    assert job.esp.mount_point is not None
    return root / job.esp.mount_point.target.lstrip("/")


def _run_post_provision(job: Job, materials: Materials, root: Path) -> None:
    for loaded in materials.post_provision:
        try:
            run_on_host(loaded, environment_of(loaded.script, job.kind, str(root)))
        except (CommandError, MissingToolError) as error:
            raise failure("run-post-provision-script", loaded, error) from error


def _side(job: Job, esp: Path) -> slots.BootSide:
    return boot.boot_side(job.config, job.install_index, esp, job.variables)


def _write_images(job: Job, deployment: Deployment) -> None:
    sizes = {each.image.path: each.image.uncompressed_size for each in deployment.images}
    done = dict.fromkeys(sizes, 0)
    with _named("deploy-images"), phase(job.emit, "images", "Writing images", total=sum(sizes.values())) as advance:

        def tell(path: str, bytes_done: int) -> None:
            done[path] = bytes_done
            advance(sum(done.values()))

        written = deploy(job.cosi, deployment, advance=tell)
    log.info("%d bytes of images were written, %d were there already", written.written, written.kept)
    settle()


def _check_boot(job: Job) -> None:
    """ServicingError where grub's files would be those of both halves: nothing excuses that."""
    shared = None if job.uki else shared_boot(job.devices)
    if shared:
        message = f"/ has two halves, and {shared}, from which grub starts either of them, is one for both"
        hint = "put its file system on a pair of its own in storage.abUpdate.volumePairs"
        raise ServicingError("invalid-host-configuration-dynamic", message, hint=hint)


def _check_verity(job: Job) -> None:
    """ServicingError for what does not go together with verity."""
    if root_verity(job.config.storage) and not job.sealed:
        selinux.check_overlaid(job.config.os.selinux.mode)
    sealed.check_settings(job)


def _check_distribution(job: Job) -> None:
    running = machine.os_release()
    for key in ("ID", "VARIANT_ID"):
        theirs = job.image.release_field(key)
        if theirs != running.get(key):
            message = f"the image is of another distribution: {key} is {theirs or 'not set'} there, and here "
            raise ServicingError("mismatched-os-release", message + (running.get(key) or "not set"))


def _active_uuids(job: Job) -> dict[str, str]:
    """UUIDs of the filesystems in the halves that run, by mount point."""
    found = {}
    for path, filesystem in wanted_filesystems(job.devices).items():
        if filesystem.device_id and job.devices.graph.is_on_pair(filesystem.device_id) and not filesystem.is_esp:
            protected = job.devices.verity(filesystem.device_id)
            device_id = protected.data_device_id if protected else filesystem.device_id
            uuid = probe(job.devices.path(device_id, other=True)).uuid
            if uuid is None:
                log.warning("The filesystem that runs at %s has no UUID that could be compared", path)
            else:
                found[path] = uuid
    return found


def _is_allowed(problem: ServicingError, params: Mapping[str, object]) -> bool:
    """Whether an internal parameter makes an obstacle a warning."""
    if is_set(params, "allowUnusedFilesystems") and problem.name == "unused-os-image-filesystem":
        return True
    return is_set(params, "disableFsBlockDeviceSizeCheck") and problem.name == "filesystem-size-exceeds-block-device"


@contextmanager
def _named(name: str) -> Iterator[None]:
    """What goes wrong is an error of servicing with that name."""
    try:
        yield
    except ServicingError:
        raise
    except TwinrootError as error:
        raise ServicingError(name, str(error)) from error
