"""What all network interfaces of `netplan` have in common (netplan's YAML reference; host-config spec, section 7.1)."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from twinroot.config.host.scalars import Text
from twinroot.config.problems import quoted
from twinroot.config.scalars import Between, Flag, boolean, from_text
from twinroot.config.section import Section
from twinroot.config.shape import depth_of, inner_model

_MAX = 2**32 - 1
_USUAL = {4: 24, 6: 64}  # prefix lengths, by the version of IP
Count = Annotated[int | None, Between(0, _MAX)]


def one_as_list(value: Any) -> Any:
    """A single value where several may stand."""
    return [value] if isinstance(value, str) else value


def _address(value: Any) -> Any:
    """An address with its options, of which there may be none."""
    return {value: {}} if isinstance(value, str) else _filled(value, 1)


def _without_empty(address: dict[str, Any]) -> str | dict[str, Any]:
    """An address without options alone."""
    return next(iter(address)) if len(address) == 1 and not any(map(_has_options, address.values())) else address


def _has_options(options: Any) -> bool:
    return bool(options.model_fields_set)


def _filled(value: Any, depth: int) -> Any:
    """Maps and lists with empty objects where there is nothing `depth` of them below a value."""
    if not depth or not isinstance(value, (dict, list)):
        return value
    items = enumerate(value) if isinstance(value, list) else value.items()
    below = {key: {} if item is None and depth == 1 else _filled(item, depth - 1) for key, item in items}
    return list(below.values()) if isinstance(value, list) else below


def address_fault(text: str) -> tuple[str, str] | None:
    """Why netplan refuses a text as an address of an interface, and a hint; None for an address that it takes."""
    address, slash, length = text.partition("/")
    not_one = (f"{quoted(address)} is not an IP address", "write for example 192.0.2.10/24")
    try:
        found = ip_address(address)
    except ValueError:
        return not_one
    if "%" in address:  # the zone of an IPv6 address, which netplan does not know
        return not_one
    if not slash:
        hint = f"write for example {address}/{_USUAL[found.version]}"
        return f"the address {quoted(text)} has no prefix length", hint
    if not re.fullmatch(r"[0-9]{1,3}", length) or int(length) > found.max_prefixlen:
        return f"{quoted(length)} is not a prefix length", f"write a number from 0 to {found.max_prefixlen}"
    return None


def _flag_or_route(text: str) -> bool | str:
    return text if text == "route" else boolean(text)


def kebab(name: str) -> str:
    """Netplan's spelling of keys."""
    return name.replace("_", "-")


Texts = Annotated[
    tuple[Text, ...],
    BeforeValidator(one_as_list),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


FlagOrRoute = Annotated[
    bool | Literal["route"],
    from_text(_flag_or_route),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"const": "route"}]}),
]


class _AlsoText:
    """In an annotation: the schema of an object that may be written as a text too."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(schema)]}


class NetplanSection(Section):
    """An object of netplan; its keys have hyphens. None of its objects needs a key, so one may be empty altogether."""

    model_config = ConfigDict(alias_generator=kebab)

    @model_validator(mode="before")
    @classmethod
    def _with_empty_objects(cls, data: Any) -> Any:
        """In a map or a list, nothing behind a key or a hyphen is an empty object."""
        if not isinstance(data, dict):
            return data
        depths = {
            field.alias or name: depth_of(field.annotation)
            for name, field in cls.model_fields.items()
            if inner_model(field.annotation)
        }
        return {key: _filled(value, depths.get(key, 0)) for key, value in data.items()}


class AddressOptions(NetplanSection):
    """Options of an address."""

    lifetime: Literal["forever", "0"] | None = Field(
        default=None, description="`forever`, or `0` for a deprecated one."
    )
    label: Text | None = Field(default=None, description="Label of the address.")


Address = Annotated[
    dict[Text, AddressOptions],
    BeforeValidator(_address),
    PlainSerializer(_without_empty),
    _AlsoText(),
]


class DhcpOverrides(NetplanSection):
    """What to make of the answers of a DHCP server."""

    use_dns: Flag | None = Field(default=None, description="Use its name servers.")
    use_domains: FlagOrRoute | None = Field(
        default=None, description="Use its search domains; `route` for routing only."
    )
    use_hostname: Flag | None = Field(default=None, description="Use the host name that it gives.")
    use_mtu: Flag | None = Field(default=None, description="Use its MTU.")
    use_ntp: Flag | None = Field(default=None, description="Use its time servers.")
    use_routes: Flag | None = Field(default=None, description="Use its routes.")
    route_metric: Count = Field(default=None, description="Metric of its routes.")
    send_hostname: Flag | None = Field(default=None, description="Tell it the host name.")
    hostname: Text | None = Field(default=None, description="Host name to tell it.")


class Nameservers(NetplanSection):
    """DNS servers."""

    addresses: tuple[Text, ...] = Field(default=(), description="Addresses of servers.")
    search: tuple[Text, ...] = Field(default=(), description="Search domains.")


class Route(NetplanSection):
    """A route."""

    to: Text | None = Field(default=None, description="Destination, or `default`.")
    via: Text | None = Field(default=None, description="Gateway.")
    from_: Text | None = Field(default=None, alias="from", description="Source address.")
    on_link: Flag | None = Field(default=None, description="The gateway is directly reachable.")
    metric: Count = Field(default=None, description="Metric.")
    type: Text | None = Field(default=None, description="Type, for example `unicast` or `blackhole`.")
    scope: Text | None = Field(default=None, description="Scope: `global`, `link` or `host`.")
    table: Count = Field(default=None, description="Number of the routing table.")
    mtu: Count = Field(default=None, description="MTU of the route.")
    congestion_window: Count = Field(default=None, description="Congestion window, in segments.")
    advertised_receive_window: Count = Field(default=None, description="Receive window to advertise, in segments.")
    advertised_mss: Count = Field(default=None, description="Largest segment to advertise, in bytes.")


class RoutingPolicy(NetplanSection):
    """A rule that chooses a routing table."""

    from_: Text | None = Field(default=None, alias="from", description="Source address.")
    to: Text | None = Field(default=None, description="Destination address.")
    table: Count = Field(default=None, description="Number of the routing table.")
    priority: Count = Field(default=None, description="Priority of the rule.")
    mark: Count = Field(default=None, description="Firewall mark to match.")
    type_of_service: Count = Field(default=None, description="Type of service to match.")


class Interface(NetplanSection):
    """A network interface."""

    renderer: Text | None = Field(default=None, description="Program that manages it: `networkd`.")
    dhcp4: Flag | None = Field(default=None, description="Use DHCP for IPv4.")
    dhcp6: Flag | None = Field(default=None, description="Use DHCP for IPv6.")
    dhcp_identifier: Text | None = Field(default=None, description="`mac`: identify by MAC address.")
    dhcp4_overrides: DhcpOverrides | None = Field(default=None, description="Settings of DHCP for IPv4.")
    dhcp6_overrides: DhcpOverrides | None = Field(default=None, description="Settings of DHCP for IPv6.")
    accept_ra: Flag | None = Field(default=None, description="Accept router advertisements.")
    addresses: tuple[Address, ...] = Field(
        default=(), description="Addresses with prefix length; each may be a key with `lifetime` and `label` below it."
    )
    gateway4: Text | None = Field(default=None, description="Gateway for IPv4; `routes` is newer.")
    gateway6: Text | None = Field(default=None, description="Gateway for IPv6; `routes` is newer.")
    nameservers: Nameservers | None = Field(default=None, description="DNS servers.")
    routes: tuple[Route, ...] = Field(default=(), description="Routes.")
    routing_policy: tuple[RoutingPolicy, ...] = Field(default=(), description="Rules that choose a routing table.")
    link_local: tuple[Text, ...] | None = Field(default=None, description="`ipv4`, `ipv6`: link-local addresses.")
    ipv6_address_generation: Text | None = Field(default=None, description="`eui64` or `stable-privacy`.")
    ipv6_address_token: Text | None = Field(default=None, description="Token of generated addresses.")
    ipv6_mtu: Count = Field(default=None, description="MTU for IPv6.")
    ipv6_privacy: Flag | None = Field(default=None, description="Use privacy extensions.")
    macaddress: Text | None = Field(default=None, description="MAC address to set.")
    mtu: Count = Field(default=None, description="MTU.")
    critical: Flag | None = Field(default=None, description="Keep it up when its manager stops.")
    ignore_carrier: Flag | None = Field(default=None, description="Configure it without carrier too.")
    optional: Flag | None = Field(default=None, description="Do not wait for it at start.")
    optional_addresses: tuple[Text, ...] = Field(default=(), description="Kinds of addresses not to wait for.")
    activation_mode: Text | None = Field(default=None, description="`manual` or `off`: do not bring it up.")
    neigh_suppress: Flag | None = Field(default=None, description="Suppress neighbour discovery of a bridge port.")


class Match(NetplanSection):
    """Which device is meant; all keys must match."""

    name: Text | None = Field(default=None, description="Interface name; may hold `*`.")
    macaddress: Text | None = Field(default=None, description="MAC address.")
    driver: Texts = Field(default=(), description="Name of the driver, or a list of names; may hold `*`.")


class PhysicalInterface(Interface):
    """An interface that is a device."""

    match: Match | None = Field(default=None, description="Which device is meant, where the id is not its name.")
    set_name: Text | None = Field(default=None, description="Name to give it.")
    wakeonlan: Flag | None = Field(default=None, description="Switch wake-on-LAN on.")
    emit_lldp: Flag | None = Field(default=None, description="Send LLDP packets.")
    receive_checksum_offload: Flag | None = Field(default=None, description="Check received packets in the device.")
    transmit_checksum_offload: Flag | None = Field(default=None, description="Compute checksums in the device.")
    tcp_segmentation_offload: Flag | None = Field(default=None, description="Segment TCP over IPv4 in the device.")
    tcp6_segmentation_offload: Flag | None = Field(default=None, description="Segment TCP over IPv6 in the device.")
    generic_segmentation_offload: Flag | None = Field(default=None, description="Segment packets late.")
    generic_receive_offload: Flag | None = Field(default=None, description="Merge received packets.")
    large_receive_offload: Flag | None = Field(default=None, description="Merge received packets in the device.")


class Auth(NetplanSection):
    """Authentication for a network (802.1X)."""

    key_management: Text | None = Field(
        default=None, description="`none`, `psk`, `eap`, `eap-sha256`, `802.1x`, `sae`."
    )
    password: Text | None = Field(default=None, repr=False, description="Password.")
    method: Text | None = Field(default=None, description="EAP method: `tls`, `peap`, `leap`, `pwd` or `ttls`.")
    identity: Text | None = Field(default=None, description="Identity.")
    anonymous_identity: Text | None = Field(default=None, description="Identity to send unencrypted.")
    ca_certificate: Text | None = Field(default=None, description="File of the CA's certificate.")
    client_certificate: Text | None = Field(default=None, description="File of the client's certificate.")
    client_key: Text | None = Field(default=None, description="File of the client's key.")
    client_key_password: Text | None = Field(default=None, repr=False, description="Password of the client's key.")
    phase2_auth: Text | None = Field(default=None, description="Inner authentication.")
