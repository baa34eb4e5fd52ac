//! `causeway doctor`: whether a running server is well, as it tells itself.

use std::process::ExitCode;

use clap::Args;
use http::Method;
use serde_json::Value;

use crate::cli::api::{Api, Target};
use crate::cli::output::Output;

pub(super) const EXAMPLES: &str = "\
Examples:
  causeway doctor
  causeway doctor --server https://mcp.example.com --key KEY

Looks at the way from outside by the public URL, at buffering of streams, clocks, the keys' files, the
database, Redis, and the disk.

Exit codes: 0 it works, perhaps with warnings; 1 something is wrong, or the server cannot be asked.";

#[derive(Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    target: Target,
}

pub(super) async fn doctor(output: &Output, args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let api = Api::of(args.target)?;
    let answer = api.send(Method::GET, "/api/v1/doctor", None).await?;
    let checks = answer["checks"].as_array().ok_or_else(|| api.stranger())?;
    let lines: Vec<String> = checks.iter().map(told).collect();
    output.result(&lines.join("\n"), &answer)?;
    Ok(match answer["state"].as_str() {
        Some("ok" | "warn") => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// One check, and below it what to do.
fn told(check: &Value) -> String {
    let text = |name: &str| check[name].as_str().unwrap_or_default();
    let line = format!("{:4}  {:10}  {}", text("state"), text("id"), text("found"));
    match check["advice"].as_str() {
        Some(advice) => format!("{line}\n                  {advice}"),
        None => line,
    }
}
