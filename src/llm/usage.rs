//! What an answer used.

/// Tokens by kind. Totals include their parts, whatever a provider's own numbers do: OpenAI and Gemini count
/// cached tokens within the prompt, Anthropic and Bedrock beside it.
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
}

impl Usage {
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// Tokens of the prompt that no cache was involved with.
    pub fn uncached(&self) -> u64 {
        self.input
            .saturating_sub(self.cached)
            .saturating_sub(self.cache_write)
            .saturating_sub(self.cache_write_hour)
    }
}
