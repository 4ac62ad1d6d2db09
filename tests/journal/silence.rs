//! The way to the journal's host falls silent, or a machine does: both sides know within the lease, and what was being
//! appended is there or not, never unknown while it can be found out.

use std::{
    process::{Child, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use bluegreen::{
    edge::journal::{End, SshStore, Store, StoreError, read, take_turn},
    engine::Journal as _,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    kinds::{Kind, SOON, created, open, open_within, ssh_on, ssh_store, synced, ticket},
    link::Link,
    sshd::{DEAD, Sshd, until},
};

/// Long enough for a loaded machine not to lose it, short enough to wait for.
const LEASE: Duration = Duration::from_secs(5);
/// How late things may come on such a machine: what the bounds here are for would take for ever.
const LATE: Duration = Duration::from_secs(30);

/// A journal on a host, with that lease.
fn ssh() -> Kind {
    ssh_on(Sshd::start(""), LEASE)
}

/// A journal whose host is reached over a link by the first store, and directly by the others.
struct Apart {
    kind: Kind,
    link: Link,
    far: Arc<dyn Store>,
}

async fn apart() -> Apart {
    let sshd = Sshd::start("");
    let link = Link::to(sshd.port).await;
    let config = std::fs::read_to_string(sshd.path("ssh_config")).unwrap();
    let far_config = sshd.path("far_config");
    let known = format!("[127.0.0.1]:{}", sshd.port);
    let hosts = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    let hosts = format!("{hosts}{}", hosts.replace(&known, &format!("[127.0.0.1]:{}", link.port)));
    std::fs::write(sshd.path("known_hosts"), hosts).unwrap();
    std::fs::write(&far_config, config.replace(&sshd.port.to_string(), &link.port.to_string())).unwrap();
    let far: SshStore = ssh_store(&sshd.path("var/journal"), &far_config).with_lease(LEASE);
    Apart { far: Arc::new(far), kind: ssh_on(sshd, LEASE), link }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_falls_silent_loses_the_lock_on_both_sides_within_the_lease() {
    let Apart { kind, link, far } = apart().await;
    let mut journal = open(&far, "flip").await.unwrap();
    journal.append(created()).await.unwrap();
    link.swallow_what_is_sent();
    link.swallow_the_answers();
    link.shut();
    let cut = Instant::now();
    let near = kind.store();
    let mut other = open_within(&near, "resume", Some(SOON)).await.unwrap();
    assert!(cut.elapsed() < LEASE + LATE, "{:?}", cut.elapsed());
    let asked = Instant::now();
    let error = journal.append(synced(1)).await.unwrap_err();
    assert!(error.message.contains("lost the lock") && !error.is_unknown, "{error}");
    // For an answer it would have waited as long as the lease is.
    assert!(asked.elapsed() < LEASE, "nothing was sent: {:?}", asked.elapsed());
    link.open();
    other.append(synced(2)).await.unwrap();
    let error = journal.append(synced(3)).await.unwrap_err();
    assert!(error.message.contains("lost the lock"), "{error}");
    assert_eq!(read(near.as_ref()).await.unwrap().state.digests, ["d2"]);
    near.leave().await;
    far.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_answer_never_came_is_found() {
    let Apart { kind, link, far } = apart().await;
    let mut journal = open(&far, "flip").await.unwrap();
    journal.append(created()).await.unwrap();
    link.swallow_the_answers();
    link.open();
    journal.append(synced(1)).await.unwrap();
    let error = journal.append(synced(2)).await.unwrap_err();
    assert!(error.message.contains("lost the lock"), "{error}");
    assert_eq!(read(kind.store().as_ref()).await.unwrap().state.digests, ["d1"]);
    far.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_never_arrived_is_known_not_to_be_there() {
    let Apart { kind, link, far } = apart().await;
    let mut journal = open(&far, "flip").await.unwrap();
    journal.append(created()).await.unwrap();
    link.swallow_what_is_sent();
    link.open();
    let error = journal.append(synced(1)).await.unwrap_err();
    assert!(!error.is_unknown && error.message.contains("What it holds is unchanged"), "{error}");
    let reading = read(kind.store().as_ref()).await.unwrap();
    assert_eq!((reading.state.length, reading.queue.tickets.len()), (1, 0));
    far.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_found_out_is_said_to_be_unknown() {
    let Apart { kind: _kind, link, far } = apart().await;
    take_turn(far.as_ref(), &ticket("flip"), Default::default(), &mut |_| false).await.unwrap();
    let end = far.append(End::default(), "a").await.unwrap();
    assert_eq!((end.records, end.bytes), (1, 2));
    link.swallow_the_answers();
    link.shut();
    let begun = Instant::now();
    let error = far.append(end, "b").await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Unknown(why) if why.contains("`box`") && why.contains("not known")),
        "{error}"
    );
    // The answer's time, then the time for finding out.
    assert!(begun.elapsed() < LEASE * 5 + LATE, "{:?}", begun.elapsed());
    far.leave().await;
}

/// A holder in a process of its own that has appended something.
async fn holder(kind: &Kind, store: &Arc<dyn Store>) -> Child {
    let holder = kind.holder().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + SOON;
    while read(store.as_ref()).await.unwrap().state.length < 3 {
        assert!(Instant::now() < end, "it appends nothing");
    }
    holder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_was_asleep_appends_nothing_more() {
    let kind = ssh();
    let store = kind.store();
    let mut asleep = holder(&kind, &store).await;
    let pid = Pid::from_raw(asleep.id().cast_signed());
    kill(pid, Signal::SIGSTOP).unwrap();
    let stopped = Instant::now();
    let journal = open_within(&store, "resume", Some(SOON)).await.unwrap();
    assert!(stopped.elapsed() < LEASE + LATE, "{:?}", stopped.elapsed());
    kill(pid, Signal::SIGCONT).unwrap();
    until("the sleeper's end", || asleep.try_wait().unwrap().is_some()).await;
    let said = std::io::read_to_string(asleep.stderr.take().unwrap()).unwrap();
    assert!(said.contains("lost the lock"), "{said}");
    assert_eq!(read(store.as_ref()).await.unwrap().state.length, journal.state().length);
    store.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_cannot_be_reached_is_named_with_what_to_try() {
    let sshd = Sshd::start("");
    let kind = ssh_on(sshd, LEASE);
    let config = kind.dir.ancestors().nth(2).unwrap().join("ssh_config");
    let text = std::fs::read_to_string(&config).unwrap();
    let port = text.lines().find_map(|line| line.trim().strip_prefix("Port ")).unwrap().to_owned();
    std::fs::write(&config, text.replace(&port, &DEAD.to_string())).unwrap();
    let store = kind.store();
    for result in [store.read().await.map(drop), store.enter(&ticket("flip")).await.map(drop)] {
        let said = result.unwrap_err().to_string();
        assert!(said.contains("the journal `ssh:box:/") && said.contains("`box` is unreachable"), "{said}");
        assert!(said.contains("try `ssh box true`"), "{said}");
    }
    store.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_used_is_named_with_what_to_do() {
    let kind = ssh();
    std::fs::write(kind.dir.parent().unwrap(), "a file").unwrap();
    let store = kind.store();
    let said = store.enter(&ticket("flip")).await.unwrap_err().to_string();
    assert!(said.contains("could not be locked: `box`") && said.contains("sudo install -d -m 700"), "{said}");
    let said = store.read().await.unwrap_err().to_string();
    assert!(said.contains("could not be read: `box`"), "{said}");
    store.leave().await;
}
