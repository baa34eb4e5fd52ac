//! `causeway audit list`: who did what, newest first, from the database.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, bail};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use serde_json::Value;

use crate::cli::output::Output;
use crate::cli::serve::{DatabaseArgs, existing};
use crate::market::api::audit::view;
use crate::market::difference::difference;
use crate::store::audit::{AuditFilter, AuditRow};
use crate::types::{Clock, OrganizationId};

pub(super) const EXAMPLES: &str = "\
Examples:
  causeway audit list --data ./data --since 24h
  causeway audit list --since 2026-01-31T00:00:00Z --actor admin --entity petstore --json

Reads the database, also while it is served. --json prints whole rows.";

/// Rows at most.
const ROWS_MAX: i64 = 10_000;

#[derive(Args)]
pub(super) struct ListArgs {
    /// Since when: a time (2026-01-31T12:00:00Z), or how long ago (90m, 24h, 7d)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Who did it
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// The kind of what it was done to, or its name
    #[arg(long, value_name = "KIND|NAME")]
    entity: Option<String>,
    /// How many at most, the newest ones
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=ROWS_MAX))]
    limit: i64,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn list(output: &Output, args: ListArgs) -> anyhow::Result<ExitCode> {
    let now = Clock::system().now();
    let since = args.since.as_deref().map(|text| moment(text, now));
    let filter = AuditFilter {
        from: since.transpose()?.map(|at| at.timestamp_micros()),
        actor: args.actor,
        entity: args.entity,
        ..AuditFilter::default()
    };
    let config = args.database.load(Vec::new())?;
    let store = existing(&config, "read").await?;
    let context = "the audit cannot be read; `causeway migrate` brings a database of an older version up to date";
    let mut rows = Vec::new();
    for organization in store.organizations().await.context(context)? {
        let id = OrganizationId(organization.id);
        let found = store.find_audit(id, &filter, (None, args.limit));
        let found = found.await.context(context)?.unwrap_or_default();
        rows.extend(found.into_iter().map(|row| (id, row)));
    }
    store.close().await;
    rows.sort_by_key(|(_, row)| std::cmp::Reverse((row.at, row.seq)));
    rows.truncate(usize::try_from(args.limit).unwrap_or(usize::MAX));
    let lines: Vec<String> = rows.iter().map(|(_, row)| told(row)).collect();
    let text = if lines.is_empty() {
        "Nothing that was done fits.".to_owned()
    } else {
        lines.join("\n")
    };
    let values: Vec<Value> = rows.iter().map(|(id, row)| view(*id, row)).collect();
    output.result(&text, &serde_json::json!({ "rows": values }))?;
    Ok(ExitCode::SUCCESS)
}

/// A moment as it is written, or as it is told from now.
fn moment(text: &str, now: DateTime<Utc>) -> anyhow::Result<DateTime<Utc>> {
    if let Ok(at) = text.parse::<DateTime<Utc>>() {
        return Ok(at);
    }
    let end = text.len() - text.chars().last().map_or(0, char::len_utf8);
    let seconds = match &text[end..] {
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => 0,
    };
    let many = text[..end].parse::<u32>().ok().filter(|_| seconds > 0);
    let ago = many.map(|many| TimeDelta::seconds(i64::from(many) * seconds));
    match ago.and_then(|ago| now.checked_sub_signed(ago)) {
        Some(at) => Ok(at),
        None => bail!(
            "--since is a time as 2026-01-31T12:00:00Z, or how long ago as 24h, which `{text}` is not"
        ),
    }
}

/// One act, and below it what it changed.
fn told(row: &AuditRow) -> String {
    let at = DateTime::from_timestamp_micros(row.at).unwrap_or_default();
    let mut text = format!(
        "{}  {}  {}  {} {}",
        at.format("%Y-%m-%d %H:%M:%S UTC"),
        row.actor,
        row.action,
        row.entity,
        row.entity_id
    );
    let (lines, hidden) = difference(row.before.as_deref(), row.after.as_deref());
    for line in lines {
        let side = |side: Option<String>| side.unwrap_or_else(|| "–".to_owned());
        let (before, after) = (side(line.before), side(line.after));
        let _ = write!(text, "\n    {}: {before} → {after}", line.path);
    }
    if hidden > 0 {
        let _ = write!(text, "\n    and {hidden} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_told_from_now() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let at = |text: &str| moment(text, now).ok().map(|at| at.timestamp());
        for (text, expected) in [
            ("1970-01-01T00:00:07Z", Some(7)),
            ("90m", Some(1_000_000 - 5_400)),
            ("1h", Some(1_000_000 - 3_600)),
            ("2d", Some(1_000_000 - 172_800)),
            ("h", None),
            ("-1h", None),
            ("5", None),
            ("5天", None),
            ("", None),
        ] {
            assert_eq!(at(text), expected, "{text}");
        }
    }
}
