//! What is asked of a provider besides a chat, as far as it has to be read: the model, and how much it can come to.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use crate::llm::count;
use crate::llm::dialect::Dialect;
use crate::llm::fault::Fault;
use crate::llm::multipart;
use crate::llm::provider::Capability;
use crate::llm::splice::{Edit, Top};
use crate::types::Parent;

/// Sound and pictures have fewer tokens than one in so many bytes.
pub(crate) const BYTES_PER_TOKEN_OF_MEDIA: u64 = 32;
/// More than a picture has.
pub(crate) const IMAGE_TOKENS: u64 = 8_192;

/// A request that is passed on.
pub struct Wanted {
    pub capability: Capability,
    /// Only providers that speak it are asked; `None`: addresses that all have in common.
    pub dialect: Option<Dialect>,
    pub content_type: HeaderValue,
    pub body: Bytes,
    /// What a canary may go by.
    pub headers: HeaderMap,
    /// Where it came from, if over a network.
    pub peer: Option<IpAddr>,
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// The span of the caller's that it belongs to.
    pub parent: Option<Parent>,
}

impl Wanted {
    /// The model that is asked for.
    pub(super) fn model(&self) -> Result<String, Fault> {
        let name = match multipart::boundary(&self.content_type) {
            Some(boundary) => multipart::field(&self.body, &boundary, "model")?
                .map(|place| String::from_utf8_lossy(&self.body[place]).into_owned()),
            None => Top::read(&self.body)?.text("model")?,
        };
        let name = name.filter(|name| !name.is_empty());
        name.ok_or_else(|| Fault::invalid("model", "`model` is missing: say which one you want"))
    }

    /// The body with the model as a provider names it.
    pub(super) fn renamed(&self, model: &str) -> Result<Bytes, Fault> {
        let Some(boundary) = multipart::boundary(&self.content_type) else {
            let top = Top::read(&self.body)?;
            if top
                .get::<String>("model")
                .is_some_and(|known| known == model)
            {
                return Ok(self.body.clone());
            }
            return Ok(top.edited(&[Edit::text("model", model)]).into());
        };
        let Some(place) = multipart::field(&self.body, &boundary, "model")? else {
            return Ok(self.body.clone());
        };
        let mut body = Vec::with_capacity(self.body.len() + model.len());
        body.extend_from_slice(&self.body[..place.start]);
        body.extend_from_slice(model.as_bytes());
        body.extend_from_slice(&self.body[place.end..]);
        Ok(body.into())
    }

    /// The most tokens it and its answer can have, where an answer has at most `written`.
    pub(super) fn most(&self, written: u64) -> (u64, u64) {
        let is_form = multipart::boundary(&self.content_type).is_some();
        let prompt = if is_form {
            (self.body.len() as u64).div_ceil(BYTES_PER_TOKEN_OF_MEDIA)
        } else {
            count::bound(&self.body)
        };
        let top = Top::read(&self.body).ok().filter(|_| !is_form);
        let number = |name| top.as_ref()?.get::<u64>(name);
        let answers = number("n").max(number("best_of")).unwrap_or(1).max(1);
        let output = match self.capability {
            Capability::Embeddings
            | Capability::Rerank
            | Capability::Moderations
            | Capability::CountTokens => 0,
            Capability::Images | Capability::ImageEdits | Capability::ImageVariations => {
                IMAGE_TOKENS.saturating_mul(answers)
            }
            _ => number("max_tokens")
                .unwrap_or(written)
                .saturating_mul(answers),
        };
        match self.capability {
            // Nobody takes money for it.
            Capability::CountTokens => (0, 0),
            _ => (prompt, output),
        }
    }
}
