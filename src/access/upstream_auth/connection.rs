//! The tokens of a connection, which all processes share. Whoever finds them ended takes a lease, renews
//! them and stores the new ones before it uses them; the others wait and read. A refresh token that is
//! replaced with each use is so never used twice, and never lost but in a crash between the answer and
//! the write.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::access::upstream_auth::request::{Asking, Issued};
use crate::access::upstream_auth::{Kept, Token, TokenError, Tokens};
use crate::access::vault::{RowIdentity, Sealed};
use crate::credential::oauth::TokenSource;
use crate::store::StoreError;
use crate::store::connections::{ConnectionRow, Lease};
use crate::types::{OrganizationId, UserId};

/// Longer than a request to an authorization server and the write after it can take.
const LEASE_S: i64 = 60;
/// How long a process waits for another one that renews.
const WAIT: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What is sealed of a connection.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(rename_all = "camelCase")]
pub(super) struct Held {
    access_token: String,
    refresh_token: Option<String>,
    /// Microseconds; absent where the server did not say.
    ends_at: Option<i64>,
}

impl Held {
    /// What was issued; the refresh token stays where no new one came with it (RFC 6749 section 6).
    pub(super) fn of(issued: &Issued, before: Option<&SecretString>) -> Self {
        let refresh = issued.refresh.as_ref().or(before);
        Self {
            access_token: issued.access.expose_secret().to_owned(),
            refresh_token: refresh.map(|token| token.expose_secret().to_owned()),
            ends_at: issued.ends_at.map(|at| at.timestamp_micros()),
        }
    }

    pub(super) fn access(&self) -> SecretString {
        self.access_token.as_str().into()
    }

    pub(super) fn refresh(&self) -> Option<SecretString> {
        self.refresh_token.as_deref().map(SecretString::from)
    }

    /// As a token, if it lasts and is not the one there is already, which ends or was refused.
    fn issued(&self, current: Option<&Token>, now: DateTime<Utc>) -> Option<Issued> {
        let issued = Issued {
            access: self.access(),
            refresh: self.refresh(),
            ends_at: self.ends_at.and_then(DateTime::from_timestamp_micros),
            id_token: None,
        };
        let is_other = current
            .is_none_or(|token| token.value().expose_secret() != issued.access.expose_secret());
        let lasts = issued.ends_at.is_none_or(|at| now < at);
        (is_other && lasts).then_some(issued)
    }
}

impl Kept {
    /// Where the tokens of a source are: the server's, or one person's.
    pub(super) async fn row(
        &self,
        source: &TokenSource,
    ) -> Result<Option<ConnectionRow>, StoreError> {
        let credential = source.client.credential;
        match source.user {
            Some(user) => self.store.connection_of(credential, user).await,
            None => self.store.connection(credential).await,
        }
    }

    pub(super) fn open(&self, row: &ConnectionRow) -> Option<Held> {
        let sealed = Sealed {
            key_id: row.key_id.clone(),
            bytes: row.sealed.clone(),
        };
        let opened = self.vault.open(&sealed, &identity(row)).ok()?;
        serde_json::from_slice(&opened).ok()
    }

    pub(super) fn seal(&self, held: &Held, row: &RowIdentity) -> Option<Sealed> {
        let plain = Zeroizing::new(serde_json::to_vec(held).ok()?);
        self.vault.seal(&plain, row).ok()
    }
}

pub(super) fn identity(row: &ConnectionRow) -> RowIdentity {
    RowIdentity {
        organization: OrganizationId(row.organization_id),
        row: row.id,
        subject: row.user_id.map(UserId),
    }
}

impl Tokens {
    /// A token of a source's connection other than `current`, renewed if there is none.
    pub(super) async fn connected(
        &self,
        asking: &Asking<'_>,
        current: Option<&Token>,
    ) -> Result<Issued, TokenError> {
        let unconnected = || TokenError::NeedsConnection {
            scheme: asking.scheme(),
        };
        let storage = || asking.storage();
        let Some(kept) = &self.0.kept else {
            return Err(unconnected());
        };
        let owner = format!("{}/{}", self.0.process, Uuid::now_v7());
        let began = Instant::now();
        loop {
            let row = kept.row(asking.source).await;
            let row = row.map_err(|error| {
                tracing::error!(%error, "a connection cannot be read");
                storage()
            })?;
            let row = row.filter(|row| row.state == "connected");
            let row = row.ok_or_else(unconnected)?;
            let held = kept.open(&row).ok_or_else(storage)?;
            let now = self.0.clock.now();
            if let Some(issued) = held.issued(current, now) {
                return Ok(issued);
            }
            let Some(refresh) = held.refresh() else {
                // The one there is has to do for as long as it lasts.
                return held.issued(None, now).ok_or_else(unconnected);
            };
            let lease = Lease {
                connection: row.id,
                generation: row.generation,
                owner: &owner,
                personal: row.user_id.is_some(),
            };
            let until = now + chrono::Duration::seconds(LEASE_S);
            let leased = kept.store.lease_connection(lease, (now, until)).await;
            if leased.map_err(|_| storage())? {
                let renewed = self.renew(asking, (kept, &row, lease), &refresh).await?;
                if let Some(issued) = renewed {
                    return Ok(issued);
                }
            } else if began.elapsed() > WAIT {
                return Err(storage());
            } else {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }

    /// Renews the tokens of a leased connection. Nothing: it was connected anew meanwhile.
    async fn renew(
        &self,
        asking: &Asking<'_>,
        (kept, row, lease): (&Kept, &ConnectionRow, Lease<'_>),
        refresh: &SecretString,
    ) -> Result<Option<Issued>, TokenError> {
        let storage = || asking.storage();
        let issued = match asking.refresh(refresh).await {
            Ok(issued) => issued,
            // RFC 6749 section 5.2: the refresh token is revoked, or has ended.
            Err(TokenError::Refused { code, .. }) if code == "invalid_grant" => {
                let ended = kept.store.end_connection(lease, self.0.clock.now()).await;
                ended.map_err(|_| storage())?;
                return Err(TokenError::NeedsConnection {
                    scheme: asking.scheme(),
                });
            }
            Err(error) => {
                // Its time ends by itself where this fails.
                let _ = kept.store.release_connection(lease).await;
                return Err(error);
            }
        };
        let held = Held::of(&issued, Some(refresh));
        let sealed = kept.seal(&held, &identity(row)).ok_or_else(storage)?;
        let now = self.0.clock.now();
        let renewing = kept
            .store
            .renew_connection(lease, (&sealed.key_id, &sealed.bytes), now);
        let stored = renewing.await.map_err(|error| {
            tracing::error!(%error, "renewed tokens cannot be stored");
            storage()
        })?;
        Ok(stored.then_some(issued))
    }
}
