//! What is told to whoever looks on while a client connects (see [`crate::mcp::watch`]).

use http::StatusCode;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::mcp::endpoint::Endpoint;
use crate::mcp::endpoint::admit::Admitted;
use crate::mcp::endpoint::dispatch::Exchange;
use crate::mcp::endpoint::wire::{ClientInfo, Params, RpcError};
use crate::mcp::watch::{Event, What, noted};
use crate::types::KeyId;

/// What of a result is told.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(default)]
    tools: Vec<IgnoredAny>,
    #[serde(default)]
    is_error: bool,
    #[serde(default)]
    content: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

/// A request that was answered.
pub(super) fn answered(
    exchange: &Exchange,
    (method, params): (&str, &Params<'_>),
    result: &Result<String, RpcError>,
) {
    let watch = &exchange.mcp.watch;
    if !watch.is_on() {
        return;
    }
    watch.note(
        exchange.server.id,
        Event {
            at: exchange.mcp.clock.now(),
            key: exchange.caller.key,
            client: client(params),
            what: what((method, params), result),
        },
    );
}

fn what((method, params): (&str, &Params<'_>), result: &Result<String, RpcError>) -> What {
    let told = result.as_ref().ok();
    let told: Option<Told> = told.and_then(|text| serde_json::from_str(text).ok());
    let mut fault = result.as_ref().err().map(|error| noted(&error.message));
    match (method, told) {
        ("initialize" | "server/discover", _) if fault.is_none() => What::Met,
        ("tools/list", Some(told)) => What::Listed {
            tools: told.tools.len(),
            more: params.cursor.as_deref().is_some_and(|at| !at.is_empty()),
        },
        ("tools/call", told) => {
            if let Some(told) = told.filter(|told| told.is_error) {
                let text = told.content.first().map_or("", |part| &part.text);
                fault = Some(noted(text));
            }
            What::Called {
                tool: noted(params.name.as_deref().unwrap_or_default()),
                fault,
            }
        }
        _ => What::Asked {
            method: noted(method),
            fault,
        },
    }
}

/// What a client calls itself, with its version.
fn client(params: &Params<'_>) -> Option<String> {
    let meta = params.meta.as_ref();
    let stated = meta.and_then(|meta| meta.client_info.as_ref());
    let ClientInfo { name, version } = stated.or(params.client_info.as_ref())?;
    let version = version.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    Some(noted(&match version {
        Some(version) => format!("{name} {version}"),
        None => name.to_string(),
    }))
}

/// A request that was refused before it was dispatched.
pub(super) fn misread(admitted: &Admitted, method: &str, error: &RpcError) {
    let mcp = &admitted.endpoint.0.parts.mcp;
    if !mcp.watch.is_on() {
        return;
    }
    let event = Event {
        at: mcp.clock.now(),
        key: admitted.caller.key,
        client: None,
        what: What::Asked {
            method: noted(method),
            fault: Some(noted(&error.message)),
        },
    };
    mcp.watch.note(admitted.server.id, event);
}

/// Somebody was not let in.
pub(super) fn refused(endpoint: &Endpoint, (slug, key): (&str, Option<KeyId>), status: StatusCode) {
    let mcp = &endpoint.0.parts.mcp;
    if !mcp.watch.is_on() {
        return;
    }
    if let Some(entry) = endpoint.0.parts.catalog.find(slug) {
        let event = Event {
            at: mcp.clock.now(),
            key,
            client: None,
            what: What::Refused {
                status: status.as_u16(),
            },
        };
        mcp.watch.note(entry.id, event);
    }
}
