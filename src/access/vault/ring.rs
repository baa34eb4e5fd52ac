//! The master keys of a process: the one that seals, and earlier ones that open what they sealed until it
//! is sealed anew. They are the lines of a file, the current one first.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::access::private_file;
use crate::access::vault::master::{KEYS_MAX, MasterKey, MasterKeyError};

/// A key file longer than this is not one; no more of it is read.
const FILE_BYTES_MAX: u64 = 1024;

/// Master keys, the current one first. There is always one.
#[derive(Debug)]
pub struct Keyring(Vec<MasterKey>);

/// Where keys come from, and whether that may change while the process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The configuration, which is read once.
    Text,
    /// A file that somebody put there and keeps.
    Given(PathBuf),
    /// The file we made and change.
    Ours(PathBuf),
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Keyring {
    /// One key, and no earlier one.
    pub fn single(key: MasterKey) -> Self {
        Self(vec![key])
    }

    /// Keys as text, apart by white space.
    pub fn from_text(text: &str) -> Result<Self, MasterKeyError> {
        let keys = text.split_whitespace().map(MasterKey::from_text);
        let keys: Vec<MasterKey> = keys.collect::<Result<_, _>>()?;
        match keys.len() {
            0 => Err(MasterKeyError::Malformed),
            1..=KEYS_MAX => Ok(Self(keys)),
            _ => Err(MasterKeyError::TooMany),
        }
    }

    /// Reads a key file that somebody put there. Its mode is theirs to choose: a mounted secret is
    /// readable by a group (Kubernetes `fsGroup`) or by all (a bind mount), since its owner is another
    /// user than ours. What everyone may read is logged.
    pub fn read(path: &Path) -> Result<Self, MasterKeyError> {
        let read = private_file::read_given(path, FILE_BYTES_MAX);
        let (text, by_everyone) = read.map_err(fault(path))?;
        if by_everyone {
            tracing::warn!(
                "every user of this system may read the master key file {}",
                path.display()
            );
        }
        Self::from_text(&text)
    }

    /// Reads the key file we made, or makes it (mode 0600) where there is none. One that other users
    /// can read now is refused. Two processes that start at once end up with the same key: the file
    /// appears complete, or not at all.
    pub fn read_or_generate(path: &Path) -> Result<Self, MasterKeyError> {
        if !path.exists() {
            let made = MasterKey::generate()?;
            match private_file::write_new(path, &made.to_line()) {
                Ok(()) => return Ok(Self::single(made)),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(fault(path)(source)),
            }
        }
        Self::read_ours(path)
    }

    fn read_ours(path: &Path) -> Result<Self, MasterKeyError> {
        let read = private_file::read(path, FILE_BYTES_MAX).map_err(fault(path))?;
        let text = read.ok_or_else(|| MasterKeyError::Exposed {
            path: path.to_owned(),
        })?;
        Self::from_text(&text)
    }

    /// The keys as they are there now; `None`: they never change.
    pub fn again(source: &KeySource) -> Result<Option<Self>, MasterKeyError> {
        match source {
            KeySource::Text => Ok(None),
            KeySource::Given(path) => Self::read(path).map(Some),
            KeySource::Ours(path) => Self::read_ours(path).map(Some),
        }
    }

    /// The key that seals.
    pub fn current(&self) -> &MasterKey {
        &self.0[0]
    }

    /// The key from which what outlives rotations was made in the first place.
    pub fn oldest(&self) -> &MasterKey {
        self.0.last().unwrap_or_else(|| self.current())
    }

    pub fn iter(&self) -> impl Iterator<Item = &MasterKey> {
        self.0.iter()
    }

    /// The id of the key that seals.
    pub fn id(&self) -> &str {
        self.current().id()
    }

    /// Makes a key the current one of our file; the others go on opening. The file is the new one as a
    /// whole or the old one, and no two processes change it at once.
    pub fn add_current(path: &Path) -> Result<Self, MasterKeyError> {
        let _lock = lock(path).map_err(fault(path))?;
        let mut ring = Self::read_ours(path)?;
        if ring.0.len() == KEYS_MAX {
            return Err(MasterKeyError::TooMany);
        }
        ring.0.insert(0, MasterKey::generate()?);
        ring.write(path).map_err(fault(path))?;
        Ok(ring)
    }

    /// Takes an earlier key out of our file. `false`: there is none of that id.
    pub fn forget(path: &Path, id: &str) -> Result<bool, MasterKeyError> {
        let _lock = lock(path).map_err(fault(path))?;
        let mut ring = Self::read_ours(path)?;
        let before = ring.0.len();
        let current = ring.id().to_owned();
        ring.0.retain(|key| key.id() == current || key.id() != id);
        if ring.0.len() == before {
            return Ok(false);
        }
        ring.write(path).map_err(fault(path))?;
        Ok(true)
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = Zeroizing::new(String::new());
        for key in &self.0 {
            text.push_str(&key.to_line());
        }
        private_file::replace(path, &text)
    }
}

impl KeySource {
    pub(super) fn stamp(&self) -> Option<Stamp> {
        let (Self::Given(path) | Self::Ours(path)) = self else {
            return None;
        };
        Some(stamp(&std::fs::metadata(path).ok()?))
    }
}

#[cfg(unix)]
fn stamp(metadata: &Metadata) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    Stamp {
        inode: metadata.ino(),
        length: metadata.size(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// Ends with the value.
fn lock(path: &Path) -> io::Result<File> {
    let file = private_file::open_beside(path, "lock")?;
    file.lock()?;
    Ok(file)
}

fn fault(path: &Path) -> impl FnOnce(io::Error) -> MasterKeyError {
    let path = path.to_owned();
    move |source| MasterKeyError::File { path, source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_new_key_is_current_and_earlier_ones_stay_until_they_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let first = Keyring::read_or_generate(&path).unwrap().id().to_owned();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| Keyring::add_current(&path).unwrap());
            }
        });
        let ring = Keyring::read_or_generate(&path).unwrap();
        assert_eq!(ring.iter().count(), 5, "nobody's key was lost");
        assert_eq!(ring.oldest().id(), first);
        assert!(
            !Keyring::forget(&path, ring.id()).unwrap(),
            "the current one stays"
        );
        assert!(!Keyring::forget(&path, "0000000000000000").unwrap());
        assert!(Keyring::forget(&path, &first).unwrap());
        let left = Keyring::read_or_generate(&path).unwrap();
        assert_eq!(left.id(), ring.id());
        assert!(left.iter().all(|key| key.id() != first));
        for _ in 0..KEYS_MAX - 4 {
            Keyring::add_current(&path).unwrap();
        }
        assert!(matches!(
            Keyring::add_current(&path),
            Err(MasterKeyError::TooMany)
        ));
    }

    #[test]
    fn the_file_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let made = Keyring::read_or_generate(&path).unwrap();
        let again = Keyring::read_or_generate(&path).unwrap();
        assert_eq!(made.id(), again.id());
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no draft is left"
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
            for exposed in [0o644, 0o640, 0o604] {
                fs::set_permissions(&path, fs::Permissions::from_mode(exposed)).unwrap();
                let message = Keyring::read_or_generate(&path).unwrap_err().to_string();
                assert!(message.contains("chmod 600"), "{message}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_given_is_read_whatever_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mounted");
        let key = STANDARD.encode([7u8; 32]);
        fs::write(&path, format!("{key}\n")).unwrap();
        // As `openssl` leaves it, as `fsGroup` mounts it, and as a careful owner keeps it.
        for mode in [0o644, 0o440, 0o640, 0o400] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = Keyring::read(&path).unwrap();
            assert_eq!(read.id(), MasterKey::from_bytes([7u8; 32]).id(), "{mode:o}");
        }
    }

    #[test]
    fn processes_that_start_at_once_agree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let ids: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| Keyring::read_or_generate(&path).unwrap().id().to_owned()))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
}
