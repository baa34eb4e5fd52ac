//! What lies between a connection and the routes: which client calls where proxies stand between, and
//! the path of the public URL, which the routes know nothing of.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::header::LOCATION;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use ipnet::IpNet;

/// How this process is reached.
#[derive(Clone, Debug, Default)]
pub struct Edge {
    /// The path before every path of ours: empty, or beginning with a slash and not ending with one.
    pub prefix: String,
    /// Proxies whose word on who calls is taken.
    pub trusted_proxies: Vec<IpNet>,
}

/// Proxies in a row; what more of them say is not read.
const HOPS_MAX: usize = 32;

impl Edge {
    /// Readies a request for the routes: its client is known, and its path is without the prefix. A
    /// proxy may have taken the prefix off already.
    pub fn receive<B>(&self, request: &mut Request<B>, peer: SocketAddr) {
        let client = self.client(request.headers(), peer);
        request.extensions_mut().insert(ConnectInfo(client));
        if let Some(uri) = self.within(request.uri()) {
            *request.uri_mut() = uri;
        }
    }

    /// Readies an answer for the client: an address of ours gets the prefix.
    pub fn send<B>(&self, response: &mut Response<B>) {
        if self.prefix.is_empty() {
            return;
        }
        let Some(location) = response.headers_mut().get_mut(LOCATION) else {
            return;
        };
        let inner = location.as_bytes();
        if inner.starts_with(b"/") && !inner.starts_with(b"//") {
            let outer = [self.prefix.as_bytes(), inner].concat();
            *location = HeaderValue::from_bytes(&outer).unwrap_or_else(|_| location.clone());
        }
    }

    /// Who calls: the last address of `X-Forwarded-For` that no trusted proxy has. Each proxy adds
    /// whom it heard from at the end, so that what stands before the first untrusted one may be
    /// anybody's invention.
    fn client(&self, headers: &HeaderMap, peer: SocketAddr) -> SocketAddr {
        if !self.trusts(peer.ip()) {
            return peer;
        }
        let values = headers.get_all("x-forwarded-for").iter();
        let named: Vec<&str> = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        let mut client = peer;
        for name in named.iter().rev().take(HOPS_MAX) {
            let Some(address) = address(name.trim()) else {
                break;
            };
            client = SocketAddr::new(address, 0);
            if !self.trusts(address) {
                break;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted_proxies
            .iter()
            .any(|net| net.contains(&address))
    }

    /// The address without the prefix, where it has it.
    fn within(&self, uri: &Uri) -> Option<Uri> {
        let rest = uri.path().strip_prefix(self.prefix.as_str())?;
        if self.prefix.is_empty() || !(rest.is_empty() || rest.starts_with('/')) {
            return None;
        }
        let path = if rest.is_empty() { "/" } else { rest };
        let path: PathAndQuery = match uri.query() {
            Some(query) => format!("{path}?{query}").parse().ok()?,
            None => path.parse().ok()?,
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).ok()
    }
}

/// An address as proxies write it: with or without a port, IPv6 in brackets or bare.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|it| it.split_once(']'));
    let text = bare.map_or(text, |(inner, _)| inner);
    let parsed = text.parse::<IpAddr>().ok();
    parsed
        .or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()))
        .map(|it| it.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge() -> Edge {
        Edge {
            prefix: "/tools".to_owned(),
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        }
    }

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
        edge().client(&headers, peer).ip().to_string()
    }

    #[test]
    fn only_trusted_proxies_say_who_calls() {
        assert_eq!(client("198.51.100.1", &["203.0.113.9"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("::ffff:10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("::1", &["[2001:db8::7]:99"]), "2001:db8::7");
        // A client that invents a chain is the last thing a trusted proxy has seen.
        assert_eq!(
            client("10.0.0.1", &["127.0.0.1, 203.0.113.9"]),
            "203.0.113.9"
        );
        assert_eq!(
            client("10.0.0.1", &["1.2.3.4", "203.0.113.9, 10.9.9.9"]),
            "203.0.113.9"
        );
        assert_eq!(client("10.0.0.1", &["1.2.3.4, unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["10.0.0.2,10.0.0.3"]), "10.0.0.2");
    }

    #[test]
    fn the_prefix_is_taken_off_and_put_back() {
        let path = |uri: &str| {
            let mut request = Request::builder().uri(uri).body(()).unwrap();
            edge().receive(&mut request, "192.0.2.1:1".parse().unwrap());
            request.uri().to_string()
        };
        assert_eq!(path("/tools/mcp/a?b=c"), "/mcp/a?b=c");
        assert_eq!(path("/tools"), "/");
        assert_eq!(path("/tools?q=1"), "/?q=1");
        assert_eq!(path("/toolshed"), "/toolshed");
        assert_eq!(path("/mcp/a"), "/mcp/a");
        assert_eq!(path("http://h.example/tools/x"), "http://h.example/x");
        let sent = |location: &str| {
            let mut response = Response::builder()
                .header(LOCATION, location)
                .body(())
                .unwrap();
            edge().send(&mut response);
            response.headers()[LOCATION].to_str().unwrap().to_owned()
        };
        assert_eq!(sent("/keys?done=revoked"), "/tools/keys?done=revoked");
        assert_eq!(
            sent("https://elsewhere.example/"),
            "https://elsewhere.example/"
        );
        assert_eq!(sent("//elsewhere.example/"), "//elsewhere.example/");
    }
}
