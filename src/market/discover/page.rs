//! What a fetched body is: a document, a page with one inside, or a page that says where one is.
//!
//! Pages are searched for the few forms in which documentation tools name a document; they are
//! neither parsed as HTML nor run.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::value::RawValue;

use crate::openapi::foreign;

/// More of a page is not searched: bundles are long and name no document after this.
const SEARCHED_MAX: usize = 4 << 20;
/// How far before `"openapi":` the object that it belongs to may begin, counted in braces.
const BRACES_MAX: usize = 12;
const REFERENCES_MAX: usize = 24;
const URL_CHARS_MAX: usize = 2048;

/// What a body is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// An OpenAPI document, well-formed or not: the reader says what is wrong with it.
    Document,
    /// A JSON document written into a page or a script.
    Embedded(String),
    /// Where one may be, best first. Empty for a body that says nothing of documents.
    References(Vec<Reference>),
}

/// A URL that a page names, relative to the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// Said to be a document, or a configuration that names one.
    Document(String),
    /// A script of the page that sets its viewer up.
    Script(String),
}

impl Reference {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Document(text) | Self::Script(text) => text,
        }
    }
}

/// The forms in which pages name a document; the URL is in the first group.
static NAMED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // <redoc spec-url>, <rapi-doc spec-url>, Scalar's data-url, Stoplight's apiDescriptionUrl.
        r#"(?i)\b(?:spec-url|data-url|data-spec-url|apiDescriptionUrl)\s*=\s*["']([^"'<>\s]+)["']"#,
        // Redoc.init('openapi.json').
        r#"Redoc\.init\(\s*["'`]([^"'`<>\s]+)["'`]"#,
        // Swagger UI's and Scalar's settings, in a script or as JSON: url, urls, configUrl, spec-url.
        r#"\b(?:url|configUrl|specUrl|spec-url|definitionURL)\\?["']?\s*[:=]\s*\\?["'`]([^"'`<>\s\\]+)\\?["'`]"#,
    ]
    .iter()
    .map(|pattern| Regex::new(pattern).expect("a valid pattern"))
    .collect()
});

/// `<link>` elements, read for RFC 8631's `rel="service-desc"`.
static LINK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)<link\b([^>]+)>").expect("a valid pattern"));
static HREF: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(?i)\bhref\s*=\s*["']([^"']+)["']"#).expect("a valid pattern"));
static SCRIPT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)<script\b[^>]*?\bsrc\s*=\s*["']([^"']+)["']"#).expect("a valid pattern")
});
/// The key that makes an object a document, in JSON or in a script.
static MARK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#""(?:openapi|swagger)"\s*:\s*"[23]\.[0-9]"#).expect("a valid pattern")
});
/// The same at the beginning of a line of YAML or near the beginning of JSON.
static HEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?m)^["']?(?:openapi|swagger)["']?\s*:|^\s*\{?\s*["'](?:openapi|swagger)["']\s*:"#,
    )
    .expect("a valid pattern")
});

/// Tells what a body is.
pub(super) fn read(body: &[u8]) -> Content {
    let head = &body[..body.len().min(SEARCHED_MAX)];
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if foreign::looks_known(text) {
        return Content::Document;
    }
    if text.starts_with('{') && !text.starts_with("{%") {
        return json(text, body.len() > SEARCHED_MAX);
    }
    if !text.starts_with('<') && HEAD.is_match(text) {
        return Content::Document;
    }
    if let Some(document) = embedded(text) {
        return Content::Embedded(document);
    }
    let plain;
    let text = if text.contains("&quot;") || text.contains("&amp;") {
        plain = text.replace("&quot;", "\"").replace("&amp;", "&");
        plain.as_str()
    } else {
        text
    };
    Content::References(references(text))
}

/// JSON is a document by its top-level key, and otherwise perhaps a viewer's configuration or a
/// linkset (RFC 9727).
fn json(text: &str, cut: bool) -> Content {
    let top: Result<std::collections::HashMap<String, &RawValue>, _> = serde_json::from_str(text);
    match top {
        Ok(top) if top.contains_key("openapi") || top.contains_key("swagger") => Content::Document,
        Ok(_) => Content::References(references(text)),
        // Too long to have been read whole, or not well-formed: the reader has better words for it.
        Err(_) if cut || HEAD.is_match(text) || MARK.is_match(text) => Content::Document,
        Err(_) => Content::References(Vec::new()),
    }
}

/// The document that is written into a page (Redoc's static pages, swagger-ui-express, NestJS).
fn embedded(text: &str) -> Option<String> {
    let mark = MARK.find(text)?.start();
    text[..mark]
        .rmatch_indices('{')
        .take(BRACES_MAX)
        .find_map(|(start, _)| {
            let mut values =
                serde_json::Deserializer::from_str(&text[start..]).into_iter::<&RawValue>();
            let value = values.next()?.ok()?.get();
            (start + value.len() > mark).then(|| value.to_owned())
        })
}

fn references(text: &str) -> Vec<Reference> {
    let mut found = Vec::new();
    let links = LINK.captures_iter(text).filter(|link| {
        let link = link[1].to_ascii_lowercase();
        link.contains("service-desc") || link.contains("openapi")
    });
    for link in links {
        if let Some(href) = HREF.captures(&link[1]) {
            found.push(Reference::Document(href[1].to_owned()));
        }
    }
    for pattern in NAMED.iter() {
        for named in pattern.captures_iter(text) {
            found.push(Reference::Document(named[1].to_owned()));
        }
    }
    for script in SCRIPT.captures_iter(text) {
        if sets_up(&script[1]) {
            found.push(Reference::Script(script[1].to_owned()));
        }
    }
    found.retain(|reference| reference.text().len() <= URL_CHARS_MAX);
    // Swagger UI's own example is in every untouched copy; it is meant by almost none.
    found.sort_by_key(|reference| reference.text().contains("petstore.swagger.io"));
    found.dedup();
    found.truncate(REFERENCES_MAX);
    found
}

/// Whether a script's name is that of a viewer's settings rather than of its code.
fn sets_up(source: &str) -> bool {
    let path = source.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default().to_lowercase();
    let code = ["bundle", "standalone", "preset", ".min.js", "polyfill"];
    let settings = [
        "init", "config", "setting", "index", "swagger", "redoc", "scalar", "docs",
    ];
    !code.iter().any(|word| name.contains(word)) && settings.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(body: &str) -> Vec<String> {
        match read(body.as_bytes()) {
            Content::References(found) => found.iter().map(|r| r.text().to_owned()).collect(),
            other => panic!("not references: {other:?}"),
        }
    }

    #[test]
    fn viewers_say_where_their_document_is() {
        for (page, expected) in [
            (
                "<script>const ui = SwaggerUIBundle({\n url: '/openapi.json',\n dom_id: '#swagger-ui'})</script>",
                "/openapi.json",
            ),
            (
                r#"<script>window.ui = SwaggerUIBundle({urls: [{"url": "v1/swagger.json", "name": "V1"}]})</script>"#,
                "v1/swagger.json",
            ),
            (
                r#"<script>var configObject = JSON.parse('{"urls":[{"url":"/swagger/v1/swagger.json","name":"API"}]}');</script>"#,
                "/swagger/v1/swagger.json",
            ),
            (
                r#"{"configUrl":"/v3/api-docs/swagger-config","url":"/v3/api-docs"}"#,
                "/v3/api-docs/swagger-config",
            ),
            ("<redoc spec-url='spec.yaml'></redoc>", "spec.yaml"),
            (r#"<script>Redoc.init("a.yaml", {})</script>"#, "a.yaml"),
            (
                r#"<script id="api-reference" data-url="/o.json"></script>"#,
                "/o.json",
            ),
            (
                r#"<script id="api-reference" data-configuration="{&quot;spec&quot;:{&quot;url&quot;:&quot;/s.json&quot;}}"></script>"#,
                "/s.json",
            ),
            (
                "<script>Scalar.createApiReference('#app', { url: '/scalar.json' })</script>",
                "/scalar.json",
            ),
            (
                r#"<elements-api apiDescriptionUrl="e.yaml" router="hash"/>"#,
                "e.yaml",
            ),
            (
                r#"<link rel="service-desc" href="/desc.json" type="application/json">"#,
                "/desc.json",
            ),
            (
                r#"<script src="./swagger-initializer.js" charset="UTF-8"></script>"#,
                "./swagger-initializer.js",
            ),
        ] {
            assert_eq!(
                named(page).first().map(String::as_str),
                Some(expected),
                "{page}"
            );
        }
    }

    #[test]
    fn the_example_of_swagger_ui_comes_last() {
        let page = r#"<script>url: "https://petstore.swagger.io/v2/swagger.json", other = {"url": "/own.json"}</script>"#;
        assert_eq!(named(page)[0], "/own.json");
    }

    #[test]
    fn code_is_not_read_for_settings() {
        assert_eq!(
            named(
                r#"<script src="swagger-ui-bundle.js"></script><script src="https://cdn/redoc.standalone.js"></script>"#
            ),
            [""; 0]
        );
    }

    #[test]
    fn a_document_is_known_by_its_first_words() {
        for text in [
            r#"{"openapi": "3.1.0"}"#,
            r#"{"info": {}, "swagger": "2.0"}"#,
            "openapi: 3.0.0\ninfo: {}",
            "# a comment\nswagger: '2.0'",
            "\u{feff}openapi: 3.0.0",
            r#"{"openapi": "3.0.0", broken"#,
        ] {
            assert_eq!(read(text.as_bytes()), Content::Document, "{text}");
        }
    }

    #[test]
    fn a_document_inside_a_script_is_taken_out() {
        let page = r#"let options = {"swaggerDoc": {"info": {"title": "}"}, "openapi": "3.0.0", "paths": {}}, "x": 1};"#;
        assert_eq!(
            read(page.as_bytes()),
            Content::Embedded(
                r#"{"info": {"title": "}"}, "openapi": "3.0.0", "paths": {}}"#.to_owned()
            )
        );
    }
}
