//! Results as JSON text, in the form each protocol version knows.

use serde_json::{Value, json};

use crate::mcp::endpoint::version::Version;
use crate::mcp::endpoint::wire::quote;
use crate::mcp::provider::{
    CallOutcome, Content, InputRequired, Resource, ResourceBody, ToolOutcome,
};
use crate::mcp::server::Server;

/// How long a client may keep a list, where the version lets us say so. Open streams are told at
/// once; everyone else asks again after this.
const LIST_TTL_MS: u64 = 60_000;

/// `"resultType":"complete",` where the version has it, to be put at the start of an object.
fn head(version: Version) -> &'static str {
    if version.is_stateless() {
        "\"resultType\":\"complete\","
    } else {
        ""
    }
}

/// `,"_meta":{…serverInfo}` where the version asks for it.
fn server_info_meta(version: Version, server: &Server) -> String {
    if !version.is_stateless() {
        return String::new();
    }
    format!(
        ",\"_meta\":{{\"io.modelcontextprotocol/serverInfo\":{}}}",
        server_info(server)
    )
}

pub(super) fn server_info(server: &Server) -> Value {
    json!({
        "name": server.slug,
        "title": server.title,
        "version": env!("CARGO_PKG_VERSION"),
    })
}

/// A result that is one object member: `{"tools":[…]}` and the like, with what makes it cacheable.
pub(super) fn cacheable(version: Version, server: &Server, private: bool, members: &str) -> String {
    let cache = if version.is_stateless() {
        let scope = if private { "private" } else { "public" };
        format!(",\"ttlMs\":{LIST_TTL_MS},\"cacheScope\":\"{scope}\"")
    } else {
        String::new()
    };
    format!(
        "{{{}{members}{cache}{}}}",
        head(version),
        server_info_meta(version, server)
    )
}

/// A result without caching, from the object it is.
pub(super) fn plain(version: Version, server: &Server, mut result: Value) -> String {
    if let Some(result) = result.as_object_mut().filter(|_| version.is_stateless()) {
        result.insert("resultType".into(), json!("complete"));
        let meta = result.entry("_meta").or_insert_with(|| json!({}));
        if let Some(meta) = meta.as_object_mut() {
            let key = "io.modelcontextprotocol/serverInfo";
            meta.insert(key.into(), server_info(server));
        }
    }
    result.to_string()
}

pub(super) fn outcome(version: Version, server: &Server, outcome: &CallOutcome) -> String {
    match outcome {
        CallOutcome::Complete(outcome) => complete(version, server, outcome),
        CallOutcome::InputRequired(input) => input_required(version, server, input),
    }
}

fn complete(version: Version, server: &Server, outcome: &ToolOutcome) -> String {
    let mut text = String::from("{");
    text.push_str(head(version));
    text.push_str("\"content\":[");
    for (index, content) in outcome.content.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        push_content(&mut text, version, content);
    }
    text.push(']');
    if let Some(structured) = &outcome.structured
        && version >= Version::V2025_06_18
        && (version.is_stateless() || structured.get().starts_with('{'))
    {
        text.push_str(",\"structuredContent\":");
        text.push_str(structured.get());
    }
    text.push_str(if outcome.is_error {
        ",\"isError\":true"
    } else {
        ",\"isError\":false"
    });
    match (&outcome.meta, version.is_stateless()) {
        (Some(meta), stateless) => {
            let mut meta = meta.clone();
            if stateless && let Some(meta) = meta.as_object_mut() {
                meta.insert(
                    "io.modelcontextprotocol/serverInfo".into(),
                    server_info(server),
                );
            }
            text.push_str(",\"_meta\":");
            text.push_str(&meta.to_string());
        }
        (None, _) => text.push_str(&server_info_meta(version, server)),
    }
    text.push('}');
    text
}

fn input_required(version: Version, server: &Server, input: &InputRequired) -> String {
    let mut text = format!(
        "{{\"resultType\":\"input_required\",\"inputRequests\":{}",
        input.requests
    );
    if let Some(state) = &input.state {
        text.push_str(",\"requestState\":");
        text.push_str(&quote(state));
    }
    text.push_str(&server_info_meta(version, server));
    text.push('}');
    text
}

fn push_content(text: &mut String, version: Version, content: &Content) {
    match content {
        Content::Text(body) => {
            text.push_str("{\"type\":\"text\",\"text\":");
            text.push_str(&quote(body));
            text.push('}');
        }
        Content::Image { data, media_type } => push_data(text, "image", data, media_type),
        Content::Audio { data, media_type } if version >= Version::V2025_03_26 => {
            push_data(text, "audio", data, media_type);
        }
        Content::Audio { data, media_type } => {
            let resource = Resource {
                uri: "causeway:answer".to_owned(),
                media_type: Some(media_type.clone()),
                body: ResourceBody::Blob(data.clone()),
            };
            push_content(text, version, &Content::Resource(resource));
        }
        Content::Resource(resource) => {
            text.push_str("{\"type\":\"resource\",\"resource\":");
            text.push_str(&contents(resource));
            text.push('}');
        }
        Content::Link {
            uri,
            name,
            media_type,
            size,
        } if version >= Version::V2025_06_18 => {
            let mut link = json!({ "type": "resource_link", "uri": uri, "name": name });
            if let Some(media_type) = media_type {
                link["mimeType"] = json!(media_type);
            }
            if let Some(size) = size {
                link["size"] = json!(size);
            }
            text.push_str(&link.to_string());
        }
        Content::Link { uri, name, .. } => {
            push_content(text, version, &Content::Text(format!("{name}: {uri}")));
        }
    }
}

fn push_data(text: &mut String, kind: &str, data: &str, media_type: &str) {
    // Base64 needs no escaping.
    text.push_str("{\"type\":\"");
    text.push_str(kind);
    text.push_str("\",\"data\":\"");
    text.push_str(data);
    text.push_str("\",\"mimeType\":");
    text.push_str(&quote(media_type));
    text.push('}');
}

/// MCP `ResourceContents`.
pub(super) fn contents(resource: &Resource) -> String {
    let mut text = format!("{{\"uri\":{}", quote(&resource.uri));
    if let Some(media_type) = &resource.media_type {
        text.push_str(",\"mimeType\":");
        text.push_str(&quote(media_type));
    }
    match &resource.body {
        ResourceBody::Text(body) => {
            text.push_str(",\"text\":");
            text.push_str(&quote(body));
        }
        ResourceBody::Blob(data) => {
            text.push_str(",\"blob\":\"");
            text.push_str(data);
            text.push('"');
        }
    }
    text.push('}');
    text
}
