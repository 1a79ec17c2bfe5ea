"""What `setfiles -n -v` prints, read."""

from __future__ import annotations

from twinroot.system.selinux_labels import wanted_labels


def test_changes_are_read_whatever_files_are_called() -> None:
    said = (
        "Would relabel / from (null) to system_u:object_r:root_t:s0\n"
        "/etc/x not reset as customized by admin to system_u:object_r:tmp_t:s0\n"
        "Would relabel /etc/passwd from system_u:object_r:tmp_t:s0 to system_u:object_r:etc_t:s0\n"
        "Would relabel /etc/a\nb from c to d from <no context> to system_u:object_r:etc_t:s0:c1,c2\n"
        "Would relabel /odd\udcff from (null) to system_u:object_r:etc_t:s0\n"
    )
    assert wanted_labels(said) == {
        "/": "system_u:object_r:root_t:s0",
        "/etc/passwd": "system_u:object_r:etc_t:s0",
        "/etc/a\nb from c to d": "system_u:object_r:etc_t:s0:c1,c2",
        "/odd\udcff": "system_u:object_r:etc_t:s0",
    }


def test_other_output_is_no_change() -> None:
    assert wanted_labels("Relabeled /etc from a to b\nsetfiles: /x: Permission denied\n") == {}
