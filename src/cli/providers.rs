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
    /// Add a provider, or change it; its keys, and what is not named here, stay
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
    /// What it is, one of `providers kinds`; left out, its name says it. Another kind begins anew
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// What its addresses leave open, such as region=eu-west-1; base_url takes the place of its own. Without a value,
    /// it is removed
    #[arg(long = "parameter", value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// A private address it may be at, as for `serve`; in place of all it has
    #[arg(long, value_name = "RULE")]
    allow_upstream: Vec<String>,
    /// How long connecting to it may take, in milliseconds; 0: as long as the process says
    #[arg(long, value_name = "MS")]
    connect_timeout: Option<u64>,
    /// Callers may ask it for anything of its own, at /p/NAME/…; =false closes that
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pass_through: Option<bool>,
    /// Callers keep files and batches at it, each its own, at /v1/files and /v1/batches; =false closes that
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    files: Option<bool>,
    /// Check it every so many seconds while nobody asks it; 0 ends that
    #[arg(long, value_name = "SECONDS")]
    health: Option<u32>,
    /// Read its load every so many seconds, as vLLM and SGLang tell it; 0 ends that
    #[arg(long, value_name = "SECONDS")]
    load: Option<u32>,
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
            let path = path_of(&["providers", &put.name]);
            let change = put.change()?;
            let api = Api::of(put.target)?;
            let body = changed(api.find(&path).await?, change);
            let sent = Some(Sent::json(body.to_string()));
            let answer = api.send(Method::PUT, &path, sent).await?;
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
        said.push_str(match kind["dialect"].as_str() {
            Some("openai-chat") => "  (OpenAI-compatible, unverified)",
            _ => "  (unverified)",
        });
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

/// What is to be set of a provider; what is absent stays as it is.
#[derive(Default)]
struct Change {
    name: String,
    kind: Option<String>,
    /// An empty value removes one.
    parameters: Map<String, Value>,
    /// The other settings, by the names the API has for them; null removes one.
    settings: Map<String, Value>,
    /// Seconds between checks; 0 ends them.
    health: Option<u32>,
}

impl Put {
    fn change(&self) -> anyhow::Result<Change> {
        let mut parameters = Map::new();
        for given in &self.parameters {
            let Some((name, value)) = given.split_once('=') else {
                bail!("--parameter is written NAME=VALUE, for example region=eu-west-1");
            };
            parameters.insert(name.to_owned(), value.into());
        }
        let mut settings = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            settings.extend(value.map(|value| (name.to_owned(), value)));
        };
        let rules = Some(&self.allow_upstream).filter(|rules| !rules.is_empty());
        set("allowUpstream", rules.map(|rules| json!(rules)));
        let connect = self.connect_timeout.map(|ms| match ms {
            0 => Value::Null,
            ms => json!(ms),
        });
        set("connectTimeoutMs", connect);
        set("passThrough", self.pass_through.map(Value::from));
        set("files", self.files.map(Value::from));
        let load = self.load.map(|seconds| match seconds {
            0 => Value::Null,
            seconds => json!({ "everySeconds": seconds }),
        });
        set("load", load);
        if let Some(path) = &self.definition {
            set("definition", Some(read_json(path)?));
        }
        Ok(Change {
            name: self.name.clone(),
            kind: self.kind.clone(),
            parameters,
            settings,
            health: self.health,
        })
    }
}

/// What there is of a provider, if it is there, with the change in its place. One of another kind begins anew.
fn changed(there: Option<Value>, change: Change) -> Value {
    let there = there.filter(|there| {
        let kind = change.kind.as_deref();
        kind.is_none_or(|kind| there["kind"] == kind)
    });
    let mut body = Map::new();
    for name in SETTINGS {
        let kept = there.as_ref().map(|there| there[name].clone());
        body.extend(
            kept.filter(|it| !it.is_null())
                .map(|it| (name.to_owned(), it)),
        );
    }
    let usual = change.kind.unwrap_or(change.name);
    body.entry("kind").or_insert_with(|| usual.into());
    let parameters = body.entry("parameters").or_insert_with(|| json!({}));
    if let Some(parameters) = parameters.as_object_mut() {
        parameters.extend(change.parameters);
    }
    body.extend(change.settings);
    match change.health {
        Some(0) => {
            body.remove("health");
        }
        Some(seconds) => {
            let health = body.entry("health").or_insert_with(|| json!({}));
            health["everySeconds"] = seconds.into();
        }
        None => {}
    }
    Value::Object(body)
}

/// What the API takes of a provider, by the names it shows it under.
const SETTINGS: [&str; 9] = [
    "kind",
    "parameters",
    "allowUpstream",
    "connectTimeoutMs",
    "passThrough",
    "files",
    "health",
    "load",
    "definition",
];

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

#[cfg(test)]
mod tests {
    use super::*;

    fn there() -> Value {
        json!({
            "name": "local", "kind": "vllm", "origin": "http://10.0.0.5:8000", "keys": [],
            "parameters": { "base_url": "http://10.0.0.5:8000/v1" }, "allowUpstream": ["10.0.0.5"],
            "connectTimeoutMs": 900,
            "passThrough": true, "files": true, "health": { "everySeconds": 9, "downAfter": 2, "upAfter": 3 },
            "load": { "everySeconds": 4 }, "updatedAt": "2026-01-02T03:04:05Z", "state": { "down": false },
        })
    }

    fn change(settings: Value) -> Change {
        Change {
            name: "local".to_owned(),
            settings: settings.as_object().cloned().unwrap(),
            ..Change::default()
        }
    }

    #[test]
    fn what_is_not_named_stays() {
        let mut kept = there();
        let members = kept.as_object_mut().unwrap();
        members.retain(|name, _| SETTINGS.contains(&name.as_str()));
        assert_eq!(changed(Some(there()), change(json!({}))), kept);
        let mut expected = kept.clone();
        expected["passThrough"] = false.into();
        expected["load"] = Value::Null;
        expected["health"]["everySeconds"] = 30.into();
        expected["parameters"]["region"] = "x".into();
        let mut other = change(json!({ "passThrough": false, "load": null }));
        other.health = Some(30);
        other.parameters.insert("region".to_owned(), "x".into());
        assert_eq!(changed(Some(there()), other), expected);
        let mut none = change(json!({}));
        none.health = Some(0);
        assert_eq!(changed(Some(there()), none).get("health"), None);
    }

    #[test]
    fn one_that_is_not_there_or_of_another_kind_begins_anew() {
        let new = json!({ "kind": "local", "parameters": {}, "files": true });
        assert_eq!(changed(None, change(json!({ "files": true }))), new);
        let mut other = change(json!({}));
        other.kind = Some("ollama".to_owned());
        let begun = json!({ "kind": "ollama", "parameters": {} });
        assert_eq!(changed(Some(there()), other), begun);
        let mut same = change(json!({}));
        same.kind = Some("vllm".to_owned());
        assert_eq!(changed(Some(there()), same)["files"], true);
    }
}
