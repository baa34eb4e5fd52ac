//! What those who watch the process are told of one request: counts, spans, and bodies where a model's owner wants
//! them. Spans say names, numbers and statuses only: never a body, a key, or a path as it was sent.

use std::time::Instant;

use http::{HeaderMap, Method};

use crate::access::ledger::{Called, LedgerEntry, LedgerStatus};
use crate::llm::answer::Stop;
use crate::llm::bodies::{Bodies, Redactor};
use crate::llm::fault::FaultClass;
use crate::llm::live::{LiveModel, LiveProvider};
use crate::llm::meter::{About, ModelMeters, Series, Streaming, outcome};
use crate::telemetry::{Attributes, Kind, Recording, Rest, Telemetry, Value, span_id};
use crate::types::{Parent, UpstreamRequest};

/// Headers in which providers say what they call a request, the most telling first.
const REQUEST_IDS: [&str; 10] = [
    "x-request-id",
    "request-id",
    "apim-request-id",
    "x-amzn-requestid",
    "x-amzn-request-id",
    "x-goog-request-id",
    "x-ms-request-id",
    "x-debug-trace-id",
    "x-tt-logid",
    "x-log-id",
];
const REQUEST_ID_LENGTH_MAX: usize = 200;

/// What a request is, before anybody is asked.
pub(crate) struct Opening<'a> {
    /// As the caller names it.
    pub(crate) model: &'a str,
    /// What is done, in the words of OpenTelemetry.
    pub(crate) operation: &'static str,
    pub(crate) trace_id: &'a str,
    /// The span of the caller's that it belongs to.
    pub(crate) parent: Option<Parent>,
}

/// A provider that is asked, or was asked last.
struct Asked {
    about: About,
    /// As the provider names it.
    model: String,
}

/// One time a provider is asked.
struct Attempt {
    id: u64,
    began: Instant,
    method: Method,
    attributes: Attributes,
}

/// One request, watched to its end.
pub(crate) struct Watched {
    meters: ModelMeters,
    recording: Option<Recording>,
    operation: &'static str,
    /// As it is counted; empty: not known yet, or not there.
    model: String,
    /// Somebody stored that name.
    is_stored: bool,
    asked: Option<Asked>,
    attempt: Option<Attempt>,
    server: Attributes,
    provider_request: Option<String>,
    /// What the provider says it answered with.
    answered_with: Option<String>,
    stop: Option<String>,
    error: Option<FaultClass>,
    streaming: Option<Streaming>,
    bodies: Option<Bodies>,
}

impl Watched {
    pub(crate) fn begin(
        (meters, telemetry): (&ModelMeters, &Telemetry),
        opening: &Opening<'_>,
    ) -> Self {
        Self {
            meters: meters.clone(),
            recording: telemetry.begin(opening.trace_id, opening.parent),
            operation: opening.operation,
            model: String::new(),
            is_stored: false,
            asked: None,
            attempt: None,
            server: Attributes::new(),
            provider_request: None,
            answered_with: None,
            stop: None,
            error: None,
            streaming: None,
            bodies: None,
        }
    }

    /// It was let in, for this model.
    pub(crate) fn admitted(&mut self, model: &LiveModel, body: &[u8], redactor: &Redactor) {
        self.model.clone_from(&model.name);
        self.is_stored = !model.id.is_nil();
        self.bodies = model.log_bodies.then(|| Bodies::of(redactor, body));
    }

    /// A provider is asked, once. Whoever was asked before did not answer.
    pub(crate) fn asking(&mut self, provider: &LiveProvider, model: &str) {
        let about = About {
            model: self.model.clone(),
            provider: provider.name.clone(),
            operation: self.operation,
            kind: well_known(&provider.provider.id).to_owned(),
        };
        if let Some(before) = &self.asked {
            let series = self.meters.series(&before.about, self.is_stored);
            if before.about == about && before.model == model {
                series.repeated();
            } else {
                series.given_up();
            }
        }
        self.asked = Some(Asked {
            about,
            model: model.to_owned(),
        });
        self.answered_with = None;
        self.attempt = Some(Attempt {
            id: self.recording.as_ref().map_or(0, |_| span_id()),
            began: Instant::now(),
            method: Method::POST,
            attributes: Attributes::new(),
        });
        if let Some(bodies) = &mut self.bodies {
            bodies.hide(&provider.keys);
        }
    }

    /// The request leaves for there. Of its URL, only the host is told.
    pub(crate) fn leaving(&mut self, request: &UpstreamRequest) {
        if self.recording.is_none() {
            return;
        }
        self.server.clear();
        if let Some(host) = request.url.host_str() {
            self.server.push(("server.address", Value::from(host)));
        }
        if let Some(port) = request.url.port_or_known_default() {
            self.server.push(("server.port", Value::from(port)));
        }
        if let Some(attempt) = &mut self.attempt {
            attempt.method = request.method.clone();
            let scheme = Value::from(request.url.scheme());
            attempt.attributes.push(("url.scheme", scheme));
            let bytes = Value::from(request.body.len());
            attempt.attributes.push(("http.request.body.size", bytes));
        }
    }

    /// The provider answered.
    pub(crate) fn answered(&mut self, status: u16, headers: &HeaderMap) {
        self.provider_request = request_id(headers);
        let Some(attempt) = self.attempt.as_mut().filter(|_| self.recording.is_some()) else {
            return;
        };
        let status = Value::from(status);
        attempt
            .attributes
            .push(("http.response.status_code", status));
        if let Some(id) = &self.provider_request {
            let id = Value::from(id.as_str());
            attempt
                .attributes
                .push(("causeway.provider.request_id", id));
        }
    }

    /// What came of asking a provider; `None`: it answers.
    pub(crate) fn came_of_it(&mut self, class: Option<FaultClass>) {
        self.end_attempt(class.map_or("ok", outcome));
    }

    fn end_attempt(&mut self, outcome: &'static str) {
        let (Some(attempt), Some(asked)) = (self.attempt.take(), &self.asked) else {
            return;
        };
        self.meters.attempted(&asked.about.provider, outcome);
        let Some(recording) = &mut self.recording else {
            return;
        };
        let mut attributes = vec![
            ("http.request.method", Value::from(attempt.method.as_str())),
            ("gen_ai.provider.name", Value::from(&*asked.about.kind)),
            ("gen_ai.request.model", Value::from(asked.model.as_str())),
            ("causeway.provider", Value::from(&*asked.about.provider)),
        ];
        attributes.extend(self.server.iter().cloned());
        attributes.extend(attempt.attributes);
        let error = (outcome != "ok").then_some(outcome);
        let what = (attempt.id, attempt.method.to_string(), Kind::Client);
        recording.add(what, attempt.began, Rest { attributes, error });
    }

    /// The first token of a stream is there.
    pub(crate) fn streams(&mut self) {
        if let Some(asked) = &self.asked {
            let series = self.meters.series(&asked.about, true);
            self.streaming = Some(Streaming::of(series));
        }
    }

    /// So much went to the caller.
    pub(crate) fn passed(&mut self, bytes: &[u8]) {
        if let Some(bodies) = &mut self.bodies {
            bodies.answered(bytes);
        }
    }

    /// Whether anybody wants to know what answered, and why it ended.
    pub(crate) fn is_recorded(&self) -> bool {
        self.recording.is_some()
    }

    /// The model that answers, as the provider names it.
    pub(crate) fn answers_with(&mut self, model: &str) {
        self.answered_with = Some(model.to_owned());
    }

    /// Why the answer ended.
    pub(crate) fn stopped(&mut self, stop: &Stop) {
        self.stop = Some(reason(stop).to_owned());
    }

    pub(crate) fn failed(&mut self, class: FaultClass) {
        self.error = Some(class);
    }

    /// What the provider that answered last calls the request.
    pub(crate) fn provider_request(&self) -> Option<&str> {
        self.provider_request.as_deref()
    }

    /// The request came to its end.
    pub(crate) fn end(&mut self, entry: &LedgerEntry) {
        self.end_attempt("cancelled");
        self.streaming = None;
        let series = self.series(entry.status == LedgerStatus::Ok);
        self.meters.ended(&series, entry);
        if let Some(recording) = self.recording.take() {
            self.record(recording, entry);
        }
        if let Some(bodies) = self.bodies.take() {
            bodies.tell(entry);
        }
    }

    fn series(&self, answered: bool) -> std::sync::Arc<Series> {
        let may_begin = self.is_stored || answered;
        match &self.asked {
            Some(asked) => self.meters.series(&asked.about, may_begin),
            None if self.is_stored => {
                let about = About {
                    model: self.model.clone(),
                    operation: self.operation,
                    ..About::default()
                };
                self.meters.series(&about, true)
            }
            None => self.meters.others().clone(),
        }
    }

    fn record(&self, recording: Recording, entry: &LedgerEntry) {
        let Called::Model(call) = &entry.called else {
            return;
        };
        let mut attributes = vec![
            ("gen_ai.operation.name", Value::from(self.operation)),
            ("gen_ai.request.model", Value::from(call.model.as_str())),
        ];
        if let Some(asked) = &self.asked {
            let named = [
                ("gen_ai.provider.name", asked.about.kind.as_str()),
                ("causeway.provider", asked.about.provider.as_str()),
            ];
            attributes.extend(named.map(|(name, value)| (name, Value::from(value))));
            // Who says nothing else answers with the model it was asked for; who does not answer, with none.
            let is_ok = entry.status == LedgerStatus::Ok;
            let answered_with = self.answered_with.as_ref();
            let answered_with = answered_with.or(is_ok.then_some(&asked.model));
            attributes.extend(
                answered_with.map(|model| ("gen_ai.response.model", Value::from(model.as_str()))),
            );
        }
        attributes.extend(self.server.iter().cloned());
        let counts = [
            ("gen_ai.usage.input_tokens", call.tokens_input),
            ("gen_ai.usage.output_tokens", entry.tokens_output),
            ("gen_ai.usage.cache_read.input_tokens", call.tokens_cached),
            (
                "gen_ai.usage.cache_creation.input_tokens",
                call.tokens_cache_write,
            ),
        ];
        let counts = counts.into_iter();
        attributes.extend(counts.filter_map(|(name, count)| Some((name, Value::from(count?)))));
        if let Some(stop) = &self.stop {
            let reasons = Value::Texts(vec![stop.clone()]);
            attributes.push(("gen_ai.response.finish_reasons", reasons));
        }
        if let Some(id) = &self.provider_request {
            attributes.push(("causeway.provider.request_id", Value::from(id.as_str())));
        }
        let error = match entry.status {
            LedgerStatus::Ok => None,
            LedgerStatus::Cancelled => Some("cancelled"),
            _ => Some(self.error.map_or("internal", outcome)),
        };
        let name = format!("{} {}", self.operation, call.model);
        recording.end(name, Rest { attributes, error });
    }
}

/// What a provider calls a request, if it says so in a word that can be passed on.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    let mut said = REQUEST_IDS.iter().filter_map(|name| headers.get(*name));
    let id = said.next()?.to_str().ok()?.trim();
    let fits = !id.is_empty()
        && id.len() <= REQUEST_ID_LENGTH_MAX
        && id.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| id.to_owned())
}

/// Who a provider is, in the words of OpenTelemetry where it has one.
fn well_known(kind: &str) -> &str {
    match kind {
        "azure" | "azure-deployments" => "azure.ai.openai",
        "bedrock" => "aws.bedrock",
        "gemini" => "gcp.gemini",
        "vertex" | "vertex-anthropic" => "gcp.vertex_ai",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        kind => kind,
    }
}

/// Why an answer ended, in OpenAI's words where they have one for it.
fn reason(stop: &Stop) -> &str {
    match stop {
        Stop::End | Stop::Sequence(_) => "stop",
        Stop::Length | Stop::ContextFull => "length",
        Stop::ToolCalls => "tool_calls",
        Stop::ContentFilter => "content_filter",
        Stop::Refusal => "refusal",
        Stop::Pause => "pause",
        Stop::Other(word) => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_providers_word_for_a_request_is_found_and_bounded() {
        let of = |headers: &[(&'static str, &str)]| {
            let headers = headers.iter().map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, value.parse().unwrap())
            });
            request_id(&headers.collect())
        };
        assert_eq!(of(&[("request-id", "req_1")]).as_deref(), Some("req_1"));
        let both = [("apim-request-id", "a"), ("x-request-id", "b")];
        assert_eq!(of(&both).as_deref(), Some("b"));
        assert_eq!(of(&[("x-amzn-requestid", &"a".repeat(201))]), None);
        assert_eq!(of(&[("x-request-id", "a b")]), None);
        assert_eq!(of(&[("date", "today")]), None);
    }
}
