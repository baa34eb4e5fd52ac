//! A document becomes a server: read, define, store, serve.

pub mod binding;
mod convert;
mod given;
mod on_behalf;
mod release;
mod slug;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use tokio::sync::Semaphore;
use url::Url;

use crate::access::vault::Vault;
use crate::credential::{Secret, SecretError};
use crate::egress::Egress;
use crate::live::closed::State;
use crate::live::listed::listed;
use crate::live::{Catalog, Entry, LiveError};
use crate::mcp::plan::unreachable::unreachable;
use crate::mcp::publish::binding::{Bound, approved, home, origins, seal, secrets};
use crate::mcp::publish::convert::{Converted, check_server, convert, found_at};
pub use crate::mcp::publish::given::GivenSettings;
pub use crate::mcp::publish::on_behalf::OnBehalf;
pub use crate::mcp::publish::release::Release;
use crate::mcp::publish::release::{Held, Proposal, hold};
use crate::mcp::server::ServerSettings;
use crate::openapi::bundle::SpecFiles;
use crate::openapi::{self, DocumentError, DocumentLimits, Finding};
use crate::store::audit::NewAudit;
use crate::store::credentials::NewCredential;
use crate::store::servers::{Import, NewServer, NewVersion, ServerRow};
use crate::store::{Change, Store, StoreError};
use crate::types::{Clock, NameError, OrganizationId, ServerId, Slug, VersionId};

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
    /// For files that documents refer to by URL, and documents that are read again.
    pub egress: Egress,
    /// Whether such files are fetched at all.
    pub remote_refs: bool,
}

/// A document as it came.
#[derive(Clone, Debug)]
pub struct SpecSource {
    pub files: SpecFiles,
    /// Applied to it, in this order. `None`: those the server's current version has.
    pub overlays: Option<Vec<String>>,
}

impl SpecSource {
    /// A document that is one file, and where it was found.
    pub fn single(bytes: impl Into<Bytes>, origin: Option<Url>) -> Self {
        Self {
            files: SpecFiles::single(bytes.into(), origin),
            overlays: None,
        }
    }
}

/// What the owner said beside the document.
pub struct Publication {
    pub organization: OrganizationId,
    /// Who does it, for the audit.
    pub actor: String,
    /// The name of a server there is means: a new version of it.
    pub slug: Option<Slug>,
    /// The item of a bulk import this is. Its server is named after its title, always the same; a
    /// server that has the same document under that name is taken for it.
    pub item: Option<String>,
    pub on_behalf: OnBehalf,
    pub settings: GivenSettings,
    /// Security scheme and value.
    pub credentials: Vec<(String, String)>,
    /// For a server there is.
    pub release: Release,
    /// Of a new server: it is stored as unpublished, and served once somebody says so.
    pub draft: bool,
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
    /// The document is the one that is served already, and so are the settings.
    pub unchanged: bool,
    /// The version that is served.
    pub version: i64,
    /// The document is stored as that version, and waits until somebody promotes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staged: Option<i64>,
    pub report: Report,
    /// The credentials that were given with it.
    pub credentials: Vec<Bound>,
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
    /// Which of the document's servers is to be used cannot be found out.
    #[error("{0}")]
    Destination(String),
    /// Whose it is, and whether it is there at all, is nobody else's to know.
    #[error("this slug is taken; choose another `slug`")]
    Taken,
    #[error("`slug`: {0}")]
    Name(#[from] NameError),
    #[error("too many imports are waiting")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Live(#[from] LiveError),
    #[error("{0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Publishes a document. When this returns, the server is served as the document says.
pub async fn publish(
    cx: &Publisher,
    source: SpecSource,
    publication: Publication,
) -> Result<Published, PublishError> {
    let origin = source.files.url.clone();
    let existing = publication
        .slug
        .as_ref()
        .and_then(|slug| cx.catalog.find(slug.as_str()));
    let existing = existing.filter(|entry| entry.organization == publication.organization);
    publication.on_behalf.check(existing.as_deref())?;
    if let (None, Some(slug)) = (&existing, &publication.slug) {
        check_name(cx, slug, &publication.settings).await?;
    }
    let overlays = match source.overlays {
        Some(given) => given,
        None => overlays_of(cx, existing.as_deref()).await?,
    };
    let allow = publication.settings.may_reach(existing.as_deref());
    let (document, mut converted) = convert(cx, (source.files, &overlays), &allow).await?;
    check_server(&converted.tools, &publication.settings)?;
    let secrets = secrets(&converted.api, &publication.credentials, cx.clock.now())?;
    let existing = match (existing, &publication.item) {
        (None, Some(item)) => {
            let owner = publication.organization;
            adopted(cx, (&converted.api.title, &document), item, owner).await?
        }
        (existing, _) => existing,
    };
    publication.on_behalf.check(existing.as_deref())?;
    let found_at = found_at(cx, existing.as_deref(), origin.as_ref()).await?;
    let current = existing.as_deref().map(|entry| entry.settings.clone());
    let settings = publication.settings.on(&current.unwrap_or_default());
    let to = settings.destination(found_at.as_ref());
    let nowhere = unreachable(&converted.api, &converted.tools, to);
    converted.findings.extend(nowhere);
    let report = converted.report();
    let version = new_version(&converted, document, &overlays)?;
    let draft = Draft {
        publication: &publication,
        converted: &converted,
        secrets: &secrets,
        version,
    };
    let outcome = match &existing {
        Some(entry) => replace(cx, entry, draft, origin).await?,
        None => create(cx, draft, origin).await?,
    };
    cx.catalog.apply(Change::Server(outcome.id)).await?;
    Ok(Published {
        id: outcome.id,
        slug: outcome.slug,
        created: existing.is_none(),
        unchanged: outcome.unchanged,
        version: outcome.version,
        staged: outcome.staged,
        report,
        credentials: outcome.bound,
    })
}

/// Whether a new server may have that name. Asked first, so that every name that is taken is answered
/// alike, whatever the document is worth.
async fn check_name(
    cx: &Publisher,
    slug: &Slug,
    settings: &GivenSettings,
) -> Result<(), PublishError> {
    // What this process itself publishes may have a name that is kept from others.
    if settings.internal.is_none() {
        slug.check_free()?;
    }
    if cx.store.is_taken(slug).await? {
        return Err(PublishError::Taken);
    }
    Ok(())
}

/// A document, ready to be stored, with everything that was said beside it.
struct Draft<'a> {
    publication: &'a Publication,
    converted: &'a Converted,
    secrets: &'a [(String, Secret)],
    version: NewVersion,
}

struct Outcome {
    id: ServerId,
    slug: Slug,
    unchanged: bool,
    version: i64,
    staged: Option<i64>,
    bound: Vec<Bound>,
}

/// The server that has the item's name and document already, though nobody remembers why.
async fn adopted(
    cx: &Publisher,
    (title, document): (&str, &[u8]),
    item: &str,
    organization: OrganizationId,
) -> Result<Option<Arc<Entry>>, PublishError> {
    let found = cx.catalog.find(&slug::stem(title, Some(item)));
    let Some(entry) = found.filter(|entry| entry.organization == organization) else {
        return Ok(None);
    };
    let row = cx.store.server(entry.id).await?;
    let same = row.is_some_and(|row| row.document_hash == hash(document));
    Ok(same.then_some(entry))
}

/// The overlays a server's current version was made with.
async fn overlays_of(cx: &Publisher, entry: Option<&Entry>) -> Result<Vec<String>, PublishError> {
    let Some(entry) = entry else {
        return Ok(Vec::new());
    };
    let row = cx.store.server(entry.id).await?;
    let kept = row.and_then(|row| row.overlays);
    let read = kept.map(|text| serde_json::from_str(&text)).transpose();
    Ok(read
        .map_err(|error| PublishError::Internal(error.into()))?
        .unwrap_or_default())
}

/// Raised by whoever changes what a document becomes: what an earlier converter made is made again
/// when the same document is imported, although the document is the same.
const CONVERSION: u32 = 5;

fn converter() -> String {
    format!("{}-{CONVERSION}", env!("CARGO_PKG_VERSION"))
}

fn new_version(
    converted: &Converted,
    bytes: Vec<u8>,
    overlays: &[String],
) -> Result<NewVersion, PublishError> {
    let overlays = (!overlays.is_empty())
        .then(|| json(&overlays))
        .transpose()?;
    Ok(NewVersion {
        id: VersionId::generate(),
        document_hash: hash(&bytes),
        document: bytes,
        document_url: None,
        overlays,
        converter: converter(),
        title: converted.api.title.clone(),
        description: converted.api.description.clone(),
        tools: json(&converted.tools)?,
        schemes: json(&converted.api.security_schemes)?,
        findings: json(&converted.findings)?,
        listed: listed(converted.api.description.as_deref(), &converted.tools),
    })
}

/// What tells documents apart.
pub fn hash(document: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, document);
    digest.as_ref().try_into().expect("SHA-256 is 32 bytes")
}

fn json(value: &impl serde::Serialize) -> Result<String, PublishError> {
    serde_json::to_string(value).map_err(|error| PublishError::Internal(error.into()))
}

/// How often an import is made again on top of somebody else's change.
const IMPORT_TRIES: usize = 5;

/// Makes a document the current version of a server there is.
async fn replace(
    cx: &Publisher,
    entry: &Entry,
    mut draft: Draft<'_>,
    origin: Option<Url>,
) -> Result<Outcome, PublishError> {
    let mut tries = IMPORT_TRIES;
    loop {
        let current = cx.store.server(entry.id).await?.ok_or(LiveError::Gone)?;
        let outcome = replace_once(cx, entry, &current, (&mut draft, origin.as_ref())).await;
        match outcome {
            Err(PublishError::Store(StoreError::Stale)) if tries > 1 => tries -= 1,
            outcome => return outcome,
        }
    }
}

async fn replace_once(
    cx: &Publisher,
    entry: &Entry,
    current: &ServerRow,
    (draft, origin): (&mut Draft<'_>, Option<&Url>),
) -> Result<Outcome, PublishError> {
    let internal = |error: serde_json::Error| PublishError::Internal(error.into());
    let publication = draft.publication;
    let before: ServerSettings = serde_json::from_str(&current.settings).map_err(internal)?;
    let mut settings = publication.settings.on(&before);
    if current.document_hash == draft.version.document_hash && settings.upstream.is_none() {
        // The demo's own document means the demo still.
        settings.internal.clone_from(&before.internal);
    }
    let (before, after) = (json(&before)?, json(&settings)?);
    // A document that comes without an address is that of the address it had.
    let version = &mut draft.version;
    version.document_url = origin.map(Url::to_string).or(current.document_url.clone());
    let same = current.document_hash == version.document_hash
        && current.document_url == version.document_url
        && current.overlays == version.overlays
        && current.converter == version.converter;
    let approved = approved(cx, entry.id).await?;
    let draft = &*draft;
    let bound = draft.bound(&settings, &approved);
    let credentials = draft.seal(cx, (publication.organization, entry.id), &bound)?;
    let unchanged = same && before == after;
    let mut outcome = Outcome {
        id: entry.id,
        slug: entry.slug.clone(),
        unchanged,
        version: current.number,
        staged: None,
        bound,
    };
    let mut act = act(publication, "import", &entry.slug);
    let noted = json!({
        "document": (!same).then(|| hex::encode(draft.version.document_hash)),
        "settings": (before != after).then_some(&settings),
        "credentials": outcome.bound,
    });
    act.before = (before != after).then(|| json!({ "settings": before }).to_string());
    act.after = Some(noted.to_string());
    let proposal = Proposal {
        entry,
        current,
        settings: &settings,
        version: &draft.version,
        same,
    };
    if let Some(held) = hold(cx, &proposal, publication.release, &act).await? {
        outcome.unchanged = held == Held::Known;
        outcome.staged = held.number();
        return Ok(outcome);
    }
    if !unchanged || !credentials.is_empty() {
        let import = Import {
            version: (!same).then_some(&draft.version),
            settings: (before != after).then_some(&*after),
            credentials: &credentials,
            expected: Some(current.revision),
        };
        let now = cx.clock.now();
        let number = cx.store.import(entry.id, import, &act, now).await?;
        outcome.version = number.unwrap_or(current.number);
    }
    Ok(outcome)
}

async fn create(
    cx: &Publisher,
    mut draft: Draft<'_>,
    origin: Option<Url>,
) -> Result<Outcome, PublishError> {
    let publication = draft.publication;
    let title = &draft.converted.api.title;
    let id = ServerId::generate();
    draft.version.document_url = origin.map(Into::into);
    let settings = publication.settings.on(&ServerSettings::of_new());
    let bound = draft.bound(&settings, &HashMap::new());
    let credentials = draft.seal(cx, (publication.organization, id), &bound)?;
    let mut taken = HashSet::new();
    let given = publication.slug.clone();
    let mut new = NewServer {
        id,
        slug: given
            .clone()
            .unwrap_or_else(|| free_slug(cx, publication, title, &taken)),
        owner: publication.on_behalf.owner,
        closed: publication.draft.then(|| State::Unpublished.word()),
        settings: json(&settings)?,
        version: draft.version,
        credentials,
    };
    let noted = json!({ "title": title, "settings": settings, "credentials": bound }).to_string();
    loop {
        let mut act = act(publication, "create", &new.slug);
        act.after = Some(noted.clone());
        match cx.store.create_server(&new, &act, cx.clock.now()).await {
            // Another import of this title was faster.
            Err(StoreError::Conflict(constraint))
                if given.is_none()
                    && constraint.contains("slug")
                    && taken.len() < SLUGS_TRIED_MAX =>
            {
                taken.insert(new.slug);
                new.slug = free_slug(cx, publication, title, &taken);
            }
            Err(StoreError::Conflict(constraint)) if constraint.contains("slug") => {
                return Err(PublishError::Taken);
            }
            done => break done?,
        }
    }
    Ok(Outcome {
        id,
        slug: new.slug,
        unchanged: false,
        version: 1,
        staged: None,
        bound,
    })
}

fn free_slug(
    cx: &Publisher,
    publication: &Publication,
    title: &str,
    taken: &HashSet<Slug>,
) -> Slug {
    match &publication.item {
        Some(item) => slug::of_item(&cx.catalog, title, item, taken),
        None => slug::free(&cx.catalog, title, taken),
    }
}

/// How many names an import tries that others take at the same moment.
const SLUGS_TRIED_MAX: usize = 100;

impl Draft<'_> {
    /// Where each credential that was given may go: to the document's own server or the owner's
    /// upstream, and where it was approved for before. An operation's own server waits for somebody
    /// to look at it.
    fn bound(
        &self,
        settings: &ServerSettings,
        approved: &HashMap<String, BTreeSet<String>>,
    ) -> Vec<Bound> {
        let document = self.version.document_url.as_deref();
        let document = document.and_then(|url| Url::parse(url).ok());
        let to = settings.destination(document.as_ref());
        let home = home(&self.converted.api, to);
        let bind = |(scheme, _): &(String, Secret)| {
            let wanted = origins(scheme, &self.converted.tools, to);
            let before = approved.get(scheme);
            let (origins, not_approved) = wanted.into_iter().partition(|origin| {
                home.as_ref() == Some(origin) || before.is_some_and(|set| set.contains(origin))
            });
            Bound {
                scheme: scheme.clone(),
                origins,
                not_approved,
            }
        };
        self.secrets.iter().map(bind).collect()
    }

    fn seal(
        &self,
        cx: &Publisher,
        owner: (OrganizationId, ServerId),
        bound: &[Bound],
    ) -> Result<Vec<NewCredential>, PublishError> {
        let pairs = self.secrets.iter().zip(bound);
        pairs
            .map(|((scheme, secret), bound)| {
                let secret = secret.approved_for(&bound.origins);
                seal(cx, owner, scheme, &secret, &bound.origins)
            })
            .collect()
    }
}

fn act(publication: &Publication, action: &'static str, slug: &Slug) -> NewAudit {
    let who = (publication.organization, publication.actor.clone());
    NewAudit::of_server(who, action, slug)
}
