//! How a credential is attached to a planned request: the one stage that sees a secret, and the
//! last before the network. Pure: secrets come in decrypted, and never leave in an error.

pub(crate) mod certificate;
pub mod choice;
pub mod identity;
pub mod mask;
pub mod oauth;
pub mod pass;
mod place;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use indexmap::IndexMap;
use secrecy::SecretString;

pub use crate::credential::identity::{Identity, IdentityError};
use crate::credential::mask::MASKED;
pub use crate::credential::mask::Mask;
use crate::credential::oauth::{OAuthClient, Registration};
use crate::credential::place::Placement;
use crate::openapi::{SecurityRequirement, SecurityScheme};
use crate::types::UpstreamRequest;

/// The credentials a server holds, by security scheme name, and the mask that hides them.
#[derive(Default)]
pub struct Credentials {
    by_scheme: IndexMap<String, Arc<Credential>>,
    /// Schemes whose credential is stored and cannot be opened.
    unreadable: BTreeSet<String>,
    mask: Mask,
}

/// One credential and the destinations it was entered for.
pub struct Credential {
    pub secret: Secret,
    /// Serialized origins (`https://api.example.com`), RFC 6454. It goes nowhere else.
    pub origins: BTreeSet<String>,
}

/// What the owner entered.
#[derive(Clone)]
pub enum Secret {
    /// `apiKey`, `bearer` and other single values.
    Token(SecretString),
    Basic {
        user: String,
        password: SecretString,
    },
    /// What gets access tokens; never sent to the API itself.
    Client(Box<OAuthClient>),
    /// `mutualTLS`: a client certificate and its private key.
    Identity(Box<Identity>),
    /// Each user has one of their own, which is none of the server's: for OAuth, got with this client.
    EachUser(Option<Box<OAuthClient>>),
}

/// Why a credential was not attached; nothing was sent. Names schemes and origins, never a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    #[error(
        "this tool needs a credential that the server does not have: {wanted}. The server's owner \
         can add it: `--credential SCHEME=VALUE` with causeway run, stdio or import, or \
         `credentials` in the management API. Nothing was sent"
    )]
    Missing { wanted: String },
    #[error(
        "the credential for \"{scheme}\" is not approved for {origin}, so it was withheld and \
         nothing was sent; approve the new destination {origin} for it if that is where it \
         belongs (in the server's settings; `--approve {origin}` with causeway run or stdio), or \
         correct the server's URL"
    )]
    Unapproved { scheme: String, origin: String },
    #[error(
        "the credential for \"{scheme}\" is stored, but cannot be decrypted with the master key in \
         use. The operator can start Causeway with the master key that belongs to its database, or \
         the server's owner can enter the credential again. Nothing was sent"
    )]
    Unreadable { scheme: String },
    #[error("the credential for \"{scheme}\" cannot be attached: {reason}. Nothing was sent")]
    Unusable {
        scheme: String,
        reason: &'static str,
    },
}

/// Why what was entered is no credential for the scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("the credential is empty")]
    Empty,
    #[error("a credential for HTTP basic authentication is written as user:password")]
    NotBasic,
    #[error("{0}")]
    Identity(#[from] IdentityError),
    #[error("{0}")]
    Unusable(&'static str),
}

impl Credentials {
    /// Credentials by the name of the security scheme they are for.
    pub fn new(by_scheme: IndexMap<String, Credential>) -> Self {
        let mask = Mask::new(by_scheme.values().map(|c| &c.secret));
        let by_scheme = by_scheme.into_iter();
        Self {
            by_scheme: by_scheme.map(|(name, held)| (name, held.into())).collect(),
            unreadable: BTreeSet::new(),
            mask,
        }
    }

    /// The same, and schemes whose credential is stored and cannot be opened: a call that needs one
    /// fails and says so.
    #[must_use]
    pub fn with_unreadable(mut self, schemes: BTreeSet<String>) -> Self {
        self.unreadable = schemes;
        self
    }

    /// Whether the credential for a scheme is stored and cannot be opened.
    pub fn is_unreadable(&self, scheme: &str) -> bool {
        self.unreadable.contains(scheme)
    }

    /// The credential for a scheme.
    pub fn get(&self, scheme: &str) -> Option<&Credential> {
        self.by_scheme.get(scheme).map(AsRef::as_ref)
    }

    /// The OAuth client that is held for a scheme.
    pub fn client(&self, scheme: &str) -> Option<&OAuthClient> {
        match &self.get(scheme)?.secret {
            Secret::Client(client) | Secret::EachUser(Some(client)) => Some(client),
            Secret::Token(_)
            | Secret::Basic { .. }
            | Secret::Identity(_)
            | Secret::EachUser(None) => None,
        }
    }

    /// Whether each user has a credential of their own for a scheme.
    pub fn is_each_users(&self, scheme: &str) -> bool {
        let held = self.get(scheme).map(|held| &held.secret);
        matches!(held, Some(Secret::EachUser(_)))
    }

    /// The same, where for these schemes each user has a credential of their own. What is stored for them
    /// is used for nobody, but for a client, which gets each user's tokens.
    #[must_use]
    pub fn of_each_user<'s>(mut self, schemes: impl IntoIterator<Item = &'s String>) -> Self {
        for scheme in schemes {
            if self.is_unreadable(scheme) {
                continue;
            }
            let held = self.by_scheme.get(scheme);
            let client = held.and_then(|held| match &held.secret {
                Secret::Client(client) => Some(client.clone()),
                _ => None,
            });
            let origins = match (&client, held) {
                (Some(_), Some(held)) => held.origins.clone(),
                _ => BTreeSet::new(),
            };
            let secret = Secret::EachUser(client);
            let held = Arc::new(Credential { secret, origins });
            self.by_scheme.insert(scheme.clone(), held);
        }
        self
    }

    /// The same for one user: with what that very user has for these schemes, and where it may go.
    #[must_use]
    pub fn with_own<'t>(
        &self,
        own: impl IntoIterator<Item = (&'t str, Secret, BTreeSet<String>)>,
    ) -> Self {
        let mut by_scheme = self.by_scheme.clone();
        for (scheme, secret, origins) in own {
            if self.is_each_users(scheme) {
                let held = Arc::new(Credential { secret, origins });
                by_scheme.insert(scheme.to_owned(), held);
            }
        }
        Self {
            by_scheme,
            unreadable: self.unreadable.clone(),
            mask: self.mask.clone(),
        }
    }

    /// The same, with an access token in the place of each of these clients. It may go where the
    /// client's credential may. What hides the tokens is the affair of whoever got them.
    #[must_use]
    pub fn with_tokens<'t>(
        &self,
        tokens: impl IntoIterator<Item = (&'t str, SecretString)>,
    ) -> Self {
        let mut by_scheme = self.by_scheme.clone();
        for (scheme, token) in tokens {
            if let Some(held) = by_scheme.get_mut(scheme) {
                *held = Arc::new(Credential {
                    secret: Secret::Token(token),
                    origins: held.origins.clone(),
                });
            }
        }
        Self {
            by_scheme,
            unreadable: self.unreadable.clone(),
            mask: self.mask.clone(),
        }
    }

    /// The client certificates among them, by scheme.
    pub fn identities(&self) -> impl Iterator<Item = (&String, &Identity)> {
        let held = self.by_scheme.iter();
        held.filter_map(|(scheme, credential)| match &credential.secret {
            Secret::Identity(identity) => Some((scheme, &**identity)),
            Secret::Token(_) | Secret::Basic { .. } | Secret::Client(_) | Secret::EachUser(_) => {
                None
            }
        })
    }

    /// Hides these credentials wherever they turn up.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }
}

impl Secret {
    /// What an owner typed, read as the scheme needs it: `user:password` for basic authentication,
    /// a certificate chain and its private key in PEM for mutual TLS, and a single value for
    /// everything else (a leading `Bearer ` is dropped where one will be added). For OAuth 2 and
    /// OpenID Connect it may be a client ([`Registration::read`]).
    pub fn for_scheme(scheme: &SecurityScheme, text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        if matches!(scheme, SecurityScheme::Basic) {
            let (user, password) = text.split_once(':').ok_or(SecretError::NotBasic)?;
            return Ok(Self::Basic {
                user: user.to_owned(),
                password: password.into(),
            });
        }
        if matches!(scheme, SecurityScheme::MutualTls) {
            return Ok(Self::Identity(Box::new(Identity::parse(text)?)));
        }
        let oauth = matches!(
            scheme,
            SecurityScheme::OAuth2 { .. } | SecurityScheme::OpenIdConnect { .. }
        );
        if oauth
            && let Some(client) = Registration::read(scheme, text).map_err(SecretError::Unusable)?
        {
            return Ok(Self::Client(Box::new(OAuthClient::new(client))));
        }
        let bearer = oauth || matches!(scheme, SecurityScheme::Bearer);
        let token = match text.split_at_checked("bearer ".len()) {
            Some((prefix, rest)) if bearer && prefix.eq_ignore_ascii_case("bearer ") => rest.trim(),
            _ => text,
        };
        Ok(Self::Token(token.into()))
    }

    /// The same, with the secret of an OAuth client approved for these origins too.
    #[must_use]
    pub fn approved_for(&self, origins: &BTreeSet<String>) -> Self {
        let mut secret = self.clone();
        if let Self::Client(client) = &mut secret {
            client.origins.extend(origins.iter().cloned());
        }
        secret
    }

    /// The same, if it can also be sent the way the scheme wants, now.
    pub fn usable_for(
        scheme: &SecurityScheme,
        text: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, SecretError> {
        let secret = Self::for_scheme(scheme, text)?;
        if let Self::Identity(identity) = &secret {
            identity.check_at(now)?;
        }
        check(scheme, &secret).map_err(SecretError::Unusable)?;
        Ok(secret)
    }
}

/// Whether a credential can be sent the way its scheme wants.
///
/// # Errors
/// The reason, which does not tell the secret.
pub fn check(scheme: &SecurityScheme, secret: &Secret) -> Result<(), &'static str> {
    if let Secret::Client(_) = secret {
        // In its place will stand a token.
        return Placement::of(scheme, &Secret::Token("x".into())).map(|_| ());
    }
    Placement::of(scheme, secret).map(|_| ())
}

/// The schemes of which [`attach`] would want an access token first: those of the alternative it takes
/// for which a client is held.
pub fn wanting_tokens<'s>(
    security: &'s [SecurityRequirement],
    schemes: &IndexMap<String, SecurityScheme>,
    credentials: &Credentials,
) -> Vec<&'s str> {
    let chosen = complete(security, schemes, credentials);
    let names = chosen.into_iter().flat_map(|chosen| chosen.0.keys());
    names
        .map(String::as_str)
        .filter(|name| credentials.client(name).is_some() && !credentials.is_each_users(name))
        .collect()
}

/// The schemes for which [`attach`] wants the credential of whose call it is: those of the alternative it takes
/// for which each user has their own.
pub fn wanting_own<'s>(
    security: &'s [SecurityRequirement],
    schemes: &IndexMap<String, SecurityScheme>,
    credentials: &Credentials,
) -> Vec<&'s str> {
    let chosen = complete(security, schemes, credentials);
    let names = chosen.into_iter().flat_map(|chosen| chosen.0.keys());
    names
        .map(String::as_str)
        .filter(|name| credentials.is_each_users(name))
        .collect()
}

/// Attaches what the operation's security asks for: the first alternative whose schemes all have a
/// credential. An empty alternative needs none. What an argument put in the same place is replaced.
///
/// # Errors
/// When no alternative is complete, or the request goes to an origin a credential was not approved
/// for. Nothing may be sent then.
pub fn attach(
    mut request: UpstreamRequest,
    security: &[SecurityRequirement],
    schemes: &IndexMap<String, SecurityScheme>,
    credentials: &Credentials,
) -> Result<UpstreamRequest, CredentialError> {
    if security.is_empty() {
        return Ok(request);
    }
    let chosen = complete(security, schemes, credentials).ok_or_else(|| {
        let names = security.iter().flat_map(|alternative| alternative.0.keys());
        let sealed = names
            .into_iter()
            .find(|name| credentials.is_unreadable(name));
        match sealed {
            Some(scheme) => CredentialError::Unreadable {
                scheme: scheme.clone(),
            },
            None => CredentialError::Missing {
                wanted: describe(security, schemes),
            },
        }
    })?;
    let mut places = Vec::with_capacity(chosen.0.len());
    for (name, scheme, credential) in chosen
        .0
        .keys()
        .filter_map(|name| Some((name, schemes.get(name)?, credentials.get(name)?)))
    {
        let origin = request.url.origin().ascii_serialization();
        if !credential.origins.contains(&origin) {
            let scheme = name.clone();
            return Err(CredentialError::Unapproved { scheme, origin });
        }
        let unusable = |reason| CredentialError::Unusable {
            scheme: name.clone(),
            reason,
        };
        let place = Placement::of(scheme, &credential.secret).map_err(unusable)?;
        if matches!(place, Placement::Connection) && request.url.scheme() != "https" {
            return Err(unusable(
                "a client certificate can be shown over https only, and the API's URL is http",
            ));
        }
        if places
            .iter()
            .any(|other: &Placement| other.collides(&place))
        {
            return Err(unusable("the API asks for two credentials in one place"));
        }
        places.push(place);
    }
    for place in places {
        place.apply(&mut request);
    }
    Ok(request)
}

/// A request as it may be shown: where [`attach`] puts a secret, a mark stands. What the caller wrote
/// stays as it is, whatever it is: a mask that hid what equals a secret would confirm a guess.
pub fn attach_marks(
    mut request: UpstreamRequest,
    security: &[SecurityRequirement],
    schemes: &IndexMap<String, SecurityScheme>,
    credentials: &Credentials,
) -> UpstreamRequest {
    let chosen = complete(security, schemes, credentials);
    let names = chosen.into_iter().flat_map(|chosen| chosen.0.keys());
    for (scheme, credential) in
        names.filter_map(|name| Some((schemes.get(name)?, credentials.get(name)?)))
    {
        let stand_in = stand_in(scheme);
        let secret = match &credential.secret {
            Secret::Client(_) | Secret::EachUser(_) => &stand_in,
            secret => secret,
        };
        // One that has no place was refused before.
        if let Ok(place) = Placement::of(scheme, secret) {
            place.masked().apply(&mut request);
        }
    }
    request
}

/// A secret that is none, in the place of one for the scheme that is not there.
pub fn stand_in(scheme: &SecurityScheme) -> Secret {
    match scheme {
        SecurityScheme::Basic => Secret::Basic {
            user: MASKED.to_owned(),
            password: MASKED.into(),
        },
        _ => Secret::Token(MASKED.into()),
    }
}

/// The client certificate that a request attached by [`attach`] has to be sent with, and its scheme.
pub fn identity<'c>(
    security: &[SecurityRequirement],
    schemes: &IndexMap<String, SecurityScheme>,
    credentials: &'c Credentials,
) -> Option<(&'c String, &'c Identity)> {
    let chosen = complete(security, schemes, credentials)?;
    let mut held = credentials.identities();
    held.find(|(scheme, _)| chosen.0.contains_key(*scheme))
}

/// The first alternative whose schemes all have a credential.
fn complete<'s>(
    security: &'s [SecurityRequirement],
    schemes: &IndexMap<String, SecurityScheme>,
    credentials: &Credentials,
) -> Option<&'s SecurityRequirement> {
    let held = |name: &String| schemes.contains_key(name) && credentials.get(name).is_some();
    let mut alternatives = security.iter();
    alternatives.find(|alternative| alternative.0.keys().all(held))
}

/// The alternatives in words: `"key" (an API key in the header X-API-Key), or "oauth" (…)`.
fn describe(
    security: &[SecurityRequirement],
    schemes: &IndexMap<String, SecurityScheme>,
) -> String {
    let one = |name: &String| match schemes.get(name) {
        Some(scheme) => format!("\"{name}\" ({})", Kind(scheme)),
        None => format!("\"{name}\" (which the document does not define)"),
    };
    let alternatives: Vec<String> = security
        .iter()
        .map(|alternative| {
            let all: Vec<String> = alternative.0.keys().map(one).collect();
            all.join(" and ")
        })
        .collect();
    alternatives.join(", or ")
}

/// A scheme in words: `a bearer token`.
pub struct Kind<'a>(pub &'a SecurityScheme);

impl fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SecurityScheme::ApiKey { name, location } => {
                write!(f, "an API key in the {} {name}", place::word(*location))
            }
            SecurityScheme::Basic => f.write_str("user:password, HTTP basic authentication"),
            SecurityScheme::Bearer => f.write_str("a bearer token"),
            SecurityScheme::Http { scheme } => write!(f, "HTTP authentication \"{scheme}\""),
            SecurityScheme::OAuth2 { .. } => f.write_str("an OAuth 2 access token"),
            SecurityScheme::OpenIdConnect { .. } => f.write_str("an OpenID Connect access token"),
            SecurityScheme::MutualTls => {
                f.write_str("a TLS client certificate and its private key")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Method};
    use serde_json::{Value, json};

    use super::*;

    fn schemes() -> IndexMap<String, SecurityScheme> {
        let schemes = json!({
            "header": {"type": "apiKey", "name": "X-Key", "location": "header"},
            "query": {"type": "apiKey", "name": "api key", "location": "query"},
            "cookie": {"type": "apiKey", "name": "sid", "location": "cookie"},
            "host": {"type": "apiKey", "name": "Host", "location": "header"},
            "basic": {"type": "basic"},
            "bearer": {"type": "bearer"},
            "oauth": {"type": "oAuth2", "flows": {}},
            "token": {"type": "http", "scheme": "Token"},
            "digest": {"type": "http", "scheme": "Digest"},
            "mtls": {"type": "mutualTls"},
        });
        serde_json::from_value(schemes).unwrap()
    }

    fn credentials(held: &[(&str, &str)]) -> Credentials {
        let schemes = schemes();
        Credentials::new(
            held.iter()
                .map(|(name, text)| {
                    let credential = Credential {
                        secret: Secret::for_scheme(&schemes[*name], text).unwrap(),
                        origins: BTreeSet::from(["https://api.example".to_owned()]),
                    };
                    ((*name).to_owned(), credential)
                })
                .collect(),
        )
    }

    fn request(url: &str, headers: &[(&'static str, &str)]) -> UpstreamRequest {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        UpstreamRequest {
            method: Method::GET,
            url: url.parse().unwrap(),
            headers: map,
            body: Bytes::new(),
        }
    }

    fn security(alternatives: Value) -> Vec<SecurityRequirement> {
        serde_json::from_value(alternatives).unwrap()
    }

    const URL: &str = "https://api.example/pets?limit=1";

    fn attached(
        alternatives: Value,
        held: &[(&str, &str)],
    ) -> Result<UpstreamRequest, CredentialError> {
        attach(
            request(URL, &[]),
            &security(alternatives),
            &schemes(),
            &credentials(held),
        )
    }

    #[test]
    fn every_scheme_has_its_place() {
        for (scheme, text, header, value) in [
            ("header", "k1", "x-key", "k1"),
            ("cookie", "a b;c", "cookie", "sid=a%20b%3Bc"),
            ("basic", "ada:p:w", "authorization", "Basic YWRhOnA6dw=="),
            ("bearer", "Bearer t1", "authorization", "Bearer t1"),
            ("oauth", "t2", "authorization", "Bearer t2"),
            ("token", "t3", "authorization", "Token t3"),
        ] {
            let request = attached(json!([{ scheme: [] }]), &[(scheme, text)]).unwrap();
            assert_eq!(request.headers[header], value, "{scheme}");
            assert!(request.headers[header].is_sensitive(), "{scheme}");
            assert_eq!(request.url.as_str(), URL);
            assert!(!format!("{:?}", request.headers).contains(text));
        }
        let request = attached(json!([{"query": []}]), &[("query", "a&b/ü")]).unwrap();
        assert_eq!(
            request.url.query(),
            Some("limit=1&api%20key=a%26b%2F%C3%BC")
        );
    }

    #[test]
    fn alternatives_are_tried_in_order_and_must_be_complete() {
        let both = json!([{"header": [], "query": []}, {"bearer": []}]);
        let request = attached(both.clone(), &[("header", "k"), ("bearer", "t")]).unwrap();
        assert!(request.headers.contains_key("authorization"));
        assert!(!request.headers.contains_key("x-key"));
        let held = [("header", "k"), ("query", "q"), ("bearer", "t")];
        let request = attached(both, &held).unwrap();
        assert!(request.headers.contains_key("x-key"));
        assert!(request.url.query().unwrap().ends_with("api%20key=q"));
        assert!(!request.headers.contains_key("authorization"));
    }

    #[test]
    fn anonymous_is_an_alternative_like_any_other() {
        for (alternatives, held, sent) in [
            (json!([]), vec![("header", "k")], false),
            (json!([{}]), vec![("header", "k")], false),
            (json!([{"header": []}, {}]), vec![("header", "k")], true),
            (json!([{"header": []}, {}]), vec![], false),
            (json!([{}, {"header": []}]), vec![("header", "k")], false),
        ] {
            let request = attached(alternatives.clone(), &held).unwrap();
            assert_eq!(
                request.headers.contains_key("x-key"),
                sent,
                "{alternatives}"
            );
        }
    }

    #[test]
    fn a_missing_credential_is_named_with_the_way_to_add_it() {
        let wanted = json!([{"header": [], "basic": []}, {"oauth": ["read"]}, {"gone": []}]);
        let text = attached(wanted, &[("header", "k")])
            .unwrap_err()
            .to_string();
        for part in [
            "\"header\" (an API key in the header X-Key) and \"basic\"",
            ", or \"oauth\" (an OAuth 2 access token), or \"gone\" (which the document does not",
            "--credential SCHEME=VALUE",
            "Nothing was sent",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_credential_goes_to_the_origins_it_was_entered_for() {
        let credentials = credentials(&[("header", "the-key")]);
        let security = security(json!([{"header": []}, {}]));
        for url in [
            "http://api.example/",
            "https://api.example:8443/",
            "https://api.example.evil/",
            "https://evil.example/",
            "https://api.example./",
        ] {
            let error = attach(request(url, &[]), &security, &schemes(), &credentials).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, CredentialError::Unapproved { .. }), "{url}");
            assert!(text.contains("approve the new destination http"), "{text}");
            assert!(!text.contains("the-key"));
        }
        let same = request("https://API.example:443/x", &[]);
        assert!(attach(same, &security, &schemes(), &credentials).is_ok());
    }

    #[test]
    fn an_argument_in_the_credentials_place_is_replaced() {
        let given = request(
            "https://api.example/?api+key=mine&a=1&api%20key=again&apikey=2",
            &[
                ("x-key", "mine"),
                ("x-key", "too"),
                ("cookie", "a=1; sid=mine"),
                ("cookie", "sid=2"),
            ],
        );
        let held = credentials(&[("header", "k"), ("query", "q"), ("cookie", "c")]);
        let all = security(json!([{"header": [], "query": [], "cookie": []}]));
        let request = attach(given, &all, &schemes(), &held).unwrap();
        assert_eq!(request.url.query(), Some("a=1&apikey=2&api%20key=q"));
        let values: Vec<_> = request.headers.get_all("x-key").iter().collect();
        assert_eq!(values, ["k"]);
        let cookies: Vec<_> = request.headers.get_all("cookie").iter().collect();
        assert_eq!(cookies, ["a=1; sid=c"]);
    }

    #[test]
    fn what_cannot_be_attached_is_refused_and_not_sent_halfway() {
        for (alternatives, held) in [
            (json!([{"digest": []}]), vec![("digest", "x")]),
            (json!([{"host": []}]), vec![("host", "evil.example")]),
            (
                json!([{"basic": [], "bearer": []}]),
                vec![("basic", "a:b"), ("bearer", "x")],
            ),
            (json!([{"header": []}]), vec![("header", "a\r\nX-Evil: 1")]),
        ] {
            let error = attached(alternatives.clone(), &held).unwrap_err();
            assert!(
                matches!(error, CredentialError::Unusable { .. }),
                "{alternatives}"
            );
        }
        assert_eq!(
            Secret::for_scheme(&SecurityScheme::Basic, "no colon").err(),
            Some(SecretError::NotBasic)
        );
        assert_eq!(
            Secret::for_scheme(&SecurityScheme::Bearer, " \n").err(),
            Some(SecretError::Empty)
        );
        assert_eq!(
            Secret::for_scheme(&SecurityScheme::MutualTls, "x").err(),
            Some(SecretError::Identity(IdentityError::NoCertificate))
        );
    }
}
