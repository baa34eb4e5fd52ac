//! Files that a document refers to by URL, fetched under the same policy as the document itself, and
//! only where the operator allows it. Bounded in number, bytes and time; no request carries a
//! credential.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::egress::Egress;
use crate::egress::rule::AllowRule;
use crate::openapi::bundle::Assembly;
use crate::openapi::bundle::place::Place;
use crate::openapi::{DocumentError, deep};

const FILES_MAX: usize = 100;
const FILES_TIMEOUT: Duration = Duration::from_mins(1);

const NOT_ALLOWED: &str =
    "leads to another address, which is not fetched: remote references are not allowed here";
const HOW_TO_ALLOW: &str = "Upload the file with the document, or let the operator allow remote \
     references: --allow-remote-refs, or egress.allow_remote_refs in the configuration.";

impl Egress {
    /// Fetches what an assembly still wants, and what that refers to.
    ///
    /// # Errors
    /// A limit of documents is exceeded. What cannot be fetched is no error: the reference to it is
    /// one that leads nowhere, and says why.
    pub async fn complete(
        &self,
        mut assembly: Assembly,
        are_allowed: bool,
        allow: &[AllowRule],
    ) -> Result<Assembly, DocumentError> {
        let deadline = Instant::now() + FILES_TIMEOUT;
        let mut fetched = 0;
        loop {
            let wanted = assembly.wanted().into_iter();
            let urls = wanted.filter_map(|place| match place {
                Place::Url(url) => Some(url),
                Place::File(_) => None,
            });
            let urls: Vec<_> = urls.collect();
            if urls.is_empty() {
                return Ok(assembly);
            }
            for url in urls {
                let place = Place::Url(url.clone());
                if !are_allowed {
                    assembly.refuse(place, NOT_ALLOWED.to_owned(), Some(HOW_TO_ALLOW));
                    continue;
                }
                if fetched == FILES_MAX {
                    let message =
                        format!("is one more than the {FILES_MAX} files that are fetched");
                    assembly.refuse(place, message, None);
                    continue;
                }
                fetched += 1;
                let bytes_max = assembly.bytes_left();
                let answer =
                    tokio::time::timeout_at(deadline, self.fetch(&url, allow, bytes_max)).await;
                match answer {
                    Ok(Ok(file)) => assembly = supply(assembly, place, file.body).await?,
                    Ok(Err(error)) => {
                        let message = format!("leads to {url}, which cannot be fetched: {error}");
                        assembly.refuse(place, message, None);
                    }
                    Err(_) => {
                        let seconds = FILES_TIMEOUT.as_secs();
                        let message = format!("was not fetched within {seconds} s");
                        assembly.refuse(place, message, None);
                    }
                }
            }
        }
    }
}

/// Reads the file, off the async threads.
async fn supply(
    mut assembly: Assembly,
    place: Place,
    body: Bytes,
) -> Result<Assembly, DocumentError> {
    let read = move || {
        deep(move || {
            assembly.supply(&place, body)?;
            Ok(assembly)
        })
    };
    tokio::task::spawn_blocking(read)
        .await
        .unwrap_or_else(|error| Err(DocumentError::Syntax(error.to_string())))
}
