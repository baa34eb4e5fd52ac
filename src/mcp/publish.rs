//! A document becomes a server: read, define, store, serve.

use std::collections::BTreeSet;
use std::sync::Arc;

use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;
use tokio::sync::Semaphore;
use url::Url;

use crate::access::vault::{RowIdentity, Vault, VaultError};
use crate::credential::{Secret, SecretError};
use crate::live::loader::SealedSecret;
use crate::live::{Catalog, Entry, LiveError};
use crate::mcp::plan;
use crate::mcp::server::ServerSettings;
use crate::mcp::tool::{self, ToolDef, name};
use crate::openapi::{self, Api, DocumentError, DocumentLimits, Finding, Severity};
use crate::store::audit::NewAudit;
use crate::store::credentials::NewCredential;
use crate::store::servers::{NewServer, NewVersion};
use crate::store::{Change, Store, StoreError};
use crate::types::{Clock, CredentialId, OrganizationId, ServerId, Slug, VersionId};

/// What publishing needs. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    pub store: Store,
    pub vault: Arc<Vault>,
    pub catalog: Catalog,
    pub clock: Clock,
    pub limits: DocumentLimits,
    /// How many documents are converted at once.
    pub converting: Arc<Semaphore>,
}

/// A document as it came.
pub struct SpecSource {
    pub bytes: Vec<u8>,
    /// Where it was found.
    pub origin: Option<Url>,
}

/// What the owner said beside the document.
pub struct Publication {
    pub organization: OrganizationId,
    /// Who does it, for the audit.
    pub actor: String,
    /// The name of a server there is means: a new version of it.
    pub slug: Option<Slug>,
    /// For a new server. A new version keeps what is set, but for the upstream.
    pub settings: ServerSettings,
    /// Security scheme and value.
    pub credentials: Vec<(String, String)>,
}

/// What became of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    #[serde(skip)]
    pub id: ServerId,
    pub slug: Slug,
    /// Made now; otherwise a new version of a server there was.
    pub created: bool,
    /// The document is the one that is served already; nothing was changed.
    pub unchanged: bool,
    pub report: Report,
}

/// The conversion report.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub title: String,
    pub openapi: openapi::SpecVersion,
    pub tools: usize,
    pub lost: usize,
    pub warnings: usize,
    pub notes: usize,
    pub findings: Vec<Finding>,
}

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error("no operation of the document can be served")]
    NoTools(Vec<Finding>),
    /// The name that was given is not repeated: where a secret was taken for `SCHEME=VALUE`, it is
    /// a part of the secret.
    #[error("credentials: one is for none of the document's security schemes, which are: {known}")]
    UnknownScheme { known: String },
    #[error("credentials: {scheme}: {source}")]
    Credential { scheme: String, source: SecretError },
    #[error("too many imports are waiting")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Live(#[from] LiveError),
    #[error("{0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

struct Converted {
    api: Api,
    tools: Vec<ToolDef>,
    findings: Vec<Finding>,
}

/// Publishes a document. When this returns, the server is served as the document says.
pub async fn publish(
    cx: &Publisher,
    source: SpecSource,
    publication: Publication,
) -> Result<Published, PublishError> {
    let SpecSource { bytes, origin } = source;
    let (bytes, converted) = convert(cx, bytes).await?;
    let secrets = secrets(&converted.api, &publication.credentials)?;
    let report = converted.report();
    let existing = publication
        .slug
        .as_ref()
        .and_then(|slug| cx.catalog.find(slug.as_str()));
    let existing = existing.filter(|entry| entry.organization == publication.organization);
    let settings = existing
        .as_ref()
        .map_or(&publication.settings, |entry| &entry.settings);
    let origins = origins(
        &converted.tools,
        settings.upstream.as_deref(),
        origin.as_ref(),
    );
    let id = existing
        .as_ref()
        .map_or_else(ServerId::generate, |entry| entry.id);
    let owner = (publication.organization, id);
    let credentials: Vec<NewCredential> = secrets
        .iter()
        .map(|(scheme, secret)| seal(cx, owner, scheme, secret, &origins))
        .collect::<Result<_, _>>()?;
    let mut version = new_version(&converted, bytes, origin.as_ref())?;
    version.credentials = credentials;
    let outcome = match &existing {
        Some(entry) => replace(cx, entry, version, &publication).await?,
        None => create(cx, (id, &converted.api.title), version, &publication).await?,
    };
    cx.catalog.apply(Change::Server(outcome.0)).await?;
    Ok(Published {
        id: outcome.0,
        slug: outcome.1,
        created: outcome.2,
        unchanged: outcome.3,
        report,
    })
}

/// Reads and defines off the async threads, two documents at once.
async fn convert(cx: &Publisher, bytes: Vec<u8>) -> Result<(Vec<u8>, Converted), PublishError> {
    let _permit = cx
        .converting
        .acquire()
        .await
        .map_err(|_| PublishError::Busy)?;
    let limits = cx.limits.clone();
    let work = move || {
        let api = openapi::read(&bytes, &limits)?;
        let defined = tool::define(&api);
        let mut findings = api.findings.clone();
        findings.extend(defined.findings);
        if defined.tools.is_empty() {
            return Err(PublishError::NoTools(findings));
        }
        Ok((
            bytes,
            Converted {
                api,
                tools: defined.tools,
                findings,
            },
        ))
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| PublishError::Internal(error.into()))?
}

impl Converted {
    fn report(&self) -> Report {
        let count = |severity| {
            self.findings
                .iter()
                .filter(|f| f.severity == severity)
                .count()
        };
        Report {
            title: self.api.title.clone(),
            openapi: self.api.version,
            tools: self.tools.len(),
            lost: count(Severity::Lost),
            warnings: count(Severity::Warning),
            notes: count(Severity::Note),
            findings: self.findings.clone(),
        }
    }
}

fn new_version(
    converted: &Converted,
    bytes: Vec<u8>,
    origin: Option<&Url>,
) -> Result<NewVersion, PublishError> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
    Ok(NewVersion {
        id: VersionId::generate(),
        document: bytes,
        document_hash: digest.as_ref().try_into().expect("SHA-256 is 32 bytes"),
        document_url: origin.map(ToString::to_string),
        converter: env!("CARGO_PKG_VERSION").to_owned(),
        title: converted.api.title.clone(),
        description: converted.api.description.clone(),
        tools: json(&converted.tools)?,
        schemes: json(&converted.api.security_schemes)?,
        findings: json(&converted.findings)?,
        credentials: Vec::new(),
    })
}

fn json(value: &impl serde::Serialize) -> Result<String, PublishError> {
    serde_json::to_string(value).map_err(|error| PublishError::Internal(error.into()))
}

type Outcome = (ServerId, Slug, bool, bool);

async fn replace(
    cx: &Publisher,
    entry: &Entry,
    version: NewVersion,
    publication: &Publication,
) -> Result<Outcome, PublishError> {
    let current = cx.store.server(entry.id).await?.ok_or(LiveError::Gone)?;
    let same = current.document_hash == version.document_hash
        && current.document_url == version.document_url;
    if same {
        for credential in version.credentials {
            cx.store.put_credential(credential, cx.clock.now()).await?;
        }
    } else {
        let number = current.number + 1;
        cx.store
            .publish_version(publication.organization, entry.id, version, cx.clock.now())
            .await?;
        let after = json!({ "version": number });
        audit(cx, publication, "import", &entry.slug, &after).await?;
    }
    Ok((entry.id, entry.slug.clone(), false, same))
}

async fn create(
    cx: &Publisher,
    (id, title): (ServerId, &str),
    version: NewVersion,
    publication: &Publication,
) -> Result<Outcome, PublishError> {
    let settings = json(&publication.settings)?;
    let slug = publication
        .slug
        .clone()
        .unwrap_or_else(|| free_slug(&cx.catalog, title));
    let new = NewServer {
        id,
        organization: publication.organization,
        slug: slug.clone(),
        settings,
        version,
    };
    cx.store.create_server(new, cx.clock.now()).await?;
    audit(cx, publication, "create", &slug, &json!({ "title": title })).await?;
    Ok((id, slug, true, false))
}

async fn audit(
    cx: &Publisher,
    publication: &Publication,
    action: &'static str,
    slug: &Slug,
    after: &serde_json::Value,
) -> Result<(), StoreError> {
    let act = NewAudit {
        organization: publication.organization,
        actor: publication.actor.clone(),
        action,
        entity: "server",
        entity_id: slug.to_string(),
        before: None,
        after: Some(after.to_string()),
    };
    cx.store.append_audit(act, cx.clock.now()).await
}

/// A slug made of a title that no server has.
pub fn free_slug(catalog: &Catalog, title: &str) -> Slug {
    let text = name::identifier(title)
        .to_ascii_lowercase()
        .replace('_', "-");
    let stem = text[..text.len().min(Slug::LENGTH_MAX - 5)]
        .trim_matches('-')
        .to_owned();
    let stem = if stem.parse::<Slug>().is_ok() {
        stem
    } else {
        "api".to_owned()
    };
    (1..10_000)
        .map(|n| {
            if n == 1 {
                stem.clone()
            } else {
                format!("{stem}-{n}")
            }
        })
        .find(|candidate| catalog.find(candidate).is_none())
        .and_then(|candidate| candidate.parse().ok())
        .unwrap_or_else(|| "api".parse().expect("a valid slug"))
}

fn secrets(api: &Api, given: &[(String, String)]) -> Result<Vec<(String, Secret)>, PublishError> {
    given
        .iter()
        .map(|(scheme, text)| {
            let found =
                api.security_schemes
                    .get(scheme)
                    .ok_or_else(|| PublishError::UnknownScheme {
                        known: known(api.security_schemes.keys()),
                    })?;
            let secret =
                Secret::for_scheme(found, text).map_err(|source| PublishError::Credential {
                    scheme: scheme.clone(),
                    source,
                })?;
            Ok((scheme.clone(), secret))
        })
        .collect()
}

fn known<'n>(names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// The origins a server's tools go to: what a credential is approved for when it is entered.
pub fn origins(
    tools: &[ToolDef],
    upstream: Option<&str>,
    document: Option<&Url>,
) -> BTreeSet<String> {
    tools
        .iter()
        .filter_map(|tool| plan::base_url(tool, upstream, document).ok())
        .map(|url| url.origin().ascii_serialization())
        .collect()
}

/// Seals a credential and stores it, bound to `origins`.
pub async fn store_credential(
    cx: &Publisher,
    owner: (OrganizationId, ServerId),
    scheme: &str,
    secret: &Secret,
    origins: &BTreeSet<String>,
) -> Result<(), PublishError> {
    let new = seal(cx, owner, scheme, secret, origins)?;
    Ok(cx.store.put_credential(new, cx.clock.now()).await?)
}

/// A credential as it is stored: sealed, and bound to `origins`.
fn seal(
    cx: &Publisher,
    (organization, server): (OrganizationId, ServerId),
    scheme: &str,
    secret: &Secret,
    origins: &BTreeSet<String>,
) -> Result<NewCredential, PublishError> {
    let internal = |error: serde_json::Error| PublishError::Internal(error.into());
    let id = CredentialId::generate();
    let plain = match secret {
        Secret::Token(token) => SealedSecret::Token {
            value: token.expose_secret().to_owned(),
        },
        Secret::Basic { user, password } => SealedSecret::Basic {
            user: user.clone(),
            password: password.expose_secret().to_owned(),
        },
    };
    let plain = zeroize::Zeroizing::new(serde_json::to_vec(&plain).map_err(internal)?);
    let sealed = cx
        .vault
        .seal(
            &plain,
            &RowIdentity {
                organization,
                row: id.0,
            },
        )
        .map_err(|error: VaultError| PublishError::Internal(error.into()))?;
    Ok(NewCredential {
        id,
        organization,
        server,
        scheme: scheme.to_owned(),
        subject: None,
        key_id: sealed.key_id,
        sealed: sealed.bytes,
        origins: serde_json::to_string(origins).map_err(internal)?,
    })
}
