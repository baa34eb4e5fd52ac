//! One server, in tabs with addresses of their own: what it is, its tools, how to connect, how it does,
//! its versions, and what its document lacks.

use askama::Template;

use crate::live::Entry;
use crate::live::closed::State;
use crate::live::popularity::Health;
use crate::market::language::Html;
use crate::market::pages::Frame;
use crate::market::pages::connect::Snippet;
use crate::market::pages::keys::NewKey;
use crate::market::pages::report::Report;
use crate::market::pages::tool::Badge;
use crate::market::pages::usage::UsagePart;
use crate::mcp::server::Access;

/// What stands above every tab.
#[derive(Clone, Debug)]
pub struct ServerHead {
    pub slug: String,
    pub title: String,
    /// The message that says who may call it, and a class of the stylesheet.
    pub access: (&'static str, &'static str),
    /// The same, of a server that is not served, and what its owner says to callers.
    pub closed: Option<(&'static str, &'static str)>,
    pub note: Option<String>,
    /// The tab that is open, or nothing.
    pub here: &'static str,
    /// Whether whoever looks may change the server.
    pub manages: bool,
}

impl ServerHead {
    /// Whether it is there for those who manage it alone, and waits to be published.
    pub fn is_draft(&self) -> bool {
        self.closed
            .is_some_and(|(said, _)| said == "badge-unpublished")
    }
}

/// The message that says who may call a server, and a class of the stylesheet.
pub fn access_badge(access: Access) -> (&'static str, &'static str) {
    match access {
        Access::Open => ("badge-open", "good"),
        Access::Key => ("badge-needs-key", "plain"),
        Access::Private => ("badge-private", "fair"),
    }
}

/// The message that says why a server is not served, and a class of the stylesheet.
pub fn closed_badge(entry: &Entry) -> Option<(&'static str, &'static str)> {
    match entry.state() {
        State::Served => None,
        State::Disabled => Some(("badge-disabled", "bad")),
        State::Unpublished => Some(("badge-unpublished", "fair")),
    }
}

/// `GET /servers/{slug}`.
#[derive(Debug, Template)]
#[template(path = "server.html")]
pub struct ServerPage {
    pub frame: Frame,
    pub head: ServerHead,
    pub description: Html,
    pub endpoint_url: String,
    pub tool_count: usize,
    /// Estimated tokens of the whole tools/list.
    pub tokens: usize,
    /// The first tags, each also as part of an address, and how many tools have it.
    pub tags: Vec<(String, String, usize)>,
    pub hidden_tags: usize,
    /// For the owner alone: which version is served, and since when.
    pub version: Option<(i64, String)>,
    /// The address of the conversion report.
    pub report: String,
    /// For the owner alone: tools that lack a credential.
    pub lacking: usize,
    /// Its API is the one of the demo, which nobody reaches over a network.
    pub is_cut_off: bool,
}

/// `GET /servers/{slug}/tools?q=&tag=&after=`.
#[derive(Debug, Template)]
#[template(path = "server_tools.html")]
pub struct ToolsPage {
    pub frame: Frame,
    pub head: ServerHead,
    pub groups: Vec<ToolGroup>,
    /// All of them, shown or not.
    pub tool_count: usize,
    /// What the tools were searched for, and the tag they have to have.
    pub query: String,
    pub tag: String,
    /// The next page of tools.
    pub more: Option<String>,
}

/// Tools of one tag.
#[derive(Clone, Debug)]
pub struct ToolGroup {
    /// `None`: those that have none.
    pub tag: Option<String>,
    pub tools: Vec<ToolRow>,
}

/// A tool in the list.
#[derive(Clone, Debug)]
pub struct ToolRow {
    pub name: String,
    pub title: String,
    pub badges: Vec<Badge>,
    pub tokens: usize,
}

/// `GET /servers/{slug}/connect?key=`, and what came of making a key there.
#[derive(Debug, Template)]
#[template(path = "server_connect.html")]
pub struct ConnectPage {
    pub frame: Frame,
    pub head: ServerHead,
    pub endpoint_url: String,
    pub open: bool,
    pub snippets: Vec<Snippet>,
    /// The key just made, shown this once.
    pub created: Option<NewKey>,
    pub form: Option<KeyForm>,
    /// For whoever is signed in: what is seen of clients.
    pub status: Option<ConnectStatus>,
}

/// The form of a key for this very server.
#[derive(Clone, Debug, Default)]
pub struct KeyForm {
    pub error: Option<Html>,
    pub name: String,
    pub lifetime: String,
    /// The tools, chosen or not, where they are few.
    pub tools: Vec<(bool, String)>,
    /// Tools that were named, where they are many.
    pub named: String,
    pub many: bool,
    /// What this form is known by, so that sending it again makes no second key.
    pub once: String,
}

/// `GET /servers/{slug}/connect/status?key=&since=`: what was seen, a page that asks again by itself.
#[derive(Debug, Template)]
#[template(path = "connect_status.html")]
pub struct ConnectStatusPage {
    pub frame: Frame,
    pub head: ServerHead,
    pub status: ConnectStatus,
}

/// What was seen of the clients of a server, or of one key.
#[derive(Clone, Debug, Default)]
pub struct ConnectStatus {
    /// Where it is asked again.
    pub address: String,
    /// The client that was met, if it said its name.
    pub client: Option<String>,
    pub met: bool,
    pub tools: Option<usize>,
    /// The first call, and why it failed.
    pub call: Option<(String, Option<String>)>,
    /// A later call that went well, where the first one failed.
    pub later: Option<String>,
    /// What was refused last: the status, when, and the message that explains it.
    pub refused: Option<(String, String, Option<&'static str>)>,
    pub events: Vec<EventRow>,
}

/// One thing a client did.
#[derive(Clone, Debug)]
pub struct EventRow {
    pub at: String,
    pub method: String,
    pub client: String,
    /// Why it failed.
    pub fault: Option<String>,
}

/// The message that says whether an API is well, and a class of the stylesheet.
pub fn health_badge(health: Health) -> (&'static str, &'static str) {
    match health {
        Health::Well => ("health-well", "good"),
        Health::Failing => ("health-failing", "bad"),
        Health::Unknown => ("health-unknown", "plain"),
    }
}

/// What asking an API whether it is well came to.
#[derive(Clone, Debug)]
pub struct ProbeView {
    pub operation: String,
    pub minutes: u32,
    pub state: (&'static str, &'static str),
    /// Of the results of the last 24 hours, how many went well: as a share, and counted.
    pub rate: Option<(String, usize, usize)>,
    /// The last results, the oldest first.
    pub strip: Vec<ProbeRow>,
    pub well: usize,
}

/// One result.
#[derive(Clone, Debug)]
pub struct ProbeRow {
    pub at: String,
    pub ok: bool,
    pub status: Option<i64>,
    pub took: String,
    pub reason: String,
}

/// `GET /servers/{slug}/health?period=`.
#[derive(Debug, Template)]
#[template(path = "server_health.html")]
pub struct HealthPage {
    pub frame: Frame,
    pub head: ServerHead,
    /// Chosen or not, what the address says, and the message that names it.
    pub periods: Vec<(bool, &'static str, &'static str)>,
    pub part: UsagePart,
    /// Origins of the API that are left alone, and for how many seconds.
    pub paused: Vec<(String, u64)>,
    /// `None`: the API is not asked.
    pub probe: Option<ProbeView>,
}

/// `GET /servers/{slug}/versions?compare=`.
#[derive(Debug, Template)]
#[template(path = "server_versions.html")]
pub struct VersionsPage {
    pub frame: Frame,
    pub head: ServerHead,
    pub error: Option<Html>,
    /// The server's revision the page was made from.
    pub revision: i64,
    pub versions: Vec<VersionRow>,
    pub hidden: usize,
    pub compared: Option<ComparedView>,
    pub acts: Vec<ActRow>,
}

/// A version in the list, the newest first.
#[derive(Clone, Debug)]
pub struct VersionRow {
    pub number: i64,
    pub title: String,
    pub made: String,
    pub url: Option<String>,
    pub current: bool,
    pub staged: bool,
    /// Of a hundred consumers, so many are served it.
    pub canary: Option<i64>,
    /// It is older than the one that is served.
    pub older: bool,
    /// There is one before it.
    pub has_previous: bool,
}

/// What differs between two versions.
#[derive(Clone, Debug)]
pub struct ComparedView {
    pub from: i64,
    pub to: i64,
    pub needs_review: bool,
    pub added: usize,
    pub removed: usize,
    pub changed: usize,
    pub rows: Vec<DifferenceRow>,
    pub hidden: usize,
}

/// One thing that differs.
#[derive(Clone, Debug)]
pub struct DifferenceRow {
    /// The tool it is about; `None`: the server itself.
    pub tool: Option<String>,
    /// The message of its kind or impact, and a class of the stylesheet.
    pub badge: (&'static str, &'static str),
    pub message: String,
}

/// Something that was done to the server.
#[derive(Clone, Debug)]
pub struct ActRow {
    pub at: String,
    pub actor: String,
    pub action: String,
    pub version: Option<i64>,
}

/// `GET /servers/{slug}/report`.
#[derive(Debug, Template)]
#[template(path = "server_report.html")]
pub struct ReportPage {
    pub frame: Frame,
    pub head: ServerHead,
    pub report: Report,
}

impl HealthPage {
    /// The address of the setting of the probe.
    pub fn settings(&self) -> String {
        let path = format!("/servers/{}/settings#probe", self.head.slug);
        self.frame.at(&path)
    }
}
