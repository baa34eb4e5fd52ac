//! `causeway tools`: the tools of a server as agents get them, with their grades, and what their owner
//! changes of them.

mod edit;
pub(in crate::cli) mod shown;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use http::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::cli::api::{Api, Target, path_of};
use crate::cli::output::Output;
use crate::cli::sent::Sent;
use crate::cli::tools::edit::Changes;
use crate::mcp::curation::Curation;

pub(super) const EXAMPLES: &str = "\
Examples:
  causeway tools shop                             every tool: its grade, its cost, what to mend
  causeway tools shop show listPets
  causeway tools shop edit listPets --name pets --description 'Every pet of the shop.'
  causeway tools shop edit deletePet --hide       not listed and not callable, until --show

A TOOL is named as agents know it, or by its operation, as in \"GET /pets\". Changes are stored beside
the document, so that they outlast the next one. docs/curation.md says more.";

const EDIT_EXAMPLES: &str = "\
Examples:
  causeway tools shop edit listPets --pin shop=berlin --describe 'limit=At most so many.'
  causeway tools shop edit cancelOrder --fix all      what the grade says can be mended
  causeway tools shop edit cancelOrder --confirm client --hint idempotent=yes
  causeway tools shop edit listPets --unpin shop --reset description
  causeway tools shop edit listPets --reset all       as the document has it

What is taken back with --reset and --unpin comes first, then --fix, then everything else.";

#[derive(Args)]
pub(super) struct ToolsArgs {
    /// The server's name
    slug: String,
    #[command(subcommand)]
    command: Option<ToolsCommand>,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum ToolsCommand {
    /// List the tools: grade, tokens, and what would make each better; this is the default
    List,
    /// Show one tool: what its owner changed, its arguments, and what would make it better
    Show {
        /// Its name, or its operation, as in "GET /pets"
        tool: String,
    },
    /// Change one tool; it is live at once
    #[command(after_help = EDIT_EXAMPLES, override_usage = "causeway tools <SLUG> edit <TOOL> --CHANGE…")]
    Edit {
        /// Its name, or its operation, as in "GET /pets"
        tool: String,
        #[command(flatten)]
        changes: Box<Changes>,
    },
}

/// A tool as its owner sees it.
#[derive(Deserialize)]
struct Tool {
    operation: String,
    name: String,
    curation: Curation,
    document: Documented,
    arguments: Vec<Argument>,
    tokens: Option<usize>,
    review: Option<Reviewed>,
}

#[derive(Deserialize)]
struct Documented {
    description: String,
}

/// An argument: the key a curation knows it by, its name, and what the document says of it.
#[derive(Deserialize)]
struct Argument {
    key: String,
    argument: String,
    schema: Value,
}

#[derive(Deserialize)]
struct Reviewed {
    operation: String,
    name: String,
    score: u8,
    grade: String,
    /// In a list only.
    tokens: Option<usize>,
    issues: Vec<Issue>,
}

#[derive(Deserialize)]
struct Issue {
    rule: String,
    message: String,
    /// What mends it, to be laid over what there is.
    fix: Option<Curation>,
}

/// All tools of a server.
#[derive(Deserialize)]
struct Listed {
    score: u8,
    grade: String,
    tokens: usize,
    tools: Vec<Reviewed>,
    hidden: Vec<Hidden>,
}

#[derive(Deserialize)]
struct Hidden {
    operation: String,
    name: String,
}

pub(super) async fn tools(output: &Output, args: ToolsArgs) -> anyhow::Result<ExitCode> {
    let api = Api::of(args.target)?;
    let slug = args.slug.as_str();
    let (text, value) = match args.command {
        None | Some(ToolsCommand::List) => list(&api, slug).await?,
        Some(ToolsCommand::Show { tool }) => show(&api, slug, &tool).await?,
        Some(ToolsCommand::Edit { tool, changes }) => edited(&api, (slug, &tool), &changes).await?,
    };
    output.result(&text, &value)?;
    Ok(ExitCode::SUCCESS)
}

async fn list(api: &Api, slug: &str) -> anyhow::Result<(String, Value)> {
    let path = path_of(&["servers", slug, "review"]);
    let mut value = api.list(&path, &["tools"]).await?;
    let path = path_of(&["servers", slug, "curations"]);
    let mut curations = api.list(&path, &["curations", "findings"]).await?;
    let listed: Listed = read(api, &value)?;
    let text = shown::list(slug, &listed, &curations);
    value["findings"] = curations["findings"].take();
    Ok((text, value))
}

async fn show(api: &Api, slug: &str, tool: &str) -> anyhow::Result<(String, Value)> {
    let value = api.send(Method::GET, &place(slug, tool), None).await?;
    let tool: Tool = read(api, &value)?;
    Ok((shown::tool(slug, &tool), value))
}

async fn edited(
    api: &Api,
    (slug, name): (&str, &str),
    changes: &Changes,
) -> anyhow::Result<(String, Value)> {
    let before = api.send(Method::GET, &place(slug, name), None).await?;
    let before: Tool = read(api, &before)?;
    let curation = edit::curation(&before, changes)?;
    // By its operation, which no change of the name concerns.
    let place = place(slug, &before.operation);
    let sent = Sent::json(serde_json::to_string(&curation)?);
    let value = api.send(Method::PUT, &place, Some(sent)).await?;
    let tool: Tool = read(api, &value)?;
    Ok((shown::tool(slug, &tool), value))
}

fn place(slug: &str, tool: &str) -> String {
    path_of(&["servers", slug, "tools", tool, "curation"])
}

fn read<'de, T: Deserialize<'de>>(api: &Api, value: &'de Value) -> anyhow::Result<T> {
    T::deserialize(value).map_err(|_| api.stranger())
}
