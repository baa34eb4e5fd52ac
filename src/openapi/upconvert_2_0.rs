//! Swagger 2.0 in the shapes of OpenAPI 3.1: parameters, form fields, security schemes, servers.
//!
//! What is converted keeps the pointer of what it came from, so that every finding leads into the
//! document that was uploaded.

use serde_json::{Map, Value, json};

use crate::openapi::finding::{Code, Findings};
use crate::openapi::pointer::{Located, text};
use crate::openapi::{ServerTemplate, Style, parameter};

/// Media types that one list may name.
const MEDIA_TYPES_MAX: usize = 32;

/// Keys of a 2.0 parameter that are not part of its schema.
const OUTSIDE_SCHEMA: [&str; 11] = [
    "name",
    "in",
    "required",
    "description",
    "collectionFormat",
    "allowEmptyValue",
    "deprecated",
    "schema",
    "style",
    "explode",
    "allowReserved",
];

/// A parameter that is neither body nor form field, with `schema` and `style`.
pub fn parameter(source: &Map<String, Value>) -> Value {
    let mut converted = Map::new();
    for key in [
        "name",
        "in",
        "required",
        "description",
        "deprecated",
        "allowEmptyValue",
    ] {
        if let Some(value) = source.get(key) {
            converted.insert(key.to_owned(), value.clone());
        }
    }
    if let Some(example) = source.get("x-example").or(source.get("example")) {
        converted.insert("example".to_owned(), example.clone());
    }
    let query = source.get("in").and_then(Value::as_str) == Some("query");
    let format = source.get("collectionFormat").and_then(Value::as_str);
    let (style, explode) = style(format, query);
    converted.insert("style".to_owned(), json!(style));
    converted.insert("explode".to_owned(), json!(explode));
    converted.insert("schema".to_owned(), schema(source));
    Value::Object(converted)
}

/// `collectionFormat` as a style; csv is the default (2.0, Parameter Object).
pub fn style(collection_format: Option<&str>, query: bool) -> (&'static str, bool) {
    match collection_format {
        Some("multi") => ("form", true),
        Some("ssv") => ("spaceDelimited", false),
        Some("tsv") => ("tabDelimited", false),
        Some("pipes") => ("pipeDelimited", false),
        _ if query => ("form", false),
        _ => ("simple", false),
    }
}

/// The styles of lists within the list that a converted parameter is, from the outside in. The Items
/// Object has no `multi`.
pub fn item_styles(parameter: &Located<'_>) -> Vec<Style> {
    let mut styles = Vec::new();
    let mut list = parameter.value.get("schema");
    while let Some(items) = list.and_then(|list| list.get("items"))
        && items.get("type").is_some_and(|kind| kind == "array")
        && let Some(format) = items.get("collectionFormat")
    {
        let (style, _) = style(format.as_str(), false);
        styles.extend(parameter::style(style));
        list = Some(items);
    }
    styles
}

/// The schema part of a parameter or form field.
pub fn schema(source: &Map<String, Value>) -> Value {
    if let Some(schema) = source.get("schema") {
        return schema.clone();
    }
    let inside = source
        .iter()
        .filter(|(key, _)| !OUTSIDE_SCHEMA.contains(&key.as_str()));
    Value::Object(inside.map(|(k, v)| (k.clone(), v.clone())).collect())
}

/// A security scheme as 3.1 writes it.
pub fn security_scheme(source: &Map<String, Value>) -> Value {
    let mut converted = source.clone();
    match source.get("type").and_then(Value::as_str) {
        Some("basic") => {
            converted.insert("type".to_owned(), json!("http"));
            converted.insert("scheme".to_owned(), json!("basic"));
        }
        Some("oauth2") => {
            let flow = match source.get("flow").and_then(Value::as_str) {
                Some("application") => "clientCredentials",
                Some("accessCode") => "authorizationCode",
                Some("password") => "password",
                _ => "implicit",
            };
            let mut kept = Map::new();
            for key in ["authorizationUrl", "tokenUrl", "scopes"] {
                if let Some(value) = source.get(key) {
                    kept.insert(key.to_owned(), value.clone());
                }
            }
            converted.insert("flows".to_owned(), json!({flow: kept}));
        }
        _ => {}
    }
    Value::Object(converted)
}

/// `schemes`, `host` and `basePath` as servers, https first: a credential should not travel in the
/// clear because of the order of a list. Without a host they are relative.
pub fn servers(root: &Located<'_>, findings: &mut Findings) -> Vec<ServerTemplate> {
    let base = root.text("basePath").unwrap_or_default();
    let base = base.trim_end_matches('/');
    let base = if base.is_empty() || base.starts_with('/') {
        base.to_owned()
    } else {
        format!("/{base}")
    };
    let Some(host) = root.text("host").filter(|host| !host.trim().is_empty()) else {
        let message = "there is no `host`; the address of the document is used";
        findings.add(Code::ServersMissing, "", message);
        return vec![plain(if base.is_empty() { "/" } else { &base })];
    };
    // Some write a whole URL where a host belongs.
    let host = host.trim().trim_end_matches('/');
    if host.contains("://") {
        return vec![plain(&format!("{host}{base}"))];
    }
    let mut schemes = schemes(root.value);
    if schemes.is_empty() {
        let message = "there are no `schemes`";
        findings.add(Code::SchemeGuessed, "", message);
        schemes.push("https".to_owned());
    }
    schemes
        .iter()
        .map(|scheme| plain(&format!("{scheme}://{host}{base}")))
        .collect()
}

/// An operation's own `schemes` replace those of the document.
pub fn operation_servers(operation: &Value, document: &[ServerTemplate]) -> Vec<ServerTemplate> {
    let schemes = schemes(operation);
    let rest = document.first().and_then(|s| s.url.split_once("://"));
    match rest {
        Some((_, rest)) if !schemes.is_empty() => schemes
            .iter()
            .map(|scheme| plain(&format!("{scheme}://{rest}")))
            .collect(),
        _ => document.to_vec(),
    }
}

fn schemes(at: &Value) -> Vec<String> {
    let given = at.get("schemes").and_then(Value::as_array);
    let mut schemes: Vec<String> = given
        .into_iter()
        .flatten()
        .filter_map(text)
        .map(|scheme| scheme.to_ascii_lowercase())
        .filter(|scheme| scheme == "http" || scheme == "https")
        .collect();
    schemes.sort_by_key(|scheme| scheme != "https");
    schemes.dedup();
    schemes
}

fn plain(url: &str) -> ServerTemplate {
    ServerTemplate {
        url: url.to_owned(),
        description: None,
        variables: indexmap::IndexMap::new(),
    }
}

/// `consumes` or `produces`: of the operation, else of the document, else JSON.
pub fn media_types(key: &str, operation: &Value, root: &Value) -> Vec<String> {
    let listed = |at: &Value| -> Vec<String> {
        let list = at.get(key).and_then(Value::as_array);
        let list = list.into_iter().flatten().filter_map(text);
        list.take(MEDIA_TYPES_MAX).collect()
    };
    let mut types = listed(operation);
    if types.is_empty() {
        types = listed(root);
    }
    if types.is_empty() {
        types.push("application/json".to_owned());
    }
    types
}
