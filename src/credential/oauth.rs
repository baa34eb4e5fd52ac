//! An OAuth 2 credential before there is a token: the client that somebody registered, and where the
//! authorization server is. Pure: nothing is requested here.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;
use uuid::Uuid;

use crate::openapi::SecurityScheme;
use crate::types::{CredentialId, UserId};

/// Where OpenID Connect Discovery 1.0, section 4, puts the description of an issuer.
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// More than any client needs, in characters and in number.
const TEXT_CHARACTERS_MAX: usize = 4_096;
const SCOPES_MAX: usize = 200;

/// What was registered with the authorization server, as it is entered and as it is sealed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registration {
    pub id: String,
    /// A client that proves itself by PKCE alone has none.
    #[serde(
        default,
        deserialize_with = "read_secret",
        serialize_with = "write_secret"
    )]
    pub secret: Option<SecretString>,
    /// Absent where it is entered: what the document offers.
    #[serde(default)]
    pub grant: Option<Grant>,
    #[serde(default)]
    pub authentication: ClientAuthentication,
    /// `None`: what the tools need, as the document says.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    #[serde(default)]
    pub audience: Option<String>,
    /// In place of the document's or the discovered one, as are the next two.
    #[serde(default)]
    pub token_url: Option<String>,
    #[serde(default)]
    pub authorization_url: Option<String>,
    #[serde(default)]
    pub revocation_url: Option<String>,
}

/// How access tokens are got (RFC 6749 section 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Grant {
    ClientCredentials,
    /// One connection, made by an administrator, that every call shares.
    AuthorizationCode,
}

/// Where the client's secret stands in a request for a token (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuthentication {
    #[default]
    Basic,
    Post,
}

/// A registered client as a server holds it.
#[derive(Clone, Debug)]
pub struct OAuthClient {
    pub registration: Registration,
    /// The credential it is stored as: another one whenever it is entered again.
    pub credential: CredentialId,
    /// The connection that was made with it: another one whenever it is made again.
    pub connection: Option<Uuid>,
    /// Origins its secret may go to, and no others.
    pub origins: BTreeSet<String>,
}

/// Everything that decides which token a scheme gets.
#[derive(Clone, Debug)]
pub struct TokenSource {
    pub scheme: String,
    pub client: OAuthClient,
    pub grant: Grant,
    pub scopes: Vec<String>,
    /// Or why the authorization server cannot be found.
    pub endpoints: Result<Endpoints, &'static str>,
    /// Whose tokens they are; `None`: the server's, for all its calls.
    pub user: Option<UserId>,
}

/// Where an authorization server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoints {
    Stated(Box<Addresses>),
    /// Its description has to be read first; what was entered wins over what it says.
    Discovered(Url),
}

/// The endpoints of an authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub token: Url,
    /// Where refresh tokens are sent; mostly the same.
    pub refresh: Url,
    pub authorization: Option<Url>,
    pub revocation: Option<Url>,
    /// Known only where it was discovered.
    pub issuer: Option<String>,
    /// It offers the scope of that name, which brings refresh tokens.
    pub offline_access: bool,
}

impl Registration {
    /// What somebody entered, if it is a client and not a token: `client:ID:SECRET`, or a JSON object
    /// with the fields of this type. Neither can be an access token (RFC 6750 section 2.1 allows no
    /// colon and no brace in one).
    ///
    /// # Errors
    /// The reason, which does not tell what was entered.
    pub fn read(scheme: &SecurityScheme, text: &str) -> Result<Option<Self>, &'static str> {
        let mut read = if text.starts_with('{') {
            serde_json::from_str(text).map_err(|_| {
                "an OAuth client in JSON is an object of id, secret, grant, authentication, scopes, \
                 audience, tokenUrl, authorizationUrl and revocationUrl"
            })?
        } else if let Some(pair) = text.strip_prefix("client:") {
            let (id, secret) = pair
                .split_once(':')
                .ok_or("an OAuth client is written client:ID:SECRET")?;
            Self::of_pair(id, secret)
        } else {
            return Ok(None);
        };
        read.grant = Some(read.grant.unwrap_or_else(|| Grant::usual(scheme)));
        read.secret = read
            .secret
            .filter(|secret| !secret.expose_secret().is_empty());
        read.check()?;
        Ok(Some(read))
    }

    /// Nothing entered yet, to see what the document says.
    pub fn blank(grant: Grant) -> Self {
        Self {
            grant: Some(grant),
            ..Self::of_pair("", "")
        }
    }

    fn of_pair(id: &str, secret: &str) -> Self {
        Self {
            id: id.to_owned(),
            secret: Some(secret.into()),
            grant: None,
            authentication: ClientAuthentication::default(),
            scopes: None,
            audience: None,
            token_url: None,
            authorization_url: None,
            revocation_url: None,
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.id.is_empty() {
            return Err("an OAuth client has an id");
        }
        if self.secret.is_none() && self.grant == Some(Grant::ClientCredentials) {
            return Err("an OAuth client needs its secret for the client credentials grant");
        }
        let scopes = self.scopes.iter().flatten();
        let texts = [
            &self.audience,
            &self.token_url,
            &self.authorization_url,
            &self.revocation_url,
        ];
        let texts = texts.into_iter().flatten().chain([&self.id]);
        if texts
            .chain(scopes.clone())
            .any(|text| text.chars().count() > TEXT_CHARACTERS_MAX)
            || scopes.clone().count() > SCOPES_MAX
        {
            return Err("a field of the OAuth client is too long");
        }
        // RFC 6749 section 3.3.
        let in_scope = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if scopes
            .clone()
            .any(|scope| scope.is_empty() || !scope.bytes().all(in_scope))
        {
            return Err("a scope is a word of ASCII characters without quotes and backslashes");
        }
        self.stated().map(|_| ())
    }

    /// The addresses that were entered with the client: token, authorization, revocation.
    fn stated(&self) -> Result<[Option<Url>; 3], &'static str> {
        let read = |text: &Option<String>| match text {
            Some(text) => address(text, None).map(Some),
            None => Ok(None),
        };
        Ok([
            read(&self.token_url)?,
            read(&self.authorization_url)?,
            read(&self.revocation_url)?,
        ])
    }

    /// Origins that whoever entered the client wrote themselves as where its secret goes.
    pub fn stated_origins(&self) -> BTreeSet<String> {
        let [token, _, revocation] = self.stated().unwrap_or_default();
        [token, revocation].iter().flatten().map(origin).collect()
    }
}

impl Grant {
    pub const ALL: [Self; 2] = [Self::ClientCredentials, Self::AuthorizationCode];

    /// As the API and the flows of a document call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientCredentials => "clientCredentials",
            Self::AuthorizationCode => "authorizationCode",
        }
    }

    /// The one that is meant where none is named: the authorization code only where the document has
    /// that flow and no client credentials.
    fn usual(scheme: &SecurityScheme) -> Self {
        let offered = Self::offered(scheme);
        if offered.contains(&Self::ClientCredentials) || offered.is_empty() {
            Self::ClientCredentials
        } else {
            Self::AuthorizationCode
        }
    }

    /// The grants a document offers that Causeway can use.
    pub fn offered(scheme: &SecurityScheme) -> Vec<Self> {
        let has = |grant: &Self| match scheme {
            SecurityScheme::OAuth2 { flows } => flows.get(grant.name()).is_some(),
            SecurityScheme::OpenIdConnect { .. } => true,
            _ => false,
        };
        Self::ALL.into_iter().filter(has).collect()
    }
}

impl OAuthClient {
    /// A client that was just entered: stored nowhere, and allowed nowhere but where it says itself.
    pub fn new(registration: Registration) -> Self {
        Self {
            origins: registration.stated_origins(),
            credential: CredentialId::generate(),
            connection: None,
            registration,
        }
    }
}

impl TokenSource {
    /// What a client gets for a scheme. Relative addresses are resolved against `base`, the API's;
    /// `needed` are the scopes that its tools name.
    pub fn new(
        (name, scheme): (&str, &SecurityScheme),
        client: &OAuthClient,
        base: Option<&Url>,
        needed: BTreeSet<String>,
    ) -> Self {
        let registration = &client.registration;
        let grant = registration.grant.unwrap_or_else(|| Grant::usual(scheme));
        let mut scopes = match &registration.scopes {
            Some(scopes) => scopes.clone(),
            None => needed.into_iter().collect(),
        };
        let connects = matches!(scheme, SecurityScheme::OpenIdConnect { .. })
            && grant == Grant::AuthorizationCode;
        if connects && !scopes.iter().any(|scope| scope == "openid") {
            // OpenID Connect Core 1.0, section 3.1.2.1.
            scopes.insert(0, "openid".to_owned());
        }
        Self {
            scheme: name.to_owned(),
            client: client.clone(),
            grant,
            scopes,
            endpoints: Endpoints::of(scheme, grant, registration, base),
            user: None,
        }
    }

    /// The same client, for the account that one person connected.
    #[must_use]
    pub fn of_user(&self, user: UserId, account: Option<Uuid>) -> Self {
        let mut own = self.clone();
        own.user = Some(user);
        own.client.connection = account;
        own
    }

    /// What tells the tokens of this source from those of every other.
    pub fn identity(&self) -> String {
        let (credential, connection) = (self.client.credential, self.client.connection);
        let (endpoints, scopes) = (&self.endpoints, self.scopes.join(" "));
        let user = self.user;
        format!("{user:?} {credential} {connection:?} {endpoints:?} {scopes}")
    }
}

impl Endpoints {
    fn of(
        scheme: &SecurityScheme,
        grant: Grant,
        registration: &Registration,
        base: Option<&Url>,
    ) -> Result<Self, &'static str> {
        let flow = match scheme {
            SecurityScheme::OAuth2 { flows } => flows.get(grant.name()),
            SecurityScheme::OpenIdConnect { url } => {
                return discovery(url, base).map(Self::Discovered);
            }
            _ => return Err("it is no OAuth 2 scheme"),
        };
        let [token, authorization, revocation] = registration.stated()?;
        let named = |key: &str| {
            let text = flow.and_then(|flow| flow.get(key)?.as_str());
            let text = text.filter(|text| !text.is_empty());
            text.map(|text| address(text, base)).transpose()
        };
        let refresh = if token.is_some() {
            None
        } else {
            named("refreshUrl")?
        };
        let token = match token {
            Some(token) => token,
            None => named("tokenUrl")?
                .ok_or("the document names no token URL for this grant; enter one")?,
        };
        let authorization = match authorization {
            None if grant == Grant::AuthorizationCode => Some(
                named("authorizationUrl")?
                    .ok_or("the document names no authorization URL for this grant; enter one")?,
            ),
            given => given,
        };
        Ok(Self::Stated(Box::new(Addresses {
            refresh: refresh.unwrap_or_else(|| token.clone()),
            token,
            authorization,
            revocation,
            issuer: None,
            offline_access: false,
        })))
    }
}

impl Addresses {
    /// What a description of an issuer says, under what was entered.
    ///
    /// # Errors
    /// When the issuer is not the one whose description was asked for (OpenID Connect Discovery 1.0,
    /// section 4.3), or no endpoint is named.
    pub fn discovered(
        at: &Url,
        description: &serde_json::Value,
        registration: &Registration,
    ) -> Result<Self, &'static str> {
        let word = |key: &str| description.get(key).and_then(serde_json::Value::as_str);
        let issuer = word("issuer").ok_or("its description names no issuer")?;
        if format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/')) != at.as_str() {
            return Err("its description is that of another issuer");
        }
        let [token, authorization, revocation] = registration.stated()?;
        let endpoint = |entered: Option<Url>, key: &str| match (entered, word(key)) {
            (None, Some(text)) => address(text, None).map(Some),
            (entered, _) => Ok(entered),
        };
        let token =
            endpoint(token, "token_endpoint")?.ok_or("its description names no token endpoint")?;
        Ok(Self {
            refresh: token.clone(),
            token,
            authorization: endpoint(authorization, "authorization_endpoint")?,
            revocation: endpoint(revocation, "revocation_endpoint")?,
            issuer: Some(issuer.to_owned()),
            offline_access: description["scopes_supported"]
                .as_array()
                .is_some_and(|scopes| scopes.iter().any(|scope| scope == "offline_access")),
        })
    }

    /// Where the client's secret goes.
    pub fn origins(&self) -> BTreeSet<String> {
        let urls = [
            Some(&self.token),
            Some(&self.refresh),
            self.revocation.as_ref(),
        ];
        urls.into_iter().flatten().map(origin).collect()
    }
}

/// The serialized origin of a URL.
pub fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The address of an issuer's description; a document may name the issuer in its place.
fn discovery(text: &str, base: Option<&Url>) -> Result<Url, &'static str> {
    let mut url = address(text, base)?;
    if !url.path().ends_with(WELL_KNOWN) {
        let path = format!("{}{WELL_KNOWN}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    Ok(url)
}

fn address(text: &str, base: Option<&Url>) -> Result<Url, &'static str> {
    let parsed = match (Url::parse(text), base) {
        (Err(url::ParseError::RelativeUrlWithoutBase), Some(base)) => {
            // The last segment of an API's address is a folder.
            let mut folder = base.clone();
            if !folder.path().ends_with('/') {
                folder.set_path(&format!("{}/", base.path()));
            }
            folder.join(text)
        }
        (parsed, _) => parsed,
    };
    let mut url = parsed.map_err(|_| "an address of the authorization server is no URL")?;
    let has_user = !url.username().is_empty() || url.password().is_some();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || has_user {
        return Err("an address of the authorization server is no http or https URL");
    }
    url.set_fragment(None);
    Ok(url)
}

fn read_secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(SecretString::from))
}

/// Into what is sealed only.
#[expect(clippy::ref_option, reason = "serde hands a reference to the field")]
fn write_secret<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
    secret
        .as_ref()
        .map(ExposeSecret::expose_secret)
        .serialize(to)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scheme(flows: serde_json::Value) -> SecurityScheme {
        SecurityScheme::OAuth2 { flows }
    }

    fn both() -> SecurityScheme {
        scheme(json!({
            "clientCredentials": {"tokenUrl": "https://auth.example/token", "scopes": {}},
            "authorizationCode": {
                "authorizationUrl": "https://login.example/a", "tokenUrl": "oauth/token",
                "refreshUrl": "https://other.example/r", "scopes": {},
            },
        }))
    }

    fn source(scheme: &SecurityScheme, text: &str) -> TokenSource {
        let read = Registration::read(scheme, text).unwrap().unwrap();
        let base = "https://api.example/v1".parse().unwrap();
        let needed = BTreeSet::from(["read".to_owned()]);
        TokenSource::new(
            ("oauth", scheme),
            &OAuthClient::new(read),
            Some(&base),
            needed,
        )
    }

    #[test]
    fn a_client_is_told_from_a_token() {
        let scheme = both();
        for token in ["abc", "eyJ.x.y", "a:b"] {
            assert!(
                Registration::read(&scheme, token).unwrap().is_none(),
                "{token}"
            );
        }
        let read = Registration::read(&scheme, "client:id:se:cret")
            .unwrap()
            .unwrap();
        assert_eq!(read.id, "id");
        assert_eq!(read.secret.unwrap().expose_secret(), "se:cret");
        assert_eq!(read.grant, Some(Grant::ClientCredentials));
        for wrong in [
            "client:id",
            "client::s",
            "client:id:",
            "{}",
            r#"{"id":"a","secret":"hidden","nonsense":1}"#,
            r#"{"id":"a","secret":"hidden","scopes":["a b"]}"#,
            r#"{"id":"a","secret":"hidden","tokenUrl":"javascript:1"}"#,
        ] {
            let error = Registration::read(&scheme, wrong).unwrap_err();
            assert!(!error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn what_is_sealed_is_read_again_and_debug_output_is_not() {
        let text = r#"{"id":"a","secret":"hidden","scopes":[],"authentication":"post"}"#;
        let read = Registration::read(&both(), text).unwrap().unwrap();
        assert!(!format!("{read:?}").contains("hidden"));
        let sealed = serde_json::to_string(&read).unwrap();
        let again: Registration = serde_json::from_str(&sealed).unwrap();
        assert_eq!(again.secret.unwrap().expose_secret(), "hidden");
        assert_eq!(again.authentication, ClientAuthentication::Post);
        assert_eq!(again.scopes, Some(Vec::new()));
    }

    #[test]
    fn endpoints_are_the_documents_unless_they_are_entered() {
        let addresses = |text: &str| match source(&both(), text).endpoints.unwrap() {
            Endpoints::Stated(addresses) => *addresses,
            Endpoints::Discovered(_) => unreachable!(),
        };
        let machine = addresses("client:a:b");
        assert_eq!(
            machine.origins(),
            BTreeSet::from(["https://auth.example".to_owned()])
        );
        let code = addresses(r#"{"id":"a","grant":"authorizationCode"}"#);
        assert_eq!(code.token.as_str(), "https://api.example/v1/oauth/token");
        assert_eq!(code.refresh.as_str(), "https://other.example/r");
        assert_eq!(code.origins().len(), 2);
        let entered = addresses(
            r#"{"id":"a","grant":"authorizationCode","tokenUrl":"https://mine.example/t"}"#,
        );
        assert_eq!(
            entered.origins(),
            BTreeSet::from(["https://mine.example".to_owned()])
        );
        let none = source(&scheme(json!({})), "client:a:b");
        assert!(none.endpoints.unwrap_err().contains("token URL"));
    }

    #[test]
    fn scopes_are_the_tools_unless_they_are_entered() {
        assert_eq!(source(&both(), "client:a:b").scopes, ["read"]);
        let none = source(&both(), r#"{"id":"a","secret":"b","scopes":[]}"#);
        assert!(none.scopes.is_empty());
        let oidc = SecurityScheme::OpenIdConnect {
            url: "https://id.example/t".to_owned(),
        };
        let connected = source(&oidc, r#"{"id":"a","grant":"authorizationCode"}"#);
        assert_eq!(connected.scopes, ["openid", "read"]);
    }

    #[test]
    fn a_description_of_another_issuer_is_refused() {
        let at = discovery("https://id.example/tenant", None).unwrap();
        assert_eq!(
            at.as_str(),
            "https://id.example/tenant/.well-known/openid-configuration"
        );
        let said =
            |issuer: &str| json!({"issuer": issuer, "token_endpoint": "https://t.example/t"});
        let client = Registration::of_pair("a", "b");
        for right in ["https://id.example/tenant", "https://id.example/tenant/"] {
            let found = Addresses::discovered(&at, &said(right), &client).unwrap();
            assert_eq!(found.issuer.as_deref(), Some(right));
        }
        for wrong in ["https://id.example", "https://evil.example/tenant", ""] {
            assert!(
                Addresses::discovered(&at, &said(wrong), &client).is_err(),
                "{wrong}"
            );
        }
    }
}
