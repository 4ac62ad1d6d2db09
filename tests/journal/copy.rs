//! `bg journal copy`, between all kinds, killed anywhere: the two journals are never both open, and run again it finishes.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use bluegreen::{
    edge::journal::{FileStore, OpenError, Store, read, take_turn},
    engine::Journal,
};
use bluegreen_core::lock::Hold;
use serde_json::Value;

use crate::{
    kinds::{by, created, etcd, open, ssh_store, store_at, synced, ticket},
    sshd::Sshd,
};

const FROM: &str = "file:.bg/production";

/// An operator's directory, whose inventory knows a host `box`.
struct Desk {
    dir: tempfile::TempDir,
    sshd: Option<Sshd>,
}

impl Desk {
    /// With a journal of `records` records at [`FROM`].
    async fn new(records: u32, sshd: Option<Sshd>) -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let init = Command::new(env!("CARGO_BIN_EXE_bluegreen")).arg("init").current_dir(dir.path()).output().unwrap();
        assert!(init.status.success());
        let inventory = dir.path().join("inventory/production.toml");
        let config = sshd.as_ref().map(|sshd| format!("\nconfig = \"{}\"", sshd.path("ssh_config").display()));
        let ssh = format!("[ssh]{}\n", config.unwrap_or_default());
        let text = fs::read_to_string(&inventory).unwrap();
        fs::write(&inventory, text.replacen("[ssh]\n", "", 1) + "\n" + &ssh).unwrap();
        let desk = Desk { dir, sshd };
        let store = desk.store(FROM);
        let mut journal = open(&store, "setup").await.unwrap();
        for n in 0..records {
            journal.append(if n == 0 { created() } else { synced(n) }).await.unwrap();
        }
        store.leave().await;
        desk
    }

    fn path(&self, location: &str) -> PathBuf {
        self.dir.path().join(location.strip_prefix("file:").unwrap())
    }

    fn store(&self, location: &str) -> Arc<dyn Store> {
        match location.strip_prefix("ssh:box:") {
            None if location.starts_with("etcd:") => store_at(location),
            None => Arc::new(FileStore::new(self.path(location))),
            Some(dir) => Arc::new(ssh_store(Path::new(dir), &self.sshd.as_ref().unwrap().path("ssh_config"))),
        }
    }

    fn bg(&self, words: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bluegreen"));
        command.args(words.split_whitespace()).env_remove("BG_INVENTORY").current_dir(self.dir.path()).output().unwrap()
    }

    /// `bg journal copy FROM TO`, which must end so; what it said.
    #[track_caller]
    fn copy(&self, from: &str, to: &str, code: i32) -> String {
        let ran = self.bg(&format!("journal copy {from} {to} --json"));
        let document: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        assert_eq!((ran.status.code(), &document["exit"]), (Some(code), &Value::from(code)), "{ran:?}");
        format!("{} {}", document["message"].as_str().unwrap(), document["hint"].as_str().unwrap_or_default())
    }

    /// Whether a command could begin on this journal now; an empty one is none.
    async fn is_open(&self, location: &str) -> bool {
        let store = self.store(location);
        let is_open = match open(&store, "probe").await {
            Ok(journal) => journal.state().journal.is_some(),
            Err(OpenError::Held(_) | OpenError::Moved(_)) => false,
            Err(error) => panic!("{error}"),
        };
        store.leave().await;
        is_open
    }

    async fn lines(&self, location: &str) -> Vec<String> {
        let store = self.store(location);
        let bytes = store.read().await.unwrap();
        store.leave().await;
        String::from_utf8(bytes).unwrap().lines().map(ToOwned::to_owned).collect()
    }

    /// Everything is in `to`, `from` is closed behind it and says where it went.
    async fn is_moved(&self, from: &str, to: &str, before: &[String]) {
        assert_eq!(self.lines(to).await, before);
        assert_eq!(self.lines(from).await[..before.len()], *before);
        assert!(self.is_open(to).await && !self.is_open(from).await);
        let state = read(self.store(from).as_ref()).await.unwrap().state;
        assert_eq!(state.moved.unwrap().to, to);
    }
}

fn copy_of(from: &str) -> Hold {
    Hold { by: by(), since: "2026-01-01T00:00:00Z".to_owned(), why: None, copy_of: Some(from.to_owned()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_moves_from_kind_to_kind_and_back_to_a_new_place() {
    let sshd = Sshd::start("");
    let shared = format!("ssh:box:{}", sshd.path("var/shared").display());
    let desk = Desk::new(5, Some(sshd)).await;
    let before = desk.lines(FROM).await;
    assert!(desk.copy(FROM, &shared, 0).contains(&format!("`journal = \"{shared}\"`")));
    desk.is_moved(FROM, &shared, &before).await;
    assert!(desk.copy(FROM, &shared, 0).contains("done already"));
    for words in ["flip", "flip --wait", "lock", "setup", "abort --dry-run"] {
        let ran = desk.bg(words);
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(3), "{words}: {said}");
        assert!(said.contains(&format!("moved to the journal `{shared}` by ")), "{words}: {said}");
    }
    assert!(desk.copy(FROM, "file:.bg/third", 3).contains(&shared));
    let ran = desk.bg("unlock");
    let said = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    assert_eq!(ran.status.code(), Some(0), "{said}");
    assert!(said.contains("is closed") && said.contains(&format!("`journal = \"{shared}\"`")), "{said}");
    assert!(!said.contains("bluegreen deploy"), "{said}");
    assert!(desk.copy(&shared, FROM, 3).contains("holds a journal already, which was moved to"));
    let in_etcd = etcd().location;
    desk.copy(&shared, &in_etcd, 0);
    desk.is_moved(&shared, &in_etcd, &before).await;
    desk.copy(&in_etcd, "file:.bg/third", 0);
    desk.is_moved(&in_etcd, "file:.bg/third", &before).await;
    let again = desk.copy(&in_etcd, "file:.bg/third", 0);
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    assert!(again.contains(&format!("the journal `file:.bg/third` on the machine `{host}` by ")), "{again}");
    assert!(again.contains("on this machine, ") && again.contains("Z ("), "{again}");
}

/// The states that a kill can leave, in order: what is recorded is recorded, and of the rest nothing.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_point_the_two_are_never_both_open_and_the_next_try_finishes() {
    const TO: &str = "file:shared/production";
    let last = 4;
    for (point, is_damaged) in (0..=last + 2).flat_map(|point| [(point, false), (point, true)]) {
        let desk = Desk::new(last, None).await;
        let before = desk.lines(FROM).await;
        let to = desk.store(TO);
        to.set_hold(None, Some(&copy_of(FROM))).await.unwrap();
        let copied = usize::try_from(point.min(last)).unwrap();
        let mut text: String = before[..copied].iter().map(|line| format!("{line}\n")).collect();
        if point < last {
            // The next one was torn.
            text.push_str(&before[copied][..before[copied].len() / 2]);
        }
        fs::write(desk.path(TO).join("journal.jsonl"), text).unwrap();
        if point > last {
            let from = desk.store(FROM);
            let mut journal = open(&from, "journal copy").await.unwrap();
            let moved = bluegreen_core::rollout::Event::Moved { to: TO.to_owned() };
            journal.append(vec![moved]).await.unwrap();
            from.leave().await;
        }
        if point > last + 1 {
            to.set_hold(Some(&copy_of(FROM)), None).await.unwrap();
        }
        assert_eq!(desk.is_open(FROM).await, point <= last, "point {point}");
        assert_eq!(desk.is_open(TO).await, point > last + 1, "point {point}");
        if is_damaged && point <= last + 1 {
            fs::write(desk.path(TO).join("hold.json"), "").unwrap();
        }
        if point <= last + 1 {
            // Nobody opens a copy by hand.
            let inventory = desk.dir.path().join("inventory/production.toml");
            let text = fs::read_to_string(&inventory).unwrap();
            fs::write(&inventory, text.replacen("[site]\n", &format!("[site]\njournal = \"{TO}\"\n"), 1)).unwrap();
            let ran = desk.bg("unlock");
            assert_eq!(ran.status.code(), Some(3), "{ran:?}");
            let said = String::from_utf8_lossy(&ran.stderr).into_owned();
            let whose =
                if is_damaged { "or as an unfinished copy" } else { "unfinished copy of `file:.bg/production`" };
            assert!(said.contains(whose) && said.contains("journal copy"), "{said}");
            fs::write(&inventory, text).unwrap();
        }
        desk.copy(FROM, TO, 0);
        desk.is_moved(FROM, TO, &before).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_continued_from_where_the_journal_went_says_so() {
    const TO: &str = "file:shared";
    const THIRD: &str = "file:third";
    let desk = Desk::new(3, None).await;
    desk.store(TO).set_hold(None, Some(&copy_of(FROM))).await.unwrap();
    fs::copy(desk.path(FROM).join("journal.jsonl"), desk.path(TO).join("journal.jsonl")).unwrap();
    desk.copy(FROM, THIRD, 0);
    let before = desk.lines(THIRD).await;
    // Killed when the old one was just closed, which is all that it appends.
    let mut traced = Command::new("strace");
    traced.args(["-qq", "-f", "-e", "trace=fdatasync", "-e", "inject=fdatasync:signal=KILL:when=1", "-o", "/dev/null"]);
    traced.arg(env!("CARGO_BIN_EXE_bluegreen")).args(["journal", "copy", THIRD, TO]).env_remove("BG_INVENTORY");
    let ran = traced.current_dir(desk.dir.path()).output().unwrap();
    assert_eq!(ran.status.signal(), Some(9), "{ran:?}");
    assert_eq!([desk.is_open(THIRD).await, desk.is_open(TO).await], [false, false]);
    assert_eq!(desk.store(TO).queue().await.unwrap().hold.unwrap().copy_of.as_deref(), Some(THIRD));
    desk.copy(THIRD, TO, 0);
    desk.is_moved(THIRD, TO, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_in_the_old_journal_meanwhile_is_copied_too() {
    const TO: &str = "file:shared";
    let desk = Desk::new(3, None).await;
    desk.store(TO).set_hold(None, Some(&copy_of(FROM))).await.unwrap();
    fs::copy(desk.path(FROM).join("journal.jsonl"), desk.path(TO).join("journal.jsonl")).unwrap();
    let from = desk.store(FROM);
    open(&from, "sync").await.unwrap().append(synced(9)).await.unwrap();
    from.leave().await;
    let before = desk.lines(FROM).await;
    desk.copy(FROM, TO, 0);
    desk.is_moved(FROM, TO, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_whole_journal_of_this_site_moves_and_only_to_an_empty_place() {
    let desk = Desk::new(3, None).await;
    let other = Desk::new(0, None).await;
    let journal = desk.path(FROM).join("journal.jsonl");
    let whole = fs::read(&journal).unwrap();
    let refused = |to: &str, code: i32, words: &[&str]| {
        let said = desk.copy(FROM, to, code);
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
    };
    refused(FROM, 2, &["is both"]);
    assert!(desk.copy("file:nowhere", "file:.bg/new", 3).contains("holds no journal"));
    assert_eq!(desk.bg(&format!("journal copy {FROM} nfs:x")).status.code(), Some(2));
    // Another name of the same directory.
    std::os::unix::fs::symlink(desk.path(FROM), desk.dir.path().join("alias")).unwrap();
    refused("file:alias", 3, &["holds a journal already"]);

    fs::create_dir_all(desk.path("file:other")).unwrap();
    let foreign = String::from_utf8(whole.clone()).unwrap();
    fs::write(desk.path("file:other").join("journal.jsonl"), foreign.lines().next().unwrap()).unwrap();
    refused("file:other", 3, &["holds a journal already", "nothing was touched"]);
    assert!(other.copy(&format!("file:{}", desk.path("file:nowhere").display()), "file:x", 3).contains("no journal"));

    let held = Hold { copy_of: None, ..copy_of(FROM) };
    assert!(desk.store(FROM).set_hold(None, Some(&held)).await.unwrap());
    refused("file:.bg/new", 3, &["held by hand by anna@desk", "`bluegreen unlock`"]);
    assert!(desk.store(FROM).set_hold(Some(&held), None).await.unwrap());

    let busy = desk.store(FROM);
    take_turn(busy.as_ref(), &ticket("deploy"), Default::default(), &mut |_| false).await.unwrap();
    refused("file:.bg/new", 3, &["`deploy` by anna@desk"]);
    busy.leave().await;
    let ran = desk.bg(&format!("journal copy {FROM} file:.bg/new --dry-run"));
    assert!(ran.status.success() && !desk.path("file:.bg/new").exists(), "{ran:?}");

    let mut damaged = whole.clone();
    damaged[40] ^= 1;
    fs::write(&journal, &damaged).unwrap();
    refused("file:.bg/new", 1, &["damaged at line 1"]);
    assert!(!desk.path("file:.bg/new").exists());
    // A torn end is no part of it.
    fs::write(&journal, [&whole[..], b"{\"sum\":\"01"].concat()).unwrap();
    let before: Vec<String> = String::from_utf8(whole).unwrap().lines().map(ToOwned::to_owned).collect();
    refused("file:.bg/new", 0, &["3 records were copied"]);
    desk.is_moved(FROM, "file:.bg/new", &before).await;
}
