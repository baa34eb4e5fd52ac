//! The commands that speak to a running server over `/api/v1`.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use url::Url;

use crate::cli::api::{Api, Auth, DEFAULT_URL, Target};
use crate::cli::output::Output;
use crate::cli::sent::Sent;
use crate::config;
use crate::types::Clock;

/// For how long a key can be good that is made with an end.
const DAYS_MAX: u64 = 3_650;

pub(super) const CALL_EXAMPLES: &str = "\
Examples:
  causeway call petstore listPets --args '{\"limit\": 2}'
  causeway call petstore deletePet --args '{\"petId\": 4}' --dry-run

Exit code 0: the tool answered; 1: it answered with an error, or could not be called.";

#[derive(Args)]
pub(super) struct CallArgs {
    /// The server's name
    slug: String,
    /// The tool's name
    tool: String,
    /// The arguments, a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    args: String,
    /// Send nothing; show the request
    #[arg(long)]
    dry_run: bool,
    /// Agree to a call that asks for it
    #[arg(long)]
    confirm: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Make a key; it is shown once
    #[command(
        after_help = "Examples:\n  causeway keys create my-agent --server petstore --server bookshop\n  causeway keys create my-app --model fast --model 'openai/*'"
    )]
    Create(CreateArgs),
    /// Replace a key by one with a new secret, which is shown once; the old one goes on for a while
    Rotate {
        /// The key's id, as the list shows it
        id: uuid::Uuid,
        /// How long the old key goes on: a number and s, m, h or d, at most 30d
        #[arg(long, value_name = "TIME", default_value = "24h")]
        overlap: String,
        #[command(flatten)]
        target: Target,
    },
    /// List the keys, without their secrets
    List {
        #[command(flatten)]
        target: Target,
    },
    /// End a key at once
    Revoke {
        /// The key's id, as the list shows it
        id: uuid::Uuid,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Args)]
struct CreateArgs {
    /// What or who it is for
    name: String,
    /// A server it is good for, by slug; may be repeated, and without any it is good for all. A
    /// value with :// is the URL of the running server instead
    #[arg(long = "server", value_name = "SLUG")]
    servers: Vec<String>,
    /// A single tool it is good for; may be repeated
    #[arg(long = "tool", value_name = "SLUG/TOOL")]
    tools: Vec<String>,
    /// A model it is good for, or a pattern with a `*` at its end; may be repeated. Without any it is
    /// good for all, or for none where it is for some servers only
    #[arg(long = "model", value_name = "NAME")]
    models: Vec<String>,
    /// In how many days it ends; without it, it does not
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=DAYS_MAX))]
    expires_in: Option<u64>,
    #[command(flatten)]
    auth: Auth,
}

#[derive(Args)]
pub(super) struct HealthArgs {
    /// The running server
    #[arg(
        long = "server",
        value_name = "URL",
        default_value = DEFAULT_URL,
        env = "CAUSEWAY_SERVER"
    )]
    url: Url,
}

pub(super) async fn call(output: &Output, args: CallArgs) -> anyhow::Result<ExitCode> {
    let arguments: &RawValue = serde_json::from_str(&args.args).context(
        "--args is not JSON; give one object in single quotes, for example --args '{\"limit\": 2}'",
    )?;
    // As text: a number that is read and written again may not be the same number.
    let confirmed = if args.confirm {
        ",\"confirmed\":true"
    } else {
        ""
    };
    let body = format!(
        "{{\"arguments\":{arguments},\"dryRun\":{}{confirmed}}}",
        args.dry_run
    );
    let path = format!("/api/v1/servers/{}/tools/{}/call", args.slug, args.tool);
    let api = Api::of(args.target)?;
    let answer = api
        .exchange(Method::POST, &path, Some(Sent::json(body)))
        .await?;
    let raw: &RawValue = serde_json::from_slice(&answer).map_err(|_| api.stranger())?;
    let trace: Value = serde_json::from_str(raw.get())?;
    if trace["traceId"].is_null() {
        return Err(api.stranger());
    }
    let failed = trace["result"]["isError"] == true;
    // As it came, for the same reason.
    output.result(&explain(&trace), &raw)?;
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// A trace for people: the request, the status, and the text of the result.
fn explain(trace: &Value) -> String {
    let mut lines = Vec::new();
    if let Some(request) = trace.get("request").filter(|request| !request.is_null()) {
        lines.push(format!(
            "{} {}",
            request["method"].as_str().unwrap_or_default(),
            request["url"].as_str().unwrap_or_default()
        ));
        for (name, values) in request["headers"].as_object().into_iter().flatten() {
            for value in values
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
            {
                lines.push(format!("  {name}: {value}"));
            }
        }
        if let Some(body) = request["body"].as_str() {
            lines.push(format!("\n{body}"));
        }
    }
    if let Some(status) = trace["status"].as_u64() {
        lines.push(format!(
            "\n{status} after {:.1} ms\n",
            trace["timings"]["upstreamMs"].as_f64().unwrap_or_default()
        ));
    }
    for content in trace["result"]["content"].as_array().into_iter().flatten() {
        let text = content["text"].as_str().map_or_else(
            || format!("[{}]", content["type"].as_str().unwrap_or_default()),
            str::to_owned,
        );
        lines.push(text);
    }
    lines.join("\n")
}

pub(super) async fn keys(output: &Output, args: KeysArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        KeysCommand::Create(args) => create(output, args).await?,
        KeysCommand::Rotate {
            id,
            overlap,
            target,
        } => rotate(output, (id, &overlap), target).await?,
        KeysCommand::List { target } => {
            let api = Api::of(target)?;
            let answer = api.list("/api/v1/keys", &["keys"]).await?;
            let keys = answer["keys"].as_array().ok_or_else(|| api.stranger())?;
            let lines: Vec<String> = keys.iter().map(key_line).collect();
            let text = if lines.is_empty() {
                "There are no keys yet: `causeway keys create NAME` makes one.".to_owned()
            } else {
                lines.join("\n")
            };
            output.result(&text, &answer)?;
        }
        KeysCommand::Revoke { id, target } => {
            Api::of(target)?
                .send(Method::DELETE, &format!("/api/v1/keys/{id}"), None)
                .await?;
            output.result("The key is revoked.", &json!({ "revoked": id }))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(output: &Output, args: CreateArgs) -> anyhow::Result<()> {
    let servers = args.servers.into_iter();
    let (urls, slugs): (Vec<String>, Vec<String>) = servers.partition(|text| text.contains("://"));
    let url = match urls.first() {
        Some(url) => url.parse().context("--server")?,
        None => default_url()?,
    };
    let api = Api::with(url, args.auth)?;
    let mut body = wanted(&args.name, &slugs, &args.tools)?;
    if !args.models.is_empty() {
        body["models"] = json!(args.models);
    }
    if let Some(days) = args.expires_in {
        let ends = Clock::system().now() + chrono::Days::new(days);
        body["expiresAt"] = json!(ends);
    }
    let sent = Some(Sent::json(body.to_string()));
    let made = api.send(Method::POST, "/api/v1/keys", sent).await?;
    if made["key"].is_null() {
        return Err(api.stranger());
    }
    let ends = match made["expiresAt"].as_str() {
        Some(at) => format!(" It ends at {at}."),
        None => String::new(),
    };
    let text = format!(
        "{}\n\nThis is the only time it is shown. Its id is {}.{ends}",
        made["key"].as_str().unwrap_or_default(),
        made["id"].as_str().unwrap_or_default()
    );
    output.result(&text, &made)
}

async fn rotate(
    output: &Output,
    (id, overlap): (uuid::Uuid, &str),
    target: Target,
) -> anyhow::Result<()> {
    let api = Api::of(target)?;
    let body = Sent::json(json!({ "overlap": overlap }).to_string());
    let path = format!("/api/v1/keys/{id}/rotate");
    let made = api.send(Method::POST, &path, Some(body)).await?;
    let text = |name: &str| made[name].as_str().unwrap_or_default();
    if made["key"].is_null() {
        return Err(api.stranger());
    }
    let said = format!(
        "{}\n\nThis is the only time it is shown. Its id is {}; it replaces {id}, which ends by {}.",
        text("key"),
        text("id"),
        text("oldKeyEndsBy")
    );
    output.result(&said, &made)
}

/// What a new key is asked for: whole servers, and single tools of servers.
fn wanted(name: &str, servers: &[String], tools: &[String]) -> anyhow::Result<Value> {
    let mut body = json!({ "name": name, "servers": servers });
    let grants = tools.iter().map(|text| {
        let (server, tool) = text
            .split_once('/')
            .with_context(|| format!("--tool is written SLUG/TOOL, which `{text}` is not"))?;
        Ok(json!({ "server": server, "tools": [tool] }))
    });
    let grants: Vec<Value> = grants.collect::<anyhow::Result<_>>()?;
    if !grants.is_empty() {
        body["grants"] = json!(grants);
    }
    Ok(body)
}

fn default_url() -> anyhow::Result<Url> {
    let text = config::environment("CAUSEWAY_SERVER").unwrap_or_else(|| DEFAULT_URL.to_owned());
    text.parse().context("CAUSEWAY_SERVER")
}

fn key_line(key: &Value) -> String {
    let state = if key["revokedAt"].is_null() {
        "good"
    } else {
        "revoked"
    };
    let text = |name: &str| key[name].as_str().unwrap_or("-").to_owned();
    let notes = [
        ("expiresAt", "until"),
        ("replaces", "replaces"),
        ("replacedBy", "replaced by"),
    ];
    let notes: String = notes
        .iter()
        .filter_map(|(name, word)| Some(format!("  {word} {}", key[*name].as_str()?)))
        .collect();
    let models = key["models"].as_array().into_iter().flatten();
    let models: Vec<&str> = models.filter_map(Value::as_str).collect();
    let notes = if models.is_empty() {
        notes
    } else {
        format!("  models {}{notes}", models.join(", "))
    };
    format!(
        "{}  {}…  {:8} {}{notes}",
        text("id"),
        text("prefix"),
        state,
        text("name")
    )
}

pub(super) async fn healthcheck(output: &Output, args: HealthArgs) -> anyhow::Result<ExitCode> {
    let api = Api::new(args.url, None)?;
    let said = api.exchange(Method::GET, "/healthz", None).await?;
    if said.trim_ascii() != b"ok" {
        return Err(api.stranger());
    }
    output.result("ok", &json!({ "status": "ok" }))?;
    Ok(ExitCode::SUCCESS)
}
