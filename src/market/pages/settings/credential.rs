//! The credentials of a server as its settings list them. Never a secret.

use askama::Template;
use serde_json::Value;

use crate::credential::{self, Secret};
use crate::market::language::{Html, Language};
use crate::market::pages::Frame;
use crate::mcp::server::Server;
use crate::openapi::{Location, SecurityRequirement, SecurityScheme};

/// A security scheme of the document, and whether there is a credential for it. Never the
/// credential.
#[derive(Clone, Debug, PartialEq)]
pub struct CredentialRow {
    pub scheme: String,
    /// The document has the scheme no more; the credential is stored and unused.
    pub gone: bool,
    /// It can be decrypted with the master key in use.
    pub readable: bool,
    /// As the document has it now.
    pub kind: Option<SecurityScheme>,
    pub basic: bool,
    /// A TLS client certificate.
    pub certificate: bool,
    /// Causeway can send such a credential.
    pub supported: bool,
    /// Tools that may use it.
    pub tools: usize,
    pub set: bool,
    /// Each user has one of their own.
    pub each_user: bool,
    /// Where it may go.
    pub origins: Vec<String>,
    /// Where calls go that it may not.
    pub waiting: Vec<String>,
    /// Where the calls that use it go: what whoever enters it approves.
    pub destinations: Vec<String>,
    /// Clients that may be entered in place of a token; none but for OAuth 2 and OpenID Connect.
    pub offers: Vec<ClientOffer>,
    pub client: Option<ClientRow>,
}

/// A grant the document offers, and where a client's secret would go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOffer {
    /// `clientCredentials` or `authorizationCode`.
    pub grant: String,
    pub token_origins: Vec<String>,
}

impl ClientOffer {
    fn read(offer: &Value) -> Option<Self> {
        Some(Self {
            grant: offer["grant"].as_str()?.to_owned(),
            token_origins: serde_json::from_value(offer["tokenOrigins"].clone())
                .unwrap_or_default(),
        })
    }

    /// An administrator connects it, and it does not get its tokens by itself.
    pub fn connects(&self) -> bool {
        self.grant == "authorizationCode"
    }
}

/// The OAuth client that is held. Never its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRow {
    pub id: String,
    pub connects: bool,
    pub connected: bool,
    pub token_origins: Vec<String>,
    /// Where its secret would go now, and may not.
    pub waiting: Vec<String>,
}

impl ClientRow {
    fn read(client: &Value) -> Option<Self> {
        let names = |key: &str| serde_json::from_value(client[key].clone()).unwrap_or_default();
        Some(Self {
            id: client["id"].as_str()?.to_owned(),
            connects: client["grant"] == "authorizationCode",
            connected: client["connected"] == true,
            token_origins: names("tokenOrigins"),
            waiting: names("notApproved"),
        })
    }
}

/// What `Connect` leads to: a link to the authorization server.
#[derive(Debug, Template)]
#[template(path = "connecting.html")]
pub struct ConnectingPage {
    pub frame: Frame,
    /// Where it was begun.
    pub back: String,
    /// It is for somebody's own calls, and not for all of a server.
    pub own: bool,
    pub title: String,
    pub scheme: String,
    /// The authorization server's origin.
    pub host: String,
    pub url: String,
}

impl CredentialRow {
    /// From a row of the management API; nothing where that is not understood.
    pub fn read(row: &Value, server: &Server) -> Option<Self> {
        let scheme: Option<SecurityScheme> = serde_json::from_value(row["type"].clone()).ok()?;
        let name = row["scheme"].as_str()?;
        let names = |key: &str| serde_json::from_value(row[key].clone()).unwrap_or_default();
        let uses = |alternative: &SecurityRequirement| alternative.0.contains_key(name);
        let tools = server.tools.values();
        Some(Self {
            scheme: name.to_owned(),
            gone: scheme.is_none(),
            readable: row["readable"] == true,
            basic: scheme == Some(SecurityScheme::Basic),
            certificate: scheme == Some(SecurityScheme::MutualTls),
            supported: scheme.as_ref().is_some_and(|scheme| {
                matches!(scheme, SecurityScheme::Basic | SecurityScheme::MutualTls)
                    || credential::check(scheme, &Secret::Token("x".into())).is_ok()
            }),
            tools: tools
                .filter(|tool| tool.def.binding.security.iter().any(uses))
                .count(),
            set: row["set"] == true,
            each_user: row["eachUser"] == true,
            origins: names("origins"),
            waiting: names("notApproved"),
            destinations: names("destinations"),
            offers: row["oauth"]["offers"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(ClientOffer::read)
                .collect(),
            client: ClientRow::read(&row["oauth"]["client"]),
            kind: scheme,
        })
    }

    /// What it wants: `an API key in the header X-Key`.
    pub fn words(&self, language: Language) -> Html {
        let Some(kind) = &self.kind else {
            return Html::default();
        };
        let said = match kind {
            SecurityScheme::ApiKey { name, location } => {
                let key = match location {
                    Location::Path => "kind-key-path",
                    Location::Query | Location::Querystring => "kind-key-query",
                    Location::Header => "kind-key-header",
                    Location::Cookie => "kind-key-cookie",
                };
                language.say(key).with("name", name)
            }
            SecurityScheme::Basic => language.say("kind-basic"),
            SecurityScheme::Bearer => language.say("kind-bearer"),
            SecurityScheme::Http { scheme } => language.say("kind-http").with("scheme", scheme),
            SecurityScheme::OAuth2 { .. } => language.say("kind-oauth"),
            SecurityScheme::OpenIdConnect { .. } => language.say("kind-openid"),
            SecurityScheme::MutualTls => language.say("kind-certificate"),
        };
        said.into()
    }
}
