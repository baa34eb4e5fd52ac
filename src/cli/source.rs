//! The files of a document on this machine: a file with those it refers to beside it, a directory, or
//! an archive.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bytes::Bytes;

use crate::cli::document::bytes;
use crate::openapi::archive::ArchiveLimits;
use crate::openapi::bundle::place::Place;
use crate::openapi::bundle::{Assembly, FILES_MAX, SpecFiles, choose};
use crate::openapi::overlay::OVERLAY_BYTES_MAX;
use crate::openapi::upload::{self, UploadError};
use crate::openapi::{DocumentLimits, archive, deep};

/// Levels of directories.
const DEPTH_MAX: usize = 32;

/// The one document at a path. A directory or archive with several needs `root`.
pub(super) fn load(path: &Path, root: Option<&str>) -> anyhow::Result<SpecFiles> {
    let limits = DocumentLimits::default();
    let said = |error: &dyn std::fmt::Display| {
        // On the command line, the field is a flag.
        let text = error.to_string().replace("`root`", "--root");
        anyhow::anyhow!("{}: {text}", path.display())
    };
    if path.is_dir() {
        let files = directory(path)?;
        return deep(|| choose::one(files, root, &limits)).map_err(|error| said(&error));
    }
    let read = Bytes::from(bytes(path, limits.document_bytes_max)?);
    if archive::is_archive(&read) {
        let sent = vec![(String::new(), read)];
        return deep(|| upload::document(sent, root, &limits)).map_err(|error| said(&error));
    }
    let name = path.file_name().map(|name| name.to_string_lossy());
    let name = name.filter(|name| name != "-").unwrap_or_default();
    let mut files = SpecFiles {
        root: name.to_string(),
        files: BTreeMap::from([(name.to_string(), read)]),
        url: None,
    };
    if !files.root.is_empty() {
        let folder = path.parent().unwrap_or(Path::new(""));
        deep(|| add_neighbours(&mut files, folder, &limits));
    }
    Ok(files)
}

/// Every file at a path that may be a document or a part of one: for an import of many.
pub(super) fn many(path: &Path) -> anyhow::Result<BTreeMap<String, Bytes>> {
    if path.is_dir() {
        return directory(path);
    }
    let read = bytes(path, ArchiveLimits::default().unpacked_bytes_max)?;
    let sent = vec![(String::new(), Bytes::from(read))];
    upload::files(sent).map_err(|error: UploadError| anyhow::anyhow!("{}: {error}", path.display()))
}

/// The texts of overlays.
pub(super) fn overlays(paths: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let text = |path: &PathBuf| {
        let read = bytes(path, OVERLAY_BYTES_MAX)?;
        if read.len() > OVERLAY_BYTES_MAX {
            bail!("{} is longer than an overlay may be", path.display());
        }
        String::from_utf8(read).with_context(|| format!("{} is not UTF-8", path.display()))
    };
    paths.iter().map(text).collect()
}

/// Reads what the document refers to in its own folder and below. A name that leads elsewhere, also
/// by a symbolic link, is left out.
fn add_neighbours(files: &mut SpecFiles, folder: &Path, limits: &DocumentLimits) {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let Ok(folder) = folder.canonicalize() else {
        return;
    };
    let root = &files.files[&files.root];
    // What is wrong with the document is said where it is read.
    let Ok(mut assembly) = Assembly::of_root(&files.root, root, limits) else {
        return;
    };
    loop {
        let wanted = assembly.wanted().into_iter();
        let names = wanted.filter_map(|place| match place {
            Place::File(name) => Some(name),
            Place::Url(_) => None,
        });
        let names: Vec<String> = names.collect();
        if names.is_empty() {
            return;
        }
        for name in names {
            let place = Place::File(name.clone());
            let Some(read) = neighbour(&folder, &name, limits.document_bytes_max) else {
                assembly.refuse(place, String::new(), None);
                continue;
            };
            files.files.insert(name, read.clone());
            if assembly.supply(&place, read).is_err() {
                return;
            }
        }
    }
}

fn neighbour(folder: &Path, name: &str, bytes_max: usize) -> Option<Bytes> {
    let path = folder.join(name).canonicalize().ok()?;
    let is_within = path.starts_with(folder) && path.is_file();
    is_within.then(|| bytes(&path, bytes_max).ok().map(Bytes::from))?
}

/// Every JSON, YAML and HAR file below a directory. Hidden ones and symbolic links are passed over.
fn directory(path: &Path) -> anyhow::Result<BTreeMap<String, Bytes>> {
    let limit = ArchiveLimits::default().unpacked_bytes_max;
    let mut files = BTreeMap::new();
    let mut left = vec![(path.to_owned(), String::new(), 0)];
    let mut size = 0;
    while let Some((folder, prefix, depth)) = left.pop() {
        let read = std::fs::read_dir(&folder);
        for entry in read.with_context(|| format!("cannot read {}", folder.display()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            if name.starts_with('.') || name == "node_modules" || kind.is_symlink() {
                continue;
            }
            let full = format!("{prefix}{name}");
            if kind.is_dir() && depth < DEPTH_MAX {
                left.push((entry.path(), format!("{full}/"), depth + 1));
            } else if kind.is_file() && is_document_name(&name) {
                let read = bytes(&entry.path(), limit)?;
                if is_recording(&name) && size + read.len() > limit {
                    // One that lies beside a document is no reason to refuse it.
                    continue;
                }
                size += read.len();
                files.insert(full, Bytes::from(read));
            }
            if files.len() > FILES_MAX || size > limit {
                bail!(
                    "{} holds more than {FILES_MAX} JSON, YAML and HAR files, or {limit} bytes of them",
                    path.display()
                );
            }
        }
    }
    if files.is_empty() {
        bail!("{} holds no JSON, YAML or HAR file", path.display());
    }
    Ok(files)
}

fn is_document_name(name: &str) -> bool {
    matches!(extension(name).as_str(), "json" | "yaml" | "yml") || is_recording(name)
}

fn is_recording(name: &str) -> bool {
    extension(name) == "har"
}

fn extension(name: &str) -> String {
    let extension = Path::new(name).extension().and_then(|e| e.to_str());
    extension.unwrap_or_default().to_ascii_lowercase()
}
