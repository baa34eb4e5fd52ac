//! `causeway providers`: who runs models, and the keys they take, on a running server.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use crate::cli::api::{Api, Target, path_of};
use crate::cli::document::{bytes, value_of};
use crate::cli::output::Output;
use crate::cli::sent::Sent;

/// Shown below the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  causeway providers kinds                                 those that are known, and what they want to be told
  causeway providers put openai
  causeway providers key openai main env:OPENAI_API_KEY
  causeway providers test openai
  causeway providers put east --kind azure --parameter resource=contoso-east
  causeway providers put local --kind openai-compatible --parameter base_url=http://10.0.0.5:8000/v1 \\
      --allow-upstream 10.0.0.5
  causeway providers key openai main --remove
  causeway providers remove openai

A key is sealed when it is entered, sent to the address its provider has at that moment and nowhere
else, and never shown again.";

const DEFINITION_BYTES_MAX: usize = 64 << 10;

#[derive(Args)]
pub(super) struct ProvidersArgs {
    #[command(subcommand)]
    command: ProvidersCommand,
}

#[derive(Subcommand)]
enum ProvidersCommand {
    /// List all providers with their keys
    List {
        #[command(flatten)]
        target: Target,
    },
    /// List the kinds that are known
    Kinds {
        #[command(flatten)]
        target: Target,
    },
    /// Add a provider, or change it; its keys stay
    Put(Box<Put>),
    /// Enter a key of a provider, or replace or remove it
    Key {
        /// The provider
        name: String,
        /// What the key is called
        #[arg(value_name = "KEY")]
        key_name: String,
        /// The key: env:NAME, @FILE, or the value itself
        #[arg(value_name = "VALUE", required_unless_present = "remove")]
        value: Option<String>,
        /// Forget the key
        #[arg(long, conflicts_with = "value")]
        remove: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Ask a provider whether it takes its first key; the exit code says it
    Test {
        /// The provider
        name: String,
        /// A model to ask for a few words, instead of the list of models
        #[arg(long, value_name = "NAME")]
        model: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Remove a provider that no model leads to, and its keys
    Remove {
        /// The provider
        name: String,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Args)]
struct Put {
    /// What it is called: lower case letters, digits and hyphens
    name: String,
    /// What it is, one of `providers kinds`; left out, its name says it
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// What its addresses leave open, such as region=eu-west-1; base_url takes the place of its own
    #[arg(long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// A private address it may be at, as for `serve`
    #[arg(long, value_name = "RULE")]
    allow_upstream: Vec<String>,
    /// Callers may ask it for anything of its own, at /p/NAME/…
    #[arg(long)]
    pass_through: bool,
    /// Callers keep files and batches at it, each its own, at /v1/files and /v1/batches
    #[arg(long)]
    files: bool,
    /// A file with the description of a provider that is not known, as JSON
    #[arg(long, value_name = "FILE")]
    definition: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

pub(super) async fn providers(output: &Output, args: ProvidersArgs) -> anyhow::Result<ExitCode> {
    let (text, value) = match args.command {
        ProvidersCommand::List { target } => {
            let none = "There are no providers. The model `demo` works without one.";
            listed(target, "providers", (none, &provider)).await?
        }
        ProvidersCommand::Kinds { target } => kinds(target).await?,
        ProvidersCommand::Put(put) => {
            let (path, body) = (path_of(&["providers", &put.name]), put.body()?);
            let sent = Some(Sent::json(body.to_string()));
            let answer = Api::of(put.target)?.send(Method::PUT, &path, sent).await?;
            (provider(&answer), answer)
        }
        ProvidersCommand::Key {
            name,
            key_name,
            value,
            target,
            ..
        } => enter_key(target, (&name, &key_name), value.as_deref()).await?,
        ProvidersCommand::Test {
            name,
            model,
            target,
        } => {
            let path = path_of(&["providers", &name, "test"]);
            let sent = Some(Sent::json(json!({ "model": model }).to_string()));
            let answer = Api::of(target)?.send(Method::POST, &path, sent).await?;
            output.result(&tested(&name, &answer), &answer)?;
            let well = answer["ok"] == true;
            return Ok(if well {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        ProvidersCommand::Remove { name, target } => {
            let path = path_of(&["providers", &name]);
            Api::of(target)?.send(Method::DELETE, &path, None).await?;
            (format!("{name} is removed."), json!({ "removed": name }))
        }
    };
    output.result(&text, &value)?;
    Ok(ExitCode::SUCCESS)
}

/// A list, each row as a text, and what is said of an empty one.
pub(super) async fn listed(
    target: Target,
    kind: &str,
    (none, row): (&str, &(dyn Fn(&Value) -> String + Sync)),
) -> anyhow::Result<(String, Value)> {
    let api = Api::of(target)?;
    let answer = api.list(&path_of(&[kind]), &[kind]).await?;
    let rows = answer[kind].as_array().ok_or_else(|| api.stranger())?;
    let lines: Vec<String> = rows.iter().map(row).collect();
    let text = if lines.is_empty() {
        none.to_owned()
    } else {
        lines.join("\n")
    };
    Ok((text, answer))
}

async fn kinds(target: Target) -> anyhow::Result<(String, Value)> {
    let api = Api::of(target)?;
    let answer = api.list("/api/v1/provider-kinds", &["kinds"]).await?;
    let rows = answer["kinds"].as_array().ok_or_else(|| api.stranger())?;
    let lines: Vec<String> = rows.iter().map(kind).collect();
    Ok((lines.join("\n"), answer))
}

fn kind(kind: &Value) -> String {
    let mut said = format!("{}  {}", text(&kind["id"]), text(&kind["name"]));
    if kind["verified"] != true {
        said.push_str("  (unverified)");
    }
    let parameters = kind["parameters"].as_array().into_iter().flatten();
    for parameter in parameters {
        let (name, help) = (text(&parameter["name"]), text(&parameter["help"]));
        said.extend(["\n  ", name, ": ", help]);
    }
    said
}

async fn enter_key(
    target: Target,
    (name, key): (&str, &str),
    value: Option<&str>,
) -> anyhow::Result<(String, Value)> {
    let path = path_of(&["providers", name, "keys", key]);
    let api = Api::of(target)?;
    let Some(value) = value else {
        api.send(Method::DELETE, &path, None).await?;
        return Ok((format!("{key} is removed."), json!({ "removed": key })));
    };
    let value = value_of(value).with_context(|| format!("the key {key}"))?;
    let sent = Some(Sent::json(json!({ "value": value }).to_string()));
    let answer = api.send(Method::PUT, &path, sent).await?;
    let said = format!("{key} is sent to {} from now on.", text(&answer["origin"]));
    Ok((said, answer))
}

impl Put {
    fn body(&self) -> anyhow::Result<Value> {
        let mut parameters = Map::new();
        for given in &self.parameters {
            let Some((name, value)) = given.split_once('=') else {
                bail!("--parameter is written NAME=VALUE, for example region=eu-west-1");
            };
            parameters.insert(name.to_owned(), value.into());
        }
        let definition = match &self.definition {
            Some(path) => read_json(path)?,
            None => Value::Null,
        };
        Ok(json!({
            "kind": self.kind.as_ref().unwrap_or(&self.name),
            "parameters": parameters,
            "allowUpstream": self.allow_upstream,
            "passThrough": self.pass_through,
            "files": self.files,
            "definition": definition,
        }))
    }
}

fn read_json(path: &Path) -> anyhow::Result<Value> {
    let read = bytes(path, DEFINITION_BYTES_MAX)?;
    serde_json::from_slice(&read).with_context(|| format!("{} is not JSON", path.display()))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn provider(provider: &Value) -> String {
    let mut said = format!("{}  {}", text(&provider["name"]), text(&provider["kind"]));
    if let Some(origin) = provider["origin"].as_str() {
        said = format!("{said}  {origin}");
    }
    let keys = provider["keys"].as_array().cloned().unwrap_or_default();
    if keys.is_empty() {
        said.push_str("\n  no key");
    }
    for key in &keys {
        let (name, ending) = (text(&key["name"]), text(&key["ending"]));
        said.extend(["\n  ", name]);
        if !ending.is_empty() {
            said.extend(["  …", ending]);
        }
        if let Some(warning) = key["warning"].as_str() {
            said.extend(["  not sent: ", warning]);
        }
    }
    said
}

fn tested(name: &str, answer: &Value) -> String {
    let well = if answer["ok"] == true {
        "works"
    } else {
        "does not work"
    };
    let status = match answer["status"].as_u64() {
        Some(status) => format!("status {status}, "),
        None => String::new(),
    };
    let mut said = format!(
        "{name} {well}: {} ({status}{} ms)",
        text(&answer["message"]),
        answer["milliseconds"]
    );
    let models = answer["models"].as_array().into_iter().flatten();
    for model in models.filter_map(Value::as_str) {
        said.extend(["\n  ", model]);
    }
    said
}
