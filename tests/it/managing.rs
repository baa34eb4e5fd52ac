//! The management API as programs use it: lists in pages, paces, what is
//! done once, and agents that manage by MCP.

mod lists;
mod once;
mod paces;
mod within;

use serde_json::{Value, json};

use crate::program::{PATIENCE, Serving, causeway};

pub(crate) const ADMIN: &str = "an-admin-key-for-tests";

/// A process, its data, and what asks it.
pub(crate) struct Site {
    pub(crate) served: Serving,
    pub(crate) client: reqwest::Client,
    pub(crate) folder: tempfile::TempDir,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

impl Site {
    /// Starts a process with the demo, and these settings of the environment.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::on(folder, settings).await
    }

    pub(crate) async fn on(folder: tempfile::TempDir, settings: &[(&str, &str)]) -> Self {
        let data = folder.path().join("data").display().to_string();
        let mut command = causeway(&[
            "serve",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--admin-key",
            ADMIN,
            "--data",
            &data,
        ]);
        for (name, value) in settings {
            command.env(name, value);
        }
        let client = reqwest::Client::builder().timeout(PATIENCE);
        Self {
            served: Serving::start(command).await,
            client: client.build().unwrap(),
            folder,
        }
    }

    /// A request with headers, of which a key is one.
    pub(crate) async fn send(
        &self,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}/api/v1/{path}", self.served.origin)
        };
        let mut request = self.client.request(method.parse().unwrap(), url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        }
    }

    /// An admin's request.
    pub(crate) async fn ask(&self, asked: (&str, &str), body: &Value) -> Answer {
        let headers = [("x-api-key", ADMIN), ("content-type", "application/json")];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.send(asked, &headers, body).await
    }

    /// The same, which has to go well.
    pub(crate) async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.ask((method, path), &body).await;
        let well = (200..300).contains(&answer.status);
        assert!(well, "{method} {path}: {answer:?}");
        answer.body
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.done("GET", path, json!(null)).await
    }
}
