//! The management API as an API inside this process: its own document, served as a server of the
//! catalog, so that agents manage Causeway with the tools of MCP.
//!
//! A request comes with the caller it is made for, never with a key. It passes the same gate as any
//! other, so that a tool may do exactly what its caller may do.

use std::sync::{Arc, OnceLock, Weak};

use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response as AxumResponse};
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use crate::egress::InternalService;
use crate::market::api::{DOCUMENT, Inner, Market, inside};
use crate::problem::{Problem, ProblemKind};

/// The host the document names. It exists inside the process only.
const ORIGIN: &str = "http://management.internal";
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Operations that are no tools: one is MCP's own business, and would lead from a tool to itself; the
/// other is the list of tools.
const LEFT_OUT: [&str; 2] = ["callTool", "getOpenapi"];
/// Operations that take something away, let somebody in, replace a secret or say where one goes, or change what is
/// served for everyone, beside those of the method DELETE. Whoever could change who has to agree to a call could agree
/// to all of them.
pub const CONFIRMED: [&str; 22] = [
    "editServer",
    "setServerState",
    "transferServer",
    "replaceDocument",
    "promoteVersion",
    "setCuration",
    "setCredential",
    "approveDestinations",
    "eraseConsumer",
    "putPlan",
    "putProvider",
    "putProviderKey",
    "putModel",
    "promoteModelCanary",
    "rotateKey",
    "putIssuer",
    "createUser",
    "editUser",
    "resetUser",
    "eraseUser",
    "decideApproval",
    "renewApprovalWebhookSecret",
];

/// The service, made before the API it answers with.
#[derive(Clone, Default)]
pub struct Within(Arc<OnceLock<Weak<Inner>>>);

impl Within {
    /// Answers with this API from now on. It does not keep it alive.
    pub fn open(&self, market: &Market) {
        // Opened once, by whoever builds the process.
        let _ = self.0.set(Arc::downgrade(&market.0));
    }

    /// What answers requests inside the process.
    pub fn service(&self) -> InternalService {
        let within = self.clone();
        InternalService::new(tower::service_fn(move |request: Request<Bytes>| {
            let within = within.clone();
            async move { Ok(within.answer(request).await) }
        }))
    }

    async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let market = self.0.get().and_then(Weak::upgrade).map(Market);
        let answered: AxumResponse = match market {
            Some(market) => {
                let answered = inside(market).oneshot(request.map(Body::from)).await;
                answered.unwrap_or_else(|never| match never {})
            }
            None => closed(),
        };
        let (parts, body) = answered.into_parts();
        match to_bytes(body, ANSWER_BYTES_MAX).await {
            Ok(body) => Response::from_parts(parts, body),
            Err(_) => Response::from_parts(parts, Bytes::new()),
        }
    }
}

fn closed() -> AxumResponse {
    let detail = "the management API is not open inside this process";
    Problem::new(ProblemKind::Unavailable, detail).into_response()
}

/// The document as it is published: at an address inside the process, without credentials, and with
/// JSON only.
pub fn document() -> String {
    let mut document: Value = serde_saphyr::from_str(DOCUMENT).unwrap_or_default();
    document["servers"] = json!([{ "url": ORIGIN }]);
    document["security"] = json!([]);
    if let Some(paths) = document["paths"].as_object_mut() {
        for item in paths.values_mut().filter_map(Value::as_object_mut) {
            keep_tools(item);
        }
        paths.retain(|_, item| item.as_object().is_some_and(has_operations));
    }
    document.to_string()
}

fn keep_tools(item: &mut Map<String, Value>) {
    item.retain(|_, operation| {
        let id = operation["operationId"].as_str();
        !id.is_some_and(|id| LEFT_OUT.contains(&id))
    });
    for operation in item.values_mut().filter_map(Value::as_object_mut) {
        operation.remove("security");
        let content = operation.get_mut("requestBody");
        let content = content.and_then(|body| body.get_mut("content"));
        if let Some(content) = content.and_then(Value::as_object_mut)
            && content.contains_key("application/json")
        {
            content.retain(|kind, _| kind == "application/json");
        }
    }
}

fn has_operations(item: &Map<String, Value>) -> bool {
    item.keys().any(|key| key != "parameters")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What changes something and asks nobody: it makes what was not there, looks, or can be undone as easily.
    const UNASKED: [&str; 14] = [
        "publishServer",
        "restoreServer",
        "fixTool",
        "startCanary",
        "setSource",
        "syncServer",
        "connectCredential",
        "importMany",
        "retryImport",
        "editConsumer",
        "assignPlan",
        "testProvider",
        "rollBackModelCanary",
        "createKey",
    ];

    #[test]
    fn the_document_asks_for_no_credential_and_calls_no_tool() {
        let text = document();
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["security"], json!([]));
        let paths = document["paths"].as_object().unwrap();
        let operations = paths.values().flat_map(|item| item.as_object().unwrap());
        let operations: Vec<&Value> = operations
            .filter(|(key, _)| *key != "parameters")
            .map(|(_, operation)| operation)
            .collect();
        assert!(operations.len() > 60, "{}", operations.len());
        assert!(
            operations
                .iter()
                .all(|operation| operation["security"].is_null())
        );
        let ids: Vec<&str> = operations
            .iter()
            .map(|operation| operation["operationId"].as_str().unwrap())
            .collect();
        assert!(LEFT_OUT.iter().all(|left_out| !ids.contains(left_out)));
        assert!(CONFIRMED.iter().all(|asked| ids.contains(asked)));
        // What is new is looked at: it asks first, or stands here.
        let changing = paths.values().flat_map(|item| item.as_object().unwrap());
        let changing = changing
            .filter(|(method, _)| ["post", "put", "patch"].contains(&method.as_str()))
            .map(|(_, operation)| operation["operationId"].as_str().unwrap());
        let unasked: Vec<&str> = changing.filter(|id| !CONFIRMED.contains(id)).collect();
        assert_eq!(unasked, UNASKED);
        // What makes another secret, or answers with one that lets somebody in again. What makes a new thing replaces
        // nothing.
        let replacing = paths.values().flat_map(|item| item.as_object().unwrap());
        let replacing = replacing
            .filter(|(method, _)| ["post", "put", "patch"].contains(&method.as_str()))
            .filter(|(_, operation)| {
                let id = operation["operationId"].as_str().unwrap();
                let answers = operation["responses"].to_string();
                let tells = ["\"secret\":{", "\"link\":{"];
                let makes = ["rotate", "renew", "reset"]
                    .iter()
                    .any(|verb| id.starts_with(verb));
                makes || (!id.starts_with("create") && tells.iter().any(|it| answers.contains(it)))
            });
        let replacing: Vec<&str> = replacing
            .map(|(_, operation)| operation["operationId"].as_str().unwrap())
            .collect();
        assert_eq!(
            replacing,
            ["rotateKey", "resetUser", "renewApprovalWebhookSecret"]
        );
        assert!(replacing.iter().all(|asked| CONFIRMED.contains(asked)));
        let forms = operations.iter().filter(|operation| {
            let content = &operation["requestBody"]["content"];
            !content["multipart/form-data"].is_null()
        });
        assert_eq!(forms.count(), 0);
    }
}
