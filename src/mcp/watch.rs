//! What clients did on a server, for somebody who looks on while a client is connected for the first
//! time. In memory, of this process, bounded, and noted only while somebody looks on: a call to a server
//! nobody watches costs the read of one flag.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Duration, Utc};
use parking_lot::Mutex;

use crate::types::{KeyId, ServerId};

/// How long a server is watched after somebody looked last.
const LOOK: Duration = Duration::minutes(15);
/// Servers watched at once; the one not looked at for longest gives way.
const SERVERS_MAX: usize = 100;
/// Keys of one server that are told apart; further ones are not noted.
const KEYS_MAX: usize = 64;
/// Events kept of one key.
const EVENTS_MAX: usize = 32;
/// Forms that are remembered so that none makes two keys.
const FORMS_MAX: usize = 1_000;
const TEXT_CHARS_MAX: usize = 300;

/// Something a client did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: DateTime<Utc>,
    /// `None`: no key of ours.
    pub key: Option<KeyId>,
    /// What the client calls itself, with its version, where it said so.
    pub client: Option<String>,
    pub what: What,
}

/// What it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It began: `initialize` or `server/discover`.
    Met,
    /// It got so many tools; `more`: of a further page.
    Listed { tools: usize, more: bool },
    /// It called a tool, which went well or failed.
    Called { tool: String, fault: Option<String> },
    /// Something else.
    Asked {
        method: String,
        fault: Option<String>,
    },
    /// It was let in to nothing, with this status.
    Refused { status: u16 },
}

/// Who looks on, and what was seen.
#[derive(Debug, Default)]
pub struct Watch {
    is_on: AtomicBool,
    watched: Mutex<HashMap<ServerId, Watched>>,
    forms: Mutex<VecDeque<(String, KeyId)>>,
}

#[derive(Debug)]
struct Watched {
    until: DateTime<Utc>,
    of: HashMap<Option<KeyId>, VecDeque<Event>>,
}

impl Watch {
    /// Somebody looks at a server: from now on, and for a while, what its clients do is noted.
    pub fn look(&self, server: ServerId, now: DateTime<Utc>) {
        let until = now.checked_add_signed(LOOK).unwrap_or(now);
        let mut watched = self.watched.lock();
        watched.retain(|_, seen| seen.until > now);
        if !watched.contains_key(&server) && watched.len() >= SERVERS_MAX {
            let oldest = watched.iter().min_by_key(|(_, seen)| seen.until);
            if let Some(oldest) = oldest.map(|(server, _)| *server) {
                watched.remove(&oldest);
            }
        }
        let fresh = || Watched {
            until,
            of: HashMap::new(),
        };
        watched.entry(server).or_insert_with(fresh).until = until;
        self.is_on.store(true, Ordering::Relaxed);
    }

    /// Whether anybody watches any server.
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Notes what a client did, if its server is watched.
    pub fn note(&self, server: ServerId, event: Event) {
        let mut watched = self.watched.lock();
        let Some(seen) = watched.get_mut(&server) else {
            return;
        };
        if seen.until <= event.at {
            watched.remove(&server);
            self.is_on.store(!watched.is_empty(), Ordering::Relaxed);
            return;
        }
        if !seen.of.contains_key(&event.key) && seen.of.len() >= KEYS_MAX {
            return;
        }
        let events = seen.of.entry(event.key).or_default();
        if events.len() >= EVENTS_MAX {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// What was seen on a server since then, in order: of everybody, or of one key and of those who were
    /// refused with none of ours.
    pub fn seen(
        &self,
        server: ServerId,
        key: Option<KeyId>,
        since: Option<DateTime<Utc>>,
    ) -> Vec<Event> {
        let watched = self.watched.lock();
        let events = watched.get(&server).into_iter();
        let events = events.flat_map(|seen| seen.of.values().flatten());
        let is_meant = |event: &Event| match (key, event.key) {
            (None, _) => true,
            (Some(key), Some(by)) => key == by,
            (Some(_), None) => matches!(event.what, What::Refused { .. }),
        };
        let is_new = |event: &Event| since.is_none_or(|since| event.at >= since);
        let mut events: Vec<Event> = events
            .filter(|event| is_meant(event) && is_new(event))
            .cloned()
            .collect();
        events.sort_by_key(|event| event.at);
        events
    }

    /// The key that this very form made before.
    pub fn made_by(&self, form: &str) -> Option<KeyId> {
        let forms = self.forms.lock();
        let made = forms.iter().find(|(known, _)| known == form);
        made.map(|(_, key)| *key)
    }

    /// A form made a key.
    pub fn made(&self, form: String, key: KeyId) {
        let mut forms = self.forms.lock();
        if forms.len() >= FORMS_MAX {
            forms.pop_front();
        }
        forms.push_back((form, key));
    }
}

/// A text as it is noted: one line, and short.
pub fn noted(text: &str) -> String {
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    shown.take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(number: u128) -> ServerId {
        ServerId(uuid::Uuid::from_u128(number))
    }

    fn event(second: i64, key: Option<u128>, what: What) -> Event {
        Event {
            at: at(second),
            key: key.map(|key| KeyId(uuid::Uuid::from_u128(key))),
            client: None,
            what,
        }
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_000_000 + second, 0).unwrap()
    }

    #[test]
    fn only_what_is_watched_is_noted_and_it_ends() {
        let watch = Watch::default();
        watch.note(server(1), event(0, None, What::Met));
        assert!(!watch.is_on());
        watch.look(server(1), at(0));
        watch.note(server(1), event(1, None, What::Met));
        watch.note(server(2), event(1, None, What::Met));
        assert_eq!(watch.seen(server(1), None, None).len(), 1);
        assert_eq!(watch.seen(server(2), None, None).len(), 0);
        watch.note(server(1), event(LOOK.num_seconds(), None, What::Met));
        assert!(!watch.is_on(), "nobody looks any more");
        assert_eq!(watch.seen(server(1), None, None), []);
    }

    #[test]
    fn a_key_sees_itself_and_whoever_was_refused() {
        let watch = Watch::default();
        watch.look(server(1), at(0));
        let refused = event(3, None, What::Refused { status: 401 });
        for event in [
            event(1, Some(7), What::Met),
            event(2, Some(8), What::Met),
            event(2, None, What::Met),
            refused.clone(),
        ] {
            watch.note(server(1), event);
        }
        let key = Some(KeyId(uuid::Uuid::from_u128(7)));
        let seen = watch.seen(server(1), key, None);
        assert_eq!(seen, [event(1, Some(7), What::Met), refused.clone()]);
        assert_eq!(watch.seen(server(1), key, Some(at(2))), [refused]);
    }

    #[test]
    fn everything_is_bounded() {
        let watch = Watch::default();
        for number in 0..300 {
            watch.look(server(number), at(0));
        }
        assert_eq!(watch.watched.lock().len(), SERVERS_MAX);
        watch.look(server(1_000), at(1));
        for key in 0..200 {
            for _ in 0..100 {
                watch.note(server(1_000), event(1, Some(key), What::Met));
            }
        }
        let seen = watch.seen(server(1_000), None, None);
        assert_eq!(seen.len(), KEYS_MAX * EVENTS_MAX);
        for number in 0..3_000 {
            let key = KeyId(uuid::Uuid::from_u128(number));
            watch.made(number.to_string(), key);
        }
        assert_eq!(watch.forms.lock().len(), FORMS_MAX);
        assert_eq!(watch.made_by("0"), None);
        assert!(watch.made_by("2999").is_some());
        assert_eq!(noted(&"a\n".repeat(1_000)).chars().count(), TEXT_CHARS_MAX);
    }
}
