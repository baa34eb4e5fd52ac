//! The versions of a server: compared with one another, made the current one, and tried on some
//! consumers first.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::json;
use url::Url;

use crate::live::loader::curations;
use crate::live::{Entry, LiveError};
use crate::mcp::diff::three_way::{Comparison, three_way};
use crate::mcp::diff::{Destination, Side};
use crate::mcp::plan::base_url;
use crate::mcp::publish::Publisher;
use crate::mcp::server::ServerSettings;
use crate::mcp::tool::ToolDef;
use crate::openapi::SecurityScheme;
use crate::store::audit::NewAudit;
use crate::store::versions::Rollout;
use crate::store::{Change, StoreError};
use crate::types::OrganizationId;

/// Who does it, for the audit.
pub struct Actor {
    pub organization: OrganizationId,
    pub name: String,
}

/// Why a version is not shown, compared or served.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    #[error("there is no version {0} of this server")]
    Unknown(i64),
    #[error("version {0} is the one that is served")]
    Current(i64),
    #[error("`percent` is 1 to 99")]
    Percent,
    #[error("what is stored of version {number} cannot be read: {source}")]
    Unreadable {
        number: i64,
        source: serde_json::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Live(#[from] LiveError),
}

/// Two versions side by side.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    pub from: i64,
    pub to: i64,
    /// Whether a person has to look before it is served.
    pub needs_review: bool,
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// Compares a version with the current one, or with another.
pub async fn compare(
    cx: &Publisher,
    entry: &Entry,
    (from, to): (Option<i64>, i64),
) -> Result<Compared, VersionError> {
    let current = cx.store.server(entry.id).await?.ok_or(LiveError::Gone)?;
    let from = from.unwrap_or(current.number);
    let old = Stored::load(cx, entry, from).await?;
    let new = Stored::load(cx, entry, to).await?;
    let curations = curations(cx.store.curations(entry.id).await?);
    let settings = &entry.settings;
    let comparison = three_way(
        old.side(&|tool| old.destination(settings, tool)),
        new.side(&|tool| new.destination(settings, tool)),
        &curations,
    );
    Ok(Compared {
        from,
        to,
        needs_review: comparison.diff.needs_review(),
        comparison,
    })
}

/// A version as it is stored, its tools as the document gives them.
pub struct Stored {
    title: String,
    description: Option<String>,
    document_url: Option<Url>,
    tools: Vec<ToolDef>,
    schemes: IndexMap<String, SecurityScheme>,
}

/// What is kept of a version, of which tools and schemes are JSON.
pub struct Texts<'a> {
    pub title: &'a str,
    pub description: Option<&'a str>,
    pub document_url: Option<&'a str>,
    pub tools: &'a str,
    pub schemes: &'a str,
}

impl Stored {
    async fn load(cx: &Publisher, entry: &Entry, number: i64) -> Result<Self, VersionError> {
        let row = cx.store.version(entry.id, number).await?;
        let row = row.ok_or(VersionError::Unknown(number))?;
        let read = Self::read(Texts {
            title: &row.title,
            description: row.description.as_deref(),
            document_url: row.document_url.as_deref(),
            tools: &row.tools,
            schemes: &row.schemes,
        });
        read.map_err(|source| VersionError::Unreadable { number, source })
    }

    /// # Errors
    /// What is stored is not what this version of the program stores.
    pub fn read(texts: Texts<'_>) -> Result<Self, serde_json::Error> {
        Ok(Self {
            title: texts.title.to_owned(),
            description: texts.description.map(str::to_owned),
            document_url: texts.document_url.and_then(|url| Url::parse(url).ok()),
            tools: serde_json::from_str(texts.tools)?,
            schemes: serde_json::from_str(texts.schemes)?,
        })
    }

    /// One side of a comparison.
    pub fn side<'a>(&'a self, destination: Destination<'a>) -> Side<'a> {
        Side {
            title: &self.title,
            description: self.description.as_deref(),
            schemes: &self.schemes,
            tools: &self.tools,
            destination,
        }
    }

    /// Where a tool goes, or why it goes nowhere.
    pub fn destination(&self, settings: &ServerSettings, tool: &ToolDef) -> String {
        match base_url(tool, settings.destination(self.document_url.as_ref())) {
            Ok(url) => url.to_string(),
            Err(error) => format!("nowhere ({error})"),
        }
    }
}

/// Serves a stored version, newer or older, to everyone. When this returns, it is served.
pub async fn promote(
    cx: &Publisher,
    entry: &Entry,
    (number, expected): (i64, Option<i64>),
    actor: &Actor,
) -> Result<(), VersionError> {
    let current = cx.store.server(entry.id).await?.ok_or(LiveError::Gone)?;
    let mut act = act(actor, entry, "version.promote");
    act.before = Some(version(current.number));
    act.after = Some(version(number));
    let promoted = cx
        .store
        .promote_version((entry.id, number), expected, &act, cx.clock.now());
    if !promoted.await? {
        return Err(VersionError::Unknown(number));
    }
    Ok(cx.catalog.apply(Change::Server(entry.id)).await?)
}

/// Serves a stored version to so many of a hundred consumers; who has no key of a consumer is served
/// the current one.
pub async fn start_canary(
    cx: &Publisher,
    entry: &Entry,
    (number, percent): (i64, u8),
    actor: &Actor,
) -> Result<(), VersionError> {
    if !(1..=99).contains(&percent) {
        return Err(VersionError::Percent);
    }
    let current = cx.store.server(entry.id).await?.ok_or(LiveError::Gone)?;
    if current.number == number {
        return Err(VersionError::Current(number));
    }
    let mut act = act(actor, entry, "canary.start");
    act.before = Some(version(current.number));
    act.after = Some(json!({ "version": number, "percent": percent }).to_string());
    let started = cx
        .store
        .start_canary((entry.id, number), percent, &act, cx.clock.now());
    if !started.await? {
        return Err(VersionError::Unknown(number));
    }
    Ok(cx.catalog.apply(Change::Server(entry.id)).await?)
}

/// Ends a canary, or lets go of a version that waits. `false`: there was none.
pub async fn end(
    cx: &Publisher,
    entry: &Entry,
    rollout: Rollout,
    actor: &Actor,
) -> Result<bool, VersionError> {
    let action = match rollout {
        Rollout::Staged => "version.discard",
        Rollout::Canary(_) => "canary.end",
    };
    let act = act(actor, entry, action);
    let ended = cx
        .store
        .end_rollout(entry.id, rollout, &act, cx.clock.now());
    if !ended.await? {
        return Ok(false);
    }
    cx.catalog.apply(Change::Server(entry.id)).await?;
    Ok(true)
}

fn act(actor: &Actor, entry: &Entry, action: &'static str) -> NewAudit {
    let who = (actor.organization, actor.name.clone());
    NewAudit::of_server(who, action, &entry.slug)
}

fn version(number: i64) -> String {
    json!({ "version": number }).to_string()
}
