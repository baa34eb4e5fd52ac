//! One request to one result, whatever the transport.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::access::caller::{Caller, Target};
use crate::access::limit::Exceeded;
use crate::credential::pass::Passed;
use crate::live::closed::Closed;
use crate::mcp::call::reading::{self, Reader};
use crate::mcp::call::{self, Mcp};
use crate::mcp::content;
use crate::mcp::endpoint::answers::kept_back;
use crate::mcp::endpoint::finding::Finding;
use crate::mcp::endpoint::session::{LOG_LEVELS, Session};
use crate::mcp::endpoint::version::Version;
use crate::mcp::endpoint::wire::{
    INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND, MISSING_CAPABILITY, Params,
    RESOURCE_NOT_FOUND, RpcError, URL_ELICITATION_REQUIRED, quote,
};
use crate::mcp::endpoint::{answer, lists, seen};
use crate::mcp::provider::{
    CallContext, CallError, CallOutcome, Client, Consent, Leading, OwnMask, Progress, Provision,
    Resource, ResourceBody, Resumption, ToolCall,
};
use crate::mcp::server::{PromptDef, Provider, ResourceDef, Server};
use crate::mcp::tool::Tool;
use crate::mcp::tool::profile::Profile;
use crate::types::Parent;

/// How long the URI of a watched resource may be.
const URI_BYTES_MAX: usize = 2_048;
/// How many values a completion may have (MCP 2025-11-25, utilities/completion).
const COMPLETIONS_MAX: usize = 100;

/// Everything a request is answered from.
pub(super) struct Exchange {
    pub(super) mcp: Arc<Mcp>,
    pub(super) server: Arc<Server>,
    pub(super) caller: Caller,
    /// Whose share of limits it takes.
    pub(super) holder: String,
    pub(super) target: Target,
    /// Why the server is not served, if it is not.
    pub(super) closed: Option<Arc<Closed>>,
    pub(super) version: Version,
    /// The client's session, where there is one.
    pub(super) session: Option<Arc<Session>>,
    /// Whether the client hears of changes.
    pub(super) hears: bool,
    pub(super) client: Option<Arc<dyn Client>>,
    pub(super) progress: Progress,
    pub(super) cancel: CancellationToken,
    pub(super) trace_id: String,
    pub(super) parent: Option<Parent>,
    pub(super) passed: Arc<Passed>,
    /// Where the client calls from, if over a network.
    pub(super) peer: Option<IpAddr>,
    /// The ceiling that no further call of this client is let through.
    pub(super) over: Option<Exceeded>,
    /// What our addresses begin with, as the client reaches us; empty where no user is led to any.
    pub(super) base: String,
}

impl Exchange {
    /// The `result` of a request as JSON text.
    pub(super) async fn dispatch(
        &self,
        method: &str,
        params: &Params<'_>,
    ) -> Result<String, RpcError> {
        let result = self.result(method, params).await;
        seen::answered(self, (method, params), &result);
        result
    }

    async fn result(&self, method: &str, params: &Params<'_>) -> Result<String, RpcError> {
        if let Some(closed) = &self.closed
            && let Some(answer) = self.of_closed(closed, (method, params))
        {
            return answer;
        }
        match method {
            "tools/call" => return self.call(params).await,
            "tools/list" => {
                let view = (self.version.wire_class(), self.profile(params));
                let cursor = params.cursor.as_deref();
                let members = lists::tools(&self.server, view, &self.caller, self.target, cursor)?;
                return Ok(self.cacheable(&members));
            }
            "resources/read" => return Box::pin(self.read(params)).await,
            "prompts/get" => return self.prompt(params).await,
            "completion/complete" => return self.complete(params).await,
            _ => {}
        }
        let titles = self.version >= Version::V2025_06_18;
        let cursor = params.cursor.as_deref();
        match (method, self.version.is_stateless()) {
            ("resources/list", _) => {
                let page =
                    lists::resources(&self.server, titles, &self.caller, self.target, cursor)?;
                Ok(self.cacheable(&page))
            }
            ("resources/templates/list", _) => {
                if cursor.is_some_and(|cursor| !cursor.is_empty()) {
                    return Err(RpcError::invalid_params("the cursor is not valid"));
                }
                let templates = Value::Array(self.server.resource_templates.clone());
                Ok(self.cacheable(&format!("\"resourceTemplates\":{templates}")))
            }
            ("prompts/list", _) => {
                Ok(self.cacheable(&lists::prompts(&self.server, titles, cursor)?))
            }
            ("server/discover", true) => Ok(self.discover()),
            ("initialize", false) => {
                if let (Some(session), Some(client)) = (&self.session, &params.client_info) {
                    session.call_client(&client.name);
                }
                Ok(self.initialize())
            }
            ("ping", false) => Ok("{}".to_owned()),
            ("logging/setLevel", false) => self.set_level(params),
            ("resources/subscribe", false) => self.watch(params, true),
            ("resources/unsubscribe", false) => self.watch(params, false),
            _ => Err(RpcError::method_not_found(method)),
        }
    }

    /// For whom lists are written: by what the request says of its client, else the session.
    fn profile(&self, params: &Params<'_>) -> Profile {
        let stated = params
            .meta
            .as_ref()
            .and_then(|meta| meta.client_info.as_ref());
        let session = self
            .session
            .as_ref()
            .and_then(|session| session.client_name());
        let name = stated.map(|client| &*client.name).or(session);
        self.server.settings.profile.of(name)
    }

    fn cacheable(&self, members: &str) -> String {
        let private = self.server.on_trial || self.caller.is_restricted(self.target);
        answer::cacheable(self.version, &self.server, private, members)
    }

    fn capabilities(&self) -> Value {
        let mut capabilities =
            json!({ "tools": {}, "resources": {}, "prompts": {}, "completions": {} });
        if self.hears {
            for lists in ["tools", "resources", "prompts"] {
                capabilities[lists]["listChanged"] = json!(true);
            }
            capabilities["resources"]["subscribe"] = json!(true);
        }
        if self.session.is_some() {
            capabilities["logging"] = json!({});
        }
        capabilities
    }

    fn initialize(&self) -> String {
        json!({
            "protocolVersion": self.version.as_str(),
            "capabilities": self.capabilities(),
            "serverInfo": answer::server_info(&self.server),
            "instructions": self.instructions(),
        })
        .to_string()
    }

    fn discover(&self) -> String {
        let versions: Vec<&str> = Version::ALL
            .iter()
            .map(|version| version.as_str())
            .collect();
        let members = format!(
            "\"supportedVersions\":{},\"capabilities\":{},\"instructions\":{}",
            json!(versions),
            self.capabilities(),
            quote(&self.instructions())
        );
        self.cacheable(&members)
    }

    pub(super) fn context(&self) -> CallContext {
        CallContext {
            cancel: self.cancel.clone(),
            deadline: Instant::now() + Duration::from_millis(self.server.settings.call_timeout_ms),
            progress: self.progress.clone(),
            client: self.client.clone(),
            holder: self.holder.clone(),
            trace_id: self.trace_id.clone(),
            parent: self.parent,
            passed: self.passed.clone(),
            peer: self.peer,
            consent: Consent::Token,
            leads: Leading::default(),
            answered: None,
            own: OwnMask::default(),
        }
    }

    async fn call(&self, params: &Params<'_>) -> Result<String, RpcError> {
        if let Some(over) = &self.over {
            let outcome = call::limited(over.clone()).map_err(call_error)?;
            return self.outcome(&outcome);
        }
        let name = params
            .name
            .as_deref()
            .ok_or_else(|| RpcError::invalid_params("`name` is missing: which tool?"))?;
        let call = ToolCall {
            name: name.to_owned(),
            arguments: params.arguments.map(RawValue::to_owned),
            resumption: resumption(params),
        };
        let call = match self.finding(call) {
            Finding::Call(call) => call,
            Finding::Answer(outcome) => return self.outcome(&outcome),
        };
        let context = CallContext {
            consent: self.consent(&call.name, params),
            leads: self.leads(params),
            answered: call
                .resumption
                .as_ref()
                .map(|given| given.responses.clone()),
            ..self.context()
        };
        let outcome = call::call(&self.mcp, &self.caller, &self.server, call, &context)
            .await
            .map_err(call_error)?;
        self.outcome(&outcome)
    }

    /// Questions in an answer are new in 2026-07-28; a client of an older version would take them
    /// for a broken result.
    pub(super) fn outcome(&self, outcome: &CallOutcome) -> Result<String, RpcError> {
        if matches!(outcome, CallOutcome::InputRequired(_)) && !self.version.is_stateless() {
            let text =
                "this needs an answer from the user, which protocol version 2026-07-28 can ask for";
            return Err(RpcError::new(INTERNAL_ERROR, text));
        }
        Ok(answer::outcome(self.version, &self.server, outcome))
    }

    async fn read(&self, params: &Params<'_>) -> Result<String, RpcError> {
        let uri = params
            .uri
            .as_deref()
            .ok_or_else(|| RpcError::invalid_params("`uri` is missing: which resource?"))?;
        let known = self.server.resources.iter().find(|r| r.uri == uri);
        let whose = (&self.caller, self.target);
        let known = known.filter(|resource| lists::sees(&self.server, whose, resource));
        let resource = match (known, &self.server.provider) {
            (Some(resource), _) => Some(Resource {
                uri: resource.uri.clone(),
                media_type: Some(resource.media_type.clone()),
                body: ResourceBody::Text(self.text_of(resource)),
            }),
            (None, Provider::Native(native)) => {
                let context = self.context();
                in_time(&context, native.read(uri, &context)).await?
            }
            (None, Provider::Api(_)) => None,
        };
        if resource.is_none()
            && let Some(answer) = self.answer(uri).await?
        {
            let members = format!("\"contents\":[{}]", answer::contents(&answer));
            // Nobody else may be given it, whoever may use the server.
            return Ok(answer::cacheable(
                self.version,
                &self.server,
                true,
                &members,
            ));
        }
        let Some(resource) = resource else {
            let code = if self.version.is_stateless() {
                INVALID_PARAMS
            } else {
                RESOURCE_NOT_FOUND
            };
            let mut error = RpcError::new(code, "resource not found");
            error.data = Some(json!({ "uri": uri.chars().take(500).collect::<String>() }));
            return Err(error);
        };
        Ok(self.cacheable(&format!("\"contents\":[{}]", answer::contents(&resource))))
    }

    /// The text of a resource, which names no tool that the caller may not use.
    fn text_of(&self, resource: &ResourceDef) -> String {
        match &resource.before_tools {
            Some(head) if !self.caller.sees_all(self.target) => {
                let sees = |tool: &Tool| self.caller.may(self.target, Some(&tool.def.operation));
                self.server.overview(head, sees)
            }
            _ => resource.text.to_string(),
        }
    }

    /// An answer that was too large for its result, if the URI names one of this caller.
    async fn answer(&self, uri: &str) -> Result<Option<Resource>, RpcError> {
        let context = self.context();
        let kept = in_time(&context, self.mcp.answers.at(&self.caller, uri)).await?;
        let Some(kept) = kept.filter(|kept| kept.server == self.server.id) else {
            return Ok(None);
        };
        let reader = Reader {
            caller: &self.caller,
            peer: self.peer,
        };
        let counted = reading::count(&self.mcp, &reader, &self.server, &kept);
        let counted = in_time(&context, counted).await?;
        counted.map_err(|refusal| kept_back(&refusal))?;
        let text = content::is_text(&kept.media_type);
        let text = text
            .then(|| std::str::from_utf8(&kept.bytes).ok())
            .flatten();
        Ok(Some(Resource {
            uri: uri.to_owned(),
            body: text.map_or_else(
                || ResourceBody::Blob(BASE64.encode(&kept.bytes)),
                |text| ResourceBody::Text(text.to_owned()),
            ),
            media_type: Some(kept.media_type),
        }))
    }

    async fn prompt(&self, params: &Params<'_>) -> Result<String, RpcError> {
        let name = params.name.as_deref().unwrap_or_default();
        let given: Value = params
            .arguments
            .and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_else(|| json!({}));
        if let Provider::Native(native) = &self.server.provider {
            let context = self.context();
            let provision = native.prompt(name, &given, resumption(params), &context);
            match in_time(&context, provision).await?.map_err(call_error)? {
                Some(Provision::Result(result)) => return Ok(self.object(result)),
                Some(Provision::InputRequired(input)) => {
                    return self.outcome(&CallOutcome::InputRequired(input));
                }
                None => {}
            }
        }
        let prompt = self
            .server
            .prompts
            .iter()
            .find(|prompt| prompt.name == name);
        let prompt = prompt
            .ok_or_else(|| RpcError::invalid_params(format!("unknown prompt: {}", shown(name))))?;
        let text = fill(prompt, &given)?;
        Ok(self.object(json!({
            "description": prompt.description,
            "messages": [{ "role": "user", "content": { "type": "text", "text": text } }],
        })))
    }

    /// Values an argument of a prompt may take. Ours are free text.
    async fn complete(&self, params: &Params<'_>) -> Result<String, RpcError> {
        let read = |raw: Option<&RawValue>| {
            raw.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok())
                .unwrap_or(Value::Null)
        };
        let (reference, argument) = (read(params.reference), read(params.argument));
        if !reference.is_object() || argument.get("name").is_none() {
            return Err(RpcError::invalid_params("`ref` and `argument` are needed"));
        }
        let mut values = match &self.server.provider {
            Provider::Native(native) => {
                let completion = native.complete(&reference, &argument);
                in_time(&self.context(), completion).await?
            }
            Provider::Api(_) => Vec::new(),
        };
        let total = values.len();
        values.truncate(COMPLETIONS_MAX);
        let more = total > values.len();
        Ok(self.object(json!({
            "completion": { "values": values, "total": total, "hasMore": more }
        })))
    }

    /// Without a session there is nothing to set, and nothing that would be logged.
    fn set_level(&self, params: &Params<'_>) -> Result<String, RpcError> {
        let level = params.level.as_deref().unwrap_or_default();
        let known = match &self.session {
            Some(session) => session.set_log_level(level),
            None => LOG_LEVELS.contains(&level),
        };
        if known {
            return Ok("{}".to_owned());
        }
        let levels = LOG_LEVELS.join(", ");
        Err(RpcError::invalid_params(format!(
            "`level` has to be one of {levels}"
        )))
    }

    fn watch(&self, params: &Params<'_>, on: bool) -> Result<String, RpcError> {
        let session = self.session.as_ref().filter(|_| self.hears);
        let session = session.ok_or_else(|| {
            RpcError::new(METHOD_NOT_FOUND, "resources are watched within a session")
        })?;
        match params.uri.as_deref() {
            Some(uri) if uri.len() <= URI_BYTES_MAX && session.watch(uri, on) => {
                Ok("{}".to_owned())
            }
            Some(_) => Err(RpcError::invalid_params("too many resources are watched")),
            None => Err(RpcError::invalid_params(
                "`uri` is missing: which resource?",
            )),
        }
    }

    fn object(&self, result: Value) -> String {
        answer::plain(self.version, &self.server, result)
    }
}

/// What is not a tool call, under the same deadline and cancellation as one.
async fn in_time<T>(
    context: &CallContext,
    work: impl Future<Output = T> + Send,
) -> Result<T, RpcError> {
    tokio::select! {
        biased;
        () = context.cancel.cancelled() => Err(call_error(CallError::Cancelled)),
        done = tokio::time::timeout_at(context.deadline.into(), work) => {
            done.map_err(|_| RpcError::new(INTERNAL_ERROR, "this took too long"))
        }
    }
}

fn resumption(params: &Params<'_>) -> Option<Resumption> {
    if params.input_responses.is_none() && params.request_state.is_none() {
        return None;
    }
    let responses = params
        .input_responses
        .and_then(|raw| serde_json::from_str(raw.get()).ok());
    Some(Resumption {
        responses: responses.unwrap_or_else(|| json!({})),
        state: params.request_state.as_deref().map(str::to_owned),
    })
}

fn fill(prompt: &PromptDef, given: &Value) -> Result<String, RpcError> {
    let mut text = prompt.text.clone();
    for (name, _, required) in &prompt.arguments {
        match (given.get(name).and_then(Value::as_str), required) {
            (None, true) => {
                return Err(RpcError::invalid_params(format!(
                    "the argument `{name}` is missing"
                )));
            }
            (value, _) => text = text.replace(&format!("{{{name}}}"), value.unwrap_or_default()),
        }
    }
    Ok(text.trim_end().to_owned())
}

fn shown(name: &str) -> String {
    name.chars().take(128).collect()
}

/// A call that did not run, as the specification words it (2025-11-25, server/tools, "Error
/// Handling").
fn call_error(error: CallError) -> RpcError {
    match error {
        CallError::UnknownTool(name) => {
            RpcError::invalid_params(format!("Unknown tool: {}", shown(&name)))
        }
        CallError::InvalidParams(text) => RpcError::invalid_params(text),
        CallError::MissingCapability(needed) => RpcError {
            code: MISSING_CAPABILITY,
            message: "the client lacks a capability this needs".into(),
            data: Some(json!({ "requiredCapabilities": needed })),
        },
        CallError::UserHasToVisit(data) => RpcError {
            code: URL_ELICITATION_REQUIRED,
            message: "the user has to open a page before this can be done".into(),
            data: Some(data),
        },
        CallError::Cancelled => RpcError::new(INTERNAL_ERROR, "cancelled"),
        CallError::Internal(source) => {
            tracing::error!(error = %source, "a call failed inside");
            RpcError::new(INTERNAL_ERROR, "internal error")
        }
    }
}
