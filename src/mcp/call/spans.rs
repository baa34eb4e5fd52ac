//! What the spans of a call say, by the semantic conventions of OpenTelemetry (MCP, GenAI, HTTP). Names, numbers
//! and statuses only: never an argument, and so no path as it was sent, but its template.

use std::time::Instant;

use http::{HeaderName, HeaderValue, Method};

use crate::access::ledger::{LedgerEntry, LedgerStatus};
use crate::egress::EgressError;
use crate::mcp::call::exchange::Work;
use crate::telemetry::{Attributes, Kind, Recording, Rest, Value, span_id};
use crate::types::{UpstreamRequest, UpstreamResponse};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A part of a call that is no exchange with anybody.
pub(crate) fn part(recording: &mut Recording, began: Instant, name: &str) {
    let what = (span_id(), name.to_owned(), Kind::Internal);
    recording.add(what, began, Rest::default());
}

/// The call itself.
pub(crate) fn end(recording: Recording, entry: &LedgerEntry) {
    let error = match entry.status {
        LedgerStatus::Ok => None,
        LedgerStatus::ToolError => Some("tool_error"),
        LedgerStatus::Refused => Some("refused"),
        LedgerStatus::Cancelled => Some("cancelled"),
        LedgerStatus::Timeout => Some("timeout"),
        LedgerStatus::Closed => Some("closed"),
    };
    let attributes = vec![
        ("mcp.method.name", Value::from("tools/call")),
        ("gen_ai.operation.name", Value::from("execute_tool")),
        ("gen_ai.tool.name", Value::from(entry.called.name())),
        ("causeway.server", Value::from(recording.about.as_str())),
    ];
    let name = format!("tools/call {}", entry.called.name());
    recording.end(name, Rest { attributes, error });
}

/// A request on its way to the API.
pub(crate) struct Leaving {
    id: u64,
    began: Instant,
    method: Method,
    attributes: Attributes,
}

impl Leaving {
    pub(crate) fn of(
        recording: &Recording,
        work: &Work<'_>,
        request: &mut UpstreamRequest,
        sent_before: u32,
    ) -> Self {
        let id = span_id();
        let mappings = &work.server.settings.pass_through;
        let passes = mappings
            .iter()
            .any(|it| it.to.eq_ignore_ascii_case(TRACEPARENT.as_str()));
        if passes
            && request.headers.contains_key(TRACEPARENT)
            && let Ok(value) = HeaderValue::from_str(&recording.traceparent(id))
        {
            request.headers.insert(TRACEPARENT, value);
        }
        let template = work.tool.def.binding.path.raw.as_str();
        let mut attributes = vec![
            ("http.request.method", Value::from(request.method.as_str())),
            ("url.scheme", Value::from(request.url.scheme())),
            ("url.template", Value::from(template)),
            ("http.request.body.size", Value::from(request.body.len())),
        ];
        if let Some(host) = request.url.host_str() {
            attributes.push(("server.address", Value::from(host)));
        }
        if let Some(port) = request.url.port_or_known_default() {
            attributes.push(("server.port", Value::from(port)));
        }
        if sent_before > 0 {
            let count = Value::Number(sent_before.into());
            attributes.push(("http.request.resend_count", count));
        }
        Self {
            id,
            began: Instant::now(),
            method: request.method.clone(),
            attributes,
        }
    }

    /// It was answered, or was not.
    pub(crate) fn arrived(
        mut self,
        recording: &mut Recording,
        sent: &Result<UpstreamResponse, EgressError>,
    ) {
        let error = match sent {
            Ok(response) => {
                let status = response.status.as_u16();
                let bytes = Value::from(response.body.len());
                self.attributes
                    .push(("http.response.status_code", Value::from(status)));
                self.attributes.push(("http.response.body.size", bytes));
                match status {
                    ..400 => None,
                    400..500 => Some("4xx"),
                    _ => Some("5xx"),
                }
            }
            Err(EgressError::TimedOut { .. }) => Some("timeout"),
            Err(EgressError::Cancelled) => Some("cancelled"),
            Err(EgressError::Refused(_) | EgressError::RefusedName { .. }) => Some("refused"),
            Err(_) => Some("unreachable"),
        };
        let name = self.method.to_string();
        let attributes = self.attributes;
        let rest = Rest { attributes, error };
        recording.add((self.id, name, Kind::Client), self.began, rest);
    }
}
