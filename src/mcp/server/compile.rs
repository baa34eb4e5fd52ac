//! A stored version becomes a server that can be served: validators built, lists serialized.

use std::fmt::Write;
use std::sync::{Arc, OnceLock};

use indexmap::IndexMap;

use crate::credential::choice::with_scheme;
use crate::egress::Breakers;
use crate::mcp::confirm::Gate;
use crate::mcp::curation::curate;
use crate::mcp::fragment::FirstPages;
use crate::mcp::server::finder::Finder;
use crate::mcp::server::tokens;
use crate::mcp::server::{ApiProvider, PromptDef, Provider, ResourceDef, Server, ServerParts};
use crate::mcp::tool::Tool;
use crate::mcp::tool::schema::cleaned;
use crate::mcp::tool::shrink::Budget;
use crate::mcp::tool::text::{self, clean, shorten};
use crate::openapi::{Finding, SecurityScheme};

const INSTRUCTIONS_BYTES_MAX: usize = 1_000;
const OVERVIEW_BYTES_MAX: usize = 256 << 10;

impl Server {
    /// Builds everything a call or a list needs. What could not be compiled is a finding; the server
    /// serves all the same.
    pub fn compile(parts: ServerParts) -> (Self, Vec<Finding>) {
        let mut schemes = parts.schemes;
        let certificate = parts.settings.client_certificate.as_deref();
        if let Some(scheme) = certificate {
            let named = schemes.entry(scheme.to_owned());
            named.or_insert(SecurityScheme::MutualTls);
        }
        let identified = (parts.credentials.identities())
            .map(|(scheme, identity)| (scheme.clone(), parts.upstream.identified(identity)))
            .collect();
        let curated = curate(parts.tools, &parts.curations);
        let mut findings = curated.findings;
        let mut tools = IndexMap::with_capacity(curated.tools.len());
        let budget = Budget::of(parts.settings.tool_tokens_max);
        for mut def in curated.tools {
            if let Some(scheme) = certificate {
                def.binding.security = with_scheme(def.binding.security, scheme);
            }
            let reshaped = parts.settings.reshapes(&def.operation);
            let who = parts
                .curations
                .get(&def.operation)
                .and_then(|it| it.confirm);
            let (mut tool, found) = Tool::compile_shaped_within(def, reshaped, budget);
            tool.gate = Gate::of(&tool.def, who);
            findings.extend(found);
            tools.insert(tool.def.name.clone(), Arc::new(tool));
        }
        let to = parts.settings.destination(parts.document_url.as_ref());
        let defs = tools.values().map(|tool: &Arc<Tool>| &*tool.def);
        let sources = tokens::sources(&schemes, &parts.credentials, defs, to);
        let mut server = Self {
            id: parts.id,
            organization: parts.organization,
            owner: None,
            slug: parts.slug,
            version: parts.version,
            revision: parts.revision,
            instructions: instructions(&parts.title, parts.description.as_deref()),
            title: clean(&parts.title).trim().to_owned(),
            settings: parts.settings,
            resources: Vec::new(),
            resource_templates: Vec::new(),
            first_pages: FirstPages::default(),
            prompts: Vec::new(),
            tools,
            provider: Provider::Api(Box::new(ApiProvider {
                upstream: parts.upstream,
                document_url: parts.document_url,
                schemes,
                credentials: parts.credentials,
                sources,
                identified,
                breakers: Breakers::default(),
            })),
            canary: None,
            on_trial: false,
            list_tokens: 0,
            finder: None,
            metered: OnceLock::new(),
            bytes: 0,
        };
        server.list_tokens = server.tools.values().map(|t| t.fragments.tokens()).sum();
        server.finder = Finder::of(&server);
        if let Some(finder) = &server.finder {
            server.instructions.push_str(&how_to_find(finder));
        }
        server.resources = resources(&server, parts.description.as_deref());
        server.prompts = prompts(&server);
        server.bytes = weight(&server);
        (server, findings)
    }

    /// `head`, and a line for each tool of which `sees` says so.
    pub fn overview(&self, head: &str, sees: impl Fn(&Tool) -> bool) -> String {
        let mut text = head.to_owned();
        let seen = |tool: &&Arc<Tool>| sees(tool);
        for tool in self.tools.values().filter(seen) {
            let description = clean(&tool.def.description);
            let first = description.lines().next().unwrap_or_default();
            let _ = writeln!(text, "- `{}`: {first}", tool.def.name);
        }
        shorten(&text, OVERVIEW_BYTES_MAX)
    }
}

fn instructions(title: &str, description: Option<&str>) -> String {
    let title = clean(title);
    let text = description.map(clean).unwrap_or_default();
    let text = format!("Tools of {}.\n{}", title.trim(), text.trim());
    shorten(text.trim(), INSTRUCTIONS_BYTES_MAX)
}

/// Without their number, which is another for a caller who may use some of them only.
fn how_to_find(finder: &Finder) -> String {
    format!(
        "\n\nIts tools are not listed: find them with {}, read their arguments with {}, and call them \
         with {}.",
        finder.search, finder.describe, finder.call
    )
}

/// An overview of the API, and a page per operation.
fn resources(server: &Server, description: Option<&str>) -> Vec<ResourceDef> {
    let mut head = format!("# {}\n\n", server.title);
    if let Some(text) = description {
        let _ = writeln!(head, "{}\n", clean(text).trim());
    }
    head.push_str("## Tools\n\n");
    let mut resources = vec![ResourceDef {
        uri: format!("causeway://{}/overview", server.slug),
        name: "overview".to_owned(),
        title: Some(format!("{}: overview", server.title)),
        description: Some("What this API is, and all of its tools.".to_owned()),
        media_type: "text/markdown".to_owned(),
        text: server.overview(&head, |_| true).into(),
        tool: None,
        before_tools: Some(head.into()),
    }];
    resources.extend(server.tools.values().map(|tool| ResourceDef {
        uri: format!("causeway://{}/tools/{}", server.slug, tool.def.name),
        name: tool.def.name.to_string(),
        title: tool.def.title.as_deref().map(clean),
        description: Some(format!("Documentation of the tool {}.", tool.def.name)),
        media_type: "text/markdown".to_owned(),
        text: page(tool).into(),
        tool: Some(tool.def.name.clone()),
        before_tools: None,
    }));
    resources
}

/// A tool's page, and the whole of its arguments where its entry in the list has less.
fn page(tool: &Tool) -> String {
    let mut page = text::page(&tool.def);
    if tool.fragments.usual().shortened {
        let schema = cleaned(&tool.def.input_schema);
        let _ = writeln!(page, "\n## Input schema\n\n```json\n{schema}\n```");
    }
    page
}

fn prompts(server: &Server) -> Vec<PromptDef> {
    vec![PromptDef {
        name: "start".to_owned(),
        title: Some(format!("Work with {}", server.title)),
        description: Some("Introduces the API's tools, and a task for them.".to_owned()),
        arguments: vec![("task".to_owned(), "What is to be done.".to_owned(), false)],
        text: format!(
            "{}\n\nThe resource causeway://{}/overview lists the tools. Read before you change \
             anything, and ask before you delete.\n\n{{task}}",
            server.instructions, server.slug
        ),
    }]
}

/// Roughly the bytes a compiled server holds: the serialized forms, and the validators as a
/// multiple of their schemas.
fn weight(server: &Server) -> usize {
    let tools: usize = server
        .tools
        .values()
        .map(|tool| {
            let output = tool.def.output_schema.as_ref();
            let schemas = json_bytes(&tool.def.input_schema) + output.map_or(0, json_bytes);
            let entry = tool.fragments.usual().json.get().len();
            (schemas + entry) * 10
        })
        .sum();
    tools
        + server
            .resources
            .iter()
            .map(|r| r.text.len() + 256)
            .sum::<usize>()
        + server.finder.as_ref().map_or(0, Finder::bytes)
        + 8_192
}

fn json_bytes(value: &serde_json::Value) -> usize {
    value.to_string().len()
}
