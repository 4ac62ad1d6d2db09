//! What every kind of journal promises, on each of them; and what only some of them can get into.

#![allow(clippy::unwrap_used, reason = "a test stops where it cannot go on")]

mod copy;
mod etcd;
mod kinds;
mod link;
mod properties;
mod silence;
#[allow(dead_code, reason = "it is shared with the tests of the connections")]
#[path = "../host/sshd.rs"]
mod sshd;
mod two_ways;

/// Tests on one kind, each on a journal of its own.
macro_rules! suite {
    ($kind:ident: $($property:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $property() {
            crate::properties::$property(&crate::kinds::$kind()).await;
        })+
    };
}

/// What every kind promises.
macro_rules! of_every_kind {
    ($kind:ident) => {
        suite!(
            $kind: what_was_appended_is_read_again_by_anybody,
            a_missing_journal_is_empty_and_looking_at_it_makes_nothing,
            a_second_opener_is_refused_and_told_who_holds_it,
            of_two_that_open_at_the_same_instant_exactly_one_proceeds,
            who_waits_is_served_in_order,
            a_lock_by_hand_stops_everybody_until_it_is_released,
            a_killed_holder_is_gone_in_time,
            a_holder_that_left_may_come_again_at_once,
        );
    };
}

/// What those promise whose records lie in a file.
macro_rules! of_files {
    ($kind:ident) => {
        suite!(
            $kind: what_another_writer_did_meanwhile_is_not_written_over,
            a_torn_record_is_dropped_and_written_over,
            a_damaged_record_stops_with_its_line,
            only_its_owner_may_read_it,
            a_full_disk_leaves_what_was_there,
        );
    };
}

mod in_etcd {
    of_every_kind!(etcd);
}

mod file {
    of_every_kind!(file);
    of_files!(file);
}

mod ssh {
    of_every_kind!(ssh);
    of_files!(ssh);
}
