//! Archives of documents: zip, deflate, in memory only. Whoever made one is not trusted: names, sizes
//! and what the entries claim to be are checked before and while anything is unpacked, and every
//! refusal names the entry.

use std::collections::{BTreeMap, HashSet};
use std::io::{Cursor, Read};

use bytes::Bytes;
use zip::read::ZipFile;
use zip::{CompressionMethod, ZipArchive};

use crate::openapi::finding::quoted;

/// What an archive may be.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveLimits {
    pub entries_max: usize,
    /// Of all entries together.
    pub unpacked_bytes_max: usize,
    /// How many times its own size it may unpack to; the first MiB is free.
    pub ratio_max: usize,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self {
            entries_max: 2_000,
            unpacked_bytes_max: 256 << 20,
            ratio_max: 100,
        }
    }
}

/// What small archives of repetitive text may unpack to whatever their ratio is.
const UNPACKED_FREE_BYTES: usize = 1 << 20;

/// Why an archive is refused as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("not a zip archive that can be read: {0}")]
    Damaged(String),
    #[error("the archive has {actual} entries; at most {limit} are read")]
    TooManyEntries { actual: usize, limit: usize },
    #[error("the archive names one file twice, or not all that it holds")]
    SameName,
    #[error("the archive holds no file")]
    Empty,
    #[error("the archive's entry {} {fault}", quoted(.name))]
    Entry { name: String, fault: EntryFault },
}

/// What is wrong with an entry.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryFault {
    #[error("has an absolute path")]
    Absolute,
    #[error("leads out of the archive with `..`")]
    Parent,
    #[error("has no name a file can have")]
    Name,
    #[error("is there twice")]
    Duplicate,
    #[error("is a symbolic link")]
    Symlink,
    #[error("is encrypted; make an archive without a password")]
    Encrypted,
    #[error("is an archive itself; unpack it first")]
    Nested,
    #[error("is compressed by {0}; only deflate is read")]
    Compression(String),
    #[error("says that it has {declared} bytes, and has {actual} or more")]
    Size { declared: u64, actual: u64 },
    #[error("brings the archive to more than {limit} bytes unpacked")]
    TooLarge { limit: usize },
    #[error("brings the archive to more than {limit} times its size unpacked")]
    Ratio { limit: usize },
    #[error("cannot be unpacked: {0}")]
    Unreadable(String),
}

/// Whether bytes are a zip archive.
pub fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// The files of an archive by name, `/` between folders.
///
/// # Errors
/// It is no archive, exceeds a limit, or has an entry that is refused.
pub fn unpack(
    bytes: &[u8],
    limits: &ArchiveLimits,
) -> Result<BTreeMap<String, Bytes>, ArchiveError> {
    let damaged = |error: zip::result::ZipError| ArchiveError::Damaged(error.to_string());
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let start = usize::try_from(archive.central_directory_start()).unwrap_or(usize::MAX);
    let names = names(bytes.get(start..).unwrap_or_default(), limits.entries_max)?;
    unique(&names)?;
    if archive.len() != names.len() {
        return Err(ArchiveError::SameName);
    }
    let mut seen = HashSet::new();
    let mut files = BTreeMap::new();
    let mut unpacked = Unpacked {
        limits,
        archive_bytes: bytes.len(),
        bytes: 0,
    };
    for index in 0..archive.len() {
        let raw = archive.by_index_raw(index).map_err(damaged)?;
        let name = raw.name().map_err(damaged)?.into_owned();
        let refuse = |fault| ArchiveError::Entry {
            name: name.clone(),
            fault,
        };
        let path = path(&name).map_err(refuse)?;
        // An entry may carry another name than the directory's, in an extra field of Info-ZIP.
        if !seen.insert(path.clone()) {
            return Err(refuse(EntryFault::Duplicate));
        }
        admissible(&raw, &path).map_err(refuse)?;
        let is_file = !raw.is_dir() && !is_noise(&path);
        drop(raw);
        if is_file {
            let mut entry = archive.by_index(index).map_err(damaged)?;
            let content = unpacked.read(&mut entry).map_err(refuse)?;
            files.insert(path, Bytes::from(content));
        }
    }
    if files.is_empty() {
        return Err(ArchiveError::Empty);
    }
    Ok(files)
}

/// What file managers add for themselves.
fn is_noise(path: &str) -> bool {
    path.starts_with("__MACOSX/") || path.ends_with(".DS_Store") || path.ends_with("Thumbs.db")
}

/// A name as a path below the root of what was sent. Windows writes `\`.
///
/// # Errors
/// It leads elsewhere, or is no name.
pub fn path(name: &str) -> Result<String, EntryFault> {
    let name = name.replace('\\', "/");
    let has_drive = name.as_bytes().get(1) == Some(&b':');
    if name.starts_with('/') || has_drive {
        return Err(EntryFault::Absolute);
    }
    if name.chars().any(char::is_control) {
        return Err(EntryFault::Name);
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(EntryFault::Parent),
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return Err(EntryFault::Name);
    }
    Ok(parts.join("/"))
}

fn admissible<R: Read>(entry: &ZipFile<'_, R>, path: &str) -> Result<(), EntryFault> {
    const NESTED: [&str; 9] = [
        ".zip", ".jar", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar",
    ];
    if entry.is_symlink() {
        return Err(EntryFault::Symlink);
    }
    if entry.encrypted() {
        return Err(EntryFault::Encrypted);
    }
    let name = path.to_ascii_lowercase();
    if NESTED.iter().any(|end| name.ends_with(end)) {
        return Err(EntryFault::Nested);
    }
    match entry.compression() {
        CompressionMethod::Stored | CompressionMethod::Deflated => Ok(()),
        other => Err(EntryFault::Compression(other.to_string())),
    }
}

/// Counts what was unpacked, whatever the entries say about their sizes.
struct Unpacked<'l> {
    limits: &'l ArchiveLimits,
    archive_bytes: usize,
    bytes: usize,
}

impl Unpacked<'_> {
    fn read(&mut self, entry: &mut ZipFile<'_, impl Read>) -> Result<Vec<u8>, EntryFault> {
        let by_ratio = self.archive_bytes.saturating_mul(self.limits.ratio_max);
        let by_ratio = by_ratio.max(UNPACKED_FREE_BYTES);
        let left = self.limits.unpacked_bytes_max.min(by_ratio) - self.bytes;
        let declared = entry.size();
        let mut content = Vec::new();
        // One byte more than it says, or than is left: that is enough to know.
        let bound = declared.min(left as u64) + 1;
        let read = entry.take(bound).read_to_end(&mut content);
        if content.len() > left {
            return Err(if by_ratio < self.limits.unpacked_bytes_max {
                EntryFault::Ratio {
                    limit: self.limits.ratio_max,
                }
            } else {
                EntryFault::TooLarge {
                    limit: self.limits.unpacked_bytes_max,
                }
            });
        }
        let actual = content.len() as u64;
        if actual > declared {
            return Err(EntryFault::Size { declared, actual });
        }
        read.map_err(|error| EntryFault::Unreadable(error.to_string()))?;
        if actual < declared {
            return Err(EntryFault::Size { declared, actual });
        }
        if is_archive(&content) {
            return Err(EntryFault::Nested);
        }
        self.bytes += content.len();
        Ok(content)
    }
}

/// The names in a central directory (APPNOTE 4.3.12), in which an archive may name a file twice: the
/// crate would silently take one of the two.
fn names(directory: &[u8], entries_max: usize) -> Result<Vec<String>, ArchiveError> {
    const HEADER: &[u8] = b"PK\x01\x02";
    const HEADER_BYTES: usize = 46;
    let mut names = Vec::new();
    let mut rest = directory;
    while rest.starts_with(HEADER) {
        let damaged = || ArchiveError::Damaged("its directory is cut off".to_owned());
        let length = |at: usize| {
            let bytes: Option<&[u8]> = rest.get(at..at + 2);
            bytes.map(|bytes| usize::from(bytes[0]) | usize::from(bytes[1]) << 8)
        };
        let (Some(name), Some(extra), Some(comment)) = (length(28), length(30), length(32)) else {
            return Err(damaged());
        };
        let text = rest
            .get(HEADER_BYTES..HEADER_BYTES + name)
            .ok_or_else(damaged)?;
        names.push(String::from_utf8_lossy(text).into_owned());
        rest = rest
            .get(HEADER_BYTES + name + extra + comment..)
            .ok_or_else(damaged)?;
    }
    if names.len() > entries_max {
        return Err(ArchiveError::TooManyEntries {
            actual: names.len(),
            limit: entries_max,
        });
    }
    Ok(names)
}

fn unique(names: &[String]) -> Result<(), ArchiveError> {
    let mut seen = HashSet::new();
    for name in names {
        // A name that is no path is refused where its entry is.
        let path = path(name).unwrap_or_else(|_| name.clone());
        if !seen.insert(path) {
            return Err(ArchiveError::Entry {
                name: name.clone(),
                fault: EntryFault::Duplicate,
            });
        }
    }
    Ok(())
}
