"""`netplan`: the network, in the language of netplan 2 without its outermost key (host-config spec, section 7.1).

Known are the keys of netplan for systemd-networkd; those for NetworkManager and Open vSwitch are errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, WithJsonSchema

from twinroot.config.host.netplan_interface import (
    Auth,
    Count,
    Interface,
    NetplanSection,
    PhysicalInterface,
    address_fault,
)
from twinroot.config.host.scalars import Text
from twinroot.config.problems import Finding, KeyPath, quoted
from twinroot.config.scalars import Between, Flag

VERSION = 2
_RENDERERS = ("networkd",)


class Ethernet(PhysicalInterface):
    """An Ethernet device."""

    auth: Auth | None = Field(default=None, description="Authentication (802.1X).")
    link: Text | None = Field(default=None, description="Id of the physical function, for a virtual one (SR-IOV).")
    virtual_function_count: Count = Field(default=None, description="How many virtual functions to make.")
    embedded_switch_mode: Text | None = Field(default=None, description="`switchdev` or `legacy`.")
    delay_virtual_functions_rebind: Flag | None = Field(default=None, description="Bind virtual functions later.")
    infiniband_mode: Text | None = Field(default=None, description="`datagram` or `connected`.")


class AccessPoint(NetplanSection):
    """A wireless network."""

    password: Text | None = Field(default=None, repr=False, description="Password (WPA2).")
    auth: Auth | None = Field(default=None, description="Authentication.")
    mode: Text | None = Field(default=None, description="`infrastructure`, `ap` or `adhoc`.")
    bssid: Text | None = Field(default=None, description="MAC address of the access point.")
    band: Text | None = Field(default=None, description="`5GHz` or `2.4GHz`.")
    channel: Count = Field(default=None, description="Channel.")
    hidden: Flag | None = Field(default=None, description="The network hides its name.")


class Wifi(PhysicalInterface):
    """A wireless device."""

    access_points: dict[Text, AccessPoint] = Field(default_factory=dict, description="Networks by name (SSID).")
    wakeonwlan: tuple[Text, ...] = Field(default=(), description="What wakes the machine.")
    regulatory_domain: Text | None = Field(default=None, description="Country code.")
    auth: Auth | None = Field(default=None, description="Authentication.")


class BridgeParameters(NetplanSection):
    """Settings of a bridge. Times are in seconds."""

    ageing_time: Count = Field(default=None, description="How long MAC addresses are remembered.")
    priority: Count = Field(default=None, description="Priority of the bridge.")
    port_priority: dict[Text, Annotated[int, Between(0, 63)]] = Field(
        default_factory=dict, description="Priority of ports, by interface."
    )
    path_cost: dict[Text, Annotated[int, Between(0, 2**32 - 1)]] = Field(
        default_factory=dict, description="Cost of ports, by interface."
    )
    forward_delay: Count = Field(default=None, description="Time in the states listening and learning.")
    hello_time: Count = Field(default=None, description="Interval of hello packets.")
    max_age: Count = Field(default=None, description="Greatest age of a hello packet.")
    stp: Flag | None = Field(default=None, description="Use the spanning tree protocol.")


class Bridge(Interface):
    """A bridge."""

    interfaces: tuple[Text, ...] = Field(default=(), description="Ids of its ports.")
    parameters: BridgeParameters | None = Field(default=None, description="Settings.")


class BondParameters(NetplanSection):
    """Settings of a bond. Times are in milliseconds, or with a unit such as `s`."""

    mode: Text | None = Field(default=None, description="Mode, for example `active-backup` or `802.3ad`.")
    lacp_rate: Text | None = Field(default=None, description="`slow` or `fast`.")
    mii_monitor_interval: Text | None = Field(default=None, description="Interval of looking at the links.")
    min_links: Count = Field(default=None, description="Least number of links.")
    transmit_hash_policy: Text | None = Field(default=None, description="What decides which link a packet takes.")
    ad_select: Text | None = Field(default=None, description="`stable`, `bandwidth` or `count`.")
    all_members_active: Flag | None = Field(default=None, description="Accept duplicate frames.")
    all_slaves_active: Flag | None = Field(default=None, description="Old name of `all-members-active`.")
    arp_interval: Text | None = Field(default=None, description="Interval of ARP checks.")
    arp_ip_targets: tuple[Text, ...] = Field(default=(), description="Addresses to check by ARP.")
    arp_validate: Text | None = Field(default=None, description="`none`, `active`, `backup` or `all`.")
    arp_all_targets: Text | None = Field(default=None, description="`any` or `all`.")
    up_delay: Text | None = Field(default=None, description="Delay before a link counts as up.")
    down_delay: Text | None = Field(default=None, description="Delay before a link counts as down.")
    fail_over_mac_policy: Text | None = Field(default=None, description="`none`, `active` or `follow`.")
    gratuitous_arp: Count = Field(default=None, description="ARP packets after a change of link.")
    packets_per_member: Count = Field(default=None, description="Packets for each link (balance-rr).")
    packets_per_slave: Count = Field(default=None, description="Old name of `packets-per-member`.")
    primary_reselect_policy: Text | None = Field(default=None, description="`always`, `better` or `failure`.")
    resend_igmp: Count = Field(default=None, description="IGMP reports after a change of link.")
    learn_packet_interval: Text | None = Field(default=None, description="Interval of learning packets.")
    primary: Text | None = Field(default=None, description="Id of the preferred interface.")


class Bond(Interface):
    """A bond."""

    interfaces: tuple[Text, ...] = Field(default=(), description="Ids of its interfaces.")
    parameters: BondParameters | None = Field(default=None, description="Settings.")


class Vlan(Interface):
    """A VLAN."""

    id: Annotated[int | None, Between(0, 4094)] = Field(default=None, description="VLAN id.")
    link: Text | None = Field(default=None, description="Id of the interface it is on.")


class TunnelKeys(NetplanSection):
    """Keys of a tunnel."""

    input: Text | None = Field(default=None, repr=False, description="Key of what comes in.")
    output: Text | None = Field(default=None, repr=False, description="Key of what goes out.")
    private: Text | None = Field(default=None, repr=False, description="Private key (WireGuard), or its file.")
    public: Text | None = Field(default=None, description="Public key of the other end (WireGuard).")
    shared: Text | None = Field(default=None, repr=False, description="Shared key (WireGuard), or its file.")


class TunnelPeer(NetplanSection):
    """The other end of a WireGuard tunnel."""

    endpoint: Text | None = Field(default=None, description="Address and port.")
    allowed_ips: tuple[Text, ...] = Field(default=(), description="Addresses that it may use.")
    keepalive: Count = Field(default=None, description="Interval of empty packets, in seconds.")
    keys: TunnelKeys | None = Field(default=None, description="Keys.")


class Tunnel(Interface):
    """A tunnel."""

    mode: Text | None = Field(default=None, description="Mode, for example `sit`, `gre`, `vxlan`, `wireguard`.")
    local: Text | None = Field(default=None, description="Own address.")
    remote: Text | None = Field(default=None, description="Address of the other end.")
    ttl: Count = Field(default=None, description="Time to live of its packets.")
    key: Text | None = Field(default=None, repr=False, description="Key for both directions.")
    keys: TunnelKeys | None = Field(default=None, description="Keys.")
    mark: Count = Field(default=None, description="Firewall mark (WireGuard).")
    port: Annotated[int | None, Between(0, 65535)] = Field(default=None, description="UDP port.")
    peers: tuple[TunnelPeer, ...] = Field(default=(), description="Other ends (WireGuard).")
    id: Count = Field(default=None, description="Network id (VXLAN).")
    link: Text | None = Field(default=None, description="Id of the interface it is on (VXLAN).")


class Vrf(Interface):
    """A virtual routing domain."""

    table: Count = Field(default=None, description="Number of its routing table.")
    interfaces: tuple[Text, ...] = Field(default=(), description="Ids of its interfaces.")


class Netplan(NetplanSection):
    """The network: what stands below `network:` in a file of netplan."""

    version: Annotated[int, Between(0, 255), WithJsonSchema({"const": VERSION})] = Field(
        description="Version of the language: 2."
    )
    renderer: Text | None = Field(default=None, description="Program that manages the network: `networkd`.")
    ethernets: dict[Text, Ethernet] = Field(default_factory=dict, description="Ethernet devices, by id.")
    wifis: dict[Text, Wifi] = Field(default_factory=dict, description="Wireless devices, by id.")
    bridges: dict[Text, Bridge] = Field(default_factory=dict, description="Bridges, by id.")
    bonds: dict[Text, Bond] = Field(default_factory=dict, description="Bonds, by id.")
    vlans: dict[Text, Vlan] = Field(default_factory=dict, description="VLANs, by id.")
    tunnels: dict[Text, Tunnel] = Field(default_factory=dict, description="Tunnels, by id.")
    vrfs: dict[Text, Vrf] = Field(default_factory=dict, description="Virtual routing domains, by id.")
    dummy_devices: dict[Text, Interface] = Field(default_factory=dict, description="Dummy devices, by id.")

    def check(self) -> Iterator[Finding]:
        """Version and renderer are supported, ids can be names of interfaces, addresses are some."""
        if self.version != VERSION:
            message = f"version {self.version} of netplan is not supported"
            yield Finding(("version",), message, "write version: 2", code="invalid-netplan-version")
        for path, renderer in self._renderers():
            if renderer not in _RENDERERS:
                message = f"the renderer {quoted(renderer)} is not supported"
                yield Finding(path, message, "remove it, or use networkd", code="unsupported-netplan-renderer")
        for kind, name, _ in self._interfaces():
            if not name or not all("!" <= char <= "~" and char not in "*?[]" for char in name):
                message = f"{quoted(name)} cannot be the id of an interface"
                hint = "use letters, digits and punctuation without * ? [ ]; patterns belong in match.name"
                yield Finding((kind, name), message, hint, code="invalid-interface-name")
        yield from self._addresses()

    def _addresses(self) -> Iterator[Finding]:
        """The peer leaves addresses to netplan, which refuses them on the machine that is being serviced."""
        for kind, name, interface in self._interfaces():
            for index, address in enumerate(interface.addresses):
                for text in address:
                    fault = address_fault(text)
                    if fault:
                        yield Finding((kind, name, "addresses", index), *fault)

    def _renderers(self) -> Iterator[tuple[KeyPath, str]]:
        if self.renderer is not None:
            yield ("renderer",), self.renderer
        for kind, name, interface in self._interfaces():
            if interface.renderer is not None:
                yield (kind, name, "renderer"), interface.renderer

    def _interfaces(self) -> Iterator[tuple[str, str, Interface]]:
        for field, info in type(self).model_fields.items():
            found = getattr(self, field)
            for name, interface in found.items() if isinstance(found, dict) else ():
                yield info.alias or field, name, interface
