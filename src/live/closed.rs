//! Who finds a server: also one that is there and not served, and what whoever calls it is told.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::access::caller::{Caller, Target};
use crate::live::Entry;
use crate::mcp::server::Access;
use crate::store::servers::IndexRow;

/// Whether a server is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Served,
    /// Nothing of it can be called; whoever may use it still sees its page.
    Disabled,
    /// The same, and only those who may manage it find it.
    Unpublished,
}

impl State {
    pub const ALL: [Self; 3] = [Self::Served, Self::Disabled, Self::Unpublished];

    /// As it is written and stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Disabled => "disabled",
            Self::Unpublished => "unpublished",
        }
    }

    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// Why a server is not served, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    pub state: State,
    pub since: DateTime<Utc>,
    /// What its owner has to say to callers.
    pub note: Option<String>,
}

impl Entry {
    /// The server as [`crate::access::caller::Caller::may`] asks about it.
    pub fn target(&self) -> Target {
        Target {
            organization: self.organization,
            server: self.id,
            access: self.settings.access,
            owner: self.owner,
        }
    }

    pub fn state(&self) -> State {
        self.closed
            .as_ref()
            .map_or(State::Served, |closed| closed.state)
    }

    /// Whether a caller finds it by its name. One that was unpublished only those find who may manage it.
    pub fn is_shown_to(&self, caller: &Caller) -> bool {
        let hidden = self.state() == State::Unpublished;
        caller.may(self.target(), None) && (!hidden || self.is_managed_by(caller))
    }

    /// Whether a caller who names it is told anything of it. Of one that was unpublished that is whoever finds it, and
    /// whoever has a key that names it: for everybody else it is like one that never was.
    pub fn is_known_to(&self, caller: &Caller) -> bool {
        let unpublished = self.state() == State::Unpublished;
        caller.may(self.target(), None)
            && (!unpublished || self.is_managed_by(caller) || caller.is_granted(self.id))
    }

    /// Whether somebody without a key is told that it takes one. Of a server that is private, or was unpublished,
    /// that would say that it is there.
    pub fn asks_for_key(&self, caller: &Caller) -> bool {
        let keyed = self.settings.access == Access::Key;
        caller.is_anonymous() && keyed && self.state() != State::Unpublished
    }

    /// Whether a caller finds it in the catalog. One that is closed only those find who may manage it.
    pub fn is_listed_for(&self, caller: &Caller) -> bool {
        caller.may(self.target(), None) && (self.closed.is_none() || self.is_managed_by(caller))
    }

    fn is_managed_by(&self, caller: &Caller) -> bool {
        caller.is_admin() || (caller.user.is_some() && caller.user == self.owner)
    }
}

impl Closed {
    /// What is stored of it; `None`: the server is served.
    pub fn read(row: &IndexRow) -> Option<Self> {
        // A word that is not known closes the server too.
        let word = row.closed.as_deref()?;
        Some(Self {
            state: State::of_word(word).unwrap_or(State::Disabled),
            since: DateTime::from_timestamp_micros(row.closed_at.unwrap_or(row.updated_at))
                .unwrap_or_default(),
            note: row.closed_note.clone(),
        })
    }

    /// The answer to whoever calls the server of that title: a sentence for a model to read.
    pub fn words(&self, title: &str) -> String {
        let when = self.since.format("%Y-%m-%d %H:%M UTC");
        let (what, undone) = match self.state {
            State::Unpublished => (
                format!("was unpublished by its owner on {when}"),
                "publish it again",
            ),
            State::Served | State::Disabled => (
                format!("is disabled by its owner since {when}"),
                "enable it",
            ),
        };
        let asked = match &self.note {
            Some(note) => format!("Its owner says: \"{note}\""),
            None => format!("Ask its owner or an administrator of this gateway to {undone}."),
        };
        format!(
            "The server \"{title}\" {what}. None of its tools can be used, and nothing was sent to the \
             API. {asked} Until then, trying again does not help."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_server_says_why_since_when_and_whom_to_ask() {
        let since = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for (state, note, expected) in [
            (
                State::Disabled,
                None,
                ["is disabled by its owner since 2027-01-15", "to enable it"],
            ),
            (
                State::Unpublished,
                None,
                [
                    "was unpublished by its owner on 2027-01-15",
                    "to publish it again",
                ],
            ),
            (
                State::Unpublished,
                Some("use pets-2"),
                ["was unpublished", "Its owner says: \"use pets-2\""],
            ),
        ] {
            let closed = Closed {
                state,
                since,
                note: note.map(str::to_owned),
            };
            let words = closed.words("Pets");
            for part in expected {
                assert!(words.contains(part), "{words}");
            }
        }
    }

    #[test]
    fn a_state_is_read_as_it_is_written() {
        for state in State::ALL {
            assert_eq!(State::of_word(state.word()), Some(state));
            let json = serde_json::to_value(state).unwrap();
            assert_eq!(json, state.word());
        }
        assert_eq!(State::of_word("Disabled"), None);
    }
}
