//! What a model takes, told from its name: Claude's generations differ in how thinking is asked for, and in which
//! other fields are refused (<https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking>).

/// What an answer is given where nobody says how long it may be and nothing is known of its model.
pub(crate) const OUTPUT_TOKENS: u64 = 4_096;

/// What an answer of a model is given where neither the caller nor the model's entry says it.
pub(crate) fn output_tokens(model: &str) -> u64 {
    Generation::of(model).output_tokens()
}

/// How a model wants to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// Another provider's model behind this dialect: nothing is known, so nothing is held back.
    Foreign,
    /// Claude up to 4.5: thinking has a budget.
    Budget { version: (u32, u32) },
    /// Claude 4.6: a budget, or as much as the model sees fit.
    Either,
    /// Claude from 4.7 on: as much as the model sees fit, and no sampling parameters.
    Adaptive,
}

impl Generation {
    /// `claude-opus-4-7`, `claude-3-7-sonnet-20250219`, `anthropic/claude-sonnet-4.5`, `claude-opus-4@20250514`.
    pub(crate) fn of(model: &str) -> Self {
        let model = model.to_ascii_lowercase();
        let Some((_, name)) = model.split_once("claude") else {
            return Self::Foreign;
        };
        let numbers = name
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .filter_map(|word| word.parse::<u32>().ok());
        let mut numbers = numbers.take_while(|number| *number < 100);
        let Some(major) = numbers.next() else {
            return Self::Adaptive;
        };
        match (major, numbers.next().unwrap_or(0)) {
            (4, 6) => Self::Either,
            version if version < (4, 6) => Self::Budget { version },
            _ => Self::Adaptive,
        }
    }

    /// Whether both `temperature` and `top_p` are too many.
    pub(crate) fn wants_one_of_two(self) -> bool {
        match self {
            Self::Budget { version } => version >= (4, 1),
            Self::Either | Self::Adaptive => true,
            Self::Foreign => false,
        }
    }

    /// Whether `output_config.format` is known.
    pub(crate) fn has_formats(self) -> bool {
        self.wants_one_of_two()
    }

    /// What every model of the generation may write, and no more than Claude Code asks for: its thoughts are among it
    /// (<https://platform.claude.com/docs/en/about-claude/models/overview>).
    pub(crate) fn output_tokens(self) -> u64 {
        match self {
            Self::Foreign => OUTPUT_TOKENS,
            Self::Budget { version } if version < (3, 5) => 4_096,
            Self::Budget { version } if version < (3, 7) => 8_192,
            Self::Budget { .. } | Self::Either | Self::Adaptive => 32_000,
        }
    }

    /// Claude began to think with 3.7.
    pub(crate) fn thinks(self) -> bool {
        !matches!(self, Self::Budget { version } if version < (3, 7))
    }

    pub(crate) fn is_claude(self) -> bool {
        self != Self::Foreign
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_generation() {
        let budget = |major, minor| Generation::Budget {
            version: (major, minor),
        };
        for (name, generation) in [
            ("claude-3-7-sonnet-20250219", budget(3, 7)),
            ("claude-opus-4-20250514", budget(4, 0)),
            ("claude-opus-4@20250514", budget(4, 0)),
            ("anthropic/claude-sonnet-4.5", budget(4, 5)),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", budget(4, 5)),
            ("claude-opus-4-6", Generation::Either),
            ("anthropic.claude-opus-4-6-v1", Generation::Either),
            ("claude-opus-4-7", Generation::Adaptive),
            ("claude-sonnet-5", Generation::Adaptive),
            ("claude-mythos-preview", Generation::Adaptive),
            ("deepseek-chat", Generation::Foreign),
        ] {
            assert_eq!(Generation::of(name), generation, "{name}");
        }
    }

    #[test]
    fn an_answer_is_given_what_all_models_of_a_generation_may_write() {
        for (name, tokens) in [
            ("claude-2.1", 4_096),
            ("claude-3-haiku-20240307", 4_096),
            ("anthropic/claude-3.5-haiku", 8_192),
            ("claude-3-7-sonnet-20250219", 32_000),
            ("claude-opus-4@20250514", 32_000),
            ("claude-opus-4-6", 32_000),
            ("claude-sonnet-5", 32_000),
            ("claude-sonnet-latest", 32_000),
            ("deepseek-chat", OUTPUT_TOKENS),
        ] {
            assert_eq!(output_tokens(name), tokens, "{name}");
        }
    }
}
