//! Answers that were too large for their results: kept for ten minutes, on any replica that shares the
//! database. Who called with a key has them alone. Without one, on an open server, all callers are one
//! principal, and the link is what lets its bearer in.
//!
//! In the database they are sealed like credentials, so that neither a backup nor a copied row shows
//! what an API said. Without a database they stay in memory, within the same limits.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use indexmap::IndexMap;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::access::caller::Caller;
use crate::access::vault::{RowIdentity, Sealed, Vault};
use crate::openapi::OperationKey;
use crate::store::Store;
use crate::store::answers::{AnswerQuota, NewAnswer};
use crate::types::{AnswerId, Clock, OrganizationId, ServerId, Slug};

/// How long an answer can be read.
pub const MINUTES: u64 = 10;
/// What one answer may weigh.
pub const BYTES_MAX: usize = 16 << 20;
/// What is kept at once, of an organization and of one principal of it. In memory, the former is
/// that of the process.
const QUOTA: AnswerQuota = AnswerQuota {
    organization_bytes_max: 256 << 20,
    principal_bytes_max: 64 << 20,
};
/// How often is looked for answers whose time is over.
const SWEEP: Duration = Duration::from_mins(1);

/// Where answers are kept. Cheap to clone.
#[derive(Clone)]
pub struct Answers(Arc<Inner>);

struct Inner {
    place: Place,
    clock: Clock,
}

enum Place {
    Memory(Mutex<IndexMap<AnswerId, Held>>),
    Database { store: Store, vault: Arc<Vault> },
}

struct Held {
    principal: String,
    expires_at: DateTime<Utc>,
    answer: Kept,
}

/// An answer, read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Whose tool gave it.
    pub server: ServerId,
    /// Which of them, where not everyone may use it: another key of the same consumer may be good for
    /// other tools only.
    pub operation: Option<OperationKey>,
    /// The tool's name when it gave it, under which limits count it.
    pub tool: String,
    pub media_type: String,
    pub bytes: Bytes,
}

impl Answers {
    /// Within this process, until it ends.
    pub fn memory(clock: Clock) -> Self {
        Self(Arc::new(Inner {
            place: Place::Memory(Mutex::default()),
            clock,
        }))
    }

    /// In the database, for all replicas.
    pub fn stored(store: Store, vault: Arc<Vault>, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            place: Place::Database { store, vault },
            clock,
        }))
    }

    /// Keeps an answer for `caller`, of the share of `holder` (see [`Caller::holder`]). `None` where there is no room for it, or the database does not
    /// take it: the result is then given without a link.
    pub async fn keep(
        &self,
        (caller, holder): (&Caller, &str),
        organization: OrganizationId,
        answer: Kept,
    ) -> Option<AnswerId> {
        if answer.bytes.len() > BYTES_MAX {
            return None;
        }
        let id = AnswerId::unguessable();
        let now = self.0.clock.now();
        let minutes = i64::try_from(MINUTES).unwrap_or(i64::MAX);
        let expires_at = now + chrono::Duration::minutes(minutes);
        match &self.0.place {
            Place::Memory(held) => {
                let new = Held {
                    principal: principal(caller, holder),
                    expires_at,
                    answer,
                };
                hold(&mut held.lock(), (id, new), now).then_some(id)
            }
            Place::Database { store, vault } => {
                let row = RowIdentity {
                    organization,
                    row: id.0,
                    subject: None,
                };
                let sealed = vault.seal(&answer.bytes, &row).ok()?;
                let new = NewAnswer {
                    id,
                    organization,
                    server: answer.server,
                    principal: principal(caller, holder),
                    operation: answer.operation.map(|operation| operation.0),
                    tool: answer.tool,
                    media_type: answer.media_type,
                    size: answer.bytes.len(),
                    key_id: sealed.key_id,
                    sealed: sealed.bytes,
                    expires_at,
                };
                match store.keep_answer(new, QUOTA, now).await {
                    Ok(kept) => kept.then_some(id),
                    Err(error) => {
                        tracing::warn!(error = %error, "an answer could not be kept");
                        None
                    }
                }
            }
        }
    }

    /// The answer of that id, if `caller` is who got it and its time is not over.
    pub async fn read(&self, caller: &Caller, id: AnswerId) -> Option<Kept> {
        let now = self.0.clock.now();
        match &self.0.place {
            Place::Memory(held) => {
                let held = held.lock();
                let found = held.get(&id)?;
                let may = is_of(&found.principal, caller)
                    && found.expires_at > now
                    && is_within(caller, &found.answer);
                may.then(|| found.answer.clone())
            }
            Place::Database { store, vault } => {
                let row = store.answer(id, now).await;
                let row = row
                    .inspect_err(|error| tracing::warn!(error = %error, "an answer cannot be read"))
                    .ok()??;
                if !is_of(&row.principal, caller) {
                    return None;
                }
                let identity = RowIdentity {
                    organization: OrganizationId(row.organization_id),
                    row: id.0,
                    subject: None,
                };
                let sealed = Sealed {
                    key_id: row.key_id,
                    bytes: row.sealed,
                };
                let opened = vault.open(&sealed, &identity).ok()?;
                let kept = Kept {
                    server: ServerId(row.server_id),
                    operation: row.operation.map(OperationKey),
                    tool: row.tool.unwrap_or_default(),
                    media_type: row.media_type,
                    bytes: Bytes::copy_from_slice(&opened),
                };
                is_within(caller, &kept).then_some(kept)
            }
        }
    }

    /// The answer a URI names, for `caller`: what an argument that takes a file is given.
    pub async fn at(&self, caller: &Caller, uri: &str) -> Option<Kept> {
        self.read(caller, id_of(uri)?).await
    }

    /// Removes what is over, again and again, until `stop`.
    pub async fn sweep(self, stop: CancellationToken) {
        let Place::Database { store, .. } = &self.0.place else {
            return;
        };
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(SWEEP) => {}
            }
            if let Err(error) = store.expire_answers(self.0.clock.now()).await {
                tracing::warn!(error = %error, "old answers could not be removed");
            }
        }
    }
}

/// The URI of an answer of a server.
pub fn uri(slug: &Slug, id: AnswerId) -> String {
    format!("causeway://{slug}/answers/{id}")
}

/// The id in the URI of an answer. The slug only tells people where it came from: a server that was
/// renamed meanwhile still reads it.
pub fn id_of(uri: &str) -> Option<AnswerId> {
    let rest = uri.strip_prefix("causeway://")?;
    let (slug, id) = rest.split_once("/answers/")?;
    (!slug.contains('/')).then(|| id.parse().ok())?
}

/// Who got an answer. Principals of two organizations may have one name; and keys of one consumer may be of
/// several people, of whom each has accounts of their own.
fn principal(caller: &Caller, holder: &str) -> String {
    match (caller.consumer, caller.user) {
        (Some(_), Some(user)) => format!("{} {holder} for {user}", caller.organization),
        _ => format!("{} {holder}", caller.organization),
    }
}

/// Whether an answer of that principal is this caller's to read: its own, or one that somebody else
/// without a key was given, whose link is known here.
fn is_of(stored: &str, caller: &Caller) -> bool {
    let own = principal(caller, &caller.principal());
    let rest = stored.strip_prefix(own.as_str());
    rest.is_some_and(|rest| rest.is_empty() || (caller.is_anonymous() && rest.starts_with('@')))
}

/// Whether the caller may still use what gave an answer.
fn is_within(caller: &Caller, kept: &Kept) -> bool {
    let operation = kept.operation.as_ref();
    operation.is_none_or(|operation| caller.may_read_of(kept.server, operation))
}

/// Adds what there is room for, in place of what the same principal kept longest.
fn hold(
    held: &mut IndexMap<AnswerId, Held>,
    (id, new): (AnswerId, Held),
    now: DateTime<Utc>,
) -> bool {
    held.retain(|_, held| held.expires_at > now);
    let weight = |held: &Held| i64::try_from(held.answer.bytes.len()).unwrap_or(i64::MAX);
    let size = weight(&new);
    let others = held.values().filter(|held| held.principal != new.principal);
    let others: i64 = others.map(weight).sum();
    if others.saturating_add(size) > QUOTA.organization_bytes_max {
        // Nothing of its own would make room.
        return false;
    }
    loop {
        let all: i64 = held.values().map(weight).sum();
        let own = || {
            held.iter()
                .filter(|(_, held)| held.principal == new.principal)
        };
        let mine: i64 = own().map(|(_, held)| weight(held)).sum();
        if all + size <= QUOTA.organization_bytes_max && mine + size <= QUOTA.principal_bytes_max {
            break;
        }
        let Some(oldest) = own().map(|(id, _)| *id).next() else {
            return false;
        };
        held.shift_remove(&oldest);
    }
    held.insert(id, new);
    true
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    fn kept(bytes: usize) -> Kept {
        Kept {
            server: ServerId::generate(),
            operation: None,
            tool: "list".into(),
            media_type: "text/plain".into(),
            bytes: Bytes::from(vec![b'x'; bytes]),
        }
    }

    fn other() -> Caller {
        Caller {
            key: Some(crate::types::KeyId::generate()),
            ..Caller::anonymous()
        }
    }

    #[tokio::test]
    async fn an_answer_is_for_whoever_got_it_and_for_minutes() {
        let seconds = Arc::new(AtomicI64::new(0));
        let hand = seconds.clone();
        let clock = Clock::from_fn(move || {
            DateTime::from_timestamp(hand.load(Ordering::Relaxed), 0).unwrap()
        });
        let answers = Answers::memory(clock);
        let (mine, theirs) = (Caller::anonymous(), other());
        let answer = kept(3);
        let id = answers
            .keep(
                (&mine, &mine.principal()),
                OrganizationId::DEFAULT,
                answer.clone(),
            )
            .await
            .unwrap();
        let uri = uri(&"shop".parse().unwrap(), id);
        assert_eq!(answers.at(&mine, &uri).await, Some(answer));
        assert_eq!(answers.at(&theirs, &uri).await, None);
        assert_eq!(answers.at(&mine, "causeway://shop/tools/x").await, None);
        seconds.store(600, Ordering::Relaxed);
        assert_eq!(answers.at(&mine, &uri).await, None);
    }

    #[tokio::test]
    async fn strangers_have_shares_of_their_own_and_links_for_their_bearers() {
        let answers = Answers::memory(Clock::system());
        let default = OrganizationId::DEFAULT;
        let stranger = Caller::anonymous();
        let (here, there) = ("anonymous@192.0.2.7", "anonymous@192.0.2.8");
        let keep = async |holder: &str, bytes| {
            let id = answers
                .keep((&stranger, holder), default, kept(bytes))
                .await;
            id.unwrap()
        };
        let first = keep(here, 10).await;
        for _ in 0..5 {
            keep(there, BYTES_MAX).await;
        }
        assert!(answers.read(&stranger, first).await.is_some());
        assert!(answers.read(&other(), first).await.is_none());
        assert_eq!(first.0.get_version_num(), 4, "{first} can be guessed");
    }

    #[test]
    fn people_who_share_a_consumer_do_not_share_answers() {
        let consumer = Caller {
            consumer: Some(crate::types::ConsumerId::generate()),
            ..other()
        };
        let of = |user| Caller {
            user,
            ..consumer.clone()
        };
        let (ann, ben) = (
            crate::types::UserId::generate(),
            crate::types::UserId::generate(),
        );
        let (anns, bens, nobodys) = (of(Some(ann)), of(Some(ben)), of(None));
        let stored = principal(&anns, &anns.principal());
        assert!(is_of(&stored, &anns));
        assert!(!is_of(&stored, &bens) && !is_of(&stored, &nobodys));
        let shared = principal(&nobodys, &nobodys.principal());
        assert!(is_of(&shared, &nobodys) && !is_of(&shared, &anns));
    }

    #[tokio::test]
    async fn an_answer_without_room_takes_none_from_its_caller() {
        let answers = Answers::memory(Clock::system());
        let default = OrganizationId::DEFAULT;
        let mine = other();
        let own = (&mine, &*mine.principal());
        let small = answers.keep(own, default, kept(1)).await.unwrap();
        for _ in 0..4 {
            let another = other();
            let holder = another.principal();
            for _ in 0..4 {
                let last = kept(BYTES_MAX - 1);
                assert!(
                    answers
                        .keep((&another, &holder), default, last)
                        .await
                        .is_some()
                );
            }
        }
        assert!(answers.keep(own, default, kept(BYTES_MAX)).await.is_none());
        assert!(answers.read(&mine, small).await.is_some());
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded_by_principal_and_in_all() {
        let answers = Answers::memory(Clock::system());
        let default = OrganizationId::DEFAULT;
        assert!(
            answers
                .keep((&other(), "key:x"), default, kept(BYTES_MAX + 1))
                .await
                .is_none()
        );
        let greedy = other();
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(
                answers
                    .keep((&greedy, &greedy.principal()), default, kept(BYTES_MAX))
                    .await
                    .unwrap(),
            );
        }
        assert!(
            answers.read(&greedy, ids[0]).await.is_none(),
            "it made room"
        );
        assert!(answers.read(&greedy, ids[1]).await.is_some());
        for _ in 0..3 {
            let another = other();
            for _ in 0..4 {
                assert!(
                    answers
                        .keep((&another, &another.principal()), default, kept(BYTES_MAX))
                        .await
                        .is_some()
                );
            }
        }
        assert!(
            answers
                .keep((&other(), "key:x"), default, kept(1))
                .await
                .is_none(),
            "all is taken"
        );
        assert!(
            answers
                .keep((&greedy, &greedy.principal()), default, kept(1))
                .await
                .is_some()
        );
    }
}
