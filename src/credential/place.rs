//! Where each kind of scheme puts its secret in a request.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::credential::Secret;
use crate::credential::mask::MASKED;
use crate::openapi::{Location, SecurityScheme};
use crate::types::UpstreamRequest;

/// RFC 3986 section 2.3, unreserved.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Not a cookie-octet (RFC 6265 section 4.1.1), or the sign that something is encoded.
pub(crate) const COOKIE_VALUE: &AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b',')
    .add(b';')
    .add(b'\\');

/// Headers that frame the message. No scheme may write them.
const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A secret, ready to be written.
pub(crate) enum Placement {
    Header(HeaderName, HeaderValue),
    /// Name and value, encoded.
    Query(String, Zeroizing<String>),
    Cookie(String, Zeroizing<String>),
    /// Nowhere in the request: the connection it is sent on shows it.
    Connection,
}

/// A location as error messages call it.
pub(crate) fn word(location: Location) -> &'static str {
    match location {
        Location::Path => "path variable",
        Location::Query | Location::Querystring => "query parameter",
        Location::Header => "header",
        Location::Cookie => "cookie",
    }
}

impl Placement {
    /// Where this scheme wants this secret.
    ///
    /// # Errors
    /// Why that is impossible, for the owner.
    pub(crate) fn of(scheme: &SecurityScheme, secret: &Secret) -> Result<Self, &'static str> {
        match (scheme, secret) {
            (SecurityScheme::MutualTls, Secret::Identity(_)) => Ok(Self::Connection),
            (_, Secret::Client(_)) => Err("no access token was got for it"),
            (_, Secret::EachUser(_)) => Err("nobody's own account was taken for it"),
            (SecurityScheme::Basic, Secret::Basic { user, password }) => {
                let pair = Zeroizing::new(format!("{user}:{}", password.expose_secret()));
                authorization("Basic", &Zeroizing::new(STANDARD.encode(pair.as_bytes())))
            }
            (SecurityScheme::Basic | SecurityScheme::MutualTls, _)
            | (_, Secret::Basic { .. } | Secret::Identity(_)) => {
                Err("it was entered for another kind of scheme; enter it again")
            }
            (SecurityScheme::ApiKey { name, location }, Secret::Token(token)) => {
                api_key(name, *location, token.expose_secret())
            }
            (SecurityScheme::Http { scheme }, Secret::Token(token)) => {
                let challenging = ["digest", "hoba", "mutual", "negotiate", "ntlm", "vapid"];
                let lower = scheme.to_ascii_lowercase();
                if challenging.contains(&lower.as_str()) || lower.starts_with("scram-") {
                    return Err("this HTTP authentication scheme is not supported");
                }
                authorization(scheme, token.expose_secret())
            }
            (
                SecurityScheme::Bearer
                | SecurityScheme::OAuth2 { .. }
                | SecurityScheme::OpenIdConnect { .. },
                Secret::Token(token),
            ) => authorization("Bearer", token.expose_secret()),
        }
    }

    /// Whether two would write to one place.
    pub(crate) fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Header(a, _), Self::Header(b, _)) => a == b,
            (Self::Query(a, _), Self::Query(b, _)) | (Self::Cookie(a, _), Self::Cookie(b, _)) => {
                a == b
            }
            // A header scheme for `Cookie` would overwrite every cookie.
            (Self::Header(name, _), Self::Cookie(..))
            | (Self::Cookie(..), Self::Header(name, _)) => *name == COOKIE,
            (Self::Connection, Self::Connection) => true,
            _ => false,
        }
    }

    /// The same place with a mark in it. The name of an authentication scheme is no secret.
    pub(crate) fn masked(self) -> Self {
        let mark = || Zeroizing::new(MASKED.to_owned());
        match self {
            Self::Header(name, value) => {
                let text = [&b"Basic "[..], b"Bearer "]
                    .into_iter()
                    .find(|word| value.as_bytes().starts_with(word))
                    .map_or("", |word| {
                        if word == b"Basic " {
                            "Basic "
                        } else {
                            "Bearer "
                        }
                    });
                let mut value = HeaderValue::try_from(format!("{text}{MASKED}"))
                    .unwrap_or(HeaderValue::from_static(MASKED));
                value.set_sensitive(true);
                Self::Header(name, value)
            }
            Self::Query(name, _) => Self::Query(name, mark()),
            Self::Cookie(name, _) => Self::Cookie(name, mark()),
            Self::Connection => Self::Connection,
        }
    }

    /// Writes it, replacing whatever an argument put there.
    pub(crate) fn apply(self, request: &mut UpstreamRequest) {
        match self {
            Self::Connection => {}
            Self::Header(name, value) => {
                request.headers.insert(name, value);
            }
            Self::Query(name, value) => {
                let pair = Zeroizing::new(format!("{name}={}", *value));
                let query = match request.url.query() {
                    Some(query) => append(query, '&', "&", &pair, |p| is_query_pair(p, &name)),
                    None => pair,
                };
                request.url.set_query(Some(&query));
            }
            Self::Cookie(name, value) => {
                let pair = Zeroizing::new(format!("{name}={}", *value));
                let given: Vec<&str> = request
                    .headers
                    .get_all(COOKIE)
                    .iter()
                    .filter_map(|v| v.to_str().ok())
                    .collect();
                let cookies = append(&given.join("; "), ';', "; ", &pair, |p| {
                    p.split('=').next().is_some_and(|n| n.trim() == name)
                });
                // Every part was a header value or checked by `api_key`.
                if let Ok(value) = sensitive(&cookies) {
                    request.headers.insert(COOKIE, value);
                }
            }
        }
    }
}

fn api_key(name: &str, location: Location, token: &str) -> Result<Placement, &'static str> {
    match location {
        Location::Header => {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| "the document names no valid header for it")?;
            if FRAMING.contains(&name.as_str()) {
                return Err("the document puts it in a header that frames the message");
            }
            Ok(Placement::Header(name, sensitive(token)?))
        }
        Location::Query | Location::Querystring => Ok(Placement::Query(
            utf8_percent_encode(name, QUERY).to_string(),
            Zeroizing::new(utf8_percent_encode(token, QUERY).to_string()),
        )),
        Location::Cookie => {
            // RFC 6265 section 4.1.1: a cookie's name is a token, as a header's is.
            HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| "the document names no valid cookie for it")?;
            let value = utf8_percent_encode(token, COOKIE_VALUE).to_string();
            Ok(Placement::Cookie(name.to_owned(), Zeroizing::new(value)))
        }
        Location::Path => Err("an API key cannot be in the path"),
    }
}

fn authorization(scheme: &str, token: &str) -> Result<Placement, &'static str> {
    let value = Zeroizing::new(format!("{scheme} {token}"));
    Ok(Placement::Header(AUTHORIZATION, sensitive(&value)?))
}

/// A header value that no log or HPACK table keeps.
fn sensitive(text: &str) -> Result<HeaderValue, &'static str> {
    let mut value = HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| "it holds a character that no header may hold; enter it again")?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_query_pair(pair: &str, name: &str) -> bool {
    let decode = |text: &str| {
        percent_decode_str(&text.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
    };
    decode(pair.split('=').next().unwrap_or_default()) == decode(name)
}

/// The pairs of `list` that are not `replaced`, and `pair` after them.
fn append(
    list: &str,
    separator: char,
    join: &str,
    pair: &str,
    replaced: impl Fn(&str) -> bool,
) -> Zeroizing<String> {
    let mut kept: Vec<&str> = list
        .split(separator)
        .map(str::trim)
        .filter(|p| !p.is_empty() && !replaced(p))
        .collect();
    kept.push(pair);
    Zeroizing::new(kept.join(join))
}
