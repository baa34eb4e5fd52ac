//! The requests a change is made of, with the files and secrets they send.

use std::path::PathBuf;

use anyhow::bail;
use http::Method;
use serde_json::{Map, Value, json};

use crate::cli::document::{bytes, value_of};
use crate::cli::import::parts;
use crate::cli::sent::Sent;

pub(super) const DOCUMENT_BYTES_MAX: usize = 64 << 20;

/// A request.
pub(super) struct Step {
    /// What of the change it makes: `settings`, `keys.main`.
    pub(super) of: String,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Body,
}

pub(super) enum Body {
    Nothing,
    Json(Value),
    /// What a server is made of: fields, beside them perhaps a file, and its credentials by their schemes.
    Document {
        fields: Map<String, Value>,
        file: Option<File>,
        credentials: Vec<(String, Secret)>,
    },
    /// A credential, and where it may go.
    Credential {
        origins: Value,
        secret: Secret,
    },
    /// A key.
    Key(Secret),
}

/// A file, and where the catalog names it.
pub(super) struct File {
    pub(super) place: String,
    pub(super) path: PathBuf,
}

/// What was read where the catalog says, and where in it that is; or why nothing was.
pub(super) struct Secret {
    place: String,
    value: Result<String, String>,
}

impl Secret {
    /// Reads it now: what is not there is to be known before anything is changed.
    pub(super) fn read(place: String, from: &str) -> Self {
        let value = match value_of(from) {
            Ok(value) if value.is_empty() => Err(format!("{from} is empty")),
            read => read.map_err(|error| format!("{error:#}")),
        };
        Self { place, value }
    }

    fn value(&self) -> anyhow::Result<&str> {
        match &self.value {
            Ok(value) => Ok(value),
            Err(reason) => bail!("{}: {reason}", self.place),
        }
    }
}

impl Step {
    pub(super) fn new(of: impl Into<String>, method: Method, path: String, body: Value) -> Self {
        let body = if body.is_null() {
            Body::Nothing
        } else {
            Body::Json(body)
        };
        Self {
            of: of.into(),
            method,
            path,
            body,
        }
    }

    /// What it would send and cannot read.
    pub(super) fn lacks(&self) -> Vec<String> {
        let unread = |secret: &Secret| secret.value().err().map(|error| error.to_string());
        match &self.body {
            Body::Nothing | Body::Json(_) => Vec::new(),
            Body::Document {
                file, credentials, ..
            } => {
                let file = file.as_ref().and_then(|file| {
                    let error = bytes(&file.path, DOCUMENT_BYTES_MAX).err()?;
                    Some(format!("{}: {error:#}", file.place))
                });
                let secrets = credentials.iter().filter_map(|(_, secret)| unread(secret));
                file.into_iter().chain(secrets).collect()
            }
            Body::Credential { secret, .. } | Body::Key(secret) => {
                unread(secret).into_iter().collect()
            }
        }
    }

    /// What is sent. Files are read now.
    pub(super) fn sent(&self) -> anyhow::Result<Option<Sent>> {
        Ok(match &self.body {
            Body::Nothing => None,
            Body::Json(value) => Some(Sent::json(value.to_string())),
            Body::Document {
                fields,
                file,
                credentials,
            } => {
                let mut fields = fields.clone();
                let mut secrets = Map::new();
                for (scheme, secret) in credentials {
                    secrets.insert(scheme.clone(), secret.value()?.into());
                }
                if !secrets.is_empty() {
                    fields.insert("credentials".to_owned(), Value::Object(secrets));
                }
                Some(match file {
                    None => Sent::json(Value::Object(fields).to_string()),
                    Some(File { path, .. }) => {
                        let content = bytes(path, DOCUMENT_BYTES_MAX)?;
                        let name = path.file_name().unwrap_or_default().to_string_lossy();
                        Sent::form(&parts(&fields), (&name, &content))
                    }
                })
            }
            Body::Key(secret) => {
                let secret = json!({ "value": secret.value()? });
                Some(Sent::json(secret.to_string()))
            }
            Body::Credential { origins, secret } => {
                let secret = json!({ "value": secret.value()?, "origins": origins });
                Some(Sent::json(secret.to_string()))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(body: Body) -> Step {
        Step {
            of: "keys.main".to_owned(),
            method: Method::PUT,
            path: "/api/v1/providers/a/keys/main".to_owned(),
            body,
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_before_it_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let from = format!("@{}", path.display());
        let key = || {
            let place = "providers.a.keys.main".to_owned();
            step(Body::Key(Secret::read(place, &from)))
        };
        let lacks = key().lacks();
        assert_eq!(lacks.len(), 1);
        assert!(lacks[0].starts_with("providers.a.keys.main: "), "{lacks:?}");
        assert!(key().sent().is_err());
        std::fs::write(&path, "\n").unwrap();
        assert!(key().lacks()[0].ends_with("is empty"));
        std::fs::write(&path, "hush\n").unwrap();
        let key = key();
        assert!(key.lacks().is_empty());
        let sent = key.sent().unwrap().unwrap();
        assert_eq!(&sent.bytes[..], br#"{"value":"hush"}"#);

        let document = step(Body::Document {
            fields: Map::new(),
            file: Some(File {
                place: "servers.a.document".to_owned(),
                path: folder.path().join("nowhere.yaml"),
            }),
            credentials: vec![(
                "Key".to_owned(),
                Secret::read("servers.a.credentials.Key".to_owned(), "@nowhere"),
            )],
        });
        let lacks = document.lacks();
        assert!(lacks[0].starts_with("servers.a.document: "), "{lacks:?}");
        assert!(
            lacks[1].starts_with("servers.a.credentials.Key: "),
            "{lacks:?}"
        );
    }
}
