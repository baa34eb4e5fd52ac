//! The demo's servers, in a fresh database.

use std::net::SocketAddr;

use anyhow::bail;

use crate::app::serve::DEMO;
use crate::config::{Config, Demo};
use crate::demo;
use crate::market::api::Market;
use crate::mcp::publish::{GivenSettings, OnBehalf, Publication, Release, SpecSource, publish};
use crate::mcp::server::Access;
use crate::types::OrganizationId;

/// Postgres is what replicas share; each of them would seed.
pub(super) fn check_demo(config: &Config) -> anyhow::Result<()> {
    if config.server.demo == Demo::On && config.store.database_url.is_some() {
        bail!(
            "the demo is seeded into a fresh SQLite database only: leave out --demo, or --database-url"
        );
    }
    Ok(())
}

/// Only a fresh SQLite database is seeded: on a loopback listener unless that is not wanted, on
/// another one if it is asked for.
pub(super) fn wants_demo(config: &Config, address: SocketAddr, fresh: bool) -> bool {
    let asked = config.server.demo == Demo::On;
    if asked && !fresh {
        tracing::info!(
            "the demo is not seeded: the database in {} is not fresh",
            config.store.data.display()
        );
    }
    let here = config.server.demo == Demo::Auto && address.ip().is_loopback();
    fresh && (asked || here)
}

/// Publishes the two documents of the demo, unless servers of their names are there.
pub(super) async fn seed(market: &Market) -> anyhow::Result<bool> {
    let publisher = &market.0.parts.publisher;
    let mut seeded = false;
    for (slug, document) in demo::DOCUMENTS {
        if publisher.catalog.find(slug).is_some() {
            continue;
        }
        let publication = Publication {
            organization: OrganizationId::DEFAULT,
            actor: "demo".to_owned(),
            slug: Some(slug.parse()?),
            item: None,
            on_behalf: OnBehalf::default(),
            settings: GivenSettings {
                access: Some(Access::Open),
                internal: Some(DEMO.to_owned()),
                ..GivenSettings::default()
            },
            credentials: Vec::new(),
            release: Release::Now,
            draft: false,
        };
        let source = SpecSource::single(document.as_bytes(), None);
        publish(publisher, source, publication).await?;
        seeded = true;
    }
    Ok(seeded)
}
