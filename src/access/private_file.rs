//! Small files only their owner reads: written whole or not at all, whatever ends the process meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

/// Writes a new file. Where one of that name exists, nothing is written
/// ([`io::ErrorKind::AlreadyExists`]); of several who try at once, one does it.
pub fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let draft = folder.join(format!(".{}.draft", uuid::Uuid::now_v7()));
    let written = create(&draft)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        // A hard link fails where the name exists, and makes the file appear complete.
        .and_then(|()| fs::hard_link(&draft, path))
        .and_then(|()| File::open(folder)?.sync_all());
    fs::remove_file(&draft).or_else(|e| match e.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(e),
    })?;
    written
}

/// The text of a file of at most `bytes_max`, or `None` where others may read it too.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Option<Zeroizing<String>>> {
    let file = File::open(path)?;
    if readable_by_others(&file.metadata()?) {
        return Ok(None);
    }
    let mut text = Zeroizing::new(String::new());
    file.take(bytes_max).read_to_string(&mut text)?;
    Ok(Some(text))
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn readable_by_others(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o077 != 0
}

#[cfg(not(unix))]
fn readable_by_others(_metadata: &fs::Metadata) -> bool {
    false
}
