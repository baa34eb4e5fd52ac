//! Documents that are read again from where they are, from time to time. What agents would notice
//! beyond more of the same waits until somebody has looked at it: no name, word, destination,
//! credential or hint changes by itself.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::egress::Validators;
use crate::live::Entry;
use crate::mcp::publish::{
    GivenSettings, OnBehalf, Publication, Publisher, Release, SpecSource, publish,
};
use crate::store::sources::{Checked, SourceRow};
use crate::types::{OrganizationId, ServerId};

/// How often a process asks whether a document is due.
const ASK_EVERY: Duration = Duration::from_secs(15);
/// Documents looked at at once: a slow host delays only some.
const LOOKS_MAX: usize = 8;
/// How much of what went wrong is kept.
const DETAIL_CHARS_MAX: usize = 500;

/// What a look at a document came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is the one that is served, or one that was looked at before.
    Unchanged,
    /// It is served as that version.
    Published(i64),
    /// It is stored as that version, and waits for somebody to look at it.
    Staged(i64),
    Failed(String),
}

impl Outcome {
    /// One word, and why it failed if it did.
    pub fn words(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Unchanged => ("unchanged", None),
            Self::Published(_) => ("published", None),
            Self::Staged(_) => ("review", None),
            Self::Failed(detail) => ("failed", Some(detail)),
        }
    }
}

/// Looks at every document that is due, until `stop`, at some at once. Each is looked at by one process
/// of a cluster, and a look that was begun is ended.
pub async fn follow(cx: Publisher, stop: CancellationToken) {
    let mut looks = FuturesUnordered::new();
    while !stop.is_cancelled() {
        if looks.len() < LOOKS_MAX
            && let Some(source) = due(&cx).await
        {
            let cx = &cx;
            looks.push(async move { sync(cx, &source).await });
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            Some(_) = looks.next() => {}
            () = tokio::time::sleep(ASK_EVERY) => {}
        }
    }
    while looks.next().await.is_some() {}
}

/// A document that is due now, if it can be asked.
async fn due(cx: &Publisher) -> Option<SourceRow> {
    let due = cx.store.take_due_source(cx.clock.now()).await;
    due.unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot ask which documents are due");
        None
    })
}

/// Looks at one document now, and notes what it came to.
pub async fn sync(cx: &Publisher, source: &SourceRow) -> Outcome {
    let (outcome, validators) = match look(cx, source).await {
        Ok(looked) => looked,
        Err(error) => {
            let detail = error.to_string().chars().take(DETAIL_CHARS_MAX).collect();
            (Outcome::Failed(detail), None)
        }
    };
    let (word, detail) = outcome.words();
    let checked = Checked {
        validators: validators
            .as_ref()
            .map(|known| (known.etag.as_deref(), known.last_modified.as_deref())),
        outcome: word,
        detail,
    };
    let server = ServerId(source.server_id);
    if let Err(error) = cx
        .store
        .source_checked((server, &source.url), checked, cx.clock.now())
        .await
    {
        tracing::warn!(server.id = %server, %error, "what a look at a document came to cannot be noted");
    }
    if let Outcome::Failed(detail) = &outcome {
        tracing::warn!(server.id = %server, detail, "a document could not be read again");
    }
    outcome
}

type Looked = (Outcome, Option<Validators>);

async fn look(
    cx: &Publisher,
    source: &SourceRow,
) -> Result<Looked, Box<dyn std::error::Error + Send + Sync>> {
    let server = ServerId(source.server_id);
    let entry = cx.catalog.entry(server).ok_or("the server is gone")?;
    let url = Url::parse(&source.url)?;
    let known = Validators {
        etag: source.etag.clone(),
        last_modified: source.last_modified.clone(),
    };
    let rules = &entry.settings.allow_upstream;
    let rules: Vec<_> = rules.iter().filter_map(|rule| rule.parse().ok()).collect();
    let bytes_max = cx.limits.document_bytes_max;
    let fetched = cx
        .egress
        .fetch_changed(&url, &rules, bytes_max, &known)
        .await?;
    let Some(fetched) = fetched else {
        return Ok((Outcome::Unchanged, None));
    };
    let publication = publication(&entry, OrganizationId(source.organization_id));
    let document = SpecSource::single(fetched.body, Some(fetched.url));
    let published = publish(cx, document, publication).await?;
    let outcome = match (published.staged, published.unchanged) {
        (Some(number), _) => Outcome::Staged(number),
        (None, true) => Outcome::Unchanged,
        (None, false) => Outcome::Published(published.version),
    };
    Ok((outcome, Some(fetched.validators)))
}

fn publication(entry: &Entry, organization: OrganizationId) -> Publication {
    Publication {
        organization,
        actor: "sync".to_owned(),
        slug: Some(entry.slug.clone()),
        item: None,
        on_behalf: OnBehalf::default(),
        settings: GivenSettings::default(),
        credentials: Vec::new(),
        release: Release::IfCompatible,
        draft: false,
    }
}
