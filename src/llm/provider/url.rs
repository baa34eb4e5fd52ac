//! Which URL a request goes to.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use crate::llm::dialect::Dialect;
use crate::llm::provider::{Capability, Path, Provider};

/// What stays as it is in a piece of a path: a model may hold `@` (Vertex AI), its `:` and `/` are escaped.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'@');

/// An operator may put this in place of any provider's base URL, for a proxy or an endpoint of its own.
const BASE: &str = "base_url";

/// How often a path may be escaped.
const DECODED_MAX: usize = 4;

/// Why there is no URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("{provider} has no such endpoint ({capability:?})")]
    Unsupported {
        provider: String,
        capability: Capability,
    },
    #[error("{provider} needs `{parameter}`: {help}")]
    Missing {
        provider: String,
        parameter: String,
        help: String,
    },
    /// A value that would lead elsewhere: no label of a host name, or a step out of a path.
    #[error("`{parameter}` cannot be part of a URL of {provider}")]
    Unfit { provider: String, parameter: String },
    #[error("the base URL of {provider} is not one of http or https")]
    NoUrl { provider: String },
}

impl Provider {
    /// The URL at which a model is asked for something. `parameters` are the operator's, by name; a parameter
    /// within a host has to be one label of it, one within a path becomes one segment, so that no value leads
    /// to another place. For endpoints that name no model (`models`, `files`) it may be empty.
    pub fn url(
        &self,
        parameters: &BTreeMap<String, String>,
        capability: Capability,
        model: &str,
        stream: bool,
    ) -> Result<Url, UrlError> {
        let path = self.path(capability).ok_or_else(|| UrlError::Unsupported {
            provider: self.name.clone(),
            capability,
        })?;
        let template = match path {
            Path::Streamed { stream: path, .. } if stream => path,
            Path::Same(path) | Path::Streamed { whole: path, .. } => path,
        };
        let values = Values {
            provider: self,
            parameters,
            model,
        };
        let mut url = if template.starts_with('/') {
            self.parse(&format!(
                "{}{}",
                self.base(&values)?,
                values.fill(&template)?
            ))?
        } else {
            self.elsewhere(&values, &template)?
        };
        for (name, template) in &self.query {
            if let Some(value) = values.query(template)? {
                url.query_pairs_mut().append_pair(name, &value);
            }
        }
        Ok(url)
    }

    /// The URL of anything of the provider's: its base, with a path and a query of a caller's, which [`leads_out`] was
    /// asked about. What the base ends with and the path begins with is not doubled (`/v1`).
    pub fn url_at(
        &self,
        parameters: &BTreeMap<String, String>,
        path: &str,
        query: &str,
    ) -> Result<Url, UrlError> {
        let values = Values {
            provider: self,
            parameters,
            model: "",
        };
        let base = self.base(&values)?;
        let base = base.trim_end_matches('/');
        let within = self.parse(base)?;
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let last = within.path().rsplit('/').next().unwrap_or_default();
        let path = if !last.is_empty() && first == last {
            rest
        } else {
            path
        };
        let mut url = self.parse(&format!("{base}/{path}"))?;
        let is_within = url.origin() == within.origin()
            && url.path().starts_with(within.path().trim_end_matches('/'));
        if !is_within || url.query().is_some() || url.fragment().is_some() {
            return Err(self.no_url());
        }
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        for (name, template) in &self.query {
            let is_given = url.query_pairs().any(|(given, _)| given == **name);
            if let Some(value) = values.query(template)?.filter(|_| !is_given) {
                url.query_pairs_mut().append_pair(name, &value);
            }
        }
        Ok(url)
    }

    /// Where a capability is: its own path, or the dialect's.
    pub(super) fn path(&self, capability: Capability) -> Option<Path> {
        if let Some(path) = self.paths.get(&capability) {
            return Some(path.clone());
        }
        let listed = self.capabilities.contains(&capability);
        listed.then(|| usual(self.dialect, capability)).flatten()
    }

    /// A placeholder that is neither a parameter nor the model.
    pub(super) fn undeclared(&self) -> Option<String> {
        let paths = self.paths.values().flat_map(|path| match path {
            Path::Same(path) => vec![path],
            Path::Streamed { whole, stream } => vec![whole, stream],
        });
        let others = self.base_urls.iter().map(|other| &other.base_url);
        let bases = std::iter::once(&self.base_url).chain(others);
        let known = |name: &str| {
            name == "model"
                || self
                    .parameters
                    .iter()
                    .any(|parameter| parameter.name == name)
        };
        paths
            .chain(bases)
            .chain(self.query.values())
            .flat_map(|template| pieces(template))
            .filter_map(|(_, name)| name)
            .find(|name| !known(name))
            .map(str::to_owned)
    }

    fn base(&self, values: &Values) -> Result<String, UrlError> {
        if let Some(own) = values.own_base() {
            return Ok(own.to_owned());
        }
        let special = self.base_urls.iter().find(|other| {
            values.value(&other.parameter).ok().flatten() == Some(other.value.as_str())
        });
        values.fill(special.map_or(&self.base_url, |other| &other.base_url))
    }

    /// A path at another host of the provider's; at the operator's own host where it put one in its place.
    fn elsewhere(&self, values: &Values, template: &str) -> Result<Url, UrlError> {
        let mut url = self.parse(&values.fill(template)?)?;
        if let Some(own) = values.own_base() {
            let own = self.parse(own)?;
            let rest = &url[url::Position::BeforePath..];
            url = own.join(rest).map_err(|_| self.no_url())?;
        }
        Ok(url)
    }

    fn parse(&self, text: &str) -> Result<Url, UrlError> {
        Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| self.no_url())
    }

    fn no_url(&self) -> UrlError {
        UrlError::NoUrl {
            provider: self.name.clone(),
        }
    }
}

/// Whether a path of a caller's may lead elsewhere than below where it is put: by a step out of it, however that is
/// written, or by an empty part. A slash at its end is none. Neither is there a backslash, which a URL reads as a slash.
pub fn leads_out(path: &str) -> bool {
    if path.is_empty() {
        return false;
    }
    let trimmed = path.strip_suffix('/').unwrap_or(path);
    if trimmed.split('/').any(str::is_empty) || path.contains(['?', '#']) {
        return true;
    }
    let mut text = path.to_owned();
    for _ in 0..DECODED_MAX {
        let steps = |part: &str| {
            let part = part.split(';').next().unwrap_or_default().trim();
            part == "." || part == ".."
        };
        if text.split('/').any(steps) || text.contains('\\') || text.contains(char::is_control) {
            return true;
        }
        let Ok(decoded) = percent_decode_str(&text).decode_utf8() else {
            return true;
        };
        if decoded == text {
            return false;
        }
        text = decoded.into_owned();
    }
    // Nobody escapes so often for any good.
    true
}

/// What placeholders stand for.
struct Values<'a> {
    provider: &'a Provider,
    parameters: &'a BTreeMap<String, String>,
    model: &'a str,
}

impl<'a> Values<'a> {
    fn own_base(&self) -> Option<&'a str> {
        let own = self.parameters.get(BASE)?.trim_end_matches('/');
        (!own.is_empty()).then_some(own)
    }

    /// The value of a parameter: the operator's, or its default. `None` where it is optional.
    fn value(&self, name: &str) -> Result<Option<&'a str>, UrlError> {
        if name == "model" && !self.model.is_empty() {
            return Ok(Some(self.model));
        }
        let declared = self
            .provider
            .parameters
            .iter()
            .find(|known| known.name == name);
        let given = self.parameters.get(name).filter(|value| !value.is_empty());
        if let Some(given) = given.or_else(|| declared?.default.as_ref()) {
            return Ok(Some(given));
        }
        if declared.is_some_and(|parameter| parameter.optional) {
            return Ok(None);
        }
        Err(UrlError::Missing {
            provider: self.provider.name.clone(),
            parameter: name.to_owned(),
            help: declared.map_or_else(
                || "which one is asked".to_owned(),
                |known| known.help.clone(),
            ),
        })
    }

    /// Fills a URL or a path.
    fn fill(&self, template: &str) -> Result<String, UrlError> {
        let mut filled = String::new();
        for (text, name) in pieces(template) {
            filled.push_str(text);
            let Some(name) = name else { continue };
            let value = self.value(name)?.unwrap_or_default();
            let value = if name == "model" { short(value) } else { value };
            if filled.is_empty() {
                filled.push_str(value.trim_end_matches('/'));
                continue;
            }
            let in_host = filled
                .split_once("://")
                .is_some_and(|(_, rest)| !rest.contains('/'));
            if if in_host {
                !is_label(value)
            } else {
                steps_out(value)
            } {
                return Err(UrlError::Unfit {
                    provider: self.provider.name.clone(),
                    parameter: name.to_owned(),
                });
            }
            filled.extend(utf8_percent_encode(value, SEGMENT));
        }
        Ok(filled)
    }

    /// Fills a value of the query; `None` where a parameter in it is left open.
    fn query(&self, template: &str) -> Result<Option<String>, UrlError> {
        let mut filled = String::new();
        for (text, name) in pieces(template) {
            filled.push_str(text);
            let Some(name) = name else { continue };
            match self.value(name)? {
                Some(value) => filled.push_str(value),
                None => return Ok(None),
            }
        }
        Ok(Some(filled))
    }
}

/// Each text before a placeholder, with the placeholder's name; and the text after the last one.
fn pieces(template: &str) -> Vec<(&str, Option<&str>)> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        pieces.push((text, Some(name)));
        rest = after;
    }
    pieces.push((rest, None));
    pieces
}

/// A model without what Google's own list of models writes before it.
fn short(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

fn is_label(value: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    value.len() <= 63
        && value.bytes().all(inner)
        && ends(value.bytes().next())
        && ends(value.bytes().last())
}

/// URLs read a segment of dots as a step, however they are escaped.
fn steps_out(value: &str) -> bool {
    value.is_empty() || value == "." || value == ".." || value.chars().any(char::is_control)
}

/// Where a dialect's inventor has a capability.
fn usual(dialect: Dialect, capability: Capability) -> Option<Path> {
    let path = match dialect {
        Dialect::OpenaiResponses if capability == Capability::Chat => "/responses",
        Dialect::OpenaiChat | Dialect::OpenaiResponses => of_openai(capability),
        Dialect::Anthropic => of_anthropic(capability)?,
        Dialect::Gemini => of_gemini(capability)?,
        Dialect::Bedrock => of_bedrock(capability)?,
        Dialect::Cohere => of_cohere(capability)?,
    };
    let whole = path.to_owned();
    Some(match (dialect, capability) {
        (Dialect::Gemini, Capability::Chat) => Path::Streamed {
            whole,
            stream: "/models/{model}:streamGenerateContent?alt=sse".to_owned(),
        },
        (Dialect::Bedrock, Capability::Chat) => Path::Streamed {
            whole,
            stream: "/model/{model}/converse-stream".to_owned(),
        },
        _ => Path::Same(whole),
    })
}

/// After `https://api.anthropic.com/v1`.
fn of_anthropic(capability: Capability) -> Option<&'static str> {
    Some(match capability {
        Capability::Chat => "/messages",
        Capability::CountTokens => "/messages/count_tokens",
        Capability::Models => "/models",
        Capability::Batches => "/messages/batches",
        Capability::Files => "/files",
        _ => return None,
    })
}

/// After `https://generativelanguage.googleapis.com/v1beta`.
fn of_gemini(capability: Capability) -> Option<&'static str> {
    Some(match capability {
        Capability::Chat => "/models/{model}:generateContent",
        Capability::CountTokens => "/models/{model}:countTokens",
        Capability::Batches => "/models/{model}:batchGenerateContent",
        Capability::Models => "/models",
        Capability::Files => "/files",
        _ => return None,
    })
}

/// After `https://bedrock-runtime.{region}.amazonaws.com`.
fn of_bedrock(capability: Capability) -> Option<&'static str> {
    Some(match capability {
        Capability::Chat => "/model/{model}/converse",
        Capability::CountTokens => "/model/{model}/count-tokens",
        _ => return None,
    })
}

/// After `https://api.cohere.com`.
fn of_cohere(capability: Capability) -> Option<&'static str> {
    Some(match capability {
        Capability::Chat => "/v2/chat",
        Capability::Rerank => "/v2/rerank",
        Capability::Models => "/v1/models",
        Capability::CountTokens => "/v1/tokenize",
        _ => return None,
    })
}

/// After `https://api.openai.com/v1`; rerank, messages and the counting of tokens are where most others put them.
fn of_openai(capability: Capability) -> &'static str {
    match capability {
        Capability::Chat => "/chat/completions",
        Capability::Responses => "/responses",
        Capability::Messages => "/messages",
        Capability::Completions => "/completions",
        Capability::CountTokens => "/responses/input_tokens",
        Capability::Embeddings => "/embeddings",
        Capability::Rerank => "/rerank",
        Capability::Images => "/images/generations",
        Capability::ImageEdits => "/images/edits",
        Capability::ImageVariations => "/images/variations",
        Capability::Speech => "/audio/speech",
        Capability::Transcriptions => "/audio/transcriptions",
        Capability::Translations => "/audio/translations",
        Capability::Videos => "/videos",
        Capability::Models => "/models",
        Capability::Moderations => "/moderations",
        Capability::Batches => "/batches",
        Capability::Files => "/files",
        Capability::FineTuning => "/fine_tuning/jobs",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_callers_stays_below_the_base() {
        for path in [
            "..",
            "a/../b",
            "a/%2e%2e/b",
            "a/%252e%252e/b",
            "..%2fadmin",
            "a/..;x/b",
            "a//b",
            "/a",
            "a\\..\\b",
            "a%5c..%5cb",
            "chat\\completions",
            "v1\\files",
            "v1%5Cfiles",
            "v1%255cfiles",
            "a%00b",
            "a%ff",
            "%25252525252e",
            "a?b",
        ] {
            assert!(leads_out(path), "{path}");
        }
        for path in [
            "a",
            "a/b/",
            "v1/models/a%2Fb",
            "a/b:generateContent",
            "a..b/c",
            "",
        ] {
            assert!(!leads_out(path), "{path}");
        }
        let parameters = BTreeMap::new();
        let at = |provider: &str, path: &str, query: &str| {
            let provider = crate::llm::provider::find(provider).unwrap();
            let url = provider.url_at(&parameters, path, query);
            url.map(String::from)
        };
        for (provider, path, query, expected) in [
            ("openai", "threads", "", "https://api.openai.com/v1/threads"),
            (
                "openai",
                "v1/threads",
                "a=b%20c",
                "https://api.openai.com/v1/threads?a=b%20c",
            ),
            ("cohere", "v2/chat", "", "https://api.cohere.com/v2/chat"),
            ("openai", "v1", "", "https://api.openai.com/v1/"),
            ("openai", "a%2Fb", "", "https://api.openai.com/v1/a%2Fb"),
        ] {
            assert_eq!(at(provider, path, query).as_deref(), Ok(expected), "{path}");
        }
        assert!(at("openai", "../x", "").is_err());
    }
}
