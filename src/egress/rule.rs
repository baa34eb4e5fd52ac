//! What an operator allows beyond the default policy: `CIDR-or-host[:port]`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// A destination allowed in spite of the default policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AllowRule {
    destination: Destination,
    /// `None`: every port.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Destination {
    Network(IpNet),
    /// Lower case, without a trailing dot: whatever addresses the name has, except metadata.
    Host(String),
}

/// Why a text is not a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{text}\" is not an allowed destination: write an address, a network or a host name, with a \
     port if only that one is meant (10.0.0.5, 10.0.0.0/8:8080, [fd00::1]:443, api.internal:8080)"
)]
pub struct AllowRuleError {
    text: String,
}

impl AllowRule {
    /// Whether the rule names this host and port.
    pub fn admits_host(&self, host: &str, port: u16) -> bool {
        self.port.is_none_or(|p| p == port)
            && matches!(&self.destination, Destination::Host(name) if name == host)
    }

    /// Whether a network of the rule holds this address, at this port.
    pub fn admits_address(&self, address: IpAddr, port: u16) -> bool {
        self.port.is_none_or(|p| p == port)
            && matches!(&self.destination, Destination::Network(net) if net.contains(&address))
    }

    /// Whether the rule is for exactly this address: the only form that admits metadata services.
    pub fn admits_exactly(&self, address: IpAddr, port: u16) -> bool {
        let exact = |net: &IpNet| net.prefix_len() == net.max_prefix_len();
        self.admits_address(address, port)
            && matches!(&self.destination, Destination::Network(net) if exact(net))
    }
}

impl FromStr for AllowRule {
    type Err = AllowRuleError;

    fn from_str(text: &str) -> Result<Self, AllowRuleError> {
        parse(text.trim()).ok_or_else(|| AllowRuleError {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for AllowRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = match (&self.destination, self.port) {
            (Destination::Network(IpNet::V6(_)), Some(_)) => ("[", "]"),
            _ => ("", ""),
        };
        match &self.destination {
            Destination::Network(net) if net.prefix_len() == net.max_prefix_len() => {
                write!(f, "{open}{}{close}", net.addr())?;
            }
            Destination::Network(net) => write!(f, "{open}{net}{close}")?,
            Destination::Host(host) => f.write_str(host)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

fn parse(text: &str) -> Option<AllowRule> {
    // Without brackets, colons belong to an IPv6 address.
    if let Some(net) = parse_network(text) {
        return Some(AllowRule {
            destination: Destination::Network(net),
            port: None,
        });
    }
    let (place, port) = split_port(text)?;
    let destination = match place.strip_prefix('[') {
        Some(inner) => Destination::Network(parse_network(inner.strip_suffix(']')?)?),
        None => match parse_network(place) {
            Some(net) => Destination::Network(net),
            None => Destination::Host(parse_host(place)?),
        },
    };
    Some(AllowRule { destination, port })
}

fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    match text.rsplit_once(':') {
        Some((place, port)) if !port.ends_with(']') => {
            let port = port.parse().ok().filter(|p| *p != 0)?;
            Some((place, Some(port)))
        }
        _ => Some((text, None)),
    }
}

fn parse_network(text: &str) -> Option<IpNet> {
    let net = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().ok()?,
    };
    Some(net.trunc())
}

/// A host name as URLs write it after normalization.
fn parse_host(text: &str) -> Option<String> {
    let host = text.trim_end_matches('.').to_ascii_lowercase();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    // A name whose last label is a number is an address in odd notation, never a host.
    let numeric = host
        .rsplit('.')
        .next()
        .is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    (!host.is_empty() && host.len() <= 253 && host.bytes().all(plain) && !numeric).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> AllowRule {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn rules_are_networks_or_hosts_with_an_optional_port() {
        for (text, shown) in [
            ("10.0.0.5", "10.0.0.5"),
            ("10.0.0.5:8080", "10.0.0.5:8080"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.0.0.0/8:8080", "10.0.0.0/8:8080"),
            ("::1", "::1"),
            ("fd00::/8", "fd00::/8"),
            ("[::1]", "::1"),
            ("[::1]:80", "[::1]:80"),
            ("[fd00::/8]:443", "[fd00::/8]:443"),
            ("API.internal.", "api.internal"),
            (" localhost:9000 ", "localhost:9000"),
        ] {
            assert_eq!(rule(text).to_string(), shown, "{text}");
            assert_eq!(rule(shown), rule(text));
        }
    }

    #[test]
    fn anything_else_is_refused_with_examples() {
        for text in [
            "",
            "http://a",
            "a:0",
            "a:x",
            "a:99999",
            "10.0.0.0/33",
            "*",
            "*.internal",
            "a b",
            "10.0.0",
            "127.1",
            "1",
            "[::1",
            "[::1]x",
            "[host]:80",
            "a/8",
            "::1/200",
        ] {
            let error = text.parse::<AllowRule>().unwrap_err().to_string();
            assert!(error.contains("10.0.0.0/8:8080"), "{text}: {error}");
        }
    }

    #[test]
    fn a_rule_admits_what_it_names_and_nothing_else() {
        assert!(rule("10.0.0.0/8").admits_address(ip("10.9.9.9"), 1));
        assert!(!rule("10.0.0.0/8").admits_address(ip("11.0.0.1"), 1));
        assert!(rule("10.0.0.0/8:80").admits_address(ip("10.9.9.9"), 80));
        assert!(!rule("10.0.0.0/8:80").admits_address(ip("10.9.9.9"), 81));
        assert!(!rule("10.0.0.0/8").admits_host("10.0.0.1", 80));
        assert!(rule("api.internal:80").admits_host("api.internal", 80));
        assert!(!rule("api.internal:80").admits_host("api.internal", 81));
        assert!(!rule("api.internal").admits_host("x.api.internal", 80));
        assert!(rule("169.254.169.254/32").admits_exactly(ip("169.254.169.254"), 80));
        assert!(!rule("169.254.169.254/31").admits_exactly(ip("169.254.169.254"), 80));
        assert!(!rule("169.254.0.0/16").admits_exactly(ip("169.254.169.254"), 80));
    }
}
