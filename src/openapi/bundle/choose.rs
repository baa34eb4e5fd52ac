//! Which of many files are documents, and which are parts of one.
//!
//! The rule: a root is a file with `openapi` or `swagger` at its first level. A root that another
//! root refers to, directly or through other files, is a part of it. Each root that is left is one
//! document, together with the files it refers to.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::openapi::DocumentLimits;
use crate::openapi::bundle::SpecFiles;
use crate::openapi::bundle::place::Place;
use crate::openapi::bundle::resolve::Resources;
use crate::openapi::document;
use crate::openapi::finding::Findings;

/// Names listed in a message.
const LISTED_MAX: usize = 10;

/// Why no single document could be made out among files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    #[error(
        "none of the {0} files is an OpenAPI document: none has `openapi` or `swagger` at its root"
    )]
    NoRoot(usize),
    #[error("{} files are documents of their own: {}; say which is meant, with `root`", .0.len(), listed(.0))]
    SeveralRoots(Vec<String>),
    #[error("`root`: there is no file {0}")]
    UnknownRoot(String),
}

/// The one document among the files.
///
/// # Errors
/// There is none, or there are several and `root` does not say which.
pub fn one(
    files: BTreeMap<String, Bytes>,
    root: Option<&str>,
    limits: &DocumentLimits,
) -> Result<SpecFiles, ChoiceError> {
    if let Some(root) = root {
        let root = root.trim_start_matches("./").to_owned();
        if !files.contains_key(&root) {
            return Err(ChoiceError::UnknownRoot(root));
        }
        return Ok(SpecFiles {
            root,
            files,
            url: None,
        });
    }
    // A single file is read whatever it is: what is wrong with it is said better there.
    let mut roots = if files.len() == 1 {
        files.keys().cloned().collect()
    } else {
        Graph::new(&files, limits).documents()
    };
    match roots.len() {
        0 => Err(ChoiceError::NoRoot(files.len())),
        1 => Ok(SpecFiles {
            root: roots.remove(0),
            files,
            url: None,
        }),
        _ => Err(ChoiceError::SeveralRoots(roots)),
    }
}

/// Every document among the files, by name, each with what it refers to.
pub fn all(files: BTreeMap<String, Bytes>, limits: &DocumentLimits) -> Vec<SpecFiles> {
    let mut graph = Graph::new(&files, limits);
    let documents = graph.documents().into_iter().map(|root| {
        let mut names = graph.reached(&root);
        names.insert(root.clone());
        let own = names.into_iter().filter_map(|name| {
            let bytes = files.get(&name)?.clone();
            Some((name, bytes))
        });
        SpecFiles {
            root,
            files: own.collect(),
            url: None,
        }
    });
    documents.collect()
}

fn listed(names: &[String]) -> String {
    let mut text = names[..names.len().min(LISTED_MAX)].join(", ");
    if names.len() > LISTED_MAX {
        text.push_str(", …");
    }
    text
}

/// Whether a file has `openapi` or `swagger` at its first level. Reads no further than it must.
pub fn is_root(bytes: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Probe {
        openapi: Option<IgnoredAny>,
        swagger: Option<IgnoredAny>,
    }
    let Ok(text) = document::decode(bytes) else {
        return false;
    };
    if text.trim_start().starts_with('{')
        && let Ok(probe) = serde_json::from_str::<Probe>(&text)
    {
        return probe.openapi.or(probe.swagger).is_some();
    }
    let names_version = |line: &str| {
        let key = line.split(':').next().unwrap_or_default();
        line.contains(':')
            && matches!(
                key.trim_end().trim_matches(['"', '\'']),
                "openapi" | "swagger"
            )
    };
    text.lines().any(names_version)
}

/// Which file refers to which.
struct Graph<'f> {
    files: &'f BTreeMap<String, Bytes>,
    limits: &'f DocumentLimits,
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl<'f> Graph<'f> {
    fn new(files: &'f BTreeMap<String, Bytes>, limits: &'f DocumentLimits) -> Self {
        Self {
            files,
            limits,
            edges: BTreeMap::new(),
        }
    }

    /// The roots that are no part of another one. Of roots that refer to each other, the first.
    fn documents(&mut self) -> Vec<String> {
        let roots = self.files.iter().filter(|(_, bytes)| is_root(bytes));
        let roots: Vec<String> = roots.map(|(name, _)| name.clone()).collect();
        if roots.len() <= 1 {
            return roots;
        }
        let reached: Vec<BTreeSet<String>> = roots.iter().map(|root| self.reached(root)).collect();
        let is_part = |index: usize| {
            roots
                .iter()
                .zip(&reached)
                .enumerate()
                .any(|(other, (name, reached_by_other))| {
                    let mutual = reached[index].contains(name);
                    other != index
                        && reached_by_other.contains(&roots[index])
                        && (!mutual || other < index)
                })
        };
        let whole = (0..roots.len()).filter(|index| !is_part(*index));
        whole.map(|index| roots[index].clone()).collect()
    }

    /// Every file that a file refers to, directly or not. It is only among them if it leads back.
    fn reached(&mut self, from: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut left = vec![from.to_owned()];
        while let Some(name) = left.pop() {
            for next in self.direct(&name) {
                if reached.insert(next.clone()) {
                    left.push(next);
                }
            }
        }
        reached
    }

    fn direct(&mut self, name: &str) -> BTreeSet<String> {
        if let Some(known) = self.edges.get(name) {
            return known.clone();
        }
        let found = self.read(name);
        self.edges.insert(name.to_owned(), found.clone());
        found
    }

    fn read(&self, name: &str) -> BTreeSet<String> {
        let bytes = self
            .files
            .get(name)
            .map(|bytes| &bytes[..])
            .unwrap_or_default();
        let Ok(value) = document::part(bytes, self.limits, &mut Findings::default()) else {
            return BTreeSet::new();
        };
        let place = Place::File(name.to_owned());
        let resources = Resources::of_root(&place, &value);
        resources.named_files(self.files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(texts: &[(&str, &str)]) -> BTreeMap<String, Bytes> {
        let texts = texts.iter();
        texts
            .map(|(name, text)| ((*name).to_owned(), Bytes::copy_from_slice(text.as_bytes())))
            .collect()
    }

    #[test]
    fn documents_are_told_from_their_parts() {
        let limits = DocumentLimits::default();
        let whole = [
            (
                "api.yaml",
                "openapi: 3.1.0\npaths: {/a: {$ref: parts/a.yaml}}",
            ),
            ("parts/a.yaml", "get: {$ref: '../shared.json#/get'}"),
            // Written as a document too, but only a part.
            ("shared.json", r#"{"get": {}, "openapi": "3.1.0"}"#),
            ("README.md", "# The openapi: is here"),
        ];
        let chosen = one(files(&whole), None, &limits).unwrap();
        assert_eq!(chosen.root, "api.yaml");
        let one_of_all = all(files(&whole), &limits);
        assert_eq!(one_of_all.len(), 1);
        let names: Vec<&String> = one_of_all[0].files.keys().collect();
        assert_eq!(names, ["api.yaml", "parts/a.yaml", "shared.json"]);

        let two = [
            ("a.yaml", "openapi: 3.1.0"),
            ("b.json", r#"{"swagger": "2.0"}"#),
        ];
        let error = one(files(&two), None, &limits).unwrap_err();
        assert_eq!(
            error,
            ChoiceError::SeveralRoots(vec!["a.yaml".into(), "b.json".into()])
        );
        assert!(error.to_string().contains("a.yaml, b.json"), "{error}");
        assert_eq!(
            one(files(&two), Some("b.json"), &limits).unwrap().root,
            "b.json"
        );
        let error = one(files(&two), Some("c.json"), &limits).unwrap_err();
        assert_eq!(error, ChoiceError::UnknownRoot("c.json".into()));
        assert_eq!(all(files(&two), &limits).len(), 2);
        let circle = [
            ("a.yaml", "openapi: 3.1.0\nx: {$ref: b.yaml}"),
            ("b.yaml", "openapi: 3.1.0\nx: {$ref: a.yaml}"),
        ];
        assert_eq!(one(files(&circle), None, &limits).unwrap().root, "a.yaml");
        let none = [("a.yaml", "x: 1"), ("b.yaml", "y: 1")];
        assert_eq!(
            one(files(&none), None, &limits).unwrap_err(),
            ChoiceError::NoRoot(2)
        );
    }
}
