//! What keeps a server from starting, or a command from being heard: each is said with its fix.

use crate::cli::ADMIN_KEY;
use crate::program::{Serving, causeway, ended, example, run};

#[tokio::test]
async fn a_port_in_use_is_said_with_another() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let words = [&address, "in use", "--listen 127.0.0.1:0"];
    run(&["serve", "--listen", &address, "--data", &data])
        .await
        .refused(&words);
    run(&["run", &example("petstore.yaml"), "--listen", &address])
        .await
        .refused(&words);
    assert!(!folder.path().join("data").exists(), "something was made");
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_said_with_the_flag() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("data").display().to_string();
    // Nobody may write there, not even the administrator that runs tests in a container.
    for directory in [&below, "/proc"] {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--data", directory];
        run(&arguments).await.refused(&[directory, "--data"]);
        let backup = folder.path().join("backup.db").display().to_string();
        let arguments = ["restore", &backup, "--data", directory];
        run(&arguments).await.refused(&[directory, "--data"]);
    }
}

#[tokio::test]
async fn a_wrong_key_is_said_with_the_right_ones_place() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let served = Serving::on(&data, &["--admin-key", ADMIN_KEY]).await;
    let file = example("parcels.yaml");
    for arguments in [
        &["import", &file, "--slug", "parcels"][..],
        &["keys", "list"],
    ] {
        let ended = served.command("a-wrong-key", arguments).await;
        ended.refused(&["401", "--key", "admin.key"]);
        assert!(!ended.stderr.contains("a-wrong-key"), "{ended:?}");
    }
    let ended = served.command(ADMIN_KEY, &["call", "no", "tool"]).await;
    ended.refused(&[
        "404",
        "check the names",
        "no server \"no\" or no tool \"tool\"",
    ]);
    for (arguments, named) in [
        (&["providers", "test", "nope"][..], "no provider \"nope\""),
        (
            &["consumers", "limit", "nobody", "--no-limit"],
            "no consumer \"nobody\"",
        ),
    ] {
        let ended = served.command(ADMIN_KEY, arguments).await;
        ended.refused(&["404", named]);
    }
    let short = ["serve", "--listen", "127.0.0.1:0", "--admin-key", "short"];
    let mut command = causeway(&short);
    command.current_dir(folder.path());
    ended_with(command, &["at least 16", "openssl rand"]).await;
}

async fn ended_with(command: tokio::process::Command, words: &[&str]) {
    ended(command).await.refused(words);
}

#[tokio::test]
async fn a_name_that_cannot_stand_in_a_url_is_said_with_the_rule() {
    let ended = run(&["import", &example("petstore.yaml"), "--slug", "No Good"]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for words in ["--slug", "No Good", "a-z 0-9 -"] {
        assert!(ended.stderr.contains(words), "{words} is not in {ended:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_with_how_to_start_it() {
    // Held, so that nobody else gets it, and nobody listens there.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = held.local_addr().unwrap();
    let server = format!("http://{address}");
    let ended = run(&["healthcheck", "--server", &server]).await;
    ended.refused(&[&server, "causeway serve", "refused"]);
    let repeated = ended.stderr.matches("Connection refused").count();
    assert_eq!(repeated, 1, "{ended:?}");
}

#[tokio::test]
async fn the_admin_key_of_this_directory_is_not_sent_to_another_machine() {
    let folder = tempfile::tempdir().unwrap();
    let served = Serving::on(&folder.path().join("data"), &["--no-demo"]).await;
    let list = async |server: &str| {
        let mut command = causeway(&["keys", "list", "--server", server]);
        command.current_dir(folder.path());
        ended(command).await
    };
    assert_eq!(list(&served.origin).await.code, Some(0));
    // The same server, but by an address that any machine could have.
    let port = served.origin.rsplit(':').next().unwrap();
    let elsewhere = list(&format!("http://0.0.0.0:{port}")).await;
    assert_eq!(elsewhere.code, Some(1), "{elsewhere:?}");
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let file = example("malformed.yaml");
    let mut command = causeway(&["check", &file]);
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// Refused before anything is connected to: nothing listens there.
#[tokio::test]
async fn postgres_is_given_both_keys_and_no_demo() {
    let master = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let serve = |more: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let url = [
            "serve",
            "--database-url",
            "postgres://causeway@127.0.0.1:1/causeway",
        ];
        let listen = ["--listen", "127.0.0.1:0"];
        let mut command = causeway(&[&url[..], &listen, more].concat());
        command.current_dir(folder.path());
        (folder, command)
    };
    let (_folder, command) = serve(&["--admin-key", super::ADMIN_KEY]);
    let words = [
        "master key has to be given",
        "CAUSEWAY__SECRETS__MASTER_KEY_FILE",
    ];
    ended_with(command, &words).await;
    let (folder, mut command) = serve(&[]);
    command.env("CAUSEWAY__SECRETS__MASTER_KEY", master);
    let words = [
        "admin key has to be given",
        "CAUSEWAY__SECRETS__ADMIN_KEY_FILE",
    ];
    ended_with(command, &words).await;
    assert!(!folder.path().join("data").exists(), "nothing is generated");
    let (_folder, mut command) = serve(&["--demo", "--admin-key", super::ADMIN_KEY]);
    command.env("CAUSEWAY__SECRETS__MASTER_KEY", master);
    ended_with(
        command,
        &["fresh SQLite database", "--demo", "--database-url"],
    )
    .await;
}

/// What `compose.yaml` says to do first makes files that the containers' users can read, in a folder
/// that no other user of the machine can enter, and with which a server starts.
#[tokio::test]
async fn the_instructions_of_compose_make_secrets_that_can_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let compose = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("compose.yaml");
    let compose = std::fs::read_to_string(compose).unwrap();
    let commands: Vec<&str> = compose
        .lines()
        .filter_map(|line| line.strip_prefix("#   "))
        .filter(|line| !line.starts_with("docker "))
        .collect();
    assert!(commands.len() >= 4, "{commands:?}");
    for umask in ["022", "077"] {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("umask {umask}; set -e\n{}", commands.join("\n"));
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-c", &script]).current_dir(folder.path());
        let done = shell.output().await.unwrap();
        assert!(done.status.success(), "{done:?}");
        let secrets = folder.path().join("secrets");
        let mode =
            |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&secrets), 0o700);
        for name in ["master-key", "admin-key", "postgres-password"] {
            assert_eq!(mode(&secrets.join(name)), 0o644, "{name}, umask {umask}");
            assert!(compose.contains(&format!("/run/secrets/{name}")), "{name}");
        }
        let data = folder.path().join("data").display().to_string();
        let listen = [
            "serve",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--data",
            &data,
        ];
        let mut command = causeway(&listen);
        for (setting, file) in [
            ("MASTER_KEY_FILE", "master-key"),
            ("ADMIN_KEY_FILE", "admin-key"),
        ] {
            command.env(format!("CAUSEWAY__SECRETS__{setting}"), secrets.join(file));
        }
        let served = Serving::start(command).await;
        let health = format!("{}/healthz", served.origin);
        assert_eq!(reqwest::get(health).await.unwrap().status(), 200);
        served.terminate();
        let (code, said) = served.ended().await;
        assert_eq!(code, Some(0), "{said}");
        assert!(
            said.contains("every user of this system may read the master key"),
            "{said}"
        );
    }
}

/// Which file was read is told by the fault in it.
#[tokio::test]
async fn the_configuration_of_this_directory_is_read_unless_another_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let serve = async |more: &[&str], variable: Option<&str>| {
        let mut command = causeway(&[&["serve", "--listen", "127.0.0.1:0"], more].concat());
        command.current_dir(folder.path());
        if let Some(file) = variable {
            command.env("CAUSEWAY_CONFIG", file);
        }
        ended(command).await
    };
    for (name, setting) in [("causeway.toml", "here"), ("other.toml", "there")] {
        std::fs::write(folder.path().join(name), format!("[server]\n{setting} = 1")).unwrap();
    }
    serve(&[], None)
        .await
        .refused(&["causeway.toml", "server.here"]);
    let named = ["other.toml", "server.there"];
    serve(&["--config", "other.toml"], None)
        .await
        .refused(&named);
    serve(&[], Some("other.toml")).await.refused(&named);
    assert!(!folder.path().join("data").exists());
}
