//! Every `--help`, whole: it is the documentation most people read.

use crate::program::{causeway, ended};

const COMMANDS: &[&[&str]] = &[
    &[],
    &["serve"],
    &["run"],
    &["stdio"],
    &["check"],
    &["import"],
    &["call"],
    &["apply"],
    &["export"],
    &["import-litellm"],
    &["import-higress"],
    &["tools"],
    &["tools", "shop", "list"],
    &["tools", "shop", "show"],
    &["tools", "shop", "edit"],
    &["versions"],
    &["versions", "shop", "list"],
    &["versions", "shop", "diff"],
    &["versions", "shop", "promote"],
    &["versions", "shop", "discard"],
    &["versions", "shop", "canary"],
    &["sync"],
    &["keys"],
    &["users"],
    &["users", "add"],
    &["users", "list"],
    &["users", "reset"],
    &["users", "export"],
    &["users", "erase"],
    &["keys", "create"],
    &["keys", "list"],
    &["keys", "revoke"],
    &["providers"],
    &["providers", "list"],
    &["providers", "kinds"],
    &["providers", "put"],
    &["providers", "key"],
    &["providers", "test"],
    &["providers", "remove"],
    &["models"],
    &["models", "list"],
    &["models", "show"],
    &["models", "canary"],
    &["models", "put"],
    &["models", "remove"],
    &["servers"],
    &["servers", "disable"],
    &["servers", "enable"],
    &["servers", "unpublish"],
    &["servers", "transfer"],
    &["servers", "delete"],
    &["servers", "deleted"],
    &["servers", "restore"],
    &["servers", "limit"],
    &["plans"],
    &["plans", "list"],
    &["plans", "set"],
    &["plans", "remove"],
    &["consumers"],
    &["consumers", "list"],
    &["consumers", "show"],
    &["consumers", "limit"],
    &["consumers", "plan"],
    &["consumers", "export"],
    &["consumers", "erase"],
    &["approvals"],
    &["approvals", "list"],
    &["approvals", "approve"],
    &["approvals", "deny"],
    &["approvals", "webhook"],
    &["keys", "rotate"],
    &["migrate"],
    &["backup"],
    &["restore"],
    &["audit"],
    &["audit", "list"],
    &["audit", "verify"],
    &["doctor"],
    &["secrets"],
    &["secrets", "rotate"],
    &["secrets", "status"],
    &["secrets", "forget"],
    &["healthcheck"],
    &["completions"],
];

#[tokio::test]
async fn help_teaches() {
    for words in COMMANDS {
        let mut command = causeway(words);
        command.arg("--help").env("COLUMNS", "100");
        let ended = ended(command).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stderr, "");
        let name = [&["causeway"], *words].concat().join("-");
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "snapshots" }, {
            insta::assert_snapshot!(name, ended.stdout);
        });
    }
}

#[tokio::test]
async fn every_command_is_among_them() {
    for group in [
        &[][..],
        &["keys"],
        &["providers"],
        &["models"],
        &["servers"],
        &["plans"],
        &["consumers"],
        &["approvals"],
        &["users"],
        &["audit"],
        &["secrets"],
        &["tools", "shop"],
        &["versions", "shop"],
    ] {
        let mut command = causeway(&[group, &["--help"]].concat());
        // Wide enough for one line each.
        command.env("COLUMNS", "200");
        let listed = ended(command).await.stdout;
        let commands = listed.split("Commands:\n").nth(1).unwrap();
        let commands = commands.split("\n\n").next().unwrap();
        for line in commands.lines() {
            let name = line.split_whitespace().next().unwrap();
            let named = [group, &[name]].concat();
            assert!(
                name == "help" || COMMANDS.contains(&named.as_slice()),
                "{named:?} has no snapshot"
            );
        }
    }
}
