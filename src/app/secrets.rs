//! The two keys of a process: given from outside, or made once and kept in the data directory. And the
//! first admin's password and the client's secret, where a file has one.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, bail};
use secrecy::SecretString;

use crate::access::private_file;
use crate::access::vault::ring::{KeySource, Keyring};
use crate::app::serve::private_directory;
use crate::config::Config;

/// The master keys, and where they are: given, or made on a first run with SQLite. A database that is
/// there is never given another key: what is sealed in it would not open, and nobody would know why.
pub fn master_keys(config: &Config) -> anyhow::Result<(Keyring, KeySource)> {
    let secrets = &config.secrets;
    if let Some(text) = &secrets.master_key {
        let ring = Keyring::from_text(text).context("secrets.master_key")?;
        return Ok((ring, KeySource::Text));
    }
    if let Some(path) = &secrets.master_key_file {
        let ring = Keyring::read(path).context("secrets.master_key_file")?;
        return Ok((ring, KeySource::Given(path.clone())));
    }
    if config.store.database_url.is_some() {
        bail!(
            "with Postgres the master key has to be given, the same for every replica: set \
             CAUSEWAY__SECRETS__MASTER_KEY_FILE to a file made with `openssl rand -base64 32`"
        );
    }
    let path = config.store.data.join("master.key");
    let database = config.store.data.join("causeway.db");
    if database.exists() && !path.exists() {
        let (path, database) = (path.display(), database.display());
        bail!(
            "{path} is missing, the master key that belongs to {database}: put it there, or give it \
             with CAUSEWAY__SECRETS__MASTER_KEY_FILE. If it is lost, make another one with \
             `(umask 077; openssl rand -base64 32 > {path})`; then credentials have to be entered \
             again, and API keys made again"
        );
    }
    let ring = Keyring::read_or_generate(&path).context("the master key")?;
    Ok((ring, KeySource::Ours(path)))
}

const ADMIN_KEY_LENGTH_MIN: usize = 16;
/// No more of a key file is read.
const ADMIN_KEY_BYTES_MAX: u64 = 1024;
const PASSWORD_BYTES_MAX: u64 = 4096;

/// The admin key, which is made where none is given.
pub fn admin_key(config: &Config) -> anyhow::Result<SecretString> {
    let secrets = &config.secrets;
    let given = match (&secrets.admin_key, &secrets.admin_key_file) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            Some(text.trim().to_owned())
        }
        (None, None) => None,
    };
    if let Some(text) = given {
        if text.len() < ADMIN_KEY_LENGTH_MIN {
            bail!(
                "the admin key has at least {ADMIN_KEY_LENGTH_MIN} characters; make one with `openssl rand -hex 24`"
            );
        }
        return Ok(SecretString::from(text));
    }
    if config.store.database_url.is_some() {
        bail!(
            "with Postgres the admin key has to be given, the same for every replica: set \
             CAUSEWAY__SECRETS__ADMIN_KEY_FILE to a file made with `openssl rand -hex 24`, or give \
             --admin-key"
        );
    }
    private_directory(&config.store.data)?;
    let path = config.store.data.join("admin.key");
    if path.exists() {
        return kept_admin_key(&path);
    }
    let mut bytes = [0_u8; 24];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system has no randomness"))?;
    let text = hex::encode(bytes);
    match private_file::write_new(&path, &format!("{text}\n")) {
        Ok(()) => Ok(SecretString::from(text)),
        // Another process was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => kept_admin_key(&path),
        Err(error) => Err(error).with_context(|| format!("cannot write {}", path.display())),
    }
}

/// Who the first admin is that is made with a password from a file.
pub const ADMIN_NAME: &str = "admin";

/// The secret of the client that signs people in through an identity provider, where one is given.
pub fn client_secret(config: &Config) -> anyhow::Result<Option<SecretString>> {
    let oidc = &config.oidc;
    let Some(path) = &oidc.client_secret_file else {
        return Ok(oidc.client_secret.clone());
    };
    let shown = path.display();
    if oidc.client_secret.is_some() {
        bail!("give oidc.client_secret or oidc.client_secret_file, not both");
    }
    let (text, by_everyone) = private_file::read_given(path, PASSWORD_BYTES_MAX)
        .with_context(|| format!("cannot read {shown}"))?;
    if by_everyone {
        tracing::warn!("every user of this system may read the client's secret in {shown}");
    }
    let secret = text.trim();
    if secret.is_empty() {
        bail!("{shown} is empty; it holds the client's secret");
    }
    Ok(Some(SecretString::from(secret.to_owned())))
}

/// The password of the first admin, where a file with one is given.
pub fn admin_password(config: &Config) -> anyhow::Result<Option<SecretString>> {
    let Some(path) = &config.secrets.admin_password_file else {
        return Ok(None);
    };
    let shown = path.display();
    let (text, by_everyone) = private_file::read_given(path, PASSWORD_BYTES_MAX)
        .with_context(|| format!("cannot read {shown}"))?;
    if by_everyone {
        tracing::warn!("every user of this system may read the password in {shown}");
    }
    let password = text.trim_end_matches(['\n', '\r']);
    Ok(Some(SecretString::from(password.to_owned())))
}

fn kept_admin_key(path: &Path) -> anyhow::Result<SecretString> {
    let shown = path.display();
    let read = private_file::read(path, ADMIN_KEY_BYTES_MAX)
        .with_context(|| format!("cannot read {shown}"))?;
    let Some(text) = read else {
        bail!("{shown} may be read by others; run `chmod 600 {shown}`");
    };
    let text = text.trim();
    if text.len() < ADMIN_KEY_LENGTH_MIN {
        bail!(
            "{shown} is no admin key: one has at least {ADMIN_KEY_LENGTH_MIN} characters. It may \
             have been cut off; remove it, and a new key is made"
        );
    }
    Ok(SecretString::from(text.to_owned()))
}
