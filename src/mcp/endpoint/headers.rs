//! The headers of MCP 2026-07-28: what a request says of itself outside its body has to be what the
//! body says (transports, "Standard request headers").

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::mcp::endpoint::version::Version;
use crate::mcp::endpoint::wire::{
    HEADER_MISMATCH, INVALID_PARAMS, Params, RpcError, UNSUPPORTED_VERSION,
};
use crate::mcp::server::Server;
use crate::mcp::tool::Tool;

/// What a request's version is: stated in the body, in the header, or not at all.
pub(super) fn version(
    headers: &HeaderMap,
    method: &str,
    params: &Params<'_>,
) -> Result<Version, RpcError> {
    let header = text(headers, "mcp-protocol-version");
    let stated = params
        .meta
        .as_ref()
        .and_then(|meta| meta.protocol_version.as_deref());
    if method == "initialize" && stated.is_none() {
        return Ok(params
            .protocol_version
            .as_deref()
            .and_then(Version::parse)
            .filter(|version| !version.is_stateless())
            .unwrap_or(Version::LATEST_WITH_HANDSHAKE));
    }
    match (stated, header.as_deref()) {
        (Some(stated), Some(header)) if header != stated => Err(mismatch(format!(
            "MCP-Protocol-Version is \"{}\", and `_meta` says \"{}\"",
            shown(header),
            shown(stated)
        ))),
        (Some(stated), header) => match Version::parse(stated) {
            Some(version) if version.is_stateless() && header.is_none() => Err(mismatch(
                "the MCP-Protocol-Version header is missing".to_owned(),
            )),
            version => version.ok_or_else(|| unsupported(stated)),
        },
        (None, Some(header)) => match Version::parse(header) {
            Some(version) if version.is_stateless() => Err(RpcError::invalid_params(
                "`_meta` has to carry io.modelcontextprotocol/protocolVersion",
            )),
            Some(version) => Ok(version),
            None => Err(unsupported(header)),
        },
        (None, None) if method == "server/discover" => Err(RpcError::invalid_params(
            "`_meta` has to carry io.modelcontextprotocol/protocolVersion",
        )),
        (None, None) => Ok(Version::UNSTATED),
    }
}

/// Whether the header says that the request stands alone; a session means nothing to it.
pub(super) fn is_stateless(headers: &HeaderMap) -> bool {
    let header = text(headers, "mcp-protocol-version");
    header
        .and_then(|text| Version::parse(&text))
        .is_some_and(Version::is_stateless)
}

/// Within a session the version is settled, but what the header says has to be one we know.
pub(super) fn known(headers: &HeaderMap) -> Result<(), RpcError> {
    match text(headers, "mcp-protocol-version") {
        Some(stated) if Version::parse(&stated).is_none() => Err(unsupported(&stated)),
        _ => Ok(()),
    }
}

/// Checks of a stateless request that go beyond its version.
pub(super) fn check(
    headers: &HeaderMap,
    method: &str,
    params: &Params<'_>,
) -> Result<(), RpcError> {
    let meta = params.meta.as_ref();
    let capabilities = meta.and_then(|meta| meta.client_capabilities);
    if capabilities.is_none_or(|raw| !raw.get().starts_with('{')) {
        return Err(RpcError::new(
            INVALID_PARAMS,
            "`_meta` has to carry io.modelcontextprotocol/clientCapabilities, an object",
        ));
    }
    match text(headers, "mcp-method") {
        Some(stated) if stated == method => {}
        Some(stated) => {
            return Err(mismatch(format!(
                "Mcp-Method is \"{}\", and the method is \"{method}\"",
                shown(&stated)
            )));
        }
        None => return Err(mismatch("the Mcp-Method header is missing".to_owned())),
    }
    let name = match method {
        "tools/call" | "prompts/get" => params.name.as_deref(),
        "resources/read" => params.uri.as_deref(),
        _ => return Ok(()),
    };
    let Some(name) = name else { return Ok(()) };
    match text(headers, "mcp-name").map(decode) {
        Some(Some(stated)) if stated == name => Ok(()),
        Some(_) => Err(mismatch(
            "Mcp-Name does not name what the body names".to_owned(),
        )),
        None => Err(mismatch("the Mcp-Name header is missing".to_owned())),
    }
}

/// `Mcp-Param-*`: arguments whose schema has `x-mcp-header` are repeated in headers.
pub(super) fn check_arguments(
    headers: &HeaderMap,
    server: &Server,
    may: impl Fn(&Tool) -> bool,
    params: &Params<'_>,
) -> Result<(), RpcError> {
    let named = params
        .name
        .as_deref()
        .and_then(|name| server.tools.get(name));
    // What is not the caller's to use is refused later, as a tool that is not there.
    let Some(tool) = named.filter(|tool| may(tool)) else {
        return Ok(());
    };
    if tool.header_arguments.is_empty() {
        return Ok(());
    }
    let arguments: Value = params
        .arguments
        .and_then(|raw: &RawValue| serde_json::from_str(raw.get()).ok())
        .unwrap_or_else(|| json!({}));
    for (header, pointer) in &tool.header_arguments {
        let given = arguments.pointer(pointer).filter(|value| !value.is_null());
        let stated = text(
            headers,
            &format!("mcp-param-{}", header.to_ascii_lowercase()),
        );
        let agrees = match (given, stated.map(decode)) {
            (None, None) => true,
            (Some(Value::String(value)), Some(Some(stated))) => *value == stated,
            (Some(value), Some(Some(stated))) => {
                serde_json::from_str::<Value>(&stated).is_ok_and(|stated| stated == *value)
            }
            _ => false,
        };
        if !agrees {
            return Err(mismatch(format!(
                "Mcp-Param-{header} does not repeat its argument"
            )));
        }
    }
    Ok(())
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<Cow<'h, str>> {
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
}

/// `=?base64?…?=` where the text is not plain ASCII. `None`: it says so and is not.
fn decode(text: Cow<'_, str>) -> Option<String> {
    match text
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="))
    {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
        None => Some(text.into_owned()),
    }
}

fn mismatch(message: String) -> RpcError {
    RpcError::new(HEADER_MISMATCH, message)
}

fn unsupported(requested: &str) -> RpcError {
    let supported: Vec<&str> = Version::ALL
        .iter()
        .map(|version| version.as_str())
        .collect();
    RpcError {
        code: UNSUPPORTED_VERSION,
        message: "this protocol version is not supported".into(),
        data: Some(json!({ "supported": supported, "requested": shown(requested) })),
    }
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}
