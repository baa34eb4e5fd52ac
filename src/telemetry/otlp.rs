//! Spans as OTLP writes them in JSON (opentelemetry-proto 1.x, `ExportTraceServiceRequest`; ids in
//! hexadecimal, numbers of 64 bits as texts).

use serde_json::{Value as Json, json};

use crate::telemetry::{Span, Value};

/// A request with these spans, which were made by the process `instance`.
pub(super) fn request(spans: &[Span], instance: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let resource: Vec<Json> = [
        ("service.name", "causeway"),
        ("service.version", version),
        ("service.instance.id", instance),
    ]
    .iter()
    .map(|(key, value)| attribute(key, &Value::from(*value)))
    .collect();
    let spans: Vec<Json> = spans.iter().map(span).collect();
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": { "name": "causeway", "version": version }, "spans": spans }],
    }] })
    .to_string()
}

fn span(span: &Span) -> Json {
    let attributes = span.attributes.iter();
    let mut attributes: Vec<Json> = attributes
        .map(|(key, value)| attribute(key, value))
        .collect();
    if let Some(error) = span.error {
        attributes.push(attribute("error.type", &Value::from(error)));
    }
    let mut written = json!({
        "traceId": span.trace,
        "spanId": format!("{:016x}", span.id),
        "name": span.name,
        "kind": span.kind as i32,
        "startTimeUnixNano": span.start.to_string(),
        "endTimeUnixNano": span.end.to_string(),
        "attributes": attributes,
        // 0 unset, 2 error.
        "status": { "code": if span.error.is_some() { 2 } else { 0 } },
    });
    if let Some(parent) = span.parent {
        written["parentSpanId"] = format!("{parent:016x}").into();
    }
    written
}

fn attribute(key: &str, value: &Value) -> Json {
    let value = match value {
        Value::Text(text) => json!({ "stringValue": text }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::Texts(texts) => {
            let values = texts.iter().map(|text| json!({ "stringValue": text }));
            json!({ "arrayValue": { "values": values.collect::<Vec<_>>() } })
        }
    };
    json!({ "key": key, "value": value })
}
