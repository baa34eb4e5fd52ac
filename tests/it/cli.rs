//! The command line: what the real binary prints, how it ends, and what others receive meanwhile.

mod adopting;
mod audit;
mod catalog;
mod check;
mod copies;
mod credential;
mod curated;
mod declared;
mod documents;
pub(crate) mod end;
mod help;
mod ledger;
mod limiting;
mod one_document;
mod refusal;
mod rotation;
mod secrets;
mod slow;
mod usage;

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use serde_json::{Value, json};

use crate::egress::serve_local;
use crate::program;

pub(crate) const ADMIN_KEY: &str = "an-admin-key-for-tests";
/// The value of a credential, which nobody but the upstream ever sees.
const SECRET: &str = "s3cret-of-the-upstream";

/// An API of one operation, `/things/{id}`, that notes the credential of each request.
struct Upstream {
    address: String,
    seen: Arc<Mutex<Vec<Option<String>>>>,
}

impl Upstream {
    async fn start() -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noting = seen.clone();
        let answer = move |request: Request| async move {
            let key = request.headers().get("x-key");
            let key = key.map(|value| value.to_str().unwrap().to_owned());
            noting.lock().unwrap().push(key);
            axum::Json(json!({ "path": request.uri().path() }))
        };
        let router = Router::new().route("/things/{id}", any(answer));
        Self {
            address: serve_local(router).await.to_string(),
            seen,
        }
    }

    /// Its document, which asks for a key.
    fn document(&self, folder: &Path) -> String {
        let path = program::document(folder, &format!("http://{}", self.address), things());
        path.display().to_string()
    }

    fn seen(&self) -> Vec<Option<String>> {
        self.seen.lock().unwrap().clone()
    }
}

fn things() -> Value {
    json!({
        "security": [{ "Key": [] }],
        "components": { "securitySchemes": {
            "Key": { "type": "apiKey", "in": "header", "name": "X-Key" },
            "Login": { "type": "http", "scheme": "basic" },
        } },
        "paths": { "/things/{id}": { "get": {
            "operationId": "getThing",
            "parameters": [
                { "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } },
            ],
            "responses": { "200": { "description": "The thing." } },
        } } },
    })
}
