//! The next page: which arguments of a tool lead through its pages, and with which of them the call
//! is made again after an answer that is one page of many.
//!
//! Nothing is guessed that the answer does not say: a link to the same path, a cursor, a flag, a
//! total, or a page as full as it was asked for.

mod link;
mod name;
mod signal;

use http::HeaderMap;
use indexmap::IndexMap;
use serde_json::{Value, json};
use url::Url;

use crate::mcp::content::json::{elements, members, unquoted};
use crate::mcp::paging::name::Role;
use crate::mcp::paging::signal::Page;
use crate::mcp::provider::Arguments;
use crate::mcp::tool::ToolDef;
use crate::openapi::Location;

/// The arguments of a tool that lead through its pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pager {
    /// In document order, without those the owner fixed.
    arguments: Vec<Argument>,
    /// How much a page holds, where the owner fixed it.
    size_fixed: Option<i64>,
}

/// An argument that takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    pub(crate) name: String,
    pub(crate) wire: String,
    pub(crate) role: Role,
    pub(crate) integer: bool,
    /// Where it begins when it is not given.
    pub(crate) start: i64,
    pub(crate) default: Option<i64>,
}

/// What was sent and what came back.
#[derive(Clone, Copy)]
pub struct Exchanged<'a> {
    pub arguments: &'a Arguments,
    /// Of the request, without a credential.
    pub url: &'a Url,
    pub headers: &'a HeaderMap,
    /// Where it is JSON.
    pub body: Option<&'a str>,
    pub shown: Shown,
}

/// How much of the page's list is shown: what was cut of it must not be passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    All,
    /// The first elements of a list of so many.
    First(usize, usize),
    /// Nobody knows.
    Part,
}

/// The call that gets the next page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// All its arguments, as JSON.
    pub arguments: String,
    /// Those that differ from the call before.
    pub changed: Vec<String>,
}

/// How long the arguments may be that are written out whole.
const ARGUMENTS_BYTES_MAX: usize = 500;

impl Pager {
    /// Recognises the arguments of a tool by name and type.
    pub fn of(def: &ToolDef) -> Self {
        let query = def.binding.parameters.iter();
        let query = query
            .filter(|parameter| parameter.location == Location::Query)
            .map(|p| (&p.argument, &p.name, p.fixed.as_ref()));
        let body = def.binding.lifted().iter();
        let body = body.map(|p| (&p.argument, &p.name, p.fixed.as_ref()));
        let (mut arguments, mut size_fixed) = (Vec::new(), None);
        for (argument, wire, fixed) in query.chain(body) {
            let schema = &def.input_schema["properties"][argument.as_str()];
            let known = name::argument(argument, wire, schema);
            match (known, fixed) {
                (Some(known), None) => arguments.push(known),
                (Some(known), Some(value)) if known.role == Role::Size => {
                    size_fixed = size_fixed.or_else(|| value.as_i64());
                }
                _ => {}
            }
        }
        // A page size alone leads nowhere.
        let leads = arguments.iter().any(|a| a.role != Role::Size);
        Self {
            arguments: if leads { arguments } else { Vec::new() },
            size_fixed,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.arguments.is_empty()
    }

    pub(crate) fn role(&self, role: Role) -> impl Iterator<Item = &Argument> {
        self.arguments.iter().filter(move |a| a.role == role)
    }

    /// The argument that says how much a page holds.
    pub fn size(&self) -> Option<&str> {
        self.role(Role::Size).next().map(|a| a.name.as_str())
    }

    /// The argument that says which page.
    pub fn which(&self) -> Option<&str> {
        let mut which = self.arguments.iter().filter(|a| a.role != Role::Size);
        which.next().map(|a| a.name.as_str())
    }

    /// The call for the page after this one; `None` where there is none, or none is known of.
    pub fn next(&self, def: &ToolDef, seen: Exchanged<'_>) -> Option<Next> {
        let given = given(seen.arguments);
        let page = seen.body.map(Page::read);
        if seen.shown != Shown::All {
            let changes = self.rest(page.as_ref()?, &given, seen.shown)?;
            return Some(written(&given, changes));
        }
        let linked = link::of_headers(seen.headers)
            .or_else(|| page.as_ref().and_then(Page::link))
            .and_then(|text| link::resolve(seen.url, &text));
        let changes = match linked {
            Some(next) => link::changes(self, def, (seen.url, &next)),
            None => self.follow(page.as_ref()?, (&given, seen.headers)),
        }?;
        let differs = |(name, value): &(String, Option<Value>)| {
            let before = given.get(name).map(String::as_str);
            before != value.as_ref().map(Value::to_string).as_deref()
        };
        let changes: Vec<_> = changes.into_iter().filter(differs).collect();
        (!changes.is_empty()).then(|| written(&given, changes))
    }

    /// Where the page itself was cut: only a count of elements leads to what is not shown of it.
    fn rest(
        &self,
        page: &Page<'_>,
        given: &IndexMap<String, String>,
        shown: Shown,
    ) -> Option<Changes> {
        let Shown::First(shown, of) = shown else {
            return None;
        };
        let argument = self.role(Role::Offset).next()?;
        let pages = self.role(Role::Page).next().is_some();
        if pages || shown == 0 || page.elements()? != of {
            return None;
        }
        let from = argument.number(given)?.unwrap_or(argument.start);
        let next = from.saturating_add(i64::try_from(shown).ok()?);
        Some(vec![(argument.name.clone(), Some(json!(next)))])
    }

    /// Without a link: cursors, flags, totals, full pages.
    fn follow(
        &self,
        page: &Page<'_>,
        (given, headers): (&IndexMap<String, String>, &HeaderMap),
    ) -> Option<Changes> {
        if page.ends() || ends(headers) {
            return None;
        }
        if let Some((field, token)) = page.token(headers)
            && let Some(argument) = self.for_token(&field, &token)
        {
            return Some(vec![(argument.name.clone(), Some(argument.typed(&token)))]);
        }
        let size = self.role(Role::Size).next();
        let size = size.map_or(self.size_fixed, |argument| argument.number(given).flatten());
        let count = i64::try_from(page.elements()?).ok()?;
        if count == 0 {
            return None;
        }
        if page.says_more()
            && let Some(argument) = self.role(Role::AfterId).next()
            && let Some(last) = page.last_id()
        {
            return Some(vec![(argument.name.clone(), Some(argument.typed(&last)))]);
        }
        let full = size.is_some_and(|size| size > 0 && count >= size);
        if let Some(argument) = self.role(Role::Page).next() {
            let current = argument.number(given)?.unwrap_or(argument.start);
            let place = current.saturating_sub(argument.start).saturating_add(1);
            let pages = page.pages().map(|pages| place < pages);
            // What a later page leaves over is only known with the size of those before it.
            let seen = match size {
                _ if place == 1 => Some(count),
                size => size.map(|size| place.saturating_mul(size)),
            };
            let more = pages.or_else(|| Some(seen? < page.total()?));
            let more = page.says_more() || more.unwrap_or(full);
            let next = current.saturating_add(1);
            return more.then(|| vec![(argument.name.clone(), Some(json!(next)))]);
        }
        let argument = self.role(Role::Offset).next()?;
        let from = argument.number(given)?.unwrap_or(argument.start);
        let next = from.saturating_add(count);
        let seen = next.saturating_sub(argument.start);
        let more = page.total().map(|total| seen < total);
        let more = page.says_more() || more.unwrap_or(full);
        more.then(|| vec![(argument.name.clone(), Some(json!(next)))])
    }

    /// The argument a token of the answer belongs in: the one of the same name, else the one cursor.
    fn for_token(&self, field: &str, token: &str) -> Option<&Argument> {
        let number = token.bytes().all(|b| b.is_ascii_digit());
        let wanted = name::plain(field);
        let wanted = wanted.trim_start_matches("next");
        let takes = |a: &&Argument| !matches!(a.role, Role::Size | Role::Nested);
        let fits = |a: &&Argument| takes(a) && (number || !a.integer);
        let candidates = || self.arguments.iter().filter(fits);
        let same = candidates().find(|a| {
            let name = name::plain(&a.wire);
            !wanted.is_empty() && name.trim_start_matches("next") == wanted
        });
        let cursor = |a: &&Argument| matches!(a.role, Role::Cursor | Role::AfterId);
        same.or_else(|| candidates().find(cursor)).or_else(|| {
            let page = wanted.is_empty() || wanted == "page";
            candidates().find(|a| number && page && a.role == Role::Page)
        })
    }
}

/// What an argument becomes; `None`: it is left out.
pub(crate) type Changes = Vec<(String, Option<Value>)>;

impl Argument {
    /// Its value, or what stands in for it; the outer `None`: it was given as something else.
    #[expect(clippy::option_option, reason = "a wrong value is not an absent one")]
    fn number(&self, given: &IndexMap<String, String>) -> Option<Option<i64>> {
        let given = given.get(&self.name);
        given.map_or(Some(self.default), |text| {
            unquoted(text).parse().ok().map(Some)
        })
    }

    pub(crate) fn typed(&self, text: &str) -> Value {
        let number = text.parse::<i64>().ok().filter(|_| self.integer);
        number.map_or_else(|| json!(text), |number| json!(number))
    }
}

impl Next {
    /// For the model.
    pub fn describe(&self) -> String {
        if self.arguments.len() <= ARGUMENTS_BYTES_MAX {
            return format!("More results: call again with {}", self.arguments);
        }
        let changed = members(&self.arguments)
            .filter(|(key, _)| self.changed.iter().any(|name| *name == unquoted(key)))
            .map(|(key, value)| format!("{key}: {value}"));
        let changed: Vec<String> = changed.collect();
        format!(
            "More results: call again with {{{}}} and the other arguments as before",
            changed.join(", ")
        )
    }
}

/// The headers say that this is the last page.
fn ends(headers: &HeaderMap) -> bool {
    let next = headers.get("x-next-page");
    next.is_some_and(|page| page.as_bytes().trim_ascii().is_empty())
        || link::end_in_headers(headers)
}

/// The arguments by name, each as it was written.
fn given(arguments: &Arguments) -> IndexMap<String, String> {
    let text = arguments.as_deref().map_or("{}", |raw| raw.get());
    members(text)
        .filter(|(_, value)| *value != "null")
        .map(|(key, value)| (unquoted(key).into_owned(), value.to_owned()))
        .collect()
}

fn written(given: &IndexMap<String, String>, changes: Changes) -> Next {
    let mut arguments = given.clone();
    let mut changed = Vec::new();
    for (name, value) in changes {
        match value {
            Some(value) => {
                arguments.insert(name.clone(), value.to_string());
                changed.push(name);
            }
            None => {
                arguments.shift_remove(&name);
            }
        }
    }
    let written: Vec<String> = arguments
        .iter()
        .map(|(name, value)| format!("{}: {value}", json!(name)))
        .collect();
    Next {
        arguments: format!("{{{}}}", written.join(", ")),
        changed,
    }
}

/// How many elements an array has.
fn count(array: &str) -> usize {
    elements(array).count()
}
