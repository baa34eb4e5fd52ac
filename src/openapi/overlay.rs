//! OpenAPI Overlays 1.0 and 1.1: changes that an owner makes to a document of somebody else, applied
//! before it is read. Bounded in actions, in places they change and in what they add.
//!
//! The targets see one document: files of a bundle stand under `x-causeway-bundle`.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::openapi::DocumentLimits;
use crate::openapi::document;
use crate::openapi::finding::{Code, Findings, quoted};
use crate::openapi::keyword::weight;
use crate::openapi::query::{Exceeded, Patience, Query};

/// Bytes of one overlay.
pub const OVERLAY_BYTES_MAX: usize = 1 << 20;
/// Overlays of one document.
pub const OVERLAYS_MAX: usize = 20;
const ACTIONS_MAX: usize = 1_000;
const TARGET_BYTES_MAX: usize = 1_024;
/// Values that the targets of one overlay may look at.
const LOOKS_MAX: usize = 20_000_000;
/// Places that one overlay may change.
const PLACES_MAX: usize = 200_000;

/// Why an overlay is none.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    #[error("it is no JSON or YAML: {0}")]
    Syntax(String),
    #[error("it has no `overlay: 1.0.0` or 1.1.0 at its root")]
    Version,
    #[error("{0}")]
    Shape(String),
    #[error("it has {actual} {what}; at most {limit} are applied")]
    Limit {
        what: &'static str,
        actual: usize,
        limit: usize,
    },
    #[error("action {}: the target {}: {reason}", .index + 1, quoted(.target))]
    Target {
        index: usize,
        target: String,
        reason: String,
    },
}

/// An overlay, read.
#[derive(Debug)]
pub struct Overlay {
    actions: Vec<Action>,
}

#[derive(Debug)]
struct Action {
    index: usize,
    target: String,
    path: Query,
    change: Change,
}

#[derive(Debug)]
enum Change {
    Update(Value),
    Remove,
    /// 1.1: what stands at the other place is merged into each target.
    Copy(Query, String),
}

#[derive(Deserialize)]
struct Written {
    overlay: Option<Value>,
    #[serde(default)]
    actions: Vec<WrittenAction>,
}

#[derive(Deserialize)]
struct WrittenAction {
    target: String,
    update: Option<Value>,
    #[serde(default)]
    remove: bool,
    copy: Option<String>,
}

impl Overlay {
    /// Reads an overlay, JSON or YAML.
    ///
    /// # Errors
    /// What makes it none.
    pub fn parse(bytes: &[u8]) -> Result<Self, OverlayError> {
        let limits = DocumentLimits {
            document_bytes_max: OVERLAY_BYTES_MAX,
            ..DocumentLimits::default()
        };
        let value = document::part(bytes, &limits, &mut Findings::default())
            .map_err(|error| OverlayError::Syntax(error.to_string()))?;
        let written: Written = serde_json::from_value(value)
            .map_err(|error| OverlayError::Shape(error.to_string()))?;
        let version = written.overlay.as_ref().and_then(Value::as_str);
        if !version.is_some_and(|version| version.starts_with("1.0") || version.starts_with("1.1"))
        {
            return Err(OverlayError::Version);
        }
        if written.actions.len() > ACTIONS_MAX {
            return Err(OverlayError::Limit {
                what: "actions",
                actual: written.actions.len(),
                limit: ACTIONS_MAX,
            });
        }
        let actions = written.actions.into_iter().enumerate();
        let actions = actions.filter_map(|(index, action)| action.read(index).transpose());
        Ok(Self {
            actions: actions.collect::<Result<_, _>>()?,
        })
    }

    /// Applies every action in order. `name` is what findings call the overlay.
    ///
    /// # Errors
    /// It changes more places, or adds more, than a document may have.
    pub fn apply(
        &self,
        name: &str,
        root: &mut Value,
        (limits, findings): (&DocumentLimits, &mut Findings),
    ) -> Result<(), OverlayError> {
        let mut budget = Budget {
            places: PLACES_MAX,
            nodes: limits.nodes_max,
            nodes_max: limits.nodes_max,
            patience: Patience::new(LOOKS_MAX),
        };
        for action in &self.actions {
            if let Some(message) = action.apply(root, &mut budget)? {
                let pointer = format!("{name}#/actions/{}", action.index);
                findings.add(Code::OverlayUnmatched, pointer, message);
            }
        }
        Ok(())
    }
}

struct Budget {
    places: usize,
    nodes: usize,
    nodes_max: usize,
    patience: Patience,
}

impl Budget {
    fn pointers(&self, path: &Query, root: &Value) -> Result<Vec<String>, OverlayError> {
        let found = path.pointers(root, &self.patience);
        found.map_err(|Exceeded| OverlayError::Limit {
            what: "values its targets look at",
            actual: LOOKS_MAX + 1,
            limit: LOOKS_MAX,
        })
    }

    fn take(&mut self, nodes: usize) -> Result<(), OverlayError> {
        let places = self.places.checked_sub(1);
        self.places = places.ok_or(OverlayError::Limit {
            what: "places it changes",
            actual: PLACES_MAX + 1,
            limit: PLACES_MAX,
        })?;
        let left = self.nodes.checked_sub(nodes);
        self.nodes = left.ok_or(OverlayError::Limit {
            what: "values it adds",
            actual: self.nodes_max + 1,
            limit: self.nodes_max,
        })?;
        Ok(())
    }
}

impl WrittenAction {
    /// `None`: it changes nothing.
    fn read(self, index: usize) -> Result<Option<Action>, OverlayError> {
        let path = path(index, &self.target)?;
        // `remove` wins over what stands beside it (section 4.4.3).
        let change = if self.remove {
            Change::Remove
        } else if let Some(from) = self.copy {
            Change::Copy(self::path(index, &from)?, from)
        } else if let Some(update) = self.update {
            Change::Update(update)
        } else {
            return Ok(None);
        };
        Ok(Some(Action {
            index,
            target: self.target,
            path,
            change,
        }))
    }
}

fn path(index: usize, target: &str) -> Result<Query, OverlayError> {
    let refuse = |reason: String| OverlayError::Target {
        index,
        target: target.to_owned(),
        reason,
    };
    if target.len() > TARGET_BYTES_MAX {
        return Err(refuse(format!(
            "it is longer than {TARGET_BYTES_MAX} bytes"
        )));
    }
    target.parse().map_err(refuse)
}

impl Action {
    /// Answers what it did not find.
    fn apply(&self, root: &mut Value, budget: &mut Budget) -> Result<Option<String>, OverlayError> {
        let places = budget.pointers(&self.path, root)?;
        if places.is_empty() {
            let target = quoted(&self.target);
            return Ok(Some(format!("the target {target} matches nothing")));
        }
        match &self.change {
            // From the last one on, so that the places of the others stay what they are.
            Change::Remove => {
                for place in places.iter().rev() {
                    budget.take(0)?;
                    remove(root, place);
                }
            }
            Change::Update(update) => merge_into(root, &places, update, budget)?,
            Change::Copy(from, text) => {
                let sources = budget.pointers(from, root)?;
                let [source] = &sources[..] else {
                    let (from, count) = (quoted(text), sources.len());
                    let message = format!("{from}, to copy, matches {count} places instead of one");
                    return Ok(Some(message));
                };
                let value = root.pointer(source).cloned().unwrap_or_default();
                merge_into(root, &places, &value, budget)?;
            }
        }
        Ok(None)
    }
}

fn merge_into(
    root: &mut Value,
    places: &[String],
    update: &Value,
    budget: &mut Budget,
) -> Result<(), OverlayError> {
    let nodes = weight(update);
    for place in places {
        budget.take(nodes)?;
        if let Some(target) = root.pointer_mut(place) {
            merge(target, update);
        }
    }
    Ok(())
}

/// Objects are merged member by member, lists are concatenated, and everything else is replaced. An
/// update of a list that is no list itself is one more item of it (1.0, section 4.4.3.1).
fn merge(target: &mut Value, update: &Value) {
    match (target, update) {
        (Value::Object(members), Value::Object(more)) => {
            for (key, value) in more {
                merge_member(members, key, value);
            }
        }
        (Value::Array(items), Value::Array(more)) => items.extend(more.iter().cloned()),
        (Value::Array(items), more) => items.push(more.clone()),
        (target, update) => *target = update.clone(),
    }
}

fn merge_member(members: &mut Map<String, Value>, key: &str, value: &Value) {
    match members.get_mut(key) {
        Some(target) if !target.is_array() || value.is_array() => merge(target, value),
        // A member that was a list and becomes something else is replaced.
        _ => {
            members.insert(key.to_owned(), value.clone());
        }
    }
}

fn remove(root: &mut Value, pointer: &str) {
    let Some((parent, last)) = pointer.rsplit_once('/') else {
        return;
    };
    let key = crate::openapi::pointer::unescape(last);
    match root.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            members.shift_remove(&*key);
        }
        Some(Value::Array(items)) => {
            if let Some(index) = key.parse().ok().filter(|index| *index < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(overlay: &Value, root: &Value) -> (Value, Vec<String>) {
        let overlay = Overlay::parse(overlay.to_string().as_bytes()).unwrap();
        let (mut root, mut findings) = (root.clone(), Findings::default());
        let limits = DocumentLimits::default();
        overlay
            .apply("overlay", &mut root, (&limits, &mut findings))
            .unwrap();
        let found = findings.finish().into_iter();
        (root, found.map(|finding| finding.message).collect())
    }

    fn one(action: &Value, root: &Value) -> Value {
        let overlay = json!({"overlay": "1.1.0", "info": {}, "actions": [action]});
        let (root, findings) = applied(&overlay, root);
        assert_eq!(findings, [""; 0], "{action}");
        root
    }

    #[test]
    fn actions_update_remove_and_copy() {
        let root =
            json!({"a": {"x": 1, "l": [1]}, "b": {"x": 2}, "list": [{"k": 1}, {"k": 2}, {"k": 1}]});
        let update = json!({"target": "$.a", "update": {"x": 3, "y": {"z": 1}, "l": [2]}});
        assert_eq!(
            one(&update, &root)["a"],
            json!({"x": 3, "l": [1, 2], "y": {"z": 1}})
        );
        let many = json!({"target": "$[?@.x]", "update": {"n": 1}});
        assert_eq!(one(&many, &root)["b"], json!({"x": 2, "n": 1}));
        let item = json!({"target": "$.list", "update": {"k": 9}});
        assert_eq!(one(&item, &root)["list"][3], json!({"k": 9}));
        let remove = json!({"target": "$.list[?@.k == 1]", "remove": true, "update": 1});
        assert_eq!(one(&remove, &root)["list"], json!([{"k": 2}]));
        let items = json!({"target": "$.list[2,0]", "remove": true});
        assert_eq!(one(&items, &root)["list"], json!([{"k": 2}]));
        let everywhere = json!({"target": "$..x", "remove": true});
        assert_eq!(one(&everywhere, &root)["b"], json!({}));
        let copy = json!({"target": "$.b", "copy": "$.a"});
        assert_eq!(one(&copy, &root)["b"], json!({"x": 1, "l": [1]}));
    }

    #[test]
    fn what_matches_nothing_is_a_finding_and_nonsense_is_refused() {
        let overlay = json!({"overlay": "1.0.0", "actions": [
            {"target": "$.nowhere", "remove": true}, {"target": "$.a", "copy": "$.nowhere"}]});
        let (root, findings) = applied(&overlay, &json!({"a": 1}));
        assert_eq!(root, json!({"a": 1}));
        assert_eq!(findings.len(), 2, "{findings:?}");
        for (text, said) in [
            ("x: 1", "no `overlay"),
            ("overlay: 2.0.0", "no `overlay"),
            ("overlay: 1.0.0\nactions: 3", "invalid type"),
            (
                "overlay: 1.0.0\nactions: [{target: 'no path', remove: true}]",
                "action 1",
            ),
            ("\0", "no JSON or YAML"),
        ] {
            let error = Overlay::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn an_overlay_cannot_grow_a_document_without_end() {
        let actions: Vec<Value> = (0..40)
            .map(|_| json!({"target": "$", "copy": "$"}))
            .collect();
        let mut root = json!({"a": [1, 2, 3]});
        let text = json!({"overlay": "1.1.0", "actions": actions}).to_string();
        let overlay = Overlay::parse(text.as_bytes()).unwrap();
        let limits = DocumentLimits {
            nodes_max: 1_000,
            ..DocumentLimits::default()
        };
        let error = overlay
            .apply("o", &mut root, (&limits, &mut Findings::default()))
            .unwrap_err();
        assert!(error.to_string().contains("values it adds"), "{error}");
    }

    #[test]
    fn a_target_takes_no_longer_than_it_may() {
        let mut chain = json!({"end": 1});
        for _ in 0..40 {
            chain = json!({"a": chain});
        }
        let list: Vec<Value> = (0..400).map(|at| json!([at])).collect();
        let root = json!({"chain": chain, "list": list});
        let doubled = format!("$.chain{}", "[*,*]".repeat(40));
        let action = json!({"target": doubled, "update": {"x": 1}});
        one(&action, &root);
        let nested = (0..4).fold("@".to_owned(), |inner, _| {
            format!("count($.list[?{inner}]) > 0")
        });
        let action = json!({"target": format!("$.list[?{nested}]"), "remove": true});
        let overlay = json!({"overlay": "1.0.0", "actions": [action]}).to_string();
        let overlay = Overlay::parse(overlay.as_bytes()).unwrap();
        let mut budget = Budget {
            places: PLACES_MAX,
            nodes: 0,
            nodes_max: 0,
            patience: Patience::new(1_000_000),
        };
        let refused = overlay.actions[0].apply(&mut root.clone(), &mut budget);
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("targets look at"), "{error}");
    }
}
