//! `causeway audit`: the record of who did what, and whether it is as it was written.

mod list;

use std::process::ExitCode;

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::output::Output;
use crate::cli::serve::{DatabaseArgs, existing};
use crate::store::audit::chain::{Fault, Known, Noted, Walk};
use crate::types::OrganizationId;

const VERIFY_EXAMPLES: &str = "\
Examples:
  causeway audit verify --data ./data
  causeway audit verify --database-url postgres://localhost/causeway --noted 4711:9f86d081…

Reads the database, also while it is served. The last line is the head of the chain: keep it where
those who may write to the database cannot, and give it to the next run with --noted. Without it, a
chain that was made anew as a whole looks right.

Exit codes: 0 every row fits, 1 one does not, or the database cannot be read.";

#[derive(Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// List who did what, newest first
    #[command(after_help = list::EXAMPLES)]
    List(list::ListArgs),
    /// Walk along the chain of the audit, and tell the first row that does not fit
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
}

#[derive(Args)]
struct VerifyArgs {
    /// The head of an earlier run: it must still be in the chain
    #[arg(long, value_name = "NUMBER:HASH")]
    noted: Option<Noted>,
    /// Until when processes of a version without the chain still wrote to this database
    #[arg(long, value_name = "TIME")]
    older_until: Option<DateTime<Utc>>,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn audit(output: &Output, args: AuditArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        AuditCommand::List(args) => list::list(output, args).await,
        AuditCommand::Verify(args) => verify(output, args).await,
    }
}

async fn verify(output: &Output, args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let config = args.database.load(Vec::new())?;
    let store = existing(&config, "verify").await?;
    let known = Known {
        noted: args.noted,
        loose_until: args.older_until.map(|at| at.timestamp_micros()),
    };
    let mut walks = Vec::new();
    let context = "the audit cannot be read; `causeway migrate` brings a database of an older version up to date";
    for row in store.organizations().await.context(context)? {
        let walking = store.walk_audit(OrganizationId(row.id), &known);
        walks.push((row.id, walking.await.context(context)?));
    }
    store.close().await;
    let lost = known
        .noted
        .filter(|_| walks.iter().all(|(_, walk)| !walk.noted));
    let whole = lost.is_none() && walks.iter().all(|(_, walk)| walk.fault.is_none());
    let chains: Vec<Value> = walks.iter().map(|(id, walk)| view(*id, walk)).collect();
    let mut lines: Vec<String> = walks.iter().map(|(_, walk)| told(walk)).collect();
    if let Some(noted) = &lost {
        lines.insert(
            0,
            format!(
                "The head that was noted is in no chain: {noted}. What is there was made later."
            ),
        );
    }
    let value = json!({ "whole": whole, "notedFound": lost.is_none(), "chains": chains });
    output.result(&lines.join("\n"), &value)?;
    Ok(if whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn view(organization: uuid::Uuid, walk: &Walk) -> Value {
    let fault = walk.fault.as_ref().map(|fault| {
        let (kind, seq, id) = match fault {
            Fault::Missing { seq } => ("missing", Some(seq), None),
            Fault::Altered { seq, id } => ("altered", Some(seq), Some(id)),
            Fault::Inserted { seq, id } => ("inserted", Some(seq), Some(id)),
            Fault::Head { seq } => ("head", Some(seq), None),
            Fault::Loose { id, .. } => ("unnumbered", None, Some(id)),
        };
        json!({ "kind": kind, "seq": seq, "id": id, "detail": fault.to_string() })
    });
    json!({
        "organization": organization,
        "rows": walk.head.seq,
        "head": (walk.head.seq > 0).then(|| walk.head.to_string()),
        "began": walk.began.and_then(DateTime::from_timestamp_micros),
        "pseudonymised": walk.redacted,
        "unnumbered": walk.loose,
        "fault": fault,
    })
}

/// A chain in words, its head last.
fn told(walk: &Walk) -> String {
    let mut lines = Vec::new();
    if let Some(fault) = &walk.fault {
        lines.push(format!("The audit is not as it was written: {fault}."));
    }
    let rows = walk.head.seq;
    lines.push(match walk.began.and_then(DateTime::from_timestamp_micros) {
        None => "No row of the chain was met.".to_owned(),
        Some(began) => format!(
            "{rows} rows fit; the chain begins at {}.",
            began.format("%Y-%m-%d %H:%M:%S UTC")
        ),
    });
    if walk.redacted > 0 {
        lines.push(format!(
            "In {} of them a name was replaced by a pseudonym, as a later row says.",
            walk.redacted
        ));
    }
    if walk.loose > 0 {
        lines.push(format!(
            "{} rows have no number: they are older than the chain, which says nothing of them.",
            walk.loose
        ));
    }
    if rows > 0 {
        lines.push(walk.head.to_string());
    }
    lines.join("\n")
}
