//! Whether a new version is served at once, or stored until somebody has looked at it.

use url::Url;

use crate::live::Entry;
use crate::live::loader::curations;
use crate::mcp::diff::three_way::three_way;
use crate::mcp::publish::{PublishError, Publisher};
use crate::mcp::server::ServerSettings;
use crate::mcp::tool::ToolDef;
use crate::mcp::versions::Stored;
use crate::store::audit::NewAudit;
use crate::store::servers::{NewVersion, ServerRow};

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
    /// It was stored before, and nobody promoted it.
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
    pub(super) tools: &'a [ToolDef],
}

/// Stores a version that may not be served yet. `None`: it may.
pub(super) async fn hold(
    cx: &Publisher,
    proposal: &Proposal<'_>,
    release: Release,
    act: &NewAudit,
) -> Result<Option<Held>, PublishError> {
    let may_be_served = match release {
        Release::Now => true,
        Release::Staged => false,
        Release::IfCompatible => is_compatible(cx, proposal).await?,
    };
    if may_be_served {
        return Ok(None);
    }
    let (server, version) = (proposal.entry.id, proposal.version);
    let known = cx.store.versions(server).await?;
    let same = known.iter().find(|row| {
        row.document_hash == version.document_hash && row.converter == version.converter
    });
    let waiting = cx.store.rollouts(server).await?;
    let waiting = waiting.iter().find(|row| row.kind == "staged");
    match (same, waiting) {
        (Some(same), Some(waiting)) if same.number == waiting.number => {
            return Ok(Some(Held::Staged(same.number)));
        }
        (Some(same), _)
            if release == Release::IfCompatible && same.number != proposal.current.number =>
        {
            return Ok(Some(Held::Known));
        }
        _ => {}
    }
    let now = cx.clock.now();
    let number = cx.store.stage_version(server, version, act, now).await?;
    Ok(Some(Held::Staged(number)))
}

async fn is_compatible(cx: &Publisher, proposal: &Proposal<'_>) -> Result<bool, PublishError> {
    let internal = |error: serde_json::Error| PublishError::Internal(error.into());
    let url = |text: Option<&str>| text.and_then(|text| Url::parse(text).ok());
    let old = Stored {
        tools: serde_json::from_str(&proposal.current.tools).map_err(internal)?,
        document_url: url(proposal.current.document_url.as_deref()),
    };
    let new = Stored {
        tools: proposal.tools.to_vec(),
        document_url: url(proposal.version.document_url.as_deref()),
    };
    let curations = curations(cx.store.curations(proposal.entry.id).await?);
    let (before, after) = (&proposal.entry.settings, proposal.settings);
    let comparison = three_way(
        (&old.tools, &|tool| old.destination(before, tool)),
        (&new.tools, &|tool| new.destination(after, tool)),
        &curations,
    );
    Ok(!comparison.diff.needs_review() && comparison.findings.is_empty())
}
