//! Settings of a server: changed as a whole or not at all, and live when the answer is sent.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::IF_MATCH;
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::json;

use crate::access::limit::Limit;
use crate::access::person::Person;
use crate::credential::pass::PassThrough;
use crate::egress::Resilience;
use crate::extract::{Body, Path};
use crate::live::Entry;
use crate::market::api::limits::checked;
use crate::market::api::ownership::may_open;
use crate::market::api::servers::{act, check_rules, etag, owned, server_view, url_of};
use crate::market::api::{Market, accounts, approvals, connection, listing, probes, shapes};
use crate::mcp::content::{ANSWER_BYTES_DEFAULT, ANSWER_BYTES_MAX};
use crate::mcp::plan::check_destination;
use crate::mcp::server::{
    Access, AnswerShape, ProbeSettings, ServerSettings, SessionSettings, ToolsMode,
};
use crate::mcp::tool::profile::ProfileChoice;
use crate::problem::{Problem, ProblemKind};
use crate::store::servers::ServerChange;
use crate::store::{Change, StoreError};
use crate::types::Slug;

/// Changes of a server. Absent: stays. `null`: back to the default.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    clippy::option_option,
    reason = "absent, null and a value are three things"
)]
pub(crate) struct ServerEdit {
    pub(crate) slug: Option<Slug>,
    pub(crate) access: Option<Access>,
    #[serde(default, deserialize_with = "double")]
    pub(crate) upstream: Option<Option<String>>,
    #[serde(default, deserialize_with = "double")]
    pub(crate) server: Option<Option<String>>,
    /// All of them: those that are not named are at their defaults again.
    pub(crate) server_variables: Option<BTreeMap<String, String>>,
    pub(crate) allow_upstream: Option<Vec<String>>,
    #[serde(default, deserialize_with = "double")]
    pub(crate) client_certificate: Option<Option<String>>,
    #[serde(default, deserialize_with = "double")]
    pub(crate) certificate_authorities: Option<Option<String>>,
    #[serde(default, deserialize_with = "double")]
    pub(crate) proxy: Option<Option<String>>,
    /// All of them: what users have for others is destroyed.
    #[serde(default, deserialize_with = "double")]
    pub(crate) user_accounts: Option<Option<BTreeSet<String>>>,
    /// All of them: those that are not named are passed on no more.
    #[serde(default, deserialize_with = "double")]
    pub(crate) pass_through: Option<Option<Vec<PassThrough>>>,
    #[serde(default, deserialize_with = "double")]
    pub(crate) sessions: Option<Option<SessionSettings>>,
    #[serde(default, deserialize_with = "double")]
    pub(crate) legacy_sse: Option<Option<bool>>,
    pub(crate) call_timeout_ms: Option<u64>,
    /// As a whole: what is not named is at its default again.
    #[serde(default, deserialize_with = "double")]
    pub(crate) resilience: Option<Option<Resilience>>,
    pub(crate) tools_page_max: Option<usize>,
    #[serde(default, deserialize_with = "double")]
    pub(crate) answer_bytes_max: Option<Option<usize>>,
    #[serde(default, deserialize_with = "double")]
    pub(crate) answer_shapes: Option<Option<IndexMap<String, AnswerShape>>>,
    pub(crate) tools: Option<ToolsMode>,
    pub(crate) profile: Option<ProfileChoice>,
    pub(crate) tool_tokens_max: Option<usize>,
    pub(crate) list_tokens_max: Option<usize>,
    #[serde(default, deserialize_with = "double")]
    pub(crate) category: Option<Option<String>>,
    /// All of them; `null`: those of the document.
    #[serde(default, deserialize_with = "double")]
    pub(crate) tags: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "double")]
    pub(crate) call_price_micros: Option<Option<u64>>,
    /// All of them.
    pub(crate) limits: Option<Vec<Limit>>,
    #[serde(default, deserialize_with = "double")]
    pub(crate) approval_minutes: Option<Option<u32>>,
    #[serde(default, deserialize_with = "double")]
    pub(crate) approval_webhook: Option<Option<String>>,
    /// As a whole.
    #[serde(default, deserialize_with = "double")]
    pub(crate) probe: Option<Option<ProbeSettings>>,
}

/// Tells `null` from absence.
#[expect(
    clippy::option_option,
    reason = "absent, null and a value are three things"
)]
fn double<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

pub(super) async fn edit(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
    headers: HeaderMap,
    Body(change): Body<ServerEdit>,
) -> Result<Response, Problem> {
    let expected = headers
        .get(IF_MATCH)
        .and_then(|value| value.to_str().ok())
        .filter(|text| *text != "*");
    let expected = expected.map(|text| text.trim_matches('"').parse::<i64>());
    let expected = expected
        .transpose()
        .map_err(|_| Problem::new(ProblemKind::Invalid, "If-Match is the ETag of the server"))?;
    let entry = apply(&market, &person, &slug, (change, expected)).await?;
    let mut view = server_view(&market, &entry, &headers);
    view["settings"] = json!(entry.settings);
    Ok((etag(entry.revision), Json(view)).into_response())
}

/// Makes a change live, and answers with the server as it is then.
pub(crate) async fn apply(
    market: &Market,
    person: &Person,
    slug: &str,
    (change, expected): (ServerEdit, Option<i64>),
) -> Result<std::sync::Arc<Entry>, Problem> {
    check_rules(change.allow_upstream.as_deref().unwrap_or_default())?;
    let mut tries = EDIT_TRIES;
    loop {
        let entry = owned(market, person, slug)?;
        match apply_to(market, person, &entry, (&change, expected)).await {
            // Somebody else was faster, and this caller did not ask to be told.
            Err(EditError::Stale) if expected.is_none() && tries > 1 => {
                tries -= 1;
                let catalog = &market.0.parts.publisher.catalog;
                catalog.apply(Change::Server(entry.id)).await?;
            }
            Err(EditError::Stale) => return Err(StoreError::Stale.into()),
            Err(EditError::Other(problem)) => return Err(problem),
            Ok(slug) => return owned(market, person, slug.as_str()),
        }
    }
}

/// How often a change is made again on top of somebody else's.
const EDIT_TRIES: usize = 5;

enum EditError {
    Stale,
    Other(Problem),
}

impl<E: Into<Problem>> From<E> for EditError {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Makes a change on top of `entry`; gives the slug the server has then.
async fn apply_to(
    market: &Market,
    person: &Person,
    entry: &Entry,
    (change, expected): (&ServerEdit, Option<i64>),
) -> Result<Slug, EditError> {
    let publisher = &market.0.parts.publisher;
    let rules = change.allow_upstream.as_deref();
    // What an admin allowed may be sent again with the rest of a form, and taken away.
    let more = rules.is_some_and(|rules| {
        let known = &entry.settings.allow_upstream;
        !rules.iter().all(|rule| known.contains(rule))
    });
    may_open(person, rules.filter(|_| more))?;
    connection::may_lead_elsewhere(person, &entry.settings, change)?;
    let mut settings = edited(&entry.settings, change)?;
    connection::edit(&mut settings, change, publisher.clock.now())?;
    if let Some(Some(scheme)) = &change.client_certificate {
        connection::check_scheme(market, entry, scheme).await?;
    }
    if let Some(schemes) = &change.user_accounts {
        settings.user_accounts = schemes.clone().unwrap_or_default();
        accounts::check(market, entry, &settings.user_accounts).await?;
    }
    if let Some(probe) = &change.probe {
        settings.probe.clone_from(probe);
    }
    if change.probe.is_some() || change.user_accounts.is_some() {
        probes::check(market, entry, &settings).await?;
    }
    if let Some(Some(shapes)) = &change.answer_shapes {
        shapes::check(market, entry, shapes).await?;
    }
    if change.server.is_some() || change.server_variables.is_some() {
        let server = publisher.catalog.server(entry.id).await?;
        let tools: Vec<_> = server.tools.values().map(|tool| &*tool.def).collect();
        check_destination(
            &tools,
            settings.server.as_deref(),
            &settings.server_variables,
        )
        .map_err(|detail| Problem::new(ProblemKind::Invalid, detail))?;
    }
    let before = serde_json::to_string(&entry.settings).unwrap_or_default();
    let after = serde_json::to_string(&settings).unwrap_or_default();
    let slug = change.slug.as_ref().filter(|new| **new != entry.slug);
    if let Some(slug) = slug {
        slug.check_free().map_err(|error| {
            Problem::new(ProblemKind::Unprocessable, format!("`slug`: {error}"))
        })?;
    }
    let edit = ServerChange {
        settings: Some(&*after).filter(|after| *after != before),
        slug,
        expected: Some(expected.unwrap_or(entry.revision)),
    };
    if edit.settings.is_some() || slug.is_some() {
        let now = publisher.clock.now();
        let mut act = act(person, "edit", entry);
        act.before = Some(noted(&entry.slug, &before));
        act.after = Some(noted(slug.unwrap_or(&entry.slug), &after));
        let edited = publisher.store.edit_server(entry.id, edit, &act, now);
        match edited.await {
            Ok(()) => {}
            Err(StoreError::Stale) => return Err(EditError::Stale),
            Err(error) => return Err(error.into()),
        }
    }
    publisher.catalog.apply(Change::Server(entry.id)).await?;
    accounts::forget(market, entry, &settings.user_accounts).await?;
    Ok(slug.unwrap_or(&entry.slug).clone())
}

/// What the audit keeps of a server's state.
fn noted(slug: &Slug, settings: &str) -> String {
    let settings: serde_json::Value = serde_json::from_str(settings).unwrap_or_default();
    json!({ "slug": slug, "settings": settings }).to_string()
}

/// A thousand dollars.
const PRICE_MICROS_MAX: u64 = 1_000_000_000;
/// Less would say nothing.
const ANSWER_BYTES_MIN: usize = 1_024;

fn check_sessions(sessions: Option<SessionSettings>) -> Result<(), Problem> {
    let Some(sessions) = sessions else {
        return Ok(());
    };
    let detail = if !(1_000..=86_400_000).contains(&sessions.idle_ms) {
        "`sessions.idleMs` is 1000 to 86400000"
    } else if !(1..=100_000).contains(&sessions.sessions_max) {
        "`sessions.sessionsMax` is 1 to 100000"
    } else {
        return Ok(());
    };
    Err(Problem::new(ProblemKind::Invalid, detail))
}

fn edited(settings: &ServerSettings, change: &ServerEdit) -> Result<ServerSettings, Problem> {
    let mut settings = settings.clone();
    if let Some(access) = change.access {
        settings.access = access;
    }
    if let Some(upstream) = &change.upstream {
        let url = upstream
            .as_deref()
            .map(|text| url_of("upstream", text))
            .transpose()?;
        if url.is_some() {
            // Whoever gives an address means the API there, and not the demo inside this process.
            settings.internal = None;
        }
        settings.upstream = url.map(|url| url.to_string());
    }
    if let Some(server) = &change.server {
        settings.server.clone_from(server);
    }
    if let Some(variables) = &change.server_variables {
        settings.server_variables.clone_from(variables);
    }
    if let Some(rules) = &change.allow_upstream {
        settings.allow_upstream.clone_from(rules);
    }
    if let Some(sessions) = change.sessions {
        check_sessions(sessions)?;
        settings.sessions = sessions;
    }
    if let Some(legacy) = change.legacy_sse {
        settings.legacy_sse = legacy;
    }
    edit_calls(&mut settings, change)?;
    edit_list(&mut settings, change)?;
    approvals::edit(&mut settings, change)?;
    Ok(settings)
}

/// How calls are made, how much of an answer is given, and what a call costs.
fn edit_calls(settings: &mut ServerSettings, change: &ServerEdit) -> Result<(), Problem> {
    if let Some(timeout) = change.call_timeout_ms {
        if !(100..=600_000).contains(&timeout) {
            return Err(Problem::new(
                ProblemKind::Invalid,
                "`callTimeoutMs` is 100 to 600000",
            ));
        }
        settings.call_timeout_ms = timeout;
    }
    if let Some(resilience) = change.resilience {
        let resilience = resilience.unwrap_or_default();
        resilience
            .check()
            .map_err(|error| Problem::new(ProblemKind::Invalid, error.to_string()))?;
        settings.resilience = resilience;
    }
    if let Some(page) = change.tools_page_max {
        if !(1..=10_000).contains(&page) {
            return Err(Problem::new(
                ProblemKind::Invalid,
                "`toolsPageMax` is 1 to 10000",
            ));
        }
        settings.tools_page_max = page;
    }
    if let Some(bytes) = change.answer_bytes_max {
        let bytes = bytes.unwrap_or(ANSWER_BYTES_DEFAULT);
        if !(ANSWER_BYTES_MIN..=ANSWER_BYTES_MAX).contains(&bytes) {
            return Err(Problem::new(
                ProblemKind::Invalid,
                format!("`answerBytesMax` is {ANSWER_BYTES_MIN} to {ANSWER_BYTES_MAX}"),
            ));
        }
        settings.answer_bytes_max = bytes;
    }
    if let Some(shapes) = &change.answer_shapes {
        settings.answer_shapes = shapes.clone().unwrap_or_default();
    }
    if let Some(price) = change.call_price_micros {
        if price.is_some_and(|price| !(1..=PRICE_MICROS_MAX).contains(&price)) {
            let detail = format!("`callPriceMicros` is 1 to {PRICE_MICROS_MAX}");
            return Err(Problem::new(ProblemKind::Invalid, detail));
        }
        settings.call_price_micros = price;
    }
    if let Some(limits) = &change.limits {
        checked(limits)?;
        settings.limits.clone_from(limits);
    }
    Ok(())
}

/// What a model is told of the tools.
fn edit_list(settings: &mut ServerSettings, change: &ServerEdit) -> Result<(), Problem> {
    if let Some(tools) = change.tools {
        settings.tools = tools;
    }
    if let Some(profile) = change.profile {
        settings.profile = profile;
    }
    if let Some(tokens) = change.tool_tokens_max {
        if !(200..=100_000).contains(&tokens) {
            let detail = "`toolTokensMax` is 200 to 100000";
            return Err(Problem::new(ProblemKind::Invalid, detail));
        }
        settings.tool_tokens_max = tokens;
    }
    if let Some(tokens) = change.list_tokens_max {
        if !(500..=1_000_000).contains(&tokens) {
            let detail = "`listTokensMax` is 500 to 1000000";
            return Err(Problem::new(ProblemKind::Invalid, detail));
        }
        settings.list_tokens_max = tokens;
    }
    if let Some(category) = &change.category {
        settings.category = listing::category(category.as_deref().unwrap_or_default())?;
    }
    if let Some(tags) = &change.tags {
        settings.tags = tags.as_deref().map(listing::tags).transpose()?;
    }
    Ok(())
}
