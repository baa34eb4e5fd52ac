//! Bodies of requests and saved answers: the media type, and a schema made of what was saved.

use serde_json::{Map, Value, json};

use crate::openapi::foreign::outline::{cut, field as form_field};
use crate::openapi::foreign::postman::description;
use crate::openapi::foreign::sample::{Patience, Shape, UNKNOWN};
use crate::openapi::pointer::text;

const FORM: &str = "application/x-www-form-urlencoded";

/// The request body as OpenAPI writes it. `content_type` is the header's, if there is one; `others` are
/// bodies of saved examples of the same request.
pub fn request_body(
    body: &Value,
    content_type: Option<&str>,
    others: &[&Value],
    patience: &mut Patience,
) -> Option<Value> {
    if body.get("disabled") == Some(&Value::Bool(true)) {
        return None;
    }
    let mode = body.get("mode").and_then(Value::as_str)?;
    let (media, content) = match mode {
        "raw" => raw(body, content_type, others, patience)?,
        "urlencoded" => (
            FORM.to_owned(),
            json!({"schema": form(body, "urlencoded")?}),
        ),
        "formdata" => (
            "multipart/form-data".to_owned(),
            json!({"schema": form(body, "formdata")?}),
        ),
        "file" => {
            let media = content_type.unwrap_or("application/octet-stream");
            (
                media.to_owned(),
                json!({"schema": {"type": "string", "format": "binary"}}),
            )
        }
        _ => return None,
    };
    Some(json!({"required": true, "content": {media: content}}))
}

fn raw(
    body: &Value,
    content_type: Option<&str>,
    others: &[&Value],
    patience: &mut Patience,
) -> Option<(String, Value)> {
    let written = body.get("raw").and_then(Value::as_str).unwrap_or_default();
    let language = body
        .pointer("/options/raw/language")
        .and_then(Value::as_str);
    let sample = json(written);
    if written.trim().is_empty() && language.is_none() {
        return None;
    }
    let media = match (content_type, language) {
        (Some(media), _) => media.to_owned(),
        (None, Some("json")) => "application/json".to_owned(),
        (None, Some("xml")) => "application/xml".to_owned(),
        (None, Some("html")) => "text/html".to_owned(),
        (None, Some("javascript")) => "application/javascript".to_owned(),
        (None, _)
            if sample
                .as_ref()
                .is_some_and(|s| s.is_object() || s.is_array()) =>
        {
            "application/json".to_owned()
        }
        (None, _) => "text/plain".to_owned(),
    };
    if !media.contains("json") {
        return Some((media, json!({"schema": {"type": "string"}})));
    }
    let mut shape = Shape::default();
    if let Some(sample) = &sample {
        shape.add(sample, patience);
    }
    for other in others {
        let other = other.get("raw").and_then(Value::as_str).and_then(json);
        if let Some(sample) = other {
            shape.add(&sample, patience);
        }
    }
    Some((media, json!({"schema": shape.schema(true)})))
}

/// The fields of a form, with files where it is multipart.
fn form(body: &Value, mode: &str) -> Option<Value> {
    let fields = body.get(mode)?.as_array()?;
    let mut properties = Map::new();
    for field in fields {
        let Some(name) = field
            .get("key")
            .and_then(text)
            .filter(|key| !key.is_empty())
        else {
            continue;
        };
        let value = field.get("value").and_then(text).unwrap_or_default();
        let mut schema = if field.get("type").and_then(Value::as_str) == Some("file") {
            json!({"type": "string", "format": "binary"})
        } else {
            form_field(&name, &value)
        };
        if let Some(words) = description(field) {
            schema["description"] = cut(&words).into();
        }
        // A field that occurs twice is a list.
        let schema = if properties.contains_key(&name) {
            json!({"type": "array", "items": schema})
        } else {
            schema
        };
        properties.insert(name, schema);
    }
    (!properties.is_empty()).then(|| json!({"type": "object", "properties": properties}))
}

/// A GraphQL request by template: the query is its own, its variables are arguments.
pub fn graphql(body: &Value, patience: &mut Patience) -> Option<Map<String, Value>> {
    let part = body
        .get("graphql")
        .filter(|_| body.get("mode") == Some(&Value::from("graphql")))?;
    let query = part.get("query").and_then(text).unwrap_or_default();
    let variables = match part.get("variables") {
        Some(Value::String(written)) => json(written),
        Some(other) => Some(other.clone()),
        None => None,
    };
    let mut arguments = Map::new();
    for (name, value) in variables
        .as_ref()
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let mut shape = Shape::default();
        shape.add(value, patience);
        arguments.insert(name.clone(), shape.schema(true));
    }
    let value = |name: &str| format!("{{{{toJson (index .args {})}}}}", Value::from(name));
    let variables = if arguments.is_empty() {
        arguments.insert("variables".to_owned(), json!({"type": "object"}));
        value("variables")
    } else {
        let member = |name: &String| {
            let name = name.as_str();
            format!(
                "{}:{}",
                plain_text(&Value::from(name).to_string()),
                value(name)
            )
        };
        let members: Vec<String> = arguments.keys().map(member).collect();
        format!("{{ {} }}", members.join(","))
    };
    let query = plain_text(&Value::from(cut(&query)).to_string());
    let template = format!("{{ \"query\":{query},\"variables\":{variables} }}");
    let mut declared = Map::new();
    declared.insert("arguments".to_owned(), Value::Object(arguments));
    let body = json!({"mediaType": "application/json", "template": template});
    declared.insert("body".to_owned(), body);
    Some(declared)
}

/// A text of JSON whose braces are no action of a template.
fn plain_text(json: &str) -> String {
    json.replace("{{", "{\\u007b").replace("}}", "}\\u007d")
}

/// JSON as people write it into Postman: with `{{variables}}` in place of values, and with comments.
pub fn json(written: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(written) {
        return Some(value);
    }
    serde_json::from_str(&plain_json(written)).ok()
}

fn plain_json(written: &str) -> String {
    let unknown = Value::from(UNKNOWN).to_string();
    let mut out = String::with_capacity(written.len());
    let mut rest = written;
    let mut quoted = false;
    // A variable ends here at the latest, counted from the end.
    let last_close = written.rfind("}}").map_or(0, |at| written.len() - at);
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '\\' if quoted => {
                let escaped: String = rest.chars().take(2).collect();
                out.push_str(&escaped);
                escaped.len()
            }
            '"' => {
                quoted = !quoted;
                out.push(c);
                1
            }
            '{' if !quoted
                && rest.starts_with("{{")
                && last_close > 0
                && rest.len() > last_close =>
            {
                out.push_str(&unknown);
                rest.find("}}").map_or(rest.len(), |at| at + 2)
            }
            '/' if !quoted && rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if !quoted && rest.starts_with("/*") => {
                rest.find("*/").map_or(rest.len(), |at| at + 2)
            }
            c => {
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[skipped..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_comments_are_no_fault() {
        let written = r#"{
            // who
            "id": {{userId}}, /* and
            what */ "name": "{{name}} // kept",
            "quote": "a \" {{b}}"
        }"#;
        let value = json(written).unwrap();
        assert_eq!(value["id"], UNKNOWN);
        assert_eq!(value["name"], "{{name}} // kept");
        assert_eq!(json("{{whole}}").unwrap(), UNKNOWN);
        assert_eq!(json("{\"a\": {{b"), None);
        assert_eq!(json(r#"{"a":{"b":{}}}"#).unwrap()["a"]["b"], json!({}));
    }

    #[test]
    fn each_mode_has_its_media_type() {
        let of = |body: Value| request_body(&body, None, &[], &mut Patience::default());
        let form = of(json!({"mode": "formdata", "formdata": [
            {"key": "photo", "type": "file", "src": "/home/me/x.png"},
            {"key": "caption", "type": "text", "value": "A ship", "description": {"content": "What it shows."}},
            {"key": "password", "type": "text", "value": "hunter2"},
        ]}));
        let form = form.unwrap();
        let schema = &form["content"]["multipart/form-data"]["schema"];
        assert_eq!(
            schema["properties"]["photo"],
            json!({"type": "string", "format": "binary"})
        );
        assert_eq!(
            schema["properties"]["caption"]["description"],
            "What it shows."
        );
        assert!(!form.to_string().contains("hunter2") && !form.to_string().contains("/home"));
        let file = of(json!({"mode": "file", "file": {"src": "x"}})).unwrap();
        assert!(file["content"].get("application/octet-stream").is_some());
        assert_eq!(of(json!({"mode": "raw", "raw": ""})), None);
        assert_eq!(
            of(json!({"mode": "raw", "raw": "{}", "disabled": true})),
            None
        );
        let xml =
            of(json!({"mode": "raw", "raw": "<a/>", "options": {"raw": {"language": "xml"}}}));
        assert!(xml.unwrap()["content"].get("application/xml").is_some());
    }

    #[test]
    fn a_long_row_of_braces_is_read_at_once() {
        let start = std::time::Instant::now();
        assert_eq!(json(&"{".repeat(100_000)), None);
        let closed = format!("{}}}}}", "{".repeat(100_000));
        assert_eq!(json(&closed).unwrap(), UNKNOWN);
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }
}
