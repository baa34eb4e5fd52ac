//! What is told of the kinds of providers that are compiled in, in the reader's language. Their data says it in
//! English; what somebody described themselves is shown as it is.

use crate::market::language::{Html, Language};

/// Texts of the data, and their messages.
const KNOWN: [(&str, &str); 25] = [
    (
        "A tool that has to be called is refused by models that think.",
        "kinds-thinking-tools",
    ),
    (
        "The model is the id of a model or of an inference endpoint (ep-...).",
        "kinds-inference-endpoint",
    ),
    (
        "An application is named in the header appid, where one is wanted.",
        "kinds-appid",
    ),
    ("The model is the name of a deployment.", "kinds-deployment"),
    (
        "The model is the name of a deployment. New resources are better asked at the v1 API, which has responses.",
        "kinds-old-deployment",
    ),
    (
        "The name of the Azure resource: what stands before .openai.azure.com in its endpoint.",
        "kinds-azure-resource",
    ),
    (
        "Only for features in preview: preview. The v1 API needs none.",
        "kinds-azure-preview",
    ),
    ("The dated version of the API.", "kinds-dated-version"),
    (
        "The id of the Google Cloud project.",
        "kinds-google-project",
    ),
    (
        "A region (europe-west4), a multi-region (us, eu) or global.",
        "kinds-google-location",
    ),
    (
        "A region (europe-west1), a multi-region (us, eu) or global.",
        "kinds-google-location-of-claude",
    ),
    (
        "Where assertions of a service account go; its key file has to name the same address as `token_uri`. Only what \
         is named here is ever asked.",
        "kinds-google-token-url",
    ),
    (
        "The AWS region in which the models are enabled, such as us-east-1.",
        "kinds-aws-region",
    ),
    (
        "The id of the Cloudflare account: 32 hexadecimal digits, in the URL of its dashboard.",
        "kinds-cloudflare-account",
    ),
    (
        "Models are named publisher/model. The list of models is an array, not an object with `data`.",
        "kinds-publishers",
    ),
    (
        "The list of models is public, so a successful probe does not prove a credential.",
        "kinds-public-list",
    ),
    (
        "Where Ollama listens, with /v1 at the end.",
        "kinds-ollama-base",
    ),
    (
        "Where vLLM listens, with /v1 at the end.",
        "kinds-vllm-base",
    ),
    (
        "Where SGLang listens, with /v1 at the end.",
        "kinds-sglang-base",
    ),
    (
        "Where llama-server listens, with /v1 at the end.",
        "kinds-llama-base",
    ),
    (
        "Where LM Studio listens, with /v1 at the end.",
        "kinds-lm-studio-base",
    ),
    (
        "What it can really do is not known. Requests for responses are translated to chat.",
        "kinds-any-note",
    ),
    (
        "What stands before /chat/completions in its URL.",
        "kinds-any-base",
    ),
    (
        "Off-peak discounts are not in the built-in prices.",
        "kinds-off-peak",
    ),
    (
        "xAI calls its chat completions deprecated; responses are the better choice.",
        "kinds-xai-responses",
    ),
];

/// A text about a kind, and the language it is in, as a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    pub text: Html,
    pub tag: &'static str,
}

impl Described {
    pub(super) fn of(text: &str, language: Language) -> Self {
        match KNOWN.iter().find(|(known, _)| *known == text) {
            Some((_, key)) => Self {
                text: language.say(key).into(),
                tag: language.tag(),
            },
            None => Self {
                text: Html::with_code(text),
                tag: Language::English.tag(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::provider::built_in;

    #[test]
    fn all_that_the_data_says_is_there_in_every_language() {
        let texts = built_in().iter().flat_map(|kind| {
            let helps = kind.parameters.iter().map(|known| known.help.as_str());
            helps.chain(kind.note.as_deref())
        });
        let mut texts: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
        texts.sort_unstable();
        texts.dedup();
        let mut known: Vec<&str> = KNOWN.iter().map(|(text, _)| *text).collect();
        known.sort_unstable();
        assert_eq!(texts, known);
        for text in texts {
            let english = Described::of(text, Language::English);
            assert_eq!(english.text, Html::with_code(text), "{text}");
            let chinese = Described::of(text, Language::Chinese);
            assert_ne!(chinese.text, english.text, "{text}");
            assert_eq!(chinese.tag, "zh-CN");
        }
        let own = Described::of("mine, `here`", Language::Chinese);
        assert_eq!(
            (own.text.as_str(), own.tag),
            ("mine, <code>here</code>", "en")
        );
    }
}
