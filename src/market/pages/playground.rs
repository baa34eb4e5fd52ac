//! The page where somebody asks models, and an answer as it is shown there: the same whether a browser puts it
//! into the page once it is whole, or the page comes with it.

use askama::Template;

use crate::access::ledger::{Called, LedgerEntry};
use crate::llm::answer::Stop;
use crate::llm::dialect::Dialect;
use crate::llm::fault::Fault;
use crate::market::language::Html;
use crate::market::markdown::{Links, render};
use crate::market::pages::Frame;
use crate::market::pages::chat_copies::ChatCopies;
use crate::market::pages::figures::{duration, number, small_cost};
use crate::market::pages::hearing::Heard;

/// Models that are asked the same at once.
pub const ANSWERS_MAX: usize = 3;

/// `GET /playground?model=`.
#[derive(Debug, Template)]
#[template(path = "playground.html")]
pub struct PlaygroundPage {
    pub frame: Frame,
    pub error: Option<Html>,
    /// Models that are proposed; any other can be typed.
    pub names: Vec<String>,
    /// The built-in model is among them.
    pub has_demo: bool,
    pub chosen: [String; ANSWERS_MAX],
    pub system: String,
    pub message: String,
    pub answers: Vec<AnswerView>,
    pub copies: ChatCopies,
}

/// One answer by itself.
#[derive(Debug, Template)]
#[template(path = "playground_answer.html")]
pub struct AnswerFragment {
    pub frame: Frame,
    pub answer: AnswerView,
}

/// What a model answered.
#[derive(Clone, Debug, Default)]
pub struct AnswerView {
    /// As it was asked for.
    pub model: String,
    /// Its text as Markdown, which can do nothing.
    pub text: Option<Html>,
    pub thought: String,
    /// The messages of what is to be known of the text.
    pub notes: Vec<&'static str>,
    pub fault: Option<FaultView>,
    pub figures: Vec<Figure>,
    /// `provider/model` of the one that answered, or was asked last.
    pub target: Option<String>,
    pub attempts: u32,
    /// Fields that could not be passed on.
    pub dropped: Vec<String>,
    pub trace: String,
    pub copies: ChatCopies,
}

/// Why there is no answer, or not all of it.
#[derive(Clone, Debug)]
pub struct FaultView {
    pub status: u16,
    pub message: String,
    /// When to ask again, in seconds.
    pub again: Option<u64>,
    /// What a program gets.
    pub body: String,
}

/// A number about an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// The message that names it.
    pub label: &'static str,
    /// `None`: it is not known.
    pub value: Option<String>,
    /// A message about part of it, and how much that is.
    pub part: Option<(&'static str, u64)>,
}

impl Figure {
    fn new(label: &'static str, value: Option<String>) -> Self {
        Self {
            label,
            value,
            part: None,
        }
    }
}

impl AnswerView {
    /// What was heard of an answer, and what the ledger has of it.
    pub(super) fn of(
        model: String,
        (heard, entry): (Heard, Option<LedgerEntry>),
        copies: ChatCopies,
    ) -> Self {
        let notes = notes(&heard, entry.as_ref());
        let mut dropped: Vec<String> = heard.dropped.into_iter().map(|it| it.field).collect();
        dropped.dedup();
        let text = render(&heard.text, &Links::Foreign);
        let call = entry.as_ref().and_then(|entry| match &entry.called {
            Called::Model(call) => Some(call),
            Called::Tool { .. } => None,
        });
        Self {
            model,
            text: (!heard.text.is_empty()).then_some(text),
            thought: heard.thought,
            notes,
            fault: heard.fault.as_ref().map(FaultView::of),
            target: call
                .map(|call| call.target.clone())
                .filter(|it| !it.is_empty()),
            figures: entry.as_ref().map(figures).unwrap_or_default(),
            attempts: entry.as_ref().map_or(0, |entry| entry.attempts),
            trace: entry.map(|entry| entry.trace_id).unwrap_or_default(),
            dropped,
            copies,
        }
    }
}

impl FaultView {
    fn of(fault: &Fault) -> Self {
        let encoded = Dialect::OpenaiChat.encode_error(fault);
        Self {
            status: encoded.status,
            message: fault.message.clone(),
            again: fault.retry_after.map(|after| after.as_secs().max(1)),
            body: format!("{:#}", encoded.body),
        }
    }
}

fn notes(heard: &Heard, entry: Option<&LedgerEntry>) -> Vec<&'static str> {
    let ended = match heard.stop {
        Some(Stop::Length) => Some("playground-ended-length"),
        Some(Stop::ContentFilter) => Some("playground-ended-filter"),
        Some(Stop::Refusal) => Some("playground-ended-refusal"),
        Some(Stop::ContextFull) => Some("playground-ended-full"),
        _ => None,
    };
    let estimated = entry.is_some_and(|entry| match &entry.called {
        Called::Model(call) => call.estimated,
        Called::Tool { .. } => false,
    });
    let empty = heard.text.is_empty() && heard.fault.is_none();
    [
        ended,
        heard.cut.then_some("playground-cut"),
        heard.other.then_some("playground-other"),
        empty.then_some("playground-empty"),
        estimated.then_some("playground-estimated"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The numbers of a call. What was used and has no price costs nobody knows what.
fn figures(entry: &LedgerEntry) -> Vec<Figure> {
    let Called::Model(call) = &entry.called else {
        return Vec::new();
    };
    let micros =
        |time: std::time::Duration| duration(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    let tokens =
        |count: Option<u64>| count.map(|count| number(i64::try_from(count).unwrap_or(i64::MAX)));
    let part = |key, count: Option<u64>| count.filter(|count| *count > 0).map(|count| (key, count));
    let used = call.tokens_input.is_some();
    let figures = [
        Figure::new("playground-first-token", call.first_token.map(micros)),
        Figure::new("playground-total", Some(micros(entry.total_time))),
        Figure {
            part: part("playground-cached", call.tokens_cached),
            ..Figure::new("playground-tokens-in", tokens(call.tokens_input))
        },
        Figure {
            part: part("playground-reasoning", call.tokens_reasoning),
            ..Figure::new("playground-tokens-out", tokens(entry.tokens_output))
        },
        Figure::new("playground-cost", entry.cost_nanos.map(small_cost)),
    ];
    // Of what nobody answered there is nothing to know.
    let told = figures.into_iter().filter(|it| used || it.value.is_some());
    told.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;

    use super::*;
    use crate::access::caller::Caller;
    use crate::access::ledger::{LedgerStatus, ModelCall};
    use crate::llm::fault::FaultClass;
    use crate::types::OrganizationId;

    fn entry(cost_nanos: Option<u64>) -> LedgerEntry {
        LedgerEntry {
            organization: OrganizationId::DEFAULT,
            caller: Caller::anonymous(),
            at: DateTime::UNIX_EPOCH,
            called: Called::Model(Box::new(ModelCall {
                model: "m".to_owned(),
                target: "p/m".to_owned(),
                first_token: Some(Duration::from_millis(120)),
                tokens_input: Some(1_200),
                tokens_cached: Some(200),
                tokens_reasoning: Some(0),
                ..ModelCall::default()
            })),
            trace_id: "t".to_owned(),
            status: LedgerStatus::Ok,
            upstream_status: Some(200),
            request_bytes: 1,
            response_bytes: 1,
            upstream_time: Duration::ZERO,
            total_time: Duration::from_secs(2),
            attempts: 2,
            tokens_output: Some(7),
            cost_nanos,
        }
    }

    fn shown(heard: Heard, cost_nanos: Option<u64>) -> AnswerView {
        let heard = (heard, Some(entry(cost_nanos)));
        AnswerView::of("m".to_owned(), heard, ChatCopies::default())
    }

    #[test]
    fn figures_are_those_of_the_ledger_and_what_has_no_price_is_not_free() {
        let heard = Heard {
            text: "**a** <script>".to_owned(),
            ..Heard::default()
        };
        let view = shown(heard, None);
        let values: Vec<_> = view.figures.iter().map(|it| it.value.as_deref()).collect();
        assert_eq!(
            values,
            [Some("120 ms"), Some("2 s"), Some("1,200"), Some("7"), None]
        );
        assert_eq!(view.figures[2].part, Some(("playground-cached", 200)));
        assert_eq!(view.figures[3].part, None);
        assert_eq!(
            view.text.unwrap().as_str(),
            "<p><strong>a</strong> </p>\n",
            "what is hostile is not run"
        );
        assert_eq!(
            shown(Heard::default(), Some(0)).figures[4].value.as_deref(),
            Some("$0")
        );
    }

    #[test]
    fn a_fault_is_shown_as_programs_get_it() {
        let heard = Heard {
            fault: Some(Fault {
                retry_after: Some(Duration::from_secs(30)),
                ..Fault::new(FaultClass::RateLimited, "slow down")
            }),
            ..Heard::default()
        };
        let fault = shown(heard, None).fault.unwrap();
        assert_eq!((fault.status, fault.again), (429, Some(30)));
        assert!(fault.body.contains("\"slow down\""), "{}", fault.body);
        let quiet = shown(Heard::default(), None);
        assert_eq!(quiet.notes, ["playground-empty"]);
    }
}
