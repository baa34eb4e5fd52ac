//! The documentation, compiled in: it is there where there is no other site.

use std::sync::LazyLock;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;

use crate::extract::Path;
use crate::extract::Visitor;
use crate::market::api::Market;
use crate::market::language::{Html, Language};
use crate::market::markdown::{Heading, Links, headings, render};
use crate::market::pages::routes::{Fields, failure, frame};
use crate::market::pages::{Frame, page};

macro_rules! guides {
    ($($name:literal),+ $(,)?) => {
        /// Each file's name and text, in the order somebody reads them.
        const GUIDES: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../../docs/", $name, ".md")))),+
        ];
    };
}

guides![
    "accounts",
    "lifecycle",
    "personal-data",
    "keys",
    "clients",
    "openapi",
    "foreign",
    "tools",
    "curation",
    "models",
    "providers",
    "prices",
    "credentials",
    "connected-accounts",
    "upstream-tls",
    "answers",
    "limits",
    "resilience",
    "confirmation",
    "usage",
    "api",
    "install",
    "operators",
    "gitops",
    "migrating",
    "proxies",
    "observability",
    "audit",
    "secrets",
    "conformance",
    "llm-matrix",
    "performance",
];

/// One guide and its headings; the first is its title.
#[derive(Clone, Debug)]
pub struct Guide {
    pub name: &'static str,
    pub title: String,
    pub sections: Vec<Heading>,
}

static ALL: LazyLock<Vec<Guide>> = LazyLock::new(|| {
    let guides = GUIDES.iter().map(|(name, text)| {
        let mut sections = headings(text);
        let title = if sections.is_empty() {
            (*name).to_owned()
        } else {
            sections.remove(0).text
        };
        sections.retain(|heading| heading.level == 2);
        Guide {
            name,
            title,
            sections,
        }
    });
    guides.collect()
});

/// `GET /docs?q=`.
#[derive(Debug, Template)]
#[template(path = "docs.html")]
pub struct DocsIndex {
    pub frame: Frame,
    pub query: String,
    pub guides: Vec<Guide>,
}

/// `GET /docs/{name}`.
#[derive(Debug, Template)]
#[template(path = "guide.html")]
pub struct GuidePage {
    pub frame: Frame,
    pub title: String,
    pub text: Html,
}

pub(super) async fn index(
    State(market): State<Market>,
    headers: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let query = query.get("q").map(|text| text.trim().to_owned());
    let query = query.unwrap_or_default();
    let template = DocsIndex {
        frame: frame(&market, &headers, "docs"),
        guides: found(&query),
        query,
    };
    page(StatusCode::OK, &template)
}

/// The guides whose title or sections have every word; all of a guide whose title has them.
fn found(query: &str) -> Vec<Guide> {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let fits = |title: &str, section: &str| {
        let text = format!("{title} {section}").to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let guides = ALL.iter().filter_map(|guide| {
        if fits(&guide.title, "") {
            return Some(guide.clone());
        }
        let mut guide = guide.clone();
        let title = guide.title.clone();
        guide.sections.retain(|section| fits(&title, &section.text));
        (!guide.sections.is_empty()).then_some(guide)
    });
    guides.collect()
}

pub(super) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Path(name): Path<String>,
) -> Response {
    let frame = frame(&market, &headers, "docs");
    let guide = ALL.iter().zip(GUIDES).find(|(guide, _)| guide.name == name);
    let Some((guide, (_, text))) = guide else {
        let said = Language::of(&headers).say("docs-no-guide");
        return failure(&market, &headers, StatusCode::NOT_FOUND, said);
    };
    let base = frame.at("/docs");
    let template = GuidePage {
        title: guide.title.clone(),
        text: render(text, &Links::Docs(&base)),
        frame,
    };
    page(StatusCode::OK, &template)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_guide_that_renders_and_is_found() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        let files = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
            .collect();
        names.sort();
        let mut known: Vec<String> = ALL.iter().map(|guide| guide.name.to_owned()).collect();
        known.sort();
        assert_eq!(names, known);
        for (name, text) in GUIDES {
            let html = render(text, &Links::Docs("/docs"));
            assert!(html.as_str().starts_with("<h1 id=\"h-1\">"), "{name}");
        }
        assert_eq!(found("").len(), GUIDES.len());
        assert!(found("zzz").is_empty());
        let one = found("performance");
        assert!(one.iter().any(|guide| guide.name == "performance") || one.is_empty());
    }
}
