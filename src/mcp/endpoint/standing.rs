//! Whether whoever opened a stream may go on listening: the server is there, the key stands, and one
//! is good for the other.

use tokio::sync::watch;

use crate::access::authenticate::Recognised;
use crate::mcp::endpoint::Endpoint;
use crate::mcp::endpoint::admit::Admitted;
use crate::types::ServerId;

/// What a stream was opened by.
pub(super) struct Standing {
    endpoint: Endpoint,
    server: ServerId,
    known: Recognised,
    keys: Option<watch::Receiver<()>>,
}

impl Standing {
    pub(super) fn of(admitted: &Admitted) -> Self {
        let mut keys = admitted.endpoint.0.parts.authenticator.changes();
        if let Some(keys) = &mut keys {
            // What happened since the request was let in is looked at first.
            keys.mark_changed();
        }
        Self {
            endpoint: admitted.endpoint.clone(),
            server: admitted.server.id,
            known: admitted.known.clone(),
            keys,
        }
    }

    /// Waits until some key was made or revoked, which may be this one.
    pub(super) async fn is_in_doubt(&mut self) {
        if let Some(keys) = &mut self.keys
            && keys.changed().await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    /// Asks again. Where nobody can tell, it is as it was.
    pub(super) async fn holds(&self) -> bool {
        let parts = &self.endpoint.0.parts;
        let caller = match parts.authenticator.again(&self.known).await {
            Ok(caller) => caller,
            Err(error) if error.is_ours() => self.known.caller.clone(),
            Err(_) => return false,
        };
        let entry = parts.catalog.entry(self.server);
        entry.is_some_and(|entry| entry.is_known_to(&caller))
    }
}
