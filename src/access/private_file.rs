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

/// Puts a file in the place of the one of that name: whoever reads it sees the one or the other, whole.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let draft = folder.join(format!(".{}.draft", uuid::Uuid::now_v7()));
    let written = create(&draft)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&draft, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&draft);
        return Err(error);
    }
    File::open(folder)?.sync_all()
}

/// An empty file beside another one, to be locked.
pub fn open_beside(path: &Path, ending: &str) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(name)
}

/// The text of a file of at most `bytes_max`, or `None` where others may read it too.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Option<Zeroizing<String>>> {
    let file = File::open(path)?;
    if mode(&file.metadata()?) & 0o077 != 0 {
        return Ok(None);
    }
    whole(file, bytes_max).map(Some)
}

/// The text of a file of at most `bytes_max` that somebody else put there and chose a mode for, and
/// whether every user of the system may read it.
pub fn read_given(path: &Path, bytes_max: u64) -> io::Result<(Zeroizing<String>, bool)> {
    let file = File::open(path)?;
    let by_everyone = mode(&file.metadata()?) & 0o007 != 0;
    Ok((whole(file, bytes_max)?, by_everyone))
}

fn whole(file: File, bytes_max: u64) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    file.take(bytes_max).read_to_string(&mut text)?;
    Ok(text)
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The permission bits; none where there is no such thing.
#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(metadata)
}

#[cfg(not(unix))]
fn mode(_metadata: &fs::Metadata) -> u32 {
    0
}
