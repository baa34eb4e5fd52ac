//! The playground's requests: a page that asks, the page with whole answers, and one answer piece by piece.

use std::convert::Infallible;

use askama::Template;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use futures::future::join_all;
use futures::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::access::caller::Caller;
use crate::extract::Visitor;
use crate::llm::live::DEMO;
use crate::market::api::Market;
use crate::market::language::Html;
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::chat_copies::{ChatCopies, Question};
use crate::market::pages::hearing::{Hearing, Piece};
use crate::market::pages::playground::{ANSWERS_MAX, AnswerFragment, AnswerView, PlaygroundPage};
use crate::market::pages::routes::{Fields, frame, reader};
use crate::market::pages::submitted::Submitted;
use crate::market::pages::{Frame, page, security_headers};

/// What a form with a question may weigh.
pub(super) const FORM_BYTES_MAX: usize = 1 << 20;
/// Names a field suggests.
const SUGGESTED_MAX: usize = 500;

pub(super) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let person = match reader(&headers, "/playground") {
        Ok(person) => person,
        Err(response) => return *response,
    };
    let mut template = blank(&market, &headers, &person.caller);
    if let Some(model) = query.get("model") {
        template.chosen[0].clone_from(model);
    } else if template.has_demo {
        DEMO.clone_into(&mut template.chosen[0]);
    }
    let question = Question {
        model: template.chosen[0].clone(),
        message: template.frame.say("playground-example").to_string(),
        ..Question::default()
    };
    template.copies = ChatCopies::new(&market.0.parts.address.asked_by(&headers), &question);
    page(StatusCode::OK, &template)
}

fn blank(market: &Market, headers: &Visitor, caller: &Caller) -> PlaygroundPage {
    let mut names = market.0.parts.llm.models.names(caller.organization);
    names.retain(|name| caller.may_ask(name));
    let has_demo = names.iter().any(|name| name == DEMO);
    names.truncate(SUGGESTED_MAX);
    PlaygroundPage {
        frame: frame(market, headers, "playground"),
        error: None,
        names,
        has_demo,
        chosen: Default::default(),
        system: String::new(),
        message: String::new(),
        answers: Vec::new(),
        copies: ChatCopies::default(),
    }
}

/// The models a form names, and what it asks of each.
fn asked(form: &Entered) -> Vec<Question> {
    let text = |name| {
        entered(form, name)
            .unwrap_or_default()
            .replace("\r\n", "\n")
    };
    let (system, message) = (text("system"), text("message"));
    let names = form.iter().filter(|(name, _)| name == "model");
    let names = names.map(|(_, model)| model.trim());
    names
        .filter(|model| !model.is_empty())
        .take(ANSWERS_MAX)
        .map(|model| Question {
            model: model.to_owned(),
            system: system.trim().to_owned(),
            message: message.clone(),
        })
        .collect()
}

/// The message of what a form lacks.
fn lacking(questions: &[Question]) -> Option<&'static str> {
    match questions.first() {
        None => Some("playground-no-model"),
        Some(question) if question.message.trim().is_empty() => Some("playground-no-message"),
        Some(_) => None,
    }
}

/// Asks, and answers with a page once everything was said.
pub(super) async fn ask(
    State(market): State<Market>,
    Submitted {
        visitor: headers,
        person,
        form,
    }: Submitted<Entered>,
) -> Response {
    let mut template = blank(&market, &headers, &person.caller);
    let questions = asked(&form);
    for (chosen, question) in template.chosen.iter_mut().zip(&questions) {
        chosen.clone_from(&question.model);
    }
    let text = |name| entered(&form, name).unwrap_or_default().to_owned();
    (template.system, template.message) = (text("system"), text("message"));
    if let Some(lacking) = lacking(&questions) {
        template.error = Some(Html::from(template.frame.say(lacking)));
        return page(StatusCode::UNPROCESSABLE_ENTITY, &template);
    }
    let answers = questions
        .iter()
        .map(|question| whole(&market, (&person.caller, &headers), question));
    template.answers = join_all(answers).await;
    page(StatusCode::OK, &template)
}

async fn whole(
    market: &Market,
    (caller, headers): (&Caller, &HeaderMap),
    question: &Question,
) -> AnswerView {
    let hearing = Hearing::begin(market, (caller, headers), question).await;
    let base = market.0.parts.address.asked_by(headers);
    let copies = ChatCopies::new(&base, question);
    AnswerView::of(question.model.clone(), hearing.end().await, copies)
}

/// A question that is being answered.
struct Telling {
    market: Market,
    frame: Frame,
    caller: Caller,
    headers: HeaderMap,
    question: Question,
}

enum Step {
    Begin,
    Under(Box<Hearing>),
    Over,
}

/// Asks the first model that is named, and answers with server-sent events: each is an object with more `text` or
/// more `thought`, and the last one has the answer as `html`.
pub(super) async fn stream(
    State(market): State<Market>,
    Submitted {
        visitor: headers,
        person,
        form,
    }: Submitted<Entered>,
) -> Response {
    let frame = frame(&market, &headers, "playground");
    let questions = asked(&form);
    let lacking = lacking(&questions);
    let question = questions.into_iter().next().unwrap_or_default();
    if let Some(lacking) = lacking {
        let said = frame.say(lacking).to_string();
        return (StatusCode::UNPROCESSABLE_ENTITY, security_headers(), said).into_response();
    }
    let telling = Telling {
        market,
        frame,
        caller: person.caller,
        headers: headers.headers.clone(),
        question,
    };
    let events = stream::unfold((telling, Step::Begin), async |(telling, step)| {
        let (text, step) = telling.next(step).await?;
        Some((Ok::<_, Infallible>(text), (telling, step)))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.extend(security_headers());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Telling {
    /// The next events; `None`: there are no more.
    async fn next(&self, step: Step) -> Option<(String, Step)> {
        let mut hearing = match step {
            Step::Begin => {
                let from = (&self.caller, &self.headers);
                let begun = Hearing::begin(&self.market, from, &self.question).await;
                Box::new(begun)
            }
            Step::Under(hearing) => hearing,
            Step::Over => return None,
        };
        while let Some(pieces) = hearing.more().await {
            if !pieces.is_empty() {
                return Some((pieces.iter().map(event).collect(), Step::Under(hearing)));
            }
        }
        let base = self.market.0.parts.address.asked_by(&self.headers);
        let copies = ChatCopies::new(&base, &self.question);
        let heard = hearing.end().await;
        let fragment = AnswerFragment {
            frame: self.frame.clone(),
            answer: AnswerView::of(self.question.model.clone(), heard, copies),
        };
        let html = fragment.render().unwrap_or_else(|error| {
            tracing::error!(%error, "an answer could not be rendered");
            String::new()
        });
        Some((written(&json!({ "html": html })), Step::Over))
    }
}

fn event(piece: &Piece) -> String {
    written(&match piece {
        Piece::Text(text) => json!({ "text": text }),
        Piece::Thought(text) => json!({ "thought": text }),
    })
}

fn written(data: &Value) -> String {
    format!("data: {data}\n\n")
}
