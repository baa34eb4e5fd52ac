//! How a collection, a folder or a request authenticates: the kind of credential, never its value.

use serde_json::{Map, Value, json};

use crate::openapi::foreign::address::Variables;
use crate::openapi::foreign::outline::Schemes;
use crate::openapi::pointer::text;

/// What a request needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Auth {
    #[default]
    None,
    Basic,
    Bearer,
    ApiKey {
        place: &'static str,
        name: String,
    },
    /// The flows of an OAuth2 scheme.
    OAuth2(Value),
    /// A method that no scheme describes, by its name in Postman.
    Other(String),
}

impl Auth {
    /// What the outermost level says.
    pub fn of(at: &Value, variables: &Variables) -> Self {
        Self::inherited(at, variables, &Self::None)
    }

    /// What an inner level says, or else what is outside of it.
    pub fn inherited(at: &Value, variables: &Variables, outer: &Self) -> Self {
        let Some(auth) = at.get("auth").filter(|auth| auth.is_object()) else {
            return outer.clone();
        };
        let kind = auth.get("type").and_then(Value::as_str).unwrap_or_default();
        let settings = settings(auth.get(kind));
        let word = |key: &str| settings.get(key).cloned().unwrap_or_default();
        match kind {
            "" | "noauth" => Self::None,
            "basic" => Self::Basic,
            "bearer" => Self::Bearer,
            "apikey" => {
                let key = variables.expand(&word("key")).unwrap_or_default();
                Self::ApiKey {
                    place: if word("in") == "query" {
                        "query"
                    } else {
                        "header"
                    },
                    name: if key.is_empty() {
                        "X-API-Key".to_owned()
                    } else {
                        key
                    },
                }
            }
            "oauth2" => flows(&settings, variables).map_or(Self::Bearer, Self::OAuth2),
            other => Self::Other(other.to_owned()),
        }
    }

    /// The scheme it becomes.
    pub fn scheme(&self, schemes: &mut Schemes) -> Option<String> {
        Some(match self {
            Self::None => return None,
            Self::Basic => schemes.basic(),
            Self::Bearer => schemes.bearer(),
            Self::ApiKey { name, .. } if name.eq_ignore_ascii_case("authorization") => {
                schemes.api_key("header", "Authorization")
            }
            Self::ApiKey { place, name } => schemes.api_key(place, name),
            Self::OAuth2(flows) => {
                schemes.define("oauth2", json!({"type": "oauth2", "flows": flows}))
            }
            // Named and not supported: a call is refused instead of going out without it.
            Self::Other(kind) => schemes.define(kind, json!({"type": "http", "scheme": kind})),
        })
    }
}

/// A list of keys and values in 2.1, an object in 2.0.
fn settings(at: Option<&Value>) -> std::collections::HashMap<String, String> {
    match at {
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(|entry| {
                let key = entry.get("key").and_then(text)?;
                Some((key, entry.get("value").and_then(text).unwrap_or_default()))
            })
            .collect(),
        Some(Value::Object(members)) => members
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), text(value)?)))
            .collect(),
        _ => std::collections::HashMap::new(),
    }
}

/// The flow, if its addresses are known.
fn flows(
    settings: &std::collections::HashMap<String, String>,
    variables: &Variables,
) -> Option<Value> {
    let url = |key: &str| {
        let expanded = variables.expand(settings.get(key)?).ok()?;
        let parsed = url::Url::parse(&expanded).ok()?;
        let plain = parsed.username().is_empty() && parsed.password().is_none();
        plain.then_some(expanded)
    };
    let grant = settings.get("grant_type").map_or("", String::as_str);
    let scopes: Map<String, Value> = settings
        .get("scope")
        .map_or("", String::as_str)
        .split([' ', ','])
        .filter(|scope| !scope.is_empty() && !scope.contains("{{"))
        .map(|scope| (scope.to_owned(), json!("")))
        .collect();
    let token = url("accessTokenUrl");
    let name = match grant {
        "client_credentials" => "clientCredentials",
        "password_credentials" | "password" => "password",
        "implicit" => "implicit",
        _ => "authorizationCode",
    };
    let mut flow = json!({"scopes": scopes});
    if name != "implicit" {
        flow["tokenUrl"] = token?.into();
    }
    if matches!(name, "implicit" | "authorizationCode") {
        flow["authorizationUrl"] = url("authUrl")?.into();
    }
    Some(json!({name: flow}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inner_level_wins_and_noauth_ends_inheritance() {
        let variables = Variables::default();
        let outer = Auth::of(
            &json!({"auth": {"type": "bearer", "bearer": [{"key": "token", "value": "s3cret"}]}}),
            &variables,
        );
        assert_eq!(outer, Auth::Bearer);
        let inner = |auth: Value| Auth::inherited(&json!({"auth": auth}), &variables, &outer);
        assert_eq!(inner(Value::Null), Auth::Bearer);
        assert_eq!(inner(json!({"type": "noauth"})), Auth::None);
        let list = json!({"type": "apikey", "apikey": [
            {"key": "in", "value": "query"}, {"key": "key", "value": "k"}, {"key": "value", "value": "s3cret"},
        ]});
        let object =
            json!({"type": "apikey", "apikey": {"in": "query", "key": "k", "value": "s3cret"}});
        let expected = Auth::ApiKey {
            place: "query",
            name: "k".to_owned(),
        };
        assert_eq!(inner(list), expected);
        assert_eq!(inner(object), expected);
    }

    #[test]
    fn flows_need_their_addresses() {
        let mut variables = Variables::default();
        variables.insert("idp", "https://id.example.com");
        let with = |token: &str| {
            let settings = json!({"auth": {"type": "oauth2", "oauth2": [
                {"key": "grant_type", "value": "client_credentials"},
                {"key": "accessTokenUrl", "value": token},
                {"key": "clientSecret", "value": "s3cret"},
                {"key": "scope", "value": "read write"},
            ]}});
            Auth::of(&settings, &variables)
        };
        let Auth::OAuth2(flows) = with("{{idp}}/token") else {
            unreachable!("a flow");
        };
        assert_eq!(
            flows["clientCredentials"]["tokenUrl"],
            "https://id.example.com/token"
        );
        assert!(!flows.to_string().contains("s3cret"));
        assert_eq!(with("{{unknown}}/token"), Auth::Bearer);
    }
}
