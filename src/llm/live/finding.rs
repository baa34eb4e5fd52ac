//! What a name leads to, and what is said of one that leads nowhere.

use std::sync::Arc;

use crate::access::caller::Caller;
use crate::llm::arm::target_of;
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::live::{LiveModel, Offer};
use crate::llm::names::nearest;

/// Near names that are told to whoever asks for one that is not there.
const NEAREST_MAX: usize = 3;

impl Offer {
    pub(super) fn find(&self, name: &str, caller: &Caller) -> Result<Arc<LiveModel>, Fault> {
        if let Some(model) = self.models.find(name) {
            return Ok(model.clone());
        }
        if let Some((provider, rest)) = name.split_once('/')
            && self.providers.contains_key(provider)
            && !rest.is_empty()
        {
            return Ok(Arc::new(LiveModel::to(
                name,
                target_of(provider, Some(rest)),
            )));
        }
        Err(self.missing(name, caller))
    }

    /// Of what a caller may not ask for, it is told no more than of what is not there.
    pub(super) fn missing(&self, name: &str, caller: &Caller) -> Fault {
        let known = self.models.exact().map(|(name, _)| name);
        let known = known.filter(|name| caller.may_ask(name));
        let near = nearest(name, known, NEAREST_MAX);
        let hint = if near.is_empty() {
            "GET /v1/models lists those there are".to_owned()
        } else {
            format!("did you mean {}?", near.join(", "))
        };
        let shown: String = name.chars().take(100).collect();
        Fault {
            field: Some("model".to_owned()),
            code: Some("model_not_found".to_owned()),
            ..Fault::new(
                FaultClass::NotFound,
                format!("there is no model `{shown}`: {hint}"),
            )
        }
    }
}

/// A key for single servers that names no models may use none.
///
/// # Errors
/// [`FaultClass::Forbidden`], with what would help.
pub fn refuse_without_models(caller: &Caller) -> Result<(), Fault> {
    if caller.may_use_models() {
        return Ok(());
    }
    let text = "this key is for some servers only; models need a key for everything, or for them";
    Err(Fault::new(FaultClass::Forbidden, text))
}
