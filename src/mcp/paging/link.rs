//! Links to the next page, and the arguments they stand for. A link is read, never followed.

use http::HeaderMap;
use http::header::LINK;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use url::Url;

use crate::mcp::paging::name::Role;
use crate::mcp::paging::{Changes, Pager};
use crate::mcp::tool::ToolDef;
use crate::openapi::Location;

/// How many links of a header are looked at.
const LINKS_MAX: usize = 20;

/// The target of `rel=next` in a `Link` header (RFC 8288).
pub(crate) fn of_headers(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(LINK).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(links)
        .take(LINKS_MAX)
        .find(|(_, parameters)| is_kind(parameters, "next"))
        .map(|(target, _)| target.to_owned())
}

/// There are links to other pages, but none to a next one.
pub(crate) fn end_in_headers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(LINK).iter();
    let mut kinds = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(links)
        .take(LINKS_MAX)
        .map(|(_, parameters)| parameters.to_ascii_lowercase());
    let others = ["prev", "first", "last"];
    of_headers(headers).is_none()
        && kinds.any(|kind| others.iter().any(|other| is_kind(&kind, other)))
}

/// Targets and their parameters: `<…>; rel="next", <…>; …`.
fn links(value: &str) -> impl Iterator<Item = (&str, &str)> {
    value.split('<').skip(1).filter_map(|link| {
        let (target, parameters) = link.split_once('>')?;
        Some((target.trim(), parameters))
    })
}

fn is_kind(parameters: &str, wanted: &str) -> bool {
    parameters.split([';', ',']).any(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else {
            return false;
        };
        let mut kinds = value.trim().trim_matches('"').split_whitespace();
        name.trim().eq_ignore_ascii_case("rel")
            && kinds.any(|kind| kind.eq_ignore_ascii_case(wanted))
    })
}

/// The URL a link leads to, if that is another page of the same place.
pub(crate) fn resolve(from: &Url, link: &str) -> Option<Url> {
    let next = from.join(link).ok()?;
    let same = next.host_str() == from.host_str()
        && next.port() == from.port()
        && next.path().trim_end_matches('/') == from.path().trim_end_matches('/');
    (same && matches!(next.scheme(), "http" | "https")).then_some(next)
}

/// What has to change of the arguments to send the other URL.
pub(crate) fn changes(pager: &Pager, def: &ToolDef, (from, to): (&Url, &Url)) -> Option<Changes> {
    let (before, after) = (pairs(from), pairs(to));
    let mut changes = Changes::new();
    let mut nested: IndexMap<String, (Map<String, Value>, bool)> = IndexMap::new();
    let (mut leads, mut unknown) = (false, false);
    for (key, values) in &after {
        let same = before.get(key) == Some(values);
        match (parameter(def, key), key.split_once('[')) {
            (Some(argument), _) if !same => {
                let mut arguments = pager.arguments.iter();
                leads |= arguments.any(|a| a.wire == *key && a.role != Role::Size);
                changes.push((argument.to_owned(), Some(typed(def, argument, values))));
            }
            // An object whose members are `page[number]` and the like.
            (None, Some((outer, inner))) if parameter(def, outer).is_some() => {
                let argument = parameter(def, outer)?.to_owned();
                let inner = inner.trim_end_matches(']').to_owned();
                let (members, changed) = nested.entry(argument).or_default();
                members.insert(inner, text_or_number(values.last()?));
                *changed |= !same;
            }
            _ => unknown |= !same,
        }
    }
    for (argument, (members, changed)) in nested {
        if changed {
            leads = true;
            changes.push((argument, Some(Value::Object(members))));
        }
    }
    for argument in &pager.arguments {
        let gone = before.contains_key(&argument.wire) && !after.contains_key(&argument.wire);
        if gone && argument.role != Role::Size {
            changes.push((argument.name.clone(), None));
        }
    }
    let useful = changes.iter().any(|(_, value)| value.is_some());
    (useful && (leads || !unknown)).then_some(changes)
}

fn parameter<'d>(def: &'d ToolDef, wire: &str) -> Option<&'d str> {
    let mut parameters = def.binding.parameters.iter();
    parameters
        .find(|p| p.location == Location::Query && p.name == wire && p.fixed.is_none())
        .map(|p| p.argument.as_str())
}

fn pairs(url: &Url) -> IndexMap<String, Vec<String>> {
    let mut pairs: IndexMap<String, Vec<String>> = IndexMap::new();
    for (key, value) in url.query_pairs() {
        let values = pairs.entry(key.into_owned()).or_default();
        values.push(value.into_owned());
    }
    pairs
}

/// Values of a query as the argument's schema wants them.
fn typed(def: &ToolDef, argument: &str, values: &[String]) -> Value {
    let schema = &def.input_schema["properties"][argument];
    let is = |kind: &str| match &schema["type"] {
        Value::String(found) => found == kind,
        Value::Array(found) => found.iter().any(|found| found == kind),
        _ => false,
    };
    let last = values.last().map_or("", String::as_str);
    if is("array") {
        return json!(values);
    }
    if is("integer") || is("number") {
        return text_or_number(last);
    }
    if is("boolean") {
        return json!(last == "true");
    }
    if schema["type"].is_null() {
        return text_or_number(last);
    }
    json!(last)
}

fn text_or_number(text: &str) -> Value {
    text.parse::<i64>()
        .map_or_else(|_| json!(text), |number| json!(number))
}
