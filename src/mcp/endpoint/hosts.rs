//! Which `Host` and `Origin` a request may carry: the defence against DNS rebinding and against web
//! pages that call local servers (MCP 2025-11-25, transports, "Security Warning").

use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use url::{Host, Url};

/// What a listener accepts.
#[derive(Clone, Debug)]
pub enum HostPolicy {
    /// The listener is on loopback: its loopback names, and the public URL if there is one.
    Loopback { public: Option<Url> },
    /// The listener is reachable, and what it is called is known.
    Public { public: Url },
    /// The listener is reachable, and what it is called is not known: any `Host`, but an `Origin`
    /// has to be the same.
    SameOrigin,
}

/// Why a request was turned away. Names the setting that would let it in.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HostError {
    #[error(
        "the Host header \"{0}\" is not one of this server; if it is, start it with --public-url"
    )]
    Host(String),
    #[error("the Origin \"{0}\" may not call this server; if it may, start it with --public-url")]
    Origin(String),
}

impl HostPolicy {
    /// Judges the headers of a request. No `Origin` is fine: only browsers send one.
    pub fn admit(&self, headers: &HeaderMap, authority: Option<&str>) -> Result<(), HostError> {
        let text = |name| {
            headers
                .get(name)
                .map(|v: &http::HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned())
        };
        let host = text(HOST)
            .or_else(|| authority.map(str::to_owned))
            .unwrap_or_default();
        let named = match self {
            Self::Loopback { public } => {
                is_loopback(&host) || public.as_ref().is_some_and(|url| is(&host, url))
            }
            Self::Public { public } => is(&host, public) || is_loopback(&host),
            Self::SameOrigin => true,
        };
        if !named {
            return Err(HostError::Host(shown(&host)));
        }
        let Some(origin) = text(ORIGIN) else {
            return Ok(());
        };
        let from = Url::parse(&origin).ok().filter(Url::has_host);
        let allowed = match (self, &from) {
            (_, Some(from)) if is(&host, from) => true,
            (Self::Loopback { public }, Some(from)) => {
                from.host().is_some_and(|host| is_loopback_host(&host))
                    || public
                        .as_ref()
                        .is_some_and(|url| from.origin() == url.origin())
            }
            (Self::Public { public }, Some(from)) => from.origin() == public.origin(),
            (_, None) | (Self::SameOrigin, Some(_)) => false,
        };
        if allowed {
            Ok(())
        } else {
            Err(HostError::Origin(shown(&origin)))
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

/// Whether a `Host` header names the authority of `url`. A port that is not stated is the one of the
/// URL's scheme (RFC 9110, section 7.2).
fn is(host: &str, url: &Url) -> bool {
    let named = Url::parse(&format!("{}://{host}/", url.scheme())).ok();
    named.is_some_and(|named| {
        named.host() == url.host()
            && named.port_or_known_default() == url.port_or_known_default()
            && named.username().is_empty()
            && named.path() == "/"
    })
}

/// `localhost` and the loopback addresses, with any port.
fn is_loopback(host: &str) -> bool {
    // What nearly every request says needs no parser.
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    if matches!(name, "localhost" | "127.0.0.1" | "[::1]") {
        return true;
    }
    let url = Url::parse(&format!("http://{host}/")).ok();
    url.as_ref()
        .and_then(Url::host)
        .is_some_and(|host| is_loopback_host(&host))
}

fn is_loopback_host(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn judge(policy: &HostPolicy, host: &'static str, origin: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static(host));
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        policy.admit(&headers, None).is_ok()
    }

    #[test]
    fn a_loopback_listener_answers_to_loopback_names_only() {
        let policy = HostPolicy::Loopback { public: None };
        assert!(judge(&policy, "localhost:8080", None));
        assert!(judge(
            &policy,
            "127.0.0.1:8080",
            Some("http://localhost:3000")
        ));
        assert!(judge(&policy, "[::1]:8080", None));
        assert!(!judge(&policy, "evil.example", None));
        assert!(!judge(&policy, "localhost.evil.example", None));
        assert!(!judge(
            &policy,
            "localhost:8080",
            Some("http://evil.example")
        ));
        assert!(!judge(&policy, "localhost:8080", Some("null")));
    }

    #[test]
    fn a_public_listener_answers_to_its_name() {
        let policy = HostPolicy::Public {
            public: Url::parse("https://mcp.example.com").unwrap(),
        };
        assert!(judge(
            &policy,
            "mcp.example.com",
            Some("https://mcp.example.com")
        ));
        assert!(!judge(&policy, "other.example.com", None));
        assert!(!judge(
            &policy,
            "mcp.example.com",
            Some("https://evil.example")
        ));
    }

    #[test]
    fn the_default_port_is_the_one_of_the_scheme() {
        let policy = HostPolicy::Public {
            public: Url::parse("https://mcp.example.com").unwrap(),
        };
        assert!(judge(&policy, "mcp.example.com:443", None));
        assert!(judge(&policy, "MCP.example.com", None));
        assert!(!judge(&policy, "mcp.example.com:80", None));
        assert!(!judge(&policy, "mcp.example.com:8443", None));
        assert!(!judge(&policy, "user@mcp.example.com", None));
        assert!(!judge(&policy, "mcp.example.com/path", None));
        let cleartext = Some("http://mcp.example.com");
        assert!(!judge(&policy, "localhost", cleartext));
        let open = HostPolicy::SameOrigin;
        assert!(judge(&open, "a.example", Some("https://a.example")));
        assert!(judge(&open, "a.example:443", Some("https://a.example")));
        assert!(!judge(&open, "a.example:80", Some("https://a.example")));
    }

    #[test]
    fn a_nameless_listener_wants_the_same_origin() {
        let policy = HostPolicy::SameOrigin;
        assert!(judge(&policy, "anything.example:8080", None));
        assert!(judge(
            &policy,
            "a.example:8080",
            Some("http://a.example:8080")
        ));
        assert!(!judge(
            &policy,
            "a.example:8080",
            Some("http://b.example:8080")
        ));
    }
}
