//! What kind of place an address is. Everything that is not plainly the public internet is named,
//! so that a refusal can say why (IANA special-purpose registries, RFC 6890).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// The kinds the policy tells apart. Only [`AddressKind::Public`] is reachable by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    Public,
    Unspecified,
    Loopback,
    Private,
    LinkLocal,
    /// Carrier-grade NAT, RFC 6598.
    Shared,
    /// A cloud provider's metadata service, which hands out credentials to whoever asks.
    Metadata,
    Multicast,
    Benchmark,
    Documentation,
    Reserved,
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public address",
            Self::Unspecified => "an unspecified address",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::LinkLocal => "a link-local address",
            Self::Shared => "an address of carrier-grade NAT",
            Self::Metadata => "a cloud metadata service",
            Self::Multicast => "a multicast address",
            Self::Benchmark => "an address reserved for benchmarks",
            Self::Documentation => "an address reserved for documentation",
            Self::Reserved => "a reserved address",
        })
    }
}

/// Names of metadata services, as cloud providers document them.
const METADATA_HOSTS: &[&str] = &[
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.tencentyun.com",
];

/// AWS and most others, ECS tasks, EKS pods, Alibaba, Azure's wire server, Oracle.
const METADATA_V4: &[Ipv4Addr] = &[
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// AWS, EKS pods, Google, Scaleway.
const METADATA_V6: &[Ipv6Addr] = &[
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

const fn v4(a: u8, b: u8, c: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), length)
}

const fn v6(head: [u16; 4], length: u8) -> Ipv6Net {
    let [a, b, c, d] = head;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), length)
}

const SPECIAL_V4: &[(Ipv4Net, AddressKind)] = &[
    (v4(0, 0, 0, 8), AddressKind::Unspecified),
    (v4(10, 0, 0, 8), AddressKind::Private),
    (v4(100, 64, 0, 10), AddressKind::Shared),
    (v4(127, 0, 0, 8), AddressKind::Loopback),
    (v4(169, 254, 0, 16), AddressKind::LinkLocal),
    (v4(172, 16, 0, 12), AddressKind::Private),
    (v4(192, 0, 0, 24), AddressKind::Reserved),
    (v4(192, 0, 2, 24), AddressKind::Documentation),
    (v4(192, 88, 99, 24), AddressKind::Reserved),
    (v4(192, 168, 0, 16), AddressKind::Private),
    (v4(198, 18, 0, 15), AddressKind::Benchmark),
    (v4(198, 51, 100, 24), AddressKind::Documentation),
    (v4(203, 0, 113, 24), AddressKind::Documentation),
    (v4(224, 0, 0, 4), AddressKind::Multicast),
    (v4(240, 0, 0, 4), AddressKind::Reserved),
];

/// Outside `2000::/3` nothing is public; inside it, these are not. Teredo (`2001::/32`) and the
/// other protocol assignments fall under `2001::/23`.
const SPECIAL_V6: &[(Ipv6Net, AddressKind)] = &[
    (v6([0xfc00, 0, 0, 0], 7), AddressKind::Private),
    (v6([0xfec0, 0, 0, 0], 10), AddressKind::Private),
    (v6([0xfe80, 0, 0, 0], 10), AddressKind::LinkLocal),
    (v6([0xff00, 0, 0, 0], 8), AddressKind::Multicast),
    (v6([0x2001, 0x2, 0, 0], 48), AddressKind::Benchmark),
    (v6([0x2001, 0xdb8, 0, 0], 32), AddressKind::Documentation),
    (v6([0x3fff, 0, 0, 0], 20), AddressKind::Documentation),
    (v6([0x2001, 0, 0, 0], 23), AddressKind::Reserved),
];

const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0], 3);
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0], 96);
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0], 16);

/// The address a connection really goes to: an IPv4-mapped IPv6 address is the IPv4 address.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The kind of an address. Addresses that carry an IPv4 address (mapped, compatible, NAT64, 6to4,
/// ISATAP) are of the kind of what they carry, unless they are special by themselves.
pub(crate) fn classify(address: IpAddr) -> AddressKind {
    match canonical(address) {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

/// Whether this name belongs to a metadata service, wherever it resolves to.
pub(crate) fn is_metadata_host(host: &str) -> bool {
    METADATA_HOSTS.contains(&host)
}

fn classify_v4(address: Ipv4Addr) -> AddressKind {
    if METADATA_V4.contains(&address) {
        return AddressKind::Metadata;
    }
    SPECIAL_V4
        .iter()
        .find(|(net, _)| net.contains(&address))
        .map_or(AddressKind::Public, |(_, kind)| *kind)
}

fn classify_v6(address: Ipv6Addr) -> AddressKind {
    if METADATA_V6.contains(&address) {
        return AddressKind::Metadata;
    }
    if address.is_unspecified() {
        return AddressKind::Unspecified;
    }
    if address.is_loopback() {
        return AddressKind::Loopback;
    }
    if let Some((_, kind)) = SPECIAL_V6.iter().find(|(net, _)| net.contains(&address)) {
        return *kind;
    }
    match carried_v4(address) {
        Some(carried) if classify_v4(carried) != AddressKind::Public => classify_v4(carried),
        _ if GLOBAL_UNICAST.contains(&address) || NAT64.contains(&address) => AddressKind::Public,
        _ => AddressKind::Reserved,
    }
}

/// The IPv4 address inside an IPv6 address of a transition mechanism.
fn carried_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    let last = join(segments[6], segments[7]);
    let isatap = matches!(segments[4], 0 | 0x200) && segments[5] == 0x5efe;
    if SIX_TO_FOUR.contains(&address) {
        return Some(join(segments[1], segments[2]));
    }
    let compatible = segments[..6].iter().all(|s| *s == 0);
    (compatible || isatap || NAT64.contains(&address)).then_some(last)
}

#[cfg(test)]
mod tests {
    use AddressKind::*;

    use super::*;

    #[test]
    fn every_special_address_has_its_kind() {
        for (address, kind) in [
            ("1.1.1.1", Public),
            ("0.0.0.0", Unspecified),
            ("0.1.2.3", Unspecified),
            ("10.0.0.1", Private),
            ("100.64.0.1", Shared),
            ("100.128.0.1", Public),
            ("127.0.0.1", Loopback),
            ("127.255.255.254", Loopback),
            ("169.254.1.1", LinkLocal),
            ("169.254.169.254", Metadata),
            ("169.254.170.2", Metadata),
            ("100.100.100.200", Metadata),
            ("168.63.129.16", Metadata),
            ("172.15.255.255", Public),
            ("172.16.0.1", Private),
            ("172.32.0.1", Public),
            ("192.0.0.1", Reserved),
            ("192.0.2.1", Documentation),
            ("192.88.99.1", Reserved),
            ("192.168.255.255", Private),
            ("198.17.255.255", Public),
            ("198.19.0.1", Benchmark),
            ("198.51.100.1", Documentation),
            ("203.0.113.1", Documentation),
            ("224.0.0.1", Multicast),
            ("239.255.255.255", Multicast),
            ("240.0.0.1", Reserved),
            ("255.255.255.255", Reserved),
            ("2606:4700:4700::1111", Public),
            ("::", Unspecified),
            ("::1", Loopback),
            ("fe80::1", LinkLocal),
            ("fec0::1", Private),
            ("fc00::1", Private),
            ("fd12:3456::1", Private),
            ("fd00:ec2::254", Metadata),
            ("ff02::1", Multicast),
            ("2001:db8::1", Documentation),
            ("3fff::1", Documentation),
            ("2001:2::1", Benchmark),
            ("2001::1", Reserved),
            ("100::1", Reserved),
            ("4000::1", Reserved),
            ("::ffff:10.0.0.1", Private),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:169.254.169.254", Metadata),
            ("::ffff:1.1.1.1", Public),
            ("::10.0.0.1", Private),
            ("::1.1.1.1", Reserved),
            ("64:ff9b::10.0.0.1", Private),
            ("64:ff9b::169.254.169.254", Metadata),
            ("64:ff9b::1.1.1.1", Public),
            ("64:ff9b:1::1", Reserved),
            ("2002:7f00:1::1", Loopback),
            ("2002:a9fe:a9fe::1", Metadata),
            ("2002:101:101::1", Public),
            ("2606:4700::5efe:10.0.0.1", Private),
            ("2606:4700::200:5efe:127.0.0.1", Loopback),
            ("::ffff:0:10.0.0.1", Reserved),
        ] {
            assert_eq!(classify(address.parse().unwrap()), kind, "{address}");
        }
    }
}
