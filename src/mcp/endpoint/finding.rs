//! The three tools of a server whose tools are searched: `search_tools`, `describe_tool` and
//! `call_tool`. What a caller may not use is not found, and is refused as what is not there. What is
//! answered here has its ledger entry too, with no upstream; a call of another tool has that tool's.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::access::ledger::{Called, LedgerEntry, LedgerStatus};
use crate::mcp::endpoint::dispatch::Exchange;
use crate::mcp::provider::{CallOutcome, Content, ToolCall, ToolOutcome};
use crate::mcp::server::finder::{DESCRIBED_MAX, FOUND, FOUND_MAX, Finder, described, found};
use crate::mcp::tool::Tool;

/// What one of the three tools comes to.
pub(super) enum Finding {
    /// Its answer.
    Answer(CallOutcome),
    /// The call of another tool.
    Call(ToolCall),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    query: String,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    page: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Describe {
    names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    name: String,
    #[serde(default)]
    arguments: Option<Box<RawValue>>,
}

impl Exchange {
    /// What `call` comes to, if it is one of the three.
    pub(super) fn finding(&self, call: ToolCall) -> Finding {
        let Some(finder) = &self.server.finder else {
            return Finding::Call(call);
        };
        let started = Instant::now();
        let given = call
            .arguments
            .as_ref()
            .map_or("{}", |arguments| arguments.get());
        let outcome = if call.name == finder.search {
            self.search(finder, given)
        } else if call.name == finder.describe {
            self.describe(finder, given)
        } else if call.name == finder.call {
            match self.called(finder, given) {
                Ok(wanted) => {
                    return Finding::Call(ToolCall {
                        resumption: call.resumption,
                        ..wanted
                    });
                }
                Err(refused) => refused,
            }
        } else {
            return Finding::Call(call);
        };
        let is_error = matches!(
            outcome,
            CallOutcome::Complete(ToolOutcome { is_error: true, .. })
        );
        let status = if is_error {
            LedgerStatus::ToolError
        } else {
            LedgerStatus::Ok
        };
        self.account((&call.name, given), status, started.elapsed());
        Finding::Answer(outcome)
    }

    /// The tool that `call_tool` is to call, or why it calls none.
    pub(super) fn called(&self, finder: &Finder, given: &str) -> Result<ToolCall, CallOutcome> {
        let wanted: Call = serde_json::from_str(given)
            .map_err(|error| refused(&format!("The arguments do not fit: {error}.")))?;
        if self.visible(&wanted.name).is_none() {
            return Err(unknown(finder, &wanted.name));
        }
        Ok(ToolCall {
            name: wanted.name,
            arguments: wanted.arguments,
            resumption: None,
        })
    }

    /// Enters an answer in the ledger. It was given at once, so there is nobody to have left.
    pub(super) fn account(
        &self,
        (tool, given): (&str, &str),
        status: LedgerStatus,
        took: Duration,
    ) {
        self.mcp.ledger.record(LedgerEntry {
            organization: self.server.organization,
            caller: self.caller.clone(),
            at: self.mcp.clock.now(),
            called: Called::Tool {
                server: self.server.id,
                version: self.server.version,
                name: tool.to_owned(),
            },
            trace_id: self.trace_id.clone(),
            status,
            upstream_status: None,
            request_bytes: given.len() as u64,
            response_bytes: 0,
            upstream_time: Duration::ZERO,
            total_time: took,
            attempts: 0,
            tokens_output: None,
            cost_nanos: None,
        });
    }

    fn visible(&self, name: &str) -> Option<&Tool> {
        let tool = self.server.tools.get(name)?;
        let operation = Some(&tool.def.operation);
        self.caller.may(self.target, operation).then_some(tool)
    }

    fn search(&self, finder: &Finder, given: &str) -> CallOutcome {
        let wanted: Search = match serde_json::from_str(given) {
            Ok(wanted) => wanted,
            Err(error) => return refused(&format!("The arguments do not fit: {error}.")),
        };
        let limit = wanted.limit.unwrap_or(FOUND).clamp(1, FOUND_MAX);
        let page = wanted.page.unwrap_or(1).max(1);
        let skip = (page - 1).saturating_mul(limit);
        let visible = |tool: &Tool| self.caller.may(self.target, Some(&tool.def.operation));
        let result = finder.find(&self.server, &wanted.query, (skip, limit), visible);
        let tools: Vec<Value> = result.tools.iter().map(|tool| found(tool)).collect();
        let mut answer = json!({ "tools": tools, "confident": result.confident });
        if result.more {
            answer["nextPage"] = json!(page + 1);
        }
        if !result.confident {
            answer["note"] = json!(
                "No tool fits well; there may be none for this. Try other words before you call one."
            );
        }
        structured(&answer)
    }

    fn describe(&self, finder: &Finder, given: &str) -> CallOutcome {
        let wanted: Describe = match serde_json::from_str(given) {
            Ok(wanted) => wanted,
            Err(error) => return refused(&format!("The arguments do not fit: {error}.")),
        };
        let mut tools = Vec::new();
        for name in wanted.names.iter().take(DESCRIBED_MAX) {
            match self.visible(name) {
                Some(tool) => tools.push(described(tool)),
                None => return unknown(finder, name),
            }
        }
        structured(&json!({ "tools": tools }))
    }
}

fn unknown(finder: &Finder, name: &str) -> CallOutcome {
    let name: String = name.chars().take(128).collect();
    refused(&format!(
        "Unknown tool: {name}. {} finds the names there are.",
        finder.search
    ))
}

fn refused(text: &str) -> CallOutcome {
    CallOutcome::Complete(ToolOutcome {
        content: vec![Content::Text(text.to_owned())],
        is_error: true,
        ..ToolOutcome::default()
    })
}

fn structured(answer: &Value) -> CallOutcome {
    let text = answer.to_string();
    CallOutcome::Complete(ToolOutcome {
        content: vec![Content::Text(text.clone())],
        structured: RawValue::from_string(text).ok(),
        ..ToolOutcome::default()
    })
}
