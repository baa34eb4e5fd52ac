//! Rows become servers: settings parsed, credentials opened, everything compiled off the async threads.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use indexmap::IndexMap;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use url::Url;

use crate::access::vault::{RowIdentity, Sealed, Vault};
use crate::credential::oauth::{OAuthClient, Registration};
use crate::credential::{Credential, Credentials, Identity, IdentityError, Secret};
use crate::egress::{Egress, InternalService, Upstream};
use crate::live::closed::Closed;
use crate::live::{Entry, LiveError, listed};
use crate::mcp::curation::Curations;
use crate::mcp::server::{Server, ServerParts, ServerSettings};
use crate::openapi::{self, OperationKey};
use crate::search::shelf::{Listing, Shelf};
use crate::store::credentials::CredentialRow;
use crate::store::curations::CurationRow;
use crate::store::servers::{IndexRow, ServerRow};
use crate::store::versions::VersionParts;
use crate::store::{Store, StoreError};
use crate::types::{CredentialId, OrganizationId, ServerId, UserId, VersionId};

/// Servers compiled at once.
const COMPILING_MAX: usize = 2;

/// Loads servers from the store. Cheap to clone.
#[derive(Clone)]
pub struct Loader(Arc<Parts>);

struct Parts {
    store: Store,
    vault: Arc<Vault>,
    egress: Egress,
    /// Services inside this process, by the name a server's settings call them.
    internal: HashMap<String, InternalService>,
    compiling: Arc<Semaphore>,
}

/// Everything that is stored of a server.
struct Stored {
    row: ServerRow,
    credentials: Vec<CredentialRow>,
    curations: Curations,
    /// The version that so many of a hundred consumers are served.
    canary: Option<(VersionParts, u8)>,
}

/// What one version is compiled from.
#[derive(Clone, Copy)]
struct Version<'a> {
    id: uuid::Uuid,
    title: &'a str,
    description: Option<&'a str>,
    document_url: Option<&'a str>,
    tools: &'a str,
    schemes: &'a str,
}

/// What is sealed of a credential.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum SealedSecret {
    Token {
        value: String,
    },
    Basic {
        user: String,
        password: String,
    },
    Client {
        registration: Box<Registration>,
    },
    /// A client certificate and its key, as they were entered.
    Identity {
        pem: String,
    },
}

/// Why what was opened is no credential.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error(transparent)]
    Origins(#[from] serde_json::Error),
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl SealedSecret {
    /// As it is held, of the row it was sealed in.
    fn into_secret(self, row: &CredentialRow) -> Result<Secret, Unread> {
        Ok(match self {
            Self::Token { value } => Secret::Token(SecretString::from(value)),
            Self::Basic { user, password } => Secret::Basic {
                user,
                password: SecretString::from(password),
            },
            Self::Client { registration } => {
                let origins = row.token_origins.as_deref().unwrap_or("[]");
                Secret::Client(Box::new(OAuthClient {
                    registration: *registration,
                    credential: CredentialId(row.id),
                    connection: row.connection_id,
                    origins: serde_json::from_str(origins)?,
                }))
            }
            Self::Identity { pem } => {
                let pem = zeroize::Zeroizing::new(pem);
                Secret::Identity(Box::new(Identity::parse(&pem)?))
            }
        })
    }
}

impl Loader {
    pub fn new(
        store: Store,
        vault: Arc<Vault>,
        egress: Egress,
        internal: HashMap<String, InternalService>,
    ) -> Self {
        Self(Arc::new(Parts {
            store,
            vault,
            egress,
            internal,
            compiling: Arc::new(Semaphore::new(COMPILING_MAX)),
        }))
    }

    /// The whole index, each entry with its aliases.
    pub(super) async fn entries(&self) -> Result<Vec<(Entry, Vec<String>)>, StoreError> {
        let mut aliases: HashMap<ServerId, Vec<String>> = HashMap::new();
        for row in self.0.store.aliases().await? {
            aliases
                .entry(ServerId(row.server_id))
                .or_default()
                .push(row.slug);
        }
        let rows = self.0.store.index().await?;
        Ok(rows
            .into_iter()
            .filter_map(entry)
            .map(|entry| {
                let aliases = aliases.remove(&entry.id).unwrap_or_default();
                (entry, aliases)
            })
            .collect())
    }

    pub(super) async fn entry(
        &self,
        id: ServerId,
    ) -> Result<Option<(Entry, Vec<String>)>, LiveError> {
        let row = self.0.store.index_row(id).await.map_err(unavailable)?;
        let Some(entry) = row.and_then(entry) else {
            return Ok(None);
        };
        let aliases = self.0.store.aliases_of(id).await.map_err(unavailable)?;
        Ok(Some((
            entry,
            aliases.into_iter().map(|row| row.slug).collect(),
        )))
    }

    /// Every server as the catalog lists it.
    pub(super) async fn shelf(&self) -> Result<Shelf, StoreError> {
        listed::shelf(&self.0.store).await
    }

    pub(super) async fn listing(&self, id: ServerId) -> Result<Option<Arc<Listing>>, LiveError> {
        let store = &self.0.store;
        let Some(row) = store.listed_one(id).await.map_err(unavailable)? else {
            return Ok(None);
        };
        let own = curations(store.curations(id).await.map_err(unavailable)?);
        Ok(listed::listing(row, &own).map(Arc::new))
    }

    pub(super) async fn revisions(&self) -> Result<Vec<(ServerId, i64)>, StoreError> {
        let rows = self.0.store.revisions().await?;
        Ok(rows
            .into_iter()
            .map(|row| (ServerId(row.id), row.revision))
            .collect())
    }

    /// Reads and compiles a server.
    pub(super) async fn load(&self, id: ServerId) -> Result<Arc<Server>, LiveError> {
        let row = self
            .0
            .store
            .server(id)
            .await
            .map_err(unavailable)?
            .ok_or(LiveError::Gone)?;
        let store = &self.0.store;
        let credentials = store.shared_credentials(id).await.map_err(unavailable)?;
        let curations = curations(store.curations(id).await.map_err(unavailable)?);
        let canary = self.canary(id).await?;
        let stored = Stored {
            row,
            credentials,
            curations,
            canary,
        };
        let permit = self.0.compiling.clone().acquire_owned().await;
        let permit = permit.map_err(unavailable)?;
        let parts = self.clone();
        let compiled = tokio::task::spawn_blocking(move || {
            // Here, so that it is held for as long as the work goes on, whoever waits for it.
            let _permit = permit;
            parts.compile(&stored)
        });
        compiled.await.map_err(unavailable)?
    }

    /// The version that some consumers are served, if there is one.
    async fn canary(&self, id: ServerId) -> Result<Option<(VersionParts, u8)>, LiveError> {
        let store = &self.0.store;
        let rollouts = store.rollouts(id).await.map_err(unavailable)?;
        let Some(canary) = rollouts.iter().find(|rollout| rollout.kind == "canary") else {
            return Ok(None);
        };
        let version = store.version(id, canary.number).await;
        let percent = u8::try_from(canary.percent).unwrap_or(0);
        Ok(version
            .map_err(unavailable)?
            .map(|version| (version, percent)))
    }

    /// Opens the credentials of a server. One that does not open costs the calls that need it, and
    /// nothing else.
    fn open(&self, server: &ServerRow, rows: &[CredentialRow]) -> Result<Credentials, LiveError> {
        let organization = OrganizationId(server.organization_id);
        let mut by_scheme = IndexMap::new();
        let mut unreadable = BTreeSet::new();
        for row in rows {
            let sealed = Sealed {
                key_id: row.key_id.clone(),
                bytes: row.sealed.clone(),
            };
            let identity = RowIdentity {
                organization,
                row: row.id,
                subject: None,
            };
            let opened = match self.0.vault.open(&sealed, &identity) {
                Ok(opened) => opened,
                Err(error) => {
                    let (slug, scheme) = (&server.slug, &row.scheme);
                    tracing::error!(server.slug = %slug, %scheme, %error, "a credential cannot be opened");
                    unreadable.insert(row.scheme.clone());
                    continue;
                }
            };
            let secret: SealedSecret = serde_json::from_slice(&opened).map_err(unavailable)?;
            let secret = match secret.into_secret(row) {
                Ok(secret) => secret,
                Err(error) => {
                    let (slug, scheme) = (&server.slug, &row.scheme);
                    tracing::error!(server.slug = %slug, %scheme, %error, "a credential cannot be read");
                    unreadable.insert(row.scheme.clone());
                    continue;
                }
            };
            let origins: BTreeSet<String> =
                serde_json::from_str(&row.origins).map_err(unavailable)?;
            by_scheme.insert(row.scheme.clone(), Credential { secret, origins });
        }
        Ok(Credentials::new(by_scheme).with_unreadable(unreadable))
    }

    fn compile(&self, stored: &Stored) -> Result<Arc<Server>, LiveError> {
        let row = &stored.row;
        let mut server = self.compile_version(
            stored,
            Version {
                id: row.version_id,
                title: &row.title,
                description: row.description.as_deref(),
                document_url: row.document_url.as_deref(),
                tools: &row.tools,
                schemes: &row.schemes,
            },
        )?;
        if let Some((version, percent)) = &stored.canary {
            let canary = self.compile_version(
                stored,
                Version {
                    id: version.id,
                    title: &version.title,
                    description: version.description.as_deref(),
                    document_url: version.document_url.as_deref(),
                    tools: &version.tools,
                    schemes: &version.schemes,
                },
            )?;
            server.try_on(canary, *percent);
        }
        Ok(Arc::new(server))
    }

    fn compile_version(&self, stored: &Stored, version: Version<'_>) -> Result<Server, LiveError> {
        let row = &stored.row;
        let settings: ServerSettings = serde_json::from_str(&row.settings).map_err(unavailable)?;
        let upstream = self.upstream(&settings);
        let own = settings.user_accounts.clone();
        let parts = ServerParts {
            id: ServerId(row.id),
            organization: OrganizationId(row.organization_id),
            slug: row.slug.parse().map_err(unavailable)?,
            version: VersionId(version.id),
            revision: row.revision,
            title: version.title.to_owned(),
            description: version.description.map(str::to_owned),
            settings,
            document_url: version.document_url.and_then(|url| Url::parse(url).ok()),
            tools: serde_json::from_str(version.tools).map_err(unavailable)?,
            curations: stored.curations.clone(),
            schemes: serde_json::from_str(version.schemes).map_err(unavailable)?,
            credentials: self.open(row, &stored.credentials)?.of_each_user(&own),
            upstream,
        };
        // A schema may go deeper than this thread's stack does.
        let (mut server, findings) = openapi::deep(|| Server::compile(parts));
        server.owner = row.owner_id.map(UserId);
        if !findings.is_empty() {
            tracing::debug!(server.slug = %server.slug, findings = findings.len(), "compiled with findings");
        }
        Ok(server)
    }

    fn upstream(&self, settings: &ServerSettings) -> Upstream {
        let internal = settings
            .internal
            .as_ref()
            .and_then(|name| self.0.internal.get(name));
        if let Some(service) = internal {
            return Upstream::Internal(service.clone());
        }
        self.0.egress.upstream_within(settings.reach())
    }
}

/// Rows as curations. One that cannot be read changes nothing, which is logged.
pub fn curations(rows: Vec<CurationRow>) -> Curations {
    let read = |row: CurationRow| match serde_json::from_str(&row.changes) {
        Ok(curation) => Some((OperationKey(row.operation), curation)),
        Err(error) => {
            tracing::error!(operation = %row.operation, %error, "a curation cannot be read; it is left out");
            None
        }
    };
    rows.into_iter().filter_map(read).collect()
}

fn entry(row: IndexRow) -> Option<Entry> {
    let settings = serde_json::from_str(&row.settings);
    let slug = row.slug.parse();
    match (settings, slug) {
        (Ok(settings), Ok(slug)) => Some(Entry {
            id: ServerId(row.id),
            organization: OrganizationId(row.organization_id),
            slug,
            closed: Closed::read(&row).map(Arc::new),
            title: row.title,
            revision: row.revision,
            settings,
            owner: row.owner_id.map(UserId),
        }),
        (settings, _) => {
            let error = settings
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default();
            tracing::error!(server.id = %row.id, error, "a server's row cannot be read; it is not served");
            None
        }
    }
}

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LiveError {
    LiveError::unavailable(error)
}
