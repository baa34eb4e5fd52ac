//! Which headers pass between a caller and a provider: all but those that are about the connection, about who asks, or
//! about whose account it is.

use http::header::{
    ACCEPT_ENCODING, ALT_SVC, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, COOKIE, EXPECT, HOST,
    ORIGIN, REFERER, SET_COOKIE, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::credential::mask::Mask;
use crate::llm::exchange::own_headers;
use crate::llm::provider::{Auth, Provider};

/// About the connection (RFC 9110 section 7.6.1).
const OF_CONNECTION: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Who asks, and on whose account: the provider is told of ours only.
const OF_CALLER: [&str; 16] = [
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-goog-user-project",
    "openai-organization",
    "openai-project",
    "forwarded",
    "via",
    "x-real-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "traceparent",
    "tracestate",
    "baggage",
    "x-csrf-token",
];
const PREFIXES: [&str; 4] = ["x-forwarded-", "x-causeway-", "x-amz-", "sec-"];
/// What a caller says of the protocol it speaks, which a provider's own headers do not replace.
const OF_PROTOCOL: [&str; 3] = ["anthropic-beta", "anthropic-version", "openai-beta"];
/// What an answer says of the provider's connections and of its own pages.
const OF_ANSWER: [HeaderName; 6] = [
    SET_COOKIE,
    ALT_SVC,
    STRICT_TRANSPORT_SECURITY,
    WWW_AUTHENTICATE,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
];

/// The names a `Connection` header adds to those that are about the connection.
fn named(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(CONNECTION).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let names = texts.flat_map(|text| text.split(','));
    names.map(|name| name.trim().to_ascii_lowercase()).collect()
}

/// What a provider is told, without its credential.
pub(super) fn outgoing(caller: &HeaderMap, provider: &Provider) -> HeaderMap {
    let named = named(caller);
    let auth = match &provider.auth {
        Auth::Header(name) => name.to_ascii_lowercase(),
        _ => String::new(),
    };
    let others = [
        HOST,
        CONTENT_LENGTH,
        COOKIE,
        EXPECT,
        ORIGIN,
        REFERER,
        ACCEPT_ENCODING,
    ];
    let passes = |name: &HeaderName| {
        let text = name.as_str();
        !OF_CONNECTION.contains(&text)
            && !OF_CALLER.contains(&text)
            && !others.contains(name)
            && !PREFIXES.iter().any(|prefix| text.starts_with(prefix))
            && !named.iter().any(|known| known == text)
            && text != auth
    };
    let mut headers = HeaderMap::new();
    for (name, value) in caller {
        if passes(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    for (name, value) in own_headers(provider) {
        let Some(name) = name else { continue };
        let is_kept = OF_PROTOCOL.contains(&name.as_str()) && headers.contains_key(&name);
        if !is_kept {
            headers.insert(name, value);
        }
    }
    headers
}

/// What a caller is told, without the key that the provider may have repeated.
pub(super) fn incoming(provider: &HeaderMap, mask: &Mask) -> HeaderMap {
    let named = named(provider);
    let passes = |name: &HeaderName| {
        let text = name.as_str();
        !OF_CONNECTION.contains(&text)
            && !OF_ANSWER.contains(name)
            && !text.starts_with("access-control-")
            && !text.starts_with("x-causeway-")
            && text != "content-security-policy"
            && !named.iter().any(|known| known == text)
    };
    let mut headers = HeaderMap::new();
    for (name, value) in provider {
        if !passes(name) {
            continue;
        }
        let Ok(text) = value.to_str() else { continue };
        let Ok(value) = HeaderValue::from_str(&mask.text(text)) else {
            continue;
        };
        headers.append(name.clone(), value);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::provider::find;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        pairs.collect()
    }

    #[test]
    fn nothing_of_the_caller_goes_to_a_provider_but_what_it_asks() {
        let caller = headers(&[
            ("authorization", "Bearer cw_1"),
            ("x-api-key", "cw_1"),
            ("api-key", "cw_1"),
            ("cookie", "a=b"),
            ("connection", "close, x-private"),
            ("x-private", "1"),
            ("transfer-encoding", "chunked"),
            ("host", "causeway.example"),
            ("x-forwarded-for", "10.0.0.1"),
            ("openai-organization", "org-other"),
            ("x-amz-security-token", "t"),
            ("x-causeway-provider", "p"),
            ("content-type", "application/json"),
            ("anthropic-version", "2099-01-01"),
            ("x-custom", "kept"),
        ]);
        let sent = outgoing(&caller, find("anthropic").unwrap());
        let mut names: Vec<&str> = sent.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "accept-encoding",
                "anthropic-version",
                "content-type",
                "x-custom"
            ]
        );
        assert_eq!(sent["anthropic-version"], "2099-01-01");
        let sent = outgoing(&HeaderMap::new(), find("anthropic").unwrap());
        assert_eq!(sent["anthropic-version"], "2023-06-01");
    }

    #[test]
    fn an_answer_says_nothing_of_its_connection_and_no_key() {
        let mask = Mask::of_values(vec!["sk-secret".to_owned()]);
        let said = incoming(
            &headers(&[
                ("set-cookie", "a=b"),
                ("connection", "keep-alive"),
                ("content-length", "7"),
                ("location", "https://p.example/?key=sk-secret"),
                ("access-control-allow-origin", "*"),
                ("x-ratelimit-remaining", "7"),
            ]),
            &mask,
        );
        assert_eq!(said.len(), 2, "{said:?}");
        assert_eq!(said["location"], "https://p.example/?key=[masked]");
    }
}
