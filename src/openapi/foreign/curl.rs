//! curl commands, one or several, as they are pasted or stand in a script: each is an operation.
//!
//! Nothing is run and no file is read. Words are split as a shell does, without expanding anything.

pub mod command;
pub mod line;

use serde_json::{Value, json};

use crate::openapi::DocumentError;
use crate::openapi::finding::{Code, quoted};
use crate::openapi::foreign::Context;
use crate::openapi::foreign::address::{self, Variables};
use crate::openapi::foreign::curl::command::{Body, Command, Data};
use crate::openapi::foreign::outline::{Draft, Outline, Schemes, Shown, field, holds_secret};
use crate::openapi::foreign::sample::{Patience, Shape};
use crate::openapi::foreign::secret::is_secret_name;

/// Whether the first word of a text is `curl`.
pub fn recognise(text: &str) -> bool {
    line::first(text).is_some_and(|first| {
        let first = first.strip_prefix("$ ").unwrap_or(first).trim_start();
        first.starts_with("curl ") || first.starts_with("curl\t") || first.starts_with("curl.exe ")
    })
}

/// Converts the commands of a text; what else stands in it is left out.
///
/// # Errors
/// There are more commands than a document may have operations.
pub fn convert(text: &str, context: &mut Context<'_>) -> Result<Outline, DocumentError> {
    let mut outline = Outline::default();
    for (number, line) in line::commands(text).enumerate() {
        let number = number + 1;
        let Some(words) = line::words(&line.text) else {
            let message = format!("command {number} has a quote that is not closed");
            let findings = &mut *context.findings;
            findings.add(Code::ForeignLost, place(number), message);
            continue;
        };
        if !words
            .first()
            .is_some_and(|word| word == "curl" || word == "curl.exe")
        {
            continue;
        }
        context.room(&outline)?;
        let converted = Command::parse(&words[1..]).and_then(|command| {
            let mut draft = draft(&command, &mut outline.schemes, context, &place(number))?;
            draft.name.clone_from(&line.comment);
            Ok((draft, command.ignored))
        });
        match converted {
            Ok((draft, ignored)) => {
                if !ignored.is_empty() {
                    let message = format!("command {number}: {} is left out", ignored.join(", "));
                    context
                        .findings
                        .add(Code::ForeignGuessed, place(number), message);
                }
                outline.drafts.push(draft);
            }
            Err(message) => {
                let message = format!("command {number}: {message}");
                context
                    .findings
                    .add(Code::ForeignLost, place(number), message);
            }
        }
    }
    let server = outline
        .drafts
        .iter()
        .find_map(|draft| draft.server.as_ref());
    let host = server.and_then(|server| url::Url::parse(&server.url).ok());
    let host = host.and_then(|url| url.host_str().map(str::to_owned));
    outline.title = host.unwrap_or_else(|| "curl commands".to_owned());
    Ok(outline)
}

/// Commands have no pointers; their numbers stand for them.
fn place(number: usize) -> String {
    format!("/{number}")
}

fn draft(
    command: &Command,
    schemes: &mut Schemes,
    context: &mut Context<'_>,
    origin: &str,
) -> Result<Draft, String> {
    let parts = address::split(&command.url);
    let shape = address::path(parts.path);
    let mut draft = Draft {
        method: command.method(),
        path: shape.template.clone(),
        origin: origin.to_owned(),
        ..Draft::default()
    };
    let server = address::server(parts.base, &Variables::default());
    // What stands there may hold a password, and is not repeated.
    let server = server.map_err(|_| "its URL is no address of http or https".to_owned())?;
    if server.guessed {
        let message = format!(
            "the URL has no scheme; {} is taken",
            quoted(server.stated())
        );
        context.findings.add(Code::ForeignGuessed, origin, message);
    }
    draft.server = Some(server);
    for parameter in &shape.parameters {
        draft.path_parameter(&parameter.name, "", None);
        if parameter.guessed {
            let message = format!(
                "a value in the path is taken as the parameter {}",
                quoted(&parameter.name)
            );
            context.findings.add(Code::ForeignGuessed, origin, message);
        }
    }
    if command.user || parts.base.contains('@') {
        draft.need(schemes.basic());
    }
    if command.bearer {
        draft.need(schemes.bearer());
    }
    for (name, value) in &command.headers {
        let shown = Shown {
            name,
            value,
            description: None,
        };
        draft.header(shown, schemes);
    }
    for pair in &command.cookies {
        cookie(pair, &mut draft, schemes);
    }
    let (query, body) = command.query_and_body()?;
    for (name, value) in address::pairs(parts.query).into_iter().chain(query) {
        let value = value.unwrap_or_default();
        let shown = Shown {
            name: &name,
            value: &value,
            description: None,
        };
        draft.query(shown, schemes);
    }
    draft.body = body.map(|body| request_body(&body, command, &mut context.patience));
    Ok(draft)
}

/// A cookie that looks like a credential is one; another is for the caller to set.
fn cookie((name, value): &(String, String), draft: &mut Draft, schemes: &mut Schemes) {
    let session = ["sess", "sid", "auth", "login"];
    let lower = name.to_ascii_lowercase();
    let by_name = is_secret_name(name) || session.iter().any(|part| lower.contains(part));
    if by_name || holds_secret(value) {
        draft.need(schemes.api_key("cookie", name));
    } else if !draft.has("cookie", name) {
        let parameter = json!({"name": name, "in": "cookie", "schema": {"type": "string"}});
        draft.parameters.push(parameter);
    }
}

fn request_body(body: &Body, command: &Command, patience: &mut Patience) -> Value {
    let declared = command.content_type();
    let (media, schema) = match body {
        Body::Json(sample) => {
            let mut shape = Shape::default();
            shape.add(sample, patience);
            let media = declared.unwrap_or_else(|| "application/json".to_owned());
            (media, shape.schema(true))
        }
        Body::Form(fields) => {
            let media = declared.unwrap_or_else(|| "application/x-www-form-urlencoded".to_owned());
            (media, fields_schema(fields))
        }
        Body::Multipart(fields) => ("multipart/form-data".to_owned(), fields_schema(fields)),
        Body::Text => {
            let media = declared.unwrap_or_else(|| "text/plain".to_owned());
            (media, json!({"type": "string"}))
        }
    };
    json!({"required": true, "content": {media: {"schema": schema}}})
}

fn fields_schema(fields: &[(String, Data)]) -> Value {
    let mut properties = serde_json::Map::new();
    for (name, data) in fields {
        let one = match data {
            Data::File => json!({"type": "string", "format": "binary"}),
            Data::Text(value) => field(name, value),
        };
        let schema = if properties.contains_key(name) {
            json!({"type": "array", "items": one})
        } else {
            one
        };
        properties.insert(name.clone(), schema);
    }
    json!({"type": "object", "properties": properties})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::finding::Findings;
    use crate::openapi::foreign;

    fn told(text: &str) -> String {
        let mut findings = Findings::default();
        let converted = foreign::convert_text(text, 100, &mut findings).unwrap();
        let root = converted.map(|converted| converted.root);
        json!([root, findings.finish()]).to_string()
    }

    #[test]
    fn no_password_or_token_is_repeated() {
        for text in [
            "curl admin:hunter2@host.example.com/x",
            "curl ftp://u:hunter2@host.example.com/x",
            "curl 'ftp://host.example.com/x?token=hunter2'",
            "curl https://u:hunter2/x@host.example.com/y",
            "curl https://api.example.com/x -H 'X-Api-Pass: hunter2'",
            "curl https://api.example.com/x -d 'sig=hunter2&pass=hunter2'",
            "curl https://api.telegram.example.com/bot123456789:AAEhunter2BP0av28vNkQxyzabcde/getMe",
            "curl https://hooks.example.com/services/T0/B0/qWkzJhhunter2WpLdKfjGhMnBvCx -d '{}'",
            "curl 'https://api.example.com/x?qWkzJhhunter2WpLdKfjGhMnBvCx'",
        ] {
            let told = told(text);
            assert!(!told.contains("hunter2"), "{text}: {told}");
        }
    }

    #[test]
    fn a_url_of_thousands_of_parameters_is_read_at_once() {
        let start = std::time::Instant::now();
        let queries = (0..6_000).map(|at| format!("p{at}=1&token{at}=x"));
        let queries: Vec<String> = queries.collect();
        told(&format!(
            "curl 'https://api.example.com/x?{}'",
            queries.join("&")
        ));
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }
}
