//! What an owner changes of tools: shown, set, mended with one call, taken back.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::extract::{Admin, Body, Path};
use crate::live::Entry;
use crate::live::loader::curations;
use crate::market::api::Market;
use crate::market::api::servers::{act, owned};
use crate::mcp::curation::{Curation, Curations, argument_keys, curate, definition_hash};
use crate::mcp::fragment::Fragments;
use crate::mcp::lint::{Issue, Review, lint, lint_server, score};
use crate::mcp::tool::ToolDef;
use crate::mcp::tool::compile::shaped;
use crate::mcp::tool::shrink::Budget;
use crate::problem::{Problem, ProblemKind};
use crate::store::Change;

/// The tools of a server's current version, as the document gives them and as they are served.
pub(crate) struct Workbench {
    pub(crate) entry: Arc<Entry>,
    original: Vec<ToolDef>,
    pub(crate) served: Vec<ToolDef>,
    pub(crate) curations: Curations,
    pub(crate) findings: Vec<crate::openapi::Finding>,
    /// Of what is told of the server itself.
    issues: Vec<Issue>,
}

impl Workbench {
    pub(crate) async fn open(market: &Market, admin: &Admin, slug: &str) -> Result<Self, Problem> {
        let entry = owned(market, admin, slug)?;
        let store = &market.0.parts.publisher.store;
        let row = store
            .server(entry.id)
            .await?
            .ok_or_else(Problem::not_found)?;
        let original: Vec<ToolDef> =
            serde_json::from_str(&row.tools).map_err(|error| Problem::internal(&error))?;
        let curations = curations(store.curations(entry.id).await?);
        let curated = curate(original.clone(), &curations);
        Ok(Self {
            entry,
            original,
            served: curated.tools,
            curations,
            findings: curated.findings,
            issues: lint_server(&row.title, row.description.as_deref()),
        })
    }

    /// A tool as the document gives it, by the name it is served under, or by its generated one.
    fn original(&self, name: &str) -> Result<&ToolDef, Problem> {
        let served = self.served.iter().find(|tool| tool.name.as_str() == name);
        let same = |tool: &&ToolDef| match served {
            Some(served) => tool.operation == served.operation,
            None => tool.name.as_str() == name,
        };
        self.original
            .iter()
            .find(same)
            .ok_or_else(Problem::not_found)
    }

    fn curation(&self, tool: &ToolDef) -> Curation {
        self.curations
            .get(&tool.operation)
            .cloned()
            .unwrap_or_default()
    }

    fn review(&self, tool: &ToolDef) -> Option<Review> {
        let mut reviews = lint(&self.served).into_iter();
        reviews.find(|review| review.operation == tool.operation)
    }

    /// The digest of a tool as it is listed.
    fn hash(&self, tool: &ToolDef) -> String {
        let settings = &self.entry.settings;
        let (listed, _) = shaped(tool.clone(), settings.reshapes(&tool.operation));
        let budget = Budget::of(settings.tool_tokens_max);
        definition_hash(&Fragments::new(Arc::new(listed), budget))
    }

    /// A tool as an owner sees it.
    pub(crate) fn view(&self, tool: &ToolDef) -> Value {
        let mut served = self.served.iter();
        let served = served.find(|other| other.operation == tool.operation);
        let arguments: Vec<Value> = argument_keys(&tool.binding)
            .into_iter()
            .map(|(key, argument)| json!({ "key": key, "argument": argument }))
            .collect();
        json!({
            "operation": tool.operation,
            "name": served.map_or(&tool.name, |tool| &tool.name),
            "curation": self.curation(tool),
            "document": {
                "name": tool.name,
                "title": tool.title,
                "description": tool.description,
                "annotations": tool.annotations,
                "security": tool.binding.security,
                "servers": tool.binding.servers,
            },
            "arguments": arguments,
            "hash": served.map(|tool| self.hash(tool)),
            "review": self.review(tool),
        })
    }
}

pub(super) async fn list(
    State(market): State<Market>,
    admin: Admin,
    Path(slug): Path<String>,
) -> Result<Json<Value>, Problem> {
    let bench = Workbench::open(&market, &admin, &slug).await?;
    Ok(Json(
        json!({ "curations": bench.curations, "findings": bench.findings }),
    ))
}

pub(super) async fn show(
    State(market): State<Market>,
    admin: Admin,
    Path((slug, tool)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let bench = Workbench::open(&market, &admin, &slug).await?;
    Ok(Json(bench.view(bench.original(&tool)?)))
}

pub(super) async fn put(
    State(market): State<Market>,
    admin: Admin,
    Path((slug, tool)): Path<(String, String)>,
    Body(curation): Body<Curation>,
) -> Result<Json<Value>, Problem> {
    let bench = Workbench::open(&market, &admin, &slug).await?;
    let tool = bench.original(&tool)?.clone();
    set(&market, &admin, (&bench, &tool), curation).await
}

pub(super) async fn remove(
    State(market): State<Market>,
    admin: Admin,
    Path((slug, tool)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let bench = Workbench::open(&market, &admin, &slug).await?;
    let tool = bench.original(&tool)?.clone();
    let shown = set(&market, &admin, (&bench, &tool), Curation::default()).await;
    shown.map(|_| StatusCode::NO_CONTENT)
}

/// Which issue of a tool is mended.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mend {
    rule: String,
}

pub(super) async fn mend(
    State(market): State<Market>,
    admin: Admin,
    Path((slug, tool)): Path<(String, String)>,
    Body(Mend { rule }): Body<Mend>,
) -> Result<Json<Value>, Problem> {
    let bench = Workbench::open(&market, &admin, &slug).await?;
    let tool = bench.original(&tool)?.clone();
    let issues = bench
        .review(&tool)
        .map(|review| review.issues)
        .unwrap_or_default();
    let fix = issues
        .into_iter()
        .find(|issue| issue.rule.word() == rule)
        .and_then(|issue| issue.fix);
    let fix = fix.ok_or_else(|| {
        let detail = "`rule`: the tool has no issue of that rule that can be mended; its `review` lists them";
        Problem::new(ProblemKind::Unprocessable, detail)
    })?;
    let curation = bench.curation(&tool).with(fix);
    set(&market, &admin, (&bench, &tool), curation).await
}

/// Makes a curation live, and answers with the tool as it is then.
async fn set(
    market: &Market,
    admin: &Admin,
    (bench, tool): (&Workbench, &ToolDef),
    curation: Curation,
) -> Result<Json<Value>, Problem> {
    let curation = curation
        .for_tool(tool)
        .map_err(|error| Problem::new(ProblemKind::Unprocessable, error.to_string()))?;
    let entry = &bench.entry;
    let taken = curation.name.as_ref().and_then(|name| {
        bench.served.iter().find(|other| {
            other.operation != tool.operation
                && other.name.as_str().eq_ignore_ascii_case(name.as_str())
        })
    });
    if let Some(other) = taken {
        let detail = format!("`name`: {} is called so already", other.operation);
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    let publisher = &market.0.parts.publisher;
    let before = bench.curations.get(&tool.operation);
    let noted = |curation: Value| {
        Some(json!({ "operation": tool.operation, "curation": curation }).to_string())
    };
    let mut act = act(admin, "curate", entry);
    act.before = noted(json!(before));
    act.after = noted(json!(curation));
    let changes = json!(curation).to_string();
    let changes = Some(&*changes).filter(|_| !curation.is_empty());
    let place = (entry.id, tool.operation.0.as_str());
    publisher
        .store
        .put_curation(place, changes, &act, publisher.clock.now())
        .await?;
    publisher.catalog.apply(Change::Server(entry.id)).await?;
    let bench = Workbench::open(market, admin, entry.slug.as_str()).await?;
    Ok(Json(bench.view(tool)))
}

pub(super) async fn review(
    State(market): State<Market>,
    admin: Admin,
    Path(slug): Path<String>,
) -> Result<Json<Value>, Problem> {
    let bench = Workbench::open(&market, &admin, &slug).await?;
    let reviews = lint(&bench.served);
    let count = u32::try_from(reviews.len()).unwrap_or(u32::MAX).max(1);
    let sum: u32 = reviews.iter().map(|review| u32::from(review.score)).sum();
    // What the server itself says is read before any tool.
    let lost = u32::from(100 - score(&bench.issues));
    let score = (sum / count).saturating_sub(lost);
    Ok(Json(
        json!({ "score": score, "issues": bench.issues, "tools": reviews }),
    ))
}
