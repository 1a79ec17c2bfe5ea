"""Host configurations to change in tests."""

from __future__ import annotations

HASH = "0123456789abcdef" * 6

FULL = f"""\
image:
  url: https://images.example/os.cosi
  sha384: {HASH}
trident:
  datastorePath: /var/lib/trident/datastore.sqlite
storage:
  disks:
    - id: first
      device: /dev/disk/by-path/first
      partitionTableType: gpt
      partitions:
        - {{id: esp1, type: esp, size: 64M}}
        - {{id: boot-a, type: xbootldr, size: 512M}}
        - {{id: boot-b, type: xbootldr, size: 512M}}
        - {{id: data-a, type: root, size: 4G}}
        - {{id: data-b, type: root, size: 4G}}
        - {{id: hash-a, type: root-verity, size: 400M}}
        - {{id: hash-b, type: root-verity, size: 400M}}
        - {{id: etc-a, size: 128M}}
        - {{id: etc-b, size: 128M}}
        - {{id: ext-a, size: 128M}}
        - {{id: ext-b, size: 128M}}
        - {{id: state, size: 1G}}
        - {{id: temporary, type: tmp, size: 1G}}
        - {{id: swap1, type: swap, size: 1G}}
        - {{id: swap2, type: swap, size: 1G}}
        - {{id: spare, size: 1G}}
        - {{id: rest, size: grow}}
    - id: second
      device: /dev/disk/by-path/second
      partitionTableType: gpt
      partitions:
        - {{id: esp2, type: esp, size: 64M, uuid: 2f1e0c3a-0000-4000-8000-000000000001}}
        - {{id: spare2, size: 1G, uuid: 2f1e0c3a-0000-4000-8000-000000000002}}
    - id: third
      device: /dev/disk/by-path/third
      partitionTableType: gpt
      partitions:
      adoptedPartitions:
        - {{id: old, matchLabel: old}}
        - {{id: older, matchUuid: 2f1e0c3a-0000-4000-8000-000000000003}}
  encryption:
    recoveryKeyUrl: file:///root/recovery.key
    pcrs: [7, boot-loader-code]
    volumes:
      - {{id: safe, deviceName: luks-safe, deviceId: rest}}
      - {{id: safe-swap, deviceName: luks-swap, deviceId: swap2}}
  raid:
    software:
      - {{id: esp, name: esp, level: raid1, devices: [esp1, esp2]}}
      - {{id: mirror, name: mirror, level: raid1, devices: [spare, spare2]}}
    syncTimeout: 60
  abUpdate:
    volumePairs:
      - {{id: boot, volumeAId: boot-a, volumeBId: boot-b}}
      - {{id: data, volumeAId: data-a, volumeBId: data-b}}
      - {{id: hash, volumeAId: hash-a, volumeBId: hash-b}}
      - {{id: etc, volumeAId: etc-a, volumeBId: etc-b}}
      - {{id: ext, volumeAId: ext-a, volumeBId: ext-b}}
  verity:
    - {{id: root, name: root, dataDeviceId: data, hashDeviceId: hash}}
  filesystems:
    - {{deviceId: esp, mountPoint: {{path: /boot/efi, options: umask=0077}}}}
    - {{deviceId: boot, mountPoint: /boot}}
    - {{deviceId: root, mountPoint: {{path: /, options: 'defaults,ro'}}}}
    - {{deviceId: etc, source: new, mountPoint: /var/lib/trident-overlay}}
    - {{deviceId: ext, source: new, mountPoint: /var/lib/extensions}}
    - {{deviceId: state, source: new, type: xfs, mountPoint: /var/lib/trident}}
    - {{deviceId: temporary, source: new, mountPoint: /var/tmp}}
    - {{deviceId: safe, source: new, mountPoint: /srv}}
    - {{deviceId: mirror, source: new, mountPoint: /mnt/mirror}}
    - {{deviceId: old, source: adopted, type: auto, mountPoint: /mnt/old}}
    - {{source: new, type: tmpfs, mountPoint: /mnt/memory}}
  swap: [swap1, {{deviceId: safe-swap}}]
os:
  hostname: node-1
  netplan:
    version: 2
    ethernets:
      lan: {{match: {{name: 'en*'}}, dhcp4: true, addresses: [10.0.0.2/24, 10.0.0.3/24: {{label: two}}]}}
  selinux: {{mode: disabled}}
  users:
    - {{name: ops, uid: 1500, sshMode: key-only, sshPublicKeys: [ssh-ed25519 AAAA ops], secondaryGroups: [wheel]}}
  additionalFiles:
    - {{destination: /etc/motd, content: hello, permissions: '0644'}}
  modules:
    - {{name: nbd, loadMode: always, options: {{nbds_max: 4}}}}
  services: {{enable: [sshd], disable: [cups]}}
  kernelCommandLine: {{extraCommandLine: [console=ttyS0]}}
  sysexts:
    - {{url: 'oci://registry.example/tools:1', sha384: {HASH}}}
  uefiFallback: optimistic
managementOs:
  users: [{{name: installer}}]
scripts:
  preServicing:
    - {{name: before, runOn: [all], path: /opt/before.sh}}
  postConfigure:
    - {{name: after, runOn: [clean-install], content: 'true', arguments: [1], environmentVariables: {{A: b}}}}
health:
  checks:
    - {{name: ssh, runOn: [all], systemdServices: [sshd.service], timeoutSeconds: 5}}
    - {{name: script, runOn: [ab-update], content: 'true'}}
internalParams:
  httpConnectionTimeoutSeconds: 20
"""

SMALL = """\
storage:
  disks:
    - id: disk
      device: /dev/vda
      partitionTableType: gpt
      partitions:
        - {id: esp, type: esp, size: 64M}
        - {id: system, size: 4G}
        - {id: usr-data, type: usr, size: 1G}
        - {id: usr-hash, type: usr-verity, size: 64M}
        - {id: other, size: 1G}
  verity:
    - {id: usr, name: usr, dataDeviceId: usr-data, hashDeviceId: usr-hash}
  filesystems:
    - {deviceId: esp, mountPoint: /boot/efi}
    - {deviceId: system, mountPoint: /}
    - {deviceId: usr, mountPoint: {path: /usr, options: ro}}
"""


def changed(text: str, old: str, new: str) -> str:
    """The text with one place changed."""
    assert text.count(old) == 1, (old, text.count(old))
    return text.replace(old, new)
