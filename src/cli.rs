//! The command line: what the user typed becomes one call into the library.
//!
//! Results go to standard output, everything said on the way to standard error. Exit codes: 0 fine,
//! 1 the command failed (for `check`: something was lost), 2 it could not be understood.

mod adopt;
mod api;
mod apply;
mod approvals;
mod audit;
mod check;
mod client;
mod completions;
mod consumers;
mod doctor;
mod document;
mod export;
mod import;
mod limit;
mod missing;
mod models;
mod output;
mod plans;
mod providers;
mod run;
mod secrets;
mod sent;
mod serve;
mod servers;
mod source;
mod tools;
mod users;
mod versions;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use url::Url;

use crate::cli::output::Output;
use crate::egress::AllowRule;
use crate::jq;

#[derive(Parser)]
#[command(name = "causeway", version, about = "Serve any OpenAPI document as a remote MCP server", after_help = EXAMPLES)]
struct Cli {
    /// Print results as JSON, one document per command.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  causeway serve                      the whole product, with a demo, on http://127.0.0.1:8080
  causeway check openapi.yaml         what the document loses on its way to tools
  causeway run openapi.yaml           one document at http://127.0.0.1:8080/mcp, no database
  causeway import openapi.yaml        publish it on the server that `serve` started
  causeway call petstore listPets     call one of its tools, and see the HTTP request
  claude mcp add --transport http petstore http://127.0.0.1:8080/mcp/petstore

Each command's --help has examples of its own.";

const SERVE_EXAMPLES: &str = "\
Examples:
  causeway serve                      on this machine only; prints a link that makes the first admin
  causeway serve --listen 0.0.0.0:8080 --public-url https://mcp.example.com
  causeway serve --allow-upstream 10.0.0.0/8:443

Without a flag, every setting can come from the environment, as CAUSEWAY__SECTION__KEY: secrets
belong there, for example CAUSEWAY__SECRETS__ADMIN_KEY, and not on the command line.";

const RUN_EXAMPLES: &str = "\
Examples:
  causeway run openapi.yaml --upstream https://api.example.com --credential ApiKey=@key.txt
  causeway run openapi.yaml --upstream http://127.0.0.1:3000 --allow-upstream 127.0.0.1:3000
  causeway run openapi.yaml --listen 0.0.0.0:8080 --key \"$(openssl rand -hex 24)\"";

const STDIO_EXAMPLES: &str = "\
Examples:
  claude mcp add shop -- causeway stdio openapi.yaml --credential ApiKey=env:SHOP_KEY
  causeway stdio openapi.yaml --upstream http://127.0.0.1:3000 --allow-upstream 127.0.0.1:3000";

const CHECK_EXAMPLES: &str = "\
Examples:
  causeway check openapi.yaml
  causeway check shop.postman_collection.json
  causeway check openapi.yaml --json | jq '.findings[] | select(.severity == \"lost\")'

Other formats are converted: a Postman collection, a HAR recording, curl commands, a Higress
mcp-server.yaml. docs/foreign.md says how.

Exit codes: 0 every operation is a tool, 1 some were lost, 2 the document cannot be read.";

#[derive(Subcommand)]
enum Command {
    /// Serve the catalog: publish documents, manage keys, and connect agents
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Box<ServeArgs>),
    /// Serve one document as an MCP server at /mcp, without a database
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Serve one document as an MCP server over standard input and output
    #[command(after_help = STDIO_EXAMPLES)]
    Stdio(DocumentArgs),
    /// Report what a document becomes: its tools, and everything lost, guessed or changed
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Publish a document on a running server, or many at once
    #[command(after_help = import::EXAMPLES)]
    Import(Box<import::ImportArgs>),
    /// Make a running server what a file says: its servers, plans, consumers, providers and models
    #[command(after_help = apply::EXAMPLES)]
    Apply(apply::ApplyArgs),
    /// Write what a running server has as the files `apply` takes
    #[command(after_help = export::EXAMPLES)]
    Export(export::ExportArgs),
    /// Make a catalog for `apply` of the configuration of a LiteLLM proxy, and tell what does not come along
    #[command(after_help = adopt::LITELLM_EXAMPLES)]
    ImportLitellm(Box<adopt::LitellmArgs>),
    /// Make a catalog for `apply` of the configuration of Higress's ai-proxy, and tell what does not come along
    #[command(after_help = adopt::HIGRESS_EXAMPLES)]
    ImportHigress(Box<adopt::HigressArgs>),
    /// Call a tool of a running server, with a trace
    #[command(after_help = client::CALL_EXAMPLES)]
    Call(client::CallArgs),
    /// Show the tools of a server on a running server with their grades, and change them
    #[command(after_help = tools::EXAMPLES)]
    Tools(Box<tools::ToolsArgs>),
    /// Compare the versions of a server, serve another one, or try it on some consumers
    #[command(after_help = versions::EXAMPLES)]
    Versions(versions::VersionsArgs),
    /// Read the document of a server again from where it is, now or from time to time
    #[command(after_help = versions::SYNC_EXAMPLES)]
    Sync(versions::SyncArgs),
    /// Make, list and revoke API keys of a running server
    Keys(client::KeysArgs),
    /// Make, list and help in the people who sign in on a running server
    #[command(after_help = users::EXAMPLES)]
    Users(users::UsersArgs),
    /// Disable, unpublish, limit, transfer, delete or restore a server on a running server
    #[command(after_help = servers::examples())]
    Servers(servers::ServersArgs),
    /// Make, list and remove plans, which are named sets of limits, on a running server
    #[command(after_help = plans::examples())]
    Plans(plans::PlansArgs),
    /// Add, list, test and remove providers of models and their keys, on a running server
    #[command(after_help = providers::EXAMPLES)]
    Providers(providers::ProvidersArgs),
    /// Say where the names of models lead, on a running server
    #[command(after_help = models::EXAMPLES)]
    Models(models::ModelsArgs),
    /// See and set what a consumer of a running server may use, and export or erase what is stored about it
    #[command(after_help = consumers::examples())]
    Consumers(consumers::ConsumersArgs),
    /// Decide of calls that wait for a person
    #[command(after_help = approvals::EXAMPLES)]
    Approvals(approvals::ApprovalsArgs),
    /// Bring the database's schema up to date
    Migrate(serve::DatabaseArgs),
    /// Copy the SQLite database, also while it is served; the master key is not in the copy
    #[command(after_help = serve::BACKUP_EXAMPLES)]
    Backup(serve::BackupArgs),
    /// Put a backup in the place of a database that is not there yet
    #[command(after_help = serve::RESTORE_EXAMPLES)]
    Restore(serve::RestoreArgs),
    /// List who did what, and prove that nobody changed the record of it
    Audit(audit::AuditArgs),
    /// Seal credentials under a new master key, and retire the old one
    #[command(after_help = secrets::EXAMPLES)]
    Secrets(secrets::SecretsArgs),
    /// Ask a running server whether it is well: its public URL, streams, database, keys and disk
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(doctor::DoctorArgs),
    /// Ask a running server whether it is alive; the exit code says it, for container health checks
    Healthcheck(client::HealthArgs),
    /// Print what completes commands and options in a shell
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::CompletionsArgs),
    /// Run jq filters for the process that started this one
    #[command(name = jq::SUBCOMMAND, hide = true)]
    JqWorker,
}

#[derive(Args)]
struct ServeArgs {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// What clients call this server, where that is not the address it listens on
    #[arg(long, value_name = "URL")]
    public_url: Option<Url>,
    /// A certificate chain in PEM: the listener speaks HTTPS; read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of that certificate in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Prices of your own for models, JSON or YAML, above the built-in ones; read again when it changes
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// A proxy in front of this server, whose X-Forwarded-For says who calls: address or CIDR range
    #[arg(long, value_name = "NETWORK")]
    trusted_proxy: Vec<String>,
    /// A destination every server may reach although it is private: CIDR-or-host[:port]
    #[arg(long, value_name = "DESTINATION")]
    allow_upstream: Vec<AllowRule>,
    /// Fetch the files that documents refer to by URL
    #[arg(long)]
    allow_remote_refs: bool,
    /// The key that may manage this server; with SQLite, made and kept in the data directory where
    /// none is given
    #[arg(long, value_name = "KEY")]
    admin_key: Option<String>,
    /// A file with the password of the first admin, who is made with the name `admin` where nobody has
    /// an account yet; without it, a link is printed
    #[arg(long, value_name = "FILE")]
    admin_password_file: Option<PathBuf>,
    /// Seed the demo into a fresh SQLite database also where the listener is not loopback
    #[arg(long, conflicts_with = "no_demo")]
    demo: bool,
    /// Do not seed the demo, which is done into a fresh SQLite database on a loopback listener
    #[arg(long)]
    no_demo: bool,
    /// Whether legacy HTTP+SSE is served where a server does not say
    #[arg(long, value_name = "on|off", hide_possible_values = true, value_parser = ["on", "off"])]
    legacy_sse: Option<String>,
    /// A collector that gets spans of calls by OTLP over HTTP, for example http://localhost:4318
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<Url>,
    #[command(flatten)]
    database: serve::DatabaseArgs,
}

/// A document with its files, and what is done to it before it is read.
#[derive(Args)]
struct SourceArgs {
    /// The OpenAPI document, JSON or YAML, or a directory or zip archive with all its files, or another
    /// format that is converted; `-` reads standard input
    file: PathBuf,
    /// Which file of a directory or archive is the document, where that is not plain
    #[arg(long, value_name = "NAME")]
    root: Option<String>,
    /// An OpenAPI Overlay, applied before the document is read; may be repeated
    #[arg(long, value_name = "FILE")]
    overlay: Vec<PathBuf>,
    /// Fetch the files that the document refers to by URL
    #[arg(long)]
    allow_remote_refs: bool,
    /// A destination that may be reached although it is private: CIDR-or-host[:port]
    #[arg(long, value_name = "DESTINATION")]
    allow_upstream: Vec<AllowRule>,
}

/// A document, and how its API is reached.
#[derive(Args)]
struct DocumentArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// The API's base URL, instead of the document's servers
    #[arg(long, value_name = "URL")]
    upstream: Option<Url>,
    #[command(flatten)]
    server: ServerChoice,
    /// A credential for a security scheme of the document; VALUE may be @FILE or env:NAME, and is
    /// USER:PASSWORD for basic, and a token or client:ID:SECRET for OAuth 2
    #[arg(long, value_name = "SCHEME=VALUE")]
    credential: Vec<String>,
    /// A server of some operations that the credentials may be sent to as well, or the authorization
    /// server that an OAuth client's secret may be sent to; without it they go to the document's own
    /// server only
    #[arg(long, value_name = "ORIGIN")]
    approve: Vec<Url>,
    /// How tools are shown: all in a list, or found by a search above 128 tools or 25,000 tokens
    #[arg(long, value_name = "HOW", value_parser = ["auto", "all", "search"], default_value = "auto")]
    tools: String,
    /// For which model provider schemas are written; auto goes by the name of the client, and full
    /// leaves nothing out
    #[arg(long, value_name = "PROFILE", default_value = "auto",
          value_parser = ["auto", "portable", "anthropic", "openai-strict", "gemini", "full"])]
    profile: String,
}

/// Which of the document's servers is used, and with what in its URL.
#[derive(Args, Default)]
struct ServerChoice {
    /// Which of the document's servers to use: its index, from 0, or its URL as the document writes it
    #[arg(long, value_name = "INDEX|URL", conflicts_with = "upstream")]
    document_server: Option<String>,
    /// A value for a variable of the document's server URL
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "upstream")]
    server_variable: Vec<String>,
}

impl ServerChoice {
    /// The variables by name, if any are given.
    fn variables(&self) -> anyhow::Result<Option<BTreeMap<String, String>>> {
        if self.server_variable.is_empty() {
            return Ok(None);
        }
        let pairs = self.server_variable.iter().map(|text| {
            let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
            let (name, value) = pair.with_context(|| {
                format!("--server-variable is written NAME=VALUE, which `{text}` is not")
            })?;
            Ok((name.to_owned(), value.to_owned()))
        });
        pairs.collect::<anyhow::Result<_>>().map(Some)
    }
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    document: DocumentArgs,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The API key clients have to send, as `Authorization: Bearer K` or `X-API-Key: K`; needed on a
    /// listener that is not loopback
    #[arg(long, value_name = "K")]
    key: Option<String>,
}

#[derive(Args)]
struct CheckArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Warnings count as losses
    #[arg(long)]
    strict: bool,
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no failure, and go to standard output.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let output = Output::new(cli.json);
    let done = match cli.command {
        Command::Check(args) => block_on(check::check(&output, &args)),
        Command::Serve(args) => block_on(serve::serve(&output, *args)),
        Command::Import(args) => block_on(import::import(&output, *args)),
        Command::Apply(args) => block_on(apply::apply(&output, args)),
        Command::Export(args) => block_on(export::export(&output, args)),
        Command::ImportLitellm(args) => block_on(adopt::litellm(&output, *args)),
        Command::ImportHigress(args) => block_on(adopt::higress(&output, *args)),
        Command::Call(args) => block_on(client::call(&output, args)),
        Command::Tools(args) => block_on(tools::tools(&output, *args)),
        Command::Versions(args) => block_on(versions::versions(&output, args)),
        Command::Sync(args) => block_on(versions::sync(&output, args)),
        Command::Keys(args) => block_on(client::keys(&output, args)),
        Command::Users(args) => block_on(users::users(&output, args)),
        Command::Servers(args) => block_on(servers::servers(&output, args)),
        Command::Plans(args) => block_on(plans::plans(&output, args)),
        Command::Providers(args) => block_on(providers::providers(&output, args)),
        Command::Models(args) => block_on(models::models(&output, args)),
        Command::Consumers(args) => block_on(consumers::consumers(&output, args)),
        Command::Approvals(args) => block_on(approvals::approvals(&output, args)),
        Command::Migrate(args) => block_on(serve::migrate(&output, args)),
        Command::Backup(args) => block_on(serve::backup(&output, args)),
        Command::Restore(args) => block_on(serve::restore(&output, args)),
        Command::Audit(args) => block_on(audit::audit(&output, args)),
        Command::Secrets(args) => block_on(secrets::secrets(&output, args)),
        Command::Doctor(args) => block_on(doctor::doctor(&output, args)),
        Command::Healthcheck(args) => block_on(client::healthcheck(&output, args)),
        Command::Run(args) => block_on(run::run(&output, args)),
        Command::Stdio(args) => block_on(run::stdio(args)),
        Command::Completions(args) => completions::completions(&args),
        Command::JqWorker => jq_worker(),
    };
    match done {
        Ok(code) => code,
        Err(error) if output::nobody_reads(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn jq_worker() -> anyhow::Result<ExitCode> {
    jq::worker::serve(std::io::stdin().lock(), std::io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(command)
}
