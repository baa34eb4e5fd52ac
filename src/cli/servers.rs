//! `causeway servers`: the life of the servers on a running server.

use std::process::ExitCode;

use anyhow::bail;
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
  causeway servers limit shop --limit 60/minute/consumer --limit '$5/month/consumer'
  causeway servers disable shop --note \"back on Monday\"
  causeway servers enable shop
  causeway servers unpublish shop --note \"use shop-2 instead\"
  causeway servers transfer shop --to ann --yes
  causeway servers delete shop --yes               for 30 days, `restore` brings it back
  causeway servers deleted
  causeway servers restore shop

What is deleted loses its credentials at once; they have to be set again after `restore`.

{SYNTAX}"
    )
}

#[derive(Args)]
pub(super) struct ServersArgs {
    #[command(subcommand)]
    command: ServersCommand,
}

/// A server, and where it runs.
#[derive(Args)]
struct One {
    /// The server's name
    slug: String,
    #[command(flatten)]
    target: Target,
}

/// The same, and what its callers are told.
#[derive(Args)]
struct Closing {
    #[command(flatten)]
    one: One,
    /// What callers are told besides, such as whom to ask; at most 300 characters
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

#[derive(Subcommand)]
enum ServersCommand {
    /// Answer every call with an error that says the server is disabled
    Disable(Closing),
    /// Serve a server again that was disabled or unpublished
    #[command(visible_alias = "publish")]
    Enable(One),
    /// The same as disable, and take the server out of the catalog
    Unpublish(Closing),
    /// Set the limits of a server, for everybody who calls it
    Limit {
        #[command(flatten)]
        one: One,
        #[command(flatten)]
        limits: Limits,
    },
    /// Give a server to somebody else, who has to be an admin or a publisher
    Transfer {
        #[command(flatten)]
        one: One,
        /// What they sign in with
        #[arg(long, value_name = "NAME")]
        to: String,
        /// Do it, without being asked again
        #[arg(long)]
        yes: bool,
    },
    /// Delete a server and destroy its credentials; it can be restored for 30 days
    Delete {
        #[command(flatten)]
        one: One,
        /// Do it, without being asked again
        #[arg(long)]
        yes: bool,
    },
    /// List servers that can be restored
    Deleted {
        #[command(flatten)]
        target: Target,
    },
    /// Bring a deleted server back, without its credentials
    Restore(One),
}

pub(super) async fn servers(output: &Output, args: ServersArgs) -> anyhow::Result<ExitCode> {
    let (text, value) = match args.command {
        ServersCommand::Disable(closing) => {
            let note = closing.note;
            set(
                closing.one,
                ("disabled", note),
                "is disabled: every call is told so",
            )
            .await?
        }
        ServersCommand::Enable(one) => set(one, ("served", None), "is served").await?,
        ServersCommand::Unpublish(closing) => {
            let note = closing.note;
            set(
                closing.one,
                ("unpublished", note),
                "left the catalog: every call is told so",
            )
            .await?
        }
        ServersCommand::Limit { one, limits } => limit(one, &limits).await?,
        ServersCommand::Transfer { one, to, yes } => {
            sure(yes, &format!("{} would belong to {to}", one.slug))?;
            let path = path_of(&["servers", &one.slug, "transfer"]);
            let sent = Some(Sent::json(json!({ "to": to }).to_string()));
            let api = Api::of(one.target)?;
            let answer = api.send(Method::POST, &path, sent).await?;
            (format!("{} belongs to {to} now.", one.slug), answer)
        }
        ServersCommand::Delete { one, yes } => {
            sure(yes, &format!("{} would be deleted", one.slug))?;
            let path = path_of(&["servers", &one.slug]);
            let api = Api::of(one.target)?;
            api.send(Method::DELETE, &path, None).await?;
            let text = format!(
                "{slug} is deleted, and its credentials are destroyed. For 30 days, \
                 `causeway servers restore {slug}` brings back the rest.",
                slug = one.slug
            );
            (text, json!({ "deleted": one.slug }))
        }
        ServersCommand::Deleted { target } => {
            let api = Api::of(target)?;
            let answer = api.list("/api/v1/deleted-servers", &["servers"]).await?;
            let rows = answer["servers"].as_array().ok_or_else(|| api.stranger())?;
            let lines: Vec<String> = rows.iter().map(line).collect();
            let text = if lines.is_empty() {
                "Nothing was deleted in the last 30 days.".to_owned()
            } else {
                lines.join("\n")
            };
            (text, answer)
        }
        ServersCommand::Restore(one) => {
            let path = path_of(&["deleted-servers", &one.slug, "restore"]);
            let api = Api::of(one.target)?;
            let answer = api.send(Method::POST, &path, None).await?;
            let text = format!(
                "{} is back; its credentials have to be set again.",
                one.slug
            );
            (text, answer)
        }
    };
    output.result(&text, &value)?;
    Ok(ExitCode::SUCCESS)
}

async fn set(
    one: One,
    (state, note): (&str, Option<String>),
    said: &str,
) -> anyhow::Result<(String, Value)> {
    let path = path_of(&["servers", &one.slug, "state"]);
    let sent = Sent::json(json!({ "state": state, "note": note }).to_string());
    let api = Api::of(one.target)?;
    let answer = api.send(Method::PUT, &path, Some(sent)).await?;
    if answer["state"] != state {
        return Err(api.stranger());
    }
    Ok((format!("{} {said}.", one.slug), answer))
}

async fn limit(one: One, limits: &Limits) -> anyhow::Result<(String, Value)> {
    let path = path_of(&["servers", &one.slug]);
    let sent = Sent::json(json!({ "limits": limits.json() }).to_string());
    let api = Api::of(one.target)?;
    let answer = api.send(Method::PATCH, &path, Some(sent)).await?;
    let set = lines(&answer["settings"]["limits"]);
    let text = if set.is_empty() {
        format!("{} has no limits.", one.slug)
    } else {
        format!("{}\n  {}", one.slug, set.join("\n  "))
    };
    Ok((text, answer))
}

/// Nobody is asked: a program may be reading.
fn sure(yes: bool, what: &str) -> anyhow::Result<()> {
    if !yes {
        bail!("{what}; add --yes to do it");
    }
    Ok(())
}

fn line(server: &Value) -> String {
    let text = |name: &str| server[name].as_str().unwrap_or("-").to_owned();
    format!(
        "{}  until {}  {}",
        text("slug"),
        text("restorableUntil"),
        text("title")
    )
}
