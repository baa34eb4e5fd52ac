//! What people read instead of pointers into a bundle: the file as it was uploaded, `#`, and the
//! pointer within it.

use std::borrow::Cow;

use serde_json::Value;

use crate::openapi::bundle::MEMBER;
use crate::openapi::pointer::{escape, unescape};

/// How places of one document are shown.
pub struct Shown {
    /// The root's name, if the document is a bundle and has one.
    root: Option<String>,
    is_bundle: bool,
}

/// The file and the pointer within it, if a pointer leads into another file of a bundle.
pub fn split(pointer: &str) -> Option<(Cow<'_, str>, &str)> {
    let rest = pointer.strip_prefix('/')?.strip_prefix(MEMBER)?;
    let rest = rest.strip_prefix("/files/")?;
    let end = rest.find('/').unwrap_or(rest.len());
    Some((unescape(&rest[..end]), &rest[end..]))
}

/// The name of a file without folders and without its extension.
pub fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split('.')
        .next()
        .filter(|stem| !stem.is_empty())
        .unwrap_or(name)
}

impl Shown {
    pub fn of(root: &Value) -> Self {
        let member = root.get(MEMBER);
        let name = member.and_then(|member| member.get("root")?.as_str());
        Self {
            root: name.filter(|name| !name.is_empty()).map(str::to_owned),
            is_bundle: member.is_some_and(|member| member["files"].is_object()),
        }
    }

    /// A pointer as it is shown: `paths/pets.yaml#/get`; a plain pointer in a single document.
    pub fn pointer(&self, pointer: &mut String) {
        if !self.is_bundle || !(pointer.is_empty() || pointer.starts_with('/')) {
            return;
        }
        if let Some((file, rest)) = split(pointer) {
            *pointer = format!("{file}#{rest}");
        } else if let Some(root) = &self.root {
            *pointer = format!("{root}#{pointer}");
        }
    }

    /// A message that quotes references as they stand in the bundle.
    pub fn message(&self, message: &mut String) {
        let prefix = format!("/{MEMBER}/files/");
        if !self.is_bundle || !message.contains(&prefix) {
            return;
        }
        let mut shown = String::with_capacity(message.len());
        let mut rest = message.as_str();
        while let Some(start) = rest.find(&prefix) {
            shown.push_str(rest[..start].trim_end_matches('#'));
            rest = &rest[start + prefix.len()..];
            let end = rest.find(['/', '`']).unwrap_or(rest.len());
            shown.push_str(&unescape(&rest[..end]));
            shown.push('#');
            rest = &rest[end..];
        }
        shown.push_str(rest);
        *message = shown;
    }
}

/// The reverse of [`Shown::pointer`]: a pointer into the bundle.
pub fn in_bundle(shown: &str, root: &str) -> Option<String> {
    let (file, pointer) = shown.split_once('#')?;
    if file == root {
        return Some(pointer.to_owned());
    }
    Some(format!("/{MEMBER}/files/{}{pointer}", escape(file)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_shown_as_file_and_pointer() {
        let bundle = json!({MEMBER: {"root": "api.yaml", "files": {}}});
        let shown = Shown::of(&bundle);
        for (pointer, expected) in [
            ("/paths/~1pets", "api.yaml#/paths/~1pets"),
            ("", "api.yaml#"),
            (
                "/x-causeway-bundle/files/paths~1pets.yaml",
                "paths/pets.yaml#",
            ),
            (
                "/x-causeway-bundle/files/p~1q.yaml/get/~1x",
                "p/q.yaml#/get/~1x",
            ),
        ] {
            let mut text = pointer.to_owned();
            shown.pointer(&mut text);
            assert_eq!(text, expected);
            assert_eq!(in_bundle(&text, "api.yaml").as_deref(), Some(pointer));
        }
        let mut text = "`#/x-causeway-bundle/files/a~1b.yaml/x` leads nowhere".to_owned();
        shown.message(&mut text);
        assert_eq!(text, "`a/b.yaml#/x` leads nowhere");
        let mut plain = "/paths".to_owned();
        Shown::of(&json!({})).pointer(&mut plain);
        assert_eq!(plain, "/paths");
    }
}
