//! What no API can express: tools that talk while they run, resources of the suite's own URIs,
//! prompts with pictures. docs/conformance.md gives the reason for each.

use std::sync::Arc;
use std::time::Duration;

use causeway::access::caller::Caller;
use causeway::mcp::call;
use causeway::mcp::provider::{
    CallContext, CallError, CallOutcome, Client, Content, Native, Provision, Resource,
    ResourceBody, Resumption, ToolCall, ToolOutcome,
};
use causeway::mcp::server::{PromptDef, ResourceDef, Server};
use causeway::mcp::tool::{Annotations, Binding, ToolDef};
use causeway::openapi::{OperationKey, PathTemplate};
use futures::future::{BoxFuture, FutureExt};
use serde_json::{Value, json};

use crate::Publisher;
use crate::questions;
use crate::upstream::PIXEL;

/// The suite wants pauses between messages, so that a client can be seen to get them one by one.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Fixture {
    /// The server made of the document alone, which answers for the tools that come from there.
    pub(crate) document: Server,
    pub(crate) publisher: Arc<Publisher>,
}

impl Native for Fixture {
    fn call<'a>(
        &'a self,
        call: ToolCall,
        cx: &'a CallContext,
    ) -> BoxFuture<'a, Result<CallOutcome, CallError>> {
        async move {
            if self.document.tools.contains_key(call.name.as_str()) {
                let mcp = &self.publisher.mcp;
                return call::call(mcp, &Caller::anonymous(), &self.document, call, cx).await;
            }
            if let Some(answer) = questions::call(&call, cx) {
                return answer;
            }
            self.carry_out(&call, cx).await
        }
        .boxed()
    }

    fn read<'a>(&'a self, uri: &'a str, _: &'a CallContext) -> BoxFuture<'a, Option<Resource>> {
        std::future::ready(resource(uri)).boxed()
    }

    fn prompt<'a>(
        &'a self,
        name: &'a str,
        arguments: &'a Value,
        resumption: Option<Resumption>,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<Option<Provision>, CallError>> {
        let provision = match name {
            "test_input_required_result_prompt" => Some(questions::prompt(resumption.as_ref())),
            _ => messages(name, arguments).map(Provision::Result),
        };
        std::future::ready(Ok(provision)).boxed()
    }

    fn complete<'a>(&'a self, _: &'a Value, argument: &'a Value) -> BoxFuture<'a, Vec<String>> {
        let begun = argument["value"].as_str().unwrap_or_default().to_owned();
        let values = ["paris", "park", "party"].map(str::to_owned);
        let values = values.into_iter().filter(|value| value.starts_with(&begun));
        std::future::ready(values.collect()).boxed()
    }
}

impl Fixture {
    async fn carry_out(&self, call: &ToolCall, cx: &CallContext) -> Result<CallOutcome, CallError> {
        let client = cx.client.as_deref();
        match call.name.as_str() {
            "test_embedded_resource" => Ok(complete(vec![embedded(
                "test://embedded-resource",
                "text/plain",
                "This is an embedded resource content.",
            )])),
            "test_multiple_content_types" => Ok(complete(vec![
                Content::Text("Multiple content types test:".to_owned()),
                Content::Image {
                    data: PIXEL.to_owned(),
                    media_type: "image/png".to_owned(),
                },
                embedded(
                    "test://mixed-content-resource",
                    "application/json",
                    r#"{"test":"data","value":123}"#,
                ),
            ])),
            "test_tool_with_logging" => {
                for text in [
                    "Tool execution started",
                    "Tool processing data",
                    "Tool execution completed",
                ] {
                    log(client, text).await;
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(text("Logged three times."))
            }
            "test_logging_tool" => {
                log(client, "Asked for by the request's log level").await;
                Ok(text("Logged, if that was asked for."))
            }
            "test_tool_with_progress" => {
                for done in [0.0, 50.0, 100.0] {
                    cx.progress.report(done, Some(100.0), None);
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(text("Reported three times."))
            }
            "test_sampling" => Ok(sample(client, &arguments(call)).await),
            name if name.starts_with("test_elicitation") => {
                Ok(elicit(client, name, &arguments(call)).await)
            }
            "test_missing_capability" => match client.map(Client::capabilities) {
                Some(capabilities) if capabilities.get("sampling").is_some() => {
                    Ok(text("The client can be asked to sample."))
                }
                _ => Err(CallError::MissingCapability(json!({ "sampling": {} }))),
            },
            "test_trigger_tool_change" | "test_trigger_prompt_change" => {
                self.publisher.publish_again();
                Ok(text("Published again."))
            }
            "json_schema_2020_12_tool" | "test_custom_header" => {
                Ok(text(&arguments(call).to_string()))
            }
            name => Err(CallError::UnknownTool(name.to_owned())),
        }
    }
}

pub(crate) fn arguments(call: &ToolCall) -> Value {
    let raw = call.arguments.as_ref();
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_else(|| json!({}))
}

fn complete(content: Vec<Content>) -> CallOutcome {
    CallOutcome::Complete(ToolOutcome {
        content,
        ..ToolOutcome::default()
    })
}

pub(crate) fn text(text: &str) -> CallOutcome {
    complete(vec![Content::Text(text.to_owned())])
}

fn failure(text: String) -> CallOutcome {
    CallOutcome::Complete(ToolOutcome {
        content: vec![Content::Text(text)],
        is_error: true,
        ..ToolOutcome::default()
    })
}

fn embedded(uri: &str, media_type: &str, text: &str) -> Content {
    Content::Resource(Resource {
        uri: uri.to_owned(),
        media_type: Some(media_type.to_owned()),
        body: ResourceBody::Text(text.to_owned()),
    })
}

async fn log(client: Option<&dyn Client>, text: &str) {
    if let Some(client) = client {
        let params = json!({ "level": "info", "logger": "fixture", "data": text });
        client.notify("notifications/message", params).await;
    }
}

async fn sample(client: Option<&dyn Client>, arguments: &Value) -> CallOutcome {
    let params = json!({
        "messages": [{ "role": "user", "content": { "type": "text", "text": arguments["prompt"] } }],
        "maxTokens": 100,
    });
    match ask(client, "sampling", "sampling/createMessage", params).await {
        Ok(answer) => {
            let said = answer["content"]["text"].as_str().unwrap_or_default();
            text(&format!("LLM response: {said}"))
        }
        Err(why) => failure(why),
    }
}

async fn elicit(client: Option<&dyn Client>, name: &str, arguments: &Value) -> CallOutcome {
    let message = arguments["message"]
        .as_str()
        .unwrap_or("Please fill this in");
    let params = json!({ "message": message, "requestedSchema": form(name) });
    match ask(client, "elicitation", "elicitation/create", params).await {
        Ok(answer) => text(&format!(
            "User response: action={}, content={}",
            answer["action"].as_str().unwrap_or_default(),
            answer["content"]
        )),
        Err(why) => failure(why),
    }
}

async fn ask(
    client: Option<&dyn Client>,
    capability: &str,
    method: &'static str,
    params: Value,
) -> Result<Value, String> {
    let client = client.ok_or("The client cannot be asked without a session.")?;
    if client.capabilities().get(capability).is_none() {
        return Err(format!("The client does not support {capability}."));
    }
    client.request(method, params).await
}

/// What the user is asked to fill in.
fn form(tool: &str) -> Value {
    let choices = |kind: &str, titles: [&str; 3]| {
        let choice = |index: usize| {
            json!({
                "const": format!("value{}", index + 1),
                "title": format!("{} {kind}", titles[index]),
            })
        };
        json!([choice(0), choice(1), choice(2)])
    };
    let options = json!(["option1", "option2", "option3"]);
    let titles = ["First", "Second", "Third"];
    match tool {
        "test_elicitation_sep1034_defaults" => json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "default": "John Doe" },
                "age": { "type": "integer", "default": 30 },
                "score": { "type": "number", "default": 95.5 },
                "status": {
                    "type": "string",
                    "enum": ["active", "inactive", "pending"],
                    "default": "active",
                },
                "verified": { "type": "boolean", "default": true },
            },
        }),
        "test_elicitation_sep1330_enums" => json!({
            "type": "object",
            "properties": {
                "untitledSingle": { "type": "string", "enum": options },
                "titledSingle": { "type": "string", "oneOf": choices("Option", titles) },
                "legacyEnum": {
                    "type": "string",
                    "enum": ["opt1", "opt2", "opt3"],
                    "enumNames": ["Option One", "Option Two", "Option Three"],
                },
                "untitledMulti": {
                    "type": "array",
                    "items": { "type": "string", "enum": options },
                },
                "titledMulti": {
                    "type": "array",
                    "items": { "anyOf": choices("Choice", titles) },
                },
            },
        }),
        _ => json!({
            "type": "object",
            "properties": {
                "username": { "type": "string", "description": "User's response" },
                "email": { "type": "string", "description": "User's email address" },
            },
            "required": ["username", "email"],
        }),
    }
}

/// The tools of this file and of [`questions`].
pub(crate) fn tools() -> Vec<ToolDef> {
    let nothing = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    let one = |name: &str| json!({ "type": "object", "properties": { name: { "type": "string" } }, "required": [name] });
    let header = json!({
        "type": "object",
        "properties": { "value": { "type": "string", "x-mcp-header": "Value" } },
        "required": ["value"],
    });
    let mut tools = vec![
        tool("test_embedded_resource", nothing.clone()),
        tool("test_multiple_content_types", nothing.clone()),
        tool("test_tool_with_logging", nothing.clone()),
        tool("test_logging_tool", nothing.clone()),
        tool("test_tool_with_progress", nothing.clone()),
        tool("test_sampling", one("prompt")),
        tool("test_elicitation", one("message")),
        tool("test_elicitation_sep1034_defaults", nothing.clone()),
        tool("test_elicitation_sep1330_enums", nothing.clone()),
        tool("test_missing_capability", nothing.clone()),
        tool("test_trigger_tool_change", nothing.clone()),
        tool("test_trigger_prompt_change", nothing.clone()),
        tool("json_schema_2020_12_tool", every_keyword()),
        tool("test_custom_header", header),
    ];
    tools.extend(questions::TOOLS.map(|name| tool(name, nothing.clone())));
    tools
}

fn tool(name: &str, input_schema: Value) -> ToolDef {
    let description = format!(
        "Fixture of the conformance suite: {}.",
        name.replace('_', " ")
    );
    ToolDef {
        name: name.parse().unwrap(),
        title: None,
        details: causeway::mcp::tool::Details::default(),
        description,
        input_schema,
        output_schema: None,
        annotations: Annotations {
            title: None,
            read_only_hint: true,
            destructive_hint: false,
            idempotent_hint: true,
            open_world_hint: false,
        },
        tags: Vec::new(),
        operation: OperationKey(format!("native {name}")),
        binding: Binding {
            method: String::new(),
            servers: Vec::new(),
            path: PathTemplate {
                raw: String::new(),
                pieces: Vec::new(),
                query: Vec::new(),
            },
            parameters: Vec::new(),
            body: None,
            accept: String::new(),
            security: Vec::new(),
            renames: indexmap::IndexMap::default(),
            wrap_result: false,
            templates: None,
        },
    }
}

/// Keywords that have to reach the client as they are written here. A tool made from a document has
/// none of them at its root, where model providers refuse them.
fn every_keyword() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {
                    "street": { "type": "string" },
                    "city": { "type": "string" },
                },
            },
        },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": {
            "properties": { "contactMethod": { "const": "phone" } },
            "required": ["contactMethod"],
        },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}

pub(crate) fn resources() -> Vec<ResourceDef> {
    let listed = |uri: &str, name: &str, media_type: &str| ResourceDef {
        uri: uri.to_owned(),
        name: name.to_owned(),
        title: None,
        description: Some("Fixture of the conformance suite.".to_owned()),
        media_type: media_type.to_owned(),
        text: "This is the content of the static text resource.".into(),
        tool: None,
        before_tools: None,
    };
    vec![listed("test://static-text", "static-text", "text/plain")]
}

pub(crate) fn resource_templates() -> Vec<Value> {
    vec![json!({
        "uriTemplate": "test://template/{id}/data",
        "name": "template",
        "description": "Fixture of the conformance suite.",
        "mimeType": "application/json",
    })]
}

fn resource(uri: &str) -> Option<Resource> {
    let (media_type, body) = match uri {
        "test://static-binary" => ("image/png", ResourceBody::Blob(PIXEL.to_owned())),
        "test://watched-resource" => ("text/plain", ResourceBody::Text("Watched.".to_owned())),
        _ => {
            let id = uri
                .strip_prefix("test://template/")?
                .strip_suffix("/data")?;
            let data =
                json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            ("application/json", ResourceBody::Text(data.to_string()))
        }
    };
    Some(Resource {
        uri: uri.to_owned(),
        media_type: Some(media_type.to_owned()),
        body,
    })
}

pub(crate) fn prompts() -> Vec<PromptDef> {
    let argument = |name: &str| (name.to_owned(), format!("The argument {name}."), true);
    let prompt = |name: &str, arguments: &[&str]| PromptDef {
        name: name.to_owned(),
        title: None,
        description: Some("Fixture of the conformance suite.".to_owned()),
        arguments: arguments.iter().map(|name| argument(name)).collect(),
        text: "This is a simple prompt for testing.".to_owned(),
    };
    vec![
        prompt("test_simple_prompt", &[]),
        prompt("test_prompt_with_arguments", &["arg1", "arg2"]),
        prompt("test_prompt_with_embedded_resource", &["resourceUri"]),
        prompt("test_prompt_with_image", &[]),
        prompt("test_input_required_result_prompt", &[]),
    ]
}

fn messages(name: &str, arguments: &Value) -> Option<Value> {
    let text = |text: String| json!({ "type": "text", "text": text });
    let contents = match name {
        "test_prompt_with_arguments" => vec![text(format!(
            "Prompt with arguments: arg1='{}', arg2='{}'",
            arguments["arg1"].as_str().unwrap_or_default(),
            arguments["arg2"].as_str().unwrap_or_default()
        ))],
        "test_prompt_with_embedded_resource" => vec![
            json!({
                "type": "resource",
                "resource": {
                    "uri": arguments["resourceUri"],
                    "mimeType": "text/plain",
                    "text": "Embedded resource content for testing.",
                },
            }),
            text("Please process the embedded resource above.".to_owned()),
        ],
        "test_prompt_with_image" => vec![
            json!({ "type": "image", "data": PIXEL, "mimeType": "image/png" }),
            text("Please analyze the image above.".to_owned()),
        ],
        _ => return None,
    };
    let messages: Vec<Value> = contents
        .into_iter()
        .map(|content| json!({ "role": "user", "content": content }))
        .collect();
    Some(json!({ "messages": messages }))
}
