//! `--credential`: what is wrong is said with its fix, and never with the value.

use crate::cli::{SECRET, Upstream};
use crate::program::{Ended, causeway, ended, run};

/// `run`, `stdio` and `import` read the flag alike.
async fn refusals(credential: &str, words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let file = Upstream::start().await.document(folder.path());
    for command in ["run", "stdio", "import"] {
        // `import` leaves the judgment of the scheme's name to the server.
        if command == "import" && !credential.contains("env:") && !credential.contains('@') {
            continue;
        }
        refused(
            &run(&[command, &file, "--credential", credential]).await,
            words,
        );
    }
}

fn refused(ended: &Ended, words: &[&str]) {
    ended.refused(words);
    assert!(!ended.stderr.contains(SECRET), "{ended:?}");
}

#[tokio::test]
async fn a_value_without_its_scheme_is_not_repeated() {
    refusals(SECRET, &["SCHEME=VALUE", "ApiKey=@key.txt"]).await;
    // A key may hold a `=` itself: then what stands before it is the secret.
    let padded = format!("{SECRET}==");
    refusals(&padded, &["SCHEME is none of", "Key, Login"]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = Upstream::start().await.document(folder.path());
    refused(
        &run(&["import", &file, "--credential", SECRET]).await,
        &["SCHEME=VALUE"],
    );
}

#[tokio::test]
async fn a_variable_that_is_not_set_is_named() {
    let fix = ["--credential Key", "NO_SUCH_VARIABLE is not set", "export"];
    refusals("Key=env:NO_SUCH_VARIABLE", &fix).await;
}

#[tokio::test]
async fn a_file_that_is_missing_is_named() {
    let fix = ["--credential Key", "no-such-file", "holds the credential"];
    refusals("Key=@no-such-file", &fix).await;
    refusals("Key=@/dev/zero", &["longer than a credential"]).await;
}

#[tokio::test]
async fn a_value_of_the_wrong_form_is_not_repeated() {
    refusals(&format!("Login={SECRET}"), &["user:password"]).await;
    refusals("Key=", &["--credential Key", "empty"]).await;
}

#[tokio::test]
async fn an_import_with_a_scheme_the_document_lacks_is_refused_without_the_value() {
    let folder = tempfile::tempdir().unwrap();
    let file = Upstream::start().await.document(folder.path());
    let data = folder.path().join("data");
    let key = ["--no-demo", "--admin-key", super::ADMIN_KEY];
    let served = crate::program::Serving::on(&data, &key).await;
    let given = format!("{SECRET}==");
    let arguments = ["import", &file, "--credential", &given];
    let ended = served.command(super::ADMIN_KEY, &arguments).await;
    refused(&ended, &["Key, Login"]);
}

#[tokio::test]
async fn a_document_from_standard_input_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = Upstream::start().await.document(folder.path());
    let mut command = causeway(&["check", "-"]);
    command.stdin(std::fs::File::open(file).unwrap());
    let ended = ended(command).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("1 tools"), "{ended:?}");
}
