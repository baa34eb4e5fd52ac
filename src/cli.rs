//! The command line: what the user typed becomes one call into the library.
//!
//! Results go to standard output, everything said on the way to standard error. Exit codes: 0 fine,
//! 1 the command failed (for `check`: something was lost), 2 it could not be understood.

mod check;
mod document;
mod output;
mod run;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use url::Url;

use crate::cli::output::Output;
use crate::egress::AllowRule;

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
  causeway serve                                  everything, with a demo, on http://127.0.0.1:8080
  causeway check openapi.yaml                     what the document loses on its way to tools
  causeway run openapi.yaml --upstream https://api.example.com --credential ApiKey=@key.txt
  claude mcp add --transport http pets http://127.0.0.1:8080/mcp/petstore";

#[derive(Subcommand)]
enum Command {
    /// Serve one document as an MCP server at /mcp, without a database
    Run(RunArgs),
    /// Serve one document as an MCP server over standard input and output
    Stdio(DocumentArgs),
    /// Report what a document becomes: its tools, and everything lost, guessed or changed
    ///
    /// Exit code 0: every operation is a tool; 1: some were lost; 2: the document cannot be read.
    Check(CheckArgs),
}

/// A document, and how its API is reached.
#[derive(Args)]
struct DocumentArgs {
    /// The OpenAPI document, JSON or YAML; `-` reads standard input
    file: PathBuf,
    /// The API's base URL, instead of the document's servers
    #[arg(long, value_name = "URL")]
    upstream: Option<Url>,
    /// A destination that may be reached although it is private: CIDR-or-host[:port]
    #[arg(long, value_name = "DESTINATION")]
    allow_upstream: Vec<AllowRule>,
    /// A credential for a security scheme of the document; VALUE may be @FILE or env:NAME, and is
    /// USER:PASSWORD for basic
    #[arg(long, value_name = "SCHEME=VALUE")]
    credential: Vec<String>,
    /// Which tools are listed
    #[arg(long, value_parser = ["all"], default_value = "all")]
    tools: String,
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    document: DocumentArgs,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The API key clients have to send; needed on a listener that is not loopback
    #[arg(long, value_name = "K")]
    key: Option<String>,
}

#[derive(Args)]
struct CheckArgs {
    /// The OpenAPI document, JSON or YAML; `-` reads standard input
    file: PathBuf,
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
        Command::Check(args) => check::check(&output, &args),
        Command::Run(args) => block_on(run::run(&output, args)),
        Command::Stdio(args) => block_on(run::stdio(args)),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            output.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(command)
}
