//! `causeway serve`, and the commands that work on its database.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use url::Url;

use crate::app::listen::Listener;
use crate::app::logs;
use crate::app::secrets;
use crate::app::serve::{App, location};
use crate::cli::ServeArgs;
use crate::cli::api::DEFAULT_URL;
use crate::cli::output::Output;
use crate::config::{self, Config, Sources};
use crate::store::{Location, Store, backup as copies};

pub(super) const BACKUP_EXAMPLES: &str = "\
Example:
  causeway backup causeway-backup.db --data ./data

The copy is consistent, also while the server runs. The master key that opens the credentials in it
is never part of it: keep a copy of ./data/master.key somewhere else. For Postgres, the pg_dump
command to run is printed, with exit code 2.";

pub(super) const RESTORE_EXAMPLES: &str = "\
Example:
  causeway restore causeway-backup.db --data ./data && cp SAFE-PLACE/master.key ./data/master.key

The data directory must hold no database yet. `causeway serve` starts on it once the master key the
backup was made under is beside it.";

/// The configuration file that needs no naming.
const LOCAL_CONFIG: &str = "causeway.toml";

/// Which configuration and database.
#[derive(Args)]
pub(super) struct DatabaseArgs {
    /// A configuration file, instead of ./causeway.toml, which is read where it is there;
    /// config.default.toml in the source lists every setting
    #[arg(long, value_name = "FILE", env = "CAUSEWAY_CONFIG")]
    config: Option<PathBuf>,
    /// The data directory: the SQLite database and generated keys [default: ./data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A Postgres database instead of SQLite
    #[arg(long, value_name = "URL")]
    database_url: Option<Url>,
    /// A Redis server, in which all processes count rates and requests under way together
    #[arg(long, value_name = "URL")]
    redis_url: Option<Url>,
}

#[derive(Args)]
pub(super) struct BackupArgs {
    /// The file to write
    target: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Args)]
pub(super) struct RestoreArgs {
    /// The backup to read
    source: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
}

impl DatabaseArgs {
    pub(super) fn load(
        &self,
        mut flags: Vec<(&'static str, toml::Value)>,
    ) -> anyhow::Result<Config> {
        if let Some(data) = &self.data {
            flags.push(("store.data", data.display().to_string().into()));
        }
        if let Some(url) = &self.database_url {
            flags.push(("store.database_url", url.to_string().into()));
        }
        if let Some(url) = &self.redis_url {
            flags.push(("store.redis_url", url.to_string().into()));
        }
        let local = Path::new(LOCAL_CONFIG);
        let path = self.config.as_deref();
        let path = path.or_else(|| local.is_file().then_some(local));
        let read = |path: &Path| {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            anyhow::Ok((path.to_owned(), text))
        };
        let file = path.map(read).transpose()?;
        Ok(Config::load(Sources {
            file,
            environment: config::environment_of_causeway(),
            flags,
        })?)
    }
}

fn flags(args: &ServeArgs) -> Vec<(&'static str, toml::Value)> {
    let mut flags: Vec<(&'static str, toml::Value)> = Vec::new();
    if let Some(listen) = args.listen {
        flags.push(("server.listen", listen.to_string().into()));
    }
    if let Some(url) = &args.public_url {
        flags.push(("server.public_url", url.to_string().into()));
    }
    for (key, file) in [
        ("server.tls_cert", &args.tls_cert),
        ("server.tls_key", &args.tls_key),
        ("server.prices", &args.prices),
    ] {
        if let Some(file) = file {
            flags.push((key, file.display().to_string().into()));
        }
    }
    if !args.trusted_proxy.is_empty() {
        let networks = args.trusted_proxy.iter();
        let networks = networks.map(|it| toml::Value::String(it.clone()));
        flags.push((
            "server.trusted_proxies",
            networks.collect::<Vec<_>>().into(),
        ));
    }
    if !args.allow_upstream.is_empty() {
        let rules = args
            .allow_upstream
            .iter()
            .map(|rule| toml::Value::String(rule.to_string()));
        flags.push(("egress.allow_upstream", toml::Value::Array(rules.collect())));
    }
    if args.allow_remote_refs {
        flags.push(("egress.allow_remote_refs", true.into()));
    }
    if let Some(url) = &args.otlp_endpoint {
        flags.push(("telemetry.otlp_endpoint", url.to_string().into()));
    }
    if let Some(key) = &args.admin_key {
        flags.push(("secrets.admin_key", key.clone().into()));
    }
    if let Some(path) = &args.admin_password_file {
        let path = path.display().to_string();
        flags.push(("secrets.admin_password_file", path.into()));
    }
    match (args.demo, args.no_demo) {
        (true, _) => flags.push(("server.demo", "on".into())),
        (_, true) => flags.push(("server.demo", "off".into())),
        _ => {}
    }
    if let Some(legacy) = &args.legacy_sse {
        flags.push(("server.legacy_sse", (legacy == "on").into()));
    }
    flags
}

pub(super) async fn serve(output: &Output, args: ServeArgs) -> anyhow::Result<ExitCode> {
    let config = args.database.load(flags(&args))?;
    logs::start(config.server.log_format, &config.server.log_level);
    let listener = Listener::bind(config.server.listen).await?;
    let app = App::build(&config, listener.address()).await?;
    let entries = app.market.0.parts.publisher.catalog.entries();
    let text = greeting(
        &app,
        &config,
        entries.first().map(|entry| entry.slug.as_str()),
    );
    output.result(
        &text,
        &json!({
            "url": app.public_url,
            "listening": listener.address(),
            "servers": entries.len(),
            "setup": app.setup.as_ref().map(|token| format!("{}/setup?token={token}", app.public_url)),
        }),
    )?;
    app.run(listener).await?;
    Ok(ExitCode::SUCCESS)
}

/// The URLs, and the next thing to try.
fn greeting(app: &App, config: &Config, first: Option<&str>) -> String {
    let url = &app.public_url;
    let (server, key) = client_flags(url, config);
    let mut parts = vec![format!("Causeway is at {url}")];
    if config.server.public_url.is_none() && config.server.listen.ip().is_unspecified() {
        parts.push(format!(
            "It listens on {} too. Other machines reach it by a name of this one: give that with \
             --public-url, and the links below say it.",
            config.server.listen
        ));
    }
    if let Some(token) = &app.setup {
        parts.push(format!(
            "Make the first admin, within 30 minutes:\n  {url}/setup?token={token}"
        ));
    }
    if app.seeded {
        parts.push(format!(
            "The demo is served at {url}/mcp/petstore and {url}/mcp/bookshop. Try:\n  \
             causeway call petstore listPets --args '{{\"limit\": 2}}'{server}"
        ));
    }
    if let Some(slug) = first {
        parts.push(format!(
            "Connect a client:\n  claude mcp add --transport http {slug} {url}/mcp/{slug}"
        ));
    }
    parts.push(format!(
        "Publish a document:\n  causeway import openapi.yaml{server}{key}"
    ));
    parts.join("\n\n")
}

/// What the client commands have to be told, where their defaults lead elsewhere: which server, and
/// which key.
fn client_flags(url: &str, config: &Config) -> (String, String) {
    if url == DEFAULT_URL && config.store.data == Path::new("./data") && !given(config) {
        return (String::new(), String::new());
    }
    let server = if url == DEFAULT_URL {
        String::new()
    } else {
        format!(" --server {url}")
    };
    let key = if given(config) {
        " --key KEY".to_owned()
    } else {
        let file = config.store.data.join("admin.key");
        format!(" --key \"$(cat '{}')\"", file.display())
    };
    (server, key)
}

/// Whether the admin key was given, and is in no file of the data directory.
fn given(config: &Config) -> bool {
    config.secrets.admin_key.is_some() || config.secrets.admin_key_file.is_some()
}

/// Opens the database, which is not made where there is none. `what` is to be done with it.
pub(super) async fn existing(config: &Config, what: &str) -> anyhow::Result<Store> {
    let file = config.store.data.join("causeway.db");
    if config.store.database_url.is_none() && !file.is_file() {
        bail!(
            "there is no database {} to {what}; give the data directory of the server with --data",
            file.display()
        );
    }
    Ok(Store::open(&location(config)?, 2).await?)
}

pub(super) async fn migrate(output: &Output, args: DatabaseArgs) -> anyhow::Result<ExitCode> {
    let config = args.load(Vec::new())?;
    let location = location(&config)?;
    if matches!(&location, Location::File(path) if !path.exists()) {
        // A database is never without its key.
        secrets::master_keys(&config)?;
    }
    let store = Store::open(&location, 2).await?;
    store.migrate().await?;
    store.close().await;
    output.result("The schema is up to date.", &json!({ "migrated": true }))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn backup(output: &Output, args: BackupArgs) -> anyhow::Result<ExitCode> {
    let config = args.database.load(Vec::new())?;
    if config.store.database_url.is_some()
        && let Location::Postgres(url) = location(&config)?
    {
        let command = copies::pg_dump_command(&url, &args.target);
        output.result(
            &format!("Postgres is backed up with its own tool:\n  {command}"),
            &json!({ "run": command }),
        )?;
        return Ok(ExitCode::from(2));
    }
    let store = existing(&config, "back up").await?;
    store.backup(&args.target).await?;
    store.close().await;
    let text = format!(
        "Written: {}. The master key is not in it; keep a copy of {} apart from it.",
        args.target.display(),
        config.store.data.join("master.key").display()
    );
    output.result(&text, &json!({ "written": args.target }))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn restore(output: &Output, args: RestoreArgs) -> anyhow::Result<ExitCode> {
    let config = args.database.load(Vec::new())?;
    match location(&config)? {
        Location::Postgres(_) => {
            let text = "Postgres is restored with its own tool: pg_restore --dbname=URL FILE";
            output.result(text, &json!({ "run": "pg_restore" }))?;
            Ok(ExitCode::from(2))
        }
        Location::File(path) => {
            copies::restore(&args.source, &path).await?;
            let text = format!(
                "Restored to {}. Put the master key it was sealed with at {}: without it, \
                 `causeway serve` does not start.",
                path.display(),
                config.store.data.join("master.key").display()
            );
            output.result(&text, &json!({ "restored": path }))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
