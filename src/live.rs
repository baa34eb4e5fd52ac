//! The live catalog: an index of every server, and a bounded cache of the compiled ones.
//!
//! Invariant: a call to a warm server touches no database and waits for no lock. A new form of a
//! server is published by one pointer swap; calls in flight keep the form they started with.

pub mod closed;
pub mod listed;
pub mod loader;
pub mod popularity;
mod slot;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use futures::stream::{self, FuturesUnordered, StreamExt};
use indexmap::IndexSet;
use tokio::sync::{Mutex, broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::live::closed::Closed;
use crate::live::loader::Loader;
use crate::live::popularity::Popularity;
use crate::live::slot::{Attempt, Ended, Slot};
use crate::mcp::server::{Server, ServerSettings};
use crate::search::shelf::{Listing, Shelf};
use crate::store::changes::next_change;
use crate::store::{Change, StoreError};
use crate::types::{OrganizationId, ServerId, Slug, UserId};

/// What is known of a server without loading it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: ServerId,
    pub organization: OrganizationId,
    pub slug: Slug,
    pub title: String,
    pub revision: i64,
    pub settings: ServerSettings,
    /// `None`: the admins'.
    pub owner: Option<UserId>,
    /// Why it is not served, if it is not.
    pub closed: Option<Arc<Closed>>,
}

/// Why a server that is in the index cannot be served now.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LiveError {
    #[error("the server is gone")]
    Gone,
    #[error("the server cannot be loaded right now")]
    Unavailable(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

impl LiveError {
    pub(crate) fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(error.into().into())
    }
}

/// Every server this process can serve. Cheap to clone.
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

struct Inner {
    index: ArcSwap<Index>,
    /// What the catalog shows and finds of each server; follows the index.
    shelf: ArcSwap<Shelf>,
    /// How often each is called, as it was known a minute ago at most.
    popularity: ArcSwap<Popularity>,
    /// One change of the index at a time.
    changing: Mutex<()>,
    loader: Option<Loader>,
    bytes: AtomicUsize,
    bytes_max: usize,
    /// Counts uses, so that the one used longest ago is known.
    uses: AtomicU64,
    /// Loads that gave a server, and loads that failed.
    loads: [AtomicU64; 2],
}

/// What names lead where. Copied when a name changes, which is rare; shared otherwise.
#[derive(Clone, Default)]
struct Index {
    slots: HashMap<ServerId, Arc<Slot>>,
    names: HashMap<Arc<str>, ServerId>,
}

/// Changed servers that are read at once.
const REFRESHING_MAX: usize = 8;

impl Catalog {
    /// A catalog of one server that stands in no database: `run`, `stdio` and tests.
    pub fn fixed(server: Arc<Server>) -> Self {
        let catalog = Self::with(None, usize::MAX);
        catalog.replace(server);
        catalog
    }

    /// Serves `server` in place of the one of its id, if there is one. Calls in flight keep the one
    /// they started with; open streams hear of the new revision.
    pub fn replace(&self, server: Arc<Server>) {
        let entry = Entry {
            id: server.id,
            organization: server.organization,
            slug: server.slug.clone(),
            title: server.title.clone(),
            revision: server.revision,
            settings: server.settings.clone(),
            owner: None,
            closed: None,
        };
        let mut index = Index::clone(&self.0.index.load());
        let slot = Self::put(&mut index, entry, &[]);
        let revision = server.revision;
        slot.compiled.store(Some(server));
        self.0.index.store(Arc::new(index));
        slot.revisions.send_replace(revision);
    }

    /// The catalog of a database: its index now, its servers as they are asked for.
    pub async fn open(loader: Loader, bytes_max: usize) -> Result<Self, StoreError> {
        let catalog = Self::with(Some(loader), bytes_max);
        catalog.compare().await?;
        Ok(catalog)
    }

    fn with(loader: Option<Loader>, bytes_max: usize) -> Self {
        Self(Arc::new(Inner {
            index: ArcSwap::default(),
            shelf: ArcSwap::default(),
            popularity: ArcSwap::default(),
            changing: Mutex::new(()),
            loader,
            bytes: AtomicUsize::new(0),
            bytes_max,
            uses: AtomicU64::new(1),
            loads: Default::default(),
        }))
    }

    /// The server of that slug, or of which that slug is an alias.
    pub fn find(&self, slug: &str) -> Option<Arc<Entry>> {
        let index = self.0.index.load();
        let slot = index.slots.get(index.names.get(slug)?)?;
        Some(slot.entry.load_full())
    }

    /// What is known of a server that is there.
    pub fn entry(&self, id: ServerId) -> Option<Arc<Entry>> {
        Some(self.slot(id)?.entry.load_full())
    }

    /// Answers of many servers, each by its id, whether it is there and seen.
    pub fn seeing(&self, sees: impl Fn(&Entry) -> bool) -> impl Fn(ServerId) -> bool {
        let index = self.0.index.load_full();
        move |id| {
            let slot = index.slots.get(&id);
            slot.is_some_and(|slot| sees(&slot.entry.load()))
        }
    }

    /// Every server, by slug.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.entries_where(|_| true)
    }

    /// Some servers, by slug.
    pub fn entries_where(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Arc<Entry>> {
        let index = self.0.index.load();
        let all = index.slots.values().map(|slot| slot.entry.load_full());
        let mut entries: Vec<_> = all.filter(|entry| wanted(entry)).collect();
        entries.sort_by(|a, b| a.slug.cmp(&b.slug));
        entries
    }

    /// The first slugs of some servers, in their order: `max` at most.
    pub fn slugs(&self, wanted: impl Fn(&Entry) -> bool, max: usize) -> Vec<String> {
        let index = self.0.index.load();
        let all = index.slots.values().map(|slot| slot.entry.load_full());
        let mut some: Vec<_> = all.filter(|entry| wanted(entry)).collect();
        let by = |a: &Arc<Entry>, b: &Arc<Entry>| a.slug.cmp(&b.slug);
        if some.len() > max {
            some.select_nth_unstable_by(max, by);
            some.truncate(max);
        }
        some.sort_unstable_by(by);
        some.iter().map(|entry| entry.slug.to_string()).collect()
    }

    /// How many servers are so.
    pub fn count(&self, wanted: impl Fn(&Entry) -> bool) -> usize {
        let index = self.0.index.load();
        let all = index.slots.values();
        all.filter(|slot| wanted(&slot.entry.load())).count()
    }

    /// What may be searched and shown of every server, as it is now.
    pub fn shelf(&self) -> Arc<Shelf> {
        self.0.shelf.load_full()
    }

    /// How often servers are called, and whose they are.
    pub fn popularity(&self) -> Arc<Popularity> {
        self.0.popularity.load_full()
    }

    /// Puts a server's line into the shelf, or takes it away. `changing` is held.
    async fn shelve(&self, id: ServerId, now: Option<Arc<Listing>>) -> Result<(), LiveError> {
        let shelf = self.shelf();
        // Now and then the large part is made anew, which takes a while where there are many.
        let made = tokio::task::spawn_blocking(move || shelf.with(id, now));
        let made = made.await.map_err(LiveError::unavailable)?;
        self.0.shelf.store(Arc::new(made));
        Ok(())
    }

    /// The compiled server; loaded on first use, by one task however many ask. While a newer form
    /// cannot be loaded, the one there is goes on being served.
    pub async fn server(&self, id: ServerId) -> Result<Arc<Server>, LiveError> {
        let slot = self.slot(id).ok_or(LiveError::Gone)?;
        let used = self.0.uses.fetch_add(1, Ordering::Relaxed);
        slot.used.store(used, Ordering::Relaxed);
        let Some(server) = slot.compiled.load_full() else {
            return self.load(&slot).await;
        };
        let behind = server.revision < slot.entry.load().revision;
        if behind && slot.may_retry() {
            return Ok(self.load(&slot).await.unwrap_or(server));
        }
        Ok(server)
    }

    /// Sees every revision the server gets, for `list_changed`.
    pub fn revisions(&self, id: ServerId) -> watch::Receiver<i64> {
        self.slot(id).map_or_else(
            || watch::Sender::new(0).subscribe(),
            |slot| slot.revisions.subscribe(),
        )
    }

    /// How many compiled servers are held, and their bytes.
    pub fn held(&self) -> (usize, usize) {
        let index = self.0.index.load();
        let count = index
            .slots
            .values()
            .filter(|slot| slot.compiled.load().is_some())
            .count();
        (count, self.0.bytes.load(Ordering::Relaxed))
    }

    /// Loads since the process began: those that gave a server, and those that failed.
    pub fn loads(&self) -> [u64; 2] {
        let [loaded, failed] = &self.0.loads;
        [loaded, failed].map(|count| count.load(Ordering::Relaxed))
    }

    fn slot(&self, id: ServerId) -> Option<Arc<Slot>> {
        self.0.index.load().slots.get(&id).cloned()
    }

    /// The server in the revision that is known now, or a later one. Whoever asks while it is loaded
    /// waits for the same load.
    async fn load(&self, slot: &Arc<Slot>) -> Result<Arc<Server>, LiveError> {
        let wanted = slot.entry.load().revision;
        loop {
            if let Some(server) = slot.compiled.load_full()
                && server.revision >= wanted
            {
                return Ok(server);
            }
            let attempt = self.attempt(slot)?;
            let is_late_enough = attempt.wanted >= wanted;
            let loaded = attempt.loaded().await;
            if is_late_enough {
                return loaded;
            }
        }
    }

    /// The load that runs, or failed a moment ago, or a new one: one at a time for each server.
    fn attempt(&self, slot: &Arc<Slot>) -> Result<Attempt, LiveError> {
        let loader = self.0.loader.clone().ok_or(LiveError::Gone)?;
        let mut attempt = slot.attempt.lock();
        let entry = slot.entry.load();
        if let Some(known) = attempt.as_ref() {
            let failed = known.is_fresh_failure() && known.wanted >= entry.revision;
            if known.runs() || failed {
                return Ok(known.clone());
            }
        }
        let (sender, ended) = watch::channel(None);
        let begun = Attempt {
            wanted: entry.revision,
            ended,
        };
        *attempt = Some(begun.clone());
        let (catalog, slot, id) = (self.clone(), slot.clone(), entry.id);
        tokio::spawn(async move {
            let loaded = loader.load(id).await;
            catalog.0.loads[usize::from(loaded.is_err())].fetch_add(1, Ordering::Relaxed);
            if let Ok(server) = &loaded {
                catalog.hold(&slot, server);
                // Here too: it may be the first try that succeeds after a change.
                slot.tell(server.revision);
                // What is held is held by the cache, which may let it go.
                *slot.attempt.lock() = None;
            }
            let at = Instant::now();
            sender.send_replace(Some(Ended { at, loaded }));
        });
        Ok(begun)
    }

    /// Publishes a compiled form, and lets others go where the cache is full.
    fn hold(&self, slot: &Arc<Slot>, server: &Arc<Server>) {
        let before = slot
            .compiled
            .swap(Some(server.clone()))
            .map_or(0, |old| old.bytes);
        self.0.bytes.fetch_add(server.bytes, Ordering::Relaxed);
        self.0.bytes.fetch_sub(before, Ordering::Relaxed);
        if self.slot(server.id).is_none() {
            self.drop_compiled(slot);
        }
        while self.0.bytes.load(Ordering::Relaxed) > self.0.bytes_max {
            let index = self.0.index.load();
            let held = index
                .slots
                .values()
                .filter(|s| !Arc::ptr_eq(s, slot) && s.compiled.load().is_some());
            let Some(oldest) = held.min_by_key(|s| s.used.load(Ordering::Relaxed)) else {
                return;
            };
            self.drop_compiled(oldest);
        }
    }

    /// Takes notice of a change: afterwards this process serves what the database holds. Whoever
    /// made the change calls this before it tells anyone, so that what was answered is so.
    pub async fn apply(&self, change: Change) -> Result<(), LiveError> {
        match change {
            Change::Server(id) => self.refresh(id).await,
            Change::Key(_) | Change::User(_) | Change::Model(_) | Change::Consumer(_) => Ok(()),
            Change::Unknown => self.compare().await.map_err(LiveError::unavailable),
        }
    }

    /// Reads one server's line of the index again, and its compiled form where there is one.
    async fn refresh(&self, id: ServerId) -> Result<(), LiveError> {
        let Some(loader) = &self.0.loader else {
            return Ok(());
        };
        let slot = {
            let _changing = self.0.changing.lock().await;
            let Some((entry, aliases)) = loader.entry(id).await? else {
                self.forget(id);
                return self.shelve(id, None).await;
            };
            self.shelve(id, loader.listing(id).await?).await?;
            let mut index = Index::clone(&self.0.index.load());
            let slot = Self::put(&mut index, entry, &aliases);
            self.0.index.store(Arc::new(index));
            slot
        };
        slot.forget_failure();
        let wanted = slot.entry.load().revision;
        let stale = slot
            .compiled
            .load()
            .as_ref()
            .is_some_and(|server| server.revision < wanted);
        if stale {
            self.load(&slot).await?;
        }
        slot.tell(wanted);
        Ok(())
    }

    /// Puts an entry into its slot; new names are added, old ones lead on.
    fn put(index: &mut Index, entry: Entry, aliases: &[String]) -> Arc<Slot> {
        let id = entry.id;
        index.names.retain(|_, server| *server != id);
        index.names.insert(entry.slug.as_str().into(), id);
        for alias in aliases {
            index.names.entry(alias.as_str().into()).or_insert(id);
        }
        match index.slots.get(&id) {
            Some(slot) => {
                if slot.entry.load().revision <= entry.revision {
                    slot.entry.store(Arc::new(entry));
                }
                slot.clone()
            }
            None => {
                let slot = Slot::new(entry);
                index.slots.insert(id, slot.clone());
                slot
            }
        }
    }

    fn forget(&self, id: ServerId) {
        let mut index = Index::clone(&self.0.index.load());
        index.names.retain(|_, server| *server != id);
        let slot = index.slots.remove(&id);
        // First, so that a load that ends now finds that nobody wants it any more.
        self.0.index.store(Arc::new(index));
        if let Some(slot) = slot {
            self.drop_compiled(&slot);
        }
    }

    fn drop_compiled(&self, slot: &Slot) {
        if let Some(gone) = slot.compiled.swap(None) {
            self.0.bytes.fetch_sub(gone.bytes, Ordering::Relaxed);
        }
    }

    /// Compares every revision with the database's, and reads what differs.
    async fn compare(&self) -> Result<(), StoreError> {
        let Some(loader) = &self.0.loader else {
            return Ok(());
        };
        if self.0.index.load().slots.is_empty() {
            let _changing = self.0.changing.lock().await;
            let mut index = Index::clone(&self.0.index.load());
            for (entry, aliases) in loader.entries().await? {
                Self::put_new(&mut index, entry, &aliases);
            }
            self.0.shelf.store(Arc::new(loader.shelf().await?));
            self.0.index.store(Arc::new(index));
            return Ok(());
        }
        let stored: HashMap<ServerId, i64> = loader.revisions().await?.into_iter().collect();
        let known: HashMap<ServerId, i64> = self
            .0
            .index
            .load()
            .slots
            .iter()
            .map(|(id, slot)| (*id, slot.served_revision()))
            .collect();
        let differing = stored
            .iter()
            .filter(|(id, revision)| known.get(id) != Some(revision))
            .map(|(id, _)| *id)
            .chain(known.keys().filter(|id| !stored.contains_key(id)).copied());
        let refresh = async |id| {
            if let Err(error) = self.refresh(id).await {
                tracing::warn!(server.id = %id, error = %error, "a changed server cannot be read now");
            }
        };
        stream::iter(differing.collect::<Vec<_>>())
            .for_each_concurrent(REFRESHING_MAX, refresh)
            .await;
        Ok(())
    }

    /// As `put`, where nothing is known of the server: without looking for names it had.
    fn put_new(index: &mut Index, entry: Entry, aliases: &[String]) {
        let id = entry.id;
        for name in std::iter::once(entry.slug.as_str()).chain(aliases.iter().map(String::as_str)) {
            index.names.entry(name.into()).or_insert(id);
        }
        index.slots.insert(id, Slot::new(entry));
    }
}

/// Follows the store's changes until `stop`, some servers at once, so that none waits for another
/// that takes long to compile.
pub async fn follow(
    catalog: Catalog,
    mut changes: broadcast::Receiver<Change>,
    stop: CancellationToken,
) {
    // What is waiting already stands for every further change of the same.
    let mut waiting = IndexSet::new();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < REFRESHING_MAX
            && let Some(change) = waiting.shift_remove_index(0)
        {
            running.push(take_notice(&catalog, change));
        }
        tokio::select! {
            Some(()) = running.next() => {}
            change = next_change(&mut changes, &stop) => match change {
                Some(
                    Change::Key(_) | Change::User(_) | Change::Model(_) | Change::Consumer(_),
                ) => {}
                Some(change) => {
                    waiting.insert(change);
                }
                None => return,
            },
        }
    }
}

async fn take_notice(catalog: &Catalog, change: Change) {
    if let Err(error) = catalog.apply(change).await {
        tracing::warn!(error = %error, "a change cannot be applied now; it will be compared again");
    }
}
