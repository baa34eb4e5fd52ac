//! What is stored about one person or one consumer: read out whole, in pages, and erased.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::store::audit::NewAudit;
use crate::store::changes::Change;
use crate::store::connected;
use crate::store::db::{
    Number, Tx, execute, fetch_all, fetch_all_in, fetch_in, fetch_optional, row,
};
use crate::store::keys::{ConsumerRow, KeyRow};
use crate::store::{Store, StoreError, webhooks};
use crate::types::{ConsumerId, OrganizationId, ServerId, UserId};

row! {
    /// A name that is being replaced in the audit, up to a row.
    #[derive(Clone, Debug)]
    pub struct ErasureRow {
        /// Whose it was.
        pub id: Uuid,
        pub organization_id: Uuid,
        pub name: String,
        pub pseudonym: String,
        pub until_seq: i64,
    }
}

row! {
    /// A consumer with everything that is known of it.
    #[derive(Clone, Debug)]
    pub struct WholeConsumerRow {
        pub id: Uuid,
        pub name: String,
        pub created_at: i64,
        pub owner_id: Option<Uuid>,
        pub issuer: Option<String>,
        pub subject: Option<String>,
        pub limits: Option<String>,
    }
}

row! {
    #[derive(Debug)]
    pub struct IdRow {
        pub id: Uuid,
    }
}

row! {
    /// A browser somebody signed in with, without its secret.
    #[derive(Clone, Debug)]
    pub struct BrowserRow {
        pub id: Uuid,
        pub created_at: i64,
        pub last_seen_at: i64,
        pub expires_at: i64,
        pub revoked_at: Option<i64>,
        pub user_agent: String,
    }
}

row! {
    /// A server somebody has.
    #[derive(Clone, Debug)]
    pub struct OwnRow {
        pub id: Uuid,
        pub slug: String,
        pub title: String,
        pub created_at: i64,
        pub deleted_at: Option<i64>,
    }
}

row! {
    /// A call that waited for a person, asked by whom the data is about, or decided by them.
    #[derive(Clone, Debug)]
    pub struct AskedRow {
        pub id: Uuid,
        pub server_id: Uuid,
        pub tool: String,
        pub principal: String,
        pub arguments: String,
        pub asked_at: i64,
        pub state: String,
        pub reason: Option<String>,
        pub decided_by: Option<String>,
        pub decided_at: Option<i64>,
    }
}

row! {
    /// A call, without names: they are told beside it.
    #[derive(Clone, Debug)]
    pub struct CalledRow {
        pub id: Uuid,
        pub at: i64,
        pub server_id: Option<Uuid>,
        pub tool: Option<String>,
        pub consumer_id: Option<Uuid>,
        pub key_id: Option<Uuid>,
        pub status: String,
        pub total_us: i64,
        pub request_bytes: i64,
        pub response_bytes: i64,
        pub trace_id: String,
    }
}

/// Of a person, `$1` is their id; of a consumer, its own. `$2` is the last row that was read.
const CONSUMER: &str = "SELECT id, name, created_at, owner_id, issuer, subject, limits FROM consumers \
     WHERE organization_id = $1 AND name = $2";
const BROWSERS: &str = "SELECT id, created_at, last_seen_at, expires_at, revoked_at, user_agent FROM sessions \
     WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3";
const KEYS: &str = "SELECT id, organization_id, consumer_id, name, prefix, grants, created_at, expires_at, revoked_at, \
     last_used_at, replaces, owner_id, models FROM api_keys WHERE (owner_id = $1 OR consumer_id = $1) AND id > $2 ORDER BY id LIMIT $3";
const CONSUMERS: &str = "SELECT id, name, created_at, owner_id FROM consumers WHERE owner_id = $1 AND id > $2 ORDER BY id LIMIT $3";
const SERVERS: &str = "SELECT id, slug, title, created_at, deleted_at FROM servers WHERE owner_id = $1 AND id > $2 ORDER BY id LIMIT $3";
const APPROVALS: &str = "SELECT id, server_id, tool, principal, arguments, asked_at, state, reason, decided_by, decided_at \
     FROM approvals WHERE organization_id = $1 AND (principal = $4 OR decided_by = $5) AND id > $2 ORDER BY id LIMIT $3";
const LEDGER: &str = "SELECT id, at, server_id, tool, consumer_id, key_id, status, total_us, request_bytes, response_bytes, trace_id \
     FROM ledger WHERE (consumer_id = $1 OR consumer_id IN (SELECT id FROM consumers WHERE owner_id = $1) \
     OR key_id IN (SELECT id FROM api_keys WHERE owner_id = $1)) AND id > $2 ORDER BY id LIMIT $3";

const HEAD: &str = "SELECT seq AS value FROM audit_heads WHERE organization_id = $1";
const ERASE_USER: &str = "UPDATE users SET name = $3, role = 'member', password_hash = NULL, \
     disabled_at = COALESCE(disabled_at, $4), last_sign_in_at = NULL, totp_key_id = NULL, totp_sealed = NULL, totp_step = NULL, \
     erased_at = $4 WHERE id = $1 AND organization_id = $2 AND erased_at IS NULL";
const FORGET_SESSIONS: &str = "DELETE FROM sessions WHERE user_id = $1";
const FORGET_LINKS: &str = "DELETE FROM account_links WHERE user_id = $1";
const FORGET_IDENTITIES: &str = "DELETE FROM identities WHERE user_id = $1";
const FORGET_SIGN_INS: &str = "DELETE FROM sign_ins WHERE user_id = $1";
const FORGET_CODES: &str = "DELETE FROM recovery_codes WHERE user_id = $1";
const END_KEYS: &str = "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $2), name = 'erased', prefix = '', \
     last_used_at = NULL WHERE owner_id = $1 OR consumer_id = $1";
const OWN_CONSUMERS: &str = "SELECT id FROM consumers WHERE owner_id = $1";
const ERASE_CONSUMER: &str = "UPDATE consumers SET name = $3, issuer = NULL, subject = NULL, erased_at = $4 \
     WHERE id = $1 AND organization_id = $2 AND erased_at IS NULL";
const FORGET_ARGUMENTS: &str =
    "UPDATE approvals SET arguments = '{}' WHERE organization_id = $1 AND principal = $2";
const END_WAITING: &str = "UPDATE approvals SET state = 'expired' WHERE organization_id = $1 AND principal = $2 \
     AND state IN ('pending', 'approved')";
/// Stored beside the organization of whoever got them, and where a consumer has keys of several people, which of
/// them: `ORGANIZATION consumer:ID for USER`.
const FORGET_ANSWERS: &str =
    "DELETE FROM answers WHERE principal = $1 OR principal LIKE $2 OR principal LIKE $3";
const FORGET_REQUESTS: &str =
    "DELETE FROM idempotency_keys WHERE organization_id = $1 AND principal = $2";
const FORGET_CREDENTIALS: &str =
    "DELETE FROM credentials WHERE organization_id = $1 AND subject = $2";
const RENAME_DECIDER: &str = "UPDATE approvals SET decided_by = $3, reason = NULL WHERE organization_id = $1 AND decided_by = $2";
const BEGIN_ERASURE: &str = "INSERT INTO erasures (id, organization_id, name, pseudonym, until_seq, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6)";
const RELEASE: &str = "UPDATE servers SET owner_id = NULL, revision = revision + 1, updated_at = $3 WHERE id = $1 AND owner_id = $2";

/// Where a page begins, and how many rows it has at most.
pub type Page = (Uuid, i64);

impl Store {
    pub async fn consumer_whole(
        &self,
        organization: OrganizationId,
        name: &str,
    ) -> Result<Option<WholeConsumerRow>, StoreError> {
        fetch_optional!(&self.db, WholeConsumerRow, CONSUMER, organization.0, name)
    }

    pub async fn browsers_of(
        &self,
        user: Uuid,
        (after, limit): Page,
    ) -> Result<Vec<BrowserRow>, StoreError> {
        fetch_all!(&self.db, BrowserRow, BROWSERS, user, after, limit)
    }

    /// The keys of a person, or of a consumer.
    pub async fn keys_of(
        &self,
        whose: Uuid,
        (after, limit): Page,
    ) -> Result<Vec<KeyRow>, StoreError> {
        fetch_all!(&self.db, KeyRow, KEYS, whose, after, limit)
    }

    pub async fn consumers_of(
        &self,
        user: Uuid,
        (after, limit): Page,
    ) -> Result<Vec<ConsumerRow>, StoreError> {
        fetch_all!(&self.db, ConsumerRow, CONSUMERS, user, after, limit)
    }

    pub async fn servers_of(
        &self,
        user: Uuid,
        (after, limit): Page,
    ) -> Result<Vec<OwnRow>, StoreError> {
        fetch_all!(&self.db, OwnRow, SERVERS, user, after, limit)
    }

    /// The calls that waited for a person, of a principal or decided by somebody.
    pub async fn approvals_of(
        &self,
        organization: OrganizationId,
        (principal, decider): (&str, &str),
        (after, limit): Page,
    ) -> Result<Vec<AskedRow>, StoreError> {
        fetch_all!(
            &self.db,
            AskedRow,
            APPROVALS,
            organization.0,
            after,
            limit,
            principal,
            decider
        )
    }

    /// The calls of a consumer, or of all consumers and keys of a person.
    pub async fn calls_of(
        &self,
        whose: Uuid,
        (after, limit): Page,
    ) -> Result<Vec<CalledRow>, StoreError> {
        fetch_all!(&self.db, CalledRow, LEDGER, whose, after, limit)
    }

    /// Erases what is stored about a person, all of it together but for the audit, in which their name is
    /// replaced afterwards, and their servers, which are then the admins'. `false`: there is nobody of that
    /// id, or they were erased.
    pub async fn erase_user(
        &self,
        (id, name, pseudonym): (UserId, &str, &str),
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let (organization, at) = (act.organization, now.timestamp_micros());
        if execute!(&mut tx, ERASE_USER, id.0, organization.0, pseudonym, at)? == 0 {
            return Ok(false);
        }
        connected::forget_of_user(&mut tx, id).await?;
        for statement in [
            FORGET_SESSIONS,
            FORGET_LINKS,
            FORGET_CODES,
            FORGET_IDENTITIES,
            FORGET_SIGN_INS,
        ] {
            execute!(&mut tx, statement, id.0)?;
        }
        execute!(&mut tx, END_KEYS, id.0, at)?;
        for row in fetch_all_in!(&mut tx, IdRow, OWN_CONSUMERS, id.0)? {
            erase_consumer(&mut tx, organization, ConsumerId(row.id), at).await?;
        }
        forget_principal(&mut tx, organization, ("user", id.0)).await?;
        let (was, is) = (format!("user:{name}"), format!("user:{pseudonym}"));
        execute!(&mut tx, RENAME_DECIDER, organization.0, &was, &is)?;
        let head = fetch_in!(&mut tx, Number, HEAD, organization.0)?;
        let until = head.map_or(0, |row| row.value);
        execute!(
            &mut tx,
            BEGIN_ERASURE,
            id.0,
            organization.0,
            name,
            pseudonym,
            until,
            at
        )?;
        self.commit_change(tx, act, (Change::User(id), 2), at)
            .await?;
        Ok(true)
    }

    /// Erases what is stored about a consumer, and ends its keys. `false`: there is none of that id, or it
    /// was erased.
    pub async fn erase_consumer(
        &self,
        id: ConsumerId,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        if !erase_consumer(&mut tx, act.organization, id, at).await? {
            return Ok(false);
        }
        // Whoever keeps keys in mind looks all of them up again, whichever is named.
        let change = Change::Key(crate::types::KeyId(id.0));
        self.commit_change(tx, act, (change, 2), at).await?;
        Ok(true)
    }

    /// Makes a server the admins', whose owner was erased, without its webhook. `false`: it is somebody else's by now.
    pub async fn release_server(
        &self,
        id: ServerId,
        owner: UserId,
        act: &NewAudit,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.db.begin().await?;
        let at = now.timestamp_micros();
        if execute!(&mut tx, RELEASE, id.0, owner.0, at)? == 0 {
            return Ok(false);
        }
        webhooks::change_hands(&mut tx, id, at).await?;
        self.finish(tx, id, act, at).await?;
        Ok(true)
    }
}

/// What a consumer is called after it was erased.
pub fn pseudonym(id: Uuid) -> String {
    // The end of the id: its beginning is a time.
    let text = id.simple().to_string();
    format!("erased-{}", &text[text.len() - 12..])
}

async fn erase_consumer(
    tx: &mut Tx,
    organization: OrganizationId,
    id: ConsumerId,
    at: i64,
) -> Result<bool, StoreError> {
    let name = pseudonym(id.0);
    if execute!(tx, ERASE_CONSUMER, id.0, organization.0, &name, at)? == 0 {
        return Ok(false);
    }
    execute!(tx, END_KEYS, id.0, at)?;
    forget_principal(tx, organization, ("consumer", id.0)).await?;
    Ok(true)
}

/// What somebody sent and was answered, as far as it is kept. What runs is not answered into a row that is gone.
async fn forget_principal(
    tx: &mut Tx,
    organization: OrganizationId,
    (kind, id): (&str, Uuid),
) -> Result<(), StoreError> {
    let principal = format!("{kind}:{id}");
    for statement in [FORGET_ARGUMENTS, END_WAITING, FORGET_CREDENTIALS] {
        execute!(tx, statement, organization.0, &principal)?;
    }
    // Only people, and the admin key, send requests that are done once.
    if kind == "user" {
        execute!(tx, FORGET_REQUESTS, organization.0, &principal)?;
    }
    let own = format!("{organization} {principal}");
    let (shared, through) = (format!("{own} for %"), format!("% for {id}"));
    execute!(tx, FORGET_ANSWERS, &own, &shared, &through)?;
    Ok(())
}
