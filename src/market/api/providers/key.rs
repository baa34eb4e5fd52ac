//! A key as it is entered: what of it is sent, and what is shown.

use chrono::DateTime;
use http::{HeaderMap, Method};
use secrecy::SecretString;

use crate::llm::access_token::scope;
use crate::llm::provider::{Auth, Provider};
use crate::llm::settings::{ProviderSettings, token_url};
use crate::llm::sign::google::ServiceAccount;
use crate::llm::sign::{Signing, sign};
use crate::market::api::providers::wrong;
use crate::problem::Problem;
use crate::types::UpstreamRequest;

const KEY_NAME_LENGTH_MAX: usize = 64;
const KEY_BYTES_MAX: usize = 16 << 10;
/// Of a key, so many of its last characters are shown; of a short one, none.
const ENDING_CHARS: usize = 4;
const SHOWN_CHARS_MIN: usize = 12;

/// Whether a key may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=KEY_NAME_LENGTH_MAX).contains(&name.len()) && name.chars().all(plain)
}

/// Whether a key may be called so.
///
/// # Errors
/// Where it may not.
pub(in crate::market::api) fn check_name(name: &str) -> Result<(), Problem> {
    if !is_name(name) {
        return Err(wrong(format!(
            "a key's name is 1 to {KEY_NAME_LENGTH_MAX} letters, digits, hyphens, underscores and dots"
        )));
    }
    Ok(())
}

/// A key as it is sent. What the provider could not be sent is refused now, not when somebody needs it.
pub(in crate::market::api) fn usable<'v>(
    provider: &Provider,
    settings: &ProviderSettings,
    value: &'v str,
    now: DateTime<chrono::Utc>,
) -> Result<&'v str, Problem> {
    if provider.auth == Auth::None {
        return Err(wrong("`value`: this provider takes no key"));
    }
    let value = value.trim();
    let value = match value.split_at_checked("bearer ".len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer ") => rest.trim(),
        _ => value,
    };
    if value.is_empty() || value.len() > KEY_BYTES_MAX {
        return Err(wrong(format!("`value` has 1 to {KEY_BYTES_MAX} bytes")));
    }
    let secret = SecretString::from(value);
    if scope(provider, &secret).is_some() {
        let account = ServiceAccount::parse(&secret, token_url(&settings.parameters));
        return account
            .map(|_| value)
            .map_err(|fault| wrong(format!("`value`: {fault}")));
    }
    let url = url::Url::parse("https://provider.invalid/").map_err(|_| Problem::not_found())?;
    let request = UpstreamRequest {
        method: Method::POST,
        url,
        headers: HeaderMap::new(),
        body: bytes::Bytes::new(),
    };
    let signing = Signing {
        secret: Some(&secret),
        region: settings.parameters.get("region").map(String::as_str),
        now,
    };
    sign(request, (provider, &provider.auth), &signing)
        .map(|_| value)
        .map_err(|fault| wrong(format!("`value`: {fault}")))
}

/// What of a key is shown.
pub(in crate::market::api) fn ending(value: &str) -> String {
    let count = value.chars().count();
    // The end of a key file says nothing.
    if count < SHOWN_CHARS_MIN || value.ends_with('}') {
        return String::new();
    }
    value.chars().skip(count - ENDING_CHARS).collect()
}
