//! Requests for other things than a chat (embeddings, images, sound, rankings, moderation): passed on as they are to a
//! provider that offers the same address, with the model's name in its words.

mod wanted;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::sync::mpsc;

use crate::access::caller::Caller;
use crate::access::limit::Cost;
use crate::credential::mask::Mask;
use crate::egress::{Opened, Patience};
use crate::llm::account::{Account, Priced};
use crate::llm::choice::{self, Choice, asker, in_order};
use crate::llm::dialect::Dialect;
use crate::llm::exchange::{Admission, Attempt, InTurn, cut_short, of_egress, own_headers};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::live::{LiveKey, LiveModel, LiveProvider};
use crate::llm::multipart;
use crate::llm::pieces::{Piece, close, pass_on};
use crate::llm::price::ServiceTier;
use crate::llm::provider::Capability;
use crate::llm::proxy::{Llm, of_provider};
use crate::llm::reserve::{Admitted, From, Reservation, Sought, admit};
use crate::llm::route::Times;
use crate::llm::signed::{Signed, renews, secrets_of};
use crate::llm::splice::Top;
use crate::llm::stream::{CHUNKS_MAX, media};
use crate::llm::through::{Sent, Tallied, Tally};
use crate::llm::veil::Veil;
use crate::llm::watch::Opening;
use crate::types::UpstreamRequest;

pub use wanted::Wanted;
pub(crate) use wanted::{BYTES_PER_TOKEN_OF_MEDIA, IMAGE_TOKENS};

/// How much of an answer in JSON is read to see what it used.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What is shorter is a word, as keys of services without any are, and may well be in an answer.
const SECRET_BYTES_MIN: usize = 16;

/// What goes back.
pub struct Passed {
    pub target: String,
    pub status: u16,
    pub content_type: Option<HeaderValue>,
    /// What the provider calls the request.
    pub provider_request: Option<Box<str>>,
    pub body: PassedBody,
}

pub enum PassedBody {
    Whole(Bytes),
    Chunks(mpsc::Receiver<Piece>),
}

/// What a provider answers.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: AnswerBody,
}

enum AnswerBody {
    /// What tells what it used, and every refusal.
    Whole(Bytes),
    Coming(Box<Opened>, Veil),
}

/// An answer that has begun.
struct Begun {
    answer: Answer,
    target: String,
    priced: Priced,
    deadline: Instant,
}

/// A request that a provider is sent.
struct Sending<'a> {
    cx: &'a Llm,
    wanted: &'a Wanted,
    choice: &'a Choice<'a>,
    provider: &'a LiveProvider,
    model: &'a str,
    body: Bytes,
    /// How often it is sent again.
    retries: u32,
    times: Times,
    deadline: Instant,
}

/// Passes a request on to the first target of its model that takes it. It is accounted for exactly once.
///
/// # Errors
/// What is wrong with the request, or the fault of the last target that was asked.
pub async fn forward(cx: &Arc<Llm>, caller: &Caller, wanted: Wanted) -> Result<Passed, Fault> {
    let name = wanted.model()?;
    let opening = Opening {
        model: &name,
        operation: operation(wanted.capability),
        trace_id: &wanted.trace_id,
        parent: wanted.parent,
    };
    let mut account = Account::begin(cx, caller, &opening);
    account.asked_with(wanted.body.len());
    let from = From {
        caller,
        peer: wanted.peer,
    };
    let sought = Sought {
        model: &name,
        tier: ServiceTier::Standard,
        most: &|room| wanted.most(room.output),
        searches: u64::from(wanted.capability == Capability::Rerank),
        body: Some(&wanted.body).filter(|_| multipart::boundary(&wanted.content_type).is_none()),
    };
    let Admitted {
        model,
        name: served,
        mut reservation,
    } = admit(cx, from, sought)
        .await
        .inspect_err(|fault| account.failed(fault))?;
    account.admitted(cx, &model, &wanted.body);
    let served = (&*served, served != name);
    let begun = send_in_turn(cx, caller, (&model, served, &wanted), &mut account).await;
    reservation.stay_spent(account.lost_answers());
    match begun {
        Ok(begun) => {
            let sent = Sent::whole(&wanted.content_type, &wanted.body).await?;
            let asked = (sent, Tally::of_other(wanted.capability));
            Ok(pass(cx, begun, asked, (account, reservation)).await)
        }
        Err(mut fault) => {
            fault.provider_request = account.provider_request().map(Box::from);
            reservation.settle(Cost::default()).await;
            account.failed(&fault);
            Err(if account.has_asked() {
                of_provider(fault)
            } else {
                fault
            })
        }
    }
}

/// What is done, in the words of OpenTelemetry where it has one for it.
fn operation(capability: Capability) -> &'static str {
    match capability {
        Capability::Embeddings => "embeddings",
        Capability::Completions => "text_completion",
        Capability::Rerank => "rerank",
        Capability::Images | Capability::ImageEdits | Capability::ImageVariations => {
            "image_generation"
        }
        Capability::Speech => "speech",
        Capability::Transcriptions | Capability::Translations => "transcription",
        Capability::Moderations => "moderation",
        Capability::CountTokens => "count_tokens",
        _ => "chat",
    }
}

async fn send_in_turn(
    cx: &Llm,
    caller: &Caller,
    (model, (served, is_substitute), wanted): (&LiveModel, (&str, bool), &Wanted),
    account: &mut Account,
) -> Result<Begun, Fault> {
    let settings = &model.settings;
    let can = |provider: &LiveProvider| {
        let speaks = wanted
            .dialect
            .is_none_or(|dialect| dialect == provider.provider.dialect);
        speaks && provider.provider.can(wanted.capability)
    };
    // What takes the place of another model, and what asks for no answer, is no part of a comparison.
    let compared = !is_substitute && wanted.capability != Capability::CountTokens;
    let chosen = choice::Wanted {
        organization: caller.organization,
        model,
        arm: if is_substitute {
            &model.arm
        } else {
            model.arm_for(&asker(caller, &wanted.headers))
        },
        question: None,
    };
    account.of_arm(chosen.arm.name.as_deref().filter(|_| compared));
    let mut last = Fault::new(
        FaultClass::Unsupported,
        format!(
            "no provider that `{}` leads to offers `{}`",
            model.name,
            wanted.capability.name()
        ),
    );
    let deadline = Instant::now() + settings.times.total();
    let mut fell = None;
    for choice in in_order(&cx.models, chosen, can).choices {
        if !choice.target.takes(fell) {
            continue;
        }
        let provider = choice.provider.clone();
        let name = choice.target.called(served);
        let name = provider.provider.model_name(name).into_owned();
        let sending = Sending {
            cx,
            wanted,
            choice: &choice,
            provider: &provider,
            model: &name,
            body: wanted.renamed(&name)?,
            retries: settings.retries,
            times: settings.times,
            deadline,
        };
        match sending.until_it_answers(account).await {
            Ok(answer) => {
                let priced = Priced {
                    list: provider.provider.price_list().to_owned(),
                    model: name.clone(),
                };
                return Ok(Begun {
                    answer,
                    target: format!("{}/{name}", provider.name),
                    priced,
                    deadline,
                });
            }
            Err(fault) if settings.falls_back(&fault) => {
                fell = Some(fault.cause());
                last = fault;
            }
            Err(fault) => return Err(fault),
        }
    }
    Err(last)
}

impl Sending<'_> {
    /// Sends with one key after the other, and again where that helps.
    async fn until_it_answers(&self, account: &mut Account) -> Result<Answer, Fault> {
        let mut keys = InTurn::of(self.provider, self.retries, self.deadline);
        while let Some(key) = keys.next().await {
            match self.attempt(key, account).await {
                Ok(answer) => return Ok(answer),
                Err(fault) if self.cx.over.is_cancelled() => return Err(fault),
                Err(fault) => keys.failed(fault),
            }
        }
        Err(keys.fault())
    }

    /// Sends once, with one key.
    async fn attempt(
        &self,
        (key, admitted): Admission<'_>,
        account: &mut Account,
    ) -> Result<Answer, Fault> {
        let attempt = Attempt::begin(self.choice, self.model, admitted, account);
        let sent = self.send(key, account).await;
        let class = sent.as_ref().err().map(|fault| fault.class);
        // A count, or a refusal of what was asked, says nothing of how long an answer takes.
        let is_fine = |sent: &Answer| sent.status.is_success();
        let counts =
            self.wanted.capability != Capability::CountTokens && sent.as_ref().is_ok_and(is_fine);
        attempt.end((&self.cx.models, account), class, (counts, false));
        sent
    }

    async fn send(&self, key: Option<&LiveKey>, account: &mut Account) -> Result<Answer, Fault> {
        let (provider, capability) = (&self.provider.provider, self.wanted.capability);
        let url = self.provider.url(capability, self.model, false);
        let url = url.map_err(|error| Fault::new(FaultClass::Internal, error.to_string()))?;
        let mut headers = own_headers(provider);
        let content_type = self.wanted.content_type.clone();
        headers.entry(CONTENT_TYPE).or_insert(content_type);
        let request = UpstreamRequest {
            method: Method::POST,
            url,
            headers,
            body: self.body.clone(),
        };
        account.leaving(&request);
        let outside = (&self.cx.egress, &self.cx.clock);
        let auth = provider.auth_for(capability);
        let signed = self
            .provider
            .signed_by(self.deadline, (request, key, auth), outside);
        let Signed { request, pass } = signed.await?;
        let patience = Patience {
            deadline: self.deadline.min(Instant::now() + self.times.first_byte()),
            cancel: &self.cx.over,
        };
        let opened = self
            .cx
            .egress
            .open(&self.provider.upstream, request, patience);
        let mut opened = opened.await.map_err(|error| of_egress(&error))?;
        account.answered(&opened);
        account.refused(renews((key, &pass), opened.status, self.cx.clock.now()));
        let dialect = self.wanted.dialect.unwrap_or(Dialect::OpenaiChat);
        if matches!(opened.status.as_u16(), 401 | 403 | 408 | 429 | 500..=599) {
            let now = self.cx.clock.now();
            let refusal = self.provider.refusal(dialect, opened, (key, &pass), now);
            return Err(refusal.await);
        }
        let (status, headers) = (opened.status, std::mem::take(&mut opened.headers));
        let is_json = media(&headers).starts_with("application/json");
        let answer = |body| Answer {
            status,
            headers,
            body,
        };
        if status.is_success() && !is_json {
            let secrets = secrets_of((key, &pass)).into_iter();
            let veil = Veil::of(secrets.filter(|secret| secret.len() >= SECRET_BYTES_MIN));
            return Ok(answer(AnswerBody::Coming(Box::new(opened), veil)));
        }
        let body = opened.whole(ANSWER_BYTES_MAX, self.deadline);
        let Some(body) = self.cx.over.run_until_cancelled(body).await else {
            account.lost();
            return Err(Fault::ending());
        };
        if !status.is_success() {
            let body = body.map_err(|error| of_egress(&error))?;
            // What is wrong with a request is told in the provider's own words, which may repeat what it was sent with.
            let mask = Mask::of_values(secrets_of((key, &pass)));
            return Ok(answer(AnswerBody::Whole(mask.bytes(body))));
        }
        let body = body.map_err(|error| {
            account.lost();
            cut_short(&error)
        })?;
        // Told with a good status, it is no answer, and takes nothing for it.
        if let Some(fault) = dialect.fault_in_answer(&body) {
            return Err(self.provider.told(fault, (key, &pass)));
        }
        Ok(answer(AnswerBody::Whole(body)))
    }
}

/// Passes an answer on: one that was read already whole, with what it used, and everything else as it comes.
async fn pass(
    cx: &Arc<Llm>,
    begun: Begun,
    (sent, mut tally): (Sent, Tally),
    (mut account, reservation): (Account, Reservation),
) -> Passed {
    let Begun {
        answer,
        target,
        priced,
        deadline,
    } = begun;
    let provider_request = account.provider_request().map(Box::from);
    let status = answer.status.as_u16();
    let content_type = answer.headers.get(CONTENT_TYPE).cloned();
    tally.begins(status, &answer.headers);
    let body = match answer.body {
        AnswerBody::Whole(body) => {
            account.passed(&body);
            if account.is_recorded()
                && let Some(model) = Top::read(&body)
                    .ok()
                    .and_then(|top| top.get::<&str>("model"))
            {
                account.answers_with(model);
            }
            tally.push(&body);
            let cost = counted(cx, &mut account, (tally.finish(&sent, true), &priced));
            if answer.status.is_success() {
                account.done();
            } else {
                account.failed(&Fault::new(FaultClass::of_status(status), ""));
            }
            drop(account);
            reservation.settle(cost).await;
            PassedBody::Whole(body)
        }
        AnswerBody::Coming(opened, veil) => {
            let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
            cx.streams.spawn(pump(
                cx.clone(),
                (*opened, veil),
                (sender, deadline),
                (sent, tally, priced),
                (account, reservation),
            ));
            PassedBody::Chunks(chunks)
        }
    };
    Passed {
        target,
        status,
        content_type,
        provider_request,
        body,
    }
}

/// What an answer came to; `None`: nothing.
fn counted(cx: &Llm, account: &mut Account, (tallied, priced): (Option<Tallied>, &Priced)) -> Cost {
    tallied.map_or_else(Cost::default, |tallied| {
        account.used(&tallied.used, (&cx.prices, priced))
    })
}

/// Passes an answer on to its end, and settles it.
async fn pump(
    cx: Arc<Llm>,
    passing: (Opened, Veil),
    (sender, deadline): (mpsc::Sender<Piece>, Instant),
    (sent, mut tally, priced): (Sent, Tally, Priced),
    (mut account, reservation): (Account, Reservation),
) {
    let noted = (
        |came: &[u8]| tally.push(came),
        |goes: &[u8]| account.passed(goes),
    );
    let ended = pass_on(&cx, passing, (&sender, deadline), noted).await;
    let tallied = tally.finish(&sent, matches!(ended, Ok(true)));
    let cost = counted(&cx, &mut account, (tallied, &priced));
    match &ended {
        Ok(true) => account.done(),
        Ok(false) => {}
        Err(fault) => account.failed(fault),
    }
    drop(account);
    reservation.settle(cost).await;
    close((sender, deadline), &ended).await;
}
