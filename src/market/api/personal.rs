//! What is stored about one person or one consumer: handed out as a file that is written while it is read,
//! and erased.

use std::collections::VecDeque;

use axum::Json;
use axum::body::Body as Stream;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use futures::stream;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::person::Person;
use crate::extract::{Body, Path};
use crate::market::api::Market;
use crate::problem::{Problem, ProblemKind};
use crate::store::audit::NewAudit;
use crate::store::personal::pseudonym;
use crate::store::users::UserRow;
use crate::store::{Store, StoreError};
use crate::types::{ConsumerId, OrganizationId, UserId};

/// Rows read at once.
const PAGE: i64 = 500;

/// What an erasure has to repeat, so that it cannot mean somebody else.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirmed {
    confirm: String,
}

impl Confirmed {
    fn check(&self, name: &str) -> Result<(), Problem> {
        if self.confirm == name {
            return Ok(());
        }
        let detail = "`confirm` is not the name; nothing was erased";
        Err(Problem::new(ProblemKind::Unprocessable, detail))
    }
}

pub(super) async fn export_user(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let user = market.0.parts.accounts.user(&person, &name).await?;
    of_user(&market, &person, &user).await
}

/// One's own.
pub(super) async fn export_own(
    State(market): State<Market>,
    person: Person,
) -> Result<Response, Problem> {
    // The admin key is nobody in particular.
    let name = person.name.as_deref().ok_or_else(Problem::not_found)?;
    let user = market.0.parts.accounts.user(&person, name).await?;
    of_user(&market, &person, &user).await
}

async fn of_user(market: &Market, person: &Person, user: &UserRow) -> Result<Response, Problem> {
    let profile = json!({
        "id": user.id,
        "name": user.name,
        "role": user.role,
        "hasPassword": user.password_hash.is_some(),
        "asksForCodes": user.totp_step.is_some(),
        "createdAt": time(user.created_at),
        "lastSignInAt": user.last_sign_in_at.and_then(time),
        "disabledAt": user.disabled_at.and_then(time),
    });
    note(market, person, ("user", &user.name)).await?;
    Ok(Export {
        store: market.0.parts.publisher.store.clone(),
        organization: person.organization(),
        whose: user.id,
        about: ("user", user.name.clone()),
        actor: format!("user:{}", user.name),
        principals: VecDeque::from([format!("user:{}", user.id)]),
        sections: &OF_USER,
        after: START,
        first: true,
    }
    .answer(profile, market.0.parts.publisher.clock.now()))
}

pub(super) async fn export_consumer(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let store = &market.0.parts.publisher.store;
    let organization = person.organization();
    let row = store.consumer_whole(organization, &name).await?;
    let row = row.ok_or_else(Problem::not_found)?;
    let plans = store.assignments(organization, ConsumerId(row.id)).await?;
    let plans = plans
        .iter()
        .map(|plan| json!({ "server": plan.server_id, "plan": plan.plan }));
    let profile = json!({
        "id": row.id,
        "name": row.name,
        "createdAt": time(row.created_at),
        "owner": row.owner_id,
        "issuer": row.issuer,
        "subject": row.subject,
        "limits": row.limits.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok()),
        "plans": plans.collect::<Vec<_>>(),
    });
    note(&market, &person, ("consumer", &row.id.to_string())).await?;
    let export = Export {
        store: store.clone(),
        organization,
        whose: row.id,
        about: ("consumer", row.id.to_string()),
        actor: String::new(),
        principals: VecDeque::from([format!("consumer:{}", row.id)]),
        sections: &OF_CONSUMER,
        after: START,
        first: true,
    };
    Ok(export.answer(profile, market.0.parts.publisher.clock.now()))
}

/// Who looked at what is stored about somebody is itself noted.
async fn note(
    market: &Market,
    person: &Person,
    (entity, name): (&'static str, &str),
) -> Result<(), Problem> {
    let who = (person.organization(), person.actor());
    let act = NewAudit::of(who, "export", (entity, name.to_owned()));
    let publisher = &market.0.parts.publisher;
    Ok(publisher
        .store
        .note_act(&act, publisher.clock.now())
        .await?)
}

pub(super) async fn erase_user(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
    Body(confirmed): Body<Confirmed>,
) -> Result<Json<Value>, Problem> {
    confirmed.check(&name)?;
    let pseudonym = market.0.parts.accounts.erase(&person, &name).await?;
    Ok(Json(json!({ "pseudonym": pseudonym })))
}

pub(super) async fn erase_consumer(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
    Body(confirmed): Body<Confirmed>,
) -> Result<Json<Value>, Problem> {
    let pseudonym = forget_consumer(&market, &person, (&name, &confirmed.confirm)).await?;
    Ok(Json(json!({ "pseudonym": pseudonym })))
}

/// Erases what is stored about a consumer, whose name is repeated; gives what stands in its place.
pub(crate) async fn forget_consumer(
    market: &Market,
    person: &Person,
    (name, repeated): (&str, &str),
) -> Result<String, Problem> {
    let confirm = repeated.to_owned();
    Confirmed { confirm }.check(name)?;
    let publisher = &market.0.parts.publisher;
    let row = publisher
        .store
        .consumer(person.organization(), name)
        .await?;
    let row = row.ok_or_else(Problem::not_found)?;
    let who = (person.organization(), person.actor());
    let act = NewAudit::of(who, "erase", ("consumer", row.id.to_string()));
    let (id, now) = (ConsumerId(row.id), publisher.clock.now());
    if !publisher.store.erase_consumer(id, &act, now).await? {
        return Err(Problem::not_found());
    }
    market.0.parts.keys.forget();
    Ok(pseudonym(row.id))
}

fn time(micros: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros)
}

/// A list of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Sessions,
    Consumers,
    Keys,
    Servers,
    Identities,
    Accounts,
    Approvals,
    Audit,
    Calls,
}

/// What there is of a person. Their consumers come before what is told of those.
const OF_USER: [Section; 9] = [
    Section::Sessions,
    Section::Consumers,
    Section::Keys,
    Section::Servers,
    Section::Identities,
    Section::Accounts,
    Section::Approvals,
    Section::Audit,
    Section::Calls,
];
const OF_CONSUMER: [Section; 4] = [
    Section::Keys,
    Section::Approvals,
    Section::Audit,
    Section::Calls,
];

impl Section {
    fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Consumers => "consumers",
            Self::Keys => "keys",
            Self::Servers => "servers",
            Self::Identities => "identities",
            Self::Accounts => "connectedAccounts",
            Self::Approvals => "approvals",
            Self::Audit => "audit",
            Self::Calls => "calls",
        }
    }
}

/// Where reading goes on: a row's number, where it has one, and its id.
type After = (i64, Uuid);

const START: After = (-1, Uuid::nil());

/// A file that is written: of what was read a page is held, and the names of the consumers.
struct Export {
    store: Store,
    organization: OrganizationId,
    /// The id of the person or consumer, and what the audit calls them.
    whose: Uuid,
    about: (&'static str, String),
    /// As whom they act; empty: as nobody.
    actor: String,
    /// As whom their calls waited for somebody.
    principals: VecDeque<String>,
    /// Those that are not through; the first is being read.
    sections: &'static [Section],
    after: After,
    /// Nothing of the list was written yet.
    first: bool,
}

impl Export {
    /// The answer. What the database refuses on the way cuts it off.
    fn answer(self, profile: Value, now: DateTime<Utc>) -> Response {
        let head = format!("{{\"exportedAt\":{},\"profile\":{profile}", json!(now));
        let pieces = stream::try_unfold((Some(self), head), async |(export, head)| {
            let Some(mut export) = export else {
                return Ok(None);
            };
            let (piece, more) = export.piece().await.inspect_err(|error| {
                tracing::warn!(error = %error, "an export of personal data was cut off");
            })?;
            let text = format!("{head}{piece}");
            Ok::<_, StoreError>(Some((text, (more.then_some(export), String::new()))))
        });
        let headers = [
            (CONTENT_TYPE, "application/json"),
            (
                CONTENT_DISPOSITION,
                "attachment; filename=\"personal-data.json\"",
            ),
            (CACHE_CONTROL, "no-store"),
        ];
        (StatusCode::OK, headers, Stream::from_stream(pieces)).into_response()
    }

    /// The next piece, and whether there are more.
    async fn piece(&mut self) -> Result<(String, bool), StoreError> {
        let Some((section, rest)) = self.sections.split_first() else {
            return Ok(("}\n".to_owned(), false));
        };
        let mut text = String::new();
        if self.first && self.after == START {
            text.push_str(&[",\n", &json!(section.name()).to_string(), ":["].concat());
        }
        let rows = self.rows(*section).await?;
        for row in &rows {
            text.push_str(if self.first { "\n" } else { ",\n" });
            text.push_str(&row.to_string());
            self.first = false;
        }
        if rows.is_empty() {
            // Of approvals, there may be those of the next consumer.
            if *section == Section::Approvals && self.principals.len() > 1 {
                self.principals.pop_front();
                self.after = START;
                // It has begun, whether or not anything was in it.
                if self.first {
                    self.after = (0, Uuid::nil());
                }
                return Ok((text, true));
            }
            text.push(']');
            (self.sections, self.after, self.first) = (rest, START, true);
        }
        Ok((text, true))
    }

    /// The next rows of a section, and where reading goes on.
    async fn rows(&mut self, section: Section) -> Result<Vec<Value>, StoreError> {
        let (store, whose, page) = (&self.store, self.whose, (self.after.1, PAGE));
        let (rows, ids): (Vec<Value>, Vec<After>) = match section {
            Section::Sessions => told(store.browsers_of(whose, page).await?, |row| {
                let value = json!({
                    "id": row.id, "browser": row.user_agent, "createdAt": time(row.created_at),
                    "lastSeenAt": time(row.last_seen_at), "expiresAt": time(row.expires_at),
                    "endedAt": row.revoked_at.and_then(time),
                });
                (value, row.id)
            }),
            Section::Consumers => {
                let rows = store.consumers_of(whose, page).await?;
                let names = rows.iter().map(|row| format!("consumer:{}", row.id));
                self.principals.extend(names);
                told(rows, |row| {
                    let made = time(row.created_at);
                    (
                        json!({ "id": row.id, "name": row.name, "createdAt": made }),
                        row.id,
                    )
                })
            }
            Section::Keys => told(store.keys_of(whose, page).await?, |row| {
                let (grants, models) = (row.grants.as_deref(), row.models.as_deref());
                let value = json!({
                    "id": row.id, "consumer": row.consumer_id, "name": row.name, "prefix": row.prefix,
                    "grants": grants.and_then(|text| serde_json::from_str::<Value>(text).ok()),
                    "models": models.and_then(|text| serde_json::from_str::<Value>(text).ok()),
                    "createdAt": time(row.created_at), "expiresAt": row.expires_at.and_then(time),
                    "revokedAt": row.revoked_at.and_then(time),
                    "lastUsedAt": row.last_used_at.and_then(time),
                });
                (value, row.id)
            }),
            Section::Servers => told(store.servers_of(whose, page).await?, |row| {
                let value = json!({
                    "id": row.id, "slug": row.slug, "title": row.title,
                    "createdAt": time(row.created_at), "deletedAt": row.deleted_at.and_then(time),
                });
                (value, row.id)
            }),
            Section::Identities => self.identities(page).await?,
            Section::Accounts => self.connected(page).await?,
            Section::Approvals => self.approvals(page).await?,
            Section::Audit => self.acts().await?,
            Section::Calls => told(store.calls_of(whose, page).await?, |row| {
                let value = json!({
                    "id": row.id, "at": time(row.at), "server": row.server_id, "tool": row.tool,
                    "consumer": row.consumer_id, "key": row.key_id, "status": row.status,
                    "totalUs": row.total_us, "requestBytes": row.request_bytes,
                    "responseBytes": row.response_bytes, "traceId": row.trace_id,
                });
                (value, row.id)
            }),
        };
        if let Some(last) = ids.last() {
            self.after = *last;
        }
        Ok(rows)
    }

    /// Of providers they sign in with.
    async fn identities(&self, page: (Uuid, i64)) -> Result<(Vec<Value>, Vec<After>), StoreError> {
        let rows = self.store.identities_after(self.whose, page).await?;
        Ok(told(rows, |row| {
            let value = json!({
                "id": row.id, "issuer": row.issuer, "subject": row.subject, "shown": row.shown,
                "createdAt": time(row.created_at),
            });
            (value, row.id)
        }))
    }

    /// Never what is stored of an account: it belongs to the API, and is nothing that is told.
    async fn connected(&self, page: (Uuid, i64)) -> Result<(Vec<Value>, Vec<After>), StoreError> {
        let rows = self.store.accounts_of(UserId(self.whose), page).await?;
        Ok(told(rows, |row| {
            let value = json!({
                "id": row.id, "server": row.server_id, "slug": row.slug, "scheme": row.scheme,
                "state": row.state, "connectedAt": time(row.created_at),
                "lastUsedAt": row.last_used_at.and_then(time),
            });
            (value, row.id)
        }))
    }

    async fn approvals(&self, page: (Uuid, i64)) -> Result<(Vec<Value>, Vec<After>), StoreError> {
        let principal = self.principals.front().map_or("", String::as_str);
        // What they decided is told once, with what they asked for themselves.
        let themselves = principal.starts_with(self.about.0);
        let decider = if themselves { self.actor.as_str() } else { "" };
        let who = (principal, decider);
        let rows = self
            .store
            .approvals_of(self.organization, who, page)
            .await?;
        Ok(told(rows, |row| {
            let arguments: Option<Value> = serde_json::from_str(&row.arguments).ok();
            let value = json!({
                "id": row.id, "server": row.server_id, "tool": row.tool, "askedBy": row.principal,
                "arguments": arguments, "askedAt": time(row.asked_at), "state": row.state,
                "reason": row.reason, "decidedBy": row.decided_by,
                "decidedAt": row.decided_at.and_then(time),
            });
            (value, row.id)
        }))
    }

    /// What they did, and what was done to them.
    async fn acts(&self) -> Result<(Vec<Value>, Vec<After>), StoreError> {
        let about = (self.about.0, self.about.1.as_str());
        let page = (self.after, PAGE);
        let rows = self
            .store
            .audit_about(self.organization, (&self.actor, about), page)
            .await?;
        let ids = rows
            .iter()
            .map(|row| (row.seq.unwrap_or(0), row.id))
            .collect();
        let json = |text: &Option<String>| {
            let text = text.as_deref();
            text.and_then(|text| serde_json::from_str::<Value>(text).ok())
        };
        let rows = rows.iter().map(|row| {
            json!({
                "id": row.id, "at": time(row.at), "actor": row.actor, "action": row.action,
                "entity": row.entity, "entityId": row.entity_id, "before": json(&row.before),
                "after": json(&row.after),
            })
        });
        Ok((rows.collect(), ids))
    }
}

/// Rows as they are written, and where reading goes on after each.
fn told<R>(rows: Vec<R>, tell: impl Fn(&R) -> (Value, Uuid)) -> (Vec<Value>, Vec<After>) {
    rows.iter()
        .map(|row| {
            let (value, id) = tell(row);
            (value, (0, id))
        })
        .unzip()
}
