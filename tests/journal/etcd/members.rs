//! Three members, one of which is killed, hangs, or comes back.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn with_one_member_dead_or_hanging_nothing_is_lost_and_little_time() {
    let mut etcd = Etcd::start(3).unwrap();
    let first = holder(&etcd, "anna").await;
    let mut end = append(&first, End::default(), numbers(0..3)).await.unwrap();
    for round in 0..2 {
        let leader = etcd.leader().unwrap();
        let follower = (leader + 1) % 3;
        for (member, how) in [(follower, "hangs"), (leader, "hangs"), (follower, "dies"), (leader, "dies")] {
            let begun = Instant::now();
            if how == "hangs" {
                etcd.freeze(member)
            } else {
                etcd.kill(member)
            }
            let from = u32::try_from(end.records).unwrap();
            end = append(&first, end, numbers(from..from + 3)).await.unwrap();
            let all = lines(&etcd).await;
            assert_eq!(all, numbers(0..from + 3), "round {round}: {how}");
            assert!(begun.elapsed() < SOON, "round {round}: {how}: {:?}", begun.elapsed());
            if how == "hangs" { etcd.thaw(member) } else { etcd.restart(member).unwrap() }
        }
    }
    first.leave().await;
    assert_eq!(store(&etcd).queue().await.unwrap().tickets, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_an_append_is_unknown_and_never_lands_behind_the_next_holder() {
    let mut etcd = Etcd::start(3).unwrap();
    let first = holder(&etcd, "anna").await;
    let end = append(&first, End::default(), numbers(0..2)).await.unwrap();
    etcd.kill(0);
    etcd.kill(1);
    let begun = Instant::now();
    let error = first.append(end, "record 2").await.unwrap_err();
    assert!(matches!(&error, StoreError::Unknown(_)), "{error}");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let begun = Instant::now();
    store(&etcd).read().await.unwrap_err();
    assert!(begun.elapsed() < SOONER_THAN_A_CHANGE, "{:?}", begun.elapsed());
    etcd.restart_together(&[0, 1]).unwrap();
    first.leave().await;
    let second = holder(&etcd, "bob").await;
    let seen = lines(&etcd).await;
    assert!(seen == numbers(0..2) || seen == numbers(0..3), "{seen:?}");
    let count = u32::try_from(seen.len()).unwrap();
    let end = End { records: u64::from(count), ..End::default() };
    append(&second, end, numbers(count..count + 2)).await.unwrap();
    assert_eq!(lines(&etcd).await, numbers(0..count + 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_start_at_once_one_has_the_lock_and_all_are_served_in_turn() {
    let etcd = Etcd::start(3).unwrap();
    let patience = Patience { wait: Some(SOON * 4), skip_superseded: false, ..Patience::default() };
    let work = |n: u32| {
        let store = store(&etcd);
        async move {
            take_turn(store.as_ref(), &ticket(&n.to_string()), patience, &mut |_| false).await.unwrap();
            let text = String::from_utf8(store.read().await.unwrap()).unwrap();
            let count = text.lines().count() as u32;
            let end = End { records: u64::from(count), ..End::default() };
            append(&store, end, numbers(count..count + 2)).await.unwrap();
            store.leave().await;
        }
    };
    futures::future::join_all((0..12).map(work)).await;
    assert_eq!(lines(&etcd).await, numbers(0..24));
}
