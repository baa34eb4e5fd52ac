//! Tags, which OpenAPI 3.2 lets stand below one another: an operation of a tag is one of the tags above
//! it too.

use indexmap::IndexMap;

use crate::openapi::Tag;
use crate::openapi::finding::{Code, quoted};
use crate::openapi::pointer::Located;
use crate::openapi::schema::Reading;

/// Levels of tags.
const LEVELS_MAX: usize = 16;

impl<'a> Reading<'a> {
    /// The tags the document declares, in its order. A parent that is not declared, or that would
    /// close a circle, is left out.
    pub fn tags(&mut self, root: &Located<'a>) -> IndexMap<String, Tag> {
        let mut tags: IndexMap<String, Tag> = IndexMap::new();
        let mut places = Vec::new();
        for at in root.get("tags").iter().flat_map(Located::items) {
            let Some(name) = at.text("name") else {
                continue;
            };
            let tag = Tag {
                summary: at.text("summary"),
                description: at.text("description"),
                parent: at.text("parent"),
                kind: at.text("kind"),
            };
            if tags.insert(name.clone(), tag).is_none() {
                places.push((name, at.pointer_to("parent")));
            }
        }
        for (name, place) in places {
            let fault = match tags[&name].parent.as_deref() {
                Some(parent) if !tags.contains_key(parent) => "is not declared",
                Some(_) if leads_back(&tags, &name) => "leads back to the tag, or is too deep",
                _ => continue,
            };
            let parent = tags[&name].parent.take().unwrap_or_default();
            let message = format!(
                "the parent {} of {} {fault}",
                quoted(&parent),
                quoted(&name)
            );
            self.findings.add(Code::TagParentInvalid, place, message);
        }
        tags
    }
}

fn leads_back(tags: &IndexMap<String, Tag>, name: &str) -> bool {
    let mut at = name;
    for _ in 0..LEVELS_MAX {
        match tags.get(at).and_then(|tag| tag.parent.as_deref()) {
            Some(parent) if parent != name => at = parent,
            Some(_) => return true,
            None => return false,
        }
    }
    true
}

/// An operation's tags, each followed by the tags above it, each once.
pub fn with_parents(tags: &IndexMap<String, Tag>, own: Vec<String>) -> Vec<String> {
    let mut all = own;
    let mut next = 0;
    while let Some(name) = all.get(next) {
        let parent = tags.get(name).and_then(|tag| tag.parent.clone());
        all.extend(parent.filter(|parent| !all.contains(parent)));
        next += 1;
    }
    all
}
