//! From references between files to local pointers. Bases are those of JSON Schema 2020-12 (`$id`)
//! and OpenAPI 3.2 (`$self`); where they lead nowhere, the file's own place is the base, because most
//! tools never look at an `$id`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::openapi::bundle::place::{NoPlace, Place};
use crate::openapi::bundle::scan::{self, Found, Use};
use crate::openapi::bundle::{Refusal, pointer_of};
use crate::openapi::finding::quoted;
use crate::openapi::pointer::{At, Located, resolve};

/// Places that are named; a document with more has other faults.
const NAMED_MAX: usize = 50_000;

/// A file, or a schema in it that has an `$id`: what references within it are relative to.
struct Resource {
    base: Place,
    file: Place,
    pointer: String,
}

/// A reference that is not local to the root.
struct Reference {
    text: String,
    how: Use,
    resource: usize,
    /// Of the text, within its file.
    pointer: String,
    /// Of the object it stands in.
    holder: String,
}

/// What the files name, and what they refer to.
pub struct Resources {
    root: Place,
    resources: Vec<Resource>,
    by_place: HashMap<Place, usize>,
    anchors: HashMap<(usize, String), String>,
    references: Vec<Reference>,
    /// References before this one lead nowhere that could still be read.
    looked_at: usize,
}

/// A reference to be written anew.
pub struct Edit {
    pub file: Place,
    pub pointer: String,
    pub reference: String,
}

/// What became of all references.
#[derive(Default)]
pub struct Resolved {
    pub edits: Vec<Edit>,
    /// The files that the root refers to, directly or not.
    pub used: HashSet<Place>,
    /// Where, and what was guessed.
    pub guesses: Vec<(String, String)>,
    pub refusals: HashMap<String, Refusal>,
}

impl Resources {
    pub fn of_root(place: &Place, value: &Value) -> Self {
        let mut resources = Self {
            root: place.clone(),
            resources: Vec::new(),
            by_place: HashMap::new(),
            anchors: HashMap::new(),
            references: Vec::new(),
            looked_at: 0,
        };
        resources.add(place, value);
        resources
    }

    /// Takes in one file.
    pub fn add(&mut self, place: &Place, value: &Value) {
        let own = value.get("$self").and_then(Value::as_str);
        let base = own.and_then(|own| place.join(own).ok());
        let index = self.resources.len();
        self.resources.push(Resource {
            base: base.clone().unwrap_or_else(|| place.clone()),
            file: place.clone(),
            pointer: String::new(),
        });
        self.by_place.entry(place.clone()).or_insert(index);
        if let Some(base) = base {
            self.by_place.entry(base).or_insert(index);
        }
        let is_root = value.get("openapi").is_some() || value.get("swagger").is_some();
        scan::scan(value, index, is_root, self);
    }

    /// The next file that is here and referred to, but not read.
    pub fn next(&mut self, is_here: impl Fn(&Place) -> bool) -> Option<Place> {
        while let Some(reference) = self.references.get(self.looked_at) {
            let mut candidates = self.candidates(reference).into_iter().flatten();
            if let Some(place) = candidates.find(|place| is_here(place))
                && !self.by_place.contains_key(&place)
            {
                return Some(place);
            }
            self.looked_at += 1;
        }
        None
    }

    /// Places that are referred to and that nothing is known of.
    pub fn missing(&self, is_here: impl Fn(&Place) -> bool) -> impl Iterator<Item = Place> {
        self.references
            .iter()
            // A bare word is a component's name rather than a file's.
            .filter(|reference| {
                reference.how == Use::Reference && reference.text.contains(['/', '.'])
            })
            .filter_map(move |reference| {
                let candidates = self.candidates(reference);
                let known = |place: &Place| self.by_place.contains_key(place) || is_here(place);
                if candidates.iter().flatten().any(known) {
                    return None;
                }
                let web = |place: &Place| match place {
                    Place::File(name) => !name.is_empty(),
                    Place::Url(url) => matches!(url.scheme(), "http" | "https"),
                };
                candidates.into_iter().flatten().find(web)
            })
    }

    /// The files of an upload that this one refers to.
    pub fn named_files(&self, upload: &BTreeMap<String, Bytes>) -> BTreeSet<String> {
        let candidates = self
            .references
            .iter()
            .map(|reference| self.candidates(reference));
        let files = candidates.filter_map(|candidates| {
            candidates
                .into_iter()
                .flatten()
                .find_map(|place| match place {
                    Place::File(name) if upload.contains_key(&name) => Some(name),
                    _ => None,
                })
        });
        files.collect()
    }

    /// Where a reference may lead, the best first.
    fn candidates(&self, reference: &Reference) -> [Option<Place>; 3] {
        let resource = &self.resources[reference.resource];
        let by_base = resource.base.join(&reference.text).ok();
        if resource.base == resource.file {
            let literal = resource.file.join_literally(&reference.text).ok();
            return [
                literal.filter(|place| Some(place) != by_base.as_ref()),
                by_base,
                None,
            ];
        }
        let by_file = resource.file.join(&reference.text).ok();
        let literal = resource.file.join_literally(&reference.text).ok();
        [by_base, by_file, literal]
    }

    /// Finds what every reference leads to.
    pub fn resolve(
        &self,
        root: (&Place, &Value),
        files: &BTreeMap<Place, Value>,
        refused: &BTreeMap<Place, Refusal>,
    ) -> Resolved {
        let mut resolved = Resolved::default();
        let mut edges: HashMap<Place, HashSet<Place>> = HashMap::new();
        for reference in &self.references {
            let resource = &self.resources[reference.resource];
            let holder = self.in_bundle(&resource.file, &reference.holder);
            match self.target(reference, root, files) {
                Some(Target {
                    file,
                    pointer,
                    guessed,
                }) => {
                    let pointer = self.in_bundle(&file, &pointer);
                    edges.entry(resource.file.clone()).or_default().insert(file);
                    if guessed && reference.how == Use::Reference {
                        let message = format!(
                            "{} is not in this file; it is taken as that of the root",
                            quoted(&reference.text)
                        );
                        resolved.guesses.push((holder, message));
                    }
                    resolved.edits.push(Edit {
                        file: resource.file.clone(),
                        pointer: reference.pointer.clone(),
                        reference: format!("#{pointer}"),
                    });
                }
                None if reference.how == Use::Reference => {
                    let refusal = self.refusal(reference, refused);
                    resolved.refusals.insert(holder, refusal);
                }
                None => {}
            }
        }
        resolved.used = reached(root.0, &edges);
        resolved
    }

    fn in_bundle(&self, file: &Place, pointer: &str) -> String {
        if *file == self.root {
            pointer.to_owned()
        } else {
            format!("{}{pointer}", pointer_of(file))
        }
    }

    fn target(
        &self,
        reference: &Reference,
        (root_place, root): (&Place, &Value),
        files: &BTreeMap<Place, Value>,
    ) -> Option<Target> {
        let (address, fragment) = reference
            .text
            .split_once('#')
            .unwrap_or((&reference.text, ""));
        let address = address.trim();
        if address.is_empty() {
            return self.local(reference, fragment, (root_place, root), files);
        }
        let known = |place: Place| self.by_place.get(&place).copied();
        let index = self
            .candidates(reference)
            .into_iter()
            .flatten()
            .find_map(known)?;
        let resource = &self.resources[index];
        Some(Target {
            file: resource.file.clone(),
            pointer: self.fragment(index, fragment)?,
            guessed: false,
        })
    }

    /// A reference within its own file; else, because many are written so, within the root.
    fn local(
        &self,
        reference: &Reference,
        fragment: &str,
        (root_place, root): (&Place, &Value),
        files: &BTreeMap<Place, Value>,
    ) -> Option<Target> {
        let resource = &self.resources[reference.resource];
        let file = resource.file.clone();
        let value = files.get(&file)?;
        let whole = self.by_place.get(&file).copied()?;
        let leads = |pointer: &String| resolve(&Located::root(value), pointer).is_some();
        let within = [reference.resource, whole].into_iter();
        let mut within = within.filter_map(|index| self.fragment(index, fragment));
        if let Some(pointer) = within.find(leads) {
            return Some(Target {
                file,
                pointer,
                guessed: false,
            });
        }
        if resolve(&Located::root(root), fragment).is_some() {
            let (file, pointer) = (root_place.clone(), fragment.to_owned());
            return Some(Target {
                file,
                pointer,
                guessed: true,
            });
        }
        // It leads nowhere, and the reader says so at the place it would be.
        let pointer = fragment.to_owned();
        let is_pointer = pointer.is_empty() || pointer.starts_with('/');
        is_pointer.then_some(Target {
            file,
            pointer,
            guessed: false,
        })
    }

    /// Where a fragment leads within a resource: a pointer, or an anchor.
    fn fragment(&self, index: usize, fragment: &str) -> Option<String> {
        let base = &self.resources[index].pointer;
        if fragment.is_empty() || fragment.starts_with('/') {
            return Some(format!("{base}{fragment}"));
        }
        let name = percent_decode_str(fragment).decode_utf8().ok()?;
        self.anchors.get(&(index, name.into_owned())).cloned()
    }

    fn refusal(&self, reference: &Reference, refused: &BTreeMap<Place, Refusal>) -> Refusal {
        let text = quoted(&reference.text);
        let known = |place: &Place| refused.get(place);
        let candidates = self.candidates(reference);
        if let Some(refusal) = candidates.iter().flatten().find_map(known) {
            return Refusal {
                message: format!("the reference {text} {}", refusal.message),
                fix: refusal.fix.clone(),
            };
        }
        let resource = &self.resources[reference.resource];
        let message = match resource.base.join(&reference.text) {
            Err(NoPlace::Outside) => {
                format!("the reference {text} leads out of what was uploaded")
            }
            Err(NoPlace::Unsupported) => format!("the reference {text} is no address of a file"),
            Ok(Place::Url(_)) => {
                format!("the reference {text} leads to another address, which was not fetched")
            }
            Ok(Place::File(name)) if self.by_place.contains_key(&Place::File(name.clone())) => {
                format!(
                    "the reference {text} names an anchor that is not in {}",
                    quoted(&name)
                )
            }
            Ok(Place::File(name)) => {
                format!(
                    "the reference {text} leads to {}, which is not among the files of this document",
                    quoted(&name)
                )
            }
        };
        Refusal { message, fix: None }
    }
}

fn reached(root: &Place, edges: &HashMap<Place, HashSet<Place>>) -> HashSet<Place> {
    let mut reached = HashSet::new();
    let mut left = vec![root];
    while let Some(place) = left.pop() {
        for next in edges.get(place).into_iter().flatten() {
            if next != root && reached.insert(next.clone()) {
                left.push(next);
            }
        }
    }
    reached
}

struct Target {
    file: Place,
    pointer: String,
    /// It was looked for in the file, and found in the root.
    guessed: bool,
}

impl Found for Resources {
    fn resource(&mut self, id: &str, outer: usize, at: &At<'_>) -> usize {
        let Ok(base) = self.resources[outer].base.join(id) else {
            return outer;
        };
        let pointer = at.to_string();
        if pointer.is_empty() {
            self.resources[outer].base = base.clone();
            self.by_place.entry(base).or_insert(outer);
            return outer;
        }
        if self.resources.len() >= NAMED_MAX {
            return outer;
        }
        let index = self.resources.len();
        self.resources.push(Resource {
            base: base.clone(),
            file: self.resources[outer].file.clone(),
            pointer,
        });
        self.by_place.entry(base).or_insert(index);
        index
    }

    fn anchor(&mut self, name: &str, resource: usize, at: &At<'_>) {
        if self.anchors.len() < NAMED_MAX {
            let key = (resource, name.to_owned());
            self.anchors.entry(key).or_insert_with(|| at.to_string());
        }
    }

    fn reference(&mut self, text: &str, how: Use, resource: usize, place: (&At<'_>, &At<'_>)) {
        let file = &self.resources[resource].file;
        // What is local to the root stays as it is.
        if *file == self.root && text.trim_start().starts_with('#') {
            return;
        }
        let is_address = text.contains(['/', '.', '#']);
        if how == Use::Mention && !is_address {
            return;
        }
        self.references.push(Reference {
            text: text.trim().to_owned(),
            how,
            resource,
            pointer: place.0.to_string(),
            holder: place.1.to_string(),
        });
    }
}
