//! How to connect a client: snippets, a key made on the spot, and what is seen of the client meanwhile.

use axum::extract::{Query, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use http::StatusCode;

use crate::extract::{Path, Visitor};
use crate::live::Entry;
use crate::market::api::grants::GrantRequest;
use crate::market::api::{Market, keys as keys_api};
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::connect::{KEY, snippets};
use crate::market::pages::key_routes::{ends_at, shown_once};
use crate::market::pages::keys::NewKey;
use crate::market::pages::routes::{Fields, refused, to};
use crate::market::pages::scope::written;
use crate::market::pages::server::{
    ConnectPage, ConnectStatus, ConnectStatusPage, EventRow, KeyForm, ServerHead,
};
use crate::market::pages::server_routes::{manages, own_tab, tab};
use crate::market::pages::settings::labelled;
use crate::market::pages::submitted::Submitted;
use crate::market::pages::{Frame, page};
use crate::mcp::server::Access;
use crate::mcp::watch::{Event, What};
use crate::problem::Problem;
use crate::types::KeyId;

/// More tools than this are named in a field and not listed with a box each.
const TOOLS_LISTED_MAX: usize = 100;
/// Events shown, the newest first.
const EVENTS_MAX: usize = 12;

/// What is told of a key on the page.
#[derive(Default)]
struct Held {
    created: Option<NewKey>,
    /// The key that is waited for.
    key: Option<KeyId>,
    /// The form as it was sent, where it was refused.
    refused: Option<(KeyForm, Problem)>,
}

pub(super) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Path(slug): Path<String>,
    Query(query): Query<Fields>,
) -> Response {
    let (frame, entry) = match tab(&market, &headers, (&slug, "/connect"), &query) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let held = Held {
        key: query.get("key").and_then(|key| key.parse().ok()),
        ..Held::default()
    };
    connect(&market, (frame, &headers), &entry, held).await
}

async fn connect(
    market: &Market,
    (frame, headers): (Frame, &Visitor),
    entry: &Entry,
    held: Held,
) -> Response {
    let open = entry.settings.access == Access::Open;
    let endpoint_url = market.0.parts.address.mcp_url(headers, &entry.slug);
    let key = match (&held.created, open) {
        (_, true) => None,
        (Some(created), false) => Some(created.key.as_str()),
        (None, false) => Some(KEY),
    };
    let snippets = snippets(entry.slug.as_str(), &endpoint_url, key);
    let now = market.0.parts.publisher.clock.now();
    let status = manages(headers, entry).then(|| {
        market.0.parts.mcp.watch.look(entry.id, now);
        seen(market, entry, (held.key, None), &frame)
    });
    let refusal = held.refused.as_ref().map(|(_, problem)| problem);
    let code = refusal.map_or(StatusCode::OK, |problem| problem.kind.status());
    let form = if frame.signed_in() && !open {
        match form(market, entry, held.refused, &frame).await {
            Ok(form) => Some(form),
            Err(problem) => return refused(market, headers, &problem),
        }
    } else {
        None
    };
    let template = ConnectPage {
        head: ServerHead::new(entry, "connect").of(headers, entry),
        endpoint_url,
        open,
        snippets,
        created: held.created,
        form,
        status,
        frame,
    };
    page(code, &template)
}

/// The form for a key: new, or as it was sent and refused.
async fn form(
    market: &Market,
    entry: &Entry,
    sent: Option<(KeyForm, Problem)>,
    frame: &Frame,
) -> Result<KeyForm, Problem> {
    let server = market.0.parts.publisher.catalog.server(entry.id).await?;
    let (mut form, error) = match sent {
        Some((form, problem)) => (form, Some(labelled(&problem, frame.language))),
        None => {
            let fresh = KeyForm {
                lifetime: "90".to_owned(),
                ..KeyForm::default()
            };
            (fresh, None)
        }
    };
    form.error = error;
    form.once = uuid::Uuid::now_v7().to_string();
    form.many = server.tools.len() > TOOLS_LISTED_MAX;
    if form.many {
        return Ok(form);
    }
    let chosen: Vec<&str> = written(&form.named).collect();
    let tools = server.tools.keys().map(|name| {
        let name = name.to_string();
        (chosen.contains(&name.as_str()), name)
    });
    form.tools = tools.collect();
    Ok(form)
}

/// Makes a key for this server and shows it inside the snippets, once: the same form sent again, as a
/// reload does, shows the placeholder.
pub(super) async fn make(
    State(market): State<Market>,
    Path(slug): Path<String>,
    Submitted {
        visitor: headers,
        person,
        form: pairs,
    }: Submitted<Entered>,
) -> Response {
    let (frame, entry) = match tab(&market, &headers, (&slug, "/connect"), &Fields::new()) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let watch = &market.0.parts.mcp.watch;
    let once = entered(&pairs, "once").unwrap_or_default().to_owned();
    if let Some(key) = watch.made_by(&once) {
        return to(&format!("/servers/{}/connect?key={key}", entry.slug));
    }
    let boxes = pairs.iter().filter(|(key, _)| key == "tool");
    let boxes = boxes.map(|(_, tool)| tool.as_str());
    let named = written(entered(&pairs, "tools").unwrap_or_default());
    let tools: Vec<String> = boxes.chain(named).map(str::to_owned).collect();
    let text = |name: &str| entered(&pairs, name).unwrap_or_default().to_owned();
    let sent = KeyForm {
        name: text("name"),
        lifetime: text("expires"),
        named: tools.join("\n"),
        ..KeyForm::default()
    };
    let mut grant = GrantRequest::whole(entry.slug.as_str());
    grant.tools = (!tools.is_empty()).then_some(tools);
    let now = market.0.parts.publisher.clock.now();
    let made = match ends_at(entered(&pairs, "expires"), now) {
        Ok(expires_at) => {
            let new = keys_api::NewKey {
                name: sent.name.clone(),
                servers: Vec::new(),
                grants: Some(vec![grant]),
                models: None,
                expires_at,
            };
            keys_api::make(&market, &person, new).await
        }
        Err(problem) => Err(problem),
    };
    let held = match made {
        Ok(made) => {
            let id = made["id"].as_str().and_then(|id| id.parse::<KeyId>().ok());
            if let Some(id) = id.filter(|_| !once.is_empty()) {
                watch.made(once, id);
            }
            Held {
                created: Some(shown_once(&made)),
                key: id,
                refused: None,
            }
        }
        Err(problem) => Held {
            refused: Some((sent, problem)),
            ..Held::default()
        },
    };
    connect(&market, (frame, &headers), &entry, held).await
}

pub(super) async fn status(
    State(market): State<Market>,
    headers: Visitor,
    Path(slug): Path<String>,
    Query(query): Query<Fields>,
) -> Response {
    let (frame, entry, _) = match own_tab(&market, &headers, (&slug, "/connect"), &query) {
        Ok(found) => found,
        Err(response) => return *response,
    };
    let now = market.0.parts.publisher.clock.now();
    market.0.parts.mcp.watch.look(entry.id, now);
    let key = query.get("key").and_then(|key| key.parse().ok());
    let since = query.get("since").and_then(|since| since.parse().ok());
    let since = since.and_then(DateTime::from_timestamp_micros);
    let template = ConnectStatusPage {
        head: ServerHead::new(&entry, "connect").of(&headers, &entry),
        status: seen(&market, &entry, (key, since), &frame),
        frame,
    };
    page(StatusCode::OK, &template)
}

/// What was seen on a server, of one key where one is waited for.
fn seen(
    market: &Market,
    entry: &Entry,
    (key, since): (Option<KeyId>, Option<DateTime<Utc>>),
    frame: &Frame,
) -> ConnectStatus {
    let events = market.0.parts.mcp.watch.seen(entry.id, key, since);
    let mut asked = url::form_urlencoded::Serializer::new(String::new());
    if let Some(key) = key {
        asked.append_pair("key", &key.to_string());
    }
    if let Some(since) = since {
        asked.append_pair("since", &since.timestamp_micros().to_string());
    }
    let path = frame.at(&format!("/servers/{}/connect/status", entry.slug));
    let asked = asked.finish();
    let address = if asked.is_empty() {
        path
    } else {
        format!("{path}?{asked}")
    };
    ConnectStatus {
        address,
        ..summary(&events)
    }
}

/// What events come to.
fn summary(events: &[Event]) -> ConnectStatus {
    let mut status = ConnectStatus::default();
    for event in events {
        if let Some(client) = &event.client {
            status.client = Some(client.clone());
        }
        status.met |= !matches!(event.what, What::Refused { .. });
        match &event.what {
            What::Listed { tools, more } => {
                let before = status.tools.filter(|_| *more).unwrap_or(0);
                status.tools = Some(before + tools);
            }
            What::Called { tool, fault } => match &status.call {
                None => status.call = Some((tool.clone(), fault.clone())),
                Some((_, Some(_))) if fault.is_none() => status.later = Some(tool.clone()),
                Some(_) => {}
            },
            What::Refused { status: code } => {
                let why = match code {
                    401 => Some("watch-401"),
                    404 => Some("watch-404"),
                    429 => Some("watch-429"),
                    _ => None,
                };
                status.refused = Some((code.to_string(), clock(event.at), why));
            }
            What::Met | What::Asked { .. } => {}
        }
    }
    let newest = events.iter().rev().take(EVENTS_MAX);
    status.events = newest.map(row).collect();
    status
}

fn row(event: &Event) -> EventRow {
    let (method, fault) = match &event.what {
        What::Met => ("initialize".to_owned(), None),
        What::Listed { tools, .. } => (format!("tools/list ({tools})"), None),
        What::Called { tool, fault } => (format!("tools/call {tool}"), fault.clone()),
        What::Asked { method, fault } => (method.clone(), fault.clone()),
        What::Refused { status } => ("HTTP".to_owned(), Some(status.to_string())),
    };
    EventRow {
        at: clock(event.at),
        method,
        client: event.client.clone().unwrap_or_default(),
        fault,
    }
}

fn clock(at: DateTime<Utc>) -> String {
    at.format("%H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_to_what_a_person_wants_to_know() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        let event = |second, client: Option<&str>, what| Event {
            at: at(second),
            key: None,
            client: client.map(str::to_owned),
            what,
        };
        let called = |tool: &str, fault: Option<&str>| What::Called {
            tool: tool.to_owned(),
            fault: fault.map(str::to_owned),
        };
        let listed = |tools, more| What::Listed { tools, more };
        assert!(!summary(&[event(0, None, What::Refused { status: 401 })]).met);
        let status = summary(&[
            event(1, Some("agent 2.1"), What::Met),
            event(2, None, listed(10, false)),
            event(3, None, listed(10, false)),
            event(4, None, listed(4, true)),
            event(5, None, called("a", Some("no"))),
            event(6, None, called("b", None)),
        ]);
        assert!(status.met);
        assert_eq!(status.client.as_deref(), Some("agent 2.1"));
        assert_eq!(status.tools, Some(14));
        assert_eq!(status.call, Some(("a".to_owned(), Some("no".to_owned()))));
        assert_eq!(status.later.as_deref(), Some("b"));
        assert_eq!(status.events.len(), 6);
        assert_eq!(status.events[0].method, "tools/call b");
    }
}
