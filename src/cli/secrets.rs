//! `causeway secrets`: which master keys seal what is in the database, and how one takes the place of
//! another.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::access::vault::master::MasterKey;
use crate::access::vault::ring::{KeySource, Keyring};
use crate::access::vault::rotate::{Rotated, reseal_all};
use crate::access::vault::{Vault, kept};
use crate::app::secrets::master_keys;
use crate::cli::output::Output;
use crate::cli::serve::{DatabaseArgs, existing};
use crate::store::Store;
use crate::store::audit::NewAudit;
use crate::types::{Clock, OrganizationId};

pub(super) const EXAMPLES: &str = "\
Examples:
  causeway secrets rotate --data ./data
  causeway secrets status --data ./data
  causeway secrets forget 0123456789abcdef --data ./data

Rotating goes on while the server runs, and goes on from where it stopped when it is run again. Where
the master key is given (Postgres, or a file of your own), put the new key on the first line of the
file in every process, the old one below it, and then run rotate. docs/secrets.md has the steps.";

#[derive(Args)]
pub(super) struct SecretsArgs {
    #[command(subcommand)]
    command: SecretsCommand,
}

#[derive(Subcommand)]
enum SecretsCommand {
    /// Make a new master key the current one, and seal everything anew under it
    Rotate(DatabaseArgs),
    /// Show the master keys, and how much each of them seals
    Status(DatabaseArgs),
    /// Remove a master key that seals nothing any more
    Forget(ForgetArgs),
}

#[derive(Args)]
struct ForgetArgs {
    /// The id of the key, as `status` shows it
    id: String,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// The keys of a database and the database.
struct Opened {
    store: Store,
    ring: Keyring,
    source: KeySource,
}

/// How much each key seals, by table.
type Seals = BTreeMap<String, BTreeMap<String, i64>>;

impl Opened {
    async fn of(database: &DatabaseArgs, what: &str) -> anyhow::Result<Self> {
        let config = database.load(Vec::new())?;
        let store = existing(&config, what).await?;
        let (ring, source) = master_keys(&config)?;
        Ok(Self {
            store,
            ring,
            source,
        })
    }

    async fn seals(&self) -> anyhow::Result<Seals> {
        let rows = self.store.sealed_by().await.context(
            "the database cannot be read; `causeway migrate` brings one of an older version up to date",
        )?;
        let mut seals = Seals::new();
        for row in rows {
            seals
                .entry(row.key_id)
                .or_default()
                .insert(row.place, row.count);
        }
        Ok(seals)
    }

    async fn note(&self, action: &'static str, id: &str) -> anyhow::Result<()> {
        let who = (OrganizationId::DEFAULT, "command line".to_owned());
        let act = NewAudit::of(who, action, ("master_key", id.to_owned()));
        Ok(self.store.note_keys(&act, Clock::system().now()).await?)
    }
}

pub(super) async fn secrets(output: &Output, args: SecretsArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        SecretsCommand::Rotate(database) => rotate(output, &database).await,
        SecretsCommand::Status(database) => {
            let opened = Opened::of(&database, "look into").await?;
            report(output, &opened, None).await
        }
        SecretsCommand::Forget(args) => forget(output, &args).await,
    }
}

async fn rotate(output: &Output, database: &DatabaseArgs) -> anyhow::Result<ExitCode> {
    let mut opened = Opened::of(database, "rotate the keys of").await?;
    let before = Vault::of(&opened.ring, opened.source.clone());
    // Also where no process of this version has started yet.
    kept::hash_key(&opened.store, &before, &opened.ring).await?;
    let seals = opened.seals().await?;
    check_kept(&opened.ring, &seals)?;
    let ours = opened.ring.iter().map(MasterKey::id).collect::<Vec<_>>();
    let begun = seals
        .keys()
        .any(|id| id != opened.ring.id() && ours.contains(&id.as_str()));
    if begun {
        eprintln!(
            "Going on with what was begun: sealing anew under {}.",
            opened.ring.id()
        );
    } else {
        let KeySource::Ours(path) = &opened.source else {
            bail!(
                "the current key {} seals everything already. To rotate, put a new key (`openssl rand \
                 -base64 32`) on the first line of the key file in every process, and leave the old one \
                 below it; then run this again",
                opened.ring.id()
            );
        };
        opened.ring = new_key(path)?;
        eprintln!(
            "The current master key is {} from now on.",
            opened.ring.id()
        );
    }
    opened.note("secrets.rotate", opened.ring.id()).await?;
    let vault = Vault::of(&opened.ring, opened.source.clone());
    let told = |done: &Rotated| eprintln!("{} sealed anew", done.resealed);
    let rotated = reseal_all(&opened.store, &vault, told).await?;
    report(output, &opened, Some(rotated)).await
}

/// Under another key than the one API keys are hashed with, none of them would be recognised.
fn check_kept(ring: &Keyring, seals: &Seals) -> anyhow::Result<()> {
    let kept = seals
        .iter()
        .find(|(_, tables)| tables.contains_key("kept_keys"));
    match kept {
        Some((id, _)) if ring.iter().all(|key| key.id() != id) => bail!(
            "master key {id} is missing, which seals what API keys are hashed with: add it to the key file first"
        ),
        _ => Ok(()),
    }
}

fn new_key(path: &Path) -> anyhow::Result<Keyring> {
    Keyring::add_current(path).context("a new master key cannot be made")
}

async fn report(
    output: &Output,
    opened: &Opened,
    rotated: Option<Rotated>,
) -> anyhow::Result<ExitCode> {
    let seals = opened.seals().await?;
    let mut lines = Vec::new();
    if let Some(rotated) = &rotated {
        lines.push(format!("{} rows are sealed anew.", rotated.resealed));
        if rotated.unreadable > 0 {
            lines.push(format!(
                "{} rows cannot be opened with any of the keys.",
                rotated.unreadable
            ));
        }
    }
    let current = opened.ring.id();
    let mut keys = Vec::new();
    for key in opened.ring.iter() {
        let sealed = count(&seals, key.id());
        let state = match (key.id() == current, sealed) {
            (true, _) => "current",
            (false, 0) => {
                "retired, nothing uses it: safe to remove from here, keep it with the backups that need it"
            }
            (false, _) => "retired, still in use: run `causeway secrets rotate`",
        };
        lines.push(format!("{}  seals {sealed} rows  {state}", key.id()));
        keys.push(json!({
            "id": key.id(), "current": key.id() == current, "rows": sealed, "tables": seals.get(key.id()),
            "safeToRemove": key.id() != current && sealed == 0,
        }));
    }
    let known: Vec<&str> = opened.ring.iter().map(MasterKey::id).collect();
    let mut missing: Vec<Value> = Vec::new();
    for id in seals.keys().filter(|id| !known.contains(&id.as_str())) {
        let sealed = count(&seals, id);
        lines.push(format!(
            "{id}  seals {sealed} rows  missing: add this key to open them"
        ));
        missing.push(json!({ "id": id, "rows": sealed }));
    }
    let value = json!({
        "keys": keys, "missing": missing,
        "resealed": rotated.map(|done| done.resealed), "unreadable": rotated.map(|done| done.unreadable),
    });
    opened.store.clone().close().await;
    output.result(&lines.join("\n"), &value)?;
    let done = rotated.is_none_or(|done| done.unreadable == 0);
    Ok(if done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn count(seals: &Seals, id: &str) -> i64 {
    seals.get(id).map_or(0, |tables| tables.values().sum())
}

async fn forget(output: &Output, args: &ForgetArgs) -> anyhow::Result<ExitCode> {
    let opened = Opened::of(&args.database, "remove a key of").await?;
    let id = args.id.as_str();
    if id == opened.ring.id() {
        bail!("{id} is the current master key");
    }
    let sealed = count(&opened.seals().await?, id);
    if sealed > 0 {
        bail!("{id} still seals {sealed} rows; run `causeway secrets rotate` first");
    }
    let KeySource::Ours(path) = &opened.source else {
        bail!("{id} seals nothing: take its line out of the key file, which is yours");
    };
    if !Keyring::forget(path, id)? {
        bail!("there is no master key {id}");
    }
    opened.note("secrets.forget", id).await?;
    opened.store.close().await;
    let text =
        format!("{id} is removed. Backups from before the rotation need it: keep it with them.");
    output.result(&text, &json!({ "forgotten": id }))?;
    Ok(ExitCode::SUCCESS)
}
