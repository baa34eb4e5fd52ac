//! Accounts that people connect themselves, for the calls that are made for them. What is one person's is read by
//! who that is, opens for nobody else, and is looked up for each call: it ends everywhere the moment it is
//! disconnected.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::access::session::random;
use crate::access::upstream_auth::authorize::id_of;
use crate::access::upstream_auth::{Kept, TokenError, Tokens};
use crate::access::vault::{RowIdentity, Sealed};
use crate::credential::Secret;
use crate::credential::oauth::TokenSource;
use crate::egress::Upstream;
use crate::store::StoreError;
use crate::store::audit::NewAudit;
use crate::store::connected::{AccountRow, LinkRow, NewAccount, Place, is_due};
use crate::store::connections::{ConnectionRow, NewSealed};
use crate::types::{CredentialId, OrganizationId, ServerId, UserId};

/// How long a link is good.
pub const LINK_MINUTES: i64 = 10;
/// Longer than any token of a link.
const LINK_BYTES_MAX: usize = 128;

/// Somebody's account for a scheme of a server.
#[derive(Debug)]
pub struct Own {
    pub id: Uuid,
    pub user: UserId,
    /// Where it may go.
    pub origins: BTreeSet<String>,
    pub secret: OwnSecret,
}

/// What an account is.
pub enum OwnSecret {
    /// What the person entered.
    Entered(Secret),
    /// Tokens that were got with this client.
    Tokens(CredentialId),
    /// The authorization server took its refresh token no more.
    Ended,
}

impl std::fmt::Debug for OwnSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Entered(_) => "Entered",
            Self::Tokens(_) => "Tokens",
            Self::Ended => "Ended",
        })
    }
}

/// What is sealed of a secret that somebody entered.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(rename_all = "camelCase", tag = "type")]
enum Entered {
    Token { value: String },
    Basic { user: String, password: String },
}

impl Entered {
    /// Nothing where it is no secret that one person can have.
    fn of(secret: &Secret) -> Option<Self> {
        match secret {
            Secret::Token(token) => Some(Self::Token {
                value: token.expose_secret().to_owned(),
            }),
            Secret::Basic { user, password } => Some(Self::Basic {
                user: user.clone(),
                password: password.expose_secret().to_owned(),
            }),
            Secret::Client(_) | Secret::Identity(_) | Secret::EachUser(_) => None,
        }
    }

    fn secret(&self) -> Secret {
        match self {
            Self::Token { value } => Secret::Token(SecretString::from(value.as_str())),
            Self::Basic { user, password } => Secret::Basic {
                user: user.clone(),
                password: SecretString::from(password.as_str()),
            },
        }
    }
}

impl Tokens {
    /// Somebody's account for a scheme of a server, now. Nothing, where there is none.
    ///
    /// # Errors
    /// When it cannot be read, or what is stored was not sealed for this very person.
    pub async fn own(
        &self,
        (server, scheme, user): (ServerId, &str, UserId),
    ) -> Result<Option<Own>, TokenError> {
        let storage = || TokenError::Storage {
            scheme: scheme.to_owned(),
        };
        let Some(kept) = &self.0.kept else {
            return Ok(None);
        };
        let row = kept.store.account((server, scheme, user)).await;
        let row = row.map_err(|error| {
            tracing::error!(%error, "a connected account cannot be read");
            storage()
        })?;
        let Some(row) = row else {
            return Ok(None);
        };
        let own = kept.own(&row).ok_or_else(storage)?;
        kept.used(row, self.0.clock.now());
        Ok(Some(own))
    }

    /// A link by which this person may connect an account, once: what stands in it.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub async fn offer(&self, place: Place<'_>) -> Result<String, TokenError> {
        let storage = || TokenError::Storage {
            scheme: place.scheme.to_owned(),
        };
        let kept = self.0.kept.as_ref().ok_or_else(storage)?;
        // 256 bits.
        let token = random() + &random();
        let now = self.0.clock.now();
        let until = now + Duration::minutes(LINK_MINUTES);
        let offering = kept
            .store
            .offer_account((id_of(&token), place), (now, until));
        offering.await.map_err(|error| {
            tracing::error!(%error, "a link to connect an account cannot be kept");
            storage()
        })?;
        Ok(token)
    }

    /// What a link is for, as long as it is good. Who may use it is for the caller to ask.
    pub async fn offered(&self, token: &str) -> Result<Option<LinkRow>, StoreError> {
        match &self.0.kept {
            Some(kept) if token.len() <= LINK_BYTES_MAX => {
                let now = self.0.clock.now();
                kept.store.offered_account(id_of(token), now).await
            }
            _ => Ok(None),
        }
    }

    /// Takes a link that is this person's, once.
    pub async fn take_offer(
        &self,
        token: &str,
        user: UserId,
    ) -> Result<Option<LinkRow>, StoreError> {
        match &self.0.kept {
            Some(kept) if token.len() <= LINK_BYTES_MAX => {
                let now = self.0.clock.now();
                kept.store.take_offer(id_of(token), user, now).await
            }
            _ => Ok(None),
        }
    }

    /// Keeps a secret that somebody entered for their own calls. `false`: the server or the person is gone.
    ///
    /// # Errors
    /// When it cannot be sealed or stored.
    pub async fn keep_entered(
        &self,
        place: Place<'_>,
        (secret, origins): (&Secret, &BTreeSet<String>),
        act: &NewAudit,
    ) -> Result<bool, TokenError> {
        let storage = || TokenError::Storage {
            scheme: place.scheme.to_owned(),
        };
        let kept = self.0.kept.as_ref().ok_or_else(storage)?;
        let entered = Entered::of(secret).ok_or_else(|| TokenError::Unusable {
            scheme: place.scheme.to_owned(),
            reason: "what was entered is no key, token or password",
        })?;
        let plain = Zeroizing::new(serde_json::to_vec(&entered).map_err(|_| storage())?);
        let row = identity((place.organization, Uuid::now_v7()), place.user);
        let sealed = kept.vault.seal(&plain, &row).map_err(|_| storage())?;
        let new = NewAccount {
            id: row.row,
            place,
            credential: None,
            key_id: sealed.key_id,
            sealed: sealed.bytes,
            origins: serde_json::json!(origins).to_string(),
        };
        kept.keep(&new, act, self.0.clock.now()).await
    }

    /// Keeps the tokens that [`Tokens::complete`] got for somebody. `false`: as above.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn keep_tokens(
        &self,
        place: Place<'_>,
        (made, origins): (NewSealed, &BTreeSet<String>),
        act: &NewAudit,
    ) -> Result<bool, TokenError> {
        let kept = self.0.kept.as_ref();
        let kept = kept.ok_or_else(|| TokenError::Storage {
            scheme: place.scheme.to_owned(),
        })?;
        let new = NewAccount {
            id: made.id,
            place,
            credential: Some(made.credential),
            key_id: made.key_id,
            sealed: made.sealed,
            origins: serde_json::json!(origins).to_string(),
        };
        kept.keep(&new, act, self.0.clock.now()).await
    }
}

impl Tokens {
    /// Forgets the tokens of an account that is not stored any more, and asks their server to revoke them, as well
    /// as that can be done.
    pub async fn end_own(&self, source: &TokenSource, upstream: &Upstream, row: AccountRow) {
        self.0.slots.lock().shift_remove(&source.identity());
        let connection = ConnectionRow {
            id: row.id,
            organization_id: row.organization_id,
            state: row.state,
            key_id: row.key_id,
            sealed: row.sealed,
            generation: row.generation,
            user_id: Some(row.user_id),
        };
        self.revoke_row(source, upstream, Some(connection)).await;
    }
}

impl Kept {
    /// A row, opened for whose it says it is.
    fn own(&self, row: &AccountRow) -> Option<Own> {
        let user = UserId(row.user_id);
        let secret = match (&*row.state, row.credential_id) {
            ("connected", Some(credential)) => OwnSecret::Tokens(CredentialId(credential)),
            ("connected", None) => {
                let sealed = Sealed {
                    key_id: row.key_id.clone(),
                    bytes: row.sealed.clone(),
                };
                let identity = identity((OrganizationId(row.organization_id), row.id), user);
                let opened = self.vault.open(&sealed, &identity);
                let opened = opened.inspect_err(|error| {
                    tracing::error!(%error, account = %row.id, "a connected account cannot be opened");
                });
                let entered: Entered = serde_json::from_slice(&opened.ok()?).ok()?;
                OwnSecret::Entered(entered.secret())
            }
            _ => OwnSecret::Ended,
        };
        Some(Own {
            id: row.id,
            user,
            origins: serde_json::from_str(&row.origins).ok()?,
            secret,
        })
    }

    /// Writes down that an account is used. No call waits for that.
    fn used(&self, row: AccountRow, now: DateTime<Utc>) {
        if !is_due(&row, now) {
            return;
        }
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.account_used(row.id, now).await {
                tracing::warn!(%error, "that an account was used cannot be written down");
            }
        });
    }

    async fn keep(
        &self,
        new: &NewAccount<'_>,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, TokenError> {
        let kept = self.store.keep_account(new, act, now).await;
        kept.map_err(|error| {
            tracing::error!(%error, "a connected account cannot be stored");
            TokenError::Storage {
                scheme: new.place.scheme.to_owned(),
            }
        })
    }
}

fn identity((organization, row): (OrganizationId, Uuid), user: UserId) -> RowIdentity {
    RowIdentity {
        organization,
        row,
        subject: Some(user),
    }
}
