//! An OpenAPI document being put together from requests, and where each of them came from.

use std::collections::{HashMap, HashSet};

use indexmap::{IndexMap, IndexSet};
use serde_json::{Map, Value, json};

use crate::openapi::foreign::address::Server;
use crate::openapi::foreign::numbered::Numbered;
use crate::openapi::foreign::secret::{is_secret, is_secret_name, is_secret_value, words};
use crate::openapi::operation::METHODS;
use crate::openapi::path;
use crate::openapi::pointer::escape;

/// How long a text from the source may get.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// Parameters of one request that are taken over.
const PARAMETERS_MAX: usize = 500;

const EXTENSION: &str = "x-causeway-template";

/// A document that was converted.
#[derive(Debug)]
pub struct Converted {
    /// OpenAPI 3.1.
    pub root: Value,
    /// Pointers to operations of `root`, and to what they were made of in the uploaded document.
    pub origins: Vec<(String, String)>,
}

/// A document as far as it is known.
#[derive(Debug, Default)]
pub struct Outline {
    pub title: String,
    pub description: Option<String>,
    pub revision: Option<String>,
    pub schemes: Schemes,
    pub drafts: Vec<Draft>,
}

/// One request on its way to an operation.
#[derive(Debug, Default)]
pub struct Draft {
    /// As written; upper case.
    pub method: String,
    pub path: String,
    pub name: Option<String>,
    /// The operationId, where the source has one; else it is made of the name.
    pub id: Option<String>,
    pub description: Option<String>,
    /// From the outermost folder to the innermost.
    pub tags: Vec<String>,
    pub parameters: Vec<Value>,
    /// Parameters beyond the limit.
    pub left_out: usize,
    pub body: Option<Value>,
    pub responses: Map<String, Value>,
    /// Schemes needed together.
    pub needs: IndexSet<String>,
    pub server: Option<Server>,
    /// What only a template can say; `mcp::template` reads it.
    pub template: Map<String, Value>,
    /// Where it stands in the uploaded document.
    pub origin: String,
}

/// Security schemes by name.
#[derive(Debug, Default)]
pub struct Schemes {
    known: IndexMap<String, Value>,
    /// By the name that was wanted and what was to be defined, the name it got.
    given: HashMap<(String, String), String>,
    names: Numbered,
}

impl Schemes {
    /// The name of a scheme, which is defined if it was not.
    pub fn define(&mut self, wanted: &str, scheme: Value) -> String {
        let wanted: String = wanted
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
            .take(64)
            .collect();
        let wanted = if wanted.is_empty() {
            "credential".to_owned()
        } else {
            wanted
        };
        let (known, names) = (&mut self.known, &mut self.names);
        let given = self.given.entry((wanted, scheme.to_string()));
        let wanted = given.key().0.clone();
        let free = |name: &str| known.get(name).is_none_or(|known| *known == scheme);
        let name = given.or_insert_with(|| names.name(&wanted, free)).clone();
        known.insert(name.clone(), scheme);
        name
    }

    /// Defines a scheme under its own name.
    pub fn set(&mut self, name: String, scheme: Value) {
        self.known.insert(name, scheme);
    }

    pub fn has(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    /// A key in a header, a query parameter or a cookie.
    pub fn api_key(&mut self, place: &str, name: &str) -> String {
        let scheme = json!({"type": "apiKey", "in": place, "name": name});
        self.define(&words(name).join("_"), scheme)
    }

    pub fn bearer(&mut self) -> String {
        self.define("bearer", json!({"type": "http", "scheme": "bearer"}))
    }

    pub fn basic(&mut self) -> String {
        self.define("basic", json!({"type": "http", "scheme": "basic"}))
    }

    /// What an `Authorization` header with that value stands for.
    pub fn authorization(&mut self, value: &str) -> String {
        let scheme = value.split_whitespace().next().unwrap_or_default();
        if scheme.eq_ignore_ascii_case("bearer") {
            self.bearer()
        } else if scheme.eq_ignore_ascii_case("basic") {
            self.basic()
        } else {
            self.api_key("header", "Authorization")
        }
    }
}

/// A value of a query parameter or header as the source shows it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    pub name: &'a str,
    pub value: &'a str,
    pub description: Option<&'a str>,
}

impl Draft {
    /// Takes a query parameter: a credential becomes a scheme, its value is left behind.
    pub fn query(&mut self, shown: Shown<'_>, schemes: &mut Schemes) {
        // A name may be all there is of a token: `?AAE…`.
        if shown.name.is_empty() || is_secret_value(shown.name) {
            return;
        }
        if is_secret_name(shown.name) || holds_secret(shown.value) {
            self.need(schemes.api_key("query", shown.name));
            return;
        }
        if self.is_full() || self.has("query", shown.name) {
            return;
        }
        let schema = scalar(shown.name, shown.value);
        self.parameter("query", shown, schema);
    }

    /// Takes a header: what belongs to the connection or the body is left out, a credential becomes a
    /// scheme.
    pub fn header(&mut self, shown: Shown<'_>, schemes: &mut Schemes) {
        let name = shown.name.to_ascii_lowercase();
        if name == "authorization" {
            if self.needs.is_empty() {
                self.need(schemes.authorization(shown.value));
            }
            return;
        }
        if is_ours(&name) || http::HeaderName::try_from(shown.name).is_err() {
            return;
        }
        if is_secret_name(shown.name) || holds_secret(shown.value) {
            self.need(schemes.api_key("header", shown.name));
            return;
        }
        if self.is_full() || self.has("header", shown.name) {
            return;
        }
        // A header with a value is a convention of the API, such as its version, and is always sent.
        let fixed = !shown.value.is_empty() && !shown.value.contains("{{");
        let schema = if fixed {
            json!({"type": "string", "const": shown.value})
        } else {
            json!({"type": "string"})
        };
        self.parameter("header", shown, schema);
        if fixed && let Some(last) = self.parameters.last_mut() {
            last["required"] = true.into();
        }
    }

    /// Whether there is no room for one more parameter, which is counted then.
    fn is_full(&mut self) -> bool {
        let is_full = self.parameters.len() >= PARAMETERS_MAX;
        self.left_out += usize::from(is_full);
        is_full
    }

    fn parameter(&mut self, place: &str, shown: Shown<'_>, schema: Value) {
        let mut parameter = json!({"name": shown.name, "in": place});
        let description = shown
            .description
            .map(str::trim)
            .filter(|text| !text.is_empty());
        if let Some(text) = description {
            parameter["description"] = cut(text).into();
            let lower = text.to_lowercase();
            if lower.starts_with("required") || lower.starts_with("(required)") {
                parameter["required"] = true.into();
            }
        }
        let is_example =
            !shown.value.is_empty() && !shown.value.contains("{{") && schema.get("const").is_none();
        if is_example {
            parameter["example"] = example(&schema, shown.value);
        }
        parameter["schema"] = schema;
        self.parameters.push(parameter);
    }

    /// Declares a parameter of the path.
    pub fn path_parameter(&mut self, name: &str, value: &str, description: Option<&str>) {
        let mut parameter = json!({
            "name": name, "in": "path", "required": true, "schema": {"type": "string"},
        });
        if let Some(text) = description.filter(|text| !text.trim().is_empty()) {
            parameter["description"] = cut(text).into();
        }
        if !value.is_empty()
            && !value.contains("{{")
            && !holds_secret(value)
            && !is_secret_name(name)
        {
            parameter["example"] = value.into();
        }
        self.parameters.push(parameter);
    }

    pub fn has(&self, place: &str, name: &str) -> bool {
        self.parameters.iter().any(|parameter| {
            let known = parameter["name"].as_str().unwrap_or_default();
            let same = if place == "header" {
                known.eq_ignore_ascii_case(name)
            } else {
                known == name
            };
            same && parameter["in"] == place
        })
    }

    pub fn need(&mut self, scheme: String) {
        self.needs.insert(scheme);
    }

    fn operation(self, server: Option<&Server>, id: Option<String>) -> Value {
        let mut operation = Map::new();
        if let Some(id) = id {
            operation.insert("operationId".to_owned(), id.into());
        }
        if let Some(name) = &self.name {
            operation.insert("summary".to_owned(), cut(name).into());
        }
        if let Some(text) = self.description.filter(|text| !text.trim().is_empty()) {
            operation.insert("description".to_owned(), cut(&text).into());
        }
        if !self.tags.is_empty() {
            operation.insert("tags".to_owned(), json!(self.tags));
        }
        if self.server.as_ref() != server {
            // An address nobody knows is not the others' address.
            let own = self
                .server
                .as_ref()
                .map_or_else(|| json!({"url": "/"}), written);
            operation.insert("servers".to_owned(), json!([own]));
        }
        if !self.parameters.is_empty() {
            operation.insert("parameters".to_owned(), self.parameters.into());
        }
        if let Some(body) = self.body {
            operation.insert("requestBody".to_owned(), body);
        }
        let requirement: Map<String, Value> = self
            .needs
            .into_iter()
            .map(|need| (need, json!([])))
            .collect();
        let security = if requirement.is_empty() {
            json!([])
        } else {
            json!([requirement])
        };
        operation.insert("security".to_owned(), security);
        operation.insert("responses".to_owned(), Value::Object(self.responses));
        if !self.template.is_empty() {
            operation.insert(EXTENSION.to_owned(), Value::Object(self.template));
        }
        Value::Object(operation)
    }
}

impl Outline {
    /// The document: the server of most requests for all of them, each request its own operation.
    pub fn finish(self) -> Converted {
        let mut uses: IndexMap<&Server, usize> = IndexMap::new();
        for draft in &self.drafts {
            if let Some(server) = &draft.server {
                *uses.entry(server).or_default() += 1;
            }
        }
        // The first of those used most.
        let most = uses.values().max().copied();
        let main = uses.iter().find(|(_, count)| Some(**count) == most);
        let main = main.map(|(server, _)| (*server).clone());
        let ids = ids(&self.drafts);
        let mut paths = Map::new();
        let mut origins = Vec::new();
        let mut places = Places::default();
        for (draft, id) in self.drafts.into_iter().zip(ids) {
            let path = places.free(&draft, id.as_deref());
            let method = draft.method.to_ascii_lowercase();
            let item = paths.entry(path.clone()).or_insert_with(|| json!({}));
            let pointer = format!("/paths/{}", escape(&path));
            let origin = draft.origin.clone();
            let upper = draft.method.clone();
            let operation = draft.operation(main.as_ref(), id);
            if METHODS.contains(&method.as_str()) {
                origins.push((format!("{pointer}/{method}"), origin));
                item[&method] = operation;
            } else {
                let place = format!("{pointer}/additionalOperations/{}", escape(&upper));
                origins.push((place, origin));
                item["additionalOperations"][&upper] = operation;
            }
        }
        let title = self.title.trim();
        let mut root = json!({
            "openapi": "3.1.0",
            "info": {
                "title": if title.is_empty() { "Imported API" } else { title },
                "version": self.revision.as_deref().unwrap_or("1"),
            },
        });
        if let Some(text) = self.description.filter(|text| !text.trim().is_empty()) {
            root["info"]["description"] = cut(&text).into();
        }
        if let Some(server) = &main {
            root["servers"] = json!([written(server)]);
        }
        root["paths"] = Value::Object(paths);
        let schemes: Map<String, Value> = self.schemes.known.into_iter().collect();
        root["components"] = json!({"securitySchemes": schemes});
        Converted { root, origins }
    }
}

/// The methods and paths that requests have.
#[derive(Default)]
struct Places {
    taken: HashSet<String>,
    /// By method, the fragments that tell requests to one URL apart.
    fragments: Numbered,
}

impl Places {
    /// A path no other request of that method has: what follows `#` is never sent, and tells requests
    /// to the same URL apart.
    fn free(&mut self, draft: &Draft, id: Option<&str>) -> String {
        let plain = draft.path.replace(['#', '?'], "");
        let key = format!("{} {}", draft.method, path::positional(&plain));
        if self.taken.insert(key.clone()) {
            return plain;
        }
        let id = id.unwrap_or("again").replace(['{', '}', '#', '/'], "");
        let (taken, wanted) = (&mut self.taken, format!("{key}#{id}"));
        let place = self
            .fragments
            .name(&wanted, |place| taken.insert(place.to_owned()));
        format!("{plain}{}", &place[key.len()..])
    }
}

/// Names as operationIds; two of one name are told apart by their folders.
fn ids(drafts: &[Draft]) -> Vec<Option<String>> {
    let plain = |draft: &Draft| {
        let named = || draft.name.as_deref().map(camel);
        draft.id.clone().or_else(named).filter(|id| !id.is_empty())
    };
    let mut count: HashMap<String, usize> = HashMap::new();
    for id in drafts.iter().filter_map(plain) {
        *count.entry(id.to_lowercase()).or_default() += 1;
    }
    drafts
        .iter()
        .map(|draft| {
            let id = plain(draft)?;
            let folder = draft.tags.last().filter(|_| count[&id.to_lowercase()] > 1);
            Some(match folder {
                Some(folder) => camel(&format!("{folder} {id}")),
                None => id,
            })
        })
        .collect()
}

/// `List all users` as `listAllUsers`; a name without spaces is kept as it is.
fn camel(name: &str) -> String {
    let parts: Vec<&str> = name
        .split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-')
        .filter(|part| !part.is_empty())
        .collect();
    if let [one] = parts.as_slice() {
        return (*one).chars().take(120).collect();
    }
    let mut out = String::new();
    for part in parts.iter().take(24) {
        let mut letters = part.chars();
        let Some(first) = letters.next() else {
            continue;
        };
        if out.is_empty() {
            out.extend(first.to_lowercase());
            let shouted = part.chars().all(|c| !c.is_lowercase());
            let rest: String = letters.collect();
            out.push_str(&if shouted { rest.to_lowercase() } else { rest });
        } else {
            out.extend(first.to_uppercase());
            out.push_str(letters.as_str());
        }
    }
    out.chars().take(120).collect()
}

fn written(server: &Server) -> Value {
    match &server.variable {
        None => json!({"url": server.url}),
        Some((name, value)) => json!({
            "url": server.url,
            "variables": {name.as_str(): {"default": value}},
        }),
    }
}

/// A field of a form by one value, which is an example unless it looks secret.
pub fn field(name: &str, value: &str) -> Value {
    let mut schema = scalar(name, value);
    let shown = !value.is_empty() && !value.contains("{{") && !is_secret(name, value);
    if shown {
        schema["examples"] = json!([example(&schema, value)]);
    }
    schema
}

/// The type of a parameter by one value: careful, since "01234" is no number, and neither is an id.
pub fn scalar(name: &str, value: &str) -> Value {
    let counts = [
        "page", "limit", "size", "offset", "count", "per", "top", "skip", "max", "min", "year",
        "month", "day", "days", "width", "height", "depth", "quantity", "amount", "start", "end",
        "first", "last",
    ];
    let is_count = words(name)
        .iter()
        .any(|word| counts.contains(&word.as_str()));
    let digits = value.strip_prefix('-').unwrap_or(value);
    let is_number = (1..=9).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    match value {
        "true" | "false" => json!({"type": "boolean"}),
        _ if is_number && is_count => json!({"type": "integer"}),
        _ => json!({"type": "string"}),
    }
}

fn example(schema: &Value, value: &str) -> Value {
    let typed = match schema["type"].as_str() {
        Some("integer") => value.parse::<i64>().ok().map(Value::from),
        Some("boolean") => value.parse::<bool>().ok().map(Value::from),
        _ => None,
    };
    typed.unwrap_or_else(|| cut(value).into())
}

/// Whether a value is a secret, or a variable that holds one.
pub fn holds_secret(value: &str) -> bool {
    let variables = crate::openapi::foreign::address::pieces(value);
    let named = variables.iter().any(|piece| {
        matches!(piece, crate::openapi::foreign::address::Piece::Variable(name) if is_secret_name(name))
    });
    named || is_secret_value(value)
}

/// Headers that a client sets by itself, or that follow from the body and the schemes.
pub fn is_ours(lower: &str) -> bool {
    const OURS: [&str; 32] = [
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "dnt",
        "expect",
        "host",
        "if-modified-since",
        "if-none-match",
        "keep-alive",
        "origin",
        "pragma",
        "priority",
        "postman-token",
        "proxy-authorization",
        "proxy-connection",
        "referer",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "upgrade-insecure-requests",
        "user-agent",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
    ];
    OURS.contains(&lower) || lower.starts_with("sec-") || lower.starts_with(':')
}

/// A text of a length that can be repeated.
pub fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX.min(text.len()));
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_operation_ids() {
        for (name, id) in [
            ("List all users", "listAllUsers"),
            ("listUsers", "listUsers"),
            ("GET user by ID", "getUserByID"),
            ("Größe ändern", "größeÄndern"),
            ("获取 图书", "获取图书"),
            ("***", ""),
        ] {
            assert_eq!(camel(name), id, "{name}");
        }
    }

    #[test]
    fn requests_to_one_url_stay_apart() {
        let draft = |name: &str, folder: &str| Draft {
            method: "POST".to_owned(),
            path: "/graphql".to_owned(),
            name: Some(name.to_owned()),
            tags: vec![folder.to_owned()],
            ..Draft::default()
        };
        let outline = Outline {
            drafts: vec![
                draft("Get", "Users"),
                draft("Get", "Orders"),
                draft("Get", "Orders"),
            ],
            ..Outline::default()
        };
        let converted = outline.finish();
        let paths: Vec<&String> = converted.root["paths"]
            .as_object()
            .unwrap()
            .keys()
            .collect();
        assert_eq!(
            paths,
            ["/graphql", "/graphql#ordersGet", "/graphql#ordersGet2"]
        );
        assert_eq!(
            converted.root["paths"]["/graphql"]["post"]["operationId"],
            "usersGet"
        );
    }

    #[test]
    fn thousands_of_equal_requests_and_schemes_are_told_apart_at_once() {
        let start = std::time::Instant::now();
        let drafts = (0..3_000).map(|_| Draft {
            method: "POST".to_owned(),
            path: "/a/b/c/graphql".to_owned(),
            ..Draft::default()
        });
        let mut outline = Outline {
            drafts: drafts.collect(),
            ..Outline::default()
        };
        let names = (0..3_000).map(|at| format!("{}-token-{at}", "a".repeat(70)));
        let names: Vec<String> = names
            .map(|name| outline.schemes.api_key("header", &name))
            .collect();
        let again = format!("{}-token-0", "a".repeat(70));
        assert_eq!(outline.schemes.api_key("header", &again), names[0]);
        let converted = outline.finish();
        assert_eq!(converted.root["paths"].as_object().unwrap().len(), 3_000);
        let schemes = converted.root["components"]["securitySchemes"].clone();
        assert_eq!(schemes.as_object().unwrap().len(), 3_000);
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }
}
