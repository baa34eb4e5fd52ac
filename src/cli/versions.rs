//! `causeway versions` and `causeway sync`: what the documents of a server became, which of that is
//! served, and where its next document comes from.

mod shown;

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use url::Url;

use crate::cli::api::{Api, Target, path_of};
use crate::cli::output::Output;
use crate::cli::sent::Sent;

pub(super) const EXAMPLES: &str = "\
Examples:
  causeway versions shop                          what there is, what is served, what waits
  causeway versions shop diff 7                   what agents would notice of version 7
  causeway versions shop promote 7                serve it to everyone
  causeway versions shop rollback 5               the same, with an older one
  causeway versions shop canary 7 --percent 10    serve it to a tenth of the consumers
  causeway versions shop canary --end

`causeway import FILE --slug shop --stage` makes a version that waits.";

pub(super) const SYNC_EXAMPLES: &str = "\
Examples:
  causeway sync shop                              now, from where it is read again
  causeway sync shop --every 1h                   and then every hour, from where it came from
  causeway sync shop --every 1d --url https://api.example.com/openapi.json
  causeway sync shop --stop

A compatible change is served at once. Everything else waits, until `causeway versions shop promote`
serves it. Exit code 1: the document could not be read.";

#[derive(Args)]
pub(super) struct VersionsArgs {
    /// The server's name
    slug: String,
    #[command(subcommand)]
    command: Option<VersionsCommand>,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum VersionsCommand {
    /// List the versions, newest first, and where the next one comes from; this is the default
    List,
    /// Say what agents would notice of a version, and whether calls that were right may fail
    Diff {
        /// The version [default: the one that waits, or that some consumers are served]
        version: Option<i64>,
        /// Another version to compare it with than the one that is served
        #[arg(long, value_name = "VERSION")]
        against: Option<i64>,
    },
    /// Serve a version, newer or older, to everyone
    #[command(visible_alias = "rollback")]
    Promote { version: i64 },
    /// Let go of the version that waits; it stays in the list
    Discard,
    /// Serve a version to some consumers, always the same ones
    Canary {
        #[arg(required_unless_present = "end")]
        version: Option<i64>,
        /// To how many of a hundred consumers
        #[arg(long, value_name = "N", default_value = "10")]
        percent: u8,
        /// Serve the current version to everyone again
        #[arg(long, conflicts_with_all = ["version", "percent"])]
        end: bool,
    },
}

#[derive(Args)]
pub(super) struct SyncArgs {
    /// The server's name
    slug: String,
    /// Read it again from time to time: seconds, or a number with m, h or d; at least a minute
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    every: Option<i64>,
    /// From where, if not from where it came from
    #[arg(long = "url", value_name = "URL", requires = "every")]
    from: Option<Url>,
    /// Read it again no more
    #[arg(long, conflicts_with = "every")]
    stop: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) async fn versions(output: &Output, args: VersionsArgs) -> anyhow::Result<ExitCode> {
    let api = Api::of(args.target)?;
    let slug = args.slug.as_str();
    let (text, value) = match args.command {
        None | Some(VersionsCommand::List) => {
            let history = history(&api, slug).await?;
            (shown::history(slug, &history), history)
        }
        Some(VersionsCommand::Diff { version, against }) => {
            diff(&api, slug, (version, against)).await?
        }
        Some(VersionsCommand::Promote { version }) => {
            let number = version.to_string();
            let path = path_of(&["servers", slug, "versions", &number, "promote"]);
            let answer = api.send(Method::POST, &path, None).await?;
            if answer["version"] != version {
                return Err(api.stranger());
            }
            let text = format!("Version {version} of {slug} is served to everyone.");
            (text, answer)
        }
        Some(VersionsCommand::Discard) => {
            let path = path_of(&["servers", slug, "staged"]);
            api.send(Method::DELETE, &path, None).await?;
            let text = "No version waits any more.".to_owned();
            (text, json!({ "discarded": true }))
        }
        Some(VersionsCommand::Canary {
            version, percent, ..
        }) => canary(&api, slug, version.map(|version| (version, percent))).await?,
    };
    output.result(&text, &value)?;
    Ok(ExitCode::SUCCESS)
}

async fn history(api: &Api, slug: &str) -> anyhow::Result<Value> {
    let path = path_of(&["servers", slug, "versions"]);
    let history = api.list(&path, &["versions"]).await?;
    if history["versions"].is_null() {
        return Err(api.stranger());
    }
    Ok(history)
}

async fn diff(
    api: &Api,
    slug: &str,
    (version, against): (Option<i64>, Option<i64>),
) -> anyhow::Result<(String, Value)> {
    let number = match version {
        Some(number) => number,
        None => {
            let history = history(api, slug).await?;
            let beside = |kind: &str| history[kind]["version"].as_i64();
            beside("staged").or(beside("canary")).context(
                "no version waits, and none is served to some consumers only; say which is meant",
            )?
        }
    };
    let mut path = path_of(&["servers", slug, "versions", &number.to_string(), "diff"]);
    if let Some(against) = against {
        path = format!("{path}?against={against}");
    }
    let answer = api.send(Method::GET, &path, None).await?;
    if answer["tools"].is_null() {
        return Err(api.stranger());
    }
    Ok((shown::diff(&answer), answer))
}

/// Begins a canary, or ends it.
async fn canary(
    api: &Api,
    slug: &str,
    begun: Option<(i64, u8)>,
) -> anyhow::Result<(String, Value)> {
    let path = path_of(&["servers", slug, "canary"]);
    let Some((version, percent)) = begun else {
        api.send(Method::DELETE, &path, None).await?;
        let text = "Everyone is served the current version.".to_owned();
        return Ok((text, json!({ "ended": true })));
    };
    let asked = Sent::json(json!({ "version": version, "percent": percent }).to_string());
    let answer = api.send(Method::PUT, &path, Some(asked)).await?;
    if answer["canary"].is_null() {
        return Err(api.stranger());
    }
    let text = format!(
        "Version {version} of {slug} is served to {percent} of 100 consumers, and version {} to \
         everyone else.",
        answer["current"]
    );
    Ok((text, answer))
}

pub(super) async fn sync(output: &Output, args: SyncArgs) -> anyhow::Result<ExitCode> {
    let api = Api::of(args.target)?;
    let slug = args.slug.as_str();
    let source = path_of(&["servers", slug, "source"]);
    if args.stop {
        api.send(Method::DELETE, &source, None).await?;
        let text = format!("The document of {slug} is read again no more.");
        output.result(&text, &json!({ "stopped": true }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(every) = args.every {
        let asked = json!({ "everySeconds": every, "url": args.from.map(|url| url.to_string()) });
        let asked = Sent::json(asked.to_string());
        api.send(Method::PUT, &source, Some(asked)).await?;
    } else if history(&api, slug).await?["source"].is_null() {
        bail!(
            "the document of {slug} is read again from nowhere; give --every, and --url if it was \
             a file"
        );
    }
    let path = path_of(&["servers", slug, "source", "sync"]);
    let answer = api.send(Method::POST, &path, None).await?;
    let Some(outcome) = answer["outcome"].as_str() else {
        return Err(api.stranger());
    };
    output.result(&shown::outcome(slug, &answer), &answer)?;
    Ok(if outcome == "failed" {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Seconds, written as such or as minutes, hours or days.
fn seconds(text: &str) -> Result<i64, String> {
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3_600),
        Some((at, 'd')) => (&text[..at], 86_400),
        _ => (text, 1),
    };
    let number = number.parse::<i64>().ok().filter(|number| *number > 0);
    let seconds = number.and_then(|number| number.checked_mul(unit));
    seconds.ok_or_else(|| "write it as 90, 15m, 1h or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_units() {
        let rows = [
            ("90", 90),
            ("90s", 90),
            ("15m", 900),
            ("1h", 3_600),
            ("7d", 604_800),
        ];
        for (text, value) in rows {
            assert_eq!(seconds(text), Ok(value));
        }
        for text in [
            "",
            "h",
            "0",
            "-1h",
            "1.5h",
            "1 h",
            "1y",
            "9223372036854775807d",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
