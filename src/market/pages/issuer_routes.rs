//! The issuers of tokens on the page of keys: listed, added, removed.

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use crate::access::caller::Grant;
use crate::access::issuer::settings::IssuerSettings;
use crate::access::person::Person;
use crate::market::api::grants::GrantRequest;
use crate::market::api::{Market, issuers as issuers_api};
use crate::market::language::Language;
use crate::market::pages::key_routes::{Done, keys_page};
use crate::market::pages::keys::{IssuerForm, IssuerView};
use crate::market::pages::routes::{Fields, refused, to};
use crate::market::pages::scope::{Words, requests, written};
use crate::market::pages::settings::labelled;
use crate::market::pages::submitted::Submitted;
use crate::problem::{Problem, ProblemKind};

/// Every issuer, for people.
pub(super) async fn rows(market: &Market, person: &Person) -> Result<Vec<IssuerView>, Problem> {
    let rows = issuers_api::rows(market, person).await?;
    let read = rows.into_iter().filter_map(|row| {
        let settings = serde_json::from_str::<IssuerSettings>(&row.settings).ok()?;
        Some((row.name, settings))
    });
    let read: Vec<(String, IssuerSettings)> = read.collect();
    let granted = read.iter().flat_map(|(_, settings)| {
        let values = settings
            .grants_from
            .iter()
            .flat_map(|from| from.values.values());
        settings.grants.iter().chain(values.flatten()).cloned()
    });
    let granted: Vec<Grant> = granted.collect();
    let words = Words::of(market, &granted).await;
    let shown = read.iter().map(|(name, settings)| IssuerView {
        name: name.clone(),
        issuer: settings.issuer.clone(),
        audience: settings.audience.join(", "),
        scope: words.view((!settings.every_server).then_some(settings.grants.as_slice())),
        by_claim: settings
            .grants_from
            .iter()
            .flat_map(|from| {
                let value = |(value, grants): (&String, &Vec<_>)| {
                    let claim = format!("{} = {value}", from.claim);
                    (claim, words.view(Some(grants)))
                };
                from.values.iter().map(value).collect::<Vec<_>>()
            })
            .collect(),
        consumer_claim: settings.consumer_claim.clone(),
    });
    Ok(shown.collect())
}

pub(super) async fn put(
    State(market): State<Market>,
    Submitted {
        visitor: headers,
        person,
        form,
    }: Submitted<Fields>,
) -> Response {
    let mut entered = entered(&form);
    let kept = match settings(&entered) {
        Ok(settings) => issuers_api::keep(&market, &person, (&entered.name, settings)).await,
        Err(problem) => Err(problem),
    };
    match kept {
        Ok(()) => to("/keys?done=issuer-kept#issuers"),
        Err(problem) => {
            entered.error = Some(labelled(&problem, Language::of(&headers)));
            let done = Done {
                issuer: Some((entered, problem.kind.status())),
                ..Done::default()
            };
            keys_page(&market, (&person, &headers), done, &Fields::new()).await
        }
    }
}

pub(super) async fn remove(
    State(market): State<Market>,
    Submitted {
        visitor: headers,
        person,
        form,
    }: Submitted<Fields>,
) -> Response {
    let name = form.get("issuer-name").map(String::as_str);
    match issuers_api::end(&market, &person, name.unwrap_or_default()).await {
        Ok(()) => to("/keys?done=issuer-removed#issuers"),
        Err(problem) => refused(&market, &headers, &problem),
    }
}

fn entered(form: &Fields) -> IssuerForm {
    let text = |name: &str| form.get(name).map_or("", |text| text.trim()).to_owned();
    IssuerForm {
        error: None,
        name: text("issuer-name"),
        issuer: text("issuer"),
        audience: text("audience"),
        keys_url: text("keys-url"),
        consumer_claim: text("consumer-claim"),
        everywhere: form.contains_key("everywhere"),
        scopes: text("scopes"),
        claim: text("claim"),
        values: text("values"),
    }
}

/// What was entered, as the API takes it.
fn settings(form: &IssuerForm) -> Result<IssuerSettings<GrantRequest>, Problem> {
    let mut sent = json!({
        "issuer": form.issuer,
        "audience": written(&form.audience).collect::<Vec<_>>(),
        "everyServer": form.everywhere,
    });
    if !form.keys_url.is_empty() {
        sent["jwksUrl"] = json!(form.keys_url);
    }
    if !form.consumer_claim.is_empty() {
        sent["consumerClaim"] = json!(form.consumer_claim);
    }
    sent["grants"] = grants(written(&form.scopes));
    if !form.claim.is_empty() || !form.values.is_empty() {
        let mut values = json!({});
        for line in form.values.lines().filter(|line| !line.trim().is_empty()) {
            let (value, scopes) = line.split_once('=').ok_or_else(|| {
                let detail =
                    "`grantsFrom`: write a value and what it is good for, like reader = books";
                Problem::new(ProblemKind::Unprocessable, detail)
            })?;
            values[value.trim()] = grants(written(scopes));
        }
        sent["grantsFrom"] = json!({ "claim": form.claim, "values": values });
    }
    serde_json::from_value(sent).map_err(|error| {
        let detail = format!("the issuer was not understood: {error}");
        Problem::new(ProblemKind::Unprocessable, detail)
    })
}

fn grants<'a>(scopes: impl Iterator<Item = &'a str>) -> Value {
    let requests = requests(scopes);
    let written = requests.iter().map(|request| match &request.tools {
        None => json!({ "server": request.server }),
        Some(tools) => json!({ "server": request.server, "tools": tools }),
    });
    written.collect()
}
