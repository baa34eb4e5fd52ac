//! The strict check of 3.0 documents, beside our own tolerant walk: each path item and component is
//! read alone by the crate `openapiv3`, so that one complaint does not hide the next.
//!
//! A part is read without the parts within it, which are read by themselves: a complaint stands where
//! its cause is, and the crate, which tries a schema again for each kind it might be, tries one level
//! and not all levels below it.

use openapiv3::{
    Example, Header, Link, Operation, Parameter, PathItem, RequestBody, Response, Schema,
    SecurityScheme,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::openapi::finding::{Code, Findings};
use crate::openapi::pointer::{At, Located};

/// Complaints reported for one document.
const COMPLAINTS_MAX: usize = 1_000;

/// Parts looked at, over the whole document.
const PARTS_MAX: usize = 1_000_000;

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
    /// Reads a part without the parts within it, then those.
    fn part(&mut self, part: Part, at: &Located<'_>) {
        let referring = part.may_refer() && at.value.get("$ref").is_some_and(Value::is_string);
        if self.complaints.len() > COMPLAINTS_MAX || self.parts_left == 0 || referring {
            return;
        }
        self.parts_left -= 1;
        let mut inner = Vec::new();
        let alone = alone(at.value, &At::Base(&at.pointer), part.places(), &mut inner);
        if let Err(complaint) = part.read(&alone) {
            self.complaints.push((at.pointer.clone(), complaint));
        }
        for (part, at) in inner {
            self.part(part, &at);
        }
    }
}

/// A value with stubs in the places of the parts within it, which go to `inner`.
fn alone<'a>(
    value: &'a Value,
    at: &At<'_>,
    places: &[Place],
    inner: &mut Vec<(Part, Located<'a>)>,
) -> Value {
    let mut step = |key: &str, member: &'a Value, at: &At<'_>| {
        let leads = |first: &str| match first {
            "*" => true,
            // Extensions stand beside what is named.
            "~" => !key.starts_with("x-"),
            first => first == key,
        };
        let here = places.iter().filter_map(|(path, part)| {
            let (first, rest) = path.split_first()?;
            leads(first).then_some((rest, *part))
        });
        let here: Vec<Place> = here.collect();
        match here.iter().find(|(rest, _)| rest.is_empty()) {
            // `true` and `false` are schemas in some places, and for the whole to judge.
            Some((_, part)) if !member.is_boolean() => {
                let pointer = at.to_string();
                let value = member;
                inner.push((*part, Located { value, pointer }));
                part.stub()
            }
            _ if here.is_empty() => member.clone(),
            _ => alone(member, at, &here, inner),
        }
    };
    match value {
        Value::Object(members) => {
            let members = members.iter();
            let members = members.map(|(key, m)| (key.clone(), step(key, m, &at.key(key))));
            Value::Object(members.collect())
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            let items = items.map(|(index, item)| step(ITEM, item, &at.index(index)));
            Value::Array(items.collect())
        }
        scalar => scalar.clone(),
    }
}

/// Stands for the index of an item, which no place names.
const ITEM: &str = "";

/// Where within a part another stands: keys, `*` for any and `~` for any but extensions.
type Place = (&'static [&'static str], Part);

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

    /// What stands in the place of a part: the least that can be read as one.
    fn stub(self) -> Value {
        match self {
            Self::PathItem => json!({}),
            Self::Operation => json!({"responses": {}}),
            _ => json!({"$ref": "#"}),
        }
    }

    /// Whether a reference may stand for it.
    fn may_refer(self) -> bool {
        !matches!(self, Self::PathItem | Self::Operation)
    }

    /// The parts within a part that can be read alone.
    fn places(self) -> &'static [Place] {
        match self {
            Self::PathItem => &[
                (&["get"], Self::Operation),
                (&["put"], Self::Operation),
                (&["post"], Self::Operation),
                (&["delete"], Self::Operation),
                (&["options"], Self::Operation),
                (&["head"], Self::Operation),
                (&["patch"], Self::Operation),
                (&["trace"], Self::Operation),
                (&["parameters", "*"], Self::Parameter),
            ],
            Self::Operation => &[
                (&["requestBody"], Self::RequestBody),
                (&["parameters", "*"], Self::Parameter),
                (&["responses", "~"], Self::Response),
                (&["callbacks", "~", "~"], Self::PathItem),
            ],
            Self::Schema => &[
                (&["items"], Self::Schema),
                (&["not"], Self::Schema),
                (&["additionalProperties"], Self::Schema),
                (&["allOf", "*"], Self::Schema),
                (&["anyOf", "*"], Self::Schema),
                (&["oneOf", "*"], Self::Schema),
                (&["properties", "*"], Self::Schema),
            ],
            Self::Parameter | Self::Header => &[
                (&["schema"], Self::Schema),
                (&["examples", "*"], Self::Example),
                (&["content", "*", "schema"], Self::Schema),
                (&["content", "*", "examples", "*"], Self::Example),
                (
                    &["content", "*", "encoding", "*", "headers", "*"],
                    Self::Header,
                ),
            ],
            Self::Response => &[
                (&["headers", "*"], Self::Header),
                (&["links", "*"], Self::Link),
                (&["content", "*", "schema"], Self::Schema),
                (&["content", "*", "examples", "*"], Self::Example),
                (
                    &["content", "*", "encoding", "*", "headers", "*"],
                    Self::Header,
                ),
            ],
            Self::RequestBody => &[
                (&["content", "*", "schema"], Self::Schema),
                (&["content", "*", "examples", "*"], Self::Example),
                (
                    &["content", "*", "encoding", "*", "headers", "*"],
                    Self::Header,
                ),
            ],
            Self::SecurityScheme | Self::Example | Self::Link => &[],
        }
    }
}
