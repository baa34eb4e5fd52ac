//! What was sent as "the document": one file, one archive, or several files that belong together.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::openapi::DocumentLimits;
use crate::openapi::archive::{self, ArchiveError, ArchiveLimits, EntryFault};
use crate::openapi::bundle::SpecFiles;
use crate::openapi::bundle::choose::{self, ChoiceError};
use crate::openapi::finding::quoted;

/// Why no document could be made out in what was sent.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    #[error("the file {} {fault}", quoted(.name))]
    File { name: String, fault: EntryFault },
}

/// The files that were sent, by name; an archive is unpacked.
///
/// # Errors
/// An archive is refused, or a name is no path within the upload.
pub fn files(sent: Vec<(String, Bytes)>) -> Result<BTreeMap<String, Bytes>, UploadError> {
    if let [(_, bytes)] = &sent[..]
        && archive::is_archive(bytes)
    {
        return Ok(archive::unpack(bytes, &ArchiveLimits::default())?);
    }
    let alone = sent.len() == 1;
    let mut files = BTreeMap::new();
    for (name, bytes) in sent {
        let refuse = |fault| UploadError::File {
            name: name.clone(),
            fault,
        };
        // A file that came alone needs no name.
        let path = match archive::path(&name) {
            Ok(path) => path,
            Err(_) if alone => String::new(),
            Err(fault) => return Err(refuse(fault)),
        };
        if archive::is_archive(&bytes) {
            return Err(refuse(EntryFault::Nested));
        }
        if files.insert(path, bytes).is_some() {
            return Err(refuse(EntryFault::Duplicate));
        }
    }
    Ok(files)
}

/// The one document that was sent. Call it within [`crate::openapi::deep`].
///
/// # Errors
/// As [`files`], or there is no or more than one document and `root` does not say which.
pub fn document(
    sent: Vec<(String, Bytes)>,
    root: Option<&str>,
    limits: &DocumentLimits,
) -> Result<SpecFiles, UploadError> {
    Ok(choose::one(files(sent)?, root, limits)?)
}
