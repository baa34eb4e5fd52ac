//! Where a file of a document is: under a name in what was uploaded, or at a URL. References are
//! resolved from one place to the next, and never out of the upload.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::Url;

/// The place of one file. Its text is what findings and the bundle call it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A name within the upload, `/` between folders. Empty: a document that came without a name.
    File(String),
    Url(Url),
}

/// Why a reference leads to no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// An absolute path, or `..` above the root of the upload.
    Outside,
    /// A URL of another scheme than http and https, or none at all.
    Unsupported,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(name) => f.write_str(name),
            Self::Url(url) => f.write_str(url.as_str()),
        }
    }
}

impl Place {
    /// What a URI names: itself if it is absolute, else what it is from here. The fragment is left
    /// out.
    ///
    /// # Errors
    /// It leads out of the upload, or somewhere no document can be.
    pub fn join(&self, reference: &str) -> Result<Self, NoPlace> {
        let address = reference.split('#').next().unwrap_or_default().trim();
        if address.is_empty() {
            return Ok(self.clone());
        }
        if let Some(url) = absolute(address) {
            return url;
        }
        match self {
            Self::Url(base) => {
                let url = base.join(address).map_err(|_| NoPlace::Unsupported)?;
                web(url)
            }
            Self::File(name) => {
                let decoded = percent_decode_str(address).decode_utf8_lossy();
                within(name, &decoded).map(Self::File)
            }
        }
    }

    /// The same without percent-decoding: file names may hold a `%`.
    pub fn join_literally(&self, reference: &str) -> Result<Self, NoPlace> {
        let address = reference.split('#').next().unwrap_or_default().trim();
        match self {
            Self::File(name) if absolute(address).is_none() => {
                within(name, address).map(Self::File)
            }
            _ => self.join(reference),
        }
    }
}

/// A URL with a scheme of its own. One letter before `:` is a drive of Windows.
fn absolute(address: &str) -> Option<Result<Place, NoPlace>> {
    let (scheme, _) = address.split_once(':')?;
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if scheme.len() == 1 && address[1..].starts_with([':']) && address[2..].starts_with(['/', '\\'])
    {
        return Some(Err(NoPlace::Outside));
    }
    is_scheme.then(|| Url::parse(address).map_or(Err(NoPlace::Unsupported), web))
}

/// `urn:` and the like are names; they are places only where an `$id` says so.
fn web(mut url: Url) -> Result<Place, NoPlace> {
    url.set_fragment(None);
    match url.scheme() {
        "file" => Err(NoPlace::Outside),
        _ => Ok(Place::Url(url)),
    }
}

/// A path from the folder of `name`, normalized.
fn within(name: &str, path: &str) -> Result<String, NoPlace> {
    let path = path.replace('\\', "/");
    if path.starts_with('/') {
        return Err(NoPlace::Outside);
    }
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or(NoPlace::Outside)?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_from_place_to_place_and_never_out() {
        let file = |name: &str| Place::File(name.to_owned());
        let url = |text: &str| Place::Url(Url::parse(text).unwrap());
        for (base, reference, expected) in [
            (
                file("openapi.yaml"),
                "paths/pets.yaml#/get",
                Ok(file("paths/pets.yaml")),
            ),
            (file("paths/pets.yaml"), "../a.yaml", Ok(file("a.yaml"))),
            (
                file("paths/pets.yaml"),
                "./b%20c.yaml",
                Ok(file("paths/b c.yaml")),
            ),
            (file("a/b.yaml"), r"..\c\d.yaml", Ok(file("c/d.yaml"))),
            (file("a/b.yaml"), "#/x", Ok(file("a/b.yaml"))),
            (file("a/b.yaml"), "../../c.yaml", Err(NoPlace::Outside)),
            (file("b.yaml"), "%2e%2e/c.yaml", Err(NoPlace::Outside)),
            (file("b.yaml"), "/etc/passwd", Err(NoPlace::Outside)),
            (file("b.yaml"), "file:///etc/passwd", Err(NoPlace::Outside)),
            (file("b.yaml"), r"C:\x.yaml", Err(NoPlace::Outside)),
            (
                file("b.yaml"),
                "https://h/c.yaml#/x",
                Ok(url("https://h/c.yaml")),
            ),
            (
                url("https://h/a/b.yaml"),
                "../c.yaml",
                Ok(url("https://h/c.yaml")),
            ),
            (
                url("https://h/a/b.yaml"),
                "/c.yaml",
                Ok(url("https://h/c.yaml")),
            ),
        ] {
            assert_eq!(base.join(reference), expected, "{base} {reference}");
        }
    }
}
