//! One document, read and made into a server, for the commands that need no database.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use indexmap::IndexMap;

use crate::cli::{DocumentArgs, SourceArgs, source};
use crate::config;
use crate::credential::choice::with_scheme;
use crate::credential::oauth::{Endpoints, Grant, TokenSource};
use crate::credential::{Credential, Credentials, Secret};
use crate::demo;
use crate::egress::{Egress, Upstream};
use crate::mcp::curation::Curations;
use crate::mcp::plan::unreachable::unreachable;
use crate::mcp::plan::{self, Destination};
use crate::mcp::publish::binding::{home, origins};
use crate::mcp::server::tokens;
use crate::mcp::server::{Access, Server, ServerParts, ServerSettings, ToolsMode};
use crate::mcp::tool::compile::unchecked;
use crate::mcp::tool::profile::{Profile, ProfileChoice};
use crate::mcp::tool::{self, ToolDef};
use crate::openapi::bundle::{Assembly, SpecFiles};
use crate::openapi::{self, Api, DocumentError, DocumentLimits, Finding, SecurityScheme};
use crate::types::{Clock, OrganizationId, ServerId, Slug, VersionId};

/// What a client certificate is called where the document names none.
const CLIENT_CERTIFICATE: &str = "mutualTLS";

/// What a document became.
pub(super) struct Converted {
    pub(super) api: Api,
    pub(super) tools: Vec<ToolDef>,
    /// Of the document and of its tools.
    pub(super) findings: Vec<Finding>,
}

/// The bytes of a file, or of standard input for `-`.
pub(super) fn bytes(file: &Path, bytes_max: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = bytes_max as u64 + 1;
    if file == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(limit)
            .read_to_end(&mut bytes)
            .context("cannot read standard input")?;
    } else {
        let opened =
            std::fs::File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
        opened
            .take(limit)
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(bytes)
}

/// Reads a document and defines its tools.
pub(super) async fn convert(
    egress: &Egress,
    args: &SourceArgs,
) -> anyhow::Result<Result<Converted, DocumentError>> {
    let limits = DocumentLimits::default();
    let files = source::load(&args.file, args.root.as_deref())?;
    let overlays = source::overlays(&args.overlay)?;
    let understood = understood(egress, (files, &overlays), args, &limits).await;
    Ok(understood.map(|api| {
        openapi::deep(|| {
            let defined = tool::define(&api);
            let mut findings = api.findings.clone();
            findings.extend(defined.findings);
            findings.extend(unchecked(&api, &defined.tools));
            Converted {
                api,
                tools: defined.tools,
                findings,
            }
        })
    }))
}

async fn understood(
    egress: &Egress,
    (files, overlays): (SpecFiles, &[String]),
    args: &SourceArgs,
    limits: &DocumentLimits,
) -> Result<Api, DocumentError> {
    let assembly = openapi::deep(|| Assembly::start(files, limits))?;
    let assembly = egress
        .complete(assembly, args.allow_remote_refs, &args.allow_upstream)
        .await?;
    let understood = openapi::deep(|| openapi::understand(assembly, overlays, limits))?;
    Ok(understood.api)
}

/// A server made of one document, open to whoever reaches it.
pub(super) async fn server(
    egress: &Egress,
    args: &DocumentArgs,
    access: Access,
) -> anyhow::Result<(Server, Vec<Finding>)> {
    let mut converted = convert(egress, &args.source).await?.with_context(|| {
        format!(
            "{} is no document that can be served",
            args.source.file.display()
        )
    })?;
    if converted.tools.is_empty() {
        bail!(
            "{} has no operation that can be served; `causeway check` says why",
            args.source.file.display()
        );
    }
    let settings = ServerSettings {
        access,
        client_certificate: ask_for_certificate(args, &mut converted),
        upstream: args.upstream.as_ref().map(ToString::to_string),
        server: args.server.document_server.clone(),
        server_variables: args.server.variables()?.unwrap_or_default(),
        tools: tools_mode(&args.tools),
        profile: profile_choice(&args.profile),
        ..ServerSettings::default()
    };
    let tools: Vec<&ToolDef> = converted.tools.iter().collect();
    plan::check_destination(
        &tools,
        settings.server.as_deref(),
        &settings.server_variables,
    )
    .map_err(anyhow::Error::msg)?;
    let (credentials, withheld) = credentials(args, &converted, settings.destination(None))?;
    for (scheme, origin) in withheld {
        tracing::warn!(
            "the credential for {scheme} is not sent to {origin}, a server of some operations only; \
             allow it with --approve {origin}"
        );
    }
    let nowhere = unreachable(&converted.api, &converted.tools, settings.destination(None));
    let destination = destination(egress, args, &converted.tools);
    // What could not be compiled is among the findings already.
    let (server, _) = Server::compile(ServerParts {
        id: ServerId::generate(),
        organization: OrganizationId::DEFAULT,
        slug: slug(&converted.api.title),
        version: VersionId::generate(),
        revision: 1,
        title: converted.api.title.clone(),
        description: converted.api.description.clone(),
        settings,
        document_url: None,
        tools: converted.tools,
        curations: Curations::new(),
        schemes: converted.api.security_schemes.clone(),
        credentials,
        upstream: destination,
    });
    let mut findings = converted.findings;
    findings.extend(nowhere);
    Ok((server, findings))
}

fn tools_mode(text: &str) -> ToolsMode {
    match text {
        "all" => ToolsMode::All,
        "search" => ToolsMode::Search,
        _ => ToolsMode::Auto,
    }
}

fn profile_choice(text: &str) -> ProfileChoice {
    let named = Profile::ALL
        .into_iter()
        .find(|profile| profile.as_str() == text);
    named.map_or(ProfileChoice::Auto, ProfileChoice::Fixed)
}

/// A client certificate that is given for a document which asks for none is shown with every request.
/// Gives the name it has then.
fn ask_for_certificate(args: &DocumentArgs, converted: &mut Converted) -> Option<String> {
    let schemes = &mut converted.api.security_schemes;
    let given = args.credential.iter().any(|text| {
        let name = text.split_once('=').map(|(name, _)| name);
        name == Some(CLIENT_CERTIFICATE)
    });
    if !given || schemes.contains_key(CLIENT_CERTIFICATE) {
        return None;
    }
    schemes.insert(CLIENT_CERTIFICATE.to_owned(), SecurityScheme::MutualTls);
    for tool in &mut converted.tools {
        let security = std::mem::take(&mut tool.binding.security);
        tool.binding.security = with_scheme(security, CLIENT_CERTIFICATE);
    }
    Some(CLIENT_CERTIFICATE.to_owned())
}

/// Where requests go: over the network, but inside the process for a document of the demo, whose
/// host exists nowhere else.
fn destination(egress: &Egress, args: &DocumentArgs, tools: &[ToolDef]) -> Upstream {
    let of_demo = |tool: &ToolDef| {
        let base = plan::base_url(tool, Destination::default());
        base.is_ok_and(|url| url.host_str() == Some(demo::HOST))
    };
    if args.upstream.is_none() && tools.iter().all(of_demo) {
        Upstream::Internal(demo::service())
    } else {
        egress.upstream(&args.source.allow_upstream)
    }
}

/// A slug made of a title; "api" where nothing of it can be used.
pub(super) fn slug(title: &str) -> Slug {
    let name = tool::name::identifier(title)
        .to_ascii_lowercase()
        .replace('_', "-");
    let short = name[..name.len().min(Slug::LENGTH_MAX)].trim_matches('-');
    let slug = short.parse().ok();
    slug.filter(|slug: &Slug| slug.check_free().is_ok())
        .unwrap_or_else(|| "api".parse().expect("a valid slug"))
}

/// Scheme and origin of where a credential is wanted and not sent.
type Withheld = Vec<(String, String)>;

/// The credentials on the command line, each bound to the document's server and what was approved
/// beside it, as far as tools that use it go there.
fn credentials(
    args: &DocumentArgs,
    converted: &Converted,
    to: Destination<'_>,
) -> anyhow::Result<(Credentials, Withheld)> {
    let mut approved: BTreeSet<String> = home(&converted.api, to).into_iter().collect();
    let given = args.approve.iter();
    approved.extend(given.map(|url| url.origin().ascii_serialization()));
    let mut withheld = Withheld::new();
    let mut by_scheme = IndexMap::new();
    for text in &args.credential {
        let (name, value) = scheme_and_value(text)?;
        let Some(scheme) = converted.api.security_schemes.get(name) else {
            let known: Vec<&str> = converted
                .api
                .security_schemes
                .keys()
                .map(String::as_str)
                .collect();
            // What was given may be a secret that holds a `=` itself: it is not repeated.
            bail!(
                "--credential SCHEME=VALUE: SCHEME is none of the document's security schemes, \
                 which are: {}",
                listed(&known)
            );
        };
        let value = value_of(value).with_context(|| format!("--credential {name}"))?;
        let secret = Secret::usable_for(scheme, &value, Clock::system().now())
            .with_context(|| format!("--credential {name}"))?;
        let wanted = origins(name, &converted.tools, to).into_iter();
        let secret = secret.approved_for(&approved);
        if let Secret::Client(client) = &secret {
            usable_here(
                name,
                &tokens::source((name, scheme), client, &converted.tools, to),
            )?;
        }
        let (origins, rest) = wanted.partition(|origin| approved.contains(origin));
        let rest: BTreeSet<String> = rest;
        withheld.extend(rest.into_iter().map(|origin| (name.to_owned(), origin)));
        by_scheme.insert(name.to_owned(), Credential { secret, origins });
    }
    Ok((Credentials::new(by_scheme), withheld))
}

/// Whether a client can get tokens in a process that serves one document.
fn usable_here(name: &str, source: &TokenSource) -> anyhow::Result<()> {
    if source.grant == Grant::AuthorizationCode {
        bail!(
            "--credential {name}: a connection is made in the browser, and kept by `causeway serve` \
             only; here a client for the client credentials grant can be used, or an access token"
        );
    }
    let endpoints = source.endpoints.as_ref();
    let endpoints = endpoints.map_err(|reason| anyhow::anyhow!("--credential {name}: {reason}"))?;
    if let Endpoints::Stated(addresses) = endpoints {
        for origin in addresses.origins().difference(&source.client.origins) {
            tracing::warn!(
                "the client secret for {name} is not sent to {origin}, the authorization server that the \
                 document names; allow it with --approve {origin}"
            );
        }
    }
    Ok(())
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// The two sides of `SCHEME=VALUE`. What cannot be read that way may be a secret: it is not repeated.
pub(super) fn scheme_and_value(text: &str) -> anyhow::Result<(&str, &str)> {
    text.split_once('=').context(
        "--credential is written SCHEME=VALUE, for example ApiKey=@key.txt or ApiKey=env:API_KEY; \
         `causeway check` and the document's securitySchemes name the schemes",
    )
}

/// A secret in a file is a key or a token, nothing longer.
const SECRET_BYTES_MAX: usize = 64 << 10;

/// `@FILE`, `env:NAME`, or the value itself.
pub(super) fn value_of(text: &str) -> anyhow::Result<String> {
    if let Some(file) = text.strip_prefix('@') {
        let read = bytes(Path::new(file), SECRET_BYTES_MAX)
            .context("VALUE after @ is a file that holds the credential and nothing else")?;
        if read.len() > SECRET_BYTES_MAX {
            bail!("{file} is longer than a credential can be, {SECRET_BYTES_MAX} bytes");
        }
        let value = String::from_utf8(read).ok();
        let value = value.with_context(|| format!("{file} is not text in UTF-8"))?;
        return Ok(value.trim_end_matches(['\r', '\n']).to_owned());
    }
    match text.strip_prefix("env:") {
        Some(name) => config::environment(name).with_context(|| {
            format!(
                "{name} is not set in the environment; set and export it, or give a file as @FILE"
            )
        }),
        None => Ok(text.to_owned()),
    }
}

/// The server, shared.
pub(super) fn shared(server: Server) -> Arc<Server> {
    Arc::new(server)
}
