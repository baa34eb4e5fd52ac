//! `causeway plans`: named sets of limits on a running server.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use crate::cli::api::{Api, Target, path_of};
use crate::cli::limit::{Limits, SYNTAX, lines};
use crate::cli::output::Output;
use crate::cli::sent::Sent;

/// Shown below the help.
pub(super) fn examples() -> String {
    format!(
        "\
Examples:
  causeway plans set small --limit 60/minute/consumer --limit '$5/month/consumer'
  causeway consumers plan ann shop small           gives the consumer ann that plan with the server shop
  causeway plans remove small

{SYNTAX}"
    )
}

#[derive(Args)]
pub(super) struct PlansArgs {
    #[command(subcommand)]
    command: PlansCommand,
}

#[derive(Subcommand)]
enum PlansCommand {
    /// List all plans with their limits
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Make a plan, or change it for everybody who has it
    Set {
        /// What it is called: letters, digits, hyphens and underscores
        name: String,
        /// What it is for; left out, nothing is said
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        description: String,
        #[command(flatten)]
        limits: Limits,
        #[command(flatten)]
        target: Target,
    },
    /// Remove a plan that no consumer has
    Remove {
        /// What it is called
        name: String,
        #[command(flatten)]
        target: Target,
    },
}

pub(super) async fn plans(output: &Output, args: PlansArgs) -> anyhow::Result<ExitCode> {
    let (text, value) = match args.command {
        PlansCommand::List { target } => {
            let api = Api::of(target)?;
            let answer = api.list("/api/v1/plans", &["plans"]).await?;
            let rows = answer["plans"].as_array().ok_or_else(|| api.stranger())?;
            let plans: Vec<String> = rows.iter().map(plan).collect();
            let text = if plans.is_empty() {
                "There are no plans.".to_owned()
            } else {
                plans.join("\n")
            };
            (text, answer)
        }
        PlansCommand::Set {
            name,
            description,
            limits,
            target,
        } => {
            let new = json!({ "description": description, "limits": limits.json() });
            let path = path_of(&["plans", &name]);
            let sent = Some(Sent::json(new.to_string()));
            let answer = Api::of(target)?.send(Method::PUT, &path, sent).await?;
            (plan(&answer), answer)
        }
        PlansCommand::Remove { name, target } => {
            let path = path_of(&["plans", &name]);
            Api::of(target)?.send(Method::DELETE, &path, None).await?;
            (format!("{name} is removed."), json!({ "removed": name }))
        }
    };
    output.result(&text, &value)?;
    Ok(ExitCode::SUCCESS)
}

fn plan(plan: &Value) -> String {
    let text = |name: &str| plan[name].as_str().unwrap_or_default();
    let mut said = text("name").to_owned();
    if !text("description").is_empty() {
        said = format!("{said}  {}", text("description"));
    }
    let limits = lines(&plan["limits"]);
    if limits.is_empty() {
        return format!("{said}\n  no limits");
    }
    format!("{said}\n  {}", limits.join("\n  "))
}
