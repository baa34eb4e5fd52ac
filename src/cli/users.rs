//! `causeway users`: the people who sign in on a running server.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::cli::api::{Api, Target, path_of};
use crate::cli::output::Output;
use crate::cli::sent::Sent;

pub(super) const EXAMPLES: &str = "\
Examples:
  causeway users add ann --role publisher          prints a link with which ann chooses a password
  causeway users add bot --role member --password-file password.txt
  causeway users reset ann                         prints a link for another password
  causeway users export ann > ann.json             everything that is stored about ann
  causeway users erase ann --yes                   forgets ann; docs/personal-data.md says what stays

Roles: admin does everything; publisher publishes servers and manages those; member browses, calls
tools and has keys of its own.";

#[derive(Args)]
pub(super) struct UsersArgs {
    #[command(subcommand)]
    command: UsersCommand,
}

#[derive(Subcommand)]
enum UsersCommand {
    /// Make somebody; without a password, print the link they choose one with
    Add {
        /// What they sign in with: a-z, 0-9 and . _ - @
        name: String,
        /// What they may do
        #[arg(long, value_name = "ROLE", value_parser = ["admin", "publisher", "member"])]
        role: String,
        /// A file with their password
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
    /// List everybody
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Print everything that is stored about somebody, as JSON
    Export {
        /// What they sign in with
        name: String,
        #[command(flatten)]
        target: Target,
    },
    /// Erase what is stored about somebody; in what was done before, a pseudonym takes their place
    Erase {
        /// What they sign in with
        name: String,
        /// Do it, without being asked again
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Print a link with which somebody chooses another password, within an hour
    Reset {
        /// What they sign in with
        name: String,
        #[command(flatten)]
        target: Target,
    },
}

pub(super) async fn users(output: &Output, args: UsersArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        UsersCommand::Add {
            name,
            role,
            password_file,
            target,
        } => {
            add(output, &Api::of(target)?, (&name, &role, password_file)).await?;
        }
        UsersCommand::List { target } => {
            let api = Api::of(target)?;
            let answer = api.list("/api/v1/users", &["users"]).await?;
            let users = answer["users"].as_array().ok_or_else(|| api.stranger())?;
            let lines: Vec<String> = users.iter().map(line).collect();
            let text = if lines.is_empty() {
                "Nobody has an account yet: `causeway users add NAME --role admin` makes one."
                    .to_owned()
            } else {
                lines.join("\n")
            };
            output.result(&text, &answer)?;
        }
        UsersCommand::Export { name, target } => {
            let api = Api::of(target)?;
            let path = path_of(&["users", &name, "export"]);
            let told = api.send(Method::GET, &path, None).await?;
            output.result(&serde_json::to_string_pretty(&told)?, &told)?;
        }
        UsersCommand::Erase { name, yes, target } => {
            if !yes {
                anyhow::bail!("what is stored about {name} would be erased; add --yes to do it");
            }
            let api = Api::of(target)?;
            let path = path_of(&["users", &name, "erase"]);
            let sent = Some(Sent::json(json!({ "confirm": name }).to_string()));
            let made = api.send(Method::POST, &path, sent).await?;
            let pseudonym = made["pseudonym"].as_str().ok_or_else(|| api.stranger())?;
            let text = format!(
                "{name} is erased. In the audit and the ledger, {pseudonym} stands in their place."
            );
            output.result(&text, &made)?;
        }
        UsersCommand::Reset { name, target } => {
            let api = Api::of(target)?;
            let path = path_of(&["users", &name, "reset"]);
            let made = api.send(Method::POST, &path, None).await?;
            let link = made["link"].as_str().ok_or_else(|| api.stranger())?;
            output.result(&format!("{name} chooses a password here:\n  {link}"), &made)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes somebody, with a password or a link to choose one.
async fn add(
    output: &Output,
    api: &Api,
    (name, role, password_file): (&str, &str, Option<PathBuf>),
) -> anyhow::Result<()> {
    let password = password_file.map(|path| {
        let read = std::fs::read_to_string(&path).map(Zeroizing::new);
        read.with_context(|| format!("cannot read {}", path.display()))
    });
    let password = password.transpose()?;
    let password = password
        .as_deref()
        .map(|text| text.trim_end_matches(['\n', '\r']));
    let mut new = json!({ "name": name, "role": role });
    if let Some(password) = password {
        new["password"] = password.into();
    }
    let sent = Some(Sent::json(new.to_string()));
    let made = api.send(Method::POST, "/api/v1/users", sent).await?;
    let name = made["user"]["name"]
        .as_str()
        .ok_or_else(|| api.stranger())?;
    let text = match made["link"].as_str() {
        Some(link) => format!("{name} chooses a password here, within 72 hours:\n  {link}"),
        None => format!("{name} can sign in."),
    };
    output.result(&text, &made)
}

fn line(user: &Value) -> String {
    let state = if !user["disabledAt"].is_null() {
        "disabled"
    } else if user["hasPassword"] == true {
        "good"
    } else {
        "invited"
    };
    let text = |name: &str| user[name].as_str().unwrap_or("-");
    format!("{:9}  {state:8}  {}", text("role"), text("name"))
}
