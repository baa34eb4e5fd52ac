//! What an answer used.

/// More of anything than a request has; a provider that says more says nothing, and what it says is added to others'.
const COUNT_MAX: u64 = 1 << 32;

/// Tokens by kind, and what else their price goes by. Totals include their parts, whatever a provider's own numbers do:
/// OpenAI and Gemini count cached tokens within the prompt, Anthropic and Bedrock beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All tokens of the prompt.
    pub input: u64,
    /// Of `input`: read from a prompt cache.
    pub cached: u64,
    /// Of `input`: written to a prompt cache that lasts minutes.
    pub cache_write: u64,
    /// Of `input`: written to a prompt cache that lasts an hour.
    pub cache_write_hour: u64,
    /// Of `input`: sound.
    pub input_audio: u64,
    /// All tokens of the answer.
    pub output: u64,
    /// Of `output`: thoughts.
    pub reasoning: u64,
    /// Of `output`: sound.
    pub output_audio: u64,
    /// Of `output`: predicted by the caller and taken.
    pub predicted: u64,
    /// Searches the provider ran.
    pub searches: u64,
    /// Answered sooner than usual (`speed: "fast"` of Anthropic).
    pub fast: bool,
    /// Answered in the US, as it was asked to be (`inference_geo` of Anthropic).
    pub in_us: bool,
}

impl Usage {
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// As much of it as there may be.
    #[must_use]
    pub fn bounded(self) -> Self {
        Self {
            input: self.input.min(COUNT_MAX),
            cached: self.cached.min(COUNT_MAX),
            cache_write: self.cache_write.min(COUNT_MAX),
            cache_write_hour: self.cache_write_hour.min(COUNT_MAX),
            input_audio: self.input_audio.min(COUNT_MAX),
            output: self.output.min(COUNT_MAX),
            reasoning: self.reasoning.min(COUNT_MAX),
            output_audio: self.output_audio.min(COUNT_MAX),
            predicted: self.predicted.min(COUNT_MAX),
            searches: self.searches.min(COUNT_MAX),
            ..self
        }
    }

    /// Tokens of the prompt that no cache was involved with.
    pub fn uncached(&self) -> u64 {
        self.input
            .saturating_sub(self.cached)
            .saturating_sub(self.cache_write)
            .saturating_sub(self.cache_write_hour)
    }
}
