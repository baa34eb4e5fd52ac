//! One target: asked with its keys in turn, until it begins to answer or is not worth asking again.

mod again;
mod attempt;
mod headers;
mod keys;

use std::fmt::Display;
use std::time::Instant;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;
use tokio::time::timeout_at;
use url::Url;

use crate::egress::{EgressError, Opened, Patience};
use crate::llm::account::{Account, Priced};
use crate::llm::choice::Choice;
use crate::llm::codec::StreamEncoder;
use crate::llm::dialect::{Dropped, OwnTools, TargetModel, Told};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::live::{LiveKey, LiveProvider};
use crate::llm::price::ServiceTier;
use crate::llm::provider::Provider;
use crate::llm::proxy::Llm;
use crate::llm::question::{Question, Written};
use crate::llm::relay::{Across, Relay, Same};
use crate::llm::route::{ModelSettings, OnLoss};
use crate::llm::signed::{Signed, renews, secrets_of};
use crate::llm::splice::{Edit, Top};
use crate::llm::stream::{Flow, is_stream, media};
use crate::llm::usage::Usage;
use crate::types::UpstreamRequest;

pub(crate) use again::cut_short;
pub(crate) use attempt::Attempt;
pub(crate) use keys::{Admission, InTurn, judged};

/// How much of an answer that comes whole is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Where an answer of OpenAI's dialects says which tier it was.
const TIER: &str = "service_tier";

/// One request while targets are asked.
pub(crate) struct Work<'a> {
    pub(crate) cx: &'a Llm,
    pub(crate) question: &'a Question,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) settings: &'a ModelSettings,
    /// What the model is called that is asked for; the caller may have asked for another.
    pub(crate) name: &'a str,
    pub(crate) told: Told,
    pub(crate) deadline: Instant,
}

impl Work<'_> {
    /// Whether the model takes the place of the one that was asked for.
    pub(crate) fn is_substitute(&self) -> bool {
        self.name != self.question.model
    }
}

/// An answer that has begun, and whose it is.
pub(crate) struct Begun {
    pub(crate) target: String,
    pub(crate) dropped: Vec<Dropped>,
    pub(crate) priced: Priced,
    pub(crate) answering: Answering,
}

pub(crate) enum Answering {
    Whole {
        body: Bytes,
        usage: Option<Usage>,
        /// What answered, as the provider names it.
        model: String,
        /// Which tier it was, where the provider says.
        tier: Option<ServiceTier>,
    },
    Stream(Box<Flow>),
}

/// What a target is asked.
struct Asking<'a> {
    choice: &'a Choice<'a>,
    provider: &'a LiveProvider,
    model: &'a TargetModel,
    written: &'a Written,
    /// The caller's headers that it is told.
    told: HeaderMap,
}

/// Asks a target, again where that helps.
pub(crate) async fn ask_target(
    work: &Work<'_>,
    choice: &Choice<'_>,
    account: &mut Account,
) -> Result<Begun, Fault> {
    let (provider, target) = (&choice.provider, choice.target);
    let name = target.called(work.name);
    let model = TargetModel {
        name: provider.provider.model_name(name).into_owned(),
        max_output_tokens: target.max_output_tokens,
    };
    let mut written = work.question.written(&provider.provider, &model)?;
    let asked = (work.question.dialect, work.headers);
    let told = headers::told(&mut written, asked, (&provider.provider, &model));
    refuse_loss(work.settings.on_loss, &written.dropped)?;
    let asking = Asking {
        choice,
        provider,
        model: &model,
        written: &written,
        told,
    };
    let mut dropped = written.dropped.clone();
    let answering = asking.until_it_answers(work, account, &mut dropped).await?;
    Ok(Begun {
        target: format!("{}/{}", provider.name, model.name),
        dropped,
        priced: Priced {
            list: provider.provider.price_list().to_owned(),
            model: model.name,
        },
        answering,
    })
}

/// What a target cannot be told is left out, or refused, as the model's owner wants it.
fn refuse_loss(on_loss: OnLoss, dropped: &[Dropped]) -> Result<(), Fault> {
    // What a beta opens is in the body, and named where it is lost.
    let mut lost = dropped.iter();
    match lost.find(|lost| !lost.field.starts_with("anthropic-beta.")) {
        Some(first) if on_loss == OnLoss::Refuse => Err(Fault::invalid(
            first.field.clone(),
            format!("`{}` cannot be passed on: {}", first.field, first.reason),
        )),
        _ => Ok(()),
    }
}

/// Whether an answer was on its way all the same. A stream that says what is wrong before it begins gives none.
fn is_lost(fault: &Fault, work: &Work<'_>) -> bool {
    let is_silent = matches!(
        fault.class,
        FaultClass::Timeout | FaultClass::Stalled | FaultClass::Unreachable
    );
    is_silent || work.question.stream.is_none() || work.cx.over.is_cancelled()
}

impl Asking<'_> {
    async fn until_it_answers(
        &self,
        work: &Work<'_>,
        account: &mut Account,
        dropped: &mut Vec<Dropped>,
    ) -> Result<Answering, Fault> {
        let mut keys = InTurn::of(self.provider, work.settings.retries, work.deadline);
        while let Some(key) = keys.next().await {
            match self.attempt(work, key, account, dropped).await {
                Ok(answering) => return Ok(answering),
                Err(fault) if work.cx.over.is_cancelled() => return Err(fault),
                Err(fault) => keys.failed(fault),
            }
        }
        Err(keys.fault())
    }

    /// Asks once, with one key.
    async fn attempt(
        &self,
        work: &Work<'_>,
        (key, admitted): Admission<'_>,
        account: &mut Account,
        dropped: &mut Vec<Dropped>,
    ) -> Result<Answering, Fault> {
        let attempt = Attempt::begin(self.choice, &self.model.name, admitted, account);
        let answered = self.exchange(work, key, account, dropped).await;
        let class = answered.as_ref().err().map(|fault| fault.class);
        let streams = work.question.stream.is_some();
        attempt.end((&work.cx.models, account), class, (true, streams));
        answered
    }

    async fn exchange(
        &self,
        work: &Work<'_>,
        key: Option<&LiveKey>,
        account: &mut Account,
        dropped: &mut Vec<Dropped>,
    ) -> Result<Answering, Fault> {
        let request = self.request(work)?;
        account.leaving(&request);
        let outside = (&work.cx.egress, &work.cx.clock);
        let auth = self.provider.provider.auth_for(self.written.capability);
        let signed = self
            .provider
            .signed_by(work.deadline, (request, key, auth), outside);
        let Signed { request, pass } = signed.await?;
        let began = Instant::now();
        let headers_by = work.deadline.min(began + work.settings.times.first_byte());
        let patience = Patience {
            deadline: headers_by,
            cancel: &work.cx.over,
        };
        let opened = work
            .cx
            .egress
            .open(&self.provider.upstream, request, patience);
        let opened = match timeout_at(headers_by.into(), opened).await {
            Ok(opened) => opened.map_err(|error| of_egress(&error))?,
            Err(_) => return Err(again::late(&self.provider.name, began.elapsed())),
        };
        account.answered(&opened);
        if !opened.status.is_success() {
            account.refused(renews((key, &pass), opened.status, work.cx.clock.now()));
            let sent = (key, &pass);
            let refusal =
                self.provider
                    .refusal(self.written.dialect, opened, sent, work.cx.clock.now());
            return Err(refusal.await);
        }
        let mut is_paid = false;
        let answering = match work.question.stream {
            None => {
                let body = self.body(work, opened).await;
                let body = body.inspect_err(|_| account.lost())?;
                // Told with a good status, it is no answer, and takes nothing for it.
                if let Some(fault) = self.written.dialect.fault_in_answer(&body) {
                    return Err(self.provider.told(fault, (key, &pass)));
                }
                self.whole(work, &body, dropped)
                    .map_err(|fault| self.provider.told(fault, (key, &pass)))
            }
            Some(_) if !is_stream(&opened) => {
                let fault = self.no_stream(work, opened, account).await;
                return Err(self.provider.told(fault, (key, &pass)));
            }
            Some(_) => {
                let relay = self.relay(work)?.hiding(secrets_of((key, &pass)));
                let flow = Flow::begin(relay, opened, work, headers_by).await;
                match flow.unbegun() {
                    None => Ok(Answering::Stream(Box::new(flow))),
                    Some((fault, paid)) => {
                        is_paid = paid;
                        Err(self.provider.told(fault, (key, &pass)))
                    }
                }
            }
        };
        answering.inspect_err(|fault| {
            if is_paid || is_lost(fault, work) {
                account.lost();
            }
        })
    }

    /// The request without its credential.
    fn request(&self, work: &Work<'_>) -> Result<UpstreamRequest, Fault> {
        let (provider, streams) = (self.provider, work.question.stream.is_some());
        let url = provider.url(self.written.capability, &self.model.name, streams);
        let url = url.map_err(|error| Fault::new(FaultClass::Internal, error.to_string()))?;
        let accept = if streams {
            "text/event-stream"
        } else {
            "application/json"
        };
        let body = self.written.body.clone();
        let mut request = request_to(&provider.provider, (Method::POST, url), accept, body);
        request.headers.extend(self.told.clone());
        Ok(request)
    }

    /// Why there is no stream where one was asked for: what came in its place may say that, or may have been paid for.
    async fn no_stream(&self, work: &Work<'_>, opened: Opened, account: &mut Account) -> Fault {
        let media = media(&opened.headers).to_owned();
        let body = self.body(work, opened).await.unwrap_or_default();
        self.written
            .dialect
            .fault_in_answer(&body)
            .unwrap_or_else(|| {
                account.lost();
                let text = format!("the provider was asked for a stream, and sent `{media}`");
                Fault::new(FaultClass::Upstream, text)
            })
    }

    /// All of an answer that comes whole.
    async fn body(&self, work: &Work<'_>, opened: Opened) -> Result<Bytes, Fault> {
        let times = (work.settings.times.idle(), work.deadline);
        let body = opened.whole_within(ANSWER_BYTES_MAX, times);
        let body = work.cx.over.run_until_cancelled(body).await;
        let body = body.ok_or_else(Fault::ending)?;
        body.map_err(|error| cut_short(&error))
    }

    fn whole(
        &self,
        work: &Work<'_>,
        body: &Bytes,
        dropped: &mut Vec<Dropped>,
    ) -> Result<Answering, Fault> {
        let dialect = self.written.dialect;
        let because =
            |error: &dyn Display| format!("{} sent no answer: {error}", self.provider.name);
        let no_answer = |error: &dyn Display| Fault::new(FaultClass::Upstream, because(error));
        if dialect == work.question.dialect {
            let top = Top::read(body).map_err(|fault| no_answer(&fault))?;
            let usage = dialect.usage_in(body, &top);
            let tier = top.get::<&str>(TIER).and_then(ServiceTier::named);
            let (model, renamed) = self.renamed(work, &top);
            let body = renamed.map_or_else(|| body.clone(), Bytes::from);
            return Ok(Answering::Whole {
                body,
                usage,
                model,
                tier,
            });
        }
        let value: Value = serde_json::from_slice(body).map_err(|error| no_answer(&error))?;
        let tier = value[TIER].as_str().and_then(ServiceTier::named);
        let mut answer = dialect.decode_answer(value).map_err(|fault| Fault {
            message: because(&fault),
            // Of the answer, and not of what the caller sent.
            field: None,
            ..fault
        })?;
        let model = std::mem::replace(&mut answer.model, work.told.model.clone());
        let model = Some(model).filter(|model| !model.is_empty());
        let encoded = work.question.dialect.encode_answer(&answer, &told(work)?)?;
        dropped.extend(encoded.dropped);
        Ok(Answering::Whole {
            body: encoded.body.to_string().into(),
            usage: answer.usage,
            model: model.unwrap_or_else(|| self.model.name.clone()),
            tier,
        })
    }

    /// What answered, and the answer with the model's name as the caller says it, where that is another.
    fn renamed(&self, work: &Work<'_>, top: &Top<'_>) -> (String, Option<Vec<u8>>) {
        let field = work.question.dialect.model_field();
        let Some(known) = top.get::<String>(field) else {
            return (self.model.name.clone(), None);
        };
        let edit = [Edit::text(field, &work.told.model)];
        let renamed = (known != work.told.model).then(|| top.edited(&edit));
        (known, renamed)
    }

    fn relay(&self, work: &Work<'_>) -> Result<Relay, Fault> {
        let (question, dialect) = (work.question, self.written.dialect);
        let array = question.stream.is_some_and(|stream| stream.array);
        if dialect == question.dialect && !array {
            let model = (self.model.name != question.model).then(|| question.model.clone());
            let same = Same::new(dialect, model, self.written.hides_usage);
            return Ok(Relay::Same(Box::new(same)));
        }
        let told = told(work)?;
        let encoder = StreamEncoder::new(question.dialect, told.clone(), array)?;
        let across = Across::new(dialect, encoder, told);
        Ok(Relay::Across(Box::new(across)))
    }
}

/// What an answer in another dialect is written with.
fn told(work: &Work<'_>) -> Result<Told, Fault> {
    Ok(Told {
        tools: OwnTools::of(work.question.neutral()?),
        ..work.told.clone()
    })
}

/// The headers every request to a provider has.
pub(crate) fn own_headers(provider: &Provider) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // Bytes are passed on as they are, piece by piece.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in &provider.headers {
        let name = HeaderName::try_from(name.as_str());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    headers
}

/// A request to a provider, without its credential.
pub(crate) fn request_to(
    provider: &Provider,
    (method, url): (Method, Url),
    accept: &'static str,
    body: Bytes,
) -> UpstreamRequest {
    let mut headers = own_headers(provider);
    if !body.is_empty() {
        let json = HeaderValue::from_static("application/json");
        headers.entry(CONTENT_TYPE).or_insert(json);
    }
    headers
        .entry(ACCEPT)
        .or_insert(HeaderValue::from_static(accept));
    UpstreamRequest {
        method,
        url,
        headers,
        body,
    }
}

/// Why there was no answer over the network.
pub(crate) fn of_egress(error: &EgressError) -> Fault {
    let class = match error {
        EgressError::Cancelled => return Fault::ending(),
        EgressError::TimedOut { .. } => FaultClass::Timeout,
        EgressError::Refused(_) | EgressError::RefusedName { .. } | EgressError::InvalidUrl => {
            FaultClass::Internal
        }
        EgressError::TooLarge { .. } => FaultClass::Upstream,
        _ => FaultClass::Unreachable,
    };
    Fault::new(class, error.to_string())
}
