//! Who made a model, as far as its name tells, and what follows for a request.

/// A maker, and what is different with its models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Its version: `(4, 6)` for Claude Opus 4.6.
    Claude(u32, u32),
    /// Its generation.
    Nova(u32),
    GptOss,
    /// Another maker, known by its prefix.
    Other,
    /// A profile or an import, whose name tells nothing.
    Hidden,
}

impl Family {
    /// By the id of a model or the ARN of a profile
    /// (<https://docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html>).
    pub(crate) fn of(model: &str) -> Self {
        let model = model.to_ascii_lowercase();
        if model.contains("claude") {
            let (major, minor) = version(&model);
            return Self::Claude(major, minor);
        }
        if model.contains("amazon.nova") {
            let second = ["nova-2", "nova-pro-2", "nova-lite-2"];
            let second = second.iter().any(|name| model.contains(name));
            return Self::Nova(if second { 2 } else { 1 });
        }
        if model.contains("openai.") {
            return Self::GptOss;
        }
        if model.starts_with("arn:") {
            return Self::Hidden;
        }
        Self::Other
    }

    pub(crate) fn is_claude(self) -> bool {
        matches!(self, Self::Claude(..))
    }

    /// Whether it signs what it thought, and takes that back; other makers' models refuse signatures.
    pub(crate) fn signs(self) -> bool {
        matches!(self, Self::Claude(..) | Self::Hidden)
    }

    /// Whether marks of a prompt cache are understood.
    pub(crate) fn caches(self) -> bool {
        matches!(self, Self::Claude(..) | Self::Nova(_) | Self::Hidden)
    }

    /// Whether a failed tool can be told by a field.
    pub(crate) fn knows_status(self) -> bool {
        matches!(self, Self::Claude(..) | Self::Nova(_))
    }

    /// Whether arguments of tools can be held to their schema
    /// (<https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html>).
    pub(crate) fn is_strict(self) -> bool {
        matches!(self, Self::Claude(major, minor) if (major, minor) >= (4, 5))
    }

    /// Claude 4.7 chooses words by itself.
    pub(crate) fn fixed_sampling(self) -> bool {
        matches!(self, Self::Claude(major, minor) if (major, minor) >= (4, 7))
    }

    /// From Claude 4.1 on, only one of temperature and `top_p` may be given.
    pub(crate) fn one_of_sampling(self) -> bool {
        matches!(self, Self::Claude(major, minor) if (major, minor) >= (4, 1))
    }
}

/// The first numbers of one or two digits after `claude`: dates are longer.
fn version(model: &str) -> (u32, u32) {
    let (_, after) = model.split_once("claude").unwrap_or_default();
    let mut numbers = after
        .split(['-', '.', ':', '@'])
        .skip_while(|word| !is_short_number(word))
        .take_while(|word| is_short_number(word))
        .filter_map(|word| word.parse().ok());
    let major = numbers.next().unwrap_or_default();
    (major, numbers.next().unwrap_or_default())
}

fn is_short_number(word: &str) -> bool {
    (1..=2).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
}
