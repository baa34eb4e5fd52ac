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
        let origin_host = Url::parse(&origin).ok().and_then(|url| authority_of(&url));
        let allowed = match (self, &origin_host) {
            (_, Some(from)) if same_authority(from, &host) => true,
            (Self::Loopback { public }, Some(from)) => {
                is_loopback(from) || public.as_ref().is_some_and(|url| is(from, url))
            }
            (Self::Public { public }, Some(from)) => is(from, public),
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

fn authority_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(
        url.port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
    )
}

fn same_authority(a: &str, b: &str) -> bool {
    let plain = |text: &str| {
        text.trim_end_matches(":80")
            .trim_end_matches(":443")
            .to_ascii_lowercase()
    };
    plain(a) == plain(b)
}

fn is(host: &str, public: &Url) -> bool {
    authority_of(public).is_some_and(|authority| same_authority(host, &authority))
}

/// `localhost` and the loopback addresses, with any port.
fn is_loopback(host: &str) -> bool {
    match Url::parse(&format!("http://{host}/"))
        .ok()
        .as_ref()
        .and_then(Url::host)
    {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
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
