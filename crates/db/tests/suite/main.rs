//! Every operation on both engines: the same cases run on SQLite, each in a test of its own, and on a PostgreSQL server
//! that the test starts for itself. What only one engine has is in `sqlite_only` and `postgres_only`.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod allocations;
mod commits;
mod conductors;
mod crash;
mod events;
mod fixtures;
mod hardware;
mod inspections;
mod messages;
mod nodes;
mod paging;
mod plans;
mod ports;
mod postgres_only;
mod power;
mod resources;
mod sqlite_only;
mod traces;

use db::{Db, Options};
use futures_util::future::BoxFuture;

type Case = (&'static str, fn(Db) -> BoxFuture<'static, ()>);

macro_rules! cases {
    ($($module:ident: $($case:ident)*;)*) => {
        const CASES: &[Case] = &[$($((
            concat!(stringify!($module), "::", stringify!($case)),
            |db| Box::pin($module::$case(db)),
        ),)*)*];

        mod sqlite {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let dir = tempfile::tempdir().unwrap();
                    let db = crate::sqlite_in(&dir).await;
                    crate::$module::$case(db.clone()).await;
                    db.close().await;
                })*
            })*
        }
    };
}

cases! {
    allocations:
        every_field_comes_back
        a_node_is_claimed_whole_or_not_at_all
        one_conductor_works_on_an_allocation_until_it_is_gone
        a_node_that_lets_go_takes_the_allocation_along
        candidates_fit
        nodes_are_found_by_what_they_are_called
        allocations_are_filtered_and_paged
        a_project_sees_its_own;
    nodes:
        every_field_comes_back
        every_changed_field_is_written
        absent_values_come_back
        keys_find_the_node
        duplicates_name_the_field
        a_stale_write_is_a_conflict
        a_write_of_what_is_gone_is_not_found
        deletion_takes_what_belongs_to_the_node
        traits_are_kept_in_order
        each_filter_selects
        all_filters_fit_together
        sets_may_be_empty_or_large
        description_is_searched_literally
        a_project_sees_what_it_owns_or_leases
        shards_are_counted
        a_request_costs_few_statements
        thirty_two_writers_lose_nothing
        failures_in_a_group_harm_nobody;
    paging:
        pages_have_no_gap_and_no_duplicate
        an_unknown_marker_is_told
        a_hidden_marker_is_unknown;
    ports:
        every_field_comes_back
        keys_find_the_port
        duplicates_name_the_field
        a_stale_write_is_a_conflict
        a_port_needs_its_node
        each_filter_selects
        a_project_sees_its_nodes_ports
        pages_have_no_gap_and_no_duplicate;
    plans:
        templates_come_back_with_their_steps
        taken_names_are_told
        a_project_sees_its_runbooks_and_public_ones
        rules_come_back
        plans_are_paged
        the_last_inventory_is_kept;
    hardware:
        bios_settings_follow_what_was_read
        firmware_remembers_its_first_version
        what_was_read_goes_with_its_node;
    resources:
        every_field_comes_back
        duplicates_name_the_field
        a_stale_write_is_a_conflict
        rows_in_use_stay
        rows_of_a_node_need_it_and_go_with_it
        a_project_sees_what_its_nodes_have
        portgroups_are_filtered
        a_physical_network_spreads_to_the_ports
        pages_have_no_gap_and_no_duplicate;
    commits:
        a_decision_is_recorded_whole
        a_refused_decision_leaves_nothing
        flows_come_due
        the_journal_is_bounded
        history_is_paged_and_bounded
        a_state_takes_so_many_nodes
        wake_ups_follow_the_commit
        users_and_settings;
    events:
        each_change_of_a_part_is_told
        each_change_of_a_node_is_told
        each_field_that_callers_set_is_told
        a_refused_write_is_not_told
        filters_select
        a_project_sees_its_own
        what_is_dropped_is_said
        readers_that_come_and_go_see_each_once;
    traces:
        what_was_seen_comes_back_with_counts
        traces_are_bounded
        whoever_sees_something_never_waits
        another_port_of_a_machine_is_recognised;
    inspections:
        the_last_report_waits
        what_comes_of_it_is_recorded_whole;
    power:
        only_those_are_looked_at_that_nobody_works_on
        a_look_has_what_it_takes
        failures_in_a_row_are_counted;
    messages:
        each_is_taken_once_and_in_order
        who_was_taken_for_dead_takes_nothing
        of_many_takers_one_gets_it
        what_is_read_stays_until_it_is_dropped
        what_is_late_is_said_and_dropped
        one_publishes_at_a_time;
    conductors:
        a_conductor_registers_and_leaves
        hardware_is_what_online_conductors_offer
        what_a_dead_conductor_says_is_refused
        the_long_silent_are_forgotten
        every_statement_fits_the_schema
        opening_again_finds_everything_done;
}

/// A fresh SQLite store.
async fn sqlite_in(dir: &tempfile::TempDir) -> Db {
    let url = db::DatabaseUrl::sqlite(dir.path().join("test.db"));
    Db::open(&Options::new(url)).await.unwrap()
}

/// All cases, one after another on one server, each in an empty database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    let server = lab::Postgres::start().await.unwrap();
    let url = server.create_database("cases").await.unwrap();
    for (name, case) in CASES {
        println!("postgres {name}");
        server.empty("cases").await.unwrap();
        let db = Db::open(&Options::new(url.parse().unwrap())).await.unwrap();
        case(db.clone()).await;
        db.close().await;
    }
    postgres_only::all(&server).await;
    server.stop().await.unwrap();
}
