//! Names of servers, made of the titles of their documents.

use std::collections::HashSet;

use crate::live::Catalog;
use crate::mcp::tool::name;
use crate::openapi::api::UNTITLED;
use crate::openapi::bundle::shown;
use crate::types::Slug;

/// Room for `-` and what tells two of the same title apart.
const SUFFIX_MAX: usize = 7;

/// What a title becomes; without a title, the name of the file; [`UNNAMED`] where nothing can be used.
pub(super) fn stem(title: &str, file: Option<&str>) -> String {
    let title = match file {
        Some(file) if title == UNTITLED => shown::stem(file),
        _ => title,
    };
    let text = name::identifier(title)
        .to_ascii_lowercase()
        .replace('_', "-");
    let stem = text[..text.len().min(Slug::LENGTH_MAX - SUFFIX_MAX)].trim_matches('-');
    match stem.parse::<Slug>() {
        Ok(slug) if slug.check_free().is_ok() => stem.to_owned(),
        // A word that means something else here is made one that does not.
        Ok(_) => format!("{stem}-api"),
        Err(_) => UNNAMED.to_owned(),
    }
}

/// What a server is called of whose title nothing can be used.
const UNNAMED: &str = "unnamed-api";

/// A slug made of a title that no server has, and that is not known to be taken.
pub(super) fn free(catalog: &Catalog, title: &str, taken: &HashSet<Slug>) -> Slug {
    let stem = stem(title, None);
    let numbered = (2..10_000).map(|n| format!("{stem}-{n}"));
    std::iter::once(stem.clone())
        .chain(numbered)
        .filter(|candidate| catalog.find(candidate).is_none())
        .filter_map(|candidate| candidate.parse().ok())
        .find(|candidate| !taken.contains(candidate))
        .unwrap_or_else(|| UNNAMED.parse().expect("a valid slug"))
}

/// The slug of an item of a bulk import. Where the title's is taken, what follows depends on the
/// item alone, not on what was imported before it.
pub(super) fn of_item(catalog: &Catalog, title: &str, item: &str, taken: &HashSet<Slug>) -> Slug {
    let is_free = |slug: &Slug| catalog.find(slug.as_str()).is_none() && !taken.contains(slug);
    let stem = stem(title, Some(item));
    if let Some(slug) = stem.parse().ok().filter(is_free) {
        return slug;
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, item.as_bytes());
    let suffix = hex::encode(&digest.as_ref()[..(SUFFIX_MAX - 1) / 2]);
    let marked = format!("{stem}-{suffix}").parse().ok();
    marked
        .filter(is_free)
        .unwrap_or_else(|| free(catalog, title, taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_becomes_a_slug() {
        for (title, file, expected) in [
            ("Pet Store", None, "pet-store"),
            (
                UNTITLED,
                Some("specs/shop/Billing API.v2.yaml"),
                "billing-api",
            ),
            (UNTITLED, None, "untitled-api"),
            ("!!!", None, "unnamed-api"),
            ("API", None, "api-api"),
            ("Docs", None, "docs-api"),
            ("a".repeat(80).as_str(), None, "a".repeat(33).as_str()),
        ] {
            assert_eq!(stem(title, file), expected);
        }
    }
}
