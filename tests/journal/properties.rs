//! What each kind of journal promises.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bluegreen::{
    edge::journal::{OpenError, OpenJournal, Store, read},
    engine::Journal as _,
};
use bluegreen_core::{
    lock::{Hold, Queue},
    rollout::State,
};

use crate::kinds::{Kind, SOON, by, created, open, open_within, synced, ticket};

/// Rounds of two that open at once; `make soak` asks for more.
fn rounds() -> u32 {
    std::env::var("BG_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(30)
}

async fn three_records(kind: &Kind) -> Vec<u8> {
    let store = kind.store();
    let mut journal = open(&store, "sync").await.unwrap();
    journal.append(created()).await.unwrap();
    journal.append(synced(1)).await.unwrap();
    journal.append(synced(2)).await.unwrap();
    store.leave().await;
    let bytes = store.read().await.unwrap();
    store.leave().await;
    bytes
}

/// Until so many are in the queue.
async fn entered(store: &Arc<dyn Store>, count: usize) {
    let end = Instant::now() + SOON;
    while store.queue().await.unwrap().tickets.len() != count {
        assert!(Instant::now() < end, "never {count} in the queue");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn what_was_appended_is_read_again_by_anybody(kind: &Kind) {
    three_records(kind).await;
    let reading = read(kind.store().as_ref()).await.unwrap();
    assert_eq!(reading.entries.len(), 3);
    assert_eq!(reading.state.digests, ["d1", "d2"]);
    assert_eq!((reading.queue, reading.warning), (Queue::default(), None));
    // Longer than a pipe or a shell's buffer holds, and with everything in it that a shell could take for its own.
    let store = kind.store();
    let mut journal = open(&store, "sync").await.unwrap();
    let odd = format!("{}\n\\n%s $(x) 'é' \u{1e}", "0123456789".repeat(30_000));
    journal.append(vec![bluegreen_core::rollout::Event::Synced { digest: odd.clone(), hosts: vec![] }]).await.unwrap();
    journal.append(synced(4)).await.unwrap();
    store.leave().await;
    assert_eq!(read(store.as_ref()).await.unwrap().state.digests, ["d1", "d2", odd.as_str(), "d4"]);
}

pub async fn a_missing_journal_is_empty_and_looking_at_it_makes_nothing(kind: &Kind) {
    let reading = read(kind.store().as_ref()).await.unwrap();
    assert_eq!((reading.state, reading.queue), (State::default(), Queue::default()));
    assert!(!kind.dir.exists());
}

pub async fn a_second_opener_is_refused_and_told_who_holds_it(kind: &Kind) {
    let (first, second) = (kind.store(), kind.store());
    let mut journal = open(&first, "flip").await.unwrap();
    journal.append(created()).await.unwrap();
    let refused = open(&second, "abort").await.err().unwrap();
    let OpenError::Locked(ahead) = &refused else { panic!("{refused}") };
    let who = ahead[0].ticket.to_string();
    assert!(who.contains("`flip` by anna@desk"), "{who}");
    let reading = read(second.as_ref()).await.unwrap();
    assert_eq!(reading.queue.holder(), Some(&ticket("flip")));
    assert_eq!(reading.queue.tickets.len(), 1, "the refused one left");
    journal.append(synced(1)).await.unwrap();
    first.leave().await;
    assert_eq!(open(&second, "abort").await.unwrap().state().length, 2);
    second.leave().await;
}

pub async fn a_holder_that_left_may_come_again_at_once(kind: &Kind) {
    let store = kind.store();
    for n in 0..3 {
        let mut journal = open(&store, "sync").await.unwrap();
        journal.append(if n == 0 { created() } else { synced(n) }).await.unwrap();
        store.leave().await;
    }
    assert_eq!(read(store.as_ref()).await.unwrap().state.digests, ["d1", "d2"]);
    store.leave().await;
}

pub async fn of_two_that_open_at_the_same_instant_exactly_one_proceeds(kind: &Kind) {
    let (first, second) = (kind.store(), kind.store());
    for round in 0..rounds() {
        let (one, other) = tokio::join!(open(&first, "flip"), open(&second, "abort"));
        let (mut journal, refused): (OpenJournal, OpenError) = match (one, other) {
            (Ok(journal), Err(refused)) | (Err(refused), Ok(journal)) => (journal, refused),
            (Ok(_), Ok(_)) => panic!("both proceed in round {round}"),
            (Err(one), Err(other)) => panic!("nobody proceeds in round {round}: {one}; {other}"),
        };
        assert!(matches!(refused, OpenError::Locked(_)), "round {round}: {refused}");
        journal.append(if round == 0 { created() } else { synced(round) }).await.unwrap();
        tokio::join!(first.leave(), second.leave());
    }
    let reading = read(first.as_ref()).await.unwrap();
    assert_eq!(reading.state.length, u64::from(rounds()));
    assert_eq!(reading.queue, Queue::default());
    first.leave().await;
}

pub async fn who_waits_is_served_in_order(kind: &Kind) {
    let names = ["deploy", "flip", "restore"];
    let first = kind.store();
    let mut journal = open(&first, "sync").await.unwrap();
    journal.append(created()).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        let (store, order) = (kind.store(), order.clone());
        waiting.push(tokio::spawn(async move {
            open_within(&store, name, Some(SOON)).await.unwrap();
            order.lock().unwrap().push(name);
            store.leave().await;
        }));
        entered(&first, index + 2).await;
    }
    let queue = first.queue().await.unwrap();
    let commands: Vec<&str> = queue.tickets.iter().map(|queued| queued.ticket.command.as_str()).collect();
    assert_eq!(commands, ["sync", "deploy", "flip", "restore"]);
    first.leave().await;
    for task in waiting {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), names);
}

pub async fn a_lock_by_hand_stops_everybody_until_it_is_released(kind: &Kind) {
    let hold =
        Hold {
            by: by(), since: "2026-01-01T00:00:00Z".to_owned(), why: Some("audit é 'x'".to_owned()), copy_of: None
        };
    let other = Hold { why: None, ..hold.clone() };
    let (first, second) = (kind.store(), kind.store());
    assert!(first.set_hold(None, Some(&hold)).await.unwrap());
    assert!(!second.set_hold(None, Some(&other)).await.unwrap(), "it is held already");
    let error = open_within(&second, "flip", Some(SOON)).await.err().unwrap();
    assert!(matches!(&error, OpenError::Held(held) if **held == hold), "{error}");
    assert_eq!(first.queue().await.unwrap(), Queue { hold: Some(hold.clone()), tickets: Vec::new() });
    assert!(!second.set_hold(Some(&other), None).await.unwrap(), "it is another's");
    assert!(second.set_hold(Some(&hold), None).await.unwrap());
    assert_eq!(first.queue().await.unwrap().hold, None);
    open(&second, "flip").await.unwrap();
    second.leave().await;
    first.leave().await;
}

pub async fn what_another_writer_did_meanwhile_is_not_written_over(kind: &Kind) {
    three_records(kind).await;
    let store = kind.store();
    let mut journal = open(&store, "sync").await.unwrap();
    let path = kind.journal();
    let ours = fs::read(&path).unwrap();
    let theirs = [ours.as_slice(), b"another record\n"].concat();
    fs::write(&path, &theirs).unwrap();
    let error = journal.append(synced(3)).await.unwrap_err();
    assert!(error.message.contains("somebody else appended"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), theirs);
    fs::write(&path, &ours[..ours.len() / 2]).unwrap();
    let error = journal.append(synced(3)).await.unwrap_err();
    assert!(error.message.contains("cut short"), "{error}");
    fs::write(path.with_extension("new"), &ours).unwrap();
    fs::rename(path.with_extension("new"), &path).unwrap();
    let error = journal.append(synced(3)).await.unwrap_err();
    assert!(error.message.contains("deleted or replaced"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), ours);
    store.leave().await;
}

pub async fn a_torn_record_is_dropped_and_written_over(kind: &Kind) {
    let bytes = three_records(kind).await;
    let last = bytes[..bytes.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    for cut in [last, last + 1, (last + bytes.len()) / 2, bytes.len() - 1] {
        fs::write(kind.journal(), &bytes[..cut]).unwrap();
        let store = kind.store();
        let mut journal = open(&store, "sync").await.unwrap();
        let whole = cut == bytes.len() - 1;
        assert_eq!(journal.state().length, if whole { 3 } else { 2 }, "cut at {cut}");
        assert_eq!(journal.warning.is_some(), !whole && cut > last, "cut at {cut}");
        journal.append(synced(8)).await.unwrap();
        journal.append(synced(9)).await.unwrap();
        store.leave().await;
        let reading = read(store.as_ref()).await.unwrap();
        assert_eq!((reading.state.digest.as_deref(), reading.warning), (Some("d9"), None), "cut at {cut}");
        store.leave().await;
    }
}

pub async fn a_damaged_record_stops_with_its_line(kind: &Kind) {
    let bytes = three_records(kind).await;
    let second = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 20;
    for (at, value) in [(second, bytes[second] ^ 1), (second, 0xff), (second, 0)] {
        let mut damaged = bytes.clone();
        damaged[at] = value;
        fs::write(kind.journal(), &damaged).unwrap();
        let store = kind.store();
        let error = open(&store, "sync").await.err().unwrap();
        assert!(matches!(error, OpenError::Damaged { line: 2, .. }), "{error}");
        store.leave().await;
        assert_eq!(fs::read(kind.journal()).unwrap(), damaged);
    }
}

pub async fn only_its_owner_may_read_it(kind: &Kind) {
    let store = kind.store();
    let hold = Hold { by: by(), since: "2026-01-01T00:00:00Z".to_owned(), why: None, copy_of: None };
    let mut journal = open(&store, "sync").await.unwrap();
    journal.append(created()).await.unwrap();
    store.set_hold(None, Some(&hold)).await.unwrap();
    let mut found = 0;
    let mut look = vec![kind.dir.clone()];
    while let Some(path) = look.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, if meta.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
        look.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        found += 1;
    }
    // The directory, the journal, the lock, the queue with a ticket, the lock by hand.
    assert_eq!(found, 6);
    store.leave().await;
}

pub async fn a_full_disk_leaves_what_was_there(kind: &Kind) {
    if bg_playground::skipped_unless_root("a full disk leaves what was there") {
        return;
    }
    let disk = SmallDisk::mount(kind);
    let store = kind.store();
    let mut journal = open(&store, "sync").await.unwrap();
    journal.append(created()).await.unwrap();
    let before = fs::read(kind.journal()).unwrap();
    let filler = kind.dir.join("filler");
    // Until not a byte is left; the last page of the journal still has room, so the record is longer than that.
    assert!(fs::write(&filler, vec![0; 1 << 20]).is_err());
    let long = vec![bluegreen_core::rollout::Event::Synced { digest: "x".repeat(9000), hosts: vec![] }];
    let error = journal.append(long.clone()).await.unwrap_err();
    assert!(error.message.contains("No space left"), "{error}");
    assert_eq!(fs::read(kind.journal()).unwrap(), before);
    fs::remove_file(&filler).unwrap();
    journal.append(long).await.unwrap();
    store.leave().await;
    assert_eq!(read(store.as_ref()).await.unwrap().state.length, 2);
    store.leave().await;
    drop(disk);
}

/// A disk of 256 KiB at the journal's directory.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(kind: &Kind) -> SmallDisk {
        fs::create_dir_all(&kind.dir).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=256k,mode=700", "journal"];
        assert!(Command::new("mount").args(options).arg(&kind.dir).status().unwrap().success());
        SmallDisk(kind.dir.clone())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

pub async fn a_killed_holder_is_gone_in_time(kind: &Kind) {
    let store = kind.store();
    let mut holder = kind.holder().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    entered(&store, 1).await;
    let refused = open(&store, "flip").await.err().unwrap();
    assert!(matches!(&refused, OpenError::Locked { .. }), "{refused}");
    let end = Instant::now() + SOON;
    while read(store.as_ref()).await.unwrap().state.length < 3 {
        assert!(Instant::now() < end, "it appends nothing");
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    let killed = Instant::now();
    let mut journal = open_within(&store, "flip", Some(SOON)).await.unwrap();
    assert!(killed.elapsed() < kind.forgets_the_dead, "{:?}", killed.elapsed());
    journal.append(synced(99)).await.unwrap();
    store.leave().await;
}
