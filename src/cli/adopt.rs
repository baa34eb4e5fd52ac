//! `causeway import-litellm` and `import-higress`: another gateway's configuration becomes a catalog, and what does
//! not come along is told.

mod draft;
mod higress;
mod litellm;
mod names;
mod report;
mod section;
mod without;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use indexmap::IndexMap;
use serde_json::{Value, json};
use serde_saphyr::options::DuplicateKeyPolicy;

use crate::cli::adopt::report::{Fate, Report};
use crate::cli::api::Target;
use crate::cli::apply;
use crate::cli::apply::catalog::Catalog;
use crate::cli::document::bytes;
use crate::cli::output::Output;
use crate::config;
use crate::types::Clock;

const FILE_BYTES_MAX: usize = 16 << 20;
const FILES_MAX: usize = 1_000;

pub(super) const LITELLM_EXAMPLES: &str = "\
Examples:
  causeway import-litellm config.yaml                     the catalog, and below it what does not come along
  causeway import-litellm config.yaml --out catalog.yaml --prices-out prices.json
  causeway import-litellm config.yaml --apply --dry-run   what would change on a running server
  causeway import-litellm config.yaml --json | jq '.report[] | select(.fate == \"left\")'

Then set the environment variables that the report names, and:
  causeway apply -f catalog.yaml --dry-run
  causeway apply -f catalog.yaml

No key is written anywhere: a catalog says `env:NAME` or `@FILE`, and `apply` reads it there. Where the
configuration says `os.environ/NAME` for a key, so does the catalog. For anything else the variable is
read now, so set AZURE_API_BASE and the like before. docs/migrating.md says what becomes of what.

Exit code 0, whatever does not come along; 1 where the configuration cannot be read.";

pub(super) const HIGRESS_EXAMPLES: &str = "\
Examples:
  causeway import-higress ai-proxy.yaml                   the catalog, and below it what does not come along
  kubectl get wasmplugins -n higress-system -o yaml | causeway import-higress - --out catalog.yaml
  causeway import-higress ./plugins --apply --dry-run     what would change on a running server

The file is the configuration of the plugin ai-proxy, or resources of the kind WasmPlugin with one; of a
directory, all files that end in .yaml, .yml or .json are read.

Then set the environment variables that the report names, and:
  causeway apply -f catalog.yaml --dry-run
  causeway apply -f catalog.yaml

No key is written anywhere: a catalog says `env:NAME` or `@FILE`, and `apply` reads it there.
docs/migrating.md says what becomes of what.

Exit code 0, whatever does not come along; 1 where the configuration cannot be read.";

/// What becomes of another gateway's configuration.
struct Adopted {
    catalog: Catalog,
    report: Report,
    /// Prices of its own, by list and model.
    prices: Option<Value>,
    /// Variables that hold keys although the configuration does not name them.
    assumed: Vec<String>,
}

#[derive(Args)]
pub(super) struct LitellmArgs {
    /// The proxy's configuration, `config.yaml`; `-` reads standard input
    file: PathBuf,
    /// Write the prices it has here, for `causeway serve --prices`
    #[arg(long, value_name = "FILE")]
    prices_out: Option<PathBuf>,
    #[command(flatten)]
    outcome: Outcome,
}

#[derive(Args)]
pub(super) struct HigressArgs {
    /// The plugin's configuration or its resources: a file or a directory; `-` reads standard input
    file: PathBuf,
    #[command(flatten)]
    outcome: Outcome,
}

/// What is done with the catalog.
#[derive(Args)]
struct Outcome {
    /// Write the catalog here, instead of to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Make a running server so at once, as `causeway apply` does; keys are read from the environment
    #[arg(long)]
    apply: bool,
    /// Write nothing and change nothing; with --apply, show what would change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) async fn litellm(output: &Output, args: LitellmArgs) -> anyhow::Result<ExitCode> {
    let text = read(&args.file)?;
    let file = args.file.display();
    let config: Value = serde_saphyr::from_str_with_options(&text, options())
        .with_context(|| format!("{file} cannot be read"))?;
    let adopted = litellm::adopt(&config, &config::environment);
    let adopted = adopted.with_context(|| format!("{file} cannot be read"))?;
    let mut told = Vec::new();
    if !adopted.assumed.is_empty() {
        told.push(format!(
            "LiteLLM reads these keys although its configuration does not name them, and so does the catalog: {}",
            adopted.assumed.join(", ")
        ));
    }
    if let Some(prices) = &adopted.prices {
        told.push(prices_told(&args, prices)?);
    }
    finish(output, ("import-litellm", adopted, told), args.outcome).await
}

pub(super) async fn higress(output: &Output, args: HigressArgs) -> anyhow::Result<ExitCode> {
    let documents = documents(&args.file)?;
    let adopted = higress::adopt(&documents);
    let adopted = adopted.with_context(|| format!("{} cannot be read", args.file.display()))?;
    finish(
        output,
        ("import-higress", adopted, Vec::new()),
        args.outcome,
    )
    .await
}

/// Writes the prices, where that is wanted; what is to be said of them.
fn prices_told(args: &LitellmArgs, prices: &Value) -> anyhow::Result<String> {
    let Some(path) = args.prices_out.as_ref().filter(|_| !args.outcome.dry_run) else {
        return Ok("It has prices of its own: --prices-out FILE writes them for `causeway serve --prices FILE`".to_owned());
    };
    let table = json!({
        "date": Clock::system().now().format("%Y-%m-%d").to_string(),
        "source": "the configuration of LiteLLM's proxy",
        "unit": "pico-dollars",
        "providers": prices,
    });
    let text = serde_json::to_string_pretty(&table)? + "\n";
    write(path, &text)?;
    Ok(format!(
        "{path}: its prices; start with `causeway serve --prices {path}`",
        path = path.display()
    ))
}

/// Writes or applies the catalog, and tells what does not come along.
async fn finish(
    output: &Output,
    (command, adopted, mut told): (&str, Adopted, Vec<String>),
    outcome: Outcome,
) -> anyhow::Result<ExitCode> {
    let Adopted {
        catalog, report, ..
    } = adopted;
    let text = format!(
        "# Made by `causeway {command}`; for `causeway apply -f`.\n{}",
        serde_saphyr::to_string(&catalog)?
    );
    let mut view = json!({ "catalog": catalog, "report": report.findings });
    told.insert(0, summary(&catalog, &report));
    if let Some(path) = outcome.out.as_ref().filter(|_| !outcome.dry_run) {
        write(path, &text)?;
        view["file"] = json!(path);
        told.insert(0, format!("{} is written.", path.display()));
    }
    if outcome.apply {
        let place = (Path::new(""), outcome.target);
        let applied = apply::make(&catalog, place, (outcome.dry_run, false)).await?;
        told.splice(0..0, applied.lines);
        view["changes"] = applied.view;
    }
    let is_shown = outcome.out.is_none() && !outcome.apply;
    let lines: Vec<String> = told.into_iter().chain(report.lines()).collect();
    if is_shown {
        // The catalog is the result, and can be piped; the rest is said beside it.
        output.result(&text, &view)?;
        output.aside(&lines.join("\n"));
    } else {
        output.result(&lines.join("\n"), &view)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn summary(catalog: &Catalog, report: &Report) -> String {
    let mut said = String::new();
    let _ = write!(
        said,
        "{} and {}; {} not quite as they were, {} left out; {} to provide.",
        counted(
            catalog.providers.as_ref().map_or(0, IndexMap::len),
            "provider"
        ),
        counted(catalog.models.as_ref().map_or(0, IndexMap::len), "model"),
        counted(report.of(Fate::Changed).count(), "setting"),
        report.of(Fate::Left).count(),
        counted(report.of(Fate::Secret).count(), "key"),
    );
    said
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn read(path: &Path) -> anyhow::Result<String> {
    let read = bytes(path, FILE_BYTES_MAX)?;
    if read.len() > FILE_BYTES_MAX {
        bail!("{} has more than {FILE_BYTES_MAX} bytes", path.display());
    }
    String::from_utf8(read).with_context(|| format!("{} is not text in UTF-8", path.display()))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// YAML as Python and Go read it: of a key that is repeated, the last counts.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::LastWins,
    }
}

/// The documents of a file or of a directory, each with what it is called.
fn documents(path: &Path) -> anyhow::Result<Vec<(String, Value)>> {
    if !path.is_dir() {
        return documents_of(path, "");
    }
    let entries = std::fs::read_dir(path);
    let entries = entries.with_context(|| format!("cannot read {}", path.display()))?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_one = |path: &PathBuf| {
        let ending = path.extension().and_then(|it| it.to_str());
        matches!(ending, Some("yaml" | "yml" | "json"))
    };
    let mut files: Vec<PathBuf> = files.filter(is_one).take(FILES_MAX + 1).collect();
    if files.len() > FILES_MAX {
        bail!("{} has more than {FILES_MAX} files", path.display());
    }
    files.sort();
    let mut documents = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        documents.extend(documents_of(&file, &name)?);
    }
    Ok(documents)
}

fn documents_of(path: &Path, name: &str) -> anyhow::Result<Vec<(String, Value)>> {
    let text = read(path)?;
    let read: Vec<Value> = serde_saphyr::from_multiple_with_options(&text, options())
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let documents = read.into_iter().enumerate().map(|(place, document)| {
        let name = if place == 0 {
            name.to_owned()
        } else {
            format!("{name}[{place}]")
        };
        (name, document)
    });
    Ok(documents.collect())
}
