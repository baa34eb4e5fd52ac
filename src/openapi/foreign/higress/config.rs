//! The server's part of a configuration: its values, its credentials, its security schemes.

use serde_json::{Map, Value, json};

use crate::openapi::finding::{Code, quoted};
use crate::openapi::foreign::Context;
use crate::openapi::foreign::outline::Schemes;
use crate::openapi::foreign::secret::is_secret;
use crate::openapi::pointer::text;

/// What a tool may know of its server.
#[derive(Debug, Default)]
pub struct Config {
    /// Values that are no secrets.
    pub known: Map<String, Value>,
    schemes: Vec<(String, Value)>,
    allowed: Option<Vec<String>>,
}

impl Config {
    pub fn read(server: &Value, base: &str, context: &mut Context<'_>) -> Self {
        let mut config = Self::default();
        let values = server.get("config").and_then(Value::as_object);
        for (name, value) in values.into_iter().flatten() {
            let written = text(value).unwrap_or_default();
            let empty = value.is_null() || (value.is_string() && written.trim().is_empty());
            if empty || is_secret(name, &written) {
                if !empty {
                    let place = format!("{base}/server/config/{name}");
                    let message = format!("the value of {} is left out", quoted(name));
                    context.findings.add(Code::ForeignSecret, place, message);
                }
            } else {
                config.known.insert(name.clone(), value.clone());
            }
        }
        let schemes = server.get("securitySchemes").and_then(Value::as_array);
        for (index, scheme) in schemes.into_iter().flatten().enumerate() {
            let Some(id) = scheme.get("id").and_then(text) else {
                continue;
            };
            let credential = scheme.get("defaultCredential").and_then(text);
            if credential.is_some_and(|credential| !credential.is_empty()) {
                let place = format!("{base}/server/securitySchemes/{index}/defaultCredential");
                let message = format!("the credential of {} is left out", quoted(&id));
                context.findings.add(Code::ForeignSecret, place, message);
            }
            let mut plain = Map::new();
            for key in ["type", "scheme", "in", "name"] {
                if let Some(word) = scheme.get(key).and_then(text).filter(|w| !w.is_empty()) {
                    plain.insert(key.to_owned(), word.into());
                }
            }
            config.schemes.push((id, Value::Object(plain)));
        }
        let allowed = server.get("allowTools").and_then(Value::as_array);
        let names = |list: &Vec<Value>| list.iter().filter_map(text).collect::<Vec<_>>();
        config.allowed = allowed.map(names).filter(|names| !names.is_empty());
        config
    }

    /// Defines the schemes the server names, under their ids.
    pub fn define(&self, schemes: &mut Schemes) {
        for (id, scheme) in &self.schemes {
            schemes.set(id.clone(), scheme.clone());
        }
    }

    pub fn has_scheme(&self, id: &str) -> bool {
        self.schemes.iter().any(|(known, _)| known == id)
    }

    /// Whether the server lists that tool.
    pub fn allows(&self, tool: &str) -> bool {
        let allowed = self.allowed.as_ref();
        allowed.is_none_or(|names| names.iter().any(|name| name == tool))
    }

    /// What templates of a tool read of it.
    pub fn for_templates(&self) -> Value {
        json!(self.known)
    }
}
