//! Where a tool's requests go: chosen by the owner and the document, never by an argument.

use std::collections::BTreeMap;

use url::Url;

use crate::mcp::tool::ToolDef;
use crate::openapi::ServerTemplate;

/// Why a server has no usable base URL. The text is written for the owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    #[error("the document names no server; the owner has to set `upstream` to the API's base URL")]
    Missing,
    #[error(
        "the document's server \"{0}\" is relative, and where the document came from is not \
         known; the owner has to set `upstream` to the API's base URL"
    )]
    Relative(String),
    #[error(
        "the server \"{0}\" is no http or https URL without user name; the owner has to set \
         `upstream` to the API's base URL"
    )]
    Invalid(String),
}

/// What decides where requests go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Destination<'a> {
    /// The owner's base URL, instead of everything else.
    pub upstream: Option<&'a str>,
    /// One of an operation's servers, by its index or by its URL as the document writes it.
    pub server: Option<&'a str>,
    /// Values of server variables by name, instead of their defaults.
    pub variables: Option<&'a BTreeMap<String, String>>,
    /// Where the document came from: relative servers are resolved against it.
    pub document: Option<&'a Url>,
}

/// The base URL of a tool's requests: the owner's `upstream`, else the chosen one of the operation's
/// servers (the first where none is chosen, or the operation has not that one), with its variables
/// filled in.
pub fn base_url(def: &ToolDef, to: Destination<'_>) -> Result<Url, BaseUrlError> {
    server_url(&def.binding.servers, to)
}

/// The base URL that a list of servers means, that of a document or of an operation.
pub fn server_url(servers: &[ServerTemplate], to: Destination<'_>) -> Result<Url, BaseUrlError> {
    let chosen = to.server.and_then(|server| choose(servers, server));
    let text = match (to.upstream, chosen.or(servers.first())) {
        (Some(upstream), _) => upstream.to_owned(),
        (None, Some(server)) => expand(server, to.variables),
        (None, None) => return Err(BaseUrlError::Missing),
    };
    let invalid = || BaseUrlError::Invalid(without_user(&text));
    let mut url = match (Url::parse(&text), to.document) {
        (Ok(url), _) => url,
        (Err(url::ParseError::RelativeUrlWithoutBase), Some(document)) => {
            document.join(&text).map_err(|_| invalid())?
        }
        (Err(url::ParseError::RelativeUrlWithoutBase), None) => {
            return Err(BaseUrlError::Relative(without_user(&text)));
        }
        (Err(_), _) => return Err(invalid()),
    };
    let has_user = !url.username().is_empty() || url.password().is_some();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || has_user {
        return Err(invalid());
    }
    url.set_fragment(None);
    Ok(url)
}

/// A URL as it may be shown to callers: what stands before its host may be a password.
fn without_user(text: &str) -> String {
    let Some(start) = text.find("//").map(|at| at + 2) else {
        // Without an authority, `user:password@host` is still what somebody may have meant.
        return match text.rsplit_once('@') {
            Some((_, rest)) => format!("…@{rest}"),
            None => text.to_owned(),
        };
    };
    let (before, rest) = text.split_at(start);
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{before}…@{}", &rest[at + 1..]),
        None => text.to_owned(),
    }
}

fn choose<'s>(servers: &'s [ServerTemplate], server: &str) -> Option<&'s ServerTemplate> {
    match server.parse::<usize>() {
        Ok(index) => servers.get(index),
        Err(_) => servers.iter().find(|known| known.url == server),
    }
}

fn expand(server: &ServerTemplate, values: Option<&BTreeMap<String, String>>) -> String {
    server
        .variables
        .iter()
        .fold(server.url.clone(), |url, (name, variable)| {
            let given = values.and_then(|values| values.get(name));
            let allowed =
                |value: &&String| variable.allowed.is_empty() || variable.allowed.contains(*value);
            let value = given.filter(allowed).unwrap_or(&variable.default);
            url.replace(&format!("{{{name}}}"), value)
        })
}

/// What is wrong with a choice of server, for the owner; the servers are those of all tools.
pub fn check_destination(
    tools: &[&ToolDef],
    server: Option<&str>,
    variables: &BTreeMap<String, String>,
) -> Result<(), String> {
    let mut servers: Vec<&ServerTemplate> = Vec::new();
    for server in tools.iter().flat_map(|tool| &tool.binding.servers) {
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    let listed = |words: Vec<&str>| match words.as_slice() {
        [] => "there are none".to_owned(),
        words => format!("there are: {}", words.join(", ")),
    };
    if let Some(server) = server {
        let known = tools
            .iter()
            .any(|tool| choose(&tool.binding.servers, server).is_some());
        if !known {
            let urls = servers.iter().map(|server| server.url.as_str()).collect();
            return Err(format!(
                "`{server}` is no server of the document, neither by index nor by URL; {}",
                listed(urls)
            ));
        }
    }
    for (name, value) in variables {
        let declared: Vec<_> = servers
            .iter()
            .filter_map(|server| server.variables.get(name))
            .collect();
        if declared.is_empty() {
            let mut names: Vec<&str> = servers
                .iter()
                .flat_map(|server| server.variables.keys().map(String::as_str))
                .collect();
            names.sort_unstable();
            names.dedup();
            return Err(format!(
                "`{name}` is no variable of the document's servers; {}",
                listed(names)
            ));
        }
        let fits = |allowed: &[String]| allowed.is_empty() || allowed.contains(value);
        if !declared.iter().any(|variable| fits(&variable.allowed)) {
            return Err(format!(
                "`{value}` is no value of the server variable `{name}`; {}",
                listed(declared[0].allowed.iter().map(String::as_str).collect())
            ));
        }
        if value.chars().any(char::is_control) {
            return Err(format!(
                "the server variable `{name}` holds a control character"
            ));
        }
    }
    Ok(())
}
