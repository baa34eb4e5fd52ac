//! What an owner changes of tools: shown, set, mended with one call, taken back.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::person::Person;
use crate::extract::{Body, Path};
use crate::live::Entry;
use crate::live::loader::curations;
use crate::market::api::page::{Asked, Listed, Spot};
use crate::market::api::servers::{act, owned};
use crate::market::api::{Market, security};
use crate::mcp::curation::{Curation, Curations, argument_keys, curate, definition_hash};
use crate::mcp::fragment::Fragments;
use crate::mcp::lint::{Grade, Issue, Review, lint, lint_one, lint_server, score};
use crate::mcp::tool::ToolDef;
use crate::mcp::tool::compile::in_a_list;
use crate::mcp::tool::shrink::Budget;
use crate::openapi::OperationKey;
use crate::problem::{Problem, ProblemKind};
use crate::store::Change;

/// The tools of a server's current version, as the document gives them and as they are served.
pub(crate) struct Workbench {
    pub(crate) entry: Arc<Entry>,
    pub(crate) original: Vec<ToolDef>,
    pub(crate) served: Vec<ToolDef>,
    pub(crate) curations: Curations,
    pub(crate) findings: Vec<crate::openapi::Finding>,
    /// Of what is told of the server itself.
    issues: Vec<Issue>,
}

impl Workbench {
    pub(crate) async fn open(
        market: &Market,
        person: &Person,
        slug: &str,
    ) -> Result<Self, Problem> {
        let entry = owned(market, person, slug)?;
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

    /// A tool as the document gives it: by the name it is served under; else by the one a hidden tool
    /// would have, by its generated one, or by its operation.
    fn original(&self, name: &str) -> Result<&ToolDef, Problem> {
        let served = self.served.iter().find(|tool| tool.name.as_str() == name);
        let find = |is_meant: &dyn Fn(&ToolDef) -> bool| {
            let mut tools = self.original.iter();
            tools.find(|tool| is_meant(tool))
        };
        let found = match served {
            Some(served) => find(&|tool| tool.operation == served.operation),
            None => find(&|tool| self.own_name(tool) == name)
                .or_else(|| find(&|tool| tool.name.as_str() == name))
                .or_else(|| find(&|tool| tool.operation.0 == name)),
        };
        found.ok_or_else(Problem::not_found)
    }

    /// The name a tool has by its curation, also where it is hidden.
    pub(crate) fn own_name<'a>(&'a self, tool: &'a ToolDef) -> &'a str {
        let curation = self.curations.get(&tool.operation);
        let own = curation.and_then(|curation| curation.name.as_ref());
        own.unwrap_or(&tool.name).as_str()
    }

    /// The tools that are not served, since their owner hid them.
    fn hidden(&self) -> Vec<Value> {
        let is_hidden = |tool: &&ToolDef| {
            let curation = self.curations.get(&tool.operation);
            curation.is_some_and(|curation| curation.hidden)
        };
        let hidden = self.original.iter().filter(is_hidden);
        hidden
            .map(|tool| json!({ "operation": tool.operation, "name": self.own_name(tool) }))
            .collect()
    }

    fn curation(&self, tool: &ToolDef) -> Curation {
        self.curations
            .get(&tool.operation)
            .cloned()
            .unwrap_or_default()
    }

    fn review(&self, tool: &ToolDef) -> Option<Review> {
        let mut served = self.served.iter();
        let at = served.position(|served| served.operation == tool.operation)?;
        lint_one(&self.served, at)
    }

    /// A tool as it is listed.
    fn listed(&self, tool: &ToolDef) -> Fragments {
        let settings = &self.entry.settings;
        let budget = Budget::of(settings.tool_tokens_max);
        in_a_list(tool, settings.reshapes(&tool.operation), budget)
    }

    /// A tool as an owner sees it.
    pub(crate) fn view(&self, tool: &ToolDef) -> Value {
        let mut served = self.served.iter();
        let served = served.find(|other| other.operation == tool.operation);
        let listed = served.map(|tool| self.listed(tool));
        let arguments: Vec<Value> = argument_keys(&tool.binding)
            .into_iter()
            .map(|(key, argument)| {
                let properties = tool.input_schema.get("properties");
                let schema = properties.and_then(|properties| properties.get(&argument));
                json!({ "key": key, "argument": argument, "schema": schema })
            })
            .collect();
        json!({
            "operation": tool.operation,
            "name": served.map_or(self.own_name(tool), |tool| tool.name.as_str()),
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
            "hash": listed.as_ref().map(definition_hash),
            "tokens": listed.as_ref().map(Fragments::tokens),
            "review": self.review(tool),
        })
    }
}

pub(super) async fn list(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
    asked: Asked<Spot>,
) -> Result<Listed, Problem> {
    let bench = Workbench::open(&market, &person, &slug).await?;
    let mut all: Vec<_> = bench.curations.iter().collect();
    all.sort_by_key(|(operation, _)| *operation);
    let first = asked.after.is_none();
    let page = asked.of_sorted(all, |(operation, _)| &operation.0);
    // What is found belongs to a curation; the rest comes first.
    let shown = |operation| page.rows.iter().any(|(other, _)| *other == operation);
    let findings: Vec<_> = bench
        .findings
        .iter()
        .filter(|finding| finding.operation.as_ref().map_or(first, shown))
        .collect();
    let findings = json!({ "findings": findings });
    let answer = page.answer_named("curations", |(operation, curation)| {
        (operation.0.clone(), json!(curation))
    });
    Ok(answer.with(findings))
}

pub(super) async fn show(
    State(market): State<Market>,
    person: Person,
    Path((slug, tool)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let bench = Workbench::open(&market, &person, &slug).await?;
    viewed(&market, &bench, bench.original(&tool)?).await
}

/// A tool as an owner sees it, with how its calls are authenticated.
async fn viewed(
    market: &Market,
    bench: &Workbench,
    tool: &ToolDef,
) -> Result<Json<Value>, Problem> {
    let catalog = &market.0.parts.publisher.catalog;
    let server = catalog.server(bench.entry.id).await?;
    let mut view = bench.view(tool);
    view["security"] = json!(security::choice(&server, tool, &bench.curations));
    Ok(Json(view))
}

pub(super) async fn put(
    State(market): State<Market>,
    person: Person,
    Path((slug, tool)): Path<(String, String)>,
    Body(curation): Body<Curation>,
) -> Result<Json<Value>, Problem> {
    let bench = Workbench::open(&market, &person, &slug).await?;
    let tool = bench.original(&tool)?.clone();
    set(&market, &person, (&bench, &tool), curation).await
}

pub(super) async fn remove(
    State(market): State<Market>,
    person: Person,
    Path((slug, tool)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let bench = Workbench::open(&market, &person, &slug).await?;
    let tool = bench.original(&tool)?.clone();
    let shown = set(&market, &person, (&bench, &tool), Curation::default()).await;
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
    person: Person,
    Path((slug, tool)): Path<(String, String)>,
    Body(Mend { rule }): Body<Mend>,
) -> Result<Json<Value>, Problem> {
    let bench = Workbench::open(&market, &person, &slug).await?;
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
    set(&market, &person, (&bench, &tool), curation).await
}

/// Makes a curation live, and answers with the tool as it is then.
async fn set(
    market: &Market,
    person: &Person,
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
    let mut act = act(person, "curate", entry);
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
    let bench = Workbench::open(market, person, entry.slug.as_str()).await?;
    viewed(market, &bench, tool).await
}

/// Makes the curations of many tools live: all of them or none.
pub(crate) async fn set_many(
    market: &Market,
    person: &Person,
    bench: &Workbench,
    changes: Vec<(OperationKey, Curation)>,
) -> Result<(), Problem> {
    let mut after = bench.curations.clone();
    let mut stored = Vec::with_capacity(changes.len());
    for (operation, curation) in changes {
        let tool = bench
            .original
            .iter()
            .find(|tool| tool.operation == operation);
        let tool = tool.ok_or_else(Problem::not_found)?;
        let curation = curation.for_tool(tool).map_err(|error| {
            let detail = format!("`{operation}`: {error}");
            Problem::new(ProblemKind::Unprocessable, detail)
        })?;
        let text = (!curation.is_empty()).then(|| json!(curation).to_string());
        stored.push((operation.0.clone(), text));
        after.insert(operation, curation);
    }
    if stored.is_empty() {
        return Ok(());
    }
    is_named_once(&bench.original, &after, &stored)?;
    let publisher = &market.0.parts.publisher;
    let mut act = act(person, "curate", &bench.entry);
    let noted: serde_json::Map<String, Value> = stored
        .iter()
        .map(|(operation, _)| {
            (
                operation.clone(),
                json!(after.get(&OperationKey(operation.clone()))),
            )
        })
        .collect();
    act.after = Some(json!({ "curations": noted }).to_string());
    let now = publisher.clock.now();
    let put = publisher
        .store
        .put_curations(bench.entry.id, &stored, &act, now);
    put.await?;
    Ok(publisher
        .catalog
        .apply(Change::Server(bench.entry.id))
        .await?)
}

/// That no tool that is changed gets the name of another one that is served.
fn is_named_once(
    tools: &[ToolDef],
    after: &Curations,
    changed: &[(String, Option<String>)],
) -> Result<(), Problem> {
    let is_changed = |tool: &ToolDef| changed.iter().any(|(key, _)| *key == tool.operation.0);
    let mut names: HashMap<String, &ToolDef> = HashMap::new();
    for tool in tools {
        let curation = after.get(&tool.operation);
        if curation.is_some_and(|curation| curation.hidden) {
            continue;
        }
        let name = curation
            .and_then(|it| it.name.as_ref())
            .unwrap_or(&tool.name);
        let other = names.insert(name.as_str().to_ascii_lowercase(), tool);
        let Some(other) = other.filter(|other| is_changed(other) || is_changed(tool)) else {
            continue;
        };
        let (one, two) = (&tool.operation, &other.operation);
        let detail = format!("`name`: {one} and {two} would both be called {name}");
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    Ok(())
}

pub(super) async fn review(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
    asked: Asked<Spot>,
) -> Result<Listed, Problem> {
    let bench = Workbench::open(&market, &person, &slug).await?;
    let reviews = lint(&bench.served);
    let sum: usize = reviews.iter().map(|review| usize::from(review.score)).sum();
    // What the server itself says is read before any tool.
    let lost = 100 - score(&bench.issues);
    let score = u8::try_from(sum / reviews.len().max(1)).unwrap_or(100);
    let score = score.saturating_sub(lost);
    let costs: Vec<usize> = bench
        .served
        .iter()
        .map(|tool| bench.listed(tool).tokens())
        .collect();
    let tools: Vec<_> = reviews.iter().zip(&costs).collect();
    let page = asked.of_listed(tools, |(review, _)| &review.operation.0);
    let answer = page.answer("tools", |(review, tokens)| {
        let mut view = json!(review);
        view["tokens"] = json!(tokens);
        view
    });
    Ok(answer.with(json!({
        "score": score,
        "grade": Grade::of(score),
        "issues": bench.issues,
        "tokens": costs.iter().sum::<usize>(),
        "hidden": bench.hidden(),
    })))
}
