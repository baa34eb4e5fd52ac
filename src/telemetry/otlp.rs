//! Spans and measures as OTLP writes them in JSON (opentelemetry-proto 1.x, `ExportTraceServiceRequest` and
//! `ExportMetricsServiceRequest`; ids in hexadecimal, numbers of 64 bits as texts).

use std::sync::LazyLock;

use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::telemetry::{Measure, Point, Span, Value};
use crate::types::Moment;

/// What a measure counts from (`AggregationTemporality`): the beginning of the process.
const CUMULATIVE: i32 = 2;

/// What the process is called, in everything it sends.
static INSTANCE: LazyLock<String> = LazyLock::new(|| Uuid::now_v7().to_string());

/// A request with these spans.
pub(super) fn request(spans: &[Span]) -> String {
    let spans: Vec<Json> = spans.iter().map(span).collect();
    json!({ "resourceSpans": [{
        "resource": resource(),
        "scopeSpans": [{ "scope": scope(), "spans": spans }],
    }] })
    .to_string()
}

/// A request with these measures, as they are at this moment.
pub(super) fn measures(measures: &[Measure], now: Moment) -> String {
    let since = |point: &Point| now.nanos_of(point.since).to_string();
    let at = now.nanos_of(now.at).to_string();
    let measures = measures.iter().map(|measure| {
        let points = measure.points.iter();
        let points = points.map(|point| spread(point, (&since(point), &at)));
        json!({
            "name": measure.name,
            "unit": measure.unit,
            "description": measure.help,
            "histogram": {
                "aggregationTemporality": CUMULATIVE,
                "dataPoints": points.collect::<Vec<_>>(),
            },
        })
    });
    json!({ "resourceMetrics": [{
        "resource": resource(),
        "scopeMetrics": [{ "scope": scope(), "metrics": measures.collect::<Vec<_>>() }],
    }] })
    .to_string()
}

fn spread(point: &Point, (since, now): (&str, &str)) -> Json {
    let labels = point.labels.iter();
    let attributes = labels.map(|(key, value)| attribute(key, &Value::from(&**value)));
    let counts: Vec<String> = point.counts.iter().map(u64::to_string).collect();
    json!({
        "attributes": attributes.collect::<Vec<_>>(),
        "startTimeUnixNano": since,
        "timeUnixNano": now,
        "count": point.counts.iter().sum::<u64>().to_string(),
        "sum": point.sum,
        "bucketCounts": counts,
        "explicitBounds": point.ends,
    })
}

fn resource() -> Json {
    let attributes = [
        ("service.name", "causeway"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", &INSTANCE),
    ];
    let attributes = attributes.map(|(key, value)| attribute(key, &Value::from(value)));
    json!({ "attributes": attributes })
}

fn scope() -> Json {
    json!({ "name": "causeway", "version": env!("CARGO_PKG_VERSION") })
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use chrono::{DateTime, TimeDelta};

    use super::*;

    #[test]
    fn a_measure_tells_since_when_it_is_counted() {
        let at = Instant::now();
        let point = |since| Point {
            since,
            labels: Vec::new(),
            ends: vec![1.0],
            counts: vec![2, 1],
            sum: 4.5,
        };
        let measure = Measure {
            name: "tokens",
            unit: "{token}",
            help: "Tokens.",
            points: vec![point(at), point(at + Duration::from_mins(1))],
        };
        let now = Moment {
            at: at + Duration::from_mins(2),
            time: DateTime::UNIX_EPOCH + TimeDelta::days(1) + TimeDelta::minutes(2),
        };
        let said: Json = serde_json::from_str(&measures(&[measure], now)).unwrap();
        let points =
            &said["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["histogram"]["dataPoints"];
        for (place, since) in [(0, "86400000000000"), (1, "86460000000000")] {
            let point = &points[place];
            assert_eq!(point["startTimeUnixNano"], since, "{point}");
            assert_eq!(point["timeUnixNano"], "86520000000000", "{point}");
            assert_eq!(point["count"], "3", "{point}");
        }
    }
}
