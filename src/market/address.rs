//! What this process is called in the links it gives.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use http::header::HOST;
use url::{Host, Url};

use crate::types::Slug;

/// Where clients reach this process. No text of it ends with a slash.
#[derive(Clone, Debug)]
pub enum Address {
    /// The operator said it.
    Public(String),
    /// Nobody said it: whoever asks names it in `Host`, which the host policy has judged; where
    /// nobody asks, it is the listener as this machine reaches it.
    Listener(String),
}

impl Address {
    pub fn new(public: Option<&Url>, (listener, tls): (SocketAddr, bool)) -> Self {
        if let Some(url) = public {
            return Self::Public(url.as_str().trim_end_matches('/').to_owned());
        }
        let mut near = listener;
        if near.ip().is_unspecified() {
            near.set_ip(match near {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let scheme = if tls { "https" } else { "http" };
        Self::Listener(format!("{scheme}://{near}"))
    }

    /// For what is said to nobody in particular.
    pub fn at_start(&self) -> &str {
        match self {
            Self::Public(url) | Self::Listener(url) => url,
        }
    }

    /// For the answer to a request with these headers.
    pub fn asked_by(&self, headers: &HeaderMap) -> String {
        let Self::Listener(near) = self else {
            return self.at_start().to_owned();
        };
        let host = headers.get(HOST).and_then(|value| value.to_str().ok());
        let scheme = if self.is_https() { "https" } else { "http" };
        let named = host.and_then(|host| Url::parse(&format!("{scheme}://{host}/")).ok());
        named
            .filter(|url| url.path() == "/" && url.username().is_empty() && url.query().is_none())
            .map_or_else(|| near.clone(), |url| url.origin().ascii_serialization())
    }

    /// Where a server speaks MCP, for the answer to a request with these headers.
    pub fn mcp_url(&self, headers: &HeaderMap, slug: &Slug) -> String {
        format!("{}/mcp/{slug}", self.asked_by(headers))
    }

    /// The path of the public URL, which stands before every path of ours: empty, or beginning with a
    /// slash.
    pub fn prefix(&self) -> &str {
        let text = self.at_start();
        let after_scheme = text.find("://").map_or(0, |at| at + 3);
        text[after_scheme..]
            .find('/')
            .map_or("", |at| &text[after_scheme + at..])
    }

    /// A path of a browser's address, as our routes know it.
    pub fn inner<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(self.prefix()).unwrap_or(path)
    }

    /// Whether what people send us can be read on a network: it goes to another machine in the clear.
    pub fn is_exposed(&self) -> bool {
        let url = Url::parse(self.at_start()).ok();
        let url = url.filter(|url| url.scheme() == "http");
        url.is_some_and(|url| match url.host() {
            Some(Host::Domain(name)) => name != "localhost" && !name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => !address.is_loopback(),
            Some(Host::Ipv6(address)) => !address.to_canonical().is_loopback(),
            None => false,
        })
    }

    pub fn is_https(&self) -> bool {
        self.at_start().starts_with("https://")
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_goes_to_another_machine_in_the_clear_is_exposed() {
        let listener = (SocketAddr::from(([0, 0, 0, 0], 8080)), false);
        for (public, exposed) in [
            (None, false),
            (Some("http://localhost:8080"), false),
            (Some("http://tools.localhost/x"), false),
            (Some("http://127.0.0.3/tools"), false),
            (Some("http://[::1]:8080"), false),
            (Some("https://tools.lan"), false),
            (Some("http://tools.lan:8080"), true),
            (Some("http://10.0.0.5"), true),
            (Some("http://[fd00::1]/x"), true),
        ] {
            let url = public.map(|text| text.parse::<Url>().unwrap());
            let address = Address::new(url.as_ref(), listener);
            assert_eq!(address.is_exposed(), exposed, "{public:?}");
        }
    }

    #[test]
    fn links_lead_to_where_the_request_went_unless_it_was_said() {
        let everywhere = "0.0.0.0:8080".parse().unwrap();
        let unsaid = Address::new(None, (everywhere, false));
        assert_eq!(unsaid.at_start(), "http://127.0.0.1:8080");
        let six = Address::new(None, ("[::]:80".parse().unwrap(), false));
        assert_eq!(six.at_start(), "http://[::1]:80");
        let public = Url::parse("https://mcp.example.com/").unwrap();
        let said = Address::new(Some(&public), (everywhere, false));
        for (host, expected) in [
            ("box.local:8080", "http://box.local:8080"),
            ("192.168.1.5:8080", "http://192.168.1.5:8080"),
            ("[::1]:8080", "http://[::1]:8080"),
            ("not a host", "http://127.0.0.1:8080"),
            ("a@box.local", "http://127.0.0.1:8080"),
            ("box.local/path", "http://127.0.0.1:8080"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            assert_eq!(unsaid.asked_by(&headers), expected, "{host}");
            assert_eq!(said.asked_by(&headers), "https://mcp.example.com");
        }
        assert_eq!(unsaid.asked_by(&HeaderMap::new()), unsaid.at_start());
    }
}
