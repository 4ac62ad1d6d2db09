//! What only a directory of this machine can get into; what every kind of journal promises is tested on all of them.

use std::sync::Arc;

use bluegreen_core::rollout::{By, Event};

use super::{
    super::{
        Reading,
        open::{OpenError, OpenJournal},
        read,
        turn::{Patience, Waiting, take_turn},
    },
    *,
};
use crate::engine::Journal;

fn by() -> By {
    By { user: "anna".to_owned(), host: "desk".to_owned(), pid: 7 }
}

fn created() -> Vec<Event> {
    vec![Event::SiteCreated { site: "shop".to_owned(), journal: "j1".to_owned() }]
}

fn synced(n: u32) -> Vec<Event> {
    vec![Event::Synced { digest: format!("d{n}"), hosts: Vec::new() }]
}

fn ticket(command: &str) -> Ticket {
    Ticket {
        by: by(),
        command: command.to_owned(),
        release: None,
        waits: true,
        since: "2026-01-01T00:00:00Z".to_owned(),
    }
}

fn store(dir: &Path) -> Arc<dyn Store> {
    Arc::new(FileStore::new(dir.to_owned()))
}

async fn open(store: &Arc<dyn Store>, command: &str) -> Result<OpenJournal, OpenError> {
    take_turn(store.as_ref(), &ticket(command), Patience::default(), &mut |_| false).await?;
    OpenJournal::open(store.clone(), by()).await
}

async fn read_all(dir: &Path) -> Result<Reading, OpenError> {
    read(store(dir).as_ref()).await
}

async fn three_records() -> (tempfile::TempDir, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut journal = open(&store, "sync").await.unwrap();
    journal.append(created()).await.unwrap();
    journal.append(synced(1)).await.unwrap();
    journal.append(synced(2)).await.unwrap();
    store.leave().await;
    let bytes = fs::read(dir.path().join(JOURNAL)).unwrap();
    (dir, bytes)
}

#[tokio::test]
async fn what_a_dead_command_left_in_the_queue_counts_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path());
    open(&first, "flip").await.unwrap();
    let left = fs::read_dir(dir.path().join(QUEUE)).unwrap().next().unwrap().unwrap().path();
    let text = fs::read(&left).unwrap();
    first.leave().await;
    // As after SIGKILL: the lock goes with the process, the file stays.
    fs::write(&left, text).unwrap();
    assert_eq!(read_all(dir.path()).await.unwrap().queue, Queue::default());
    let second = store(dir.path());
    open(&second, "abort").await.unwrap();
    assert_eq!(fs::read_dir(dir.path().join(QUEUE)).unwrap().count(), 1);
}

#[tokio::test]
async fn who_is_asked_to_stop_when_its_turn_comes_does_not_take_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let stopped = take_turn(store.as_ref(), &ticket("flip"), Patience::default(), &mut |_| true).await;
    assert!(matches!(stopped, Err(OpenError::Stopped)), "{stopped:?}");
    assert_eq!(store.queue().await.unwrap(), Queue::default());
}

#[tokio::test]
async fn who_waits_is_served_in_order_and_told_who_is_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second, third) = (store(dir.path()), store(dir.path()), store(dir.path()));
    open(&first, "deploy").await.unwrap();
    let patience = Patience { wait: Some(Duration::from_secs(20)), skip_superseded: false, ..Patience::default() };
    let order = std::sync::Mutex::new(Vec::new());
    let (deploy, flip, restore) = (ticket("deploy"), ticket("flip"), ticket("restore"));
    let wait = async |store: &Arc<dyn Store>, ticket: &Ticket| {
        let told = std::sync::Mutex::new(Vec::new());
        let mut waiting = |now: Waiting<'_>| {
            let ahead: Vec<&str> = now.ahead.iter().map(|it| it.ticket.command.as_str()).collect();
            if now.is_news {
                told.lock().unwrap().push(ahead.join(" "));
            }
            false
        };
        take_turn(store.as_ref(), ticket, patience, &mut waiting).await.unwrap();
        order.lock().unwrap().push(ticket.command.clone());
        store.leave().await;
        told.into_inner().unwrap()
    };
    let entered = async |count: usize| {
        while first.queue().await.unwrap().tickets.len() < count {
            tokio::task::yield_now().await
        }
    };
    let (told_flip, told_restore, ()) = tokio::join!(
        wait(&second, &flip),
        async {
            entered(2).await;
            wait(&third, &restore).await
        },
        async {
            entered(3).await;
            assert_eq!(first.queue().await.unwrap().holder(), Some(&deploy));
            first.leave().await;
        }
    );
    assert_eq!(*order.lock().unwrap(), ["flip", "restore"]);
    assert_eq!(told_flip, ["deploy"]);
    assert_eq!(told_restore[0], "deploy flip");
}

#[tokio::test]
async fn a_record_torn_at_any_byte_is_dropped_with_a_warning_and_written_over() {
    let (dir, bytes) = three_records().await;
    let path = dir.path().join(JOURNAL);
    let last = bytes[..bytes.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    for cut in last..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let store = store(dir.path());
        let mut journal = open(&store, "sync").await.unwrap();
        let whole = cut == bytes.len() - 1;
        let count = if whole { 3 } else { 2 };
        assert_eq!(journal.state().length, count, "cut at {cut}");
        assert_eq!(journal.warning.is_some(), !whole && cut > last, "cut at {cut}");
        journal.append(synced(9)).await.unwrap();
        store.leave().await;
        assert_eq!(read_all(dir.path()).await.unwrap().state.digest.as_deref(), Some("d9"), "cut at {cut}");
    }
}

#[tokio::test]
async fn a_changed_byte_anywhere_stops_with_the_line() {
    let (dir, bytes) = three_records().await;
    let path = dir.path().join(JOURNAL);
    for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << bit;
        fs::write(&path, &changed).unwrap();
        match read_all(dir.path()).await {
            Err(OpenError::Damaged { line, .. }) => assert!((1..=3).contains(&line)),
            other => panic!("byte {at}, bit {bit}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn without_its_ticket_a_command_appends_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut journal = open(&store, "sync").await.unwrap();
    journal.append(created()).await.unwrap();
    fs::remove_dir_all(dir.path().join(QUEUE)).unwrap();
    let error = journal.append(synced(1)).await.unwrap_err();
    assert!(error.message.contains("lost the lock"), "{error}");
    assert_eq!(read_all(dir.path()).await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn a_directory_that_went_under_a_command_is_called_gone_and_no_lease_is_blamed() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("shop");
    let store = store(&dir);
    let mut journal = open(&store, "sync").await.unwrap();
    journal.append(created()).await.unwrap();
    fs::rename(&dir, home.path().join("elsewhere")).unwrap();
    let said = format!("directory `{}` is gone", dir.display());
    let appending = journal.append(synced(1)).await.unwrap_err().to_string();
    let waiting = store.queue().await.unwrap_err().to_string();
    for error in [appending, waiting] {
        assert!(error.contains(&said) && !error.contains("lease"), "{error}");
    }
    assert!(!dir.exists());
    fs::rename(home.path().join("elsewhere"), &dir).unwrap();
    journal.append(synced(1)).await.unwrap();
}

#[tokio::test]
async fn what_is_no_file_holds_nobody_up_and_a_strange_ticket_counts_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    open(&store, "flip").await.unwrap();
    let queue = dir.path().join(QUEUE);
    for name in ["0000000007.json", "18446744073709551615.json", "99999999999.json"] {
        nix::unistd::mkfifo(&queue.join(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    assert_eq!(store.queue().await.unwrap().tickets.len(), 1);
    store.leave().await;
    open(&store, "abort").await.unwrap();
    store.leave().await;
    fs::remove_file(dir.path().join(JOURNAL)).unwrap();
    nix::unistd::mkfifo(&dir.path().join(JOURNAL), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(store.read().await.unwrap_err().to_string().contains("no regular file"));
}

#[tokio::test]
async fn the_lock_is_not_written_through_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    std::os::unix::fs::symlink(&victim, dir.path().join(LOCK)).unwrap();
    assert!(open(&store(dir.path()), "flip").await.is_err());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
}

#[tokio::test]
async fn a_lock_by_hand_that_cannot_be_read_still_holds_and_can_be_released() {
    let dir = tempfile::tempdir().unwrap();
    for damaged in ["", "{", "null", "[]"] {
        fs::write(dir.path().join(HOLD), damaged).unwrap();
        let store = store(dir.path());
        let hold = store.queue().await.unwrap().hold.unwrap();
        assert!(hold.why.as_deref().unwrap().contains("cannot be read"), "{hold:?}");
        assert!(matches!(open(&store, "flip").await.err().unwrap(), OpenError::Held(_)));
        assert!(store.set_hold(Some(&hold), None).await.unwrap());
        open(&store, "flip").await.unwrap();
        store.leave().await;
    }
}

#[tokio::test]
async fn what_another_operator_wrote_drives_no_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let text = r#"{"by":{"user":"e\u001b[2Jv","host":"h\r\nok","pid":1},"since":"now","why":"a\u202eb\u0007"}"#;
    fs::write(dir.path().join(HOLD), text).unwrap();
    let hold = store(dir.path()).queue().await.unwrap().hold.unwrap();
    let shown = super::super::words::hold(&hold);
    assert!(!shown.chars().any(bluegreen_core::text::is_hidden), "{shown:?}");
}
