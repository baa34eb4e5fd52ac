//! Whether a new version is served at once, or stored until somebody has looked at it.

use crate::live::Entry;
use crate::live::loader::curations;
use crate::mcp::diff::three_way::three_way;
use crate::mcp::publish::{PublishError, Publisher};
use crate::mcp::server::ServerSettings;
use crate::mcp::versions::{Stored, Texts};
use crate::store::audit::NewAudit;
use crate::store::servers::{NewVersion, ServerRow};
use crate::types::ServerId;

/// When a new version of a server there is, is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Release {
    #[default]
    Now,
    /// Once somebody promotes it.
    Staged,
    /// Now, if agents notice no more than that more is possible; else once somebody promotes it.
    IfCompatible,
}

/// A version that is not served now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// It waits under that number.
    Staged(i64),
    /// It is served already, or somebody looked at it and let go of it.
    Known,
}

impl Held {
    /// The number of the version that waits.
    pub(super) fn number(self) -> Option<i64> {
        match self {
            Self::Staged(number) => Some(number),
            Self::Known => None,
        }
    }
}

/// A new version beside the one it would follow.
pub(super) struct Proposal<'a> {
    pub(super) entry: &'a Entry,
    pub(super) current: &'a ServerRow,
    pub(super) settings: &'a ServerSettings,
    pub(super) version: &'a NewVersion,
    /// The version is the current one.
    pub(super) same: bool,
}

/// Has a version wait that may not be served yet, as the one it was where there was one like it.
/// `None`: it may be served.
pub(super) async fn hold(
    cx: &Publisher,
    proposal: &Proposal<'_>,
    release: Release,
    act: &NewAudit,
) -> Result<Option<Held>, PublishError> {
    if release == Release::Now {
        return Ok(None);
    }
    if proposal.same {
        return Ok(Some(Held::Known));
    }
    let (server, version) = (proposal.entry.id, proposal.version);
    let known = cx.store.versions_of(server, &version.document_hash).await?;
    // What was stored before and is not served, was taken back or not yet looked at.
    let is_new = known.is_empty() || proposal.current.document_hash == version.document_hash;
    if release == Release::IfCompatible && is_new && is_compatible(cx, proposal).await? {
        return Ok(None);
    }
    let now = cx.clock.now();
    let number = match known.iter().find(|known| known.is(version)) {
        Some(known) if known.discarded != 0 && release == Release::IfCompatible => {
            return Ok(Some(Held::Known));
        }
        Some(known) if is_staged(cx, server, known.number).await? => known.number,
        Some(known) => {
            cx.store.stage_again(server, known, act, now).await?;
            known.number
        }
        None => cx.store.stage_version(server, version, act, now).await?,
    };
    Ok(Some(Held::Staged(number)))
}

async fn is_staged(cx: &Publisher, server: ServerId, number: i64) -> Result<bool, PublishError> {
    let rollouts = cx.store.rollouts(server).await?;
    let mut staged = rollouts.iter().filter(|row| row.kind == "staged");
    Ok(staged.any(|row| row.number == number))
}

async fn is_compatible(cx: &Publisher, proposal: &Proposal<'_>) -> Result<bool, PublishError> {
    let internal = |error: serde_json::Error| PublishError::Internal(error.into());
    let (current, version) = (proposal.current, proposal.version);
    let old = Stored::read(Texts {
        title: &current.title,
        description: current.description.as_deref(),
        document_url: current.document_url.as_deref(),
        tools: &current.tools,
        schemes: &current.schemes,
    })
    .map_err(internal)?;
    let new = Stored::read(Texts {
        title: &version.title,
        description: version.description.as_deref(),
        document_url: version.document_url.as_deref(),
        tools: &version.tools,
        schemes: &version.schemes,
    })
    .map_err(internal)?;
    let curations = curations(cx.store.curations(proposal.entry.id).await?);
    let (before, after) = (&proposal.entry.settings, proposal.settings);
    let comparison = three_way(
        old.side(&|tool| old.destination(before, tool)),
        new.side(&|tool| new.destination(after, tool)),
        &curations,
    );
    Ok(!comparison.diff.needs_review() && comparison.findings.is_empty())
}
