//! `causeway apply`: makes a running server what a file says it is to be.
//!
//! First everything is compared, then the differences are shown, and then, unless it is a dry run, each
//! is made by the management API as a person would make it.

pub(super) mod catalog;
mod compare;
mod difference;
pub(super) mod models;
mod step;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use http::Method;
use serde_json::json;

use crate::cli::api::{Api, Target};
use crate::cli::apply::catalog::Catalog;
use crate::cli::apply::compare::{Change, Compare};
use crate::cli::apply::step::Step;
use crate::cli::document::bytes;
use crate::cli::output::Output;

const CATALOG_BYTES_MAX: usize = 16 << 20;

pub(super) const EXAMPLES: &str = "\
Examples:
  causeway apply -f catalog.yaml --dry-run       what would change, and nothing is changed
  causeway apply -f catalog.yaml
  causeway apply -f catalog.yaml --prune         and remove what it does not name
  causeway export ./catalog && causeway apply -f ./catalog/catalog.yaml

A catalog:
  servers:
    shop:
      document: shop.yaml                        a file beside the catalog, or a URL
      settings: { access: key, callTimeoutMs: 20000 }
      tools: { 'GET /pets': { name: list_pets } }
      credentials: { ApiKey: 'env:SHOP_KEY' }    read where it is not set yet
  plans:
    small: { limits: [{ unit: requests, amount: 60, window: minute, scope: consumer }] }
  consumers:
    my-agent: { plans: { shop: small } }
  providers:
    openai: { kind: openai, keys: { main: 'env:OPENAI_API_KEY' } }
  models:
    fast: { targets: [{ provider: openai, model: gpt-4o-mini }] }

Exit code 0: it is so now, or with --dry-run it was already; 2 with --dry-run: something would
change; 1: it failed, or with --dry-run it would: a key or a file cannot be read.";

#[derive(Args)]
pub(super) struct ApplyArgs {
    /// The catalog, YAML or JSON; `-` reads standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove servers and plans that the catalog does not name; models and providers too, where it has
    /// such a section
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    target: Target,
}

/// What was changed, or would be.
pub(super) struct Applied {
    /// For people, with the sum of it.
    pub(super) lines: Vec<String>,
    /// For programs.
    pub(super) view: serde_json::Value,
    /// Of a dry run: what would be sent and cannot be read.
    lacks: Vec<String>,
}

pub(super) async fn apply(output: &Output, args: ApplyArgs) -> anyhow::Result<ExitCode> {
    let text = String::from_utf8(bytes(&args.file, CATALOG_BYTES_MAX)?);
    let file = args.file.display();
    let text = text.with_context(|| format!("{file} is not text in UTF-8"))?;
    let catalog = Catalog::parse(&text).with_context(|| format!("{file} is no catalog"))?;
    let folder = args.file.parent().unwrap_or(Path::new(""));
    let applied = make(&catalog, (folder, args.target), (args.dry_run, args.prune)).await?;
    output.result(
        &applied.lines.join("\n"),
        &json!({ "dryRun": args.dry_run, "changes": applied.view, "lacks": applied.lacks }),
    )?;
    if !applied.lacks.is_empty() {
        bail!("as it is, it would fail: {}", applied.lacks.join("; "));
    }
    let differs = applied.view.as_array().is_some_and(|it| !it.is_empty());
    Ok(if args.dry_run && differs {
        ExitCode::from(2)
    } else {
        ExitCode::SUCCESS
    })
}

/// Makes a running server what a catalog says, whose files are in that folder; a dry run changes nothing.
pub(super) async fn make(
    catalog: &Catalog,
    (folder, target): (&Path, Target),
    (dry_run, prune): (bool, bool),
) -> anyhow::Result<Applied> {
    let api = Api::of(target)?;
    let changes = Compare::new(&api, folder).all(catalog, prune).await?;
    let view: Vec<_> = changes.iter().map(Change::view).collect();
    let summary = match (changes.len(), dry_run) {
        (0, _) => "Nothing to change.".to_owned(),
        (count, true) => format!("{count} would change. Nothing was changed."),
        (count, false) => format!("{count} changed."),
    };
    let lacks: Vec<String> = changes.iter().flat_map(Change::lacks).collect();
    if !dry_run {
        if !lacks.is_empty() {
            bail!("nothing was changed: {}", lacks.join("; "));
        }
        carry_out(&api, &changes).await?;
    }
    let lines = changes.iter().map(ToString::to_string);
    let told = lacks.iter().map(|lack| format!("! {lack}"));
    Ok(Applied {
        lines: lines.chain(told).chain([summary]).collect(),
        view: view.into(),
        lacks,
    })
}

/// Makes the changes, in their order; the error says which one failed, what of it was made, and how many were.
async fn carry_out(api: &Api, changes: &[Change]) -> anyhow::Result<()> {
    for (made, change) in changes.iter().enumerate() {
        for (place, step) in change.steps.iter().enumerate() {
            let done = carry_out_step(api, step).await;
            done.with_context(|| failure(change, place, (made, changes.len())))?;
        }
    }
    Ok(())
}

async fn carry_out_step(api: &Api, step: &Step) -> anyhow::Result<()> {
    let sent = step.sent()?;
    if step.method == Method::POST {
        return finished(api, &step.path, sent).await;
    }
    let sent = api.send(step.method.clone(), &step.path, sent).await;
    sent.map(drop)
}

/// What is said where a step of a change fails.
fn failure(change: &Change, place: usize, (made, count): (usize, usize)) -> String {
    let what = &change.what;
    if place == 0 {
        return format!("{what} was not made; {made} of {count} were");
    }
    let done: Vec<&str> = change.steps[..place]
        .iter()
        .map(|it| it.of.as_str())
        .collect();
    format!(
        "{what} was made in part: {}, and not {}; {made} of {count} were made before it",
        done.join(", "),
        change.steps[place].of
    )
}

/// Sends a document, and waits until it is published.
async fn finished(
    api: &Api,
    path: &str,
    sent: Option<crate::cli::sent::Sent>,
) -> anyhow::Result<()> {
    let Some(sent) = sent else {
        bail!("nothing to send");
    };
    let answer = crate::cli::import::finished(api, path, sent).await?;
    if let Some(error) = answer.get("error").and_then(serde_json::Value::as_str) {
        bail!("{error}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_told() {
        let mut change = Change::new("create", "provider llm".to_owned());
        for of in ["settings", "keys.main", "keys.other"] {
            let step = Step::new(of, Method::PUT, "/".to_owned(), json!({}));
            change.steps.push(step);
        }
        assert_eq!(
            failure(&change, 0, (1, 3)),
            "provider llm was not made; 1 of 3 were"
        );
        assert_eq!(
            failure(&change, 2, (1, 3)),
            "provider llm was made in part: settings, keys.main, and not keys.other; 1 of 3 were made before it"
        );
    }
}
