//! Requests that a shadow gets as well: another target, whose answers are read to their end, accounted for, and thrown
//! away. No caller waits for it, pays for it or hears of it.

use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;

use crate::access::caller::Caller;
use crate::llm::account::Account;
use crate::llm::canary::SHADOW;
use crate::llm::choice::Wanted;
use crate::llm::exchange::Work;
use crate::llm::live::LiveModel;
use crate::llm::load::Running;
use crate::llm::proxy::{Llm, ReplyBody, ask_in_turn, chance, reply, told};
use crate::llm::question::Question;
use crate::llm::watch::Opening;

/// A request on its way to a shadow.
struct Cast {
    model: Arc<LiveModel>,
    question: Question,
    headers: HeaderMap,
    caller: Caller,
    trace_id: String,
    _running: Running,
}

/// Sends a request to the shadow of its model, too, where it has one, it is this request's turn, and the shadow has not
/// as much to do as it may.
pub(crate) fn cast(
    cx: &Arc<Llm>,
    (caller, model): (&Caller, &Arc<LiveModel>),
    (question, headers): (&Question, &HeaderMap),
    trace_id: &str,
) {
    let (Some(shadow), Some((_, busy))) = (&model.settings.shadow, &model.shadow) else {
        return;
    };
    if !shadow.takes(chance()) {
        return;
    }
    let Some(running) = busy.begin_below(shadow.concurrency.into()) else {
        metrics::counter!("causeway_shadow_requests_left_out_total").increment(1);
        return;
    };
    let cast = Cast {
        model: model.clone(),
        question: question.again(),
        headers: headers.clone(),
        // Nobody's: it is nothing the caller asked for.
        caller: Caller {
            consumer: None,
            user: None,
            key: None,
            allowance: None,
            ..caller.clone()
        },
        trace_id: trace_id.to_owned(),
        _running: running,
    };
    let cx = cx.clone();
    cx.streams.clone().spawn(async move {
        tokio::select! {
            // Nobody waits for it, and nothing ends later because of it.
            () = cx.stop.cancelled() => {}
            () = cast.run(&cx) => {}
        }
    });
}

impl Cast {
    async fn run(self, cx: &Arc<Llm>) {
        let Some((arm, _)) = &self.model.shadow else {
            return;
        };
        let (question, settings) = (&self.question, &self.model.settings);
        let opening = Opening {
            model: &question.model,
            operation: "shadow",
            trace_id: &self.trace_id,
            parent: None,
        };
        let mut account = Account::begin(cx, &self.caller, &opening);
        account.asked_with(question.len());
        account.admitted(cx, &self.model, question.body());
        account.of_arm(Some(SHADOW));
        let work = Work {
            cx,
            question,
            headers: &self.headers,
            settings,
            name: &question.model,
            told: told(cx, question, &self.trace_id),
            deadline: Instant::now() + settings.times.total(),
        };
        let wanted = Wanted {
            organization: self.caller.organization,
            model: &self.model,
            arm,
            question: Some(question),
        };
        match ask_in_turn(&work, wanted, &mut account).await {
            Ok(begun) => {
                let reply = reply(cx, begun, (account, None), question).await;
                if let ReplyBody::Stream { mut chunks, .. } = reply.body {
                    while chunks.recv().await.is_some() {}
                }
            }
            Err(fault) => account.failed(&fault),
        }
    }
}
