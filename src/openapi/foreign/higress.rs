//! Higress MCP servers over REST (`mcp-server.yaml`): every tool becomes an operation.
//!
//! What OpenAPI can say is said in OpenAPI: arguments in paths, queries, headers and bodies, and
//! credentials in place of secrets of the configuration. What only a template can say is passed on
//! under `x-causeway-template`, with every value encoded for its place.

pub mod argument;
pub mod config;
pub mod request;
pub mod url;

use serde_json::{Map, Value, json};

use crate::openapi::DocumentError;
use crate::openapi::finding::{Code, quoted};
use crate::openapi::foreign::Context;
use crate::openapi::foreign::higress::config::Config;
use crate::openapi::foreign::higress::request::ToolReading;
use crate::openapi::foreign::outline::{Draft, Outline};
use crate::openapi::pointer::text;

/// Whether a document is such a server, as it stands in a file or in a plugin's resource.
pub fn recognise(root: &Value) -> bool {
    let (config, _) = config(root);
    let tools = config.get("tools").and_then(Value::as_array);
    let is_tool = |tool: &Value| {
        tool.get("name").is_some()
            && (tool.get("requestTemplate").is_some() || tool.get("responseTemplate").is_some())
    };
    let has_server = config.get("server").is_some_and(Value::is_object);
    tools.is_some_and(|tools| tools.iter().any(is_tool) || has_server && !tools.is_empty())
        || config.get("toolSet").is_some_and(Value::is_object)
}

/// The configuration within a Kubernetes resource, or the document itself.
fn config(root: &Value) -> (&Value, &'static str) {
    for place in [
        "/spec/defaultConfig",
        "/spec/pluginConfig",
        "/defaultConfig",
    ] {
        if let Some(config) = root.pointer(place).filter(|config| config.is_object()) {
            return (config, place);
        }
    }
    (root, "")
}

/// Converts a server.
///
/// # Errors
/// It has more tools than a document may have operations.
pub fn convert(root: &Value, context: &mut Context<'_>) -> Result<Outline, DocumentError> {
    let (document, base) = config(root);
    let server = document.get("server").unwrap_or(&Value::Null);
    let mut outline = Outline {
        title: server.get("name").and_then(text).unwrap_or_default(),
        ..Outline::default()
    };
    if document.get("toolSet").is_some() {
        let message = "`toolSet` puts tools of other servers together; convert those servers";
        let place = format!("{base}/toolSet");
        context.findings.add(Code::ForeignLost, place, message);
    }
    let proxied = server.get("mcpServerURL").is_some() || server["type"] == "mcp-proxy";
    if proxied {
        let message = "the server passes calls on to another MCP server; connect to that one";
        let place = format!("{base}/server");
        context.findings.add(Code::ForeignLost, place, message);
        return Ok(outline);
    }
    let config = Config::read(server, base, context);
    let default = server.pointer("/defaultUpstreamSecurity/id").and_then(text);
    config.define(&mut outline.schemes);
    let tools = document.get("tools").and_then(Value::as_array);
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        context.room(&outline)?;
        let origin = format!("{base}/tools/{index}");
        let name = tool.get("name").and_then(text).unwrap_or_default();
        if !config.allows(&name) {
            let message = format!("{} is not among `allowTools`", quoted(&name));
            context.findings.add(Code::ForeignSkipped, origin, message);
            continue;
        }
        let reading = ToolReading {
            tool,
            name: &name,
            origin: origin.clone(),
            config: &config,
            default_security: default.as_deref(),
        };
        match reading.draft(&mut outline.schemes, context) {
            Ok(draft) => outline.drafts.push(with_answer(draft, tool)),
            Err((field, message)) => {
                let message = format!("{}: `{field}` {message}", quoted(&name));
                context.findings.add(Code::ForeignLost, origin, message);
            }
        }
    }
    Ok(outline)
}

/// What the tool makes of answers.
fn with_answer(mut draft: Draft, tool: &Value) -> Draft {
    let word = |pointer: &str| {
        let found = tool.pointer(pointer).and_then(Value::as_str);
        found.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let mut declared = Map::new();
    if let Some(template) = word("/responseTemplate/body") {
        declared.insert("answer".to_owned(), json!({"template": template}));
    } else {
        let prepend = word("/responseTemplate/prependBody").unwrap_or_default();
        let append = word("/responseTemplate/appendBody").unwrap_or_default();
        if !(prepend.is_empty() && append.is_empty()) {
            let answer = json!({"prepend": prepend, "append": append});
            declared.insert("answer".to_owned(), answer);
        }
    }
    if let Some(template) = word("/errorResponseTemplate") {
        declared.insert("error".to_owned(), template.into());
    }
    if let Some(schema) = tool.get("outputSchema").filter(|schema| schema.is_object()) {
        let answer = json!({
            "description": "Success.",
            "content": {"application/json": {"schema": schema}},
        });
        draft.responses.insert("200".to_owned(), answer);
    }
    if !declared.is_empty() {
        draft.template.extend(declared);
    }
    draft
}
