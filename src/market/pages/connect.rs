//! How to add a server to the clients people use. Keys are placeholders only.

use serde_json::{Value, json};

use crate::market::language::{Html, Language};

/// Stands for the reader's key.
const KEY: &str = "YOUR_KEY";
const OTHER: Label = Label::Message("snippet-other");
/// The environment variable the reader's key is put into, where a client wants one.
const KEY_VARIABLE: &str = "CAUSEWAY_KEY";

/// What to copy for one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snippet {
    pub client: Label,
    /// Where it goes.
    pub place: Label,
    /// `sh` or `json`.
    pub language: &'static str,
    pub text: String,
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

/// The snippets for the server `name` at `url`; with a key's placeholder unless it is open.
pub fn snippets(name: &str, url: &str, open: bool) -> Vec<Snippet> {
    let sh = |client, text| Snippet {
        client: Label::Name(client),
        place: Label::Message("snippet-terminal"),
        language: "sh",
        text,
    };
    let json = |client, place, value: Value| Snippet {
        client,
        place,
        language: "json",
        text: format!("{value:#}"),
    };
    vec![
        sh("Claude Code", claude_code(name, url, open)),
        json(
            Label::Name("Cursor"),
            Label::Name("~/.cursor/mcp.json"),
            json!({"mcpServers": {name: entry(None, url, open)}}),
        ),
        json(
            Label::Name("VS Code"),
            Label::Name(".vscode/mcp.json"),
            vs_code(name, url, open),
        ),
        sh("Codex", codex(name, url, open)),
        sh("Gemini CLI", gemini(name, url, open)),
        json(
            OTHER,
            Label::Message("snippet-most"),
            json!({"mcpServers": {name: entry(Some("http"), url, open)}}),
        ),
    ]
}

fn claude_code(name: &str, url: &str, open: bool) -> String {
    let header = if open {
        String::new()
    } else {
        format!(" --header {}", header_word())
    };
    let (name, url) = (shell_word(name), shell_word(url));
    format!("claude mcp add --transport http {name} {url}{header}")
}

fn codex(name: &str, url: &str, open: bool) -> String {
    let add = format!(
        "codex mcp add {} --url {}",
        shell_word(name),
        shell_word(url)
    );
    if open {
        return add;
    }
    format!("export {KEY_VARIABLE}={KEY}\n{add} --bearer-token-env-var {KEY_VARIABLE}")
}

fn gemini(name: &str, url: &str, open: bool) -> String {
    let header = if open {
        String::new()
    } else {
        format!(" -H {}", header_word())
    };
    let (name, url) = (shell_word(name), shell_word(url));
    format!("gemini mcp add -s user -t http {name} {url}{header}")
}

/// VS Code asks for the key once and keeps it.
fn vs_code(name: &str, url: &str, open: bool) -> Value {
    if open {
        return json!({"servers": {name: entry(Some("http"), url, open)}});
    }
    json!({
        "servers": {
            name: {
                "type": "http",
                "url": url,
                "headers": {"Authorization": format!("Bearer ${{input:{name}-key}}")},
            },
        },
        "inputs": [{
            "type": "promptString",
            "id": format!("{name}-key"),
            "description": format!("Key for {name}"),
            "password": true,
        }],
    })
}

fn entry(kind: Option<&str>, url: &str, open: bool) -> Value {
    let mut entry = json!({});
    if let Some(kind) = kind {
        entry["type"] = kind.into();
    }
    entry["url"] = url.into();
    if !open {
        entry["headers"] = json!({"Authorization": format!("Bearer {KEY}")});
    }
    entry
}

fn header_word() -> String {
    format!("\"Authorization: Bearer {KEY}\"")
}

/// A word a POSIX shell takes as it is.
fn shell_word(text: &str) -> String {
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

    fn text(client: &'static str, open: bool) -> String {
        let client = Some(Label::Name(client)).filter(|_| client != "Any other client");
        let client = client.unwrap_or(OTHER);
        let all = snippets("petstore", URL, open);
        all.into_iter().find(|s| s.client == client).unwrap().text
    }

    #[test]
    fn command_lines_are_what_the_clients_accept() {
        assert_eq!(
            text("Claude Code", false),
            format!(
                "claude mcp add --transport http petstore {URL} \
                 --header \"Authorization: Bearer YOUR_KEY\""
            )
        );
        assert_eq!(
            text("Codex", false),
            format!(
                "export CAUSEWAY_KEY=YOUR_KEY\n\
                 codex mcp add petstore --url {URL} --bearer-token-env-var CAUSEWAY_KEY"
            )
        );
        assert_eq!(
            text("Gemini CLI", false),
            format!(
                "gemini mcp add -s user -t http petstore {URL} \
                 -H \"Authorization: Bearer YOUR_KEY\""
            )
        );
    }

    #[test]
    fn configuration_files_are_json_in_each_client_s_form() {
        let read = |client, open| serde_json::from_str::<Value>(&text(client, open)).unwrap();
        let headers = json!({"Authorization": "Bearer YOUR_KEY"});
        assert_eq!(
            read("Cursor", false),
            json!({"mcpServers": {"petstore": {"url": URL, "headers": headers}}})
        );
        let code = read("VS Code", false);
        assert_eq!(
            code["servers"]["petstore"]["headers"]["Authorization"],
            "Bearer ${input:petstore-key}"
        );
        assert_eq!(code["inputs"][0]["id"], "petstore-key");
        assert_eq!(
            read("Any other client", true),
            json!({"mcpServers": {"petstore": {"type": "http", "url": URL}}})
        );
    }

    #[test]
    fn an_open_server_needs_no_key() {
        for snippet in snippets("petstore", URL, true) {
            for word in ["KEY", "Authorization", "input"] {
                assert!(!snippet.text.contains(word), "{snippet:?}");
            }
            assert!(snippet.text.contains(URL), "{snippet:?}");
        }
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
