//! From what was sent to what it describes: files are put together, fetched where that is allowed,
//! read, and made into tools, off the async threads.

use url::Url;

use crate::live::Entry;
use crate::mcp::plan::check_destination;
use crate::mcp::publish::{GivenSettings, PublishError, Publisher, Report};
use crate::mcp::tool::compile::unchecked;
use crate::mcp::tool::{self, ToolDef};
use crate::openapi::bundle::{Assembly, SpecFiles};
use crate::openapi::{self, Api, Finding, Severity, Understood};

pub(super) struct Converted {
    pub(super) api: Api,
    pub(super) tools: Vec<ToolDef>,
    pub(super) findings: Vec<Finding>,
}

/// What is stored, which is the file as it was uploaded, all files in one, or the document that another
/// format became; and its tools. `allow` are the rules for what may be fetched.
pub(super) async fn convert(
    cx: &Publisher,
    (files, overlays): (SpecFiles, &[String]),
    allow: &[String],
) -> Result<(Vec<u8>, Converted), PublishError> {
    let rules: Vec<_> = allow.iter().filter_map(|text| text.parse().ok()).collect();
    let original = files.files.get(&files.root).cloned().unwrap_or_default();
    let limits = cx.limits.clone();
    let assembly = off_thread(cx, move || Ok(Assembly::start(files, &limits)?)).await?;
    let egress = &cx.egress;
    let assembly = egress.complete(assembly, cx.remote_refs, &rules).await?;
    let (limits, overlays) = (cx.limits.clone(), overlays.to_vec());
    off_thread(cx, move || {
        let Understood { api, made } = openapi::understand(assembly, &overlays, &limits)?;
        let defined = tool::define(&api);
        let mut findings = api.findings.clone();
        findings.extend(defined.findings);
        findings.extend(unchecked(&api, &defined.tools));
        if defined.tools.is_empty() {
            return Err(PublishError::NoTools(findings));
        }
        let converted = Converted {
            api,
            tools: defined.tools,
            findings,
        };
        Ok((made.unwrap_or_else(|| original.into()), converted))
    })
    .await
}

/// Off the async threads, on a stack that is deep enough, two at once.
async fn off_thread<T: Send + 'static>(
    cx: &Publisher,
    work: impl FnOnce() -> Result<T, PublishError> + Send + 'static,
) -> Result<T, PublishError> {
    let _permit = cx
        .converting
        .acquire()
        .await
        .map_err(|_| PublishError::Busy)?;
    tokio::task::spawn_blocking(move || openapi::deep(work))
        .await
        .map_err(|error| PublishError::Internal(error.into()))?
}

impl Converted {
    pub(super) fn report(&self) -> Report {
        let count = |severity| {
            self.findings
                .iter()
                .filter(|f| f.severity == severity)
                .count()
        };
        Report {
            title: self.api.title.clone(),
            openapi: self.api.version,
            tools: self.tools.len(),
            lost: count(Severity::Lost),
            warnings: count(Severity::Warning),
            notes: count(Severity::Note),
            findings: self.findings.clone(),
        }
    }
}

/// Where a document was found. One that comes without an address is that of the address it had.
pub(super) async fn found_at(
    cx: &Publisher,
    existing: Option<&Entry>,
    origin: Option<&Url>,
) -> Result<Option<Url>, PublishError> {
    let Some(entry) = existing.filter(|_| origin.is_none()) else {
        return Ok(origin.cloned());
    };
    let row = cx.store.server(entry.id).await?;
    let known = row.and_then(|row| row.document_url);
    Ok(known.and_then(|url| Url::parse(&url).ok()))
}

/// What was said of the document's servers means one of them.
pub(super) fn check_server(tools: &[ToolDef], given: &GivenSettings) -> Result<(), PublishError> {
    let variables = given.server_variables.clone().unwrap_or_default();
    let tools: Vec<&ToolDef> = tools.iter().collect();
    check_destination(&tools, given.server.as_deref(), &variables)
        .map_err(PublishError::Destination)
}
