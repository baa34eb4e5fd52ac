//! What a call came to, beside what was reserved for it.

use crate::access::limit::counter::Counter;
use crate::access::limit::quota::Spent;
use crate::access::limit::{Applied, Cost, Limit, Limiter, Permit, Unit, signed};

/// What was reserved of one limit whose amount is known only in the end.
pub(super) struct Reserved {
    limit: Limit,
    counter: Counter,
    amount: u64,
    /// Of a quota.
    spent: Option<Spent>,
    /// So many times it was spent, whatever comes on top.
    stays: u64,
}

impl Reserved {
    /// Nothing for limits of calls: a call is one call.
    pub(super) fn of(one: &Applied<'_>, spent: Option<Spent>) -> Option<Self> {
        matches!(one.limit.unit, Unit::Tokens | Unit::Money).then(|| Self {
            limit: one.limit.clone(),
            counter: one.counter.clone(),
            amount: one.amount,
            spent,
            stays: 0,
        })
    }
}

impl Permit {
    /// Whether a limit of tokens applies, so that tokens have to be counted.
    pub fn counts_tokens(&self) -> bool {
        let mut units = self.reserved.iter().map(|reserved| reserved.limit.unit);
        units.any(|unit| unit == Unit::Tokens)
    }

    /// Whether anything of it depends on what the call comes to.
    pub fn is_open(&self) -> bool {
        !self.reserved.is_empty()
    }

    /// What was reserved was spent so many times: what the call comes to is beside it.
    pub fn stay_spent(&mut self, times: u64) {
        for reserved in &mut self.reserved {
            reserved.stays = times;
        }
    }
}

impl Limiter {
    /// Counts what a call came to: more than was reserved is taken, also beyond the limit, and what is left
    /// is given back. Whoever has the answer has it counted already.
    pub async fn settle(&self, permit: &mut Permit, cost: Cost) {
        for reserved in permit.reserved.drain(..) {
            let kept = reserved.amount.saturating_mul(reserved.stays);
            let used = cost.of(reserved.limit.unit).saturating_add(kept);
            match (&reserved.spent, &self.inner.quotas) {
                (Some(spent), Some(quotas)) => {
                    quotas.correct(&reserved.counter, spent, used).await;
                }
                _ => {
                    let one = Applied {
                        limit: &reserved.limit,
                        counter: reserved.counter,
                        amount: reserved.amount,
                        is_model: false,
                    };
                    let more = signed(used).saturating_sub(signed(reserved.amount));
                    self.owe(&one, more).await;
                }
            }
        }
    }

    /// Counts so many more of a rate than were taken, or fewer.
    pub(super) async fn owe(&self, one: &Applied<'_>, more: i64) {
        if more == 0 {
            return;
        }
        if let Some(shared) = &self.inner.shared {
            match shared.owe(one, more).await {
                Ok(()) => return,
                Err(error) => shared.note(&error),
            }
        }
        self.inner.rates.owe(one, more);
    }
}
