//! Documents in, `Api`s out: `examples` (golden files), `files` (several files), `counting` (nothing disappears silently),
//! `hostile` (limits and containment), `anything` (property tests and the fuzz corpus), `meaning`
//! (what schemas accept),
//! `references`, `versions` and `findings` (rules one by one).

mod anything;
mod archives;
mod counting;
mod examples;
mod files;
mod findings;
mod hostile;
mod meaning;
mod rules;
mod summary;

use std::fs;
use std::path::{Path, PathBuf};

use causeway::openapi::{Api, DocumentError, DocumentLimits};

fn read(text: &str) -> Result<Api, DocumentError> {
    causeway::openapi::read(text.as_bytes(), &DocumentLimits::default())
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The documents in a folder, in the order of their names.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let extension = path.extension().unwrap_or_default();
            extension == "json" || extension == "yaml" || extension == "yml"
        })
        .filter(|path| path.file_name().unwrap() != "manifest.json")
        .collect();
    paths.sort();
    paths
}

fn examples() -> Vec<PathBuf> {
    let paths = documents(&repository().join("specs-examples"));
    assert!(paths.len() >= 12, "the examples were not found");
    paths
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}
