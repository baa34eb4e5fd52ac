//! The server that the official MCP conformance suite is run against (`tests/conformance/run`).
//!
//! What an API can express comes from `fixture.yaml` by the way every document takes, and is
//! answered by a small API over a real socket. What no API can express, such as questions to the
//! client, comes from [`native`] on the same server and endpoint. docs/conformance.md says which is
//! which. Beside it the document is served as every document is: alone, and without sessions.

#![expect(
    clippy::unwrap_used,
    reason = "in a test, a failed unwrap is a failed test"
)]

mod native;
mod questions;
mod upstream;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use causeway::access::authenticate::Authenticator;
use causeway::access::ledger::Ledger;
use causeway::app::listen::{self, Listener, Site};
use causeway::credential::Credentials;
use causeway::egress::{Egress, EgressSettings};
use causeway::live::Catalog;
use causeway::mcp::call::Mcp;
use causeway::mcp::endpoint::{Endpoint, EndpointParts, HostPolicy, Origins};
use causeway::mcp::server::{
    Access, Provider, Server, ServerParts, ServerSettings, SessionSettings,
};
use causeway::mcp::tool::{Tool, define};
use causeway::openapi::{self, DocumentLimits};
use causeway::types::{Clock, OrganizationId, ServerId, VersionId};
use tokio_util::sync::CancellationToken;

use crate::native::Fixture;

const SLUG: &str = "conformance";
const PLAIN_SLUG: &str = "plain";

/// Publishes the fixture, again and again where a scenario asks for a change.
pub(crate) struct Publisher {
    pub(crate) mcp: Arc<Mcp>,
    api: SocketAddr,
    id: ServerId,
    catalog: OnceLock<Catalog>,
}

impl Publisher {
    /// The document as a server. Compiled anew each time, as a re-import is.
    fn compile(&self, revision: i64) -> Server {
        let bytes = include_bytes!("fixture.yaml");
        let api = openapi::read(bytes, &DocumentLimits::default()).unwrap();
        assert!(api.findings.is_empty(), "{:?}", api.findings);
        let defined = define(&api);
        assert!(defined.findings.is_empty(), "{:?}", defined.findings);
        let (server, findings) = Server::compile(ServerParts {
            id: self.id,
            organization: OrganizationId::DEFAULT,
            slug: SLUG.parse().unwrap(),
            version: VersionId::generate(),
            revision,
            title: api.title.clone(),
            description: api.description.clone(),
            settings: ServerSettings {
                access: Access::Open,
                // Asking the client during a call needs a session before 2026-07-28.
                sessions: Some(SessionSettings::default()),
                upstream: Some(format!("http://{}", self.api)),
                ..ServerSettings::default()
            },
            tools: defined.tools,
            curations: causeway::mcp::curation::Curations::new(),
            schemes: api.security_schemes.clone(),
            credentials: Credentials::default(),
            upstream: self.mcp.egress.upstream(&[]),
            document_url: None,
        });
        assert!(findings.is_empty(), "{findings:?}");
        server
    }

    /// The whole fixture: the document's tools first, then those from code.
    fn server(self: &Arc<Self>, revision: i64) -> Arc<Server> {
        let mut server = self.compile(revision);
        for def in native::tools() {
            let (tool, findings) = Tool::compile(def);
            assert!(findings.is_empty(), "{findings:?}");
            server.tools.insert(tool.def.name.clone(), tool.into());
        }
        server.resource_templates = native::resource_templates();
        server.prompts.extend(native::prompts());
        server.resources.extend(native::resources());
        server.provider = Provider::Native(Arc::new(Fixture {
            document: self.compile(revision),
            publisher: self.clone(),
        }));
        Arc::new(server)
    }

    /// The document alone, as it would be published.
    fn plain(&self) -> Arc<Server> {
        let mut server = self.compile(1);
        server.id = ServerId::generate();
        server.slug = PLAIN_SLUG.parse().unwrap();
        server.settings.sessions = None;
        Arc::new(server)
    }

    /// Puts a new version in the place of the one that is served; everyone who listens hears of it.
    pub(crate) fn publish_again(self: &Arc<Self>) {
        let catalog = self.catalog.get().unwrap();
        let revision = catalog.find(SLUG).unwrap().revision;
        catalog.replace(self.server(revision + 1));
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let egress = Egress::new(EgressSettings {
        allow: vec!["127.0.0.1".parse()?],
        ..EgressSettings::default()
    });
    let publisher = Arc::new(Publisher {
        mcp: Mcp::new(egress, Ledger::disabled(), Clock::system()),
        api: upstream::start().await?,
        id: ServerId::generate(),
        catalog: OnceLock::new(),
    });
    let catalog = Catalog::fixed(publisher.server(1));
    let catalog = publisher.catalog.get_or_init(|| catalog).clone();
    catalog.replace(publisher.plain());
    let shutdown = CancellationToken::new();
    let endpoint = Endpoint::new(EndpointParts {
        catalog,
        authenticator: Authenticator::open(),
        mcp: publisher.mcp.clone(),
        hosts: HostPolicy::Loopback { public: None },
        legacy_sse: true,
        prefix: String::new(),
        reached_at: Arc::new(|_| String::new()),
        origins: Origins::default(),
        shutdown: shutdown.clone(),
    });
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    // The script reads the URLs from here.
    for slug in [SLUG, PLAIN_SLUG] {
        let url = format!("http://{}/mcp/{slug}", listener.address());
        writeln!(std::io::stdout(), "{url}")?;
    }
    listen::serve(
        listener,
        Site::plain(endpoint.router()),
        shutdown,
        listen::Limits::default(),
    )
    .await
}
