//! The management API's own document as a server of the catalog, for admins: published when the process
//! starts and its document is another one, removed where it is switched off.

use crate::config::Config;
use crate::market::api::{Market, within};
use crate::mcp::curation::{Confirm, Curation};
use crate::mcp::publish::{
    GivenSettings, OnBehalf, Publication, PublishError, Release, SpecSource, hash, publish,
};
use crate::mcp::server::{Access, MANAGEMENT};
use crate::mcp::tool::ToolDef;
use crate::store::audit::NewAudit;
use crate::store::{Change, StoreError};
use crate::types::{OrganizationId, ServerId, Slug};

const SLUG: &str = "causeway";
/// As the audit names who does it.
const ACTOR: &str = "causeway";

/// Publishes the server, or removes it where that is not wanted.
pub(super) async fn settle(config: &Config, market: &Market) -> anyhow::Result<()> {
    let publisher = &market.0.parts.publisher;
    let mut there = publisher.catalog.find(SLUG);
    if there.is_none() && config.server.management_server {
        bring_back(market).await?;
        there = publisher.catalog.find(SLUG);
    }
    let ours = |internal: &Option<String>| internal.as_deref() == Some(MANAGEMENT);
    if there
        .as_ref()
        .is_some_and(|entry| !ours(&entry.settings.internal))
    {
        if config.server.management_server {
            tracing::warn!(
                "a server is called {SLUG} already: the management API is not published as one"
            );
        }
        return Ok(());
    }
    match (there, config.server.management_server) {
        (Some(entry), false) => remove(market, entry.id, &entry.slug).await,
        (None, false) => Ok(()),
        (there, true) => {
            let document = within::document();
            if let Some(entry) = &there {
                let row = publisher.store.server(entry.id).await?;
                if row.is_some_and(|row| row.document_hash == hash(document.as_bytes())) {
                    return Ok(());
                }
            }
            put(market, document, there.is_none()).await
        }
    }
}

/// Brings it back as the admins had it, where it was switched off not long ago.
async fn bring_back(market: &Market) -> anyhow::Result<()> {
    let publisher = &market.0.parts.publisher;
    let (organization, now) = (OrganizationId::DEFAULT, publisher.clock.now());
    let deleted = publisher.store.deleted_servers(organization, now).await?;
    if let Some(row) = deleted.iter().find(|row| row.slug == SLUG) {
        let who = (organization, ACTOR.to_owned());
        let act = NewAudit::of_server(who, "restore", &SLUG.parse()?);
        let id = ServerId(row.id);
        publisher.store.restore_server(id, &act, now).await?;
        publisher.catalog.apply(Change::Server(id)).await?;
    }
    Ok(())
}

/// Publishes the document. Its access is the admins' to change afterwards.
async fn put(market: &Market, document: String, new: bool) -> anyhow::Result<()> {
    let publication = Publication {
        organization: OrganizationId::DEFAULT,
        actor: ACTOR.to_owned(),
        slug: Some(SLUG.parse()?),
        item: None,
        on_behalf: OnBehalf::default(),
        settings: GivenSettings {
            access: new.then_some(Access::Private),
            internal: Some(MANAGEMENT.to_owned()),
            ..GivenSettings::default()
        },
        credentials: Vec::new(),
        release: Release::Now,
        draft: false,
    };
    let publisher = &market.0.parts.publisher;
    let source = SpecSource::single(document.into_bytes(), None);
    match publish(publisher, source, publication).await {
        Ok(published) => confirm(market, published.id, &published.slug).await,
        // Another process on the same database was first.
        Err(PublishError::Store(StoreError::Conflict(_) | StoreError::Stale)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What takes something away asks whoever calls, unless an admin said something of that tool.
async fn confirm(market: &Market, server: ServerId, slug: &Slug) -> anyhow::Result<()> {
    let publisher = &market.0.parts.publisher;
    let Some(row) = publisher.store.server(server).await? else {
        return Ok(());
    };
    let tools: Vec<ToolDef> = serde_json::from_str(&row.tools)?;
    let known = publisher.store.curations(server).await?;
    let curation = Curation {
        confirm: Some(Confirm::Client),
        ..Curation::default()
    };
    let changes = serde_json::to_string(&curation)?;
    for tool in tools {
        let name = tool.name.as_str();
        let asks = tool.binding.method == "DELETE" || within::CONFIRMED.contains(&name);
        let operation = tool.operation.0.as_str();
        if !asks || known.iter().any(|row| row.operation == operation) {
            continue;
        }
        let who = (OrganizationId::DEFAULT, ACTOR.to_owned());
        let mut act = NewAudit::of_server(who, "curate", slug);
        act.after =
            Some(serde_json::json!({ "operation": operation, "curation": curation }).to_string());
        let (place, now) = ((server, operation), publisher.clock.now());
        publisher
            .store
            .put_curation(place, Some(&changes), &act, now)
            .await?;
    }
    Ok(publisher.catalog.apply(Change::Server(server)).await?)
}

async fn remove(market: &Market, server: ServerId, slug: &Slug) -> anyhow::Result<()> {
    let publisher = &market.0.parts.publisher;
    let who = (OrganizationId::DEFAULT, ACTOR.to_owned());
    let act = NewAudit::of_server(who, "delete", slug);
    let now = publisher.clock.now();
    publisher.store.delete_server(server, &act, now).await?;
    Ok(publisher.catalog.apply(Change::Server(server)).await?)
}
