//! The page of an import that takes longer than a request should.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, StatusCode};
use serde_json::Value;

use crate::extract::{Path, Visitor};
use crate::market::api::{Market, imports};
use crate::market::language::Language;
use crate::market::pages::import::{ImportOutcome, ImportProgress, ImportedItem};
use crate::market::pages::report::Report;
use crate::market::pages::routes::{failure, frame, reader, refused, to};
use crate::market::pages::{page, plain};
use crate::openapi::Finding;

pub(super) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Path(id): Path<String>,
) -> Response {
    let person = match reader(&headers, &format!("/imports/{id}")) {
        Ok(person) => person,
        Err(response) => return *response,
    };
    let found = match id.parse() {
        Ok(id) => imports::view(&market, &person, id, &headers).await,
        Err(_) => Ok(None),
    };
    let view = match found {
        Ok(Some(view)) => view,
        Ok(None) => {
            let detail = Language::of(&headers).say("import-unknown");
            return failure(&market, &headers, StatusCode::NOT_FOUND, detail);
        }
        Err(problem) => return refused(&market, &headers, &problem),
    };
    if let Some(path) = review_of(&view) {
        return lead(&market, &headers, &path);
    }
    let seconds = view["seconds"]
        .as_u64()
        .and_then(|seconds| usize::try_from(seconds).ok());
    let seconds = seconds.unwrap_or_default();
    let template = ImportProgress {
        frame: frame(&market, &headers, "publish"),
        seconds,
        // Often at first, seldom where it takes long anyway.
        refresh: (seconds / 10).clamp(1, 10),
        outcome: outcome(&view),
    };
    page(StatusCode::OK, &template)
}

/// Where a new server is looked at that is not served yet.
fn review_of(view: &Value) -> Option<String> {
    let result = &view["result"];
    let waits = result["created"] == true && result["server"]["state"] == "unpublished";
    let slug = result["server"]["slug"].as_str().filter(|_| waits)?;
    Some(format!("/servers/{slug}/review"))
}

/// The way on. A script that asks for a part of this page is told to leave it.
fn lead(market: &Market, headers: &Visitor, path: &str) -> Response {
    if headers.get("hx-request").is_none() {
        return to(path);
    }
    let mut response = plain("text/plain", b"");
    let path = format!("{}{path}", market.0.parts.address.prefix());
    if let Ok(path) = HeaderValue::from_str(&path) {
        response.headers_mut().insert("hx-redirect", path);
    }
    response
}

fn outcome(view: &Value) -> Option<ImportOutcome> {
    let result = &view["result"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match view["state"].as_str()? {
        "done" if result["items"].is_array() => {
            let items = result["items"].as_array().into_iter().flatten();
            let may = |value: &Value| value.as_str().map(str::to_owned);
            let items = items.map(|item| ImportedItem {
                name: text(&item["name"]),
                outcome: text(&item["outcome"]),
                slug: may(&item["slug"]),
                error: may(&item["error"]),
            });
            let items: Vec<ImportedItem> = items.collect();
            let total = items.len();
            Some(ImportOutcome::Many { total, items })
        }
        "done" => {
            let report = &result["report"];
            let findings: Vec<Finding> =
                serde_json::from_value(report["findings"].clone()).unwrap_or_default();
            let tools = report["tools"]
                .as_u64()
                .and_then(|count| usize::try_from(count).ok());
            Some(ImportOutcome::Published {
                slug: text(&result["server"]["slug"]),
                title: text(&result["server"]["title"]),
                unchanged: result["unchanged"] == true,
                report: Report::new(tools.unwrap_or_default(), &findings),
            })
        }
        "failed" => Some(ImportOutcome::Failed {
            reason: text(&result["error"]),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_import_runs_ends_well_or_fails() {
        assert!(outcome(&json!({"state": "running", "result": null})).is_none());
        let failed = outcome(&json!({"state": "failed", "result": {"error": "no document"}}));
        assert!(
            matches!(failed, Some(ImportOutcome::Failed { reason }) if reason == "no document")
        );
        let many = json!({"state": "done", "result": {"items": [
            {"name": "a.yaml", "outcome": "failed", "error": "empty"}]}});
        let Some(ImportOutcome::Many { total: 1, items }) = outcome(&many) else {
            panic!("it is many");
        };
        assert_eq!(
            (items[0].name.as_str(), items[0].error.as_deref()),
            ("a.yaml", Some("empty"))
        );
        let finding = json!({"pointer": "/paths", "severity": "lost", "code": "x", "message": "m"});
        let done = json!({"state": "done", "result": {
            "server": {"slug": "s", "title": "T"}, "unchanged": false,
            "report": {"tools": 3, "findings": [finding]},
        }});
        let Some(ImportOutcome::Published {
            slug,
            title,
            unchanged,
            report,
        }) = outcome(&done)
        else {
            panic!("it is done");
        };
        assert_eq!(
            (slug.as_str(), title.as_str(), unchanged),
            ("s", "T", false)
        );
        assert_eq!((report.tools, report.groups.len()), (3, 1));
    }
}
