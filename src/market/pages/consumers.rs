//! Consumers: found, and one with its limits, plans, keys, and what of its quotas is used now.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use chrono::DateTime;
use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use uuid::Uuid;

use crate::access::limit::Limit;
use crate::access::person::Person;
use crate::extract::{Path, Visitor};
use crate::market::api::Market;
use crate::market::api::limits as api;
use crate::market::api::personal::forget_consumer;
use crate::market::language::{Html, Language};
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::failure::Refusal;
use crate::market::pages::key_routes::{moment, state};
use crate::market::pages::keys::KeyState;
use crate::market::pages::limits::{LimitRow, limits_of};
use crate::market::pages::model_limits::{Limited, ModelLimits};
use crate::market::pages::plans::stored;
use crate::market::pages::routes::{
    Fields, answered, frame, next_page, notice, reader, refused, to,
};
use crate::market::pages::submitted::Submitted;
use crate::market::pages::{Frame, page};
use crate::problem::{Problem, ProblemKind};
use crate::store::limits::AssignmentRow;
use crate::types::{ConsumerId, OrganizationId, ServerId};

/// Consumers on one page, keys of one, and servers proposed to give it a plan with; any other can be typed.
const ROWS_MAX: usize = 100;
const KEYS_MAX: i64 = 200;
const SERVERS_MAX: usize = 1_000;
/// Of a hundred: from the one on, a quota is drawn as much used, beyond the other as nearly used up.
pub const MUCH: u64 = 75;
pub const NEARLY_ALL: u64 = 95;

/// `GET /admin/consumers?q=&after=`.
#[derive(Debug, Template)]
#[template(path = "consumers.html")]
pub struct ConsumersPage {
    pub frame: Frame,
    pub query: String,
    pub consumers: Vec<ConsumerLine>,
    pub more: Option<String>,
}

/// A consumer in the list: its name, its page below `/admin/consumers/`, and since when it is there.
#[derive(Clone, Debug)]
pub struct ConsumerLine {
    pub name: String,
    pub segment: String,
    pub made: String,
}

/// `GET /admin/consumers/{name}`.
#[derive(Debug, Template)]
#[template(path = "consumer.html")]
pub struct ConsumerPage {
    pub frame: Frame,
    pub error: Option<Html>,
    pub name: String,
    pub segment: String,
    pub limits: Vec<LimitRow>,
    /// Slug and plan.
    pub plans: Vec<(String, String)>,
    /// The names of all plans there are, and servers one can be given with, as proposals.
    pub choices: Vec<String>,
    pub servers: Vec<String>,
    pub quotas: Vec<QuotaView>,
    /// Models that have limits for whoever asks for them.
    pub models: Vec<ModelLimits>,
    pub keys: Vec<ConsumerKey>,
}

/// What is used of a quota in the window that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaView {
    pub limit: LimitRow,
    /// The server whose limit it is, or a plan is for, or the model; `None`: all of them.
    pub of: Option<String>,
    pub taken: String,
    pub percent: u64,
    pub until: String,
}

/// A key of the consumer.
#[derive(Clone, Debug)]
pub struct ConsumerKey {
    pub name: String,
    pub prefix: String,
    pub state: KeyState,
    pub last_used: Option<String>,
}

/// A name as one segment of an address.
pub(super) fn segment(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

pub(super) async fn list(
    State(market): State<Market>,
    headers: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let person = match reader(&headers, "/admin/consumers") {
        Ok(person) => person,
        Err(response) => return *response,
    };
    let asked = |name: &str| query.get(name).map_or("", |text| text.trim());
    let (wanted, after) = (asked("q"), asked("after"));
    let store = &market.0.parts.publisher.store;
    let limit = i64::try_from(ROWS_MAX + 1).unwrap_or(i64::MAX);
    let rows = store.find_consumers(person.organization(), wanted, (after, limit));
    let mut rows = match rows.await {
        Ok(rows) => rows,
        Err(error) => return refused(&market, &headers, &error.into()),
    };
    let more = rows.len() > ROWS_MAX;
    rows.truncate(ROWS_MAX);
    let mut frame = frame(&market, &headers, "consumers");
    frame.notice = notice(&query);
    let last = rows.last().filter(|_| more);
    let template = ConsumersPage {
        more: last.map(|row| next_page(&frame.at("/admin/consumers"), wanted, &row.name)),
        query: wanted.to_owned(),
        consumers: rows
            .into_iter()
            .map(|row| ConsumerLine {
                segment: segment(&row.name),
                name: row.name,
                made: moment(row.created_at),
            })
            .collect(),
        frame,
    };
    page(StatusCode::OK, &template)
}

pub(super) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Path(name): Path<String>,
    Query(query): Query<Fields>,
) -> Response {
    let person = match reader(&headers, "/admin/consumers") {
        Ok(person) => person,
        Err(response) => return *response,
    };
    let made = template(&market, (&headers, &person), &name).await;
    let told = made.map(|mut template| {
        template.frame.notice = notice(&query);
        (StatusCode::OK, template)
    });
    answered((&market, &headers), told)
}

async fn template(
    market: &Market,
    (headers, person): (&Visitor, &Person),
    name: &str,
) -> Result<ConsumerPage, Problem> {
    let publisher = &market.0.parts.publisher;
    let (store, organization) = (&publisher.store, person.organization());
    let view = api::view(market, person, name).await?;
    let row = store.consumer(organization, name).await?;
    let id = ConsumerId(row.ok_or_else(Problem::not_found)?.id);
    let limits: Vec<Limit> = serde_json::from_value(view["limits"].clone()).unwrap_or_default();
    let assigned = store.assignments(organization, id).await?;
    let slug = |server: Uuid| {
        let entry = publisher.catalog.entry(ServerId(server));
        entry.map(|entry| entry.slug.to_string())
    };
    let limited = Limited::of(market, organization);
    let quotas = quotas(market, &view, (&limits, &assigned, &limited));
    let now = publisher.clock.now();
    let keys = store.keys_of(id.0, (Uuid::nil(), KEYS_MAX)).await?;
    let is_replaced = |id: Uuid| keys.iter().any(|other| other.replaces == Some(id));
    Ok(ConsumerPage {
        frame: frame(market, headers, "consumers"),
        error: None,
        segment: segment(name),
        name: name.to_owned(),
        quotas,
        models: limited.listed(),
        plans: assigned
            .iter()
            .filter_map(|row| Some((slug(row.server_id)?, row.plan.clone())))
            .collect(),
        choices: store
            .plans(organization)
            .await?
            .into_iter()
            .map(|plan| plan.name)
            .collect(),
        servers: servers(market, organization),
        keys: keys
            .iter()
            .map(|row| ConsumerKey {
                name: row.name.clone(),
                prefix: row.prefix.clone(),
                state: state(row, is_replaced(row.id), now),
                last_used: row.last_used_at.map(moment),
            })
            .collect(),
        limits: LimitRow::all(&limits),
    })
}

/// Servers of an organization, by their short names: as many as are proposed.
fn servers(market: &Market, organization: OrganizationId) -> Vec<String> {
    let catalog = &market.0.parts.publisher.catalog;
    catalog.slugs(|entry| entry.organization == organization, SERVERS_MAX)
}

/// What is used of the quotas that are counted for a consumer.
fn quotas(
    market: &Market,
    view: &Value,
    (own, assigned, limited): (&[Limit], &[AssignmentRow], &Limited),
) -> Vec<QuotaView> {
    let catalog = &market.0.parts.publisher.catalog;
    let of_server = |server: Uuid| {
        let entry = catalog.entry(ServerId(server));
        entry.map_or_else(Vec::new, |entry| entry.settings.limits.clone())
    };
    let slug = |server: Uuid| {
        let entry = catalog.entry(ServerId(server));
        entry.map(|entry| entry.slug.to_string())
    };
    let sources = Sources {
        own,
        assigned,
        of_server: &of_server,
        of_model: &|model| {
            let (name, limits) = limited.find(model)?;
            Some((name.to_owned(), limits.to_vec()))
        },
        slug: &slug,
    };
    let quotas = view["quotas"].as_array().into_iter().flatten();
    let shown = quotas.filter_map(|quota| quota_view(quota, &sources));
    shown.collect()
}

/// Where the limits are that quotas are counted for.
struct Sources<'a> {
    /// The consumer's own.
    own: &'a [Limit],
    /// Those of its plans.
    assigned: &'a [AssignmentRow],
    /// Those that a server has for everybody.
    of_server: &'a dyn Fn(Uuid) -> Vec<Limit>,
    /// The name of a model, and those it has for everybody.
    of_model: &'a dyn Fn(Uuid) -> Option<(String, Vec<Limit>)>,
    /// What a server is called.
    slug: &'a dyn Fn(Uuid) -> Option<String>,
}

impl Sources<'_> {
    /// The limits of an owner of counts (`consumer:ID`, `plan:ID:SERVER`, `server:SERVER` or `model:ID`), and what the
    /// server or the model they are for is called, if it is only one.
    fn of(&self, owner: &str) -> Option<(Vec<Limit>, Option<String>)> {
        let mut parts = owner.split(':');
        let (kind, id, of_plan) = (parts.next()?, parts.next()?, parts.next());
        match (kind, of_plan) {
            ("server", _) => {
                let server = id.parse().ok()?;
                Some(((self.of_server)(server), (self.slug)(server)))
            }
            ("plan", Some(server)) => {
                let server = server.parse().ok()?;
                let plan = self.assigned.iter().find(|row| row.server_id == server)?;
                Some((stored(&plan.limits), (self.slug)(server)))
            }
            ("model", _) => {
                let (name, limits) = (self.of_model)(id.parse().ok()?)?;
                Some((limits, Some(name)))
            }
            _ => Some((self.own.to_vec(), None)),
        }
    }
}

/// A quota beside the limit it is counted for; nothing where that limit is gone.
fn quota_view(quota: &Value, sources: &Sources<'_>) -> Option<QuotaView> {
    let counter = quota["counter"].as_str()?;
    let whose = counter.split(':').next().unwrap_or_default();
    let mut parts = counter.split('/');
    let (limits, of) = sources.of(parts.next()?)?;
    let (unit, window, scope) = (parts.next()?, parts.next()?, parts.next()?);
    let mut rows = limits.iter().map(|limit| (limit, LimitRow::of(limit)));
    let (limit, row) =
        rows.find(|(_, row)| (&*row.unit, &*row.window, &*row.scope) == (unit, window, scope))?;
    let taken = quota["taken"].as_u64().unwrap_or_default();
    let until: Option<DateTime<chrono::Utc>> =
        serde_json::from_value(quota["until"].clone()).ok()?;
    Some(QuotaView {
        of,
        percent: (taken.saturating_mul(100) / limit.amount.max(1)).min(100),
        taken: LimitRow::of(&Limit {
            amount: taken,
            ..limit.clone()
        })
        .amount,
        until: until.map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string())?,
        limit: match whose {
            "model" => LimitRow::of_model(limit),
            "consumer" => LimitRow::of_consumer(limit),
            _ => row,
        },
    })
}

/// Changes what a consumer may, or erases it.
pub(super) async fn change(
    State(market): State<Market>,
    Path(name): Path<String>,
    Submitted {
        visitor: headers,
        person,
        form,
    }: Submitted<Entered>,
) -> Response {
    let refusal = match carry_out(&market, &person, (&name, &form), Language::of(&headers)).await {
        Ok("erased") => return to("/admin/consumers?done=erased"),
        Ok(done) => {
            return to(&format!("/admin/consumers/{}?done={done}", segment(&name)));
        }
        Err(refusal) => refusal,
    };
    let made = template(&market, (&headers, &person), &name).await;
    let again = made.map(|mut template| {
        template.error = Some(refusal.said(template.frame.language));
        if entered(&form, "do") == Some("limits") {
            template.limits = LimitRow::entered(&form);
        }
        (refusal.status(), template)
    });
    answered((&market, &headers), again)
}

async fn carry_out(
    market: &Market,
    person: &Person,
    (name, form): (&str, &Entered),
    language: Language,
) -> Result<&'static str, Refusal> {
    let text = |name: &str| entered(form, name).unwrap_or_default().trim();
    match text("do") {
        "limits" => {
            let limits = limits_of(&LimitRow::entered(form), language).map_err(Refusal::entry)?;
            api::limit_consumer(market, person, name, &limits).await?;
        }
        "plan" => {
            let server = text("server");
            if market.0.parts.publisher.catalog.find(server).is_none() {
                let detail = format!("`server`: there is no server {server}");
                return Err(Problem::new(ProblemKind::Unprocessable, detail).into());
            }
            api::give_plan(market, person, (name, server), text("plan")).await?;
        }
        "no-plan" => api::take_plan(market, person, (name, text("server"))).await?,
        "erase" => {
            forget_consumer(market, person, (name, text("confirm"))).await?;
            return Ok("erased");
        }
        _ => return Err(Problem::not_found().into()),
    }
    Ok("saved")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_quota_stands_beside_its_limit() {
        let limits = json!([
            {"unit": "money", "amount": 5_000_000, "window": "month", "scope": "consumer"},
            {"unit": "requests", "amount": 40, "window": "day", "scope": "key"},
        ]);
        let limits: Vec<Limit> = serde_json::from_value(limits).unwrap();
        let (consumer, server) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let assigned = [AssignmentRow {
            consumer_id: consumer,
            server_id: server,
            plan: "small".to_owned(),
            limits: r#"[{"unit":"requests","amount":10,"window":"day","scope":"consumer"}]"#
                .to_owned(),
        }];
        let slug = |id: Uuid| (id == server).then(|| "shop".to_owned());
        let model = Uuid::from_u128(3);
        let of_model = |id: Uuid| {
            let limit = json!([{"unit": "money", "amount": 2_000_000, "window": "month", "scope": "server"}]);
            (id == model).then(|| ("fast".to_owned(), serde_json::from_value(limit).unwrap()))
        };
        let view = |counter: String, taken: u64| {
            let quota =
                json!({"counter": counter, "taken": taken, "until": "2027-01-02T00:00:00Z"});
            let of_server = |id: Uuid| {
                let limit =
                    json!([{"unit": "requests", "amount": 20, "window": "month", "scope": "user"}]);
                let limits = (id == server).then(|| serde_json::from_value(limit).unwrap());
                limits.unwrap_or_default()
            };
            let sources = Sources {
                own: &limits,
                assigned: &assigned,
                of_server: &of_server,
                of_model: &of_model,
                slug: &slug,
            };
            let view = quota_view(&quota, &sources)?;
            Some((view.taken, view.percent, view.of))
        };
        let own = |rest: &str| format!("consumer:{consumer}/{rest}");
        assert_eq!(
            view(own("money/month/consumer/consumer:x"), 1_250_000),
            Some(("1.25".to_owned(), 25, None))
        );
        assert_eq!(
            view(own("requests/day/key/key:x"), 41),
            Some(("41".to_owned(), 100, None))
        );
        assert_eq!(view(own("requests/month/key/key:x"), 1), None);
        let plan = format!("plan:{consumer}:{server}/requests/day/consumer/consumer:x");
        let expected = Some(("7".to_owned(), 70, Some("shop".to_owned())));
        assert_eq!(view(plan, 7), expected);
        let of_server = format!("server:{server}/requests/month/user/user:x");
        let expected = Some(("5".to_owned(), 25, Some("shop".to_owned())));
        assert_eq!(view(of_server, 5), expected);
        let of_model = format!("model:{model}/money/month/server/everyone");
        let expected = Some(("0.5".to_owned(), 25, Some("fast".to_owned())));
        assert_eq!(view(of_model, 500_000), expected);
        let gone = format!("model:{server}/money/month/server/everyone");
        assert_eq!(view(gone, 500_000), None);
        let gone = format!("server:{server}/requests/day/consumer/consumer:x");
        assert_eq!(view(gone, 5), None);
    }
}
