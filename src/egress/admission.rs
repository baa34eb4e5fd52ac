//! Which addresses may be dialled: the default policy, the rules on top of it, and what nobody may
//! reach.

use std::fmt;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::egress::address::{AddressKind, canonical, classify, is_metadata_host};
use crate::egress::rule::AllowRule;

/// Something of Causeway's own that nobody may reach through it, whatever is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protected {
    /// A listener; an unspecified address stands for every address of this machine.
    Listener(SocketAddr),
    /// A database or another back end, by the name or address it is configured with, and by whatever
    /// addresses that has. One on this machine is refused on every address of it.
    Host { host: String, port: u16 },
    /// Where clients find Causeway, by this name only: behind one address of a proxy there may be
    /// other APIs, and Causeway itself answers to no other name.
    Site { host: String, port: u16 },
}

/// Why a destination was refused, and what would allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// As the URL says it.
    pub host: String,
    pub address: IpAddr,
    pub port: u16,
    pub reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The default policy refuses this kind of address.
    Kind(AddressKind),
    /// Causeway's own listener, public address or database. No rule allows it.
    Own,
}

impl Refusal {
    /// The rule that would let it through, if one can.
    pub fn rule(&self) -> Option<String> {
        let target = SocketAddr::new(self.address, self.port);
        match (self.reason, self.address) {
            (Reason::Own, _) => None,
            (Reason::Kind(AddressKind::Metadata), IpAddr::V4(ip)) => {
                Some(format!("{ip}/32:{}", self.port))
            }
            (Reason::Kind(AddressKind::Metadata), IpAddr::V6(ip)) => {
                Some(format!("[{ip}/128]:{}", self.port))
            }
            (Reason::Kind(_), _) => Some(target.to_string()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = SocketAddr::new(self.address, self.port);
        write!(f, "the connection to {target}")?;
        if self.host.parse() != Ok(self.address) {
            write!(f, " (an address of {})", self.host)?;
        }
        let (Reason::Kind(kind), Some(rule)) = (self.reason, self.rule()) else {
            return f.write_str(
                " was refused: it is one of Causeway's own listeners, addresses or databases, \
                 which no setting allows",
            );
        };
        write!(
            f,
            " was refused: it is {kind}. The operator can allow it with the server setting \
             allowUpstream: [\"{rule}\"], or for all servers with --allow-upstream {rule}"
        )
    }
}

/// Judges the addresses of a host, and gives back those that may be dialled. Some of several may be
/// refused; only if none is left, the destination is.
///
/// `own` are the addresses of Causeway's own back ends that listen at this port.
///
/// # Errors
/// The refusal of the first address.
pub(crate) fn admit(
    rules: &[AllowRule],
    protected: &[Protected],
    own: &[IpAddr],
    destination: (&str, u16),
    addresses: &[IpAddr],
) -> Result<Vec<SocketAddr>, Refusal> {
    let (host, port) = destination;
    let named = rules.iter().any(|rule| rule.admits_host(host, port));
    let mut admitted = Vec::with_capacity(addresses.len());
    let mut refused = None;
    for address in addresses.iter().copied().map(canonical) {
        let kind = if is_metadata_host(host) {
            AddressKind::Metadata
        } else {
            classify(address)
        };
        let allowed = match kind {
            AddressKind::Public => true,
            // Clouds answer with credentials on more link-local addresses than any list has.
            AddressKind::Metadata | AddressKind::LinkLocal => {
                rules.iter().any(|r| r.admits_exactly(address, port))
            }
            _ => named || rules.iter().any(|r| r.admits_address(address, port)),
        };
        let reason = if is_back_end(own, address) || is_own(protected, host, address, port) {
            Reason::Own
        } else if allowed {
            admitted.push(SocketAddr::new(address, port));
            continue;
        } else {
            Reason::Kind(kind)
        };
        refused.get_or_insert(Refusal {
            host: host.to_owned(),
            address,
            port,
            reason,
        });
    }
    match refused {
        Some(refusal) if admitted.is_empty() => Err(refusal),
        _ => Ok(admitted),
    }
}

/// Whether a host is refused by its name, for want of its addresses: what is Causeway's own, what
/// names the machine itself and no rule allows, and metadata services, which are allowed by address
/// only.
pub(crate) fn is_refused_name(
    rules: &[AllowRule],
    protected: &[Protected],
    (host, port): (&str, u16),
) -> bool {
    let own = |own: &Protected| match own {
        Protected::Listener(_) => false,
        Protected::Host { host: own, port: p } | Protected::Site { host: own, port: p } => {
            *p == port && host_name(own) == host
        }
    };
    let local = host == "localhost" || host.ends_with(".localhost");
    let named = || rules.iter().any(|rule| rule.admits_host(host, port));
    protected.iter().any(own) || is_metadata_host(host) || (local && !named())
}

/// Whether an address leads to one of our back ends.
fn is_back_end(own: &[IpAddr], address: IpAddr) -> bool {
    own.contains(&address)
        || (own.iter().any(|own| is_of_this_machine(*own)) && is_of_this_machine(address))
}

fn is_own(protected: &[Protected], host: &str, address: IpAddr, port: u16) -> bool {
    protected.iter().any(|own| match own {
        Protected::Listener(listener) if listener.port() != port => false,
        Protected::Listener(listener) => {
            let ip = canonical(listener.ip());
            // A connection to the unspecified address reaches this machine.
            ip == address
                || address.is_unspecified()
                || (ip.is_unspecified() && is_of_this_machine(address))
        }
        Protected::Host { host: own, port: p } | Protected::Site { host: own, port: p } => {
            let own = host_name(own);
            let same_address = own.parse().map(canonical) == Ok(address);
            *p == port && (own == host_name(host) || same_address)
        }
    })
}

/// Whether an address is one of this machine's. Only a local address can be bound; this needs no
/// list of interfaces, and is always current.
fn is_of_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified() || UdpSocket::bind((address, 0)).is_ok()
}

/// A host as rules and resolvers know it: lower case, no brackets, no trailing dot.
pub(crate) fn host_name(host: &str) -> String {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .trim_end_matches('.')
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(
        rules: &[&str],
        protected: &[Protected],
        destination: (&str, u16),
        address: &str,
    ) -> Result<Vec<SocketAddr>, Refusal> {
        let rules: Vec<AllowRule> = rules.iter().map(|r| r.parse().unwrap()).collect();
        admit(
            &rules,
            protected,
            &[],
            destination,
            &[address.parse().unwrap()],
        )
    }

    #[test]
    fn rules_widen_the_policy_but_never_to_metadata_by_name_or_network() {
        let open =
            |rules: &[&str], destination, address| judge(rules, &[], destination, address).is_ok();
        assert!(open(&[], ("api.example", 443), "1.1.1.1"));
        assert!(!open(&[], ("api.example", 443), "10.0.0.5"));
        assert!(open(&["10.0.0.0/8"], ("api.example", 443), "10.0.0.5"));
        assert!(open(&["10.0.0.0/8"], ("::", 443), "::ffff:10.0.0.5"));
        assert!(!open(&["10.0.0.0/8:80"], ("api.example", 443), "10.0.0.5"));
        // Link-local ones hold metadata services that no list knows.
        assert!(!open(&[], ("x", 80), "169.254.42.42"));
        assert!(!open(&["169.254.0.0/16"], ("x", 80), "169.254.42.42"));
        assert!(!open(&["169.254.42.42/31"], ("x", 80), "169.254.42.42"));
        assert!(!open(
            &["0.0.0.0/0", "::/0"],
            ("x", 80),
            "::ffff:169.254.42.42"
        ));
        assert!(!open(
            &["api.example"],
            ("api.example", 80),
            "169.254.42.42"
        ));
        assert!(!open(&["169.254.42.42:81"], ("x", 80), "169.254.42.42"));
        assert!(open(&["169.254.42.42:80"], ("x", 80), "169.254.42.42"));
        assert!(!open(&["fe80::/10"], ("x", 80), "fe80::1"));
        assert!(open(&["api.example:443"], ("api.example", 443), "10.0.0.5"));
        assert!(!open(&["api.example:80"], ("api.example", 443), "10.0.0.5"));
        assert!(!open(
            &["api.example"],
            ("api.example", 80),
            "169.254.169.254"
        ));
        assert!(!open(&["169.254.0.0/16"], ("x", 80), "169.254.169.254"));
        assert!(!open(&["0.0.0.0/0"], ("x", 80), "169.254.169.254"));
        assert!(open(&["169.254.169.254/32"], ("x", 80), "169.254.169.254"));
        assert!(open(
            &["[fd00:ec2::254/128]:80"],
            ("x", 80),
            "fd00:ec2::254"
        ));
        let google = "metadata.google.internal";
        assert!(!open(&[], (google, 80), "1.1.1.1"));
        assert!(!open(&[google, "1.0.0.0/8"], (google, 80), "1.1.1.1"));
        assert!(open(&["1.1.1.1/32:80"], (google, 80), "1.1.1.1"));
    }

    #[test]
    fn no_rule_opens_causeways_own_doors() {
        let everything = ["0.0.0.0/0", "::/0", "db.internal", "169.254.169.254/32"];
        let listener = |text: &str| [Protected::Listener(text.parse().unwrap())];
        let refused = |protected: &[Protected], destination, address| match judge(
            &everything,
            protected,
            destination,
            address,
        ) {
            Ok(_) => false,
            Err(refusal) => {
                assert_eq!(refusal.reason, Reason::Own);
                assert!(refusal.to_string().contains("no setting allows"));
                true
            }
        };
        assert!(refused(
            &listener("127.0.0.1:8080"),
            ("localhost", 8080),
            "127.0.0.1"
        ));
        assert!(refused(
            &listener("127.0.0.1:8080"),
            ("x", 8080),
            "::ffff:127.0.0.1"
        ));
        assert!(refused(&listener("127.0.0.1:8080"), ("x", 8080), "0.0.0.0"));
        assert!(refused(&listener("0.0.0.0:8080"), ("x", 8080), "127.0.0.9"));
        assert!(refused(&listener("[::]:8080"), ("x", 8080), "127.0.0.1"));
        assert!(refused(&listener("[::]:8080"), ("x", 8080), "::1"));
        assert!(!refused(
            &listener("0.0.0.0:8080"),
            ("x", 8081),
            "127.0.0.1"
        ));
        assert!(!refused(&listener("0.0.0.0:8080"), ("x", 8080), "1.1.1.1"));
        assert!(!refused(
            &listener("127.0.0.1:8080"),
            ("x", 8080),
            "127.0.0.2"
        ));
        let database = [Protected::Host {
            host: "db.internal".into(),
            port: 5432,
        }];
        assert!(refused(&database, ("DB.internal", 5432), "10.0.0.9"));
        assert!(refused(&database, ("db.internal.", 5432), "10.0.0.9"));
        assert!(!refused(&database, ("db.internal", 80), "10.0.0.9"));
    }

    #[test]
    fn a_back_end_is_known_by_its_address_and_the_public_site_by_its_name() {
        let everything = ["0.0.0.0/0", "::/0"];
        let refused = |protected: &[Protected], destination, address| {
            let judged = judge(&everything, protected, destination, address);
            judged.is_err_and(|refusal| refusal.reason == Reason::Own)
        };
        let bracketed = [Protected::Host {
            host: "[::ffff:10.0.0.9]".into(),
            port: 5432,
        }];
        assert!(refused(&bracketed, ("x", 5432), "10.0.0.9"));
        let site = |host: &str| {
            [Protected::Site {
                host: host.into(),
                port: 443,
            }]
        };
        assert!(refused(
            &site("mcp.example.com"),
            ("mcp.example.com", 443),
            "1.1.1.1"
        ));
        assert!(refused(&site("[2606::1]"), ("x", 443), "2606::1"));
        // Another name behind the same proxy is another API.
        assert!(!refused(
            &site("mcp.example.com"),
            ("api.example.com", 443),
            "1.1.1.1"
        ));
        assert!(!refused(
            &site("mcp.example.com"),
            ("mcp.example.com", 80),
            "1.1.1.1"
        ));
    }

    #[test]
    fn a_database_on_this_machine_is_refused_on_every_address_of_it() {
        let mut local = vec![
            "127.0.0.1",
            "127.0.0.2",
            "0.0.0.0",
            "::1",
            "::",
            "::ffff:127.0.0.1",
        ];
        // The address this machine has on its network, if it has one. Nothing is sent.
        let lan = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
            socket.connect("192.0.2.1:9")?;
            socket.local_addr()
        });
        let lan = lan
            .map(|address| address.ip().to_string())
            .unwrap_or_default();
        if !lan.is_empty() {
            local.push(&lan);
        }
        let everything: Vec<AllowRule> = ["0.0.0.0/0", "::/0"].map(|r| r.parse().unwrap()).into();
        let refused = |own: &str, address: &str| {
            let (own, address) = ([own.parse().unwrap()], address.parse().unwrap());
            let judged = admit(&everything, &[], &own, ("x", 5432), &[address]);
            judged.is_err_and(|refusal| refusal.reason == Reason::Own)
        };
        for own in &local {
            for address in &local {
                assert!(
                    refused(own, address),
                    "a database on {own} is reached on {address}"
                );
            }
            assert!(!refused(own, "10.255.255.254"), "{own}");
        }
        assert!(refused("10.255.255.254", "10.255.255.254"));
        assert!(!refused("10.255.255.254", "127.0.0.1"));
    }

    #[test]
    fn of_several_addresses_only_the_admitted_are_dialled() {
        let addresses = ["10.0.0.1", "1.1.1.1", "::1"].map(|a| a.parse().unwrap());
        let admitted = admit(&[], &[], &[], ("mixed.example", 80), &addresses).unwrap();
        assert_eq!(admitted, ["1.1.1.1:80".parse().unwrap()]);
    }

    #[test]
    fn a_refusal_names_the_address_and_the_setting() {
        let text = |destination, address| {
            judge(&[], &[], destination, address)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            text(("api.internal", 8080), "10.0.0.5"),
            "the connection to 10.0.0.5:8080 (an address of api.internal) was refused: it is a \
             private address. The operator can allow it with the server setting allowUpstream: \
             [\"10.0.0.5:8080\"], or for all servers with --allow-upstream 10.0.0.5:8080"
        );
        let metadata = text(("169.254.169.254", 80), "169.254.169.254");
        assert!(
            metadata.contains("--allow-upstream 169.254.169.254/32:80"),
            "{metadata}"
        );
        for rule in ["169.254.169.254/32:80", "[fd00:ec2::254/128]:80"] {
            assert!(rule.parse::<AllowRule>().is_ok());
        }
    }
}
