//! A call to copy: over MCP as a curl command and as its message, and the request of the API as a curl
//! command. Nothing in them is a secret: a key is its placeholder, a credential its mark.

use serde_json::{Value, json};

use crate::market::pages::connect::{KEY, shell_word};
use crate::mcp::call::TracedRequest;

/// Headers that curl writes itself.
const WRITTEN_BY_CURL: [&str; 2] = ["content-length", "host"];

/// The texts of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copies {
    /// `tools/call` as a message.
    pub message: String,
    /// The same, sent with curl.
    pub curl: String,
}

impl Copies {
    /// A call of a tool at the address of its server.
    pub fn new(url: &str, open: bool, (tool, arguments): (&str, &Value)) -> Self {
        let message = json!({
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": { "name": tool, "arguments": arguments },
        });
        let mut lines = vec![
            format!("curl {}", shell_word(url)),
            "-H 'Content-Type: application/json'".to_owned(),
            "-H 'Accept: application/json, text/event-stream'".to_owned(),
        ];
        if !open {
            lines.push(format!("-H 'Authorization: Bearer {KEY}'"));
        }
        lines.push(format!("-d {}", shell_word(&message.to_string())));
        Self {
            message: format!("{message:#}"),
            curl: lines.join(" \\\n  "),
        }
    }
}

/// A request of an API as a curl command, a mark in the place of each secret. A body that is no text is
/// read from a file.
pub(crate) fn curl_of(request: &TracedRequest) -> String {
    let mut lines = vec![format!(
        "curl -X {} {}",
        shell_word(&request.method),
        shell_word(&request.url)
    )];
    for (name, values) in &request.headers {
        if WRITTEN_BY_CURL.contains(&name.to_ascii_lowercase().as_str()) {
            continue;
        }
        for value in values {
            lines.push(format!("-H {}", shell_word(&format!("{name}: {value}"))));
        }
    }
    match &request.body {
        Some(body) => lines.push(format!("--data-raw {}", shell_word(body))),
        None if request.body_bytes > 0 => lines.push("--data-binary @BODY".to_owned()),
        None => {}
    }
    lines.join(" \\\n  ")
}

/// Arguments a tool could be called with: what its schema requires, by the examples it gives.
pub(crate) fn example(schema: &Value) -> Value {
    let required = crate::market::pages::tool::required(schema);
    let properties = schema.get("properties");
    let arguments = required.iter().map(|name| {
        let property = properties.and_then(|all| all.get(name));
        let value = property.map_or(Value::Null, value);
        ((*name).to_owned(), value)
    });
    Value::Object(arguments.collect())
}

fn value(schema: &Value) -> Value {
    let given = ["example", "default", "const"];
    let given = given.iter().find_map(|key| schema.get(key));
    let mut listed = ["examples", "enum"].iter();
    let listed = listed.find_map(|key| schema.get(key)?.get(0));
    if let Some(value) = given.or(listed) {
        return value.clone();
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        kind => kind.and_then(Value::as_str),
    };
    match kind {
        Some("string") => json!(""),
        Some("integer" | "number") => json!(0),
        Some("boolean") => json!(false),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_what_is_meant_whatever_a_document_says() {
        let hostile = "it's $(reboot) `id` \\ \"x\"";
        let copies = Copies::new(
            "https://mcp.example.com/mcp/a",
            false,
            ("call", &json!({ "text": hostile })),
        );
        assert!(copies.curl.contains("-H 'Authorization: Bearer YOUR_KEY'"));
        let data = copies.curl.rsplit_once("-d ").unwrap().1;
        let unquoted = data[1..data.len() - 1].replace(r"'\''", "'");
        let message: Value = serde_json::from_str(&unquoted).unwrap();
        assert_eq!(message["params"]["arguments"]["text"], hostile);
        assert_eq!(
            serde_json::from_str::<Value>(&copies.message).unwrap(),
            message
        );
        let open = Copies::new("https://a.example", true, ("a", &json!({})));
        assert!(!open.curl.contains("Authorization"), "{}", open.curl);
    }

    #[test]
    fn a_request_of_the_api_is_written_as_it_is_sent() {
        let mut request = TracedRequest {
            method: "POST".to_owned(),
            url: "https://api.example.com/a?b=1&c=2".to_owned(),
            headers: indexmap::IndexMap::from([
                (
                    "content-type".to_owned(),
                    vec!["application/json".to_owned()],
                ),
                ("content-length".to_owned(), vec!["7".to_owned()]),
                ("x-key".to_owned(), vec!["***".to_owned()]),
            ]),
            body: Some("{\"a\":1}".to_owned()),
            body_bytes: 7,
        };
        assert_eq!(
            curl_of(&request),
            "curl -X POST 'https://api.example.com/a?b=1&c=2' \\\n  \
             -H 'content-type: application/json' \\\n  -H 'x-key: ***' \\\n  \
             --data-raw '{\"a\":1}'"
        );
        request.body = None;
        assert!(curl_of(&request).ends_with("--data-binary @BODY"));
    }

    #[test]
    fn arguments_are_those_that_are_required() {
        let schema = json!({
            "required": ["id", "kind", "when", "note"],
            "properties": {
                "id": { "type": "integer" }, "kind": { "enum": ["a", "b"] },
                "when": { "type": ["string", "null"] }, "other": { "type": "string" },
                "note": { "type": "string", "examples": ["hello"] },
            },
        });
        let expected = json!({ "id": 0, "kind": "a", "when": "", "note": "hello" });
        assert_eq!(example(&schema), expected);
    }
}
