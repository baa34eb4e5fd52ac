//! A request is sent again where its API failed and that may help, and not at all where the API has failed
//! so often that it is left alone.

use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::egress::EgressError;
use crate::egress::resilience::{Sign, pause};
use crate::mcp::call::account::Account;
use crate::mcp::call::exchange::{Way, Work};
use crate::mcp::call::failure::Failure;
use crate::mcp::call::held::Held;
use crate::types::{UpstreamRequest, UpstreamResponse};

impl Work<'_> {
    /// Sends one request with its credential, as often as the server's settings and the deadline allow.
    pub(crate) async fn send_repeating(
        &self,
        held: &Held<'_>,
        request: &UpstreamRequest,
        account: &mut Account<'_>,
        way: Way<'_>,
    ) -> Result<UpstreamResponse, Failure> {
        let settings = self.server.settings.resilience;
        let origin = request.url.origin().ascii_serialization();
        let breaker = held.api.breakers.of(&origin);
        let mut last = None;
        for attempt in 1..=settings.retries + 1 {
            let admitted = match (breaker.admit(Instant::now()), last.take()) {
                (Ok(admitted), _) => admitted,
                (Err(_), Some(sent)) => return Ok(sent?),
                (Err(paused), None) => {
                    return Err(Failure::Paused {
                        origin,
                        after: paused.after,
                    });
                }
            };
            let sent = self.send_once(held, request, account, way).await?;
            let sign = self.sign(&sent);
            if admitted.end(sign, settings.breaker, Instant::now()) {
                tracing::warn!(server = %self.server.slug, origin, "the API fails and is left alone for a while");
                return Ok(sent?);
            }
            let chance = Uuid::now_v7().as_u64_pair().1;
            let wait = pause(
                &request.method,
                &sent,
                (attempt, chance),
                self.cx.clock.now(),
            );
            let wait = wait.filter(|wait| Instant::now() + *wait < self.deadline);
            let repeats = attempt <= settings.retries && wait.is_some() && breaker.may_repeat();
            if !repeats {
                return Ok(sent?);
            }
            self.rest(wait.unwrap_or_default()).await?;
            last = Some(sent);
        }
        Err(EgressError::Cancelled.into())
    }

    /// What an attempt says about the API. One that a client did not wait for says nothing.
    fn sign(&self, sent: &Result<UpstreamResponse, EgressError>) -> Sign {
        let hurried = Instant::now() >= self.deadline && self.deadline == self.context.deadline;
        match sent {
            Err(EgressError::TimedOut { .. }) if hurried => Sign::None,
            sent => Sign::of(sent),
        }
    }

    /// Waits, unless the call is cancelled.
    async fn rest(&self, wait: Duration) -> Result<(), Failure> {
        tokio::select! {
            biased;
            () = self.context.cancel.cancelled() => Err(EgressError::Cancelled.into()),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }
}
