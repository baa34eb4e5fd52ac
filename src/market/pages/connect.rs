//! How to add a server to the clients people use. A text holds a key only right after it was made; a
//! link never does.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use url::form_urlencoded::byte_serialize;

use crate::market::language::{Html, Language};

/// Stands for the reader's key.
pub const KEY: &str = "YOUR_KEY";
const OTHER: Label = Label::Message("snippet-other");
/// The environment variable the reader's key is put into, where a client wants one.
const KEY_VARIABLE: &str = "CAUSEWAY_KEY";

/// What to copy for one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snippet {
    pub client: Label,
    /// Where it goes.
    pub place: Label,
    /// `sh`, `json` or `text`.
    pub language: &'static str,
    pub text: String,
    /// An address that opens the client with the server in it.
    pub link: Option<String>,
    /// Why the client cannot use the server yet, instead of a text: a message's key.
    pub not_yet: Option<&'static str>,
}

/// What a snippet is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// The same in every language: a product, a path.
    Name(&'static str),
    /// A message, by its key.
    Message(&'static str),
}

impl Label {
    pub fn said(self, language: Language) -> Html {
        match self {
            Self::Name(name) => name.into(),
            Self::Message(key) => language.say(key).into(),
        }
    }
}

/// A server as a client is told of it.
#[derive(Clone, Copy)]
struct Target<'a> {
    name: &'a str,
    url: &'a str,
    /// The key it is used with; `None`: it is open.
    key: Option<&'a str>,
}

/// The snippets for the server `name` at `url`, with a key or its placeholder unless it is open.
pub fn snippets(name: &str, url: &str, key: Option<&str>) -> Vec<Snippet> {
    let target = Target { name, url, key };
    // Whatever a link holds, browsers and others remember.
    let linked = Target {
        key: key.map(|_| KEY),
        ..target
    };
    vec![
        sh("Claude Code", claude_code(target)),
        Snippet {
            link: Some(cursor_link(linked)),
            ..servers("Cursor", "~/.cursor/mcp.json", target, None)
        },
        Snippet {
            link: Some(vs_code_link(linked)),
            ..json_file("VS Code", ".vscode/mcp.json", &vs_code(target))
        },
        sh("Codex", codex(target)),
        sh("Gemini CLI", gemini(target)),
        json_file(
            "Claude Desktop",
            "claude_desktop_config.json",
            &claude_desktop(target),
        ),
        connector("claude.ai", "snippet-claude-ai", target),
        connector("ChatGPT", "snippet-chatgpt", target),
        json_file(
            "Windsurf",
            "~/.codeium/windsurf/mcp_config.json",
            &json!({"mcpServers": {name: with_key(json!({"serverUrl": url}), target)}}),
        ),
        servers(
            "Cline",
            "cline_mcp_settings.json",
            target,
            Some("streamableHttp"),
        ),
        json_file("Zed", "settings.json", &zed(target)),
        servers(
            "Copilot CLI",
            "~/.copilot/mcp-config.json",
            target,
            Some("http"),
        ),
        json_file("OpenCode", "opencode.json", &open_code(target)),
        Snippet {
            client: OTHER,
            place: Label::Message("snippet-most"),
            ..servers("", "", target, Some("http"))
        },
        Snippet {
            client: Label::Message("snippet-many"),
            ..sh("", add_mcp(target))
        },
    ]
}

fn sh(client: &'static str, text: String) -> Snippet {
    Snippet {
        client: Label::Name(client),
        place: Label::Message("snippet-terminal"),
        language: "sh",
        text,
        link: None,
        not_yet: None,
    }
}

fn json_file(client: &'static str, place: &'static str, value: &Value) -> Snippet {
    Snippet {
        client: Label::Name(client),
        place: Label::Name(place),
        language: "json",
        text: format!("{value:#}"),
        link: None,
        not_yet: None,
    }
}

/// The form most clients read.
fn servers(
    client: &'static str,
    place: &'static str,
    target: Target<'_>,
    kind: Option<&str>,
) -> Snippet {
    let value = json!({"mcpServers": {target.name: entry(kind, target)}});
    json_file(client, place, &value)
}

/// A client in the cloud that is told an address and can send no key: it signs in with OAuth or not at all.
fn connector(client: &'static str, place: &'static str, target: Target<'_>) -> Snippet {
    let not_yet = match (target.key, target.url.starts_with("https://")) {
        (Some(_), _) => Some("snippet-oauth-only"),
        (None, false) => Some("snippet-https-only"),
        (None, true) => None,
    };
    Snippet {
        client: Label::Name(client),
        place: Label::Message(place),
        language: "text",
        text: target.url.to_owned(),
        link: None,
        not_yet,
    }
}

fn claude_code(target: Target<'_>) -> String {
    let mut text = format!("claude mcp add --transport http {}", words(target));
    if let Some(header) = header(target) {
        let _ = write!(text, " --header {header}");
    }
    text
}

fn codex(Target { name, url, key }: Target<'_>) -> String {
    let (name, url) = (shell_word(name), shell_word(url));
    let add = format!("codex mcp add {name} --url {url}");
    match key {
        None => add,
        Some(key) => {
            let key = shell_word(key);
            format!("export {KEY_VARIABLE}={key}\n{add} --bearer-token-env-var {KEY_VARIABLE}")
        }
    }
}

fn gemini(target: Target<'_>) -> String {
    let mut text = format!("gemini mcp add -s user -t http {}", words(target));
    if let Some(header) = header(target) {
        let _ = write!(text, " -H {header}");
    }
    text
}

fn add_mcp(target: Target<'_>) -> String {
    let mut text = format!("npx add-mcp {}", shell_word(target.url));
    if let Some(header) = header(target) {
        let _ = write!(text, " --header {header}");
    }
    let _ = write!(text, " -n {}", shell_word(target.name));
    text
}

/// It runs programs only, so a bridge does the talking. A space in an argument is lost on Windows, which
/// is why the header's value comes from the environment.
fn claude_desktop(Target { name, url, key }: Target<'_>) -> Value {
    let mut arguments = vec!["-y", "mcp-remote", url];
    if url.starts_with("http://") {
        arguments.push("--allow-http");
    }
    let mut server = json!({"command": "npx"});
    if let Some(key) = key {
        arguments.extend(["--header", "Authorization:${AUTHORIZATION}"]);
        server["env"] = json!({"AUTHORIZATION": format!("Bearer {key}")});
    }
    server["args"] = json!(arguments);
    json!({"mcpServers": {name: server}})
}

fn zed(target: Target<'_>) -> Value {
    let mut server = json!({"source": "custom"});
    merge(&mut server, entry(Some("http"), target));
    json!({"context_servers": {target.name: server}})
}

fn open_code(target: Target<'_>) -> Value {
    let mut server = entry(Some("remote"), target);
    server["enabled"] = json!(true);
    json!({"mcp": {target.name: server}})
}

/// VS Code asks for the key once and keeps it.
fn vs_code(target: Target<'_>) -> Value {
    let (server, input) = vs_code_parts(target);
    let mut file = json!({"servers": {target.name: server}});
    if let Some(input) = input {
        file["inputs"] = json!([input]);
    }
    file
}

fn vs_code_parts(target: Target<'_>) -> (Value, Option<Value>) {
    let Target { name, url, key } = target;
    if key.is_none() {
        return (entry(Some("http"), target), None);
    }
    let server = json!({
        "type": "http",
        "url": url,
        "headers": {"Authorization": format!("Bearer ${{input:{name}-key}}")},
    });
    let input = json!({
        "type": "promptString",
        "id": format!("{name}-key"),
        "description": format!("Key for {name}"),
        "password": true,
    });
    (server, Some(input))
}

fn vs_code_link(target: Target<'_>) -> String {
    let (mut server, input) = vs_code_parts(target);
    server["name"] = json!(target.name);
    if let Some(input) = input {
        server["inputs"] = json!([input]);
    }
    format!("vscode:mcp/install?{}", escaped(&server.to_string()))
}

fn cursor_link(target: Target<'_>) -> String {
    let config = BASE64.encode(entry(None, target).to_string());
    format!(
        "cursor://anysphere.cursor-deeplink/mcp/install?name={}&config={}",
        escaped(target.name),
        escaped(&config)
    )
}

/// A text as part of an address.
fn escaped(text: &str) -> String {
    let escaped: String = byte_serialize(text.as_bytes()).collect();
    // A plus is a space in forms only.
    escaped.replace('+', "%20")
}

fn entry(kind: Option<&str>, target: Target<'_>) -> Value {
    let mut entry = json!({});
    if let Some(kind) = kind {
        entry["type"] = kind.into();
    }
    entry["url"] = target.url.into();
    with_key(entry, target)
}

fn with_key(mut entry: Value, target: Target<'_>) -> Value {
    if let Some(key) = target.key {
        entry["headers"] = json!({"Authorization": format!("Bearer {key}")});
    }
    entry
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}

fn words(Target { name, url, .. }: Target<'_>) -> String {
    format!("{} {}", shell_word(name), shell_word(url))
}

fn header(target: Target<'_>) -> Option<String> {
    let key = target.key?;
    Some(format!("\"Authorization: Bearer {key}\""))
}

/// A word a POSIX shell takes as it is.
pub(crate) fn shell_word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/@%+,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://mcp.example.com/mcp/petstore";

    fn of(client: &'static str, key: Option<&str>) -> Snippet {
        let client = Some(Label::Name(client)).filter(|_| client != "Any other client");
        let client = client.unwrap_or(OTHER);
        let all = snippets("petstore", URL, key);
        all.into_iter().find(|s| s.client == client).unwrap()
    }

    fn text(client: &'static str, key: Option<&str>) -> String {
        of(client, key).text
    }

    #[test]
    fn command_lines_are_what_the_clients_accept() {
        assert_eq!(
            text("Claude Code", Some(KEY)),
            format!(
                "claude mcp add --transport http petstore {URL} \
                 --header \"Authorization: Bearer YOUR_KEY\""
            )
        );
        assert_eq!(
            text("Codex", Some(KEY)),
            format!(
                "export CAUSEWAY_KEY=YOUR_KEY\n\
                 codex mcp add petstore --url {URL} --bearer-token-env-var CAUSEWAY_KEY"
            )
        );
        assert_eq!(
            text("Gemini CLI", Some(KEY)),
            format!(
                "gemini mcp add -s user -t http petstore {URL} \
                 -H \"Authorization: Bearer YOUR_KEY\""
            )
        );
    }

    #[test]
    fn configuration_files_are_json_in_each_client_s_form() {
        let read = |client, key| serde_json::from_str::<Value>(&text(client, key)).unwrap();
        let headers = json!({"Authorization": "Bearer YOUR_KEY"});
        let key = Some(KEY);
        for (client, key, expected) in [
            (
                "Cursor",
                key,
                json!({"mcpServers": {"petstore": {"url": URL, "headers": headers}}}),
            ),
            (
                "Windsurf",
                key,
                json!({"mcpServers": {"petstore": {"serverUrl": URL, "headers": headers}}}),
            ),
            (
                "Zed",
                key,
                json!({"context_servers": {"petstore":
                    {"source": "custom", "type": "http", "url": URL, "headers": headers}}}),
            ),
            (
                "Claude Desktop",
                key,
                json!({"mcpServers": {"petstore": {"command": "npx",
                    "args": ["-y", "mcp-remote", URL, "--header", "Authorization:${AUTHORIZATION}"],
                    "env": {"AUTHORIZATION": "Bearer YOUR_KEY"}}}}),
            ),
            (
                "Any other client",
                None,
                json!({"mcpServers": {"petstore": {"type": "http", "url": URL}}}),
            ),
        ] {
            assert_eq!(read(client, key), expected, "{client}");
        }
        let code = read("VS Code", key);
        assert_eq!(
            code["servers"]["petstore"]["headers"]["Authorization"],
            "Bearer ${input:petstore-key}"
        );
        assert_eq!(code["inputs"][0]["id"], "petstore-key");
    }

    #[test]
    fn links_open_the_client_and_never_hold_a_key() {
        let config = |link: &str| {
            let url = url::Url::parse(link).unwrap();
            let config = url.query_pairs().find(|(name, _)| name == "config");
            let json = BASE64.decode(config.unwrap().1.as_bytes()).unwrap();
            serde_json::from_slice::<Value>(&json).unwrap()
        };
        let cursor = of("Cursor", Some("cw_secret")).link.unwrap();
        assert_eq!(
            config(&cursor),
            json!({"url": URL, "headers": {"Authorization": "Bearer YOUR_KEY"}})
        );
        let code = of("VS Code", Some("cw_secret")).link.unwrap();
        let json = code.strip_prefix("vscode:mcp/install?").unwrap();
        let json = percent_encoding::percent_decode_str(json)
            .decode_utf8()
            .unwrap();
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&json["name"], &json["url"]),
            (&json!("petstore"), &json!(URL))
        );
        for snippet in snippets("petstore", URL, Some("cw_secret")) {
            let link = snippet.link.unwrap_or_default();
            assert!(!link.contains("cw_secret"), "{link}");
            // VS Code asks for it, and the connectors cannot send it.
            let holds = snippet.text.contains("cw_secret");
            let asks = snippet.client == Label::Name("VS Code") || snippet.not_yet.is_some();
            assert_eq!(holds, !asks, "{}", snippet.text);
        }
    }

    #[test]
    fn an_open_server_needs_no_key() {
        for snippet in snippets("petstore", URL, None) {
            for word in ["KEY", "Authorization", "AUTHORIZATION", "input"] {
                assert!(!snippet.text.contains(word), "{snippet:?}");
            }
            assert!(snippet.text.contains(URL), "{snippet:?}");
            assert_eq!(snippet.not_yet, None, "{snippet:?}");
        }
        let here = snippets("petstore", "http://127.0.0.1:8080/mcp/petstore", None);
        let reasons = here.iter().filter_map(|snippet| snippet.not_yet);
        assert_eq!(reasons.collect::<Vec<_>>(), ["snippet-https-only"; 2]);
        assert!(here.iter().any(|it| it.text.contains("--allow-http")));
    }

    #[test]
    fn a_shell_takes_a_word_as_it_is() {
        assert_eq!(
            shell_word("http://127.0.0.1:8080/mcp/a"),
            "http://127.0.0.1:8080/mcp/a"
        );
        assert_eq!(shell_word("a?b=$(x)'"), r"'a?b=$(x)'\'''");
        assert_eq!(shell_word(""), "''");
    }
}
