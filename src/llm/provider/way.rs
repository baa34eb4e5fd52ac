//! Which of the dialects that a provider speaks a request is asked in.

use serde::{Deserialize, Serialize};

use crate::llm::chat::{ChatRequest, Part};
use crate::llm::dialect::Dialect;
use crate::llm::provider::{Capability, Provider};

/// Which models can do something, by patterns in which `*` stands for anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Models {
    Only(Vec<String>),
    Except(Vec<String>),
}

impl Models {
    fn have(&self, name: &str) -> bool {
        match self {
            Self::Only(patterns) => is_one_of(name, patterns),
            Self::Except(patterns) => !is_one_of(name, patterns),
        }
    }
}

impl Provider {
    /// Which capability of a model speaks a dialect, if any.
    pub fn speaks(&self, dialect: Dialect, model: &str) -> Option<Capability> {
        let capability = self.speaks_at_all(dialect)?;
        let models = self.models.get(&capability);
        models
            .is_none_or(|models| models.have(model))
            .then_some(capability)
    }

    /// Which capability speaks a dialect, at least of some models.
    pub(super) fn speaks_at_all(&self, dialect: Dialect) -> Option<Capability> {
        let capability = match dialect {
            same if same == self.dialect => Capability::Chat,
            Dialect::OpenaiResponses => Capability::Responses,
            Dialect::Anthropic => Capability::Messages,
            _ => return None,
        };
        self.can(capability).then_some(capability)
    }

    /// In which dialect a model is asked for something that was said in one it does not speak, and by which capability.
    pub fn way(&self, request: &ChatRequest, model: &str) -> (Dialect, Capability) {
        let other = self.translate_to.filter(|_| !only_chat_says(request));
        let other = other.and_then(|dialect| Some((dialect, self.speaks(dialect, model)?)));
        other.unwrap_or((self.dialect, Capability::Chat))
    }
}

/// Whether a request is lost elsewhere than in chat completions: stop sequences and sound would be refused, and hints left
/// out, which is less than to go without tools.
fn only_chat_says(request: &ChatRequest) -> bool {
    let sampling = &request.sampling;
    let mut parts = request.turns.iter().flat_map(|turn| &turn.parts);
    let has_sound = parts.any(|part| matches!(part, Part::Audio(_)));
    let has_hints = sampling.seed.is_some()
        || sampling.frequency_penalty.is_some()
        || sampling.presence_penalty.is_some();
    !sampling.stop.is_empty() || has_sound || (has_hints && request.tools.is_empty())
}

/// Whether a name fits one of these patterns, in which `*` stands for anything.
pub(super) fn is_one_of(name: &str, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| fits(pattern, name))
}

fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, others)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = others.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "a", true),
            ("a*", "ab", true),
            ("a*", "ba", false),
            ("*a", "ba", true),
            ("*a", "ab", false),
            ("*-audio*", "gpt-4o-audio-preview", true),
            ("*-audio*", "gpt-4o", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "axbyc", true),
            ("a*b*c", "ac", false),
            ("a*b*c", "abcd", false),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
