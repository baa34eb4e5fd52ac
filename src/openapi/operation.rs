//! Paths, path items and operations: the walk over a document.
//!
//! One operation that cannot be read is one `Lost` finding; the walk goes on.

use std::collections::HashSet;

use indexmap::IndexMap;
use serde_json::Value;

use crate::openapi::finding::{Code, quoted};
use crate::openapi::parameter::Declared;
use crate::openapi::path;
use crate::openapi::pointer::{Located, text};
use crate::openapi::reference::RefFault;
use crate::openapi::schema::Reading;
use crate::openapi::tag::with_parents;
use crate::openapi::{
    DocumentError, Operation, OperationKey, SecurityRequirement, SecurityScheme, ServerTemplate,
    Tag, upconvert_2_0,
};

/// Members of a path item that are no operations.
const NOT_METHODS: [&str; 6] = [
    "$ref",
    "summary",
    "description",
    "servers",
    "parameters",
    "additionalOperations",
];

/// The methods a path item has an operation under, in lower case.
pub const METHODS: [&str; 9] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace", "query",
];

/// What an operation inherits from its document.
pub struct Inherited<'a> {
    pub root: Located<'a>,
    pub servers: Vec<ServerTemplate>,
    pub schemes: IndexMap<String, SecurityScheme>,
    pub security: Vec<SecurityRequirement>,
    pub tags: IndexMap<String, Tag>,
    pub operations_max: usize,
}

/// A path item: what stands under the path, and what its `$ref` leads to.
struct PathItem<'a> {
    layers: Vec<Located<'a>>,
}

impl<'a> PathItem<'a> {
    fn get(&self, key: &str) -> Option<Located<'a>> {
        self.layers.iter().find_map(|layer| layer.get(key))
    }
}

impl<'a> Reading<'a> {
    /// Reads every operation of the document.
    ///
    /// # Errors
    /// A limit was reached.
    pub fn operations(
        &mut self,
        inherited: &Inherited<'a>,
    ) -> Result<Vec<Operation>, DocumentError> {
        let mut operations: Vec<Operation> = Vec::new();
        let mut keys = HashSet::new();
        let Some(paths) = inherited.root.get("paths").filter(|p| p.value.is_object()) else {
            let message = "the document has no `paths`";
            self.findings.add(Code::PathsMissing, "", message);
            return Ok(operations);
        };
        for (template, at) in paths.members() {
            if template.starts_with("x-") {
                continue;
            }
            let Some(item) = self.path_item(at) else {
                continue;
            };
            for (method, at) in self.methods(&item) {
                if operations.len() + self.findings.lost() >= inherited.operations_max {
                    return Err(too_many(inherited.operations_max));
                }
                let key = OperationKey(format!("{method} {}", path::positional(template)));
                self.findings.operation = Some(key.clone());
                let read = self.operation((key, template, method), &at, &item, inherited);
                if let Some(operation) = read
                    && self.is_first(&operation, &mut keys)
                {
                    operations.push(operation);
                }
                self.findings.operation = None;
                self.budget.check()?;
            }
        }
        Ok(operations)
    }

    fn path_item(&mut self, at: Located<'a>) -> Option<PathItem<'a>> {
        let mut layers = vec![at.clone()];
        if at.value.get("$ref").is_some_and(Value::is_string) {
            self.budget.take_expansions(1);
            match self.references.follow(at.clone()) {
                Ok(followed) => layers.push(followed.at),
                Err(fault) => {
                    let code = match fault {
                        RefFault::External => Code::RefExternal,
                        RefFault::Missing | RefFault::Cycle => Code::PathItemRefUnresolved,
                    };
                    let message = format!("the path item's reference {}", fault.reason());
                    self.findings.add(code, at.pointer.clone(), message);
                }
            }
        }
        if layers.iter().any(|layer| layer.value.is_object()) {
            return Some(PathItem { layers });
        }
        let message = "a path item is an object; this path has no operation";
        self.findings
            .add(Code::PathItemInvalid, at.pointer, message);
        None
    }

    /// The operations of a path item, with their methods in upper case.
    fn methods(&mut self, item: &PathItem<'a>) -> Vec<(String, Located<'a>)> {
        let mut found: Vec<(String, Located<'a>)> = Vec::new();
        for (depth, layer) in item.layers.iter().enumerate() {
            let own = found.len();
            for (key, at) in layer.members() {
                if NOT_METHODS.contains(&key) || key.starts_with("x-") {
                    continue;
                }
                let method = key.to_ascii_lowercase();
                if !METHODS.contains(&method.as_str()) {
                    let message = format!("{} is no HTTP method; it is left out", quoted(key));
                    self.findings
                        .add(Code::PathItemKeyUnknown, at.pointer, message);
                    continue;
                }
                if method != key {
                    let message = format!("{} is read as {method}", quoted(key));
                    self.findings
                        .add(Code::MethodCase, at.pointer.clone(), message);
                }
                // What stands beside a `$ref` wins over what the `$ref` leads to.
                let method = method.to_ascii_uppercase();
                if depth == 0 || !found[..own].iter().any(|(known, _)| *known == method) {
                    found.push((method, at));
                }
            }
            let additional = layer.get("additionalOperations");
            for (method, at) in additional.iter().flat_map(Located::members) {
                found.push((method.to_owned(), at));
            }
        }
        found
    }

    fn operation(
        &mut self,
        (key, template, method): (OperationKey, &str, String),
        at: &Located<'a>,
        item: &PathItem<'a>,
        inherited: &Inherited<'a>,
    ) -> Option<Operation> {
        let pointer = at.pointer.clone();
        let at = self.operation_object(at, &method)?;
        let declared = self.declared(&[item.get("parameters"), at.get("parameters")]);
        let path = self.path(template, &declared, &pointer)?;
        let parameters = self.parameters(&declared, &path, &pointer);
        let root = inherited.root.value;
        let body = if self.is_2_0() {
            self.body_2_0(&declared, &at, root)
        } else {
            self.request_body(&at)
        };
        let responses = self.responses(&at, root);
        let security = self
            .security(&at, &inherited.schemes)
            .unwrap_or_else(|| inherited.security.clone());
        let servers = self.operation_servers(&at, item, inherited);
        if at.value.get("callbacks").is_some() {
            let message = "the operation's callbacks are not served";
            self.findings
                .add(Code::CallbacksIgnored, at.pointer_to("callbacks"), message);
        }
        Some(Operation {
            key,
            method,
            path,
            operation_id: at.text("operationId").filter(|id| !id.trim().is_empty()),
            summary: self.text_of(&at, item, "summary"),
            description: self.text_of(&at, item, "description"),
            tags: with_parents(&inherited.tags, tags(&at)),
            deprecated: at.flag("deprecated"),
            parameters,
            body,
            responses,
            security,
            servers,
            template: at.value.get("x-causeway-template").cloned(),
            pointer,
        })
    }

    /// The operation's own servers, or those of its path, or those of the document. They are copied
    /// for each operation, which the budget bounds.
    fn operation_servers(
        &mut self,
        at: &Located<'a>,
        item: &PathItem<'a>,
        inherited: &Inherited<'a>,
    ) -> Vec<ServerTemplate> {
        let servers = if self.is_2_0() {
            upconvert_2_0::operation_servers(at.value, &inherited.servers)
        } else {
            let own = self.servers(at);
            let of_path = item.layers.iter().find_map(|layer| self.servers(layer));
            own.or(of_path).unwrap_or_else(|| inherited.servers.clone())
        };
        for server in &servers {
            let variables = server.variables.values();
            let listed: usize = variables.map(|variable| 1 + variable.allowed.len()).sum();
            self.budget.take_nodes(1 + listed);
            self.budget.take_text(server.url.len());
            self.budget
                .take_text(server.description.as_ref().map_or(0, String::len));
        }
        servers
    }

    /// A text of the operation, or else of its path, which many operations may share.
    fn text_of(&mut self, at: &Located<'a>, item: &PathItem<'a>, key: &str) -> Option<String> {
        if let Some(own) = at.text(key) {
            return Some(own);
        }
        let shared = item.get(key).and_then(|at| text(at.value))?;
        self.budget.take_text(shared.len());
        Some(shared)
    }

    /// The operation itself; some tools write a `$ref` even here.
    fn operation_object(&mut self, at: &Located<'a>, method: &str) -> Option<Located<'a>> {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if method.eq_ignore_ascii_case("CONNECT") {
            let message = "CONNECT asks for a tunnel to a host, not for the path";
            self.findings
                .add(Code::MethodInvalid, at.pointer.clone(), message);
            return None;
        }
        if method.is_empty() || !method.bytes().all(is_token) {
            let message = format!("{} is no HTTP method", quoted(method));
            self.findings
                .add(Code::MethodInvalid, at.pointer.clone(), message);
            return None;
        }
        match self.references.follow(at.clone()) {
            Ok(followed) if followed.at.value.is_object() => Some(followed.at),
            Ok(_) => {
                let message = "the operation is not an object";
                self.findings
                    .add(Code::OperationNotAnObject, at.pointer.clone(), message);
                None
            }
            Err(fault) => {
                let message = format!("the operation's reference {}", fault.reason());
                self.findings
                    .add(Code::OperationRefUnresolved, at.pointer.clone(), message);
                None
            }
        }
    }

    fn path(
        &mut self,
        template: &str,
        declared: &[Declared<'_>],
        pointer: &str,
    ) -> Option<path::PathTemplate> {
        let mut text = template.trim().to_owned();
        if !text.starts_with('/') {
            let message = format!("{} does not start with `/`", quoted(template));
            self.findings.add(Code::PathWithoutSlash, pointer, message);
            text.insert(0, '/');
        }
        if let Some(cut) = path::outside_braces(&text, '#') {
            let message = "what follows `#` in the path is not sent";
            self.findings.add(Code::PathFragment, pointer, message);
            text.truncate(cut);
        }
        let mut query = Vec::new();
        if let Some(cut) = path::outside_braces(&text, '?') {
            let message = "what follows `?` in the path is sent as it stands there";
            self.findings.add(Code::PathQuery, pointer, message);
            let is = |place: &str, name: &str| {
                let mut declared = declared.iter();
                declared.any(|parameter| parameter.place == place && parameter.name == name)
            };
            let in_query = |name: &str| is("query", name);
            query = path::query(&text[cut + 1..], in_query, |name| is("path", name));
            text.truncate(cut);
        }
        match path::parse(&text) {
            Ok(path) => Some(path::PathTemplate { query, ..path }),
            Err(fault) => {
                let message = format!("{}: {fault}", quoted(template));
                self.findings.add(Code::PathMalformed, pointer, message);
                None
            }
        }
    }

    /// `/pets/{id}` and `/pets/{name}` are one path (OAS 3.1.1 section 4.8.8.2).
    fn is_first(&mut self, operation: &Operation, keys: &mut HashSet<OperationKey>) -> bool {
        let first = keys.insert(operation.key.clone());
        if !first {
            let message = format!("{} is already described", quoted(&operation.key.0));
            self.findings
                .add(Code::DuplicateOperation, operation.pointer.clone(), message);
        }
        first
    }
}

fn tags(at: &Located<'_>) -> Vec<String> {
    let tags = at.get("tags");
    tags.iter()
        .flat_map(Located::items)
        .filter_map(|tag| text(tag.value))
        .collect()
}

/// Refuses a document whose operations are too many before any of them is read.
///
/// # Errors
/// The limit.
pub fn count(root: &Located<'_>, operations_max: usize) -> Result<(), DocumentError> {
    let is_method = |key: &str| METHODS.contains(&key.to_ascii_lowercase().as_str());
    let paths = root.get("paths");
    let count: usize = paths
        .iter()
        .filter_map(|paths| paths.value.as_object())
        .flat_map(serde_json::Map::values)
        .filter_map(Value::as_object)
        .map(|item| item.keys().filter(|key| is_method(key)).count())
        .sum();
    if count > operations_max {
        return Err(too_many(operations_max));
    }
    Ok(())
}

fn too_many(limit: usize) -> DocumentError {
    DocumentError::Budget {
        what: "operations",
        limit,
    }
}
