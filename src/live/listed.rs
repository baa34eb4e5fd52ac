//! What the catalog shows and finds of a server: written when it is published, read at the start, so
//! that nothing is compiled to be listed.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexSet;
use serde::{Deserialize, Serialize};

use crate::mcp::curation::{Curation, Curations};
use crate::mcp::server::ServerSettings;
use crate::mcp::tool::compile::in_a_list;
use crate::mcp::tool::shrink::Budget;
use crate::mcp::tool::text::clean;
use crate::mcp::tool::{ToolDef, name};
use crate::openapi::OperationKey;
use crate::search::shelf::{ListedTool, Listing, Shelf};
use crate::store::listed::{CuratedRow, ListedRow, NewListed};
use crate::store::{Store, StoreError};
use crate::types::{ServerId, VersionId};

/// More than a card shows.
const SUMMARY_CHARS_MAX: usize = 400;
const TITLE_CHARS_MAX: usize = 100;
/// A document's own tags that are taken where its owner gave none.
const TAGS_MAX: usize = 12;
const TAG_CHARS_MAX: usize = 40;

/// Operation, name, title, tokens.
#[derive(Serialize, Deserialize)]
struct StoredTool(OperationKey, String, String, u32);

/// What is listed of a version: its description's first paragraph, its tags, its tools.
pub fn listed(description: Option<&str>, tools: &[ToolDef]) -> NewListed {
    let tags: IndexSet<&str> = tools
        .iter()
        .flat_map(|tool| &tool.tags)
        .map(|tag| tag.trim())
        .filter(|tag| !tag.is_empty() && tag.chars().count() <= TAG_CHARS_MAX)
        .take(TOOLS_READ_FOR_TAGS_MAX)
        .collect();
    let tags: Vec<&str> = tags.into_iter().take(TAGS_MAX).collect();
    let stored = tools.iter().map(|tool| {
        let title = tool.title.as_deref().unwrap_or_default();
        StoredTool(
            tool.operation.clone(),
            tool.name.to_string(),
            title.chars().take(TITLE_CHARS_MAX).collect(),
            u32::try_from(tokens(tool)).unwrap_or(u32::MAX),
        )
    });
    let stored: Vec<StoredTool> = stored.collect();
    NewListed {
        summary: summary(description.unwrap_or_default()),
        tags: serde_json::to_string(&tags).unwrap_or_default(),
        tools: serde_json::to_string(&stored).unwrap_or_default(),
    }
}

/// A document of 30,000 operations names few tags, many times.
const TOOLS_READ_FOR_TAGS_MAX: usize = 100_000;

/// What the tool costs a model in a list, as long as its owner changes nothing.
fn tokens(def: &ToolDef) -> usize {
    in_a_list(def, false, Budget::default()).tokens()
}

/// The first paragraph of a description, without the marks of Markdown that stand around words.
fn summary(description: &str) -> String {
    let text = clean(description).replace('`', "").replace("**", "");
    let lines = text.lines().map(str::trim);
    let lines = lines.skip_while(|line| line.is_empty() || line.starts_with('#'));
    let lines: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    lines.join(" ").chars().take(SUMMARY_CHARS_MAX).collect()
}

/// Every server of a database as the catalog lists it. Versions from before there were lists get theirs
/// first.
pub async fn shelf(store: &Store) -> Result<Shelf, StoreError> {
    for row in store.unlisted().await? {
        let Some(row) = store.server(ServerId(row.id)).await? else {
            continue;
        };
        let tools: Vec<ToolDef> = serde_json::from_str(&row.tools).unwrap_or_default();
        let new = listed(row.description.as_deref(), &tools);
        store.list_version(VersionId(row.version_id), &new).await?;
    }
    let curations = by_server(store.curated().await?);
    let nothing = Curations::default();
    let rows = store.listed().await?.into_iter();
    let listings = rows.filter_map(|row| {
        let own = curations.get(&ServerId(row.id)).unwrap_or(&nothing);
        listing(row, own).map(Arc::new)
    });
    Ok(Shelf::new(listings.collect()))
}

/// A row with what its owner changed of the tools put over them. One that cannot be read is not listed.
pub(super) fn listing(row: ListedRow, curations: &Curations) -> Option<Listing> {
    let settings: ServerSettings = serde_json::from_str(&row.settings).ok()?;
    let own: Vec<String> = serde_json::from_str(&row.tags).unwrap_or_default();
    let stored: Vec<StoredTool> = serde_json::from_str(&row.tools).unwrap_or_default();
    Some(Listing {
        id: ServerId(row.id),
        slug: row.slug,
        title: clean(&row.title).trim().to_owned(),
        summary: row.summary,
        category: settings.category,
        tags: settings.tags.unwrap_or(own),
        tools: curated(stored, curations),
        created_at: row.created_at,
    })
}

fn curated(stored: Vec<StoredTool>, curations: &Curations) -> Vec<ListedTool> {
    let nothing = Curation::default();
    let given: Vec<String> = curations
        .values()
        .filter(|it| !it.hidden)
        .filter_map(|it| Some(it.name.as_ref()?.as_str().to_ascii_lowercase()))
        .collect();
    let is_free = |name: &str| !given.contains(&name.to_ascii_lowercase());
    let visible = stored.into_iter().filter_map(|tool| {
        let curation = curations.get(&tool.0).unwrap_or(&nothing);
        let name = match &curation.name {
            Some(name) => name.to_string(),
            None if is_free(&tool.1) => tool.1,
            None => name::suffixed(&tool.1, &tool.0, is_free).to_string(),
        };
        let title = curation.title.clone().unwrap_or(tool.2);
        (!curation.hidden).then(|| ListedTool {
            name: name.into(),
            title: title.into(),
            tokens: tool.3,
        })
    });
    visible.collect()
}

/// The curations of each server that has any. What cannot be read changes nothing.
fn by_server(rows: Vec<CuratedRow>) -> HashMap<ServerId, Curations> {
    let mut all: HashMap<ServerId, Curations> = HashMap::new();
    for row in rows {
        if let Ok(curation) = serde_json::from_str(&row.changes) {
            let own = all.entry(ServerId(row.server_id)).or_default();
            own.insert(OperationKey(row.operation), curation);
        }
    }
    all
}
