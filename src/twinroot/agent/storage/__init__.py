"""The storage side of servicing a machine: images, disks, partitions, mounts."""
