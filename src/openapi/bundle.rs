//! Many files into one document: every file that is referred to stands under one reserved member of
//! the root, [`MEMBER`], and references between files become local pointers. The rest of the reader
//! sees one document and nothing else.
//!
//! Pure: an [`Assembly`] says which files it still wants, and whoever may read files or the network
//! supplies them. A reference never leaves what was uploaded.

pub mod choose;
pub mod place;
pub mod resolve;
pub mod scan;
pub mod shown;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use url::Url;

use crate::openapi::bundle::place::Place;
use crate::openapi::bundle::resolve::Resources;
use crate::openapi::document::{self, Document};
use crate::openapi::finding::{Code, Findings};
use crate::openapi::keyword::weight;
use crate::openapi::pointer::escape;
use crate::openapi::{DocumentError, DocumentLimits};

/// The member of a bundle's root that holds the other files.
pub const MEMBER: &str = "x-causeway-bundle";

/// Files of one document.
pub const FILES_MAX: usize = 2_000;

/// A bundle is JSON again, whose parser stops at 127 levels; the files stand two levels below the
/// root.
const DEPTH_MAX: usize = 125;

/// One document as it came: its root and whatever else was sent with it.
#[derive(Clone, Debug, Default)]
pub struct SpecFiles {
    /// The name of the root; empty where it came alone and without one.
    pub root: String,
    /// The root and the others, by name; `/` between folders.
    pub files: BTreeMap<String, Bytes>,
    /// Where the root was found: what its references are relative to.
    pub url: Option<Url>,
}

impl SpecFiles {
    /// A document that came alone.
    pub fn single(bytes: Bytes, url: Option<Url>) -> Self {
        Self {
            root: String::new(),
            files: BTreeMap::from([(String::new(), bytes)]),
            url,
        }
    }

    fn place(&self) -> Place {
        match &self.url {
            Some(url) if self.files.len() == 1 => {
                let mut url = url.clone();
                url.set_fragment(None);
                Place::Url(url)
            }
            _ => Place::File(self.root.clone()),
        }
    }
}

/// Why a reference was not followed: said in place of the general message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub message: String,
    pub fix: Option<String>,
}

/// A bundle in the making.
pub struct Assembly {
    limits: DocumentLimits,
    document: Document,
    root: Place,
    /// Not read yet, because nothing refers to them so far.
    sources: BTreeMap<Place, Bytes>,
    /// Those among them that say by themselves, in `$self` or `$id`, what they are called.
    named: BTreeSet<Place>,
    /// Read; the root is not among them.
    files: BTreeMap<Place, Value>,
    refused: BTreeMap<Place, Refusal>,
    resources: Resources,
    findings: Findings,
}

impl Assembly {
    /// Reads a document that came alone.
    ///
    /// # Errors
    /// It is no document, or a limit is exceeded.
    pub fn single(bytes: &[u8], limits: &DocumentLimits) -> Result<Self, DocumentError> {
        Self::of_root("", bytes, limits)
    }

    /// Reads a root whose other files are supplied later.
    ///
    /// # Errors
    /// It is no document, or a limit is exceeded.
    pub fn of_root(
        name: &str,
        bytes: &[u8],
        limits: &DocumentLimits,
    ) -> Result<Self, DocumentError> {
        let place = Place::File(name.to_owned());
        Self::of((place, bytes), BTreeMap::new(), limits)
    }

    /// Reads the root, and every file that came with it and is referred to.
    ///
    /// # Errors
    /// The root is no document, or a limit is exceeded.
    pub fn start(mut source: SpecFiles, limits: &DocumentLimits) -> Result<Self, DocumentError> {
        let root = source.place();
        let bytes = source.files.remove(&source.root).unwrap_or_default();
        let others = source.files.into_iter();
        let others = others.map(|(name, bytes)| (Place::File(name), bytes));
        Self::of((root, &bytes), others.collect(), limits)
    }

    fn of(
        (root, bytes): (Place, &[u8]),
        sources: BTreeMap<Place, Bytes>,
        limits: &DocumentLimits,
    ) -> Result<Self, DocumentError> {
        let mut limits = limits.clone();
        if !sources.is_empty() {
            limits.depth_max = limits.depth_max.min(DEPTH_MAX);
        }
        let mut findings = Findings::default();
        let document = document::parse(bytes, &limits, &mut findings)?;
        limits.depth_max = limits.depth_max.min(DEPTH_MAX);
        limits.document_bytes_max = limits.document_bytes_max.saturating_sub(bytes.len());
        limits.nodes_max = limits.nodes_max.saturating_sub(weight(&document.root));
        let mut assembly = Self {
            limits,
            resources: Resources::of_root(&root, &document.root),
            document,
            root,
            named: named(&sources),
            sources,
            files: BTreeMap::new(),
            refused: BTreeMap::new(),
            findings,
        };
        assembly.pump()?;
        Ok(assembly)
    }

    /// The files that are referred to, are not here, and might be somewhere.
    pub fn wanted(&self) -> BTreeSet<Place> {
        let missing = self.resources.missing(|place| self.holds(place));
        missing
            .filter(|place| !self.refused.contains_key(place))
            .collect()
    }

    /// Reads a file that was wanted.
    ///
    /// # Errors
    /// A limit is exceeded.
    pub fn supply(&mut self, place: &Place, bytes: Bytes) -> Result<(), DocumentError> {
        self.read(place.clone(), &bytes)?;
        self.pump()
    }

    /// Bytes that may still be read.
    pub fn bytes_left(&self) -> usize {
        self.limits.document_bytes_max
    }

    /// Says why a file that is wanted does not come.
    pub fn refuse(&mut self, place: Place, message: String, fix: Option<&str>) {
        let fix = fix.map(str::to_owned);
        self.refused.insert(place, Refusal { message, fix });
    }

    fn holds(&self, place: &Place) -> bool {
        *place == self.root || self.files.contains_key(place) || self.sources.contains_key(place)
    }

    /// Reads what is referred to and is here, until that leads to nothing new. Then it may be that files
    /// say by themselves that they are what is missing.
    fn pump(&mut self) -> Result<(), DocumentError> {
        self.follow()?;
        if self.named.is_empty() || self.wanted().is_empty() {
            return Ok(());
        }
        for place in std::mem::take(&mut self.named) {
            self.take(place)?;
        }
        self.follow()
    }

    fn follow(&mut self) -> Result<(), DocumentError> {
        while let Some(place) = self
            .resources
            .next(|place| self.sources.contains_key(place))
        {
            self.take(place)?;
        }
        Ok(())
    }

    /// Reads a file that is here, if it was not read.
    fn take(&mut self, place: Place) -> Result<(), DocumentError> {
        match self.sources.remove(&place) {
            Some(bytes) => self.read(place, &bytes),
            None => Ok(()),
        }
    }

    fn read(&mut self, place: Place, bytes: &[u8]) -> Result<(), DocumentError> {
        if self.files.len() >= FILES_MAX {
            return Err(DocumentError::Budget {
                what: "files",
                limit: FILES_MAX,
            });
        }
        let mut found = Findings::default();
        match document::part(bytes, &self.limits, &mut found) {
            Ok(value) => {
                let left = &mut self.limits;
                left.document_bytes_max = left.document_bytes_max.saturating_sub(bytes.len());
                left.nodes_max = left.nodes_max.saturating_sub(weight(&value));
                for finding in found.finish() {
                    let pointer = format!("{}{}", pointer_of(&place), finding.pointer);
                    if let Some(code) = Code::of(&finding.code) {
                        self.findings.add(code, pointer, finding.message);
                    }
                }
                self.resources.add(&place, &value);
                self.files.insert(place, value);
                Ok(())
            }
            Err(DocumentError::TooLarge { .. }) => Err(DocumentError::Budget {
                what: "bytes in all files of the document that are left to read",
                limit: self.limits.document_bytes_max,
            }),
            Err(error @ DocumentError::Budget { .. }) => Err(error),
            Err(error) => {
                let message = format!("leads to {place}, which cannot be read: {error}");
                self.refuse(place, message, Some("Correct the file."));
                Ok(())
            }
        }
    }

    /// Puts the files together.
    pub fn finish(self) -> Bundle {
        let Self {
            mut document,
            root,
            mut files,
            refused,
            resources,
            mut findings,
            ..
        } = self;
        let resolved = resources.resolve((&root, &document.root), &files, &refused);
        for guess in resolved.guesses {
            findings.add(Code::RefGuessed, guess.0, guess.1);
        }
        for edit in resolved.edits {
            let file = if edit.file == root {
                Some(&mut document.root)
            } else {
                files.get_mut(&edit.file)
            };
            if let Some(slot) = file.and_then(|file| file.pointer_mut(&edit.pointer)) {
                *slot = Value::String(edit.reference);
            }
        }
        files.retain(|place, _| resolved.used.contains(place));
        let is_single = files.is_empty();
        if !is_single {
            embed(&mut document.root, &root, files);
        }
        Bundle {
            document,
            is_single,
            findings,
            refusals: resolved.refusals,
        }
    }
}

/// Puts the files under [`MEMBER`], beside those that a bundle had already.
fn embed(root: &mut Value, name: &Place, files: BTreeMap<Place, Value>) {
    let Value::Object(members) = root else {
        return;
    };
    let mut held = match members.shift_remove(MEMBER) {
        Some(Value::Object(mut member)) => match member.shift_remove("files") {
            Some(Value::Object(held)) => held,
            _ => Map::new(),
        },
        _ => Map::new(),
    };
    held.extend(
        files
            .into_iter()
            .map(|(place, value)| (place.to_string(), value)),
    );
    let member = json!({ "root": name.to_string(), "files": held });
    members.insert(MEMBER.to_owned(), member);
}

fn named(sources: &BTreeMap<Place, Bytes>) -> BTreeSet<Place> {
    let names_itself = |bytes: &Bytes| {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        text.contains("$self") || text.contains("$id")
    };
    let named = sources.iter().filter(|(_, bytes)| names_itself(bytes));
    named.map(|(place, _)| place.clone()).collect()
}

/// Where a file stands in a bundle.
fn pointer_of(place: &Place) -> String {
    format!("/{MEMBER}/files/{}", escape(&place.to_string()))
}

/// One document made of all its files.
#[derive(Debug)]
pub struct Bundle {
    pub document: Document,
    /// No other file was needed: what was uploaded is the document.
    pub is_single: bool,
    pub findings: Findings,
    /// By the place of the reference.
    pub refusals: HashMap<String, Refusal>,
}

impl Bundle {
    /// The document in JSON, the same for the same files.
    ///
    /// # Errors
    /// It is longer than a document may be.
    pub fn bytes(&self, limits: &DocumentLimits) -> Result<Vec<u8>, DocumentError> {
        let bytes = serde_json::to_vec(&self.document.root)
            .map_err(|error| DocumentError::Syntax(error.to_string()))?;
        if bytes.len() > limits.document_bytes_max {
            return Err(DocumentError::TooLarge {
                actual: bytes.len(),
                limit: limits.document_bytes_max,
            });
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hundreds_of_files_that_name_themselves_are_found_at_once() {
        let count = 400;
        let refs: Vec<Value> = (0..count)
            .flat_map(|at| {
                (0..20).map(
                    move |again| json!({"$ref": format!("https://x.example.com/{at}#/p{again}")}),
                )
            })
            .collect();
        let root = json!({"openapi": "3.1.0", "paths": {}, "x-all": refs}).to_string();
        let mut files = BTreeMap::from([("api.json".to_owned(), Bytes::from(root))]);
        for at in 0..count {
            let text =
                json!({"$id": format!("https://x.example.com/{at}"), "pad": "y".repeat(2_000)})
                    .to_string();
            files.insert(format!("part{at}.json"), Bytes::from(text));
        }
        let source = SpecFiles {
            root: "api.json".to_owned(),
            files,
            url: None,
        };
        let start = std::time::Instant::now();
        let assembly = Assembly::start(source, &DocumentLimits::default()).unwrap();
        assert_eq!(assembly.files.len(), count);
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }
}
