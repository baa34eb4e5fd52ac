//! One time a target is asked, with one key of its provider's: who is told of it, and what it says of both.

use std::time::Instant;

use crate::egress::resilience::{Admitted, Sign};
use crate::llm::account::Account;
use crate::llm::choice::{Came, Choice, failed};
use crate::llm::exchange::keys::judged;
use crate::llm::fault::FaultClass;
use crate::llm::live::Models;

/// A target that is being asked.
pub(crate) struct Attempt<'a> {
    choice: &'a Choice<'a>,
    admitted: Admitted<'a, FaultClass>,
    began: Instant,
}

impl<'a> Attempt<'a> {
    /// The model is as the provider names it.
    pub(crate) fn begin(
        choice: &'a Choice<'a>,
        model: &str,
        admitted: Admitted<'a, FaultClass>,
        account: &mut Account,
    ) -> Self {
        account.asking(&choice.provider, model);
        account.keeps_busy(choice.counted());
        Self {
            choice,
            admitted,
            began: Instant::now(),
        }
    }

    /// Has the key and the target judged by what came of it. An answer `counts` that says how long one takes.
    pub(crate) fn end(
        self,
        (models, account): (&Models, &mut Account),
        class: Option<FaultClass>,
        (counts, streams): (bool, bool),
    ) {
        account.came_of_it(class);
        let (sign, rule) = judged(class);
        // What a shadow is refused takes no key from callers, nor does a token that is renewed.
        let told = if account.is_shadow() || account.renews() {
            Sign::None
        } else {
            sign
        };
        self.admitted.end(told, rule, Instant::now());
        let came = Came {
            answered: class.is_none() && counts,
            failed: failed(sign, class),
        };
        self.choice.saw(models, came, (self.began, streams));
    }
}
