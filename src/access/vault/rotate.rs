//! Sealing everything anew under the current master key: some rows at a time, so that others write in
//! between, and from where it stopped, however it stopped, since each row says what sealed it.

use uuid::Uuid;

use crate::access::vault::kept::{API_KEYS, identity};
use crate::access::vault::{RowIdentity, Sealed, Vault, VaultError};
use crate::store::sealed::{KeptKeyRow, Resealed, SealedRow, SealedTable};
use crate::store::{Store, StoreError};
use crate::types::{OrganizationId, UserId};

/// Rows of one transaction.
const ROWS: i64 = 200;

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    pub resealed: u64,
    /// Rows that none of the keys opens, which stay as they are.
    pub unreadable: u64,
}

/// Seals anew whatever another key sealed. `told` hears of each transaction.
///
/// # Errors
/// The database; what was done until then stays done.
pub async fn reseal_all(
    store: &Store,
    vault: &Vault,
    mut told: impl FnMut(&Rotated),
) -> Result<Rotated, StoreError> {
    let mut rotated = Rotated::default();
    reseal_kept(store, vault, &mut rotated).await?;
    for table in SealedTable::ALL {
        let mut after = Uuid::nil();
        loop {
            let key_id = vault.key_id();
            let reading = store.sealed_otherwise(table, &key_id, after, ROWS);
            let rows = reading.await?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            let (new, unreadable) = anew(vault, rows);
            rotated.unreadable += unreadable;
            rotated.resealed += store.reseal(table, &new).await?;
            told(&rotated);
        }
    }
    Ok(rotated)
}

fn anew(vault: &Vault, rows: Vec<SealedRow>) -> (Vec<Resealed>, u64) {
    let (mut new, mut unreadable) = (Vec::with_capacity(rows.len()), 0);
    for row in rows {
        let identity = RowIdentity {
            organization: OrganizationId(row.organization_id),
            row: row.id,
            subject: row.subject.map(UserId),
        };
        match again(vault, (row.key_id, row.sealed), &identity) {
            Ok((sealed, before)) => new.push(Resealed {
                id: row.id,
                before,
                key_id: sealed.key_id,
                sealed: sealed.bytes,
            }),
            Err(error) => {
                tracing::warn!(error = %error, row = %row.id, "a row cannot be sealed anew");
                unreadable += 1;
            }
        }
    }
    (new, unreadable)
}

/// The value sealed anew, and what it was.
fn again(
    vault: &Vault,
    (key_id, bytes): (String, Vec<u8>),
    identity: &RowIdentity,
) -> Result<(Sealed, Vec<u8>), VaultError> {
    let sealed = Sealed { key_id, bytes };
    let new = vault.reseal(&sealed, identity)?;
    Ok((new, sealed.bytes))
}

async fn reseal_kept(
    store: &Store,
    vault: &Vault,
    rotated: &mut Rotated,
) -> Result<(), StoreError> {
    let Some(row) = store.kept_key(API_KEYS).await? else {
        return Ok(());
    };
    if row.key_id == vault.key_id() {
        return Ok(());
    }
    match again(vault, (row.key_id, row.sealed), &identity()) {
        Ok((sealed, before)) => {
            let new = KeptKeyRow {
                key_id: sealed.key_id,
                sealed: sealed.bytes,
            };
            rotated.resealed += store.reseal_kept(API_KEYS, &before, &new).await?;
        }
        Err(error) => {
            tracing::warn!(error = %error, "the key that API keys are hashed with cannot be sealed anew");
            rotated.unreadable += 1;
        }
    }
    Ok(())
}
