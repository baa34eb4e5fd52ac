//! A server as it is served: compiled once from its stored version, immutable, shared by `Arc`.
//! An edit makes a new one; calls in flight keep the one they started with.

mod compile;
pub mod finder;
pub mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::access::caller::Caller;
use crate::access::limit::Limit;
use crate::access::meter::Metered;
use crate::credential::Credentials;
use crate::credential::oauth::TokenSource;
use crate::credential::pass::PassThrough;
use crate::egress::{Authorities, Breakers, Reach, Resilience, Upstream};
use crate::mcp::content::ANSWER_BYTES_DEFAULT;
use crate::mcp::curation::Curations;
use crate::mcp::fragment::FirstPages;
use crate::mcp::plan::Destination;
use crate::mcp::provider::Native;
use crate::mcp::server::finder::Finder;
use crate::mcp::tool::profile::ProfileChoice;
use crate::mcp::tool::shrink::TOOL_TOKENS_MAX;
use crate::mcp::tool::{Tool, ToolDef};
use crate::openapi::{OperationKey, SecurityScheme};
use crate::types::{OrganizationId, ServerId, Slug, ToolName, UserId, VersionId};

/// Everything the transports and the call flow need; no database is touched after it is built.
pub struct Server {
    pub id: ServerId,
    pub organization: OrganizationId,
    /// Whose it is; `None`: the admins'.
    pub owner: Option<UserId>,
    pub slug: Slug,
    pub version: VersionId,
    /// Grows with every change of the server that a client could notice.
    pub revision: i64,
    pub title: String,
    /// Told to the model at connection time.
    pub instructions: String,
    pub settings: ServerSettings,
    /// In list order.
    pub tools: IndexMap<ToolName, Arc<Tool>>,
    pub resources: Vec<ResourceDef>,
    /// MCP `ResourceTemplate` objects; only tools from code have any.
    pub resource_templates: Vec<serde_json::Value>,
    pub prompts: Vec<PromptDef>,
    pub provider: Provider,
    /// `tools/list` for callers who see every tool, serialized on first use.
    pub first_pages: FirstPages,
    /// A version that some consumers are served instead of this one.
    pub canary: Option<Canary>,
    /// Whether another version is served to others: what a caller sees depends on who it is.
    pub on_trial: bool,
    /// What listing every tool costs a model, in tokens.
    pub list_tokens: usize,
    /// The search that stands in for the list, where there is one.
    pub finder: Option<Finder>,
    /// What its calls are counted into, from the first one on.
    pub metered: OnceLock<Metered>,
    /// What it weighs in the cache of compiled servers.
    pub bytes: usize,
}

/// Another version of a server, tried on some consumers.
pub struct Canary {
    pub server: Arc<Server>,
    /// Of a hundred consumers, so many are served it.
    pub percent: u8,
}

impl Server {
    /// Tries `canary` on so many of a hundred consumers.
    pub fn try_on(&mut self, mut canary: Self, percent: u8) {
        canary.on_trial = true;
        self.on_trial = true;
        self.bytes += canary.bytes;
        self.canary = Some(Canary {
            server: Arc::new(canary),
            percent,
        });
    }

    /// The version this caller is served: always the same one while the canary lasts and grows. Who
    /// has no consumer of its own, is served the current one.
    pub fn for_caller(self: Arc<Self>, caller: &Caller) -> Arc<Self> {
        let Some((canary, consumer)) = self.canary.as_ref().zip(caller.consumer) else {
            return self;
        };
        let seed = [self.id.0.into_bytes(), consumer.0.into_bytes()].concat();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &seed);
        let place = digest
            .as_ref()
            .first_chunk()
            .map_or(0, |head| u64::from_be_bytes(*head))
            % 100;
        if place < u64::from(canary.percent) {
            canary.server.clone()
        } else {
            self
        }
    }
}

/// Where a server's tools are carried out.
pub enum Provider {
    Api(Box<ApiProvider>),
    Native(Arc<dyn Native>),
}

/// An HTTP API behind tools made from its document.
pub struct ApiProvider {
    pub upstream: Upstream,
    /// Where the document came from; relative server URLs are resolved against it.
    pub document_url: Option<Url>,
    pub schemes: IndexMap<String, SecurityScheme>,
    pub credentials: Credentials,
    /// Where the access tokens of the OAuth clients among them come from.
    pub sources: IndexMap<String, Arc<TokenSource>>,
    /// For each credential that is a client certificate, by scheme: connections that show it.
    pub identified: IndexMap<String, Upstream>,
    /// How it is doing, since it was compiled.
    pub breakers: Breakers,
}

/// What an owner sets per server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ServerSettings {
    pub access: Access,
    /// `None`: stateless, the default.
    pub sessions: Option<SessionSettings>,
    /// `None`: as the process is told (`--legacy-sse`).
    pub legacy_sse: Option<bool>,
    /// The API's base URL instead of the document's servers.
    pub upstream: Option<String>,
    /// Which of the document's servers is used, by index or URL, where an operation has it; otherwise
    /// the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Values of server variables, instead of the document's defaults.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub server_variables: BTreeMap<String, String>,
    /// Addresses this server may reach although the egress policy refuses them by default:
    /// `CIDR-or-host[:port]`.
    pub allow_upstream: Vec<String>,
    /// The scheme whose credential, a client certificate, every request is sent with, whatever the
    /// document asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
    /// Authorities in PEM that this server's API is trusted by beside the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_authorities: Option<String>,
    /// The proxy that makes the connections (`http://host:port`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Security schemes for which each user connects an account of their own.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub user_accounts: BTreeSet<String>,
    /// Headers of clients' requests that are copied to the API's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pass_through: Vec<PassThrough>,
    pub call_timeout_ms: u64,
    /// How its API is treated when it fails.
    #[serde(skip_serializing_if = "Resilience::is_default")]
    pub resilience: Resilience,
    pub tools_page_max: usize,
    /// Text of an answer above it is cut.
    pub answer_bytes_max: usize,
    /// What is made of answers, by operation key.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub answer_shapes: IndexMap<String, AnswerShape>,
    /// Whether the tools are listed, or found by searching.
    pub tools: ToolsMode,
    /// For whose function-calling interface lists are written.
    pub profile: ProfileChoice,
    /// What one tool may cost in a list, in tokens.
    pub tool_tokens_max: usize,
    /// What the list may cost, in tokens, before `tools: auto` offers a search instead.
    pub list_tokens_max: usize,
    /// What a call costs, in millionths of a dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_price_micros: Option<u64>,
    /// How much it may be used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// What the catalog files it under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What the catalog says it is about; `None`: the tags of the document's operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// How long a call waits for somebody to approve it; `None`: an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_minutes: Option<u32>,
    /// The URL that is told of calls that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_webhook: Option<String>,
    /// How the API is asked from time to time whether it is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<ProbeSettings>,
    /// The service inside this process that answers, by name. Set by the process itself only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal: Option<String>,
}

/// The service inside this process that is the management API. It is told who calls.
pub const MANAGEMENT: &str = "management";

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            access: Access::Key,
            sessions: None,
            legacy_sse: None,
            upstream: None,
            server: None,
            server_variables: BTreeMap::new(),
            allow_upstream: Vec::new(),
            client_certificate: None,
            certificate_authorities: None,
            proxy: None,
            user_accounts: BTreeSet::new(),
            pass_through: Vec::new(),
            call_timeout_ms: 60_000,
            resilience: Resilience::default(),
            tools_page_max: 1_000,
            answer_bytes_max: ANSWER_BYTES_DEFAULT,
            answer_shapes: IndexMap::new(),
            tools: ToolsMode::All,
            profile: ProfileChoice::Auto,
            tool_tokens_max: TOOL_TOKENS_MAX,
            list_tokens_max: LIST_TOKENS_MAX,
            call_price_micros: None,
            limits: Vec::new(),
            category: None,
            tags: None,
            approval_minutes: None,
            approval_webhook: None,
            probe: None,
            internal: None,
        }
    }
}

/// A safe operation that is called from time to time, for nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProbeSettings {
    pub operation: OperationKey,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty", default)]
    pub arguments: serde_json::Map<String, serde_json::Value>,
    pub every_minutes: u32,
}

/// What an owner makes of a tool's answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AnswerShape {
    /// The members that are kept (see [`crate::mcp::content::fields`]); empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// A jq filter over the whole answer, before `fields`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jq: Option<String>,
    /// What is given where the answer cannot be filtered.
    #[serde(skip_serializing_if = "OnFailure::is_default")]
    pub on_failure: OnFailure,
}

impl AnswerShape {
    /// Whether there is anything to be made of an answer.
    pub fn filters(&self) -> bool {
        self.jq.is_some() || !self.fields.is_empty()
    }
}

/// What becomes of an answer that its owner's filter or fields cannot be applied to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Nothing of it is shown: whoever takes something away wants it away.
    #[default]
    Refuse,
    /// It is shown as it is, and the result says so.
    Pass,
}

impl OnFailure {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde asks with a reference"
    )]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl ServerSettings {
    /// Whether the owner makes an operation's answer into something the document does not describe.
    pub fn reshapes(&self, operation: &OperationKey) -> bool {
        let shape = self.answer_shapes.get(&operation.0);
        shape.is_some_and(|shape| shape.jq.is_some())
    }

    /// What the server may reach, and how. What is stored was checked when it was set; should a part
    /// not be understood all the same, less is reached and trusted.
    pub fn reach(&self) -> Reach {
        let rules = self.allow_upstream.iter();
        let authorities = self.certificate_authorities.as_deref();
        let milliseconds = |ms: Option<u64>| ms.map(Duration::from_millis);
        Reach {
            allow: rules.filter_map(|text| text.parse().ok()).collect(),
            authorities: authorities.and_then(|pem| Authorities::parse(pem).ok()),
            proxy: self.proxy.as_deref().and_then(|text| text.parse().ok()),
            connect_timeout: milliseconds(self.resilience.connect_timeout_ms),
            first_byte_timeout: milliseconds(self.resilience.first_byte_timeout_ms),
        }
    }

    /// What decides where requests go, for a document that came from `document`.
    pub fn destination<'a>(&'a self, document: Option<&'a Url>) -> Destination<'a> {
        Destination {
            upstream: self.upstream.as_deref(),
            server: self.server.as_deref(),
            variables: Some(&self.server_variables),
            document,
        }
    }

    /// Those of a server that is made now; [`Default`] is what one has that was stored before there was
    /// a choice.
    pub fn of_new() -> Self {
        Self {
            tools: ToolsMode::Auto,
            ..Self::default()
        }
    }
}

/// What a whole list may cost where the owner does not say: an eighth of a window of 200,000 tokens.
pub const LIST_TOKENS_MAX: usize = 25_000;

/// How a server shows its tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolsMode {
    /// Listed while they are few and fit the budget of a list, else searched.
    Auto,
    /// Listed, however many they are: what servers do that were stored before there was a choice.
    #[default]
    All,
    /// Searched.
    Search,
}

/// More tools than this are searched under `tools: auto`: clients stop at 128 (OpenAI, VS Code).
pub const LISTED_TOOLS_MAX: usize = 128;

/// Whether `tools: auto` offers a search for this many tools that cost that many tokens, under the
/// default budget.
pub fn is_searched(tools: usize, tokens: usize) -> bool {
    tools > LISTED_TOOLS_MAX || tokens > LIST_TOKENS_MAX
}

/// Who may connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Anyone who reaches the listener.
    Open,
    /// Any key of the organization whose grants do not end before it.
    #[default]
    Key,
    /// Only a key whose grants name the server, its owner and admins. For everyone else there is no such
    /// server.
    Private,
}

/// Bounded sessions of the handshake era (`Mcp-Session-Id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SessionSettings {
    pub idle_ms: u64,
    pub sessions_max: usize,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            idle_ms: 300_000,
            sessions_max: 1_000,
        }
    }
}

/// A readable resource of a server.
#[derive(Clone, Debug)]
pub struct ResourceDef {
    pub uri: String,
    pub name: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub media_type: String,
    pub text: Arc<str>,
    /// The tool it documents: a caller who may not call it does not see it.
    pub tool: Option<ToolName>,
    /// Where the text ends with a list of the tools: what comes before it. A caller who may not use
    /// all of them gets [`Server::overview`].
    pub before_tools: Option<Arc<str>>,
}

/// A prompt of a server; `{name}` in the text is replaced by the argument.
#[derive(Clone, Debug)]
pub struct PromptDef {
    pub name: String,
    pub title: Option<String>,
    pub description: Option<String>,
    /// Name, description, required.
    pub arguments: Vec<(String, String, bool)>,
    pub text: String,
}

/// What a server is compiled from: the stored version, the owner's settings, opened credentials.
pub struct ServerParts {
    pub id: ServerId,
    pub organization: OrganizationId,
    pub slug: Slug,
    pub version: VersionId,
    pub revision: i64,
    pub title: String,
    /// The document's description, Markdown.
    pub description: Option<String>,
    pub settings: ServerSettings,
    pub tools: Vec<ToolDef>,
    /// What the owner changed of them.
    pub curations: Curations,
    pub schemes: IndexMap<String, SecurityScheme>,
    pub credentials: Credentials,
    pub upstream: Upstream,
    /// Where the document came from, if it came from a URL.
    pub document_url: Option<Url>,
}
