"""The committed .proto file, the code that was generated from it, and the peer's numbers are the same thing."""

from __future__ import annotations

import re
from pathlib import Path

from google.protobuf.descriptor import Descriptor, FieldDescriptor, ServiceDescriptor

from twinroot.agent.remote import trident_v1_pb2 as v1

PROTO = Path(v1.__file__).with_name("trident_v1.proto")
SCALARS = {FieldDescriptor.TYPE_STRING: "string", FieldDescriptor.TYPE_UINT32: "uint32"}


def parsed() -> tuple[dict[str, set[str]], dict[str, dict[str, int]], dict[str, set[str]]]:
    """Fields of messages as they are written, values of enumerations, methods of services."""
    text = re.sub(r"//.*", "", PROTO.read_text())
    text = re.sub(r"oneof \w+ \{([^}]*)\}", r"\1", text)
    messages, enums, services = {}, {}, {}
    for kind, name, body in re.findall(r"(message|enum|service) (\w+) \{([^}]*)\}", text):
        lines = [" ".join(line.split()) for line in body.split(";") if line.strip()]
        if kind == "message":
            messages[name] = set(lines)
        elif kind == "enum":
            enums[name] = {word: int(number) for word, number in (line.split(" = ") for line in lines)}
        else:
            services[name] = set(lines)
    return messages, enums, services


def written(message: Descriptor) -> set[str]:
    """The fields of a message as one writes them."""
    found = set()
    for field in message.fields:
        optional = field.containing_oneof is not None and field.containing_oneof.name == f"_{field.name}"
        kind = field.message_type or field.enum_type
        name = kind.full_name.removeprefix("trident.v1.") if kind else SCALARS[field.type]
        found.add(f"{'optional ' if optional else ''}{name} {field.name} = {field.number}")
    return found


def methods(service: ServiceDescriptor) -> set[str]:
    """The methods of a service as one writes them."""
    return {
        f"rpc {method.name}({method.input_type.name}) returns "
        f"({'stream ' if method.server_streaming else ''}{method.output_type.name})"
        for method in service.methods
    }


def test_the_generated_code_belongs_to_the_file() -> None:
    messages, enums, services = parsed()
    file = v1.DESCRIPTOR
    assert {name: written(message) for name, message in file.message_types_by_name.items()} == messages
    values = {
        name: {value.name: value.number for value in enum.values} for name, enum in file.enum_types_by_name.items()
    }
    assert values == enums
    assert {name: methods(service) for name, service in file.services_by_name.items()} == services
    assert file.package == "trident.v1"


def test_what_is_on_the_wire() -> None:
    """Bytes as the peer reads and writes them: numbers of fields and values from servicing spec, section 17.2."""
    update = v1.UpdateRequest(
        stage=v1.StageUpdateRequest(config=v1.HostConfiguration(config="a")),
        finalize=v1.FinalizeUpdateRequest(reboot=v1.RebootManagement(handling=v1.CALLER_HANDLES_REBOOT)),
    )
    assert update.SerializeToString().hex(" ") == "0a 05 0a 03 0a 01 61 12 04 0a 02 08 02"
    done = v1.Completed(status=v1.STATUS_CODE_SUCCESS, reboot_status=v1.REBOOT_STARTED, image_hash="b")
    done.servicing_kind = v1.SERVICING_KIND_AB_UPDATE
    answer = v1.ServicingResponse(completed=done)
    assert answer.SerializeToString().hex(" ") == "22 09 08 01 18 03 22 01 62 28 03"
    log = v1.Log(level=v1.LOG_LEVEL_INFO, message="m", location=v1.FileLocation(path="p", line=9))
    answer = v1.ServicingResponse(log=log)
    assert answer.SerializeToString().hex(" ") == "1a 0c 08 03 12 01 6d 2a 05 0a 01 70 10 09"
