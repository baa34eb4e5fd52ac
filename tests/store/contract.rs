//! What both databases have to do. Each function takes an empty, migrated store; the two test
//! binaries run all of them, one on SQLite, one on Postgres.

use causeway::store::Store;
use causeway::store::answers::NewAnswer;
use causeway::store::audit::NewAudit;
use causeway::store::credentials::Approved;
use causeway::store::keys::NewKey;
use causeway::store::servers::{Import, NewServer, NewVersion, ServerChange};
use causeway::types::{AnswerId, KeyId, OrganizationId, ServerId, Slug, VersionId};
use chrono::{DateTime, Utc};

mod accounts;
mod answers;
mod approvals;
mod audit;
mod callers;
mod connected;
mod credentials;
mod database;
mod idempotency;
mod identities;
mod jobs;
mod ledger;
mod lifecycle;
mod limits;
mod listed;
mod model_usage;
mod personal;
mod probes;
mod servers;
pub(crate) mod upgrade;
mod usage;
mod versions;

pub(crate) use accounts::{
    a_link_lets_one_choose_a_password_once, a_session_ends_at_once, a_step_is_taken_once,
    keys_go_with_their_owner, of_many_who_start_one_sets_up, things_have_an_owner,
};
pub(crate) use answers::an_answer_is_one_principals_for_a_while;
pub(crate) use approvals::{
    a_token_is_used_once_among_processes, an_approval_lets_one_call_through_among_processes,
    what_waits_is_bounded_and_stands_once,
};
pub(crate) use audit::{
    a_row_that_was_tampered_with_is_found, many_writers_make_one_chain,
    rows_from_before_the_chain_are_told_apart, the_audit_is_kept, the_audit_is_read_in_pages,
};
pub(crate) use callers::{
    a_key_is_replaced_once_and_goes_on_for_a_while, a_subject_is_one_consumer,
    an_issuer_has_one_name_and_one_iss, keys_are_found_by_hash_until_they_are_revoked,
    of_many_one_replaces_a_key, somebody_has_so_many_keys_that_are_good,
};
pub(crate) use connected::{
    a_link_is_one_persons_and_good_once, an_account_ends_with_what_it_is_for,
    an_account_is_one_persons, of_many_one_renews_an_account,
};
pub(crate) use credentials::{
    a_credential_takes_the_place_of_the_one_before, of_many_one_renews_a_connection,
    what_was_begun_is_taken_once,
};
pub(crate) use database::Database;
pub(crate) use database::{
    a_change_its_line_and_its_audit_are_one, a_credential_is_its_subjects, an_import_is_whole,
    every_column_of_the_ledger_is_kept, organizations_do_not_meet, the_log_of_changes_is_pruned,
    versions_and_documents_are_never_changed, what_cannot_be_noted_is_not_done,
};
pub(crate) use jobs::{
    a_job_is_leased_to_one, a_job_that_runs_is_told_of_until_it_is_forgotten,
    an_item_of_an_import_remembers_its_server, jobs_are_shared_out,
    what_failed_is_kept_with_the_last_jobs,
};
pub(crate) use servers::{
    a_name_is_given_once, a_server_is_made_versioned_renamed_and_removed,
    an_edit_is_whole_and_of_its_organization, every_catalog_write_is_told,
    many_writers_lose_nothing,
};
pub(crate) use versions::{
    a_look_is_noted_for_where_it_looked, a_version_that_was_let_go_of_is_known,
    what_stands_beside_an_older_version_ends,
};

pub(crate) use idempotency::{
    approvals_are_read_from_row_to_row, of_many_who_send_a_request_one_does_it,
    requests_are_let_go_of_bounded_and_forgotten,
};
pub(crate) use identities::{
    a_session_ends_with_the_identity_it_began_with, a_sign_in_is_taken_once_by_its_browser,
    an_identity_is_one_accounts, nobody_crowds_out_the_sign_ins_of_others,
};
pub(crate) use ledger::{a_ledger_row_counts_once, calls_are_read_in_pages_and_swept};
pub(crate) use lifecycle::{
    a_closed_server_says_since_when, a_deleted_server_is_held_and_restored,
    a_server_is_given_to_those_who_publish, no_credential_outlives_its_server,
    of_restore_and_removal_one_happens, servers_are_removed_in_batches,
};
pub(crate) use limits::{
    a_budget_is_never_exceeded_by_many, a_budget_of_a_model_is_used_to_its_end_and_not_beyond,
    a_clock_set_back_begins_no_window_anew, a_crash_loses_no_unit_of_a_quota,
    a_plan_is_given_until_it_is_taken, a_quota_is_exact_among_many_and_survives_them,
    a_slice_is_at_most_what_is_left, a_window_begins_with_all_of_its_quota,
    another_amount_of_a_quota_counts_at_once, what_an_answer_comes_to_is_counted_when_it_is_there,
};
pub(crate) use listed::{a_version_without_a_list_gets_one, the_catalog_is_searched_the_same};
pub(crate) use model_usage::{
    calls_of_models_add_up_by_hours_and_days, what_no_sum_holds_is_refused_for_good,
};
pub(crate) use personal::{
    a_chain_fits_after_an_erasure, a_consumer_is_erased_with_its_keys,
    what_somebody_was_answered_goes_with_them, what_was_redacted_is_watched_over,
};

pub(crate) use probes::{of_many_one_asks_an_api, the_last_results_of_a_probe_are_kept};
pub(crate) use usage::{
    a_roll_up_is_the_sum_of_its_calls, the_calls_of_servers_are_added_up, two_writers_add_up,
    usage_is_the_same_by_days_until_it_is_swept,
};

const ORGANIZATION: OrganizationId = OrganizationId::DEFAULT;

fn approved(origins: &str) -> Approved<'_> {
    Approved {
        origins,
        token_origins: None,
    }
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

fn slug(text: &str) -> Slug {
    text.parse().unwrap()
}

fn version(title: &str) -> NewVersion {
    NewVersion {
        id: VersionId::generate(),
        document: title.as_bytes().to_vec(),
        document_hash: [u8::try_from(title.len()).unwrap(); 32],
        document_url: None,
        overlays: None,
        converter: "test".into(),
        title: title.into(),
        description: None,
        tools: "[]".into(),
        schemes: "{}".into(),
        findings: "[]".into(),
        listed: causeway::store::listed::NewListed::default(),
    }
}

fn act() -> NewAudit {
    act_of(ORGANIZATION)
}

fn act_of(organization: OrganizationId) -> NewAudit {
    NewAudit {
        organization,
        actor: "admin".into(),
        action: "test",
        entity: "server",
        entity_id: "pets".into(),
        before: None,
        after: Some("{}".into()),
    }
}

fn replaced(version: &NewVersion) -> Import<'_> {
    Import {
        version: Some(version),
        ..Import::default()
    }
}

fn server(name: &str) -> NewServer {
    NewServer {
        id: ServerId::generate(),
        slug: slug(name),
        owner: None,
        closed: None,
        settings: "{}".into(),
        version: version(name),
        credentials: Vec::new(),
    }
}

fn renamed(slug: &Slug) -> ServerChange<'_> {
    ServerChange {
        slug: Some(slug),
        ..ServerChange::default()
    }
}

fn settings(text: &str, expected: Option<i64>) -> ServerChange<'_> {
    ServerChange {
        settings: Some(text),
        expected,
        ..ServerChange::default()
    }
}

fn key(digit: u8) -> NewKey {
    NewKey {
        id: KeyId::generate(),
        organization: ORGANIZATION,
        owner: None,
        owned_max: None,
        own_only: false,
        consumer: "agent".into(),
        name: format!("key {digit}"),
        prefix: "cw_0000".into(),
        hash: [digit; 32],
        grants: None,
        models: None,
        expires_at: None,
    }
}

fn answer(server: ServerId, principal: &str, size: usize, second: i64) -> NewAnswer {
    NewAnswer {
        id: AnswerId::generate(),
        organization: ORGANIZATION,
        server,
        principal: principal.into(),
        operation: None,
        tool: "list".into(),
        media_type: "text/plain".into(),
        size,
        key_id: "k".into(),
        sealed: b"sealed".to_vec(),
        expires_at: at(second),
    }
}

pub(crate) async fn migrating_twice_changes_nothing(store: &Store) {
    let (a, b) = tokio::join!(store.migrate(), store.migrate());
    a.unwrap();
    b.unwrap();
    store.ping().await.unwrap();
}

/// Runs every function above, each on a store of its own.
#[macro_export]
macro_rules! run_contract {
    ($store:path) => {
        $crate::run_contract!($store;
            a_server_is_made_versioned_renamed_and_removed,
            the_catalog_is_searched_the_same,
            a_version_without_a_list_gets_one,
            an_item_of_an_import_remembers_its_server,
            an_edit_is_whole_and_of_its_organization,
            a_name_is_given_once,
            every_catalog_write_is_told,
            keys_are_found_by_hash_until_they_are_revoked,
            a_credential_takes_the_place_of_the_one_before,
            of_many_one_renews_a_connection,
            what_was_begun_is_taken_once,
            an_account_is_one_persons,
            an_account_ends_with_what_it_is_for,
            a_link_is_one_persons_and_good_once,
            of_many_one_renews_an_account,
            a_ledger_row_counts_once,
            a_job_is_leased_to_one,
            jobs_are_shared_out,
            a_job_that_runs_is_told_of_until_it_is_forgotten,
            what_failed_is_kept_with_the_last_jobs,
            an_answer_is_one_principals_for_a_while,
            the_audit_is_kept,
            of_many_who_send_a_request_one_does_it,
            requests_are_let_go_of_bounded_and_forgotten,
            approvals_are_read_from_row_to_row,
            what_stands_beside_an_older_version_ends,
            a_version_that_was_let_go_of_is_known,
            a_look_is_noted_for_where_it_looked,
            many_writers_lose_nothing,
            many_writers_make_one_chain,
            the_audit_is_read_in_pages,
            calls_are_read_in_pages_and_swept,
            usage_is_the_same_by_days_until_it_is_swept,
            calls_of_models_add_up_by_hours_and_days,
            what_no_sum_holds_is_refused_for_good,
            the_calls_of_servers_are_added_up,
            of_many_one_asks_an_api,
            the_last_results_of_a_probe_are_kept,
            migrating_twice_changes_nothing,
            a_quota_is_exact_among_many_and_survives_them,
            a_crash_loses_no_unit_of_a_quota,
            a_clock_set_back_begins_no_window_anew,
            a_slice_is_at_most_what_is_left,
            a_window_begins_with_all_of_its_quota,
            another_amount_of_a_quota_counts_at_once,
            a_budget_is_never_exceeded_by_many,
            a_budget_of_a_model_is_used_to_its_end_and_not_beyond,
            what_an_answer_comes_to_is_counted_when_it_is_there,
            a_plan_is_given_until_it_is_taken,
            a_key_is_replaced_once_and_goes_on_for_a_while,
            of_many_one_replaces_a_key,
            somebody_has_so_many_keys_that_are_good,
            an_issuer_has_one_name_and_one_iss,
            a_subject_is_one_consumer,
            of_many_who_start_one_sets_up,
            a_session_ends_at_once,
            a_link_lets_one_choose_a_password_once,
            a_step_is_taken_once,
            keys_go_with_their_owner,
            things_have_an_owner,
            a_closed_server_says_since_when,
            a_server_is_given_to_those_who_publish,
            servers_are_removed_in_batches,
            of_restore_and_removal_one_happens,
            a_consumer_is_erased_with_its_keys,
            an_identity_is_one_accounts,
            a_session_ends_with_the_identity_it_began_with,
            a_sign_in_is_taken_once_by_its_browser,
            nobody_crowds_out_the_sign_ins_of_others,
            a_token_is_used_once_among_processes,
            an_approval_lets_one_call_through_among_processes,
            what_waits_is_bounded_and_stands_once
        );
        $crate::run_contract!($store, with_database;
            a_change_its_line_and_its_audit_are_one,
            what_cannot_be_noted_is_not_done,
            an_import_is_whole,
            versions_and_documents_are_never_changed,
            every_column_of_the_ledger_is_kept,
            a_roll_up_is_the_sum_of_its_calls,
            a_credential_is_its_subjects,
            organizations_do_not_meet,
            the_log_of_changes_is_pruned,
            a_deleted_server_is_held_and_restored,
            no_credential_outlives_its_server,
            a_chain_fits_after_an_erasure,
            what_was_redacted_is_watched_over,
            what_somebody_was_answered_goes_with_them,
            a_row_that_was_tampered_with_is_found,
            rows_from_before_the_chain_are_told_apart
        );
    };
    ($store:path, with_database; $($name:ident),*) => {$(
        #[tokio::test]
        async fn $name() {
            let place = $store().await;
            let database = place.database().await;
            contract::$name(&place.store, &database).await;
            place.store.close().await;
        }
    )*};
    ($store:path; $($name:ident),*) => {$(
        #[tokio::test]
        async fn $name() {
            let place = $store().await;
            contract::$name(&place.store).await;
            place.store.close().await;
        }
    )*};
}
