//! `causeway run` and `causeway stdio`: one document, no database.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::access::authenticate::Authenticator;
use crate::access::ledger::Ledger;
use crate::app::listen::{self, Listener, Site};
use crate::app::logs;
use crate::cli::output::Output;
use crate::cli::{DocumentArgs, RunArgs, document};
use crate::config::LogFormat;
use crate::egress::{Egress, EgressSettings, Protected};
use crate::live::Catalog;
use crate::mcp::call::Mcp;
use crate::mcp::endpoint::{Endpoint, EndpointParts, HostPolicy, Origins, serve_stdio};
use crate::mcp::server::Access;
use crate::openapi::finding::Code;
use crate::openapi::{Finding, Severity};
use crate::problem::Problem;
use crate::router;
use crate::types::Clock;

/// Findings that are logged, each on a line of its own.
const TOLD_MAX: usize = 10;

pub(super) async fn run(output: &Output, args: RunArgs) -> anyhow::Result<ExitCode> {
    if !args.listen.ip().is_loopback() && args.key.is_none() {
        bail!(
            "{} is not loopback: whoever reaches it could call the API; give a --key",
            args.listen
        );
    }
    logs::start(LogFormat::Text, "warn");
    let egress = Egress::new(EgressSettings::default());
    let access = if args.key.is_some() {
        Access::Key
    } else {
        Access::Open
    };
    let (server, findings) = document::server(&egress, &args.document, access).await?;
    tell(&findings);
    let server = document::shared(server);
    let listener = Listener::bind(args.listen).await?;
    egress.protect(Protected::Listener(listener.address()));
    let shutdown = CancellationToken::new();
    let endpoint = Endpoint::single(
        EndpointParts {
            catalog: Catalog::fixed(server.clone()),
            authenticator: args
                .key
                .as_deref()
                .map_or_else(Authenticator::open, Authenticator::one_key),
            mcp: Mcp::new(egress, Ledger::disabled(), Clock::system()),
            hosts: if args.listen.ip().is_loopback() {
                HostPolicy::Loopback { public: None }
            } else {
                HostPolicy::SameOrigin
            },
            origins: Origins::default(),
            legacy_sse: true,
            prefix: String::new(),
            // Nobody connects an account where there is no database.
            reached_at: Arc::new(|_| String::new()),
            shutdown: shutdown.clone(),
        },
        server.slug.as_str(),
    );
    let url = format!("http://{}/mcp", listener.address());
    let name = &server.slug;
    let header = if args.key.is_some() {
        " --header \"Authorization: Bearer KEY\""
    } else {
        ""
    };
    let text = format!(
        "{} is served at {url}\n{} tools{}{}\n\nConnect a client, for example:\n  claude mcp add --transport http {name} {url}{header}",
        server.title,
        server.tools.len(),
        if server.finder.is_some() {
            ", found by searching (--tools all lists them)"
        } else {
            ""
        },
        summary(&findings),
    );
    output.result(&text, &json!({ "url": url, "slug": name, "tools": server.tools.len(), "findings": findings.len() }))?;
    let router = router::answering(
        endpoint
            .router()
            .route("/healthz", axum::routing::get(async || "ok\n")),
        async || Problem::not_found(),
    );
    let limits = listen::Limits::default();
    listen::serve(listener, Site::plain(router), shutdown, limits).await?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn stdio(args: DocumentArgs) -> anyhow::Result<ExitCode> {
    logs::start(LogFormat::Text, "warn");
    let egress = Egress::new(EgressSettings::default());
    let (server, findings) = document::server(&egress, &args, Access::Open).await?;
    tell(&findings);
    tracing::info!(
        tools = server.tools.len(),
        "serving over standard input and output"
    );
    let mcp = Mcp::new(egress, Ledger::disabled(), Clock::system());
    let input = tokio::io::BufReader::new(tokio::io::stdin());
    serve_stdio(mcp, Arc::new(server), input, tokio::io::stdout())
        .await
        .context("standard input or output failed")?;
    Ok(ExitCode::SUCCESS)
}

/// Says in the log what the client will miss: operations that are no tools, and tools that cannot
/// work.
fn tell(findings: &[Finding]) {
    let missed = || {
        findings.iter().filter(|finding| {
            finding.severity == Severity::Lost || finding.code == Code::ServerUnresolvable.word()
        })
    };
    for finding in missed().take(TOLD_MAX) {
        let operation = finding.operation.as_ref().map(ToString::to_string);
        let operation = operation.unwrap_or_default();
        let message = &finding.message;
        if finding.severity == Severity::Lost {
            tracing::warn!(code = %finding.code, "{operation} is no tool: {message}");
        } else {
            tracing::warn!(code = %finding.code, "{message}");
        }
    }
    let rest = missed().count().saturating_sub(TOLD_MAX);
    if rest > 0 {
        tracing::warn!("{rest} more were lost; `causeway check` lists all");
    }
}

fn summary(findings: &[Finding]) -> String {
    let lost = findings
        .iter()
        .filter(|f| f.severity == Severity::Lost)
        .count();
    match (lost, findings.len()) {
        (0, 0) => String::new(),
        (0, n) => format!("; {n} findings (see `causeway check`)"),
        (lost, _) => format!("; {lost} operations were lost (see `causeway check`)"),
    }
}
