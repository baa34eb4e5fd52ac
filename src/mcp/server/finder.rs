//! A server's tools as something to be searched, and the three tools that are listed in their place.

use serde_json::{Value, json};

use crate::mcp::server::{LISTED_TOOLS_MAX, Server, ToolsMode};
use crate::mcp::tool::shrink::{Listed, shrink_to};
use crate::mcp::tool::text::{clean, shorten};
use crate::mcp::tool::words::first_sentence;
use crate::mcp::tool::{Tool, ToolDef, name};
use crate::openapi::PathPiece;
use crate::search::embed::Averaged;
use crate::search::intent::Effect;
use crate::search::words::{Word, words};
use crate::search::{Entry, FIT_MIN, Field, Index};

/// The search over the tools of one server.
pub struct Finder {
    index: Index,
    /// The tools that are listed: `search_tools`, `describe_tool`, `call_tool`, unless an operation
    /// has one of these names.
    pub search: String,
    pub describe: String,
    pub call: String,
}

/// How many tools one search may give, and gives.
pub const FOUND_MAX: usize = 20;
pub const FOUND: usize = 5;
/// How many tools one description may be asked for.
pub const DESCRIBED_MAX: usize = 5;
/// How deep pages of a search go.
const RANKED_MAX: usize = 100;
/// What one tool of a result says of itself.
const SAID_BYTES_MAX: usize = 160;
const ARGUMENTS_SHOWN_MAX: usize = 12;
/// What a description of a tool may cost, in tokens.
const DESCRIBED_TOKENS_MAX: usize = 8_000;

/// What a search found.
pub struct Found<'a> {
    pub tools: Vec<&'a Tool>,
    /// The best of all fits what was asked.
    pub confident: bool,
    /// There are more.
    pub more: bool,
}

impl Finder {
    /// The search of `server`, where its tools are not listed.
    pub fn of(server: &Server) -> Option<Self> {
        let settings = &server.settings;
        let many = server.tools.len() > LISTED_TOOLS_MAX;
        let searched = match settings.tools {
            ToolsMode::All => false,
            ToolsMode::Search => true,
            ToolsMode::Auto => many || server.list_tokens > settings.list_tokens_max,
        };
        searched.then(|| Self::build(server))
    }

    fn build(server: &Server) -> Self {
        let entries: Vec<Entry> = server.tools.values().map(|tool| entry(&tool.def)).collect();
        let named = |wanted| {
            name::unique(wanted, |name| {
                !server
                    .tools
                    .keys()
                    .any(|tool| tool.as_str().eq_ignore_ascii_case(name))
            })
        };
        Self {
            index: Index::build(&entries, &Averaged),
            search: named("search_tools"),
            describe: named("describe_tool"),
            call: named("call_tool"),
        }
    }

    /// The tools for what somebody wants, of those `visible` admits, from the `skip`th on.
    pub fn find<'a>(
        &self,
        server: &'a Server,
        query: &str,
        (skip, limit): (usize, usize),
        visible: impl Fn(&Tool) -> bool,
    ) -> Found<'a> {
        let tool = |place: usize| server.tools.get_index(place).map(|(_, tool)| &**tool);
        let sees = |place| tool(place).is_some_and(&visible);
        let hits = self.index.find(query, &Averaged, RANKED_MAX, sees);
        let confident = hits.first().is_some_and(|hit| hit.fit >= FIT_MIN);
        let page = hits.iter().skip(skip).take(limit);
        Found {
            tools: page.filter_map(|hit| tool(hit.place)).collect(),
            confident,
            more: hits.len() > skip + limit,
        }
    }

    /// Roughly what the search holds in memory.
    pub fn bytes(&self) -> usize {
        self.index.bytes()
    }

    /// What `tools/list` has instead of the tools.
    pub fn listed(&self, tools: usize) -> [Value; 3] {
        let (search, describe, call) = (&self.search, &self.describe, &self.call);
        [
            json!({
                "name": search,
                "description": format!("Finds tools of this server, which has {tools}, by what you \
                    want to do. Gives names, what each does, and its arguments (* is required)."),
                "inputSchema": { "type": "object", "properties": {
                    "query": { "type": "string", "maxLength": 1_000,
                        "description": "What you want to do, in a few words of any language." },
                    "limit": { "type": "integer", "minimum": 1, "maximum": FOUND_MAX, "default": FOUND },
                    "page": { "type": "integer", "minimum": 1, "default": 1 },
                }, "required": ["query"], "additionalProperties": false },
                "annotations": annotations(true),
            }),
            json!({
                "name": describe,
                "description": format!("The whole input schema of tools that {search} found."),
                "inputSchema": { "type": "object", "properties": {
                    "names": { "type": "array", "items": { "type": "string" },
                        "minItems": 1, "maxItems": DESCRIBED_MAX },
                }, "required": ["names"], "additionalProperties": false },
                "annotations": annotations(true),
            }),
            json!({
                "name": call,
                "description": format!("Calls a tool that {search} found. Ask {describe} first \
                    unless its arguments are plain."),
                "inputSchema": { "type": "object", "properties": {
                    "name": { "type": "string" },
                    "arguments": { "type": "object", "description": "As the tool's input schema says." },
                }, "required": ["name"], "additionalProperties": false },
                "annotations": annotations(false),
            }),
        ]
    }
}

fn annotations(looks_only: bool) -> Value {
    json!({
        "readOnlyHint": looks_only,
        "destructiveHint": !looks_only,
        "idempotentHint": looks_only,
        "openWorldHint": !looks_only,
    })
}

/// What a search says of a tool it found.
pub fn found(tool: &Tool) -> Value {
    let description = clean(&tool.def.description);
    let said = shorten(first_sentence(&description), SAID_BYTES_MAX);
    json!({ "name": tool.def.name, "description": said, "arguments": arguments(&tool.def) })
}

/// Names of arguments, the required ones first and marked.
fn arguments(def: &ToolDef) -> String {
    let required = def.input_schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|n| n == name));
    let properties = def
        .input_schema
        .get("properties")
        .and_then(Value::as_object);
    let names = properties.into_iter().flat_map(serde_json::Map::keys);
    let mut names: Vec<&String> = names.collect();
    names.sort_by_key(|name| !is_required(name));
    let shown = names.iter().take(ARGUMENTS_SHOWN_MAX).map(|name| {
        let mark = if is_required(name) { "*" } else { "" };
        format!("{name}{mark}")
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if names.len() > ARGUMENTS_SHOWN_MAX {
        text.push_str(", …");
    }
    text
}

/// A tool with its whole input schema, as far as that is of any use to a model.
pub fn described(tool: &Tool) -> Value {
    let Listed { input, .. } = shrink_to(&tool.def, DESCRIBED_TOKENS_MAX);
    json!({
        "name": tool.def.name,
        "description": clean(&tool.def.description),
        "inputSchema": input,
        "annotations": tool.def.annotations,
    })
}

/// The fields a tool is found by.
fn entry(def: &ToolDef) -> Entry {
    let path = &def.binding.path;
    let literals = path.pieces.iter().filter_map(|piece| match piece {
        PathPiece::Literal(text) => Some(text.as_str()),
        PathPiece::Variable(_) => None,
    });
    let ends_open = matches!(path.pieces.last(), Some(PathPiece::Variable(_)));
    let action = match def.binding.method.as_str() {
        "GET" | "HEAD" if ends_open => "get",
        "GET" | "HEAD" => "list get",
        "DELETE" => "delete",
        "PUT" | "PATCH" => "update",
        _ => "create",
    };
    let properties = def
        .input_schema
        .get("properties")
        .and_then(Value::as_object);
    let arguments = properties.into_iter().flat_map(serde_json::Map::keys);
    let arguments: Vec<&str> = arguments.map(String::as_str).collect();
    let fields = vec![
        (Field::Name, def.name.to_string()),
        (Field::Title, def.title.clone().unwrap_or_default()),
        (Field::Description, def.description.clone()),
        (Field::Action, action.to_owned()),
        (Field::Path, literals.collect::<Vec<_>>().join(" ")),
        (Field::Tags, def.tags.join(" ")),
        (Field::Arguments, arguments.join(" ")),
    ];
    Entry {
        fields,
        effect: effect(def),
    }
}

/// What names of operations begin with that are sent by POST and yet only look.
const LOOKING: &str =
    " search query list find get check count validate show read fetch retrieve lookup ";

/// What a tool does, by its method; a POST may be a question that does not fit a URL.
fn effect(def: &ToolDef) -> Effect {
    match def.binding.method.as_str() {
        "GET" | "HEAD" => Effect::Looks,
        "DELETE" => Effect::Removes,
        "POST" => match words(def.name.as_str()).first() {
            Some(Word::Letters(word)) if LOOKING.contains(&format!(" {word} ")) => Effect::Looks,
            _ => Effect::Changes,
        },
        _ => Effect::Changes,
    }
}
