//! `causeway models`: the names callers ask models by, and where they lead, on a running server.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use crate::cli::api::{Api, Target, path_of};
use crate::cli::apply::models::settings;
use crate::cli::document::bytes;
use crate::cli::output::Output;
use crate::cli::providers::listed;
use crate::cli::sent::Sent;

/// Shown below the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  causeway models put gpt-4o --to openai
  causeway models put fast --to groq/llama-3.3-70b-versatile,weight=9 --to openai/gpt-4o-mini \\
      --to anthropic/claude-haiku-4-5,tier=1
  causeway models put 'claude-*' --to anthropic
  causeway models put careful --settings careful.json
  causeway models list
  causeway models show fast
  causeway models canary fast                     how its arms compare
  causeway models canary fast --promote
  causeway models remove fast

Targets of the lowest tier are asked first, each as often as its weight says; the others follow where
they fail. Without a model, a target is asked for what the caller asked for. See docs/models.md.";

const SETTINGS_BYTES_MAX: usize = 64 << 10;

#[derive(Args)]
pub(super) struct ModelsArgs {
    #[command(subcommand)]
    command: ModelsCommand,
}

#[derive(Subcommand)]
enum ModelsCommand {
    /// List all models and where they lead
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Show all settings of a model, as `put --settings` takes them
    Show {
        /// The name
        name: String,
        #[command(flatten)]
        target: Target,
    },
    /// Compare the arms of a model's canary, and promote it or send nobody to it any more
    Canary {
        /// The model
        name: String,
        /// Make the canary's targets the model's
        #[arg(long)]
        promote: bool,
        /// Send nobody to it any more; what it was stays to be seen
        #[arg(long, conflicts_with = "promote")]
        rollback: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Say where a name leads, in place of where it led; its other settings stay
    Put {
        /// What callers ask for; a `*` at its end stands for the rest
        name: String,
        /// A target: PROVIDER, or PROVIDER/MODEL, with ,weight=N ,tier=N or ,maxOutputTokens=N after it
        #[arg(
            long = "to",
            value_name = "TARGET",
            required_unless_present = "settings"
        )]
        targets: Vec<String>,
        /// How often one target is asked again
        #[arg(long, value_name = "N")]
        retries: Option<u32>,
        /// A JSON file with all settings of the model, in place of those it has
        #[arg(long, value_name = "FILE", conflicts_with_all = ["targets", "retries"])]
        settings: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
    /// Remove the name of a model; answers under way go on
    Remove {
        /// The name
        name: String,
        #[command(flatten)]
        target: Target,
    },
}

pub(super) async fn models(output: &Output, args: ModelsArgs) -> anyhow::Result<ExitCode> {
    let (text, value) = match args.command {
        ModelsCommand::List { target } => {
            let none = "There are no models but `demo`, and those asked for as PROVIDER/MODEL.";
            listed(target, "models", (none, &model)).await?
        }
        ModelsCommand::Show { name, target } => {
            let path = path_of(&["models", &name]);
            let there = Api::of(target)?.send(Method::GET, &path, None).await?;
            let settings = settings(&there);
            (format!("{settings:#}"), settings)
        }
        ModelsCommand::Canary {
            name,
            promote,
            rollback,
            target,
        } => {
            let api = Api::of(target)?;
            match (promote, rollback) {
                (true, _) => end_canary(&api, &name, "promote").await?,
                (_, true) => end_canary(&api, &name, "rollback").await?,
                _ => compare(&api, &name).await?,
            }
        }
        ModelsCommand::Put {
            name,
            targets,
            retries,
            settings,
            target,
        } => {
            let (path, api) = (path_of(&["models", &name]), Api::of(target)?);
            let body = match settings {
                Some(path) => {
                    let read = bytes(&path, SETTINGS_BYTES_MAX)?;
                    let read = serde_json::from_slice(&read);
                    read.with_context(|| format!("{} is not JSON", path.display()))?
                }
                None => {
                    let given = settings_of(&targets, retries)?;
                    changed(api.find(&path).await?, given)
                }
            };
            let sent = Some(Sent::json(body.to_string()));
            let answer = api.send(Method::PUT, &path, sent).await?;
            (model(&answer), answer)
        }
        ModelsCommand::Remove { name, target } => {
            let path = path_of(&["models", &name]);
            Api::of(target)?.send(Method::DELETE, &path, None).await?;
            (format!("{name} is removed."), json!({ "removed": name }))
        }
    };
    output.result(&text, &value)?;
    Ok(ExitCode::SUCCESS)
}

async fn end_canary(api: &Api, name: &str, how: &str) -> anyhow::Result<(String, Value)> {
    let path = path_of(&["models", name, "canary", how]);
    let answer = api.send(Method::POST, &path, None).await?;
    let text = match how {
        "promote" => model(&answer),
        _ => format!("Nobody is sent to the canary of {name} any more."),
    };
    Ok((text, answer))
}

/// The arms of a model, side by side.
async fn compare(api: &Api, name: &str) -> anyhow::Result<(String, Value)> {
    let path = path_of(&["models", name, "canary"]);
    let answer = api.send(Method::GET, &path, None).await?;
    let arms = answer["arms"].as_array().ok_or_else(|| api.stranger())?;
    let lines: Vec<String> = arms.iter().map(arm).collect();
    Ok((lines.join("\n"), answer))
}

fn arm(arm: &Value) -> String {
    let totals = &arm["totals"];
    let millis = |name: &str| {
        let micros = totals[name].as_f64();
        micros.map_or("-".to_owned(), |it| format!("{:.0} ms", it / 1e3))
    };
    let tokens = ["tokensInput", "tokensOutput"].map(|kind| totals[kind].as_u64().unwrap_or(0));
    let cost = totals["costNanos"].as_f64();
    format!(
        "{}  {} calls, {} failed, p95 {}, first token p95 {}, {} tokens, {}",
        arm["arm"].as_str().unwrap_or_default(),
        totals["calls"],
        totals["errors"],
        millis("p95Micros"),
        millis("firstTokenP95Micros"),
        tokens[0] + tokens[1],
        cost.map_or("cost unknown".to_owned(), |cost| format!("${}", cost / 1e9)),
    )
}

fn settings_of(targets: &[String], retries: Option<u32>) -> anyhow::Result<Map<String, Value>> {
    let targets = targets.iter().map(|text| target_of(text));
    let targets = targets.collect::<anyhow::Result<Vec<_>>>()?;
    let mut settings = Map::from_iter([("targets".to_owned(), json!(targets))]);
    if let Some(retries) = retries {
        settings.insert("retries".to_owned(), json!(retries));
    }
    Ok(settings)
}

/// What there is of a model, if it is there, with what was given in its place.
fn changed(there: Option<Value>, given: Map<String, Value>) -> Value {
    let mut body = there.map_or_else(|| json!({}), |there| settings(&there));
    if let Some(members) = body.as_object_mut() {
        members.extend(given);
    }
    body
}

/// `PROVIDER/MODEL,weight=N,tier=N`.
fn target_of(text: &str) -> anyhow::Result<Value> {
    let mut parts = text.split(',');
    let place = parts.next().unwrap_or_default();
    let (provider, model) = match place.split_once('/') {
        Some((provider, model)) => (provider, Some(model)),
        None => (place, None),
    };
    let mut target = Map::from_iter([("provider".to_owned(), json!(provider))]);
    if let Some(model) = model {
        target.insert("model".to_owned(), json!(model));
    }
    for part in parts {
        let number = part.split_once('=');
        let number = number.and_then(|(name, number)| Some((name, number.parse::<u64>().ok()?)));
        match number {
            Some((name @ ("weight" | "tier" | "maxOutputTokens"), number)) => {
                target.insert(name.to_owned(), json!(number));
            }
            _ => bail!(
                "--to {text}: after a comma comes weight=N, tier=N or maxOutputTokens=N, not \"{part}\""
            ),
        }
    }
    Ok(Value::Object(target))
}

fn model(model: &Value) -> String {
    let mut said = model["name"].as_str().unwrap_or_default().to_owned();
    let targets = model["targets"].as_array().cloned().unwrap_or_default();
    for target in &targets {
        said.push_str("\n  ");
        said.push_str(target["provider"].as_str().unwrap_or_default());
        if let Some(name) = target["model"].as_str() {
            said.push('/');
            said.push_str(name);
        }
        for name in ["weight", "tier", "maxOutputTokens"] {
            if let Some(number) = target[name].as_u64() {
                said.extend(["  ", name, " ", &number.to_string()]);
            }
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_stays() {
        let there = json!({
            "name": "fast", "updatedAt": "2026-01-02T03:04:05Z", "targets": [{ "provider": "a" }], "retries": 3,
            "limits": [{ "unit": "tokens" }], "canary": { "targets": [] },
        });
        let given = settings_of(&["b/m".to_owned()], None).unwrap();
        let expected = json!({
            "targets": [{ "provider": "b", "model": "m" }], "retries": 3, "limits": [{ "unit": "tokens" }],
            "canary": { "targets": [] },
        });
        assert_eq!(changed(Some(there), given.clone()), expected);
        assert_eq!(
            changed(None, given),
            json!({ "targets": [{ "provider": "b", "model": "m" }] })
        );
    }

    #[test]
    fn targets_are_read_as_they_are_written() {
        for (text, expected) in [
            ("openai", json!({ "provider": "openai" })),
            (
                "hub/meta/llama-3,weight=9,tier=1",
                json!({ "provider": "hub", "model": "meta/llama-3", "weight": 9, "tier": 1 }),
            ),
            (
                "a/b,maxOutputTokens=5",
                json!({ "provider": "a", "model": "b", "maxOutputTokens": 5 }),
            ),
        ] {
            assert_eq!(target_of(text).unwrap(), expected);
        }
        for text in ["a,weight", "a,weight=x", "a,colour=1"] {
            assert!(target_of(text).is_err(), "{text}");
        }
    }
}
