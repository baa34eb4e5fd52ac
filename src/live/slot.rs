//! One server's place in the live catalog: what is known of it, its compiled form, and the load that runs.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::watch;

use crate::live::{Entry, LiveError};
use crate::mcp::server::Server;

/// One server's place.
pub(super) struct Slot {
    pub(super) entry: ArcSwap<Entry>,
    pub(super) compiled: ArcSwapOption<Server>,
    pub(super) revisions: watch::Sender<i64>,
    pub(super) used: AtomicU64,
    /// The load that runs, or was the last to run.
    pub(super) attempt: parking_lot::Mutex<Option<Attempt>>,
}

/// One load of a server, shared by everyone who waits for it. It goes on when they leave.
#[derive(Clone)]
pub(super) struct Attempt {
    /// The revision that was known when it began: it gives that one, or a later.
    pub(super) wanted: i64,
    pub(super) ended: watch::Receiver<Option<Ended>>,
}

/// When a load ended, and how.
#[derive(Clone)]
pub(super) struct Ended {
    pub(super) at: Instant,
    pub(super) loaded: Result<Arc<Server>, LiveError>,
}

impl Attempt {
    pub(super) fn runs(&self) -> bool {
        self.ended.has_changed().is_ok() && self.ended.borrow().is_none()
    }

    /// Whether it failed so recently that the next would do no better.
    pub(super) fn is_fresh_failure(&self) -> bool {
        let ended = self.ended.borrow();
        let failed = ended.as_ref().filter(|ended| ended.loaded.is_err());
        failed.is_some_and(|ended| ended.at.elapsed() < RETRY_AFTER)
    }

    pub(super) async fn loaded(mut self) -> Result<Arc<Server>, LiveError> {
        let ended = self.ended.wait_for(Option::is_some).await;
        let ended = ended.map_err(LiveError::unavailable)?.clone();
        ended.map_or(Err(LiveError::Gone), |ended| ended.loaded)
    }
}

/// How long a server that could not be loaded is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(1);
impl Slot {
    /// Tells whoever listens of a revision; of each once, also where two tasks saw the same change.
    pub(super) fn tell(&self, new: i64) {
        self.revisions.send_if_modified(|revision| {
            let newer = new > *revision;
            *revision = new.max(*revision);
            newer
        });
    }

    /// The revision callers get, which is behind the entry's where loading failed.
    pub(super) fn served_revision(&self) -> i64 {
        let known = self.entry.load().revision;
        let compiled = self.compiled.load();
        compiled.as_ref().map_or(known, |it| it.revision.min(known))
    }

    /// Whether it is time to try again to load a form that is behind, and nobody is at it.
    pub(super) fn may_retry(&self) -> bool {
        let attempt = self.attempt.lock();
        let busy = |attempt: &Attempt| attempt.runs() || attempt.is_fresh_failure();
        !attempt.as_ref().is_some_and(busy)
    }

    /// A failure says nothing any more: something changed.
    pub(super) fn forget_failure(&self) {
        let mut attempt = self.attempt.lock();
        if attempt.as_ref().is_some_and(|attempt| !attempt.runs()) {
            *attempt = None;
        }
    }

    pub(super) fn new(entry: Entry) -> Arc<Self> {
        Arc::new(Self {
            revisions: watch::Sender::new(entry.revision),
            entry: ArcSwap::from_pointee(entry),
            compiled: ArcSwapOption::empty(),
            used: AtomicU64::new(0),
            attempt: parking_lot::Mutex::new(None),
        })
    }
}
