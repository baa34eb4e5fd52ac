//! The credentials of a server: forms that do what the management API does, and the way to and back from
//! authorization servers.

use std::collections::BTreeSet;

use axum::extract::{OriginalUri, Query, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::json;
use url::form_urlencoded::Serializer;

use crate::access::upstream_auth::{Begun, Returned};
use crate::extract::Visitor;
use crate::market::api::clients::Connected;
use crate::market::api::credentials::Seen;
use crate::market::api::settings::ServerEdit;
use crate::market::api::{Market, clients, credentials, settings};
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::failure::Refusal;
use crate::market::pages::page;
use crate::market::pages::routes::{Fields, frame, refused, to};
use crate::market::pages::settings::SettingsPage;
use crate::market::pages::settings::credential::ConnectingPage;
use crate::market::pages::settings::section::{Section, Told};
use crate::market::pages::settings_routes::{Sent, back};
use crate::problem::{Problem, ProblemKind};

/// Sets, removes or approves the credential of one scheme.
pub(super) async fn credential(State(market): State<Market>, sent: Sent) -> Response {
    let headers = &sent.visitor;
    let form = &sent.form;
    let text = |name: &str| entered(form, name).unwrap_or_default();
    let scheme = text("scheme");
    let target = (sent.slug(), scheme);
    let done = match text("do") {
        "remove" => credentials::forget_credential(&market, &sent.person, target)
            .await
            .map(|()| "credential-removed"),
        "connect" => {
            let begun = clients::begin(&market, &sent.person, headers, target).await;
            match begun {
                Ok(begun) => return connecting(&sent, scheme, &begun),
                Err(problem) => Err(problem),
            }
        }
        "disconnect" => clients::end(&market, &sent.person, target)
            .await
            .map(|()| "disconnected"),
        "each-user" | "shared" => each_user(&sent, scheme, text("do") == "each-user")
            .await
            .map(|()| "saved"),
        "approve" => {
            credentials::approve_destinations(&market, &sent.person, target, &on_the_page(form))
                .await
                .map(|_| "credential-approved")
        }
        _ => {
            let Some(value) = secret(form) else {
                let said = sent.language().say("credential-want-user");
                let refusal = Refusal::entry(said);
                let section = Section::Credentials;
                return sent.again(section, refusal, beside(scheme)).await;
            };
            let value = (&*value, &on_the_page(form));
            credentials::set_credential(&market, &sent.person, target, value)
                .await
                .map(|_| "credential-set")
        }
    };
    match done {
        Ok(done) => {
            let mut query = Serializer::new(String::new());
            query
                .append_pair("done", done)
                .append_pair("in", Section::Credentials.word());
            let query = query.append_pair("scheme", scheme).finish();
            to(&format!("/servers/{}/settings?{query}#told", sent.slug()))
        }
        Err(problem) => {
            let moved = problem.kind == ProblemKind::Conflict && problem.detail.starts_with('`');
            let refusal = if moved {
                let said = sent.language().say("credential-moved");
                let said = said.with("scheme", scheme);
                Refusal::Page(problem.kind.status(), said.into())
            } else {
                let detail = format!("“{scheme}”: {}", problem.detail);
                Problem::new(problem.kind, detail).into()
            };
            let section = Section::Credentials;
            sent.again(section, refusal, beside(scheme)).await
        }
    }
}

/// What is wrong is said beside that credential.
fn beside(scheme: &str) -> impl FnOnce(&mut SettingsPage) + Send {
    let scheme = scheme.to_owned();
    |page| {
        if let Some(told) = page.told.take() {
            page.tell(Told { scheme, ..told });
        }
    }
}

/// Says whether each user has an account of their own for a scheme.
async fn each_user(sent: &Sent, scheme: &str, each: bool) -> Result<(), Problem> {
    let mut schemes = sent.entry.settings.user_accounts.clone();
    if each {
        schemes.insert(scheme.to_owned());
    } else {
        schemes.remove(scheme);
    }
    let change = ServerEdit {
        user_accounts: Some(Some(schemes)),
        ..ServerEdit::default()
    };
    let edit = (change, None);
    settings::apply(&sent.market, &sent.person, sent.slug(), edit)
        .await
        .map(|_| ())
}

/// The destinations that stood on the page when the form was sent.
fn on_the_page(form: &Entered) -> Seen {
    let all = |field: &str| -> BTreeSet<String> {
        let named = form.iter().filter(|(name, _)| name == field);
        named.map(|(_, origin)| origin.clone()).collect()
    };
    Seen {
        origins: Some(all("origins")),
        token_origins: entered(form, "oauth").map(|_| all("tokenOrigins")),
    }
}

/// The page that leads to the authorization server. A link: a form of ours may not lead to another site.
fn connecting(sent: &Sent, scheme: &str, begun: &Begun) -> Response {
    let template = ConnectingPage {
        frame: frame(&sent.market, &sent.visitor, "servers"),
        back: format!("/servers/{}/settings", sent.slug()),
        own: false,
        title: sent.entry.title.clone(),
        scheme: scheme.to_owned(),
        host: begun.url.origin().ascii_serialization(),
        url: begun.url.to_string(),
    };
    page(StatusCode::OK, &template)
}

/// Where a browser comes back from an authorization server, with an answer for whoever began.
pub(super) async fn connected(
    State(market): State<Market>,
    headers: Visitor,
    OriginalUri(uri): OriginalUri,
    Query(query): Query<Fields>,
) -> Response {
    let here = uri.path_and_query().map_or("", |here| here.as_str());
    let here: String = url::form_urlencoded::byte_serialize(here.as_bytes()).collect();
    let Some(visit) = &headers.visit else {
        return to(&format!("/login?next={here}"));
    };
    let text = |name: &str| query.get(name).map(String::as_str);
    let returned = Returned {
        code: text("code"),
        error: text("error"),
        issuer: text("iss"),
    };
    let state = text("state").unwrap_or_default();
    match clients::complete(&market, visit, &headers, (state, returned)).await {
        Ok(Connected::Server(slug)) => back(&slug, "connected", Section::Credentials),
        Ok(Connected::Own) => to("/account/connections?done=own-connected"),
        Err(problem) => refused(&market, &headers, &problem),
    }
}

/// What was entered as the credential: a value, or a user's name and password; none where the name
/// cannot be one.
fn secret(form: &Entered) -> Option<String> {
    if entered(form, "oauth").is_some() {
        return Some(client(form));
    }
    let Some(user) = entered(form, "user") else {
        return Some(entered(form, "value").unwrap_or_default().to_owned());
    };
    if user.is_empty() || user.contains(':') {
        // RFC 7617 section 2: the first colon ends the name.
        return None;
    }
    Some(format!(
        "{user}:{}",
        entered(form, "password").unwrap_or_default()
    ))
}

/// An OAuth client as the management API takes it. What was left empty is what the document says.
fn client(form: &Entered) -> String {
    let text = |name: &str| {
        let text = entered(form, name).unwrap_or_default().trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let scopes = text("scopes").map(|scopes| {
        let words = scopes.split_whitespace();
        words.map(str::to_owned).collect::<Vec<_>>()
    });
    let client = json!({
        "id": text("clientId").unwrap_or_default(),
        "secret": text("clientSecret"),
        "grant": text("oauth"),
        "authentication": text("authentication").unwrap_or_else(|| "basic".to_owned()),
        "scopes": scopes,
        "audience": text("audience"),
        "tokenUrl": text("tokenUrl"),
        "authorizationUrl": text("authorizationUrl"),
        "revocationUrl": text("revocationUrl"),
    });
    client.to_string()
}
