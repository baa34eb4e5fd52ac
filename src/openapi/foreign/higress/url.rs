//! The URL of a tool: its host, which no argument ever chooses, its path and its query.

use crate::openapi::foreign::address::{Piece, pieces, split};
use crate::openapi::foreign::higress::argument::{Action, action};

/// A URL of a tool, its parts in order.
#[derive(Debug, PartialEq, Eq)]
pub struct ToolUrl {
    /// Scheme and host; empty where the gateway's route decides.
    pub base: String,
    /// With `{name}` for arguments and `{part1}` for what only a template can write.
    pub path: String,
    /// Arguments in the path, each once.
    pub arguments: Vec<String>,
    /// Name of a variable of `path`, and what writes it.
    pub templates: Vec<(String, String)>,
    /// Name and value of each query parameter, the value being a template.
    pub query: Vec<(String, String)>,
}

/// Reads a URL whose known configuration is in place.
///
/// # Errors
/// What in it cannot be converted.
pub fn read(url: &str, path_arguments: &[&str]) -> Result<ToolUrl, String> {
    let parts = split(url);
    if parts.base.contains("{{") {
        let by_argument = pieces(parts.base)
            .iter()
            .any(|piece| matches!(piece, Piece::Variable(words) if !matches!(action(words), Action::Config(_))));
        if by_argument {
            return Err("lets an argument choose the host".to_owned());
        }
    }
    let mut found = ToolUrl {
        base: parts.base.to_owned(),
        path: String::new(),
        arguments: Vec::new(),
        templates: Vec::new(),
        query: query(parts.query)?,
    };
    for segment in parts.path.trim_start_matches('/').split('/') {
        found.path.push('/');
        found.segment(segment, path_arguments)?;
    }
    Ok(found)
}

impl ToolUrl {
    fn segment(&mut self, segment: &str, path_arguments: &[&str]) -> Result<(), String> {
        let whole = pieces(segment);
        let simple = whole.iter().all(|piece| match piece {
            Piece::Literal(_) => true,
            Piece::Variable(words) => matches!(action(words), Action::Argument(_)),
        });
        if !simple {
            if segment.matches("{{").count() != segment.matches("}}").count() {
                return Err("has an action that reaches over a `/`".to_owned());
            }
            let name = format!("part{}", self.templates.len() + 1);
            self.variable(&name);
            self.templates.push((name, segment.to_owned()));
            return Ok(());
        }
        for piece in whole {
            match piece {
                Piece::Literal(text) => self.literal(text, path_arguments),
                Piece::Variable(words) => {
                    if let Action::Argument(name) = action(words) {
                        self.argument(name);
                    }
                }
            }
        }
        Ok(())
    }

    /// `{name}` stands for an argument whose position is the path.
    fn literal(&mut self, text: &str, path_arguments: &[&str]) {
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let close = rest[open..].find('}').map(|at| open + at);
            let name = close.map(|close| &rest[open + 1..close]);
            self.plain(&rest[..open]);
            match (close, name.filter(|name| path_arguments.contains(name))) {
                (Some(close), Some(name)) => {
                    self.argument(name);
                    rest = &rest[close + 1..];
                }
                _ => {
                    self.path.push_str("%7B");
                    rest = &rest[open + 1..];
                }
            }
        }
        self.plain(rest);
    }

    fn plain(&mut self, text: &str) {
        self.path.push_str(&text.replace('}', "%7D"));
    }

    fn variable(&mut self, name: &str) {
        self.path.push('{');
        self.path.push_str(name);
        self.path.push('}');
    }

    fn argument(&mut self, name: &str) {
        self.variable(name);
        if !self.arguments.iter().any(|known| known == name) {
            self.arguments.push(name.to_owned());
        }
    }
}

/// The pairs of a query. Actions stay within a value.
fn query(query: &str) -> Result<Vec<(String, String)>, String> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    let mut pairs = Vec::new();
    for (at, c) in query.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '&' if depth == 0 => {
                pairs.push(&query[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pairs.push(&query[start..]);
    for pair in pairs.into_iter().filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let opens = value.matches("{{if").count()
            + value.matches("{{ if").count()
            + value.matches("{{- if").count()
            + value.matches("range ").count();
        let closes = value.matches("end}}").count()
            + value.matches("end }}").count()
            + value.matches("end -}}").count();
        if name.contains("{{") || opens != closes {
            return Err("writes names of query parameters by a template".to_owned());
        }
        let name = percent_encoding::percent_decode_str(name.trim()).decode_utf8_lossy();
        let value = if value.contains("{{") {
            value.to_owned()
        } else {
            let value = value.replace('+', " ");
            percent_encoding::percent_decode_str(&value)
                .decode_utf8_lossy()
                .into_owned()
        };
        found.push((name.into_owned(), value));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_come_apart_at_their_actions() {
        let url = read(
            "https://api.example.com/repos/{{.args.owner}}/x-{{ .args.n }}/{id}/{other}/{{if .args.a}}a{{else}}b{{end}}?q={{.args.q}}&n=a%20b&d={{ if empty .args.d }}{{ now }}{{ else }}x{{ end }}",
            &["id"],
        )
        .unwrap();
        assert_eq!(url.base, "https://api.example.com");
        assert_eq!(url.path, "/repos/{owner}/x-{n}/{id}/%7Bother%7D/{part1}");
        assert_eq!(url.arguments, ["owner", "n", "id"]);
        assert_eq!(url.templates[0].1, "{{if .args.a}}a{{else}}b{{end}}");
        assert_eq!(url.query[0], ("q".to_owned(), "{{.args.q}}".to_owned()));
        assert_eq!(url.query[1], ("n".to_owned(), "a b".to_owned()));
        assert_eq!(url.query.len(), 3);
    }

    #[test]
    fn no_argument_chooses_the_host() {
        assert!(read("https://{{.args.host}}/x", &[]).is_err());
        assert!(read("{{.args.url}}", &[]).is_err());
        assert!(read("https://api.example.com{{.args.path}}", &[]).is_err());
        assert!(read("https://{{.config.host}}/x", &[]).is_ok());
        assert!(
            read(
                "https://a.example.com/x?{{if .args.p}}p={{.args.p}}{{end}}",
                &[]
            )
            .is_err()
        );
    }
}
