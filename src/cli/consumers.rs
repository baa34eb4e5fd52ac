//! `causeway consumers`: whoever calls with keys, what they may use, and what is stored about them.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use crate::cli::api::{Api, Target, path_of};
use crate::cli::limit::{Limits, SYNTAX, dollars, lines};
use crate::cli::output::Output;
use crate::cli::sent::Sent;

/// Shown below the help.
pub(super) fn examples() -> String {
    format!(
        "\
Examples:
  causeway consumers show ann                      her limits, her plans, and what is used now
  causeway consumers limit ann --limit 1000/day/consumer
  causeway consumers plan ann shop small           the plan small with the server shop
  causeway consumers plan ann shop --none          no plan any more
  causeway consumers export ann > ann.json         everything that is stored about ann
  causeway consumers erase ann --yes               forgets ann; docs/personal-data.md says what stays

{SYNTAX}"
    )
}

#[derive(Args)]
pub(super) struct ConsumersArgs {
    #[command(subcommand)]
    command: ConsumersCommand,
}

/// A consumer, and where it is known.
#[derive(Args)]
struct One {
    /// What the consumer is called
    name: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum ConsumersCommand {
    /// List everybody who calls with keys or tokens
    List {
        /// Only those with this text in their name
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Show a consumer's limits and plans, and what of its quotas is used now
    Show(One),
    /// Set the limits of everything a consumer does
    Limit {
        #[command(flatten)]
        one: One,
        #[command(flatten)]
        limits: Limits,
    },
    /// Give a consumer a plan with a server, or take it away
    Plan {
        #[command(flatten)]
        one: One,
        /// The server's name
        slug: String,
        /// What the plan is called
        #[arg(required_unless_present = "none")]
        plan: Option<String>,
        /// No plan any more
        #[arg(long, conflicts_with = "plan")]
        none: bool,
    },
    /// Print everything that is stored about a consumer, as JSON
    Export(One),
    /// Erase what is stored about a consumer; in what was done before, a pseudonym takes its place
    Erase {
        #[command(flatten)]
        one: One,
        /// Do it, without being asked again
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn consumers(output: &Output, args: ConsumersArgs) -> anyhow::Result<ExitCode> {
    let (text, value) = match args.command {
        ConsumersCommand::List { search, target } => list(search.as_deref(), target).await?,
        ConsumersCommand::Show(One { name, target }) => {
            let path = path_of(&["consumers", &name]);
            let answer = Api::of(target)?.send(Method::GET, &path, None).await?;
            (shown(&answer), answer)
        }
        ConsumersCommand::Limit { one, limits } => {
            let path = path_of(&["consumers", &one.name]);
            let sent = Sent::json(json!({ "limits": limits.json() }).to_string());
            let api = Api::of(one.target)?;
            let answer = api.send(Method::PATCH, &path, Some(sent)).await?;
            (shown(&answer), answer)
        }
        ConsumersCommand::Plan {
            one, slug, plan, ..
        } => give(one, &slug, plan.as_deref()).await?,
        ConsumersCommand::Export(One { name, target }) => {
            let path = path_of(&["consumers", &name, "export"]);
            let told = Api::of(target)?.send(Method::GET, &path, None).await?;
            (serde_json::to_string_pretty(&told)?, told)
        }
        ConsumersCommand::Erase { one, yes } => erase(one, yes).await?,
    };
    output.result(&text, &value)?;
    Ok(ExitCode::SUCCESS)
}

async fn list(search: Option<&str>, target: Target) -> anyhow::Result<(String, Value)> {
    let api = Api::of(target)?;
    let mut answer = api.list("/api/v1/consumers", &["consumers"]).await?;
    let rows = answer["consumers"].as_array_mut();
    let rows = rows.ok_or_else(|| api.stranger())?;
    let name = |row: &Value| row["name"].as_str().unwrap_or_default().to_owned();
    if let Some(text) = search.map(str::to_lowercase) {
        rows.retain(|row| name(row).to_lowercase().contains(&text));
    }
    let names: Vec<String> = rows.iter().map(name).collect();
    let text = if names.is_empty() {
        "There is no such consumer.".to_owned()
    } else {
        names.join("\n")
    };
    Ok((text, answer))
}

async fn give(one: One, slug: &str, plan: Option<&str>) -> anyhow::Result<(String, Value)> {
    let path = path_of(&["consumers", &one.name, "plans", slug]);
    let api = Api::of(one.target)?;
    let Some(plan) = plan else {
        api.send(Method::DELETE, &path, None).await?;
        let text = format!("{} has no plan with {slug}.", one.name);
        return Ok((
            text,
            json!({ "consumer": one.name, "server": slug, "plan": null }),
        ));
    };
    let sent = Sent::json(json!({ "plan": plan }).to_string());
    let answer = api.send(Method::PUT, &path, Some(sent)).await?;
    Ok((shown(&answer), answer))
}

async fn erase(one: One, yes: bool) -> anyhow::Result<(String, Value)> {
    let name = one.name;
    if !yes {
        bail!("what is stored about {name} would be erased; add --yes to do it");
    }
    let path = path_of(&["consumers", &name, "erase"]);
    let sent = Sent::json(json!({ "confirm": name }).to_string());
    let api = Api::of(one.target)?;
    let answer = api.send(Method::POST, &path, Some(sent)).await?;
    let pseudonym = answer["pseudonym"].as_str().ok_or_else(|| api.stranger())?;
    let text =
        format!("{name} is erased. In the audit and the ledger, {pseudonym} stands in its place.");
    Ok((text, answer))
}

/// A consumer with its limits, its plans, and what is used of its quotas.
fn shown(consumer: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let rows = |name: &str| consumer[name].as_array().cloned().unwrap_or_default();
    let plans = rows("plans");
    let plans = plans
        .iter()
        .map(|row| format!("{}: {}", text(&row["server"]), text(&row["plan"])));
    let quotas = rows("quotas");
    let quotas = quotas.iter().map(used);
    let parts = [
        ("limits", lines(&consumer["limits"])),
        ("plans", plans.collect()),
        ("used now", quotas.collect()),
    ];
    let mut said = text(&consumer["name"]);
    for (title, lines) in parts.iter().filter(|(_, lines)| !lines.is_empty()) {
        said = format!("{said}\n{title}:\n  {}", lines.join("\n  "));
    }
    said
}

/// What is used of a quota, in words.
fn used(row: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let counter = text(&row["counter"]);
    let mut parts = counter.splitn(5, '/');
    let mut part = || parts.next().unwrap_or_default();
    let (owner, unit, window, scope, holder) = (part(), part(), part(), part(), part());
    let taken = row["taken"].as_u64().unwrap_or_default();
    let taken = match unit {
        "money" => dollars(taken),
        "requests" if taken == 1 => "1 request".to_owned(),
        "tokens" if taken == 1 => "1 token".to_owned(),
        unit => format!("{taken} {unit}"),
    };
    let when = match window {
        "day" => "today",
        _ => "this month",
    };
    let of = match (row["model"].as_str(), row["server"].as_str()) {
        (Some(model), _) => format!(" of the model {model}"),
        (_, Some(server)) => format!(" of the server {server}"),
        _ if owner.starts_with("consumer:") => String::new(),
        _ => " of what is not there any more".to_owned(),
    };
    let (kind, name) = holder.split_once(':').unwrap_or_default();
    let by = match scope {
        "key" => format!("by the key {name}"),
        "consumer" => "by the consumer".to_owned(),
        "user" => "by the person".to_owned(),
        "tool" if kind == "tool" => format!("with {name}, by all together"),
        "address" => format!("from {name}"),
        _ => "by all together".to_owned(),
    };
    format!("{taken}{of} {when}, {by}, until {}", text(&row["until"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_said_in_words() {
        for (counter, more, said) in [
            (
                "model:01a2/money/month/server/everyone",
                json!({ "taken": 600_000, "model": "fast" }),
                "$0.6 of the model fast this month, by all together, until then",
            ),
            (
                "model:01a2/tokens/day/consumer/consumer:01a3",
                json!({ "taken": 200 }),
                "200 tokens of what is not there any more today, by the consumer, until then",
            ),
            (
                "plan:01a3:01a4/requests/day/key/key:01a5",
                json!({ "taken": 1, "server": "shop" }),
                "1 request of the server shop today, by the key 01a5, until then",
            ),
            (
                "consumer:01a3/requests/month/tool/tool:a/b",
                json!({ "taken": 2 }),
                "2 requests this month, with a/b, by all together, until then",
            ),
        ] {
            let mut row = json!({ "counter": counter, "until": "then" });
            let members = more.as_object().unwrap().clone();
            row.as_object_mut().unwrap().extend(members);
            assert_eq!(used(&row), said);
        }
    }
}
