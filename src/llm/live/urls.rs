//! Where a provider is asked for what, once it was made out: a URL is the same for every request of its kind.

use std::collections::HashMap;

use parking_lot::RwLock;
use url::Url;

use crate::llm::live::LiveProvider;
use crate::llm::provider::{Capability, UrlError};

/// URLs remembered for a provider: callers may name any model where a pattern leads to it.
const REMEMBERED_MAX: usize = 256;
/// A longer name is not worth remembering.
const NAME_BYTES_MAX: usize = 200;

/// The URLs of a provider that were asked for since its settings last changed, by model.
#[derive(Default)]
pub struct Urls(RwLock<HashMap<String, Vec<(Kind, Url)>>>);

/// What is asked for, and whether as a stream.
type Kind = (Capability, bool);

impl LiveProvider {
    /// [`Provider::url`](crate::llm::provider::Provider::url) with the parameters of this one.
    ///
    /// # Errors
    /// As it.
    pub(crate) fn url(
        &self,
        capability: Capability,
        model: &str,
        stream: bool,
    ) -> Result<Url, UrlError> {
        let kind = (capability, stream);
        if let Some(known) = self.urls.get(model, kind) {
            return Ok(known);
        }
        let url = self
            .provider
            .url(&self.parameters, capability, model, stream)?;
        self.urls.remember(model, kind, &url);
        Ok(url)
    }
}

impl Urls {
    fn get(&self, model: &str, kind: Kind) -> Option<Url> {
        let urls = self.0.read();
        let mut known = urls.get(model)?.iter();
        known
            .find(|(of, _)| *of == kind)
            .map(|(_, url)| url.clone())
    }

    fn remember(&self, model: &str, kind: Kind, url: &Url) {
        if model.len() > NAME_BYTES_MAX {
            return;
        }
        let mut urls = self.0.write();
        if urls.len() >= REMEMBERED_MAX && !urls.contains_key(model) {
            return;
        }
        let known = urls.entry(model.to_owned()).or_default();
        if known.iter().all(|(of, _)| *of != kind) {
            known.push((kind, url.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_out_is_remembered_by_model_and_kind_and_up_to_a_bound() {
        let urls = Urls::default();
        let at = |text: &str| Url::parse(text).unwrap();
        let (whole, stream) = ((Capability::Chat, false), (Capability::Chat, true));
        urls.remember("a", whole, &at("http://x/a"));
        urls.remember("a", stream, &at("http://x/a/stream"));
        urls.remember("a", whole, &at("http://x/other"));
        assert_eq!(urls.get("a", whole), Some(at("http://x/a")));
        assert_eq!(urls.get("a", stream), Some(at("http://x/a/stream")));
        assert_eq!(urls.get("b", whole), None);
        for number in 0..2 * REMEMBERED_MAX {
            urls.remember(&format!("m{number}"), whole, &at("http://x/m"));
        }
        assert_eq!(urls.0.read().len(), REMEMBERED_MAX);
        let long = "m".repeat(NAME_BYTES_MAX + 1);
        let longest = Urls::default();
        longest.remember(&long, whole, &at("http://x/m"));
        assert_eq!(longest.get(&long, whole), None);
        // What is known stays known.
        assert_eq!(urls.get("a", whole), Some(at("http://x/a")));
    }
}
