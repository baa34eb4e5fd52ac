//! What the arguments of paged APIs are called.

use serde_json::Value;

use crate::mcp::paging::Argument;

/// What an argument does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Takes a token of the answer before.
    Cursor,
    /// Takes the id of the last element.
    AfterId,
    /// Counts pages.
    Page,
    /// Counts elements.
    Offset,
    /// How much a page holds.
    Size,
    /// An object that holds all of these; only links tell what becomes of it.
    Nested,
}

const NAMES: [(&str, Role); 55] = [
    ("cursor", Role::Cursor),
    ("nextcursor", Role::Cursor),
    ("pagecursor", Role::Cursor),
    ("startcursor", Role::Cursor),
    ("aftercursor", Role::Cursor),
    ("pagetoken", Role::Cursor),
    ("nextpagetoken", Role::Cursor),
    ("nexttoken", Role::Cursor),
    ("nextmarker", Role::Cursor),
    ("paginationtoken", Role::Cursor),
    ("continuationtoken", Role::Cursor),
    ("continuation", Role::Cursor),
    ("continue", Role::Cursor),
    ("skiptoken", Role::Cursor),
    ("scrollid", Role::Cursor),
    ("bookmark", Role::Cursor),
    ("marker", Role::Cursor),
    ("exclusivestartkey", Role::Cursor),
    ("startaftertoken", Role::Cursor),
    ("startingafter", Role::AfterId),
    ("startafter", Role::AfterId),
    ("after", Role::AfterId),
    ("afterid", Role::AfterId),
    ("pageafter", Role::AfterId),
    ("page", Role::Page),
    ("pagenumber", Role::Page),
    ("pageno", Role::Page),
    ("pagenum", Role::Page),
    ("pageindex", Role::Page),
    ("currentpage", Role::Page),
    ("offset", Role::Offset),
    ("pageoffset", Role::Offset),
    ("skip", Role::Offset),
    ("start", Role::Offset),
    ("startindex", Role::Offset),
    ("startat", Role::Offset),
    ("from", Role::Offset),
    ("limit", Role::Size),
    ("pagelimit", Role::Size),
    ("perpage", Role::Size),
    ("pagesize", Role::Size),
    ("itemsperpage", Role::Size),
    ("resultsperpage", Role::Size),
    ("recordsperpage", Role::Size),
    ("pagelength", Role::Size),
    ("size", Role::Size),
    ("count", Role::Size),
    ("maxresults", Role::Size),
    ("maxitems", Role::Size),
    ("maxkeys", Role::Size),
    ("first", Role::Size),
    ("top", Role::Size),
    ("take", Role::Size),
    ("rows", Role::Size),
    ("results", Role::Size),
];

/// Letters and digits only, in lower case: `page[number]`, `pageNumber` and `page_number` are one.
pub(crate) fn plain(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// The argument of that name, if it leads through pages.
pub(crate) fn argument(argument: &str, wire: &str, schema: &Value) -> Option<Argument> {
    let name = plain(wire);
    let (_, role) = NAMES.iter().find(|(known, _)| *known == name)?;
    let is = |kind: &str| match &schema["type"] {
        Value::String(found) => found == kind,
        Value::Array(found) => found.iter().any(|found| found == kind),
        _ => false,
    };
    let integer = is("integer") || is("number");
    let unknown = schema["type"].is_null();
    // Where a number is meant, a text is a token, or something else altogether.
    let role = match role {
        Role::Offset if !integer && !unknown && name == "offset" => Role::Cursor,
        Role::Page if is("object") => Role::Nested,
        Role::Page | Role::Offset | Role::Size if !integer && !unknown => return None,
        role => *role,
    };
    let default = schema["default"].as_i64();
    let zero = schema["minimum"].as_i64() == Some(0) || default == Some(0);
    let start = match role {
        Role::Page if name != "pageindex" && !zero => 1,
        Role::Offset if name == "startindex" && !zero => 1,
        _ => 0,
    };
    Some(Argument {
        name: argument.to_owned(),
        wire: wire.to_owned(),
        role,
        integer: integer || (unknown && matches!(role, Role::Page | Role::Offset | Role::Size)),
        start,
        default,
    })
}

/// [`plain`], with the underscore that links and embedded lists begin with.
pub(crate) fn plain_or_kept(name: &str) -> String {
    if name.starts_with('_') {
        format!("_{}", plain(name))
    } else {
        plain(name)
    }
}
