//! The chain of the audit: each row holds a hash over the row before it and its own contents, so that
//! a row that was changed, removed or put in between no longer fits.
//!
//! It is no secret how the hash is made (docs/audit.md): who may write to the database can make the
//! whole chain anew. What shows that too is a head that was noted elsewhere.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;
use uuid::Uuid;

use crate::store::audit::redact::Witnesses;
use crate::store::audit::{AuditRow, PlaceRow};
use crate::store::db::{Number, fetch_all, fetch_optional, row};
use crate::store::{Store, StoreError};
use crate::types::OrganizationId;

/// What stands in the place of a hash before the first row.
pub(super) const START: [u8; 32] = [0; 32];
/// The first item of what is hashed; another way of hashing gets another name.
const FORM: &str = "causeway-audit-1";
/// How many numbers are read at once.
const PAGE: i64 = 1_000;

/// What a row's hash is made of, besides the hash of the row before it.
pub(super) struct Link<'a> {
    pub(super) organization: Uuid,
    pub(super) seq: i64,
    pub(super) id: Uuid,
    pub(super) at: i64,
    pub(super) actor: &'a str,
    pub(super) action: &'a str,
    pub(super) entity: &'a str,
    pub(super) entity_id: &'a str,
    pub(super) before: Option<&'a str>,
    pub(super) after: Option<&'a str>,
}

impl<'a> Link<'a> {
    /// A row as it is now.
    pub(super) fn of(organization: Uuid, row: &'a AuditRow) -> Self {
        Self {
            organization,
            seq: row.seq.unwrap_or_default(),
            id: row.id,
            at: row.at,
            actor: &row.actor,
            action: &row.action,
            entity: &row.entity,
            entity_id: &row.entity_id,
            before: row.before.as_deref(),
            after: row.after.as_deref(),
        }
    }

    /// SHA-256 of a JSON array in its canonical form (RFC 8785).
    pub(super) fn hash(&self, previous: &[u8]) -> [u8; 32] {
        let text = json!([
            FORM,
            hex::encode(previous),
            self.organization.to_string(),
            self.seq,
            self.id.to_string(),
            self.at,
            self.actor,
            self.action,
            self.entity,
            self.entity_id,
            self.before,
            self.after,
        ]);
        let mut hash = START;
        hash.copy_from_slice(digest(&SHA256, text.to_string().as_bytes()).as_ref());
        hash
    }
}

row! {
    #[derive(Debug)]
    pub struct OrganizationRow {
        pub id: Uuid,
    }
}

row! {
    /// A row that is in no chain.
    #[derive(Debug)]
    pub struct LooseRow {
        pub id: Uuid,
        pub at: i64,
    }
}

/// A row of the chain that somebody wrote down: its number and its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    pub seq: i64,
    pub hash: [u8; 32],
}

impl std::fmt::Display for Noted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.seq, hex::encode(self.hash))
    }
}

impl std::str::FromStr for Noted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut noted = Self {
            seq: 0,
            hash: START,
        };
        let read = text.split_once(':').and_then(|(seq, hash)| {
            noted.seq = seq.parse().ok().filter(|seq| *seq > 0)?;
            hex::decode_to_slice(hash, &mut noted.hash).ok()
        });
        read.map(|()| noted)
            .ok_or_else(|| "a head is written NUMBER:HASH, as `audit verify` prints it".to_owned())
    }
}

/// The first row that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("row {seq} is missing: it was removed")]
    Missing { seq: i64 },
    #[error(
        "row {seq} ({id}) does not fit: it was changed or put there, or the row before it was changed"
    )]
    Altered { seq: i64, id: Uuid },
    #[error("row {seq} ({id}) is one too many: it was put there")]
    Inserted { seq: i64, id: Uuid },
    #[error("the chain ends with row {seq}, and not as its head says: one of them was changed")]
    Head { seq: i64 },
    #[error(
        "a row without a number ({id}) is younger than the chain: it was put there, or written by an \
             older version of Causeway"
    )]
    Loose { id: Uuid, at: i64 },
}

/// What a walk along a chain found.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The last row that fits; with 0, none was met.
    pub head: Noted,
    /// When the first row was written, in microseconds.
    pub began: Option<i64>,
    /// Rows that are older than the chain.
    pub loose: i64,
    /// Rows in which a name was replaced by a pseudonym, as a later row of the chain says.
    pub redacted: i64,
    /// Whether the row that was noted is in the chain.
    pub noted: bool,
    pub fault: Option<Fault>,
}

/// What a walk is told.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub noted: Option<Noted>,
    /// Until when an older version of Causeway wrote rows without a number, in microseconds.
    pub loose_until: Option<i64>,
}

const ORGANIZATIONS: &str = "SELECT id FROM organizations ORDER BY id";
const HEAD: &str = "SELECT seq, hash FROM audit_heads WHERE organization_id = $1";
// Numbers are read by their range, so that two rows of one number are read together. More rows than
// numbers is a fault already, and the rest need not be read.
const ROWS: &str = "SELECT id, at, actor, action, entity, entity_id, before, after, seq, hash, redacted_by FROM audit \
     WHERE organization_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq, id LIMIT $4";
const LOOSE: &str =
    "SELECT COUNT(*) AS value FROM audit WHERE organization_id = $1 AND seq IS NULL";
const FIRST_LOOSE: &str = "SELECT id, at FROM audit WHERE organization_id = $1 AND seq IS NULL AND at > $2 \
     ORDER BY at, id LIMIT 1";

impl Store {
    /// Everyone who has an audit.
    pub async fn organizations(&self) -> Result<Vec<OrganizationRow>, StoreError> {
        fetch_all!(&self.db, OrganizationRow, ORGANIZATIONS)
    }

    /// Walks along an organization's chain up to the first row that does not fit, also while rows are
    /// added.
    pub async fn walk_audit(
        &self,
        organization: OrganizationId,
        known: &Known,
    ) -> Result<Walk, StoreError> {
        let organization = organization.0;
        let mut walk = Walk {
            head: Noted {
                seq: 0,
                hash: START,
            },
            began: None,
            loose: fetch_optional!(&self.db, Number, LOOSE, organization)?
                .map_or(0, |row| row.value),
            redacted: 0,
            noted: false,
            fault: None,
        };
        while walk.fault.is_none() {
            // Read first: every row it tells of is there when the rows are read.
            let head = fetch_optional!(&self.db, PlaceRow, HEAD, organization)?;
            let last = walk.head.seq;
            // A number that is none comes before all others.
            let from = if last == 0 { i64::MIN } else { last };
            let to = last.saturating_add(PAGE);
            let rows = fetch_all!(&self.db, AuditRow, ROWS, organization, from, to, PAGE + 1)?;
            if rows.is_empty() {
                walk.fault = walk.end(head.as_ref());
                break;
            }
            let witnesses = self.witnesses(organization, &rows).await?;
            walk.fault = rows
                .iter()
                .find_map(|row| walk.step(organization, (row, &witnesses), known));
        }
        if let (None, Some(began)) = (&walk.fault, walk.began) {
            let until = known.loose_until.map_or(began, |until| until.max(began));
            let loose = fetch_optional!(&self.db, LooseRow, FIRST_LOOSE, organization, until)?;
            walk.fault = loose.map(|row| Fault::Loose {
                id: row.id,
                at: row.at,
            });
        }
        Ok(walk)
    }
}

impl Walk {
    /// Goes on to the next row, if it fits.
    fn step(
        &mut self,
        organization: Uuid,
        (row, witnesses): (&AuditRow, &Witnesses),
        known: &Known,
    ) -> Option<Fault> {
        let (seq, id) = (row.seq.unwrap_or_default(), row.id);
        if seq <= self.head.seq {
            return Some(Fault::Inserted { seq, id });
        }
        if seq > self.head.seq + 1 {
            let seq = self.head.seq + 1;
            return Some(Fault::Missing { seq });
        }
        let link = Link::of(organization, row);
        let hash = link.hash(&self.head.hash);
        let hash = if row.hash.as_deref() == Some(hash.as_slice()) {
            hash
        } else {
            let Some(hash) = witnesses.vouch_for(&link, row) else {
                return Some(Fault::Altered { seq, id });
            };
            self.redacted += 1;
            hash
        };
        self.head = Noted { seq, hash };
        self.began.get_or_insert(row.at);
        self.noted |= known.noted.as_ref() == Some(&self.head);
        None
    }

    /// What is wrong at the end, where no row follows.
    fn end(&self, head: Option<&PlaceRow>) -> Option<Fault> {
        let seq = self.head.seq;
        match head {
            None if seq == 0 => None,
            Some(head) if head.seq > seq => Some(Fault::Missing { seq: seq + 1 }),
            Some(head) if head.seq == seq && head.hash == self.head.hash => None,
            _ => Some(Fault::Head { seq }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link<'a>() -> Link<'a> {
        Link {
            organization: Uuid::from_u128(1),
            seq: 1,
            id: Uuid::from_u128(2),
            at: 1_800_000_000_000_000,
            actor: "admin",
            action: "create",
            entity: "server",
            entity_id: "pets",
            before: None,
            after: Some("{\"title\":\"caf\u{e9} \\n \u{7f}\"}\n\u{1}"),
        }
    }

    /// The hash is a promise: this one was made with Python, as docs/audit.md shows.
    #[test]
    fn the_hash_is_what_others_get() {
        assert_eq!(
            hex::encode(link().hash(&START)),
            "9b588ad485661eb69c2263492ac284430b3ba855f1c9bbe94befb755ed0a418a"
        );
        assert_eq!(
            hex::encode(link().hash(&[255; 32])),
            "15f76159127d35f5ae5ac56da8f4160eca4e713fde48fd942e4b436a6389fef9"
        );
    }

    #[test]
    fn a_head_is_read_as_it_is_written() {
        let noted = Noted {
            seq: 7,
            hash: [0xab; 32],
        };
        assert_eq!(noted.to_string().parse(), Ok(noted));
        for text in ["", "7", "7:ab", "0:", "x:", ":"] {
            assert!(text.parse::<Noted>().is_err(), "{text}");
        }
        let zero = format!("0:{}", "ab".repeat(32));
        assert!(zero.parse::<Noted>().is_err());
    }
}
