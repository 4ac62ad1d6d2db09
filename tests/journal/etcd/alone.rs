//! One member.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_appended_is_read_again_in_pages_whatever_its_size() {
    let etcd = Etcd::start(1).unwrap();
    let first = holder(&etcd, "anna").await;
    let size = |n: u32| match n % 50 {
        49 => 1_400_000,
        n => 10 + n as usize,
    };
    let records: Vec<String> = (0..160).map(|n| "x".repeat(size(n)) + &n.to_string()).collect();
    let end = append(&first, End::default(), records.clone()).await.unwrap();
    assert_eq!(end.records, 160);
    assert!(lines(&etcd).await == records);
    let error = first.append(end, &"x".repeat(1_500_001)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Failed(why) if why.contains("1500001 bytes")), "{error}");
    append(&first, end, ["last".to_owned()]).await.unwrap();
    first.leave().await;
    assert_eq!(lines(&etcd).await.len(), 161);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_needs_the_lock_and_what_was_seen() {
    let etcd = Etcd::start(1).unwrap();
    let first = holder(&etcd, "anna").await;
    let end = append(&first, End::default(), numbers(0..2)).await.unwrap();
    let error = first.append(End { records: 1, ..end }, "another").await.unwrap_err();
    assert!(matches!(&error, StoreError::Conflict(why) if why.contains("somebody else")), "{error}");
    let error = first.append(End { records: 9, ..end }, "another").await.unwrap_err();
    assert!(matches!(&error, StoreError::Conflict(why) if why.contains("cut short")), "{error}");
    // The same once more, as when its answer did not come.
    assert_eq!(first.append(End { records: 1, ..end }, "record 1").await.unwrap().records, 2);
    let second = store(&etcd);
    second.enter(&ticket("bob")).await.unwrap();
    let lost = |error| assert!(matches!(&error, StoreError::Lost(_)), "{error}");
    lost(second.append(end, "from behind").await.unwrap_err());
    first.leave().await;
    lost(first.append(end, "from the past").await.unwrap_err());
    let end = append(&second, end, numbers(2..3)).await.unwrap();
    second.leave().await;
    lost(second.append(end, "from the past").await.unwrap_err());
    assert_eq!(lines(&etcd).await, numbers(0..3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_by_hand_is_changed_by_who_saw_it() {
    let etcd = Etcd::start(1).unwrap();
    let (one, other) = (store(&etcd), store(&etcd));
    for _ in 0..2 {
        assert!(one.set_hold(None, Some(&hold())).await.unwrap());
        assert!(!other.set_hold(None, Some(&hold())).await.unwrap(), "it is held already");
        assert_eq!(other.queue().await.unwrap().hold, Some(hold()));
        assert!(other.set_hold(Some(&hold()), None).await.unwrap());
        assert!(!one.set_hold(Some(&hold()), None).await.unwrap(), "it is released already");
        assert_eq!(one.queue().await.unwrap().hold, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_command_loses_the_lock_with_its_lease_and_its_record_stays() {
    let etcd = Etcd::start(1).unwrap();
    let dead = holder(&etcd, "anna").await;
    let end = append(&dead, End::default(), numbers(0..1)).await.unwrap();
    let died = Instant::now();
    drop(dead);
    let next = store(&etcd);
    let patience = Patience { wait: Some(SOON), skip_superseded: false, ..Patience::default() };
    let mut told = Vec::new();
    let mut waiting = |how: Waiting<'_>| {
        told.extend(how.ahead.iter().filter(|_| how.is_news).map(|queued| queued.ticket.by.user.clone()));
        false
    };
    take_turn(next.as_ref(), &ticket("bob"), patience, &mut waiting).await.unwrap();
    let took = died.elapsed();
    // It was renewed some seconds before, at most.
    assert!(took.as_secs() >= 9, "the lease ended after {took:?}");
    assert_eq!(told, ["anna"]);
    append(&next, end, numbers(1..2)).await.unwrap();
    assert_eq!(lines(&etcd).await, numbers(0..2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_told_at_once_and_nothing_else() {
    let etcd = Etcd::start(1).unwrap();
    let looking = store(&etcd);
    looking.queue().await.unwrap();
    let begun = Instant::now();
    looking.changed(Duration::from_millis(300)).await;
    assert!(begun.elapsed() >= Duration::from_millis(300), "nothing had changed");
    // Whether it comes before or after the watch begins.
    let first = holder(&etcd, "anna").await;
    let begun = Instant::now();
    looking.changed(SOON).await;
    looking.queue().await.unwrap();
    let (_, end) = tokio::join!(looking.changed(SOON), append(&first, End::default(), numbers(0..1)));
    looking.queue().await.unwrap();
    tokio::join!(looking.changed(SOON), first.leave());
    assert!(begun.elapsed() < SOON / 2, "{:?}", begun.elapsed());
    assert_eq!(end.unwrap().records, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_etcd_nothing_waits_for_long_and_everybody_is_named() {
    let mut etcd = Etcd::start(1).unwrap();
    let first = holder(&etcd, "anna").await;
    let end = append(&first, End::default(), numbers(0..1)).await.unwrap();
    for how in ["frozen", "killed"] {
        if how == "frozen" {
            etcd.freeze(0)
        } else {
            etcd.kill(0)
        }
        // All at once: nothing renews the lease of who appends, and its end would be told instead.
        let reading = async {
            let begun = Instant::now();
            let error = store(&etcd).read().await.unwrap_err();
            assert!(begun.elapsed() < SOONER_THAN_A_CHANGE, "{how}: {:?}", begun.elapsed());
            let text = error.to_string();
            assert!(text.contains("could not be read") && text.contains(&etcd.endpoints()[0]), "{how}: {text}");
        };
        let entering = async {
            let error = store(&etcd).enter(&ticket("bob")).await.unwrap_err();
            let hint = "bring etcd's members back, or the way to them: more than half must answer";
            assert_eq!(error.hint(), hint, "{how}");
            assert!(error.to_string().contains("could not be locked"), "{how}: {error}");
        };
        let appending = async {
            let error = first.append(end, "nobody's").await.unwrap_err();
            // What hangs has got it, and may write it yet; who is not there has not.
            let is_unknown = matches!(&error, StoreError::Unknown(_));
            assert_eq!(is_unknown, how == "frozen", "{how}: {error}");
        };
        tokio::join!(appending, reading, entering);
        etcd.thaw(0);
    }
    // Killed while it was asked to: the connection was refused, or ended with the request in it.
    first.leave().await;
}
