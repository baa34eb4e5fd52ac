//! Lists in pages: `tools/list`, `resources/list`, `prompts/list`.
//!
//! A cursor names the last members of the page before, with the place of the last as a second guess,
//! so that it survives an edit of the server between two pages.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::access::caller::{Caller, Target};
use crate::mcp::endpoint::wire::{RpcError, quote};
use crate::mcp::fragment::WireClass;
use crate::mcp::server::{PromptDef, ResourceDef, Server};
use crate::mcp::tool::Tool;
use crate::mcp::tool::profile::Profile;

/// How many members a cursor names: as many may be removed between two pages.
const NAMED_MAX: usize = 8;

/// In which form tools are listed.
type View = (WireClass, Profile);

/// `"tools":[…]` and perhaps `"nextCursor"`; the three tools that find the others, where there is a
/// search.
pub(super) fn tools(
    server: &Server,
    view: View,
    caller: &Caller,
    target: Target,
    cursor: Option<&str>,
) -> Result<String, RpcError> {
    let cursor = cursor.filter(|cursor| !cursor.is_empty());
    if let Some(finder) = &server.finder {
        let may = |tool: &&Arc<Tool>| caller.may(target, Some(&tool.def.operation));
        let listed = finder.listed(server.tools.values().filter(may).count());
        let names = listed.iter().filter_map(|tool| tool["name"].as_str());
        let page = Page::after(cursor, names, listed.len())?;
        let rest = listed.iter().enumerate().skip(page.start);
        return Ok(page.write(
            "tools",
            rest.map(|(place, tool)| (place, "", tool.to_string())),
        ));
    }
    let sees_all = caller.sees_all(target);
    if cursor.is_none() && sees_all {
        let page = server.first_pages.get(view, || all_tools(server, view));
        return Ok(page.to_owned());
    }
    let names = server.tools.values().map(|tool| tool.def.name.as_str());
    let page = Page::after(cursor, names, server.settings.tools_page_max)?;
    let visible = server
        .tools
        .values()
        .enumerate()
        .skip(page.start)
        .filter(|(_, tool)| sees_all || caller.may(target, Some(&tool.def.operation)));
    Ok(page.write(
        "tools",
        visible.map(|(place, tool)| {
            (
                place,
                tool.def.name.as_str(),
                tool.fragments.get(view.0, view.1).json.get().to_owned(),
            )
        }),
    ))
}

fn all_tools(server: &Server, view: View) -> String {
    let page = Page {
        start: 0,
        members_max: server.settings.tools_page_max,
    };
    page.write(
        "tools",
        server.tools.values().enumerate().map(|(place, tool)| {
            (
                place,
                tool.def.name.as_str(),
                tool.fragments.get(view.0, view.1).json.get().to_owned(),
            )
        }),
    )
}

/// `"resources":[…]`: the overview, and the pages of the tools the caller may use.
pub(super) fn resources(
    server: &Server,
    titles: bool,
    caller: &Caller,
    target: Target,
    cursor: Option<&str>,
) -> Result<String, RpcError> {
    let cursor = cursor.filter(|cursor| !cursor.is_empty());
    let names = server
        .resources
        .iter()
        .map(|resource| resource.uri.as_str());
    let page = Page::after(cursor, names, server.settings.tools_page_max)?;
    let visible = server
        .resources
        .iter()
        .enumerate()
        .skip(page.start)
        .filter(|(_, resource)| sees(server, (caller, target), resource));
    Ok(page.write(
        "resources",
        visible.map(|(place, resource)| {
            (
                place,
                resource.uri.as_str(),
                resource_entry(resource, titles),
            )
        }),
    ))
}

/// Whether the caller may read a resource: what documents a tool is for those who may call it.
pub(super) fn sees(
    server: &Server,
    (caller, target): (&Caller, Target),
    resource: &ResourceDef,
) -> bool {
    resource.tool.as_ref().is_none_or(|name| {
        let tool = server.tools.get(name);
        tool.is_some_and(|tool| caller.may(target, Some(&tool.def.operation)))
    })
}

fn resource_entry(resource: &ResourceDef, titles: bool) -> String {
    let mut entry = json!({ "uri": resource.uri, "name": resource.name });
    if let Some(title) = resource.title.as_ref().filter(|_| titles) {
        entry["title"] = json!(title);
    }
    if let Some(description) = &resource.description {
        entry["description"] = json!(description);
    }
    entry["mimeType"] = json!(resource.media_type);
    entry.to_string()
}

/// `"prompts":[…]`.
pub(super) fn prompts(
    server: &Server,
    titles: bool,
    cursor: Option<&str>,
) -> Result<String, RpcError> {
    let cursor = cursor.filter(|cursor| !cursor.is_empty());
    let names = server.prompts.iter().map(|prompt| prompt.name.as_str());
    let page = Page::after(cursor, names, server.settings.tools_page_max)?;
    let rest = server.prompts.iter().enumerate().skip(page.start);
    Ok(page.write(
        "prompts",
        rest.map(|(place, prompt)| (place, prompt.name.as_str(), prompt_entry(prompt, titles))),
    ))
}

fn prompt_entry(prompt: &PromptDef, titles: bool) -> String {
    let mut entry = json!({ "name": prompt.name });
    if let Some(title) = prompt.title.as_ref().filter(|_| titles) {
        entry["title"] = json!(title);
    }
    if let Some(description) = &prompt.description {
        entry["description"] = json!(description);
    }
    let arguments: Vec<_> = prompt
        .arguments
        .iter()
        .map(|(name, description, required)| {
            json!({ "name": name, "description": description, "required": required })
        })
        .collect();
    if !arguments.is_empty() {
        entry["arguments"] = json!(arguments);
    }
    entry.to_string()
}

struct Page {
    start: usize,
    members_max: usize,
}

impl Page {
    fn after<'n>(
        cursor: Option<&str>,
        names: impl Iterator<Item = &'n str>,
        members_max: usize,
    ) -> Result<Self, RpcError> {
        let members_max = members_max.max(1);
        let Some(cursor) = cursor else {
            return Ok(Self {
                start: 0,
                members_max,
            });
        };
        let (place, last) =
            decode(cursor).ok_or_else(|| RpcError::invalid_params("the cursor is not valid"))?;
        // The last that is still there is gone on after. Where none is, what came after them has
        // moved up into the place of the first.
        let mut found = None;
        for (at, name) in names.enumerate() {
            let back = last.iter().position(|last| last == name);
            found = match (back, found) {
                (Some(back), Some((known, _))) if known < back => found,
                (Some(back), _) => Some((back, at + 1)),
                (None, found) => found,
            };
        }
        let start = found.map_or(
            place.saturating_add(1).saturating_sub(last.len()),
            |(_, start)| start,
        );
        Ok(Self { start, members_max })
    }

    fn write<'n>(
        &self,
        key: &str,
        members: impl Iterator<Item = (usize, &'n str, String)>,
    ) -> String {
        let mut text = format!("\"{key}\":[");
        let mut last = VecDeque::with_capacity(NAMED_MAX);
        for (count, (place, name, entry)) in members.enumerate() {
            if count == self.members_max {
                text.push_str("],\"nextCursor\":");
                text.push_str(&quote(&encode(&last)));
                return text;
            }
            if count > 0 {
                text.push(',');
            }
            text.push_str(&entry);
            last.truncate(NAMED_MAX - 1);
            last.push_front((place, name));
        }
        text.push(']');
        text
    }
}

/// The place of the last member, and the names from the last one backwards.
fn encode(last: &VecDeque<(usize, &str)>) -> String {
    let place = last.front().map_or(0, |(place, _)| *place);
    let names: Vec<&str> = last.iter().map(|(_, name)| *name).collect();
    URL_SAFE_NO_PAD.encode(format!("{place}:{}", names.join("\n")))
}

fn decode(cursor: &str) -> Option<(usize, Vec<String>)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (place, names) = text.split_once(':')?;
    let names = names.split('\n').take(NAMED_MAX).map(str::to_owned);
    Some((place.parse().ok()?, names.collect()))
}
