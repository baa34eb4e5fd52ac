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
    ended.refused(&["404", "check the names"]);
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
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
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
