//! Headers of a client's own request that an owner lets through to the API: an explicit list, for
//! explicit destinations. Never what Causeway recognises its callers by (MCP forbids to pass such a
//! token on), never what frames a message or says where it goes.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::fmt;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::credential::Mask;
use crate::openapi::{Location, SecurityRequirement, SecurityScheme};
use crate::types::UpstreamRequest;

/// Headers one server may pass on.
pub const MAPPINGS_MAX: usize = 16;
/// Destinations of one of them.
pub const ORIGINS_MAX: usize = 32;
/// Longer values are not passed on.
pub const VALUE_BYTES_MAX: usize = 8 << 10;
/// A shorter value is a name or a number rather than a token: hidden in an answer, it would take
/// words out of it that belong there.
pub const HIDDEN_CHARACTERS_MIN: usize = 16;

/// What Causeway recognises its callers by.
const OWN: &[&str] = &["authorization", "x-api-key"];

/// What belongs to one connection, frames the message, or speaks of the protocol itself.
const MESSAGE: &[&str] = &[
    "accept-encoding",
    "connection",
    "cookie",
    "cookie2",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "last-event-id",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const MESSAGE_PREFIXES: &[&str] = &["content-", "if-", "mcp-", "proxy-", "sec-"];

/// What some servers let decide who asks, from where, what for.
const ROUTING: &[&str] = &[
    "forwarded",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-real-ip",
    "x-rewrite-url",
    "true-client-ip",
];
const ROUTING_PREFIXES: &[&str] = &["x-forwarded-", "x-original-"];

/// A header of the client's request, and the header of the API's request it is copied to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PassThrough {
    pub from: String,
    pub to: String,
    /// Serialized origins it may go to (`https://api.example.com`). It goes nowhere else.
    pub origins: BTreeSet<String>,
    /// A call without it is refused.
    #[serde(default)]
    pub required: bool,
}

/// Why a list of mappings is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassRule {
    #[error("at most {MAPPINGS_MAX} headers are passed on")]
    TooMany,
    #[error("\"{0}\" is not the name of a header")]
    NoHeader(String),
    #[error(
        "{0} is what Causeway recognises its own callers by, and the MCP specification forbids to \
         pass that on; let clients send the API's token in another header, such as X-Caller-Token"
    )]
    Own(String),
    #[error("{0} frames the message or belongs to the protocol, and is never passed on")]
    Message(String),
    #[error("{0} tells some APIs who asks or what for, and is never written for a client")]
    Routing(String),
    #[error("{0} would be written twice")]
    Twice(String),
    #[error("{0} needs `origins`: the 1 to {ORIGINS_MAX} destinations it may be sent to")]
    Origins(String),
    #[error("\"{0}\" is no origin; write https://host, or https://host:port")]
    NoOrigin(String),
}

/// Why a call with such a header is refused. Never carries its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassError {
    #[error(
        "this tool needs the header {from} in the MCP client's HTTP request, and it was not there; \
         set it in the client's configuration, beside its key for this server (over stdio there are \
         no headers). Nothing was sent"
    )]
    Missing { from: String },
    #[error("the header {from} was sent more than once; send it once. Nothing was sent on")]
    Repeated { from: String },
    #[error("the header {from} is longer than {VALUE_BYTES_MAX} bytes. Nothing was sent on")]
    TooLong { from: String },
    #[error(
        "the header {from} holds a key for Causeway itself, which is never passed on; send the \
         API's own token there. Nothing was sent"
    )]
    Own { from: String },
    #[error(
        "the header {from} holds a credential that would sign in the whole connection (NTLM or \
         Negotiate), which other callers use too. Nothing was sent"
    )]
    OfConnection { from: String },
    #[error(
        "the header {from} may not be sent to {origin}, and this tool needs it; the server's owner \
         can add {origin} to `origins` of the setting `passThrough`. Nothing was sent"
    )]
    Unapproved { from: String, origin: String },
}

/// Whether an owner may set these mappings.
///
/// # Errors
/// The first rule that is broken, with the header it is about.
pub fn check(mappings: &[PassThrough]) -> Result<(), PassRule> {
    if mappings.len() > MAPPINGS_MAX {
        return Err(PassRule::TooMany);
    }
    let mut written = HashSet::new();
    for mapping in mappings {
        let from = name(&mapping.from)?;
        if OWN.contains(&from.as_str()) {
            return Err(PassRule::Own(mapping.from.clone()));
        }
        let to = name(&mapping.to)?;
        for (name, given) in [(&from, &mapping.from), (&to, &mapping.to)] {
            if is_of(name, MESSAGE, MESSAGE_PREFIXES) {
                return Err(PassRule::Message(given.clone()));
            }
        }
        if is_of(&to, ROUTING, ROUTING_PREFIXES) {
            return Err(PassRule::Routing(mapping.to.clone()));
        }
        if !written.insert(to) {
            return Err(PassRule::Twice(mapping.to.clone()));
        }
        if mapping.origins.is_empty() || mapping.origins.len() > ORIGINS_MAX {
            return Err(PassRule::Origins(mapping.from.clone()));
        }
        if let Some(origin) = mapping.origins.iter().find(|origin| !is_origin(origin)) {
            return Err(PassRule::NoOrigin(origin.clone()));
        }
    }
    Ok(())
}

fn name(text: &str) -> Result<HeaderName, PassRule> {
    HeaderName::try_from(text).map_err(|_| PassRule::NoHeader(text.chars().take(64).collect()))
}

fn is_of(name: &HeaderName, names: &[&str], prefixes: &[&str]) -> bool {
    // Some servers read one as the other.
    let name = name.as_str().replace('_', "-");
    names.contains(&&*name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

fn is_origin(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text
    })
}

/// What one client's request holds of the headers that are passed on. Belongs to that request.
#[derive(Default)]
pub struct Passed {
    values: Vec<(String, Given)>,
    mask: Option<Mask>,
}

enum Given {
    Once(HeaderValue),
    Repeated,
    /// A key for Causeway.
    Own,
}

impl Passed {
    /// Takes from a request what the mappings name, and nothing else.
    pub fn read(mappings: &[PassThrough], headers: &HeaderMap) -> Self {
        let mut values: Vec<(String, Given)> = Vec::new();
        for mapping in mappings {
            let mut sent = headers.get_all(&mapping.from).iter();
            let known = values.iter().any(|(from, _)| *from == mapping.from);
            if let Some(first) = sent.next().filter(|_| !known) {
                let mut value = first.clone();
                value.set_sensitive(true);
                let given = match sent.next() {
                    Some(_) => Given::Repeated,
                    None => Given::Once(value),
                };
                values.push((mapping.from.clone(), given));
            }
        }
        Self { values, mask: None }
    }

    /// Whether nothing was sent that could be passed on.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The tokens that were sent, without the name of an authentication scheme before them.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.values.iter().filter_map(|(_, given)| match given {
            Given::Once(value) => value.to_str().ok().map(token),
            Given::Repeated | Given::Own => None,
        })
    }

    /// Withholds what is a key for Causeway, and hides the rest.
    #[must_use]
    pub fn guarded(mut self, own: &BTreeSet<String>) -> Self {
        for (_, given) in &mut self.values {
            if let Given::Once(value) = given
                && value.to_str().is_ok_and(|text| own.contains(token(text)))
            {
                *given = Given::Own;
            }
        }
        let mut hidden: BTreeSet<String> = BTreeSet::new();
        for (_, given) in &self.values {
            if let Given::Once(value) = given
                && value.len() <= VALUE_BYTES_MAX
                && let Ok(text) = value.to_str()
            {
                hidden.extend([text.to_owned(), token(text).to_owned()]);
            }
        }
        hidden.retain(|text| text.chars().count() >= HIDDEN_CHARACTERS_MIN);
        if !hidden.is_empty() {
            self.mask = Some(Mask::of_call(&hidden));
        }
        self
    }

    /// Hides these values; nothing where none of them has to be hidden.
    pub fn mask(&self) -> Option<&Mask> {
        self.mask.as_ref()
    }

    fn given(&self, from: &str) -> Option<&Given> {
        let mut values = self.values.iter();
        values
            .find(|(name, _)| name == from)
            .map(|(_, given)| given)
    }
}

/// No value is ever shown.
impl fmt::Debug for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.values.iter().map(|(from, _)| from);
        f.debug_set().entries(names).finish()
    }
}

fn token(text: &str) -> &str {
    text.split_once(' ').map_or(text, |(_, rest)| rest).trim()
}

/// The headers that a request to `origin` is sent with.
///
/// # Errors
/// When one is needed and not there, or one that is there cannot be passed on.
pub fn headers(
    mappings: &[PassThrough],
    passed: &Passed,
    origin: &str,
) -> Result<HeaderMap, PassError> {
    let mut headers = HeaderMap::new();
    for mapping in mappings {
        let from = mapping.from.clone();
        let approved = mapping.origins.contains(origin);
        let value = match passed.given(&mapping.from) {
            None if mapping.required => return Err(PassError::Missing { from }),
            None => continue,
            Some(_) if !approved && mapping.required => {
                let origin = origin.to_owned();
                return Err(PassError::Unapproved { from, origin });
            }
            Some(_) if !approved => continue,
            Some(Given::Repeated) => return Err(PassError::Repeated { from }),
            Some(Given::Own) => return Err(PassError::Own { from }),
            Some(Given::Once(value)) => value,
        };
        if value.len() > VALUE_BYTES_MAX {
            return Err(PassError::TooLong { from });
        }
        // Set names were checked.
        let Ok(to) = HeaderName::try_from(&mapping.to) else {
            continue;
        };
        if to == AUTHORIZATION && is_of_connection(value) {
            return Err(PassError::OfConnection { from });
        }
        headers.insert(to, value.clone());
    }
    Ok(headers)
}

/// Connections are shared by callers, and these schemes sign in a connection (RFC 4559).
fn is_of_connection(value: &HeaderValue) -> bool {
    let word = value.as_bytes().split(|b| *b == b' ').next();
    let word = word.unwrap_or_default();
    [&b"ntlm"[..], b"negotiate"]
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// What is still to be attached when these headers are passed on: a scheme whose place one of them
/// takes is answered by the caller.
pub fn unanswered<'s>(
    security: &'s [SecurityRequirement],
    schemes: &IndexMap<String, SecurityScheme>,
    headers: &HeaderMap,
) -> Cow<'s, [SecurityRequirement]> {
    let is_answered = |name: &String| {
        let header = schemes.get(name).and_then(header_of);
        header.is_some_and(|header| headers.contains_key(header))
    };
    let mut named = security.iter().flat_map(|one| one.0.keys());
    if headers.is_empty() || !named.any(is_answered) {
        return Cow::Borrowed(security);
    }
    let left = security.iter().map(|alternative| {
        let mut left = alternative.clone();
        left.0.retain(|name, _| !is_answered(name));
        left
    });
    Cow::Owned(left.collect())
}

/// The header a scheme's credential is written to.
pub(crate) fn header_of(scheme: &SecurityScheme) -> Option<HeaderName> {
    match scheme {
        SecurityScheme::ApiKey {
            name,
            location: Location::Header,
        } => HeaderName::try_from(name).ok(),
        SecurityScheme::ApiKey { .. } | SecurityScheme::MutualTls => None,
        SecurityScheme::Basic
        | SecurityScheme::Bearer
        | SecurityScheme::Http { .. }
        | SecurityScheme::OAuth2 { .. }
        | SecurityScheme::OpenIdConnect { .. } => Some(AUTHORIZATION),
    }
}

/// Writes the headers, in place of whatever an argument put there.
pub fn apply(request: &mut UpstreamRequest, headers: HeaderMap) {
    request.headers.extend(headers);
}

/// The same with a mark for each value.
pub fn apply_marks(request: &mut UpstreamRequest, mut headers: HeaderMap) {
    for value in headers.values_mut() {
        let scheme = value.to_str().ok().and_then(|text| text.split_once(' '));
        let scheme = scheme.map(|(word, _)| word);
        let shown = match scheme {
            Some("Basic") => HeaderValue::from_static("Basic [masked]"),
            Some("Bearer") => HeaderValue::from_static("Bearer [masked]"),
            _ => HeaderValue::from_static("[masked]"),
        };
        *value = shown;
        value.set_sensitive(true);
    }
    apply(request, headers);
}
