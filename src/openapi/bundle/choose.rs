//! Which of many files are documents, and which are parts of one.
//!
//! The rule: a root is a file with `openapi` or `swagger` at its first level. A root that another
//! root refers to, directly or through other files, is a part of it. Each root that is left is one
//! document, together with the files it refers to. Where there is no such file at all, those of other
//! formats that are converted are the roots; they refer to nothing.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::openapi::DocumentLimits;
use crate::openapi::bundle::SpecFiles;
use crate::openapi::bundle::place::Place;
use crate::openapi::bundle::resolve::Resources;
use crate::openapi::finding::Findings;
use crate::openapi::{document, foreign};

/// Names listed in a message.
const LISTED_MAX: usize = 10;

/// Why no single document could be made out among files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    #[error(
        "none of the {0} files is an OpenAPI document: none has `openapi` or `swagger` at its root, and \
         none is of a format that is converted"
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
    if files.len() == 1 {
        let root = files.keys().next().cloned().unwrap_or_default();
        return Ok(SpecFiles {
            root,
            files,
            url: None,
        });
    }
    let mut roots = Graph::new(&files, limits).documents();
    if !roots.is_empty() {
        return match roots.len() {
            1 => Ok(SpecFiles {
                root: roots.remove(0),
                files,
                url: None,
            }),
            _ => Err(ChoiceError::SeveralRoots(roots)),
        };
    }
    let mut roots = foreign(&files, limits);
    match roots.len() {
        0 => Err(ChoiceError::NoRoot(files.len())),
        1 => Ok(roots.remove(0)),
        _ => Err(ChoiceError::SeveralRoots(
            roots.into_iter().map(|files| files.root).collect(),
        )),
    }
}

/// Whether the root is an OpenAPI document, which holds no secrets; files of other formats do, and what
/// cannot be read may.
pub fn is_openapi(files: &SpecFiles, limits: &DocumentLimits) -> bool {
    let root = files.files.get(&files.root);
    let read = root.map(|bytes| document::part(bytes, limits, &mut Findings::default()));
    let Some(Ok(root)) = read else { return false };
    ["openapi", "swagger"]
        .iter()
        .any(|key| root.get(*key).is_some())
}

/// Every file of a format that is converted, alone.
fn foreign(files: &BTreeMap<String, Bytes>, limits: &DocumentLimits) -> Vec<SpecFiles> {
    let is_foreign = |bytes: &[u8]| {
        let read = document::part(bytes, limits, &mut Findings::default());
        read.is_ok_and(|root| foreign::recognise(&root).is_some())
    };
    let found = files.iter().filter(|(_, bytes)| is_foreign(bytes));
    found
        .map(|(name, bytes)| SpecFiles {
            root: name.clone(),
            files: BTreeMap::from([(name.clone(), bytes.clone())]),
            url: None,
        })
        .collect()
}

/// Every document among the files, by name, each with what it refers to.
pub fn all(files: BTreeMap<String, Bytes>, limits: &DocumentLimits) -> Vec<SpecFiles> {
    let graph = Graph::new(&files, limits);
    let roots = graph.documents();
    if roots.is_empty() {
        return foreign(&files, limits);
    }
    let documents = roots.into_iter().map(|root| {
        let own = graph.parts(&root).into_iter().filter_map(|name| {
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
    names: Vec<&'f String>,
    /// The numbers of the roots among the names.
    roots: Vec<usize>,
    /// Of each file, every file it refers to, directly or not. It is only among them if it leads back.
    reached: OnceCell<Vec<Set>>,
}

impl<'f> Graph<'f> {
    fn new(files: &'f BTreeMap<String, Bytes>, limits: &'f DocumentLimits) -> Self {
        let roots = files.values().enumerate();
        let roots = roots.filter(|(_, bytes)| is_root(bytes));
        Self {
            files,
            limits,
            names: files.keys().collect(),
            roots: roots.map(|(number, _)| number).collect(),
            reached: OnceCell::new(),
        }
    }

    /// The roots that are no part of another one. Of roots that refer to each other, the first.
    fn documents(&self) -> Vec<String> {
        let is_part = |root: usize| {
            self.roots.iter().any(|&other| {
                let leads = |from: usize, to: usize| self.reached()[from].has(to);
                other != root && leads(other, root) && (!leads(root, other) || other < root)
            })
        };
        let whole = self.roots.iter().filter(|root| !is_part(**root));
        whole.map(|root| self.names[*root].clone()).collect()
    }

    /// A root with every file it refers to, by name.
    fn parts(&self, root: &str) -> BTreeSet<String> {
        let number = self.number(root);
        let reached = number.map(|number| self.reached()[number].numbers());
        let names = reached.into_iter().flatten();
        let names = names.map(|number| self.names[number].clone());
        names.chain([root.to_owned()]).collect()
    }

    fn number(&self, name: &str) -> Option<usize> {
        let found = self
            .names
            .binary_search_by(|known| known.as_str().cmp(name));
        found.ok()
    }

    fn reached(&self) -> &[Set] {
        self.reached.get_or_init(|| {
            let mut reached = self.referred();
            close(&mut reached);
            reached
        })
    }

    /// What the roots, and the files they lead to, refer to directly.
    fn referred(&self) -> Vec<Set> {
        let mut referred = vec![Set::empty(self.names.len()); self.names.len()];
        let (mut left, mut seen) = (self.roots.clone(), Set::empty(self.names.len()));
        while let Some(number) = left.pop() {
            if !seen.insert(number) {
                continue;
            }
            for other in self.direct(self.names[number]) {
                referred[number].insert(other);
                left.push(other);
            }
        }
        referred
    }

    /// The files that a file refers to.
    fn direct(&self, name: &str) -> Vec<usize> {
        let bytes = &self.files[name];
        let Ok(value) = document::part(bytes, self.limits, &mut Findings::default()) else {
            return Vec::new();
        };
        let place = Place::File(name.to_owned());
        let named = Resources::of_root(&place, &value).named_files(self.files);
        named.iter().filter_map(|name| self.number(name)).collect()
    }
}

/// From what each refers to directly to everything it leads to (Warshall).
fn close(reached: &mut [Set]) {
    for through in 0..reached.len() {
        let beyond = reached[through].clone();
        for set in reached.iter_mut().filter(|set| set.has(through)) {
            set.add_all(&beyond);
        }
    }
}

/// Numbers below a bound, a bit for each.
#[derive(Clone)]
struct Set(Vec<u64>);

impl Set {
    fn empty(bound: usize) -> Self {
        Self(vec![0; bound.div_ceil(64)])
    }

    /// Whether it is new.
    fn insert(&mut self, number: usize) -> bool {
        let is_new = !self.has(number);
        self.0[number / 64] |= 1 << (number % 64);
        is_new
    }

    fn has(&self, number: usize) -> bool {
        self.0[number / 64] >> (number % 64) & 1 == 1
    }

    fn add_all(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    fn numbers(&self) -> impl Iterator<Item = usize> {
        (0..self.0.len() * 64).filter(|number| self.has(*number))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        assert!(all(files(&none), &limits).is_empty());
        assert_eq!(
            one(files(&none), None, &limits).unwrap_err(),
            ChoiceError::NoRoot(2)
        );
    }

    #[test]
    fn hundreds_of_documents_that_refer_to_each_other_are_sorted_out_at_once() {
        let count = 400;
        let name = |at: usize| format!("f{at:03}.json");
        let text = |at: usize| {
            let others = (0..count).filter(|other| *other != at);
            let refs: Vec<_> = others.map(|other| json!({"$ref": name(other)})).collect();
            Bytes::from(json!({"openapi": "3.1.0", "x": refs}).to_string())
        };
        let files = (0..count).map(|at| (name(at), text(at))).collect();
        let start = std::time::Instant::now();
        let found = all(files, &DocumentLimits::default());
        assert_eq!((found.len(), found[0].files.len()), (1, count));
        assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
    }

    #[test]
    fn other_formats_are_documents_where_there_is_no_openapi_document() {
        const POSTMAN: &str = r#"{"info": {"_postman_id": "1"}, "item": [{"$ref": "other.json"}]}"#;
        const HAR: &str = r#"{"log": {"entries": []}}"#;
        const HIGRESS: &str = "server: {name: a}\ntools: [{name: b, requestTemplate: {}}]";
        let limits = DocumentLimits::default();
        let names = |found: &[SpecFiles]| {
            let names = found.iter().map(|files| files.root.clone());
            names.collect::<Vec<_>>()
        };
        let beside = ("other.json", r#"{"values": [{"key": "host"}]}"#);
        for text in [POSTMAN, HAR, HIGRESS] {
            let sent = files(&[("api.json", text), beside]);
            let chosen = one(sent.clone(), None, &limits).unwrap();
            assert_eq!(chosen.root, "api.json");
            assert_eq!(chosen.files.len(), 1, "it refers to nothing");
            assert_eq!(names(&all(sent, &limits)), ["api.json"]);

            let sent = files(&[("api.json", text), ("real.yaml", "openapi: 3.1.0")]);
            assert_eq!(one(sent.clone(), None, &limits).unwrap().root, "real.yaml");
            assert_eq!(names(&all(sent, &limits)), ["real.yaml"]);
        }
        let two = files(&[("a.json", POSTMAN), ("b.har", HAR)]);
        assert_eq!(
            one(two.clone(), None, &limits).unwrap_err(),
            ChoiceError::SeveralRoots(vec!["a.json".into(), "b.har".into()])
        );
        assert_eq!(names(&all(two, &limits)), ["a.json", "b.har"]);
    }
}
