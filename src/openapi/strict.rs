//! The strict check of 3.0 documents, beside our own tolerant walk: each path item and component is
//! read alone by the crate `openapiv3`, so that one complaint does not hide the next.
//!
//! Where a part fails, its own parts are tried, and the complaint is reported at the innermost one:
//! the crate's message for the outer one would only say that nothing fits.

use openapiv3::{
    Example, Header, Link, Operation, Parameter, PathItem, RequestBody, Response, Schema,
    SecurityScheme,
};
use serde::Deserialize;
use serde_json::Value;

use crate::openapi::finding::{Code, Findings};
use crate::openapi::pointer::Located;

/// Complaints reported for one document.
const COMPLAINTS_MAX: usize = 1_000;

/// Parts looked at after a complaint, over the whole document.
const PARTS_MAX: usize = 100_000;

/// Adds what `openapiv3` says about a 3.0 document.
pub fn check(root: &Located<'_>, findings: &mut Findings) {
    let mut check = Check {
        complaints: Vec::new(),
        parts_left: PARTS_MAX,
    };
    for (template, item) in root.get("paths").iter().flat_map(Located::members) {
        if !template.starts_with("x-") {
            check.part(Part::PathItem, &item);
        }
    }
    let components = root.get("components");
    for (folder, part) in [
        ("schemas", Part::Schema),
        ("parameters", Part::Parameter),
        ("responses", Part::Response),
        ("requestBodies", Part::RequestBody),
        ("headers", Part::Header),
        ("securitySchemes", Part::SecurityScheme),
        ("examples", Part::Example),
        ("links", Part::Link),
    ] {
        let folder = components.as_ref().and_then(|at| at.get(folder));
        for (_, component) in folder.iter().flat_map(Located::members) {
            check.part(part, &component);
        }
    }
    let truncated = check.complaints.len() > COMPLAINTS_MAX || check.parts_left == 0;
    for (pointer, message) in check.complaints.into_iter().take(COMPLAINTS_MAX) {
        findings.add(Code::Strict30, pointer, message);
    }
    if truncated {
        let message = format!("only the first {COMPLAINTS_MAX} complaints are listed");
        findings.add(Code::Strict30Truncated, "", message);
    }
}

/// What a value is read as.
#[derive(Clone, Copy)]
enum Part {
    PathItem,
    Operation,
    Schema,
    Parameter,
    Response,
    RequestBody,
    Header,
    SecurityScheme,
    Example,
    Link,
}

struct Check {
    complaints: Vec<(String, String)>,
    parts_left: usize,
}

impl Check {
    fn part(&mut self, part: Part, at: &Located<'_>) {
        if self.complaints.len() > COMPLAINTS_MAX || at.value.get("$ref").is_some() {
            return;
        }
        if let Err(complaint) = part.read(at.value) {
            self.localize(part, at, complaint);
        }
    }

    /// Reports the complaint at the innermost part that has one.
    fn localize(&mut self, part: Part, at: &Located<'_>, complaint: String) {
        let before = self.complaints.len();
        for (inner, at) in part.inner(at) {
            if self.parts_left == 0 {
                break;
            }
            self.parts_left -= 1;
            self.part(inner, &at);
        }
        if self.complaints.len() == before {
            self.complaints.push((at.pointer.clone(), complaint));
        }
    }
}

impl Part {
    fn read(self, value: &Value) -> Result<(), String> {
        fn as_a<'v, T: Deserialize<'v>>(value: &'v Value) -> Result<(), String> {
            T::deserialize(value)
                .map(drop)
                .map_err(|error| error.to_string())
        }
        match self {
            Self::PathItem => as_a::<PathItem>(value),
            Self::Operation => as_a::<Operation>(value),
            Self::Schema => as_a::<Schema>(value),
            Self::Parameter => as_a::<Parameter>(value),
            Self::Response => as_a::<Response>(value),
            Self::RequestBody => as_a::<RequestBody>(value),
            Self::Header => as_a::<Header>(value),
            Self::SecurityScheme => as_a::<SecurityScheme>(value),
            Self::Example => as_a::<Example>(value),
            Self::Link => as_a::<Link>(value),
        }
    }

    /// The parts within a value that can be read alone.
    fn inner<'a>(self, at: &Located<'a>) -> Vec<(Self, Located<'a>)> {
        let mut parts = Vec::new();
        let mut one = |part: Self, key: &str| {
            parts.extend(at.get(key).map(|at| (part, at)));
        };
        match self {
            Self::PathItem => {
                for method in [
                    "get", "put", "post", "delete", "options", "head", "patch", "trace",
                ] {
                    one(Self::Operation, method);
                }
                listed(at, "parameters", Self::Parameter, &mut parts);
            }
            Self::Operation => {
                one(Self::RequestBody, "requestBody");
                listed(at, "parameters", Self::Parameter, &mut parts);
                named(at, "responses", Self::Response, &mut parts);
            }
            Self::Schema => {
                for key in ["items", "not", "additionalProperties"] {
                    one(Self::Schema, key);
                }
                for key in ["allOf", "anyOf", "oneOf"] {
                    listed(at, key, Self::Schema, &mut parts);
                }
                named(at, "properties", Self::Schema, &mut parts);
                parts.retain(|(_, at)| !at.value.is_boolean());
            }
            Self::Parameter | Self::Header => {
                one(Self::Schema, "schema");
                media(at, &mut parts);
                named(at, "examples", Self::Example, &mut parts);
            }
            Self::Response => {
                media(at, &mut parts);
                named(at, "headers", Self::Header, &mut parts);
                named(at, "links", Self::Link, &mut parts);
            }
            Self::RequestBody => media(at, &mut parts),
            Self::SecurityScheme | Self::Example | Self::Link => {}
        }
        parts
    }
}

fn listed<'a>(at: &Located<'a>, key: &str, part: Part, parts: &mut Vec<(Part, Located<'a>)>) {
    let list = at.get(key);
    parts.extend(list.iter().flat_map(Located::items).map(|at| (part, at)));
}

fn named<'a>(at: &Located<'a>, key: &str, part: Part, parts: &mut Vec<(Part, Located<'a>)>) {
    let map = at.get(key);
    let members = map.iter().flat_map(Located::members);
    let extension = |name: &str| name.starts_with("x-") && matches!(part, Part::Response);
    parts.extend(
        members
            .filter(|(name, _)| !extension(name))
            .map(|(_, at)| (part, at)),
    );
}

fn media<'a>(at: &Located<'a>, parts: &mut Vec<(Part, Located<'a>)>) {
    let content = at.get("content");
    for (_, media) in content.iter().flat_map(Located::members) {
        parts.extend(media.get("schema").map(|at| (Part::Schema, at)));
        named(&media, "examples", Part::Example, parts);
    }
}
