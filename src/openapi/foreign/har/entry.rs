//! One entry of a recording, and whether it is traffic of an API.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

use crate::openapi::foreign::address;
use crate::types::essence;

/// A body longer than this says no more than its beginning would.
const BODY_BYTES_MAX: usize = 4 << 20;

/// Hosts whose traffic is about the visitor, by a part of their names.
const WATCHERS: [&str; 22] = [
    "google-analytics.",
    "googletagmanager.",
    "doubleclick.",
    "analytics.google.",
    "segment.io",
    "segment.com",
    "mixpanel.",
    "amplitude.",
    "sentry.io",
    "hotjar.",
    "clarity.ms",
    "nr-data.net",
    "newrelic.",
    "datadoghq.",
    "fullstory.",
    "intercom.",
    "cloudflareinsights.",
    "plausible.io",
    "facebook.com",
    "bugsnag.",
    "posthog.",
    "matomo.",
];

/// Ends of paths that are files of a page.
const ASSETS: [&str; 20] = [
    ".js", ".mjs", ".css", ".map", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".avif",
    ".ico", ".woff", ".woff2", ".ttf", ".html", ".htm", ".mp4", ".webm", ".wasm",
];

/// Why an entry is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skipped {
    Asset,
    Watcher,
    Preflight,
    NoApi,
    Unreadable,
    TooMany,
}

impl Skipped {
    pub fn name(self) -> &'static str {
        match self {
            Self::Asset => "pages, images, scripts and other files of a site",
            Self::Watcher => "requests of analytics and error reporting",
            Self::Preflight => "preflight requests (OPTIONS)",
            Self::NoApi => "requests that neither sent nor received data of an API",
            Self::Unreadable => "entries that cannot be read",
            Self::TooMany => "entries beyond the limit of 50000",
        }
    }
}

/// A request and its answer.
#[derive(Debug)]
pub struct Entry<'a> {
    pub index: usize,
    pub origin: String,
    pub method: String,
    pub path: &'a str,
    pub status: u64,
    request: &'a Value,
    response: &'a Value,
}

impl<'a> Entry<'a> {
    /// Reads an entry that is traffic of an API.
    ///
    /// # Errors
    /// Why it is none.
    pub fn read(index: usize, entry: &'a Value) -> Result<Self, Skipped> {
        let request = entry.get("request").ok_or(Skipped::Unreadable)?;
        let response = entry.get("response").unwrap_or(&Value::Null);
        let word = |at: &'a Value, key: &str| at.get(key).and_then(Value::as_str);
        let method = word(request, "method")
            .unwrap_or("GET")
            .to_ascii_uppercase();
        let url = word(request, "url").ok_or(Skipped::Unreadable)?;
        let parsed = url::Url::parse(url).map_err(|_| Skipped::Unreadable)?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(Skipped::NoApi);
        }
        if matches!(method.as_str(), "OPTIONS" | "CONNECT" | "TRACE") {
            return Err(Skipped::Preflight);
        }
        let host = parsed.host_str().unwrap_or_default();
        if WATCHERS.iter().any(|part| host.contains(part)) {
            return Err(Skipped::Watcher);
        }
        let found = Self {
            index,
            origin: parsed.origin().ascii_serialization(),
            method,
            path: address::split(url).path,
            status: response.get("status").and_then(Value::as_u64).unwrap_or(0),
            request,
            response,
        };
        found.of_api(entry, parsed.path())
    }

    fn of_api(self, entry: &Value, path: &str) -> Result<Self, Skipped> {
        let answered = media(self.response.get("content"));
        let sent = media(self.request.get("postData"));
        let is_json = |media: &Option<String>| media.as_ref().is_some_and(|m| m.contains("json"));
        if is_json(&answered) || is_json(&sent) {
            // A manifest or a source map is JSON, and no answer of an API.
            let lower = path.to_ascii_lowercase();
            let is_file = [".map", "manifest.json"]
                .iter()
                .any(|end| lower.ends_with(end));
            return if is_file {
                Err(Skipped::Asset)
            } else {
                Ok(self)
            };
        }
        let lower = path.to_ascii_lowercase();
        let is_asset = ASSETS.iter().any(|end| lower.ends_with(end));
        let kind = answered.as_deref().unwrap_or_default();
        let shown = [
            "text/html",
            "text/css",
            "javascript",
            "image/",
            "font/",
            "video/",
            "audio/",
        ];
        if is_asset || shown.iter().any(|part| kind.contains(part)) {
            return Err(Skipped::Asset);
        }
        let by_script = entry.get("_resourceType").and_then(Value::as_str);
        let changes = matches!(self.method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE");
        if matches!(by_script, Some("xhr" | "fetch")) || changes {
            Ok(self)
        } else {
            Err(Skipped::NoApi)
        }
    }

    /// Query parameters of the URL, decoded.
    pub fn query(&self) -> Vec<(String, String)> {
        let url = self.request.get("url").and_then(Value::as_str);
        let query = address::split(url.unwrap_or_default()).query;
        let pairs = address::pairs(query).into_iter();
        pairs
            .map(|(name, value)| (name, value.unwrap_or_default()))
            .collect()
    }

    /// Names of the request's headers, in lower case.
    pub fn header_names(&self) -> impl Iterator<Item = String> {
        let headers = self.request.get("headers").and_then(Value::as_array);
        let names = headers.into_iter().flatten().filter_map(|h| h.get("name"));
        names.filter_map(Value::as_str).map(str::to_ascii_lowercase)
    }

    /// The word before the credential: `Bearer`, `Basic`.
    pub fn authorization(&self) -> Option<String> {
        let headers = self.request.get("headers")?.as_array()?;
        let header = headers.iter().find(|header| {
            let name = header.get("name").and_then(Value::as_str);
            name.is_some_and(|name| name.eq_ignore_ascii_case("authorization"))
        })?;
        let (word, _) = header.get("value")?.as_str()?.split_once(' ')?;
        Some(word.to_owned())
    }

    /// The media type of what was sent, and the value if that is known.
    pub fn body(&self) -> Option<(String, Option<Value>)> {
        let data = self
            .request
            .get("postData")
            .filter(|data| data.is_object())?;
        let written = data.get("text").and_then(Value::as_str).unwrap_or_default();
        let media = media(Some(data));
        let sample = json(written);
        if let (Some(sample), true) = (sample, media.as_ref().is_none_or(|m| m.contains("json"))) {
            let media = media.unwrap_or_else(|| "application/json".to_owned());
            return Some((media, Some(sample)));
        }
        let media = media?;
        if media == "application/x-www-form-urlencoded" || media == "multipart/form-data" {
            return Some((media, Some(fields(data, written))));
        }
        Some((media, None))
    }

    /// The media type of the answer, and the value if it is JSON.
    pub fn answer(&self) -> Option<(String, Option<Value>)> {
        let content = self.response.get("content")?;
        let media = media(Some(content))?;
        let written = content
            .get("text")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if written.is_empty() {
            return None;
        }
        if !media.contains("json") {
            return Some((media, None));
        }
        let sample = if content.get("encoding").and_then(Value::as_str) == Some("base64") {
            let bytes = BASE64
                .decode(written.get(..BODY_BYTES_MAX).unwrap_or(written))
                .ok()?;
            serde_json::from_slice(&bytes).ok()
        } else {
            json(written)
        };
        Some((media, sample))
    }
}

/// The essence of a media type that is declared.
fn media(at: Option<&Value>) -> Option<String> {
    let declared = at?.get("mimeType")?.as_str()?;
    let essence = essence(declared);
    (essence.contains('/') && essence.is_ascii()).then_some(essence)
}

fn json(written: &str) -> Option<Value> {
    let fits = !written.is_empty() && written.len() <= BODY_BYTES_MAX;
    fits.then(|| serde_json::from_str(written).ok())?
}

/// The fields of a form: names and empty texts, since their values stay behind.
fn fields(data: &Value, written: &str) -> Value {
    let listed = data.get("params").and_then(Value::as_array);
    let named = listed
        .into_iter()
        .flatten()
        .filter_map(|field| field.get("name").and_then(Value::as_str).map(str::to_owned));
    let mut names: Vec<String> = named.collect();
    let is_form = data
        .get("mimeType")
        .and_then(Value::as_str)
        .is_some_and(|media| media.contains("urlencoded"));
    if names.is_empty() && is_form {
        names.extend(address::pairs(written).into_iter().map(|(name, _)| name));
    }
    let members: Map<String, Value> = names.into_iter().map(|n| (n, Value::from(""))).collect();
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn skipped(method: &str, url: &str, media: &str) -> Option<Skipped> {
        let entry = json!({
            "request": {"method": method, "url": url},
            "response": {"status": 200, "content": {"mimeType": media}},
        });
        Entry::read(0, &entry).err()
    }

    #[test]
    fn only_traffic_of_an_api_is_kept() {
        let api = "https://api.example.com/v1/things";
        assert_eq!(skipped("GET", api, "application/json; charset=utf-8"), None);
        assert_eq!(skipped("GET", api, "application/problem+json"), None);
        assert_eq!(skipped("DELETE", api, ""), None);
        for (method, url, media, why) in [
            ("OPTIONS", api, "application/json", Skipped::Preflight),
            (
                "GET",
                "https://x.example.com/app.js",
                "application/javascript",
                Skipped::Asset,
            ),
            ("GET", "https://x.example.com/", "text/html", Skipped::Asset),
            (
                "GET",
                "https://x.example.com/app.js.map",
                "application/json",
                Skipped::Asset,
            ),
            (
                "POST",
                "https://www.google-analytics.com/g/collect",
                "application/json",
                Skipped::Watcher,
            ),
            (
                "GET",
                "wss://x.example.com/socket",
                "application/json",
                Skipped::NoApi,
            ),
            (
                "GET",
                "https://x.example.com/ping",
                "text/plain",
                Skipped::NoApi,
            ),
            ("GET", "nonsense", "application/json", Skipped::Unreadable),
        ] {
            assert_eq!(skipped(method, url, media), Some(why), "{method} {url}");
        }
    }
}
