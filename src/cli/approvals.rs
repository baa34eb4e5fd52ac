//! `causeway approvals`: calls that wait for a person, decided from the command line.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use crate::cli::api::{Api, Target};
use crate::cli::output::Output;
use crate::cli::sent::Sent;

pub(super) const EXAMPLES: &str = "\
Examples:
  causeway approvals list --state pending
  causeway approvals approve 0190a1b2-…
  causeway approvals approve 0190a1b2-… --for hour
  causeway approvals deny 0190a1b2-… --reason 'the order has been sent'
  causeway approvals webhook shop --new-secret";

#[derive(Args)]
pub(super) struct ApprovalsArgs {
    #[command(subcommand)]
    command: ApprovalsCommand,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum ApprovalsCommand {
    /// List the calls, those that wait first
    List {
        /// Only those in this state
        #[arg(long, value_name = "STATE", value_parser = ["pending", "approved", "denied", "expired", "used"])]
        state: Option<String>,
    },
    /// Let a call through
    Approve {
        /// The call's id, as the list shows it
        id: uuid::Uuid,
        /// How often: once, or as often as the same caller makes the same call within an hour
        #[arg(long = "for", value_name = "HOW-LONG", value_parser = ["once", "hour"], default_value = "once")]
        scope: String,
    },
    /// Refuse a call
    Deny {
        /// The call's id, as the list shows it
        id: uuid::Uuid,
        /// What the caller is told
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Show where a server tells of calls that wait, and with what that is signed
    Webhook {
        /// The server's name
        slug: String,
        /// Make another secret first; the one before signs nothing any more
        #[arg(long)]
        new_secret: bool,
    },
}

pub(super) async fn approvals(output: &Output, args: ApprovalsArgs) -> anyhow::Result<ExitCode> {
    let api = Api::of(args.target)?;
    match args.command {
        ApprovalsCommand::List { state } => {
            let path = state.map_or_else(String::new, |state| format!("?state={state}"));
            let path = format!("/api/v1/approvals{path}");
            let answer = api.list(&path, &["approvals"]).await?;
            let rows = answer["approvals"].as_array();
            let rows = rows.ok_or_else(|| api.stranger())?;
            let shown: Vec<String> = rows.iter().map(shown).collect();
            let text = if shown.is_empty() {
                "No calls wait, and none did.".to_owned()
            } else {
                shown.join("\n\n")
            };
            output.result(&text, &answer)?;
        }
        ApprovalsCommand::Approve { id, scope } => {
            let decided = decide(&api, id, &json!({ "decision": scope })).await?;
            output.result(&shown(&decided), &decided)?;
        }
        ApprovalsCommand::Deny { id, reason } => {
            let decision = json!({ "decision": "deny", "reason": reason });
            let decided = decide(&api, id, &decision).await?;
            output.result(&shown(&decided), &decided)?;
        }
        ApprovalsCommand::Webhook { slug, new_secret } => {
            let path = format!("/api/v1/servers/{slug}/approval-webhook");
            let method = if new_secret {
                Method::POST
            } else {
                Method::GET
            };
            let answer = api.send(method, &path, None).await?;
            let secret = answer["secret"].as_str().ok_or_else(|| api.stranger())?;
            let url = answer["url"].as_str().unwrap_or("nobody is told");
            output.result(&format!("{url}\nsecret: {secret}"), &answer)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn decide(api: &Api, id: uuid::Uuid, decision: &Value) -> anyhow::Result<Value> {
    let path = format!("/api/v1/approvals/{id}");
    let body = Sent::json(decision.to_string());
    let decided = api.send(Method::POST, &path, Some(body)).await?;
    if decided["state"].is_null() {
        return Err(api.stranger());
    }
    Ok(decided)
}

/// A call for people: what, who, until when, and with which arguments.
fn shown(call: &Value) -> String {
    let text = |name: &str| call[name].as_str().unwrap_or("-");
    let scope = call["scope"].as_str();
    let scope = scope.map_or_else(String::new, |scope| format!(" ({scope})"));
    let mut lines = vec![
        format!("{}  {}{scope}", text("id"), text("state")),
        format!(
            "  {} / {} by {}",
            text("server"),
            text("tool"),
            text("principal")
        ),
        format!("  asked {}, until {}", text("askedAt"), text("expiresAt")),
    ];
    if let Some(reason) = call["reason"].as_str() {
        lines.push(format!("  reason: {reason}"));
    }
    lines.extend(text("arguments").lines().map(|line| format!("  {line}")));
    lines.join("\n")
}
